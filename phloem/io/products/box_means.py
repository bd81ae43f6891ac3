"""Means of a map over many equal boxes, whatever the map's resolution, in bounded memory.

Boxes of one tile share rows and columns, so that sums go over the rows first and over the columns then: a 100 m map
costs some hundred operations a tile instead of thousands a box.
"""

from __future__ import annotations

import numpy as np

from phloem.errors import InputError
from phloem.io.grids.file_grid import ROUND
from phloem.io.products.lattice_means import PIXELS_AT_ONCE, means_of_lattice, place_intervals
from phloem.io.products.layouts import VariableLayout
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries

TILE = 10.0
"""Degrees that are read at once: ESA CCI Biomass stores chunks of 11,250 x 11,250 pixels, which are 10 x 10 degrees."""

_A_BOX = 64.0
"""Bytes a box of a lattice while its means are made."""

_SMALLER = (TILE, 5.0, 2.5, 1.0, 0.5)


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
    return layout_means(series.layouts[0], files, south, west, size, max(_tile(series, budget, size), size))


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


def _tile(series: ProductSeries, budget: int, size: float) -> float:
    """Degrees of a tile whose pixels fit into the budget beside one storage chunk: the Earth, where all of them do."""
    layout = series.layouts[0]
    room = budget - layout.chunk_bytes
    if room < layout.chunk_bytes:
        raise InputError(
            f"{layout.path}: storage chunks of {layout.chunk_bytes / 1e6:.0f} MB do not fit; raise store.memory_gb by "
            f"{(2 * layout.chunk_bytes - budget) / 1e9:.1f}"
        )
    pixels = layout.grid.latitude.length * layout.grid.longitude.length
    if 2.0 * pixels * layout.itemsize + _A_BOX * ROUND**2 / (2.0 * size**2) <= room:
        return ROUND  # a map that is compressed as a whole is unpacked for each tile
    for tile in _SMALLER:
        if 2.0 * (tile / layout.grid.latitude.step) ** 2 * layout.itemsize <= room:
            return tile
    return _SMALLER[-1]


def _lattice(
    layout: VariableLayout, files: OpenFiles, south: np.ndarray, west: np.ndarray, size: float, least: float
) -> np.ndarray:
    souths, row = np.unique(np.round(south, 9), return_inverse=True)
    wests, column = np.unique(np.round(west, 9), return_inverse=True)
    rows, tall, inside_row = place_intervals(layout.grid.latitude, souths, size)
    columns, wide, inside_column = place_intervals(layout.grid.longitude, wests, size)
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
    group = max(1, PIXELS_AT_ONCE // (rows.shape[1] * raw.shape[1]))
    for first in range(0, len(souths), group):
        some = slice(first, min(first + group, len(souths)))
        values[some], filled = means_of_lattice(layout, raw, rows[some], tall[some], columns, wide)
        if least > 0:
            filled *= inside_row[some, None] * inside_column
            values[some] = np.where(filled >= least * (1.0 - 1e-9), values[some], np.nan)
    return values[row, column]
