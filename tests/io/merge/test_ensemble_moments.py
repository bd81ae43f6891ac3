"""Means and spreads over members, of numbers and of days of the year."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from phloem.io.merge.ensemble_moments import ensemble_moments
from phloem.names import PERIOD

DAYS = st.lists(st.floats(PERIOD, 4 * PERIOD), min_size=2, max_size=12)


def test_days_around_new_year_have_their_mean_there() -> None:
    days = np.array([[PERIOD + 360.0], [2 * PERIOD + 5.0]])
    mean, deviation = ensemble_moments(days, PERIOD)
    assert mean[0] == pytest.approx((360.0 + 5.0 + PERIOD) / 2, abs=1e-9)
    assert deviation[0] == pytest.approx((5.0 + PERIOD - 360.0) / 2, rel=1e-3)


@given(DAYS)
def test_circular_moments_are_those_of_scipy(days: list[float]) -> None:
    values = np.array(days)
    mean, deviation = ensemble_moments(values[:, None], PERIOD)
    if np.isnan(mean[0]):
        assert np.abs(np.exp(2j * np.pi * values / PERIOD).mean()) < 1e-8
        return
    expected = stats.circmean(values, high=PERIOD), stats.circstd(values, high=PERIOD)
    assert 0 <= mean[0] < PERIOD
    away = abs(mean[0] - expected[0])
    length = np.abs(np.exp(2j * np.pi * values / PERIOD).mean())
    assert min(away, PERIOD - away) < 1e-9 / length
    assert deviation[0] == pytest.approx(expected[1], abs=1e-4, rel=1e-6)


@given(DAYS, st.floats(-1000, 1000))
def test_circular_spread_does_not_depend_on_where_the_year_begins(days: list[float], turn: float) -> None:
    values = np.array(days)[:, None]
    (_, here), (_, there) = ensemble_moments(values, PERIOD), ensemble_moments(values + turn, PERIOD)
    if np.abs(np.exp(2j * np.pi * values / PERIOD).mean()) > 1e-3:
        assert here[0] == pytest.approx(there[0], abs=1e-4)


def test_days_that_cancel_have_no_mean() -> None:
    mean, deviation = ensemble_moments(np.array([[10.0], [10.0 + PERIOD / 2]]), PERIOD)
    assert np.isnan(mean).all()
    assert np.isnan(deviation).all()


def test_linear_moments_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).normal(size=(7, 3, 5)).astype(np.float32)
    mean, deviation = ensemble_moments(values)
    np.testing.assert_allclose(mean, values.astype(float).mean(0), atol=1e-14)
    np.testing.assert_allclose(deviation, values.astype(float).std(0), atol=1e-14)


@pytest.mark.parametrize("period", [0.0, PERIOD])
def test_one_member_has_a_mean_and_no_spread(period: float) -> None:
    mean, deviation = ensemble_moments(np.array([[400.0, 500.0]]), period)
    np.testing.assert_allclose(mean, np.mod([400.0, 500.0], period) if period else [400.0, 500.0])
    assert np.isnan(deviation).all()
