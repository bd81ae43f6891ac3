"""The size of a file's cells: from their bounds, else from the distances of their centres."""

from __future__ import annotations

import numpy as np

from phloem.errors import InputError
from phloem.io.grids.placed_cells import DEFAULT_STEP, TOLERANCE, Grid

ROUND = 360.0

_SNAP = 1e-4
"""Share by which a step may differ from one that divides a degree or the circle and still be that one."""

_SINGLE = 2.0 * 360.0 * 2.0**-24
"""Degrees by which the distance of two coordinates may be off in single precision: four rows of 1/120 degree show a
step that is off by 2e-4 of itself."""

_MOST = 2e-3
"""The same share, however few the rows and however fine."""


def step_of_axes(
    latitude: np.ndarray,
    longitude: np.ndarray,
    latitude_bounds: np.ndarray | None = None,
    longitude_bounds: np.ndarray | None = None,
) -> float | None:
    """Return the size of the cells of a file of two axes; None where they are no squares of one size.

    An axis of one value takes its size from its bounds, else from the other axis. A single cell without bounds is half
    a degree wide if its centre is one of the half-degree grid.

    Args:
        latitude: of the rows, degrees, (rows,), either way.
        longitude: of the columns, degrees, (columns,).
        latitude_bounds: edges of the rows, (rows, 2), where the file gives them.
        longitude_bounds: edges of the columns, (columns, 2).
    """
    along = _spacing(latitude), _spacing(_unwrapped(longitude))
    widths = _width(latitude_bounds), _width(longitude_bounds)
    sizes = [spacing or width for spacing, width in zip(along, widths, strict=True)]
    if not any(sizes) and _has_standard_edges(latitude, longitude, DEFAULT_STEP):
        return DEFAULT_STEP
    if len(longitude) > len(latitude):
        sizes = sizes[::-1]  # that of the longer axis is the better known
    return _square(latitude, longitude, sizes, max(len(latitude), len(longitude)))


def step_of_list(
    latitude: np.ndarray,
    longitude: np.ndarray,
    latitude_bounds: np.ndarray | None = None,
    longitude_bounds: np.ndarray | None = None,
) -> float | None:
    """Return the size of the cells of a file that lists them; None where they are places on no grid.

    Without bounds, cells are half a degree wide if all are centres of the half-degree grid. Else they are those of a
    grid if the least distances of their latitudes and of their longitudes are the same, and all edges, or all centres,
    whole multiples of it.

    Args:
        latitude: of each cell, degrees, (cells,).
        longitude: likewise.
        latitude_bounds: edges of each cell, (cells, 2), where the file gives them.
        longitude_bounds: likewise.
    """
    if latitude_bounds is not None or longitude_bounds is not None:
        return _square(latitude, longitude, [_width(latitude_bounds), _width(longitude_bounds)])
    if _has_standard_edges(latitude, longitude, DEFAULT_STEP):
        return DEFAULT_STEP
    step = _square(latitude, longitude, [_least(latitude), _least(longitude)])
    return step if step is not None and _has_whole_halves(latitude, longitude, step) else None


def _square(latitude: np.ndarray, longitude: np.ndarray, sizes: list[float | None], count: int = 2) -> float | None:
    """The one size of cells, proved on all centres; None where there is none.

    Args:
        latitude: centres, degrees.
        longitude: likewise.
        sizes: in both directions, the better known first.
        count: cells over which that one was measured.
    """
    known = [size for size in sizes if size]
    if not known or max(known) - min(known) > TOLERANCE * min(known):
        return None
    size = known[0]
    near = min(max(_SNAP, _SINGLE / (size * max(1, count - 1))), _MOST)
    whole = [1.0 / round(1.0 / size)] if size <= 1.0 else []
    for step in (*whole, ROUND / round(ROUND / size), size):
        if abs(step / size - 1.0) <= near and _fits(latitude, longitude, step):
            return step
    return None


def _fits(latitude: np.ndarray, longitude: np.ndarray, step: float) -> bool:
    """Whether all rows and all columns are whole steps apart, on this Earth."""
    try:
        for north, east in ((latitude, np.zeros(len(latitude))), (np.zeros(len(longitude)), longitude)):
            if (Grid.around(north, east, step).find(north, east)[0] < 0).any():
                return False
    except InputError:
        return False
    return True


def _has_standard_edges(latitude: np.ndarray, longitude: np.ndarray, step: float) -> bool:
    """Whether all are centres of the grid whose edges are multiples of a step from a pole and from 180 W."""
    numbers = [(latitude + 90.0) / step - 0.5, (longitude + 180.0) / step - 0.5]
    return all(bool(np.abs(one - np.rint(one)).max() <= TOLERANCE) for one in numbers)


def _has_whole_halves(latitude: np.ndarray, longitude: np.ndarray, step: float) -> bool:
    """Whether all centres are multiples of half a step, as no places at coordinates of their own are."""
    halves = [2.0 * values / step for values in (latitude, longitude)]
    return all(bool(np.abs(one - np.rint(one)).max() <= 2.0 * TOLERANCE) for one in halves)


def _unwrapped(longitude: np.ndarray) -> np.ndarray:
    return np.rad2deg(np.unwrap(np.deg2rad(np.asarray(longitude, np.float64))))


def _spacing(values: np.ndarray) -> float | None:
    """Mean distance of the centres of an axis; of a single centre there is none."""
    values = np.asarray(values, np.float64)
    return abs(float(values[-1] - values[0])) / (len(values) - 1) if len(values) > 1 else None


def _least(values: np.ndarray) -> float | None:
    """Least distance of different coordinates; of one alone there is none."""
    apart = np.diff(np.unique(np.round(np.asarray(values, np.float64), 6)))
    return float(apart.min()) if len(apart) else None


def _width(bounds: np.ndarray | None) -> float | None:
    """The one width of cells by their bounds; None where they differ or there are none."""
    if bounds is None:
        return None
    widths = np.abs(np.diff(np.asarray(bounds, np.float64), axis=-1))
    widths = np.minimum(widths, np.abs(ROUND - widths))
    middle = float(np.median(widths))
    return middle if middle > 0 and np.abs(widths - middle).max() <= TOLERANCE * middle else None
