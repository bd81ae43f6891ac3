"""Conformal intervals hold what they say at towers never seen, and say what they rest on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.flux_skill.conformal import Conformal, ConformalMethod, calibrate, leave_tower_out_coverage
from phloem.errors import InputError


def towers_of_one_population(
    rng: np.random.Generator, towers: int, months: tuple[int, int] = (3, 60)
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Towers with an error of their own, errors that grow with the flux, and records of unlike length."""
    tower = np.repeat(np.arange(towers), rng.integers(*months, towers))
    predicted = rng.gamma(2, 2, len(tower))
    spread = 0.1 * predicted * rng.uniform(0.5, 1.5, len(tower))
    own = rng.normal(0, 1, towers)[tower] * rng.uniform(0.5, 2, towers)[tower]
    observed = predicted + (0.3 + 0.3 * predicted) * (own + 0.5 * rng.normal(size=len(tower)))
    return observed, predicted, spread, tower


@pytest.mark.parametrize("method", ["scaled", "constant"])
def test_month_of_a_new_tower_of_the_same_population_is_held_at_the_stated_rate(method: str) -> None:
    """Over 400 draws of 30 towers and a new one; the binomial error of the mean share is below 0.013."""
    rng = np.random.default_rng(11)
    held = []
    for _ in range(400):
        observed, predicted, spread, tower = towers_of_one_population(rng, 31)
        new = tower == 30
        found = calibrate(observed[~new], predicted[~new], spread[~new], tower[~new], 0.9, method)
        low, high = found.interval(predicted[new], spread[new])
        held.append(((low <= observed[new]) & (observed[new] <= high)).mean())
    error = np.std(held) / np.sqrt(len(held))
    assert error < 0.013
    assert 0.9 - 3 * error <= np.mean(held) <= 0.9 + 1 / 31 + 3 * error


def test_measured_coverage_of_towers_of_one_population_is_near_the_level_where_members_hold_far_less() -> None:
    rng = np.random.default_rng(5)
    found = [leave_tower_out_coverage(*towers_of_one_population(rng, 100)) for _ in range(6)]
    assert np.mean([one.tower_share for one in found]) == pytest.approx(0.9, abs=0.01)
    assert max(one.ensemble_share for one in found) < 0.6
    assert all(set(one.by_tower) == set(range(100)) for one in found)
    assert all(one.held.mean() == one.share for one in found)


def test_months_that_count_alike_hold_too_little_where_long_records_are_the_good_ones() -> None:
    """What the tower weights are for: 10 towers with 400 good months each hide 90 bad ones with 5."""
    rng = np.random.default_rng(3)
    months = np.r_[np.full(10, 400), np.full(90, 5)]
    tower = np.repeat(np.arange(100), months)
    predicted = np.full(len(tower), 5.0)
    observed = predicted + np.where(tower < 10, 0.1, 3.0) * rng.normal(size=len(tower))
    pooled = leave_tower_out_coverage(observed, predicted, 0 * predicted, tower, method="pooled")
    weighed = leave_tower_out_coverage(observed, predicted, 0 * predicted, tower, method="constant")
    assert pooled.tower_share < 0.6
    assert weighed.tower_share == pytest.approx(0.9, abs=0.03)


def test_interval_of_a_tower_does_not_change_with_its_own_observations() -> None:
    """A plant in the tower left out moves that tower's share to nothing and no other tower's calibration by itself."""
    observed, predicted, spread, tower = towers_of_one_population(np.random.default_rng(1), 20)
    planted = np.where(tower == 7, predicted + 1e6, observed)
    before = leave_tower_out_coverage(observed, predicted, spread, tower)
    after = leave_tower_out_coverage(planted, predicted, spread, tower)
    assert before.by_tower[7] > 0
    assert after.by_tower[7] == 0
    others = calibrate(*(values[tower != 7] for values in (observed, predicted, spread, tower)))
    low, high = others.interval(predicted[tower == 7], spread[tower == 7])
    inside = (low <= observed[tower == 7]) & (observed[tower == 7] <= high)
    assert before.by_tower[7] == inside.mean()


