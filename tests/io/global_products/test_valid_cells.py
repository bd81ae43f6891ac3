"""Cells that are valid by land cover and predictors: of the real Earth at half a degree, and of made-up maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phloem.io.global_products.boxes import BoxGrid
from phloem.io.global_products.months_of_series import months_of_years
from phloem.io.global_products.patch_catalogue import MAPS, PLANT_TYPE_KINDS
from phloem.io.global_products.patch_products import PatchProducts, find_maps, find_plant_types
from phloem.io.global_products.valid_cells import (
    NO_PREDICTOR,
    NON_VEGETATED,
    TOO_FEW,
    Limits,
    ValidCells,
    find_valid_cells,
    load_valid_cells,
    save_valid_cells,
)
from phloem.io.products.catalogue import Choice
from phloem.io.products.raw_files import OpenFiles

VALID_HALF_DEGREES = 48_581
PATCHES, CELLS_IN_THEM, MOSTLY_VALID = 846, 48_180, 472
"""Of the real Earth by the rule of Fang et al., counted apart from this program (data/global/README.md)."""


def found_on_earth(path: Path, limits: Limits, budget: int = 10**9) -> ValidCells:
    grid = BoxGrid(0.5, 4.0, 5.0)
    with OpenFiles() as files:
        cover = find_plant_types(Choice("pft", PLANT_TYPE_KINDS["groups"], (str(path),)), files)
        maps = find_maps({"elevation": Choice("elevation", MAPS["elevation"], (str(path),))}, files)
        products = PatchProducts(grid, months_of_years(2001, 2001), {}, None, {}, (), (), maps, cover, (), np.zeros(12))
        told: list[float] = []
        numbers = grid.inside(-90, 90, -180, 180)
        cells = find_valid_cells(products, limits, numbers, files, budget, told.append)
    assert told == sorted(told)
    assert told[-1] == len(numbers)
    return cells


@pytest.fixture(scope="module")
def earth(data_dir: Path) -> ValidCells:
    return found_on_earth(data_dir / "global/global_static_pft_ndvi.nc", Limits())


def test_valid_cells_of_the_earth_are_those_counted_elsewhere(earth):
    assert len(earth.boxes) == PATCHES
    assert len(earth) == CELLS_IN_THEM
    counts = np.bincount(earth.patch)
    assert counts.min() == 8
    assert (counts >= 0.8 * 80).sum() == MOSTLY_VALID
    few = sum(int(detail.split()[0]) for *_, reason, detail in earth.dropped if reason == TOO_FEW)
    assert len(earth) + few == VALID_HALF_DEGREES


def test_shares_of_the_earth_are_per_cent_and_its_limits_hold(earth):
    assert earth.statics["water"].max() <= 50
    assert earth.statics["NVG"].max() <= 20
    assert 20 < earth.statics["GRA"].mean() < 30
    assert -430 < earth.statics["elevation"].min() < 0 < 4000 < earth.statics["elevation"].max()
    reasons = {reason for *_, reason, _ in earth.dropped}
    assert reasons <= {NON_VEGETATED, NO_PREDICTOR, TOO_FEW, "no land cover"}
    assert earth.cells_of([3]).tolist() == np.flatnonzero(earth.patch == 3).tolist()
    assert earth.name(0) == f"S{-earth.latitude[0]:05.2f}W{-earth.longitude[0]:06.2f}"


def test_little_memory_finds_the_same_cells(earth, data_dir):
    again = found_on_earth(data_dir / "global/global_static_pft_ndvi.nc", Limits(), budget=24_000_000)
    for name in ("boxes", "patch", "row", "column"):
        np.testing.assert_array_equal(getattr(again, name), getattr(earth, name))
    assert sorted(again.dropped) == sorted(earth.dropped)
    for name, values in earth.statics.items():
        assert again.statics[name].tobytes() == values.tobytes(), name


def test_what_is_written_is_read_again(earth, tmp_path):
    save_valid_cells(tmp_path / "domain.h5", earth)
    again = load_valid_cells(tmp_path / "domain.h5", earth.grid)
    assert again.dropped == earth.dropped
    assert again.water == earth.water
    assert list(again.statics) == list(earth.statics)
    np.testing.assert_array_equal(again.statics["NF"], earth.statics["NF"])
    np.testing.assert_array_equal(again.row, earth.row)
