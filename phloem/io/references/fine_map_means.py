"""Means of maps of many pixels a cell, in one file or in tiles, over a coarse grid; read in squares of ten degrees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phloem.io.products.box_means import TILE
from phloem.io.products.lattice_means import place_intervals
from phloem.io.products.layouts import VariableLayout
from phloem.io.products.raw_files import OpenFiles


def coarse_means(
    layouts: Sequence[VariableLayout],
    files: OpenFiles,
    latitude: np.ndarray,
    longitude: np.ndarray,
    step: float,
    *,
    zeros_count: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return area-weighted means over the cells of a grid.

    Args:
        layouts: of the map, in files that do not overlap.
        files: open.
        latitude: of the rows' centres, degrees north, (rows,).
        longitude: of the columns' centres, degrees east, -180 to 180, (columns,).
        step: size of a cell in degrees.
        zeros_count: whether pixels of 0, and those without a value, count as 0; else both count nowhere.

    Returns:
        Means, NaN where nothing counts; and the share of each cell that the files cover; (rows, columns) both.
    """
    total, counted, covered = (np.zeros((len(latitude), len(longitude))) for _ in range(3))
    south, west = latitude - 0.5 * step, longitude - 0.5 * step
    side = max(TILE, step)
    row_tile = np.floor((south + 90.0) / side + 1e-9)
    column_tile = np.floor((west + 180.0) / side + 1e-9)
    for layout in layouts:
        for high in np.unique(row_tile):
            for wide in np.unique(column_tile):
                rows, columns = np.flatnonzero(row_tile == high), np.flatnonzero(column_tile == wide)
                found = _tile(layout, files, south[rows], west[columns], step, zeros_count=zeros_count)
                if found is None:
                    continue
                means, filled, inside = found
                at = np.ix_(rows, columns)
                share = filled * inside
                total[at] += means * share
                counted[at] += inside if zeros_count else share
                covered[at] += inside
    covered = np.minimum(covered, 1.0)
    return np.divide(total, counted, out=np.full(total.shape, np.nan), where=counted > 0), covered


def _tile(
    layout: VariableLayout, files: OpenFiles, south: np.ndarray, west: np.ndarray, size: float, *, zeros_count: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return means, the share with values of what the file covers of each box, and the share that it covers."""
    rows, tall, inside_row = place_intervals(layout.grid.latitude, south, size)
    columns, wide, inside_column = place_intervals(layout.grid.longitude, west, size)
    if not (tall > 0).any() or not (wide > 0).any():
        return None
    window = tuple(
        slice(int(places[weights > 0].min()), int(places[weights > 0].max()) + 1)
        for places, weights in ((rows, tall), (columns, wide))
    )
    raw = layout.arrange(files.read(layout.path, layout.name, layout.piece(slice(0, 1), (window[0], window[1]))))[0]
    rows, columns = rows - window[0].start, columns - window[1].start
    rows[tall <= 0], columns[wide <= 0] = 0, 0
    if zeros_count and layout.packing.stored.offset == 0 and not raw.any():  # most of the Earth is water
        means, filled = np.zeros((2, len(south), len(west)))
    else:
        means, filled = _means_by_rows(layout, raw, (rows, tall), (columns, wide), zeros_count=zeros_count)
    return means, filled, inside_row[:, None] * inside_column


def _means_by_rows(
    layout: VariableLayout,
    raw: np.ndarray,
    along: tuple[np.ndarray, np.ndarray],
    across: tuple[np.ndarray, np.ndarray],
    *,
    zeros_count: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return means, and the shares of the boxes that have values, one row of boxes after the other.

    A box has some hundred rows of pixels that stand together: taken as they lie they are unpacked several times as
    fast as one row of every box at once, as `lattice_means` does for products with few pixels a box.
    """
    (rows, tall), (columns, wide) = along, across
    above, below = np.zeros((2, len(rows), raw.shape[1]))
    for n, (places, weights) in enumerate(zip(rows, tall, strict=True)):
        places, weights = places[weights > 0], weights[weights > 0]
        if len(places):
            first = int(places.min())
            values = layout.packing.unpack(raw[first : int(places.max()) + 1])
            there = ~np.isnan(values)
            if not zeros_count:
                there &= values != 0
            values[~there] = 0.0
            by_place = np.zeros(len(values))
            by_place[places - first] = weights
            above[n], below[n] = by_place @ values, by_place @ there
    num, den = np.zeros((2, len(rows), len(columns)))
    for term in range(columns.shape[1]):
        num += above[:, columns[:, term]] * wide[:, term]
        den += below[:, columns[:, term]] * wide[:, term]
    area = tall.sum(axis=1)[:, None] * wide.sum(axis=1)
    filled = np.divide(den, area, out=np.zeros(den.shape), where=area > 0)
    return np.divide(num, den, out=np.zeros(num.shape), where=den > 0), filled
