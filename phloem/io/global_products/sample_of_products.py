"""Sample of a store's products before an ingest: values that betray another unit than is stated, or are not there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phloem.errors import InputError
from phloem.io.global_products.months_of_series import MonthlySeries, areas_of_pixels
from phloem.io.global_products.patch_products import PatchProducts
from phloem.io.global_products.refusals import Refusals
from phloem.io.global_products.valid_cells import ValidCells
from phloem.io.grids.file_grid import FileGrid, Gather, gather, grid_boxes
from phloem.io.ingest.plausibility import check_sample, over_the_seasons
from phloem.io.products.raw_files import OpenFiles

_PATCHES = 12
"""Patches that are looked at, each by itself: no more of a fine product is read at once than covers one."""
_LEAST_STEPS = 7
"""Steps with a value that are due to judge by the greatest: a winter is no year."""
_SEARCHED = 2
"""Steps in which all patches are searched for a value, where those that are looked at have none."""

FLOORS = {"vpd": 1.5, "rsds": 2.0, "pr": 0.1, "lai": 0.1, "et": 0.05, "gpp": 0.1, "biomass": 20.0}
"""What the mean over valid cells reaches in the month in which it is greatest, wherever there is vegetation: a deficit
of less is one in kPa, radiation of less one in kJ or in sums of another time."""


CEILINGS = {
    "pr": 25.0, "rsds": 35.0, "vpd": 50.0, "burned_area": 0.3, "lai": 8.0, "et": 10.0, "gpp": 20.0, "sif": 6.0,
    "fire": 10.0, "nbe": 10.0, "biomass": 4e4, "vod": 4.0,
}  # fmt: skip
"""What the mean over valid cells and all steps cannot exceed: rain of more is a month's sum that is called a day's."""


def check_products(products: PatchProducts, valid: ValidCells, files: OpenFiles) -> None:
    """Look at up to twelve steps of each product in some patches, spread over the seasons and the Earth.

    Args:
        products: what will be read.
        valid: the cells.
        files: open files.

    Raises:
        InputError: all that is seen: a product without any value in these cells, impossible values, or none as great
            as some must be.
    """
    refusals = Refusals()
    for one in products.varying:
        with refusals.gather():
            there = _covered_patches(valid, one.series.grid)
            if not len(there):
                raise InputError(f"{_where(one)} covers no valid cell: it reaches over {one.series.grid.extent}")
            some = there[np.unique(np.linspace(0, len(there) - 1, min(len(there), _PATCHES)).astype(np.int64))]
            cells = [valid.cells_of([patch]) for patch in some]
            names = [valid.name(int(cell)) for each in cells for cell in each]
            gathers = [_pixels(valid, one, each) for each in cells]
            chosen = over_the_seasons(one.series.date[one.steps])
            values, areas = np.full((len(chosen), len(names)), np.nan), False
            for row, place in zip(values, chosen, strict=True):
                row[:] = _read(one, int(place), gathers, files)
                step = int(one.steps[place])
                if areas_of_pixels(one.series.layouts[int(one.series.file[step])]) is None:
                    check_sample(one.series, step, row[None], names)
                else:
                    areas = True
            if np.isfinite(values).any():
                if not areas:
                    _check_size(one, values)
            elif not _has_any(valid, one, there, chosen, files):
                raise InputError(f"{_where(one)}: no value in any of {len(valid)} valid cells, in {_SEARCHED} steps")
    refusals.refuse("products")


def _where(one: MonthlySeries) -> str:
    layout = one.series.layouts[int(one.series.file[one.steps[0]])]
    return f"{layout.path}: variable {layout.name} of [products.{one.name}]"


def _covered_patches(valid: ValidCells, grid: FileGrid) -> np.ndarray:
    """Places of the patches of which any cell's centre lies in a pixel of a product."""
    places = [
        axis.places(np.floor((centre - axis.origin) / axis.step).astype(np.int64))
        for axis, centre in ((grid.latitude, valid.latitude), (grid.longitude, valid.longitude))
    ]
    return np.unique(valid.patch[(places[0] >= 0) & (places[1] >= 0)])


def _pixels(valid: ValidCells, one: MonthlySeries, cells: np.ndarray) -> Gather:
    boxes = grid_boxes(valid.latitude[cells], valid.longitude[cells], valid.grid.step)
    return gather(one.series.grid, boxes, len(cells))


def _read(one: MonthlySeries, place: int, gathers: Sequence[Gather], files: OpenFiles) -> np.ndarray:
    step = int(one.steps[place])
    parts = [one.series.read(files, pixels, step, step + 1)[0] for pixels in gathers]
    return np.concatenate(parts) * one.factor[place]


def _has_any(valid: ValidCells, one: MonthlySeries, patches: np.ndarray, chosen: np.ndarray, files: OpenFiles) -> bool:
    """Whether any valid cell at all has a value in one of some steps."""
    middle = len(chosen) // 2
    for place in chosen[middle : middle + _SEARCHED]:
        for patch in patches:
            gathers = [_pixels(valid, one, valid.cells_of([patch]))]
            if np.isfinite(_read(one, int(place), gathers, files)).any():
                return True
    return False


def _check_size(one: MonthlySeries, values: np.ndarray) -> None:
    """Refuse what is nowhere as great as it must be somewhere, or too great; zeros alone are no sign of a unit."""
    there = np.isfinite(values)
    counts = there.sum(axis=1)
    means = np.where(there, values, 0.0).sum(axis=1)[counts > 0] / counts[counts > 0]
    floor, ceiling = FLOORS.get(one.key, 0.0), CEILINGS.get(one.key, np.inf)
    layout = one.series.layouts[int(one.series.file[one.steps[0]])]
    if abs(mean := float(means.mean())) > ceiling:
        raise InputError(
            f"{_where(one)}: {mean:.2g} {one.series.quantity.unit} in the mean of the valid cells and {len(means)} "
            f"steps, more than {ceiling:g}; the file says {layout.unit!r}"
        )
    if len(means) >= _LEAST_STEPS and 0.0 < means.max() < floor:
        raise InputError(
            f"{_where(one)}: at most {means.max():.2g} {one.series.quantity.unit} in the mean of the valid cells, in "
            f"{len(means)} steps of all seasons, less than {floor:g}; the file says {layout.unit!r}"
        )
