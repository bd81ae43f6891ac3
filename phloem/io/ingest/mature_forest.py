"""The mature forest of a cell: the fine pixels whose biomass stands out (docs/ingest.md#what-becomes-of-them)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from phloem.errors import InputError
from phloem.io.grids.file_grid import Boxes
from phloem.io.products.box_means import TILE, box_means
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries

PIXEL = 0.05
"""Degrees of a pixel among which the filter chooses."""

PERCENTILE, LEAST = 90.0, 50.0
"""A pixel is mature forest where its biomass exceeds both: this percentile of the cell's forest, and these Mg ha-1."""


@dataclass(frozen=True, eq=False)
class MatureForest:
    """Kept pixels of cells.

    Attributes:
        boxes: the kept pixels, by cell.
        biomass: area-weighted mean of above-ground biomass over them, Mg ha-1, float64 (cells,); NaN where none is.
        percentile: of the cell's forest, Mg ha-1, float64 (cells,).
        known: whether any pixel of the cell has a value, be it 0; bool (cells,).
    """

    boxes: Boxes
    biomass: np.ndarray
    percentile: np.ndarray
    known: np.ndarray


def choose(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """Choose the pixels of a cell that are mature forest.

    Args:
        pixels: above-ground biomass, Mg ha-1, NaN where unknown.

    Returns:
        Mask of the pixels, and the percentile over those with biomass above 0 (linear interpolation).
    """
    forest = pixels[pixels > 0]
    if not len(forest):
        return np.zeros(pixels.shape, bool), np.nan
    percentile = float(np.percentile(forest, PERCENTILE))
    return (pixels > percentile) & (pixels > LEAST), percentile


def find_mature_forest(
    series: ProductSeries,
    files: OpenFiles,
    latitude: np.ndarray,
    longitude: np.ndarray,
    step: float,
    budget: int,
    progress: Callable[[int], None] = lambda done: None,
) -> MatureForest:
    """Bring a biomass map to pixels of 0.05 degrees and choose among those of each cell.

    Args:
        series: the map, of any resolution up to 0.05 degrees.
        files: open files.
        latitude: centres of the cells, (cells,).
        longitude: likewise, -180 to 180.
        step: their size, a multiple of 0.05 degrees.
        budget: bytes that may be used.
        progress: told how many cells are done.

    Raises:
        InputError: a map that is coarser than the pixels, cells that are no multiple, or too little memory.
    """
    layout = series.layouts[0]
    size = layout.grid.latitude.step
    if size > PIXEL * 1.0001:
        raise InputError(
            f"{layout.path}: cells of {size:g} degrees; the mature-forest filter needs biomass at {PIXEL:g} or finer"
        )
    side = round(step / PIXEL)
    if abs(side * PIXEL - step) > 1e-9:
        raise InputError(f"store.step = {step:g}: the mature-forest filter needs a multiple of {PIXEL:g} degrees")
    south, west = latitude - 0.5 * step, longitude - 0.5 * step
    tiles = np.stack([np.floor((south + 90.0) / TILE + 1e-9), np.floor((west + 180.0) / TILE + 1e-9)], axis=1)
    kept_owner, kept_south, kept_west = [], [], []
    biomass, percentile = np.full(len(latitude), np.nan), np.full(len(latitude), np.nan)
    known = np.zeros(len(latitude), bool)
    offset = PIXEL * np.arange(side)
    done = 0
    for place in np.unique(tiles, axis=0):
        members = np.flatnonzero((tiles == place).all(axis=1))
        pixel_south = np.repeat(south[members, None] + offset, side, axis=1)
        pixel_west = np.tile(west[members, None] + offset, side)
        pixels = box_means(series, files, pixel_south.reshape(-1), pixel_west.reshape(-1), PIXEL, budget)
        pixels = pixels.reshape(pixel_south.shape)
        known[members] = ~np.isnan(pixels).all(axis=1)
        area = np.sin(np.deg2rad(pixel_south + PIXEL)) - np.sin(np.deg2rad(pixel_south))
        for number, cell in enumerate(members):
            mask, percentile[cell] = choose(pixels[number])
            if mask.any():
                weights = area[number, mask]
                biomass[cell] = np.add.reduce(weights * pixels[number, mask]) / np.add.reduce(weights)
                kept_owner.append(np.full(int(mask.sum()), cell))
                kept_south.append(pixel_south[number, mask])
                kept_west.append(pixel_west[number, mask])
        done += len(members)
        progress(done)
    if not kept_owner:
        none = np.empty(0)
        return MatureForest(Boxes(none.astype(np.int64), none, none, PIXEL), biomass, percentile, known)
    owner = np.concatenate(kept_owner)
    order = np.argsort(owner, kind="stable")
    boxes = Boxes(owner[order], np.concatenate(kept_south)[order], np.concatenate(kept_west)[order], PIXEL)
    return MatureForest(boxes, biomass, percentile, known)