def test_scaled_interval_is_narrower_on_average_than_a_constant_one_where_errors_grow_with_the_flux() -> None:
    ratios = []
    for seed in range(5):
        rows = towers_of_one_population(np.random.default_rng(seed), 120, (3, 12))
        scaled, constant = (leave_tower_out_coverage(*rows, method=method) for method in ("scaled", "constant"))
        ratios.append(scaled.mean_width / constant.mean_width)
    assert np.mean(ratios) < 0.92


def test_quantile_by_hand_is_that_of_tower_weights() -> None:
    """Nine towers of one month and 90 %: weights 1/10, the largest residual has cumulated weight 0.9."""
    residuals = np.arange(1.0, 10)
    found = calibrate(residuals, np.zeros(9), np.zeros(9), np.arange(9), 0.9, "constant")
    assert found.quantile == 9
    assert calibrate(residuals, np.zeros(9), np.zeros(9), np.arange(9), 0.5, "constant").quantile == 5
    low, high = found.interval(np.array([20.0, np.nan]), np.array([np.nan, np.nan]))
    assert (low[0], high[0]) == (11, 29)
    assert np.isnan([low[1], high[1]]).all()


@given(factor=st.floats(1e-3, 1e3), seed=st.integers(0, 50))
def test_interval_scales_with_the_unit(factor: float, seed: int) -> None:
    observed, predicted, spread, tower = towers_of_one_population(np.random.default_rng(seed), 12, (3, 6))
    one = calibrate(observed, predicted, spread, tower).interval(predicted, spread)
    scaled = [factor * values for values in (observed, predicted, spread)]
    other = calibrate(*scaled, tower).interval(*scaled[1:])
    np.testing.assert_allclose(other, factor * np.array(one), rtol=1e-6, atol=1e-9 * factor)


@given(level=st.floats(0.05, 0.9), more=st.floats(0.0, 0.05), seed=st.integers(0, 50))
def test_interval_widens_with_its_level(level: float, more: float, seed: int) -> None:
    rows = towers_of_one_population(np.random.default_rng(seed), 40, (1, 5))
    assert calibrate(*rows, level).quantile <= calibrate(*rows, level + more).quantile


@pytest.mark.parametrize("method", list(ConformalMethod))
def test_numbers_of_an_interval_survive_a_file(method: ConformalMethod) -> None:
    rows = towers_of_one_population(np.random.default_rng(2), 15)
    found = calibrate(*rows, method=method)
    again = Conformal.from_arrays(found.to_arrays())
    np.testing.assert_array_equal(again.interval(*rows[1:3]), found.interval(*rows[1:3]))
    assert again == found


def test_missing_months_are_left_out() -> None:
    observed, predicted, spread, tower = towers_of_one_population(np.random.default_rng(4), 30)
    holes = np.where(np.arange(len(tower)) % 3 == 0, np.nan, observed)
    some = np.isfinite(holes)
    with_holes = calibrate(holes, predicted, spread, tower)
    without = calibrate(*(values[some] for values in (observed, predicted, spread, tower)))
    assert with_holes.quantile == without.quantile
    assert with_holes.rows == some.sum()


def test_towers_predicted_exactly_give_a_finite_interval() -> None:
    predicted = np.arange(20.0)
    found = calibrate(predicted, predicted, np.zeros(20), np.arange(20))
    np.testing.assert_array_equal(found.interval(predicted, np.zeros(20)), [predicted, predicted])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": 1.0}, "not between 0 and 1"),
        ({"method": "bootstrap"}, "scaled, constant, pooled"),
        ({"level": 0.95}, "19 or more"),
        ({"level": 0.4, "tower": np.zeros(12, int)}, "1 towers cannot hold 0.4 at a new one; 2 or more"),
        ({"spread": np.full(12, -1.0)}, "negative"),
        ({"tower": np.arange(11)}, "must be"),
    ],
)
def test_input_that_cannot_be_calibrated_is_refused(change: dict, message: str) -> None:
    rows = {"observed": np.arange(12.0), "predicted": np.zeros(12), "spread": np.ones(12), "tower": np.arange(12)}
    with pytest.raises(InputError, match=message):
        calibrate(**rows | change)
