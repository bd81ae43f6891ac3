"""Statistics of a lane: weighted, of its own rows alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.kernels.flux_network.lane_statistics import flat_statistics, lane_statistics, stack, statistics_of_flat
from tests.support.kernels.flux_tables import NAMES, made_table


@given(st.integers(0, 1000))
def test_statistics_of_weighted_rows_equal_those_of_repeated_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made, times = made_table(80, seed), rng.integers(0, 4, 80)
    found = lane_statistics(made["x"], made["observed"], times.astype(np.float32))
    x, y = np.repeat(made["x"].astype(float), times, 0), np.repeat(made["observed"].astype(float), times, 0)
    np.testing.assert_allclose(found.mean, np.nanmean(x, 0), rtol=1e-5)
    np.testing.assert_allclose(found.spread, np.nanstd(x, 0), rtol=1e-5)
    np.testing.assert_allclose(found.flux_mean, np.nanmean(y, 0), rtol=1e-5)
    np.testing.assert_allclose(found.flux_spread, np.nanstd(y, 0), rtol=1e-5)


@pytest.mark.parametrize("absurd", [np.nan, np.inf, 3e38])
def test_rows_of_weight_0_do_not_act(absurd: float) -> None:
    made, weight = made_table(80), np.where(np.arange(80) % 3, 1, 0).astype(np.float32)
    expected = lane_statistics(made["x"], made["observed"], weight)
    for part in ("x", "observed"):
        made[part][weight == 0] = absurd
    for one, other in zip(expected, lane_statistics(made["x"], made["observed"], weight), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_predictor_that_is_missing_or_does_not_vary_has_spread_1() -> None:
    made = made_table(80)
    made["x"][:, 2], made["x"][:, 3] = np.nan, 1013.3
    found = lane_statistics(made["x"], made["observed"], np.ones(80, np.float32))
    assert (found.mean[2], found.spread[2]) == (0, 1)
    assert found.mean[3] == pytest.approx(1013.3)
    assert found.spread[3] == 1


def test_a_flux_without_rows_is_refused_by_name() -> None:
    made = made_table(80)
    made["observed"][:, 3] = np.nan
    with pytest.raises(InputError, match="no row of positive weight has le"):
        lane_statistics(made["x"], made["observed"], np.ones(80, np.float32))


def test_flat_statistics_of_lanes_come_back() -> None:
    made = made_table(80)
    both = stack([lane_statistics(made["x"], made["observed"], np.full(80, w, np.float32)) for w in (1, 2)])
    numbers = flat_statistics(both)
    assert numbers.shape == (2, 2 * len(NAMES) + 8)
    for one, other in zip(both, statistics_of_flat(numbers, len(NAMES)), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="predictors have"):
        statistics_of_flat(numbers, len(NAMES) + 1)
