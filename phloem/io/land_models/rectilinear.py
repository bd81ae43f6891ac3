"""Grids of rows and columns of any width, also Gaussian ones and with half cells at the poles, and means over them.

`phloem.io.grids.file_grid` reads regular grids, whose boxes give the same bits in every product; land models have
others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from phloem.errors import InputError
from phloem.io.grids.placed_cells import EARTH_RADIUS

_ROUND = 360.0


@dataclass(frozen=True, eq=False)
class Rectilinear:
    """Rows and columns in the file's own order.

    Attributes:
        latitude: centres, degrees north, (rows,).
        longitude: centres, degrees east, as the file counts, (columns,).
        south, north: edges of the rows, degrees, (rows,).
        west, width: western edge of the columns and their width, degrees, (columns,).
    """

    latitude: np.ndarray
    longitude: np.ndarray
    south: np.ndarray
    north: np.ndarray
    west: np.ndarray
    width: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.latitude), len(self.longitude)

    def __str__(self) -> str:
        way = "south to north" if self.latitude[1] > self.latitude[0] else "north to south"
        first = f"the first at {self.latitude[0]:g}, {self.longitude[0]:g}"
        return f"{self.shape[0]} x {self.shape[1]} cells, rows from {way}, {first}"

    def areas(self) -> np.ndarray:
        """Return areas of the cells, m2, (rows, columns)."""
        tall = np.sin(np.deg2rad(self.north)) - np.sin(np.deg2rad(self.south))
        return np.asarray(EARTH_RADIUS**2 * tall[:, None] * np.deg2rad(self.width))

    def same(self, other: Rectilinear) -> bool:
        """Return whether both have the same cells in the same order."""
        return self.shape == other.shape and bool(
            np.allclose(self.latitude, other.latitude, atol=1e-4) and np.allclose(self.west, other.west, atol=1e-4)
        )


def read_rectilinear(latitude: np.ndarray, longitude: np.ndarray, where: str) -> tuple[Rectilinear, tuple[str, ...]]:
    """Return a grid from its centres, and what is odd in it.

    Edges are midway between centres; the outermost rows are as tall on both sides, or end at the pole where that is
    nearer than half a row beyond it.

    Args:
        latitude: (rows,), either way.
        longitude: (columns,), from -180 or from 0 eastwards.
        where: file, for messages.

    Raises:
        InputError: not one dimension, too few, not ascending or beyond the Earth.
    """
    latitude, longitude = (np.asarray(one, np.float64) for one in (latitude, longitude))
    for name, axis in (("latitude", latitude), ("longitude", longitude)):
        if axis.ndim != 1 or axis.size < 2 or not np.isfinite(axis).all():
            raise InputError(f"{where}: {name}: two or more finite coordinates along one dimension are due")
    steps = np.diff(latitude)
    if not ((steps > 0).all() or (steps < 0).all()) or np.abs(latitude).max() > 90.0 + 1e-6:
        raise InputError(f"{where}: latitude does not run from pole to pole one way, or beyond the poles")
    unwrapped = np.unwrap(longitude, period=_ROUND)
    if (np.diff(unwrapped) <= 0).any():
        raise InputError(f"{where}: longitude does not run eastwards")
    low, high = _edges(latitude)
    west, east = _edges(unwrapped)
    if unwrapped[-1] + 0.5 * (east[-1] - west[-1]) - west[0] > _ROUND * (1.0 + 1e-4) + (east[-1] - west[-1]):
        raise InputError(f"{where}: longitudes go around the Earth more than once")
    south, north = np.minimum(low, high), np.maximum(low, high)
    south, north = np.clip(south, -90.0, 90.0), np.clip(north, -90.0, 90.0)
    grid = Rectilinear(latitude, longitude, south, north, west, east - west)
    return grid, _oddities(grid, steps)


def _edges(centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle = 0.5 * (centres[1:] + centres[:-1])
    first, last = 1.5 * centres[0] - 0.5 * centres[1], 1.5 * centres[-1] - 0.5 * centres[-2]
    edges = np.concatenate([[first], middle, [last]])
    return edges[:-1], edges[1:]


def _oddities(grid: Rectilinear, steps: np.ndarray) -> tuple[str, ...]:
    latitude, size = grid.latitude, np.abs(steps)
    found = []
    if steps[0] < 0:
        found.append("rows run from north to south")
    if grid.longitude.max() > 180.0 + 1e-6:
        found.append("longitudes run from 0 to 360")
    if np.ptp(size) > 1e-3 * size.mean():
        found.append(f"rows are not of one height ({size.min():.4g} to {size.max():.4g} degrees)")
    if (np.abs(np.abs(latitude[[0, -1]]) - 90.0) < 1e-6).any():
        found.append("half cells at the poles")
    for edge, pole, name in ((grid.south.min(), -90.0, "south of"), (grid.north.max(), 90.0, "north of")):
        if abs(edge - pole) > size.mean():
            found.append(f"no rows {name} {edge:g}")
    return tuple(found)


class AreaMeans:
    """Conservative means of cells of one grid over those of another."""

    def __init__(self, source: Rectilinear, target: Rectilinear) -> None:
        self.source, self.target = source, target
        self._rows = _row_overlaps(source, target)
        self._columns = _column_overlaps(source, target)
        tall = np.sin(np.deg2rad(target.north)) - np.sin(np.deg2rad(target.south))
        self._area = tall[:, None] * target.width

    def regrid(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return area-weighted means of what has values, and the share of each cell's area that has.

        The mean times the share times the cell's area is the same total on both grids.

        Args:
            values: (rows, columns) of the source, NaN where missing.
        """
        there = ~np.isnan(values)
        above = self._rows @ np.where(there, values, 0.0) @ self._columns.T
        below = self._rows @ there.astype(np.float64) @ self._columns.T
        share = np.clip(below / self._area, 0.0, 1.0)
        mean = np.divide(above, below, out=np.full(below.shape, np.nan), where=share > 1e-9)
        return mean, np.where(share > 1e-9, share, 0.0)


def _row_overlaps(source: Rectilinear, target: Rectilinear) -> sparse.csr_array:
    low = np.maximum(target.south[:, None], source.south)
    high = np.minimum(target.north[:, None], source.north)
    tall = np.sin(np.deg2rad(np.maximum(high, low))) - np.sin(np.deg2rad(low))
    return sparse.csr_array(tall)


def _column_overlaps(source: Rectilinear, target: Rectilinear) -> sparse.csr_array:
    wide = np.zeros((len(target.longitude), len(source.longitude)))
    for turn in (-2.0, -1.0, 0.0, 1.0, 2.0):
        low = np.maximum(target.west[:, None], source.west + turn * _ROUND)
        high = np.minimum((target.west + target.width)[:, None], source.west + source.width + turn * _ROUND)
        wide += np.maximum(high - low, 0.0)
    return sparse.csr_array(wide)
