"""The mature-forest filter against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.ingest.mature_forest import choose, find_mature_forest
from phloem.io.products.catalogue import PRODUCTS, Choice
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import scan
from tests.support.drivers import product_samples as samples

LAT, LON = np.array([60.25, 60.25, 61.75]), np.array([24.25, 24.75, 25.25])


def forest(path, value, step=0.0125, budget=2_000_000_000):
    samples.write_agb(path, value, step)
    with OpenFiles() as files:
        series = scan(Choice("agb", PRODUCTS["cci_agb"], (str(path),)), files)["agb"]
        return find_mature_forest(series, files, LAT, LON, 0.5, budget)


def test_both_thresholds_are_strict_and_the_percentile_is_of_forest_alone():
    pixels = np.array([0.0, 0.0, *range(10, 110, 10)], float)  # ten forest pixels: the 90th percentile is 91
    mask, percentile = choose(pixels)
    assert percentile == pytest.approx(91.0)
    assert pixels[mask].tolist() == [100.0]
    assert not choose(np.full(100, 80.0))[0].any()  # none exceeds the percentile
    assert not choose(np.array([1.0] * 99 + [50.0]))[0].any()  # 50 does not exceed 50
    assert choose(np.array([1.0] * 99 + [50.1]))[0].sum() == 1
    assert np.isnan(choose(np.zeros(100))[1])
    assert np.isnan(choose(np.full(100, np.nan))[1])


def test_pixels_are_aggregated_chosen_and_averaged(tmp_path):
    def value(lat, lon):
        """100 Mg ha-1; in the first cell a block of 0.1 degrees holds 300 in half of its pixels and 100 in others."""
        field = np.full((lat.size, lon.size), 100.0)
        block = ((lat > 60.2) & (lat < 60.3)) & ((lon > 24.2) & (lon < 24.3))
        checker = (np.round(lat / 0.0125 + lon / 0.0125 - 1) % 2 == 0) & block
        return np.where(block, np.where(checker, 300.0, 100.0), field)

    found = forest(tmp_path / "agb.nc", value)
    assert found.boxes.owner.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(sorted(set(found.boxes.south)), [60.2, 60.25])
    assert found.biomass[0] == pytest.approx(200.0, rel=1e-3)
    assert np.isnan(found.biomass[1:]).all()
    assert found.percentile[1] == 100.0


def test_memory_and_resolution_change_nothing(tmp_path):
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 300, (40, 30)).astype(float)

    def value(lat, lon):
        row = np.floor((lat - 60.0) / 0.05 + 1e-6).astype(int)
        return coarse[row, np.floor((lon - 24.0) / 0.05 + 1e-6).astype(int)]

    fine = forest(tmp_path / "fine.nc", value)
    small = forest(tmp_path / "small.nc", value, budget=100_000)
    same = forest(tmp_path / "same.nc", value, step=0.05)
    for other in (small, same):
        np.testing.assert_array_equal(other.boxes.owner, fine.boxes.owner)
        np.testing.assert_array_equal(other.boxes.south, fine.boxes.south)
        np.testing.assert_allclose(other.biomass, fine.biomass, rtol=1e-12)
    np.testing.assert_array_equal(small.biomass, fine.biomass)
    assert len(fine.boxes) > 20


def test_a_map_that_is_too_coarse_or_too_little_memory_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cells of 0.1 degrees; the mature-forest filter needs"):
        forest(tmp_path / "agb.nc", lambda lat, lon: 0 * lat + 0 * lon + 3.0, step=0.1)
    with pytest.raises(InputError, match=r"agb.nc: storage chunks of .* do not fit; raise store.memory_gb"):
        forest(tmp_path / "agb.nc", lambda lat, lon: 0 * lat + 0 * lon + 3.0, budget=100)
