"""Identifiability screens against their definitions, cell by cell."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from phloem.analysis.parameters.screening import identifiability, screen
from phloem.errors import InputError
from phloem.names import PERIOD
from tests.support.kernels.dalec_names import FIRE_PARAMETERS, GRID, PARAMETERS, POOLS


@pytest.fixture
def values() -> np.ndarray:
    rng = np.random.default_rng(0)
    values = 10.0 * rng.lognormal(0.0, [0.05, 0.5, 1.5], (40, 6, 3))
    values[3, :, 0] = np.nan
    values[4, :4, 0] = np.nan
    values[5, :3, 0] = np.nan
    return values


def test_standard_deviation_over_mean(values: np.ndarray) -> None:
    found = screen(values, ["a", "b", "c"], "std")
    for cell in range(40):
        for column in range(3):
            there = [value for value in values[cell, :, column] if np.isfinite(value)]
            if len(there) < 3:
                assert np.isnan(found.spread[cell, column])
                continue
            expected = statistics.stdev(there) / abs(statistics.mean(there))
            assert found.spread[cell, column] == pytest.approx(expected)
    assert found.cells.tolist() == [38, 40, 40]
    assert found.median[1] == pytest.approx(statistics.median(found.spread[:, 1]))
    assert found.kept.tolist() == [True, True, False]
    assert found.share_kept.tolist() == [1, 1, 0]


def test_robust_variation_cell_by_cell(values: np.ndarray) -> None:
    found = screen(values, ["a", "b", "c"], "mad")
    row = values[7, :, 1]
    middle = statistics.median(row)
    assert found.spread[7, 1] == pytest.approx(1.4826 * statistics.median(abs(row - middle)) / middle)
    assert found.kept.shape == (40, 3)
    assert found.share_kept[1] == pytest.approx((found.spread[:, 1] <= 0.3).mean())
    assert found.share_kept[0] == 1, "of the cells that have three members"


def test_either_aggregation_of_either_kind(values: np.ndarray) -> None:
    assert screen(values, ["a", "b", "c"], "std", 0.3, "cell").kept.shape == (40, 3)
    limit = screen(values, ["a", "b", "c"], "mad").median[1]
    assert screen(values, ["a", "b", "c"], "mad", float(limit), "median").kept.tolist() == [True, True, False]
    assert screen(values, ["a", "b", "c"], "std", float(limit), "median").kept[1] == False  # noqa: E712


@pytest.mark.parametrize("cv", ["std", "mad"])
def test_days_of_the_year_have_no_seam(cv: str) -> None:
    rng = np.random.default_rng(1)
    days = rng.normal(0.0, 8.0, (30, 5, 1))
    turned = [
        screen(np.mod(days + shift, PERIOD), ["day"], cv, periods={"day": PERIOD}) for shift in (0.0, 100.0, 200.0)
    ]
    for other in turned[1:]:
        np.testing.assert_allclose(other.spread, turned[0].spread, atol=1e-9)
    linear = screen(days + 1000.0, ["day"], cv)
    radians = 1000.0 * 2 * np.pi / PERIOD
    np.testing.assert_allclose(turned[0].spread / radians, linear.spread, rtol=0.05)


def test_all_parameters_but_fire_and_all_pools() -> None:
    rng = np.random.default_rng(2)
    parameters = rng.lognormal(0.0, 0.1, (20, 5, 30))
    parameters[:, :, PARAMETERS.index("turnover_som")] = np.nan
    parameters[:, :, PARAMETERS.index("lcma")] = 70.0
    pools = rng.lognormal(0.0, 1.5, (20, 5, 8))
    found = identifiability(parameters, GRID, pools)
    names = [row["parameter"] for row in found["std"]["rows"]]
    assert names == [row["parameter"] for row in found["mad"]["rows"]]
    assert names == [name for name in PARAMETERS if name not in FIRE_PARAMETERS] + [f"initial_{name}" for name in POOLS]
    assert (found["std"]["limit"], found["mad"]["limit"]) == (0.6, 0.3)
    rows = {row["parameter"]: row for row in found["std"]["rows"]}
    nothing = {"parameter": "turnover_som", "median_cv": None, "cells": 0, "cells_at_bounds": 0, "kept": False}
    assert rows["turnover_som"] == nothing
    assert rows["lcma"]["median_cv"] == 0
    assert rows["uwue"]["kept"]
    assert not rows["initial_wood"]["kept"]
    mad = {row["parameter"]: row for row in found["mad"]["rows"]}
    assert mad["turnover_som"]["share_kept"] is None
    assert mad["lcma"]["share_kept"] == 1
    assert len(identifiability(parameters, GRID)["std"]["rows"]) == 26


def test_wrong_use(values: np.ndarray) -> None:
    with pytest.raises(InputError, match="std, mad"):
        screen(values, ["a", "b", "c"], "iqr")
    with pytest.raises(InputError, match="cell, median"):
        screen(values, ["a", "b", "c"], "std", aggregation="mean")
    with pytest.raises(InputError, match=r"\(cells, members, 2\)"):
        screen(values, ["a", "b"], "std")
