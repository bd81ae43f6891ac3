"""Places of drivers: sites along one dimension, or a grid, with the area of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phloem.errors import InputError
from phloem.io.grids.placed_cells import DEFAULT_STEP, EARTH_RADIUS


@dataclass(frozen=True, eq=False)
class DriverPlaces:
    """Places in the order of their file.

    Attributes:
        latitude, longitude: of sites (sites,); of the rows and of the columns of a grid, degrees.
        names: of sites; empty of a grid.
        latitude_bounds, longitude_bounds: edges of a grid's rows and columns, (rows, 2), (columns, 2); None of sites.
        coarsest: degrees of a cell, the larger of its sides; of a site what it stands for.
    """

    latitude: np.ndarray
    longitude: np.ndarray
    names: tuple[str, ...] = ()
    latitude_bounds: np.ndarray | None = None
    longitude_bounds: np.ndarray | None = None
    coarsest: float = DEFAULT_STEP

    @property
    def gridded(self) -> bool:
        """Whether they are a grid."""
        return self.latitude_bounds is not None

    @property
    def rows(self) -> int:
        """Rows of a grid; sites are rows of one place."""
        return len(self.latitude)

    @property
    def columns(self) -> int:
        """Places of a row."""
        return len(self.longitude) if self.gridded else 1

    def coordinates(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return latitude and longitude of all places of some rows, (places,) each; longitudes from -180 on."""
        north = self.latitude[rows]
        east = np.where(self.longitude >= 180.0, self.longitude - 360.0, self.longitude)
        if not self.gridded:
            return north, east[rows]
        return np.repeat(north, self.columns), np.tile(east, len(north))

    def areas(self) -> np.ndarray:
        """Return the area of a cell, m2, (rows, columns): R^2 dlon (sin north - sin south) on a sphere.

        Raises:
            ValueError: sites have none.
        """
        if self.latitude_bounds is None or self.longitude_bounds is None:
            raise ValueError("sites have no area")
        tall = np.abs(np.diff(np.sin(np.radians(self.latitude_bounds)), axis=1))
        wide = np.abs(np.radians(np.diff(self.longitude_bounds, axis=1)))
        found: np.ndarray = EARTH_RADIUS**2 * tall * wide.T
        return found

    def is_same(self, other: DriverPlaces) -> bool:
        """Return whether others are the same places in the same order."""
        if (self.gridded, self.rows, self.columns) != (other.gridded, other.rows, other.columns):
            return False
        if self.names != other.names:
            return False
        turned = np.abs((self.longitude - other.longitude + 180.0) % 360.0 - 180.0)
        near = 0.01 * self.coarsest
        return bool(np.abs(self.latitude - other.latitude).max() <= near and turned.max() <= near)


def grid_places(
    latitude: np.ndarray,
    longitude: np.ndarray,
    where: str,
    latitude_bounds: np.ndarray | None = None,
    longitude_bounds: np.ndarray | None = None,
) -> DriverPlaces:
    """Return the places of a grid, in the order of its axes; the rows need not be equally far from one another.

    Args:
        latitude: of the rows, (rows,), rising or falling.
        longitude: of the columns, (columns,), rising or falling.
        where: of the file, for messages.
        latitude_bounds: edges, where the file has them; else they are half-way between the rows.
        longitude_bounds: likewise.

    Raises:
        InputError: an axis that turns, or is not on Earth.
    """
    for name, axis, least, most in (("latitude", latitude, -90.0, 90.0), ("longitude", longitude, -180.0, 360.0)):
        steps = np.diff(axis)
        if not len(axis) or not np.isfinite(axis).all() or not ((steps > 0).all() or (steps < 0).all()):
            raise InputError(f"{where}: {name}: an axis that rises or falls throughout is due")
        if axis.min() < least - 1e-6 or axis.max() > most + 1e-6:
            raise InputError(f"{where}: {name} from {axis.min():g} to {axis.max():g}; {least:g} to {most:g} are due")
    sizes = [np.abs(np.diff(axis)).mean() if len(axis) > 1 else np.nan for axis in (latitude, longitude)]
    known = [size for size in sizes if np.isfinite(size)]
    lone = known[0] if known else DEFAULT_STEP
    tall = _edges(latitude, lone) if latitude_bounds is None else np.asarray(latitude_bounds, float)
    wide = _edges(longitude, lone) if longitude_bounds is None else np.asarray(longitude_bounds, float)
    tall = np.clip(tall, -90.0, 90.0)
    coarsest = float(max(np.abs(np.diff(tall)).mean(), np.abs(np.diff(wide)).mean()))
    return DriverPlaces(np.asarray(latitude, float), np.asarray(longitude, float), (), tall, wide, coarsest)


def _edges(centres: np.ndarray, lone: float) -> np.ndarray:
    """Edges half-way between neighbours, (cells, 2); those of a single one `lone` degrees apart."""
    centres = np.asarray(centres, float)
    if len(centres) == 1:
        return np.array([[centres[0] - 0.5 * lone, centres[0] + 0.5 * lone]])
    middle = 0.5 * (centres[:-1] + centres[1:])
    edges = np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
    return np.stack([edges[:-1], edges[1:]], axis=1)
