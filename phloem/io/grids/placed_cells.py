"""Regular grids of latitude and longitude: their axes, bounds and areas, and the place of each cell on them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phloem.errors import InputError, some

DEFAULT_STEP = 0.5
"""Degrees of a cell where nothing says otherwise: of a store whose ingest file names no step, of a campaign that was
planned before plans said it, and of the cell that a tower or another place on no grid stands for."""

EARTH_RADIUS = 6371007.181
"""Radius in m of the sphere whose surface is that of the WGS84 ellipsoid (authalic radius; Snyder 1987, eq. 3-13)."""

TOLERANCE = 0.01
"""How far, in steps, a coordinate may be from a centre: files in single precision are off by up to 1e-4 steps."""

WORTH_CROSSING = 90.0
"""Degrees of longitude that an axis across the date line must save; a domain nearly around the Earth stays within
-180..180, as people expect it."""

Coordinates = Sequence[float] | np.ndarray

_DIGITS = 9


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid.

    Attributes:
        latitude: centres of the rows, ascending, degrees north.
        longitude: centres of the columns, ascending, degrees east; beyond 180 only where the grid lies across the date
            line.
        latitude_step: height of a row, degrees.
        longitude_step: width of a column, degrees.
    """

    latitude: np.ndarray
    longitude: np.ndarray
    latitude_step: float
    longitude_step: float

    def __post_init__(self) -> None:
        """Refuse axes that are not regular, or not on Earth.

        Raises:
            InputError: which axis, and what is wrong with it.
        """
        for name, axis, step in (
            ("latitude", self.latitude, self.latitude_step),
            ("longitude", self.longitude, self.longitude_step),
        ):
            axis = np.asarray(axis, dtype=np.float64)
            object.__setattr__(self, name, axis)
            if not (math.isfinite(step) and step > 0.0):
                raise InputError(f"grid: {name} step {step}: a positive number of degrees is due")
            if axis.ndim != 1 or not axis.size or not np.isfinite(axis).all():
                raise InputError(f"grid: {name}: one finite value for each centre is due, shape {axis.shape}")
            if np.abs(np.diff(axis) - step).max(initial=0.0) > TOLERANCE * step:
                raise InputError(f"grid: {name} does not ascend by {step:g} degrees throughout")
        if np.abs(self.latitude).max() > 90.0 or len(self.longitude) * self.longitude_step > 360.0 * (1.0 + 1e-9):
            raise InputError("grid: latitudes beyond the poles, or more longitudes than the Earth has")

    @classmethod
    def around(
        cls, latitudes: Iterable[float], longitudes: Iterable[float], step: float, longitude_step: float | None = None
    ) -> Grid:
        """Return the smallest regular grid that holds some cells.

        Args:
            latitudes: of the cells' centres, degrees north.
            longitudes: of the cells' centres, degrees east, from -180 or from 0.
            step: degrees between centres.
            longitude_step: between centres of longitude, where it is another.

        Returns:
            The grid, from -180 to 180; where its cells lie on both sides of the date line and an axis across it is at
            least 90 degrees shorter, from its western end to beyond 180.

        Raises:
            InputError: no cells, or coordinates or steps that are no numbers.
        """
        across = step if longitude_step is None else longitude_step
        north, east = (np.asarray(list(values), dtype=np.float64) for values in (latitudes, longitudes))
        if not north.size or north.shape != east.shape:
            raise InputError(f"grid: {north.size} latitudes and {east.size} longitudes; one of each cell is due")
        if not (np.isfinite(north).all() and np.isfinite(east).all()):
            raise InputError(f"grid: {np.sum(~np.isfinite(north + east))} cells whose coordinates are no numbers")
        for value in (step, across):
            if not (math.isfinite(value) and value > 0.0):
                raise InputError(f"grid: step {value}: a positive number of degrees is due")
        first, last = _span(east, across)
        return cls(_axis(north.min(), north.max(), step), _axis(first, last, across), step, across)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return len(self.latitude), len(self.longitude)

    def find(self, latitudes: Coordinates, longitudes: Coordinates) -> tuple[np.ndarray, np.ndarray]:
        """Return row and column of coordinates, both -1 where they are not the centre of a place of the grid."""
        offset = np.asarray(latitudes, dtype=np.float64) - self.latitude[0]
        rows, on_row = _nearest(offset / self.latitude_step, len(self.latitude))
        east = np.asarray(longitudes, dtype=np.float64)
        turned = np.mod(np.where(np.isfinite(east), east, np.nan) - self.longitude[0], 360.0)
        turned = np.where(turned > 360.0 - TOLERANCE * self.longitude_step, turned - 360.0, turned)
        columns, on_column = _nearest(turned / self.longitude_step, len(self.longitude))
        found = on_row & on_column
        return np.where(found, rows, -1), np.where(found, columns, -1)

    def place(self, names: Sequence[str], latitudes: Sequence[float], longitudes: Sequence[float]) -> PlacedCells:
        """Return the cells of a campaign on this grid.

        Args:
            names: of all cells.
            latitudes: of each, degrees north.
            longitudes: of each, degrees east.

        Raises:
            InputError: cells off the grid, or several in one place; the message names them.
        """
        if not len(names) == len(latitudes) == len(longitudes):
            raise InputError(f"{len(names)} cells, {len(latitudes)} latitudes, {len(longitudes)} longitudes")
        rows, columns = self.find(latitudes, longitudes)
        off = [f"{names[n]} ({latitudes[n]:g} N, {longitudes[n]:g} E)" for n in np.flatnonzero(rows < 0).tolist()]
        if off:
            raise InputError(
                f"{len(off)} cells are not at a centre of the grid of {self.latitude_step:g} x {self.longitude_step:g} "
                f"degrees: {some(off)}"
            )
        slots = (rows * len(self.longitude) + columns).tolist()
        at: dict[int, list[str]] = {}
        for name, slot in zip(names, slots, strict=True):
            at.setdefault(slot, []).append(name)
        shared = [f"{', '.join(cells)} ({self._describe(slot)})" for slot, cells in at.items() if len(cells) > 1]
        if shared:
            raise InputError(f"several cells in one place of the grid: {some(shared, '; ')}")
        return PlacedCells(self, dict(zip(names, slots, strict=True)))

    def _describe(self, slot: int) -> str:
        row, column = divmod(slot, len(self.longitude))
        return f"{self.latitude[row]:g} N, {self.longitude[column]:g} E"

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return bounds, south and north (rows, 2), west and east (columns, 2); poles end the latitudes."""
        north = np.clip(_edges(self.latitude, self.latitude_step), -90.0, 90.0)
        return north, _edges(self.longitude, self.longitude_step)

    def areas(self) -> np.ndarray:
        """Return the area of a place in each row, m2: R^2 dlon (sin north - sin south) on a sphere."""
        sines = np.sin(np.radians(self.bounds()[0]))
        return EARTH_RADIUS**2 * math.radians(self.longitude_step) * (sines[:, 1] - sines[:, 0])


@dataclass(frozen=True, eq=False)
class PlacedCells:
    """Cells on a grid; made by `Grid.place`.

    Attributes:
        grid: the grid.
        slots: of each cell: row x columns + column.
    """

    grid: Grid
    slots: Mapping[str, int]

    def slots_of(self, cells: Sequence[str]) -> np.ndarray:
        """Return the slots of some cells.

        Raises:
            InputError: a cell has no place; the message names it.
        """
        absent = [cell for cell in cells if cell not in self.slots]
        if absent:
            raise InputError(f"cells without a place on the grid: {some(absent)}")
        return np.array([self.slots[cell] for cell in cells], dtype=np.int64)


def place_cells(
    names: Sequence[str], latitudes: Sequence[float], longitudes: Sequence[float], step: float
) -> PlacedCells:
    """Return cells on the smallest grid that holds them.

    Args:
        names: of all cells.
        latitudes: of each, degrees north.
        longitudes: of each, degrees east.
        step: size of a cell in degrees.

    Raises:
        InputError: as of `Grid.around` and `Grid.place`.
    """
    return Grid.around(latitudes, longitudes, step).place(names, latitudes, longitudes)


def _span(east: np.ndarray, step: float) -> tuple[float, float]:
    """First and last longitude of an axis around some cells."""
    turned = np.unique(np.mod(east + 180.0, 360.0) - 180.0)
    # A centre at the date line that rounding put to its west is one at -180.
    turned = np.unique(np.where(turned > 180.0 - TOLERANCE * step, turned - 360.0, turned))
    gaps = np.diff(turned)
    outside = 360.0 - (turned[-1] - turned[0])
    if gaps.size and gaps.max() - outside >= WORTH_CROSSING:
        before = int(gaps.argmax())
        return float(turned[before + 1]), float(turned[before] + 360.0)
    return float(turned[0]), float(turned[-1])


def _axis(first: float, last: float, step: float) -> np.ndarray:
    """Centres from the first to the last; at multiples of half a step where the first is at one."""
    half = 0.5 * step
    if abs(round(first / half) * half - first) <= TOLERANCE * step:
        first = round(first / half) * half
    return np.round(first + step * np.arange(round((last - first) / step) + 1), _DIGITS)


def _edges(centres: np.ndarray, step: float) -> np.ndarray:
    """Edges half-way between neighbours, shared to the last bit."""
    half = 0.5 * step
    edges = np.concatenate([centres[:1] - half, 0.5 * (centres[:-1] + centres[1:]), centres[-1:] + half])
    return np.stack([np.round(edges[:-1], _DIGITS), np.round(edges[1:], _DIGITS)], axis=1)


def _nearest(steps: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the nearest centre, and whether there is one within the tolerance."""
    index = np.where(np.isfinite(steps), np.rint(np.where(np.isfinite(steps), steps, 0.0)), -1.0)
    found = (index >= 0) & (index < length) & (np.abs(steps - index) <= TOLERANCE)
    return index.astype(np.int64), found
