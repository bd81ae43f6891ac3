"""Means of a map over many equal boxes, whatever the map's resolution, in bounded memory.

Boxes of one tile share rows and columns, so that sums go over the rows first and over the columns then: a 100 m map
costs some hundred operations a tile instead of thousands a box.
"""

from __future__ import annotations

import numpy as np

from phloem.errors import InputError
from phloem.io.grids.file_grid import Axis, overlaps
from phloem.io.products.layouts import VariableLayout
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries

TILE = 10.0
"""Degrees that are read at once: ESA CCI Biomass stores chunks of 11,250 x 11,250 pixels, which are 10 x 10 degrees."""

_SMALLER = (TILE, 5.0, 2.5, 1.0, 0.5)
_ROWS_AT_ONCE = 4_000_000
"""Pixels that are unpacked at once."""


def box_means(
    series: ProductSeries, files: OpenFiles, south: np.ndarray, west: np.ndarray, size: float, budget: int
) -> np.ndarray:
    """Return area-weighted means over boxes; pixels without a value do not count.

    Args:
        series: a map.
        files: open files.
        south: edges of the boxes in degrees, (boxes,).
        west: likewise, -180 to 180.
        size: of each box, degrees.
        budget: bytes that may be used.

    Returns:
        float64 (boxes,), NaN where no pixel has a value.

    Raises:
        InputError: storage chunks that do not fit into the budget.
    """
    return layout_means(series.layouts[0], files, south, west, size, max(_tile(series, budget), size))


def layout_means(
    layout: VariableLayout,
    files: OpenFiles,
    south: np.ndarray,
    west: np.ndarray,
    size: float,
    tile: float,
    least: float = 0.0,
) -> np.ndarray:
    """Return area-weighted means over boxes of a map in one file, read in square tiles.

    Args:
        layout: of the map.
        files: open files.
        south: edges of the boxes in degrees, (boxes,).
        west: likewise, -180 to 180.
        size: of each box, degrees.
        tile: degrees that are read at once, at least `size`.
        least: share of a box's area that must have values; what lies outside the file has none.

    Returns:
        float64 (boxes,), NaN where no pixel, or too little area, has a value.
    """
    places = np.stack([np.floor((south + 90.0) / tile + 1e-9), np.floor((west + 180.0) / tile + 1e-9)], axis=1)
    values = np.full(len(south), np.nan)
    kinds, member = np.unique(places, axis=0, return_inverse=True)
    for number in range(len(kinds)):
        boxes = np.flatnonzero(member.reshape(-1) == number)
        values[boxes] = _lattice(layout, files, south[boxes], west[boxes], size, least)
    return values


def _tile(series: ProductSeries, budget: int) -> float:
    """Degrees of a tile whose pixels fit into the budget beside one storage chunk."""
    layout = series.layouts[0]
    room = budget - layout.chunk_bytes
    if room < layout.chunk_bytes:
        raise InputError(
            f"{layout.path}: storage chunks of {layout.chunk_bytes / 1e6:.0f} MB do not fit; raise store.memory_gb by "
            f"{(2 * layout.chunk_bytes - budget) / 1e9:.1f}"
        )
    for tile in _SMALLER:
        if 2.0 * (tile / layout.grid.latitude.step) ** 2 * layout.itemsize <= room:
            return tile
    return _SMALLER[-1]


def _lattice(
    layout: VariableLayout, files: OpenFiles, south: np.ndarray, west: np.ndarray, size: float, least: float
) -> np.ndarray:
    souths, row = np.unique(np.round(south, 9), return_inverse=True)
    wests, column = np.unique(np.round(west, 9), return_inverse=True)
    rows, tall, inside_row = _placed(layout.grid.latitude, souths, size)
    columns, wide, inside_column = _placed(layout.grid.longitude, wests, size)
    values = np.full((len(souths), len(wests)), np.nan)
    if not (tall > 0).any() or not (wide > 0).any():
        return values[row, column]
    used_rows, used_columns = rows[tall > 0], columns[wide > 0]
    window = (
        slice(int(used_rows.min()), int(used_rows.max()) + 1),
        slice(int(used_columns.min()), int(used_columns.max()) + 1),
    )
    raw = layout.arrange(files.read(layout.path, layout.name, layout.piece(slice(0, 1), window)))[0]
    rows, columns = rows - window[0].start, columns - window[1].start
    rows[tall <= 0], columns[wide <= 0] = 0, 0
    group = max(1, _ROWS_AT_ONCE // (rows.shape[1] * raw.shape[1]))
    for first in range(0, len(souths), group):
        some = slice(first, min(first + group, len(souths)))
        values[some], filled = _sums(layout, raw, rows[some], tall[some], columns, wide)
        if least > 0:
            filled *= inside_row[some, None] * inside_column
            values[some] = np.where(filled >= least * (1.0 - 1e-9), values[some], np.nan)
    return values[row, column]


def _placed(axis: Axis, low: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places in the file and weights of what each interval overlaps, and the share of it that lies in the file.

    A single place has weight 1, so that its value stays.
    """
    numbers, weights = overlaps(axis, low, size)
    places = axis.places(numbers)
    total = weights.sum(axis=1)
    weights = np.where(places >= 0, weights, 0.0)
    inside = np.divide(weights.sum(axis=1), total, out=np.zeros(len(low)), where=total > 0)
    single = (weights > 0).sum(axis=1) == 1
    weights[single] = (weights[single] > 0).astype(float)
    return places, weights, inside


def _sums(
    layout: VariableLayout, raw: np.ndarray, rows: np.ndarray, tall: np.ndarray, columns: np.ndarray, wide: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means over a lattice (rows, columns) of boxes: first along latitude, then along longitude, in order.

    Beside them the share of each box's area in the file that has values.
    """
    above = np.zeros((len(rows), raw.shape[1]))
    below = np.zeros_like(above)
    for term in range(rows.shape[1]):
        values = layout.packing.unpack(raw[rows[:, term]])
        there = ~np.isnan(values)
        values[~there] = 0.0
        above += values * tall[:, term, None]
        below += there * tall[:, term, None]
    num, den = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
    for term in range(columns.shape[1]):
        num += above[:, columns[:, term]] * wide[:, term]
        den += below[:, columns[:, term]] * wide[:, term]
    area = tall.sum(axis=1)[:, None] * wide.sum(axis=1)
    filled = np.divide(den, area, out=np.zeros(den.shape), where=area > 0)
    return np.divide(num, den, out=np.full(num.shape, np.nan), where=den > 0), filled
