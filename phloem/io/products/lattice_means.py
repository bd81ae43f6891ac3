"""Means of a product's steps over lattices of boxes: rows and columns of one size, whatever the file's resolution.

Boxes of a lattice share rows and columns, so that sums go over the rows first and over the columns then. The terms of a
mean are added from south to north and from west to east, so that it has the same bits whatever else is read with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from phloem.io.grids.file_grid import Axis, overlaps
from phloem.io.products.layouts import VariableLayout
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries

PIXELS_AT_ONCE = 4_000_000
"""Pixels that are unpacked at once."""

_A_PIXEL = 64
"""Bytes a pixel, or a box, while means are made: unpacked values, and sums above and below."""

RowFactors = Callable[[VariableLayout], np.ndarray | None]
"""What the values of each row of a file are multiplied by before the mean, (rows,); None: nothing."""


@dataclass(frozen=True, eq=False)
class BoxLattice:
    """Boxes in rows and columns.

    Attributes:
        south: edges of its rows in degrees, ascending, (rows,).
        west: edges of its columns, -180 to 180, ascending, (columns,).
        size: degrees of each box.
    """

    south: np.ndarray
    west: np.ndarray
    size: float


def unscaled(layout: VariableLayout) -> np.ndarray | None:
    """Return no factors: the values are intensive, as most are."""
    return None


def lattice_steps(
    series: ProductSeries,
    steps: np.ndarray,
    files: OpenFiles,
    lattice: BoxLattice,
    budget: int,
    factors: RowFactors = unscaled,
    *,
    whole: bool = False,
) -> Iterator[tuple[int, slice, np.ndarray]]:
    """Give area-weighted means of some steps; pixels without a value do not count.

    Args:
        series: a variable of a product.
        steps: those that are read, ascending, int64.
        files: open files.
        lattice: the boxes.
        budget: bytes that a piece of a file may have; what is made of it takes three times as much at most.
        factors: of the files' rows.
        whole: whether all rows of the lattice are given at once, whatever the budget says.

    Yields:
        Place among `steps`, rows of the lattice, and float64 (those rows, columns), NaN where no pixel has a value; all
        steps of some rows, then those of the next.
    """
    grid = series.grid
    rows, tall, _ = place_intervals(grid.latitude, lattice.south, lattice.size)
    columns, wide, _ = place_intervals(grid.longitude, lattice.west, lattice.size)
    if not (tall > 0).any() or not (wide > 0).any():
        for place in range(len(steps)):
            yield place, slice(0, len(rows)), np.full((len(rows), len(columns)), np.nan)
        return
    across = _window(columns, wide)
    columns = np.where(wide > 0, columns - across.start, 0)
    a_row = (across.stop - across.start) * max(layout.itemsize for layout in series.layouts)
    parts = [slice(0, len(rows))] if whole else _parts(rows, tall, max(1, budget // a_row))
    for some in parts:
        along = _window(rows[some], tall[some])
        inside = np.where(tall[some] > 0, rows[some] - along.start, 0)
        most = max(1, budget // (a_row * (along.stop - along.start)))
        for layout, places, first in _pieces(series, steps, most):
            factor = factors(layout)
            scale = None if factor is None else factor[along]
            raw = layout.arrange(files.read(layout.path, layout.name, layout.piece(places, (along, across))))
            group = max(1, min(PIXELS_AT_ONCE, 3 * budget // _A_PIXEL) // max(raw.shape[2], len(columns)))
            for number, step in enumerate(raw):
                values = np.empty((len(inside), len(columns)))
                for begin in range(0, len(inside), group):
                    part = slice(begin, begin + group)
                    values[part], _ = means_of_lattice(
                        layout, step, inside[part], tall[some][part], columns, wide, scale
                    )
                yield first + number, some, values


def _window(places: np.ndarray, weights: np.ndarray) -> slice:
    used = places[weights > 0]
    return slice(int(used.min()), int(used.max()) + 1) if len(used) else slice(0, 1)


def _parts(rows: np.ndarray, tall: np.ndarray, most: int) -> Iterator[slice]:
    """Cut the rows of a lattice so that a step of each part lies within so many rows of the file, or is one row."""
    begin = 0
    while begin < len(rows):
        end = begin + 1
        while end < len(rows):
            window = _window(rows[begin : end + 1], tall[begin : end + 1])
            if window.stop - window.start > most:
                break
            end += 1
        yield slice(begin, end)
        begin = end


def _pieces(series: ProductSeries, steps: np.ndarray, most: int) -> Iterator[tuple[VariableLayout, slice, int]]:
    """Cut steps into pieces of one file without gaps, that end with its storage chunks where they can."""
    first = 0
    while first < len(steps):
        step = int(steps[first])
        layout, start = series.layouts[int(series.file[step])], int(series.place[step])
        whole = (start + most) // layout.chunk * layout.chunk - start
        room = whole if whole > 0 else most
        end = first + 1
        while (
            end < len(steps)
            and end - first < room
            and series.file[steps[end]] == series.file[step]
            and series.place[steps[end]] == start + end - first
        ):
            end += 1
        yield layout, slice(start, start + end - first), first
        first = end


def place_intervals(axis: Axis, low: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places in the file and weights of what each interval overlaps, and the share of it that lies in the file.

    A single place has weight 1, so that its value stays.

    Args:
        axis: of the file.
        low: edges of the intervals, degrees.
        size: of each.
    """
    numbers, weights = overlaps(axis, low, size)
    places = axis.places(numbers)
    total = weights.sum(axis=1)
    weights = np.where(places >= 0, weights, 0.0)
    inside = np.divide(weights.sum(axis=1), total, out=np.zeros(len(low)), where=total > 0)
    single = (weights > 0).sum(axis=1) == 1
    weights[single] = (weights[single] > 0).astype(float)
    return places, weights, inside


def means_of_lattice(
    layout: VariableLayout,
    raw: np.ndarray,
    rows: np.ndarray,
    tall: np.ndarray,
    columns: np.ndarray,
    wide: np.ndarray,
    factor: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return means over a lattice of boxes: first along latitude, then along longitude, in order.

    Args:
        layout: how the values are packed.
        raw: stored values of a window of the file.
        rows: places in the window of what each row of boxes overlaps, (rows, terms).
        tall: their weights.
        columns: likewise, of the columns.
        wide: likewise.
        factor: of the values of each row of the window.

    Returns:
        float64 (rows, columns), NaN where no pixel has a value; and the share of each box's area in the file that has
        values.
    """
    above = np.zeros((len(rows), raw.shape[1]))
    below = np.zeros_like(above)
    for term in range(rows.shape[1]):
        values = layout.packing.unpack(raw[rows[:, term]])
        there = ~np.isnan(values)
        values[~there] = 0.0
        if factor is not None:
            values *= factor[rows[:, term], None]
        above += values * tall[:, term, None]
        below += there * tall[:, term, None]
    num, den = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
    for term in range(columns.shape[1]):
        num += above[:, columns[:, term]] * wide[:, term]
        den += below[:, columns[:, term]] * wide[:, term]
    area = tall.sum(axis=1)[:, None] * wide.sum(axis=1)
    filled = np.divide(den, area, out=np.zeros(den.shape), where=area > 0)
    return np.divide(num, den, out=np.full(num.shape, np.nan), where=den > 0), filled
