"""Pairs of values: masks, warnings of units, and the folder of many cells."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from phloem.analysis.benchmark.pairs import Pairs, common, compare, unit_warnings
from phloem.analysis.benchmark.result_files import write_benchmark
from phloem.errors import InputError


def made_pairs(reference: np.ndarray, simulated: np.ndarray, **more: Any) -> Pairs:
    count = len(reference)
    names = [f"c{n}" for n in range(count)]
    return Pairs(
        "s", "n", "q", "1", "l", "map", "f", "mean", names, np.linspace(50, 60, count), np.zeros(count),
        np.arange(count), reference, simulated, simulated[:, None] + np.array([-1.0, 0, 1]), **more,
    )  # fmt: skip


def test_a_common_mask_for_all_experiments() -> None:
    y = np.array([1.0, 2, np.nan, 4])
    one, two = made_pairs(y, np.array([1.0, np.nan, 3, 4])), made_pairs(y, np.array([2.0, 2, 3, 4]))
    kept = common([one, two])
    assert [pairs.cell.tolist() for pairs in kept] == [[0, 3], [0, 3]]
    found = compare(kept[0])
    assert found["pairs"] == 2
    assert found["within_members"] == 1
    alone = replace(kept[0], members=kept[0].members[:, :1])
    assert compare(alone)["within_members"] is None, "one member has no range"
    with pytest.raises(InputError, match=r"n \(q\): .* has 4 pairs, .* 2 pairs: .* the same validation years"):
        common([one, two.only(np.array([0, 1]))])
    early, late = (replace(one, year=np.full(4, year)) for year in (2008, 2012))
    with pytest.raises(InputError, match=r"4 pairs of 2008 to 2008, .* 4 pairs of 2012 to 2012"):
        common([early, late])


@pytest.mark.parametrize("factor", [12.0, 24.0, 365.25, 1000.0, 86400.0])
def test_a_mistaken_unit_is_named_either_way(factor: float) -> None:
    values = np.random.default_rng(0).lognormal(size=200)
    noise = values * np.random.default_rng(1).uniform(0.9, 1.1, 200)
    assert f"about {factor:g} times larger" in unit_warnings(values, factor * noise, "yr-1")[0]
    assert f"about {factor:g} times smaller" in unit_warnings(values, noise / factor, "yr-1")[0]
    for fair in (1.0, 2.0, 5.0, 0.3):
        assert unit_warnings(values, fair * noise, "yr-1") == []


@pytest.mark.parametrize(("longitudes", "drawn"), [([np.nan, np.nan, np.nan], False), ([10.0, np.nan, 12.0], True)])
def test_cells_without_a_longitude_are_on_no_map(longitudes: list[float], drawn: bool, tmp_path: Path) -> None:
    y = np.array([1.0, 2, 3])
    pairs = replace(made_pairs(y, y + 1), longitude=np.array(longitudes))
    found = write_benchmark(tmp_path / "b", [pairs], {})
    assert found["comparisons"][0]["pairs"] == 3
    assert (tmp_path / "b/map_s.png").is_file() == drawn


def test_sixty_thousand_cells_are_compared_in_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.lognormal(size=60_000)
    begun = time.monotonic()
    found = write_benchmark(tmp_path / "out", [made_pairs(y, y * 1.2, area=np.ones(60_000))], {})
    assert time.monotonic() - begun < 60
    (one,) = found["comparisons"]
    assert one["points"]["rows"] == 20_000
    assert one["scores"]["pbias"] == pytest.approx(20)
    with xr.open_dataset(tmp_path / "out/differences.nc") as file:
        np.testing.assert_allclose(file["s_difference"], 0.2 * y, rtol=1e-4)
