"""Sample of a store's products before an ingest: values that betray another unit than is stated, or are not there."""

from __future__ import annotations

import numpy as np

from phloem.errors import InputError
from phloem.io.grids.file_grid import gather, grid_boxes
from phloem.io.ingest.plausibility import check_sample, over_the_seasons
from phloem.io.patches.months_of_series import MonthlySeries, areas_of_pixels
from phloem.io.patches.patch_products import PatchProducts, Refusals
from phloem.io.patches.valid_cells import ValidCells
from phloem.io.products.raw_files import OpenFiles

_SAMPLE = 2000
_LEAST_STEPS = 7
"""Steps with a value that are due to judge by the greatest: a winter is no year."""

FLOORS = {"vpd": 1.5, "rsds": 2.0, "pr": 0.1, "lai": 0.1, "et": 0.05, "gpp": 0.1, "biomass": 20.0}
"""What the mean over valid cells reaches in the month in which it is greatest, wherever there is vegetation: a deficit
of less is one in kPa, radiation of less one in kJ or in sums of another time."""


def check_products(products: PatchProducts, valid: ValidCells, files: OpenFiles) -> None:
    """Look at up to twelve steps of each product in some cells, spread over the seasons.

    Args:
        products: what will be read.
        valid: the cells.
        files: open files.

    Raises:
        InputError: all that is seen: a product without any value in these cells, impossible values, or none as great
            as some must be.
    """
    some = np.unique(np.linspace(0, len(valid) - 1, min(len(valid), _SAMPLE)).astype(np.int64))
    names = [valid.name(int(cell)) for cell in some]
    boxes = grid_boxes(valid.latitude[some], valid.longitude[some], valid.grid.step)
    refusals = Refusals()
    for one in products.varying:
        with refusals.gather():
            pixels = gather(one.series.grid, boxes, len(some))
            if not (pixels.weights > 0).any():
                layout = one.series.layouts[0]
                raise InputError(
                    f"{layout.path}: variable {layout.name} of [products.{one.name}] covers no valid cell: it reaches "
                    f"over {one.series.grid.extent}"
                )
            chosen = over_the_seasons(one.series.date[one.steps])
            values = np.full((len(chosen), len(some)), np.nan)
            for row, place in zip(values, chosen, strict=True):
                step = int(one.steps[place])
                row[:] = one.series.read(files, pixels, step, step + 1)[0] * one.factor[place]
                if areas_of_pixels(one.series.layouts[int(one.series.file[step])]) is None:
                    check_sample(one.series, step, row[None], names)
            _check_size(one, values)
    refusals.refuse("products")


def _check_size(one: MonthlySeries, values: np.ndarray) -> None:
    layout = one.series.layouts[int(one.series.file[one.steps[0]])]
    there = np.isfinite(values)
    if not there.any():
        raise InputError(
            f"{layout.path}: variable {layout.name} of [products.{one.name}]: no value in {len(values)} steps of "
            f"{values.shape[1]} valid cells"
        )
    counts = there.sum(axis=1)
    means = np.where(there, values, 0.0).sum(axis=1)[counts > 0] / counts[counts > 0]
    floor = FLOORS.get(one.key, 0.0)
    if len(means) >= _LEAST_STEPS and 0.0 < means.max() < floor:
        raise InputError(
            f"{layout.path}: variable {layout.name} of [products.{one.name}]: at most {means.max():.2g} "
            f"{one.series.quantity.unit} in the mean of the valid cells, in {len(means)} steps of all seasons, less "
            f"than {floor:g}; the file says {layout.unit!r}"
        )
