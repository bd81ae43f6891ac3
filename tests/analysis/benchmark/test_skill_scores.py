"""Metrics against scikit-learn, scipy and hand values, and what must hold of them for any numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import linregress
from sklearn.metrics import explained_variance_score, mean_absolute_error, mean_squared_error, r2_score

from phloem.analysis.benchmark.cell_scores import scores
from phloem.analysis.benchmark.skill_scores import (
    cell_area,
    interannual_variability,
    mass_balance,
    metrics,
    stock_closure,
    trend,
)

FINITE = st.floats(0.5, 400, allow_subnormal=False)
PAIRS = st.lists(st.tuples(FINITE, FINITE), min_size=3, max_size=25)


def arrays(pairs: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.array(pairs).T
    assume(x.std() > 1e-3)
    assume(y.std() > 1e-3)
    return x, y


def test_by_hand() -> None:
    """y = 1 2 3 4 and x = 2 2 3 5: errors 1 0 0 1, SSE 2, SST 5, x-bar 3, y-bar 2.5, Sxy 5, Sxx 6."""
    found = metrics(np.array([2.0, 2, 3, 5]), np.array([1.0, 2, 3, 4]))
    assert found.pairs == 4
    assert found.bias == pytest.approx(0.5)
    assert found.pbias == pytest.approx(20)
    assert found.relative == pytest.approx(100 * (1 + 0.25) / 4)
    assert found.rmse == pytest.approx(np.sqrt(0.5))
    assert found.nrmse == pytest.approx(np.sqrt(0.5) / 2.5)
    assert found.mae == pytest.approx(0.5)
    assert found.nse == found.r2_explained == pytest.approx(0.6)
    assert found.nnse == pytest.approx(1 / 1.4)
    assert found.r2_pearson == pytest.approx(25 / 30)
    assert found.slope_obs_on_pred == pytest.approx(5 / 6)
    assert found.intercept_obs_on_pred == pytest.approx(0)
    assert found.slope_pred_on_obs == pytest.approx(1)
    assert found.intercept_pred_on_obs == pytest.approx(0.5)
    assert found.explained_variance == pytest.approx(1 - 0.25 / 1.25)


def test_the_sign_of_pbias_is_the_papers() -> None:
    """A leaf lifespan of 0.82 against 0.37 years is an increase: printed as +123.1 % from unrounded values."""
    assert 121 < metrics(np.array([0.82]), np.array([0.37])).pbias < 124
    assert metrics(np.array([9.0, 9.0]), np.array([10.0, 10.0])).pbias == pytest.approx(-10)


@given(PAIRS)
def test_against_scikit_learn_and_scipy(pairs: list[tuple[float, float]]) -> None:
    x, y = arrays(pairs)
    found = metrics(x, y)
    assert found.nse == pytest.approx(r2_score(y, x), rel=1e-9, abs=1e-9)
    assert found.rmse**2 == pytest.approx(mean_squared_error(y, x), rel=1e-9)
    assert found.mae == pytest.approx(mean_absolute_error(y, x), rel=1e-9)
    assert found.explained_variance == pytest.approx(explained_variance_score(y, x), rel=1e-9, abs=1e-9)
    on_x, on_y = linregress(x, y), linregress(y, x)
    assert found.r == pytest.approx(on_x.rvalue, abs=1e-9)
    for slope, intercept, line in (
        (found.slope_obs_on_pred, found.intercept_obs_on_pred, on_x),
        (found.slope_pred_on_obs, found.intercept_pred_on_obs, on_y),
    ):
        assert slope == pytest.approx(line.slope, rel=1e-6, abs=1e-9)
        assert intercept == pytest.approx(line.intercept, rel=1e-6, abs=1e-6)


@given(PAIRS)
def test_the_printed_form_of_the_slope(pairs: list[tuple[float, float]]) -> None:
    """Slope = (n sum yp - sum y sum p) / (n sum p^2 - (sum p)^2), the printed formula."""
    x, y = arrays(pairs)
    n = len(x)
    slope = (n * (x * y).sum() - x.sum() * y.sum()) / (n * (x**2).sum() - x.sum() ** 2)
    found = metrics(x, y)
    assert found.slope_obs_on_pred == pytest.approx(slope, rel=1e-5, abs=1e-6)
    assert found.intercept_obs_on_pred == pytest.approx((y.sum() - slope * x.sum()) / n, rel=1e-4, abs=1e-3)


@given(PAIRS)
def test_it_agrees_with_the_comparison_of_the_experiments(pairs: list[tuple[float, float]]) -> None:
    x, y = arrays(pairs)
    old, new = scores(x, y), metrics(x, y)
    for name in ("rmse", "r2_pearson", "r2_explained", "pbias", "relative"):
        assert getattr(new, name) == pytest.approx(getattr(old, name), rel=1e-7, abs=1e-7)


@given(PAIRS)
def test_swapping_swaps_the_slopes_and_turns_the_bias(pairs: list[tuple[float, float]]) -> None:
    x, y = arrays(pairs)
    one, two = metrics(x, y), metrics(y, x)
    assert one.slope_obs_on_pred == pytest.approx(two.slope_pred_on_obs, rel=1e-12)
    assert one.intercept_pred_on_obs == pytest.approx(two.intercept_obs_on_pred, rel=1e-12)
    assert one.slope_obs_on_pred * one.slope_pred_on_obs == pytest.approx(one.r2_pearson, rel=1e-9, abs=1e-12)
    assert one.bias == pytest.approx(-two.bias)
    assert one.rmse == two.rmse
    assert one.r2_pearson == pytest.approx(two.r2_pearson, rel=1e-12, abs=1e-15)


@given(PAIRS, st.floats(0.1, 50), st.floats(-20, 20))
def test_units_and_offsets(pairs: list[tuple[float, float]], factor: float, shift: float) -> None:
    """Another unit changes neither ratios nor correlations; an offset common to both changes no difference."""
    x, y = arrays(pairs)
    one, scaled, moved = metrics(x, y), metrics(factor * x, factor * y), metrics(x + shift, y + shift)
    for name in ("pbias", "relative", "nrmse", "r", "nse", "nnse", "slope_obs_on_pred", "slope_pred_on_obs"):
        assert getattr(scaled, name) == pytest.approx(getattr(one, name), rel=1e-6, abs=1e-9)
    assert scaled.rmse == pytest.approx(factor * one.rmse)
    for name in ("bias", "rmse", "mae", "nse", "explained_variance", "slope_obs_on_pred"):
        assert getattr(moved, name) == pytest.approx(getattr(one, name), rel=1e-6, abs=1e-7)


@given(PAIRS, st.integers(0, 1000))
def test_order_and_missing_values_do_not_matter(pairs: list[tuple[float, float]], seed: int) -> None:
    x, y = arrays(pairs)
    order = np.random.default_rng(seed).permutation(len(x))
    more_x = np.concatenate([x[order], [np.nan, 3.0, np.inf]])
    more_y = np.concatenate([y[order], [1.0, np.nan, 2.0]])
    one, two = metrics(x, y).to_json(), metrics(more_x, more_y).to_json()
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-7, abs=1e-9)


@given(PAIRS, st.integers(0, 1000))
def test_weights_are_repetitions(pairs: list[tuple[float, float]], seed: int) -> None:
    x, y = arrays(pairs)
    times = np.random.default_rng(seed).integers(0, 4, len(x))
    assume(times.sum() > 2)
    many = metrics(np.repeat(x, times), np.repeat(y, times)).to_json()
    weighted = metrics(x, y, 2.5 * times).to_json()
    for name, value in many.items():
        if name != "pairs" and value is not None and np.repeat(x, times).std() > 1e-3 < np.repeat(y, times).std():
            assert weighted[name] == pytest.approx(value, rel=1e-6, abs=1e-8)
    for name, value in metrics(x, y, np.full(len(x), 7.0)).to_json().items():
        assert value == pytest.approx(metrics(x, y).to_json()[name], rel=1e-9, abs=1e-12)


def test_what_cannot_be_known_is_none() -> None:
    one = metrics(np.array([2.0]), np.array([4.0])).to_json()
    assert {name for name, value in one.items() if value is None} == {
        "r", "r2_pearson", "nse", "r2_explained", "nnse", "explained_variance", "slope_obs_on_pred",
        "intercept_obs_on_pred", "slope_pred_on_obs", "intercept_pred_on_obs",
    }  # fmt: skip
    assert one["pbias"] == -50
    nothing = metrics(np.full(3, np.nan), np.ones(3)).to_json()
    assert set(nothing.values()) == {0, None}
    zero = metrics(np.array([1.0, 2.0]), np.array([0.0, 0.0])).to_json()
    assert zero["pbias"] is None
    assert zero["relative"] is None
    assert zero["rmse"] == pytest.approx(np.sqrt(2.5))
    flat = metrics(np.full(7, 0.1), np.arange(7.0)).to_json()
    assert flat["r"] is None
    assert flat["slope_obs_on_pred"] is None
    assert flat["slope_pred_on_obs"] == pytest.approx(0, abs=1e-12)
    json.dumps([one, nothing, zero, flat], allow_nan=False)


def test_interannual_variability() -> None:
    years = np.repeat([2001, 2002, 2003], 4)
    values = np.array([1.0, 1, 3, 3, 4, 4, 4, np.nan, 6, 6, 6, 6])
    assert interannual_variability(values, years) == pytest.approx(np.std([2, 4, 6]) / 4)
    assert np.isnan(interannual_variability(values[:4], years[:4]))


def test_trends() -> None:
    years = np.arange(2001, 2015)
    totals = 3 + 0.2 * years + np.where(years == 2007, 50, 0.01 * np.sin(years))
    found = trend(years, totals)
    assert found.slope == pytest.approx(linregress(years, totals).slope)
    assert found.p == pytest.approx(linregress(years, totals).pvalue)
    assert found.theil_sen == pytest.approx(0.2, abs=0.01), "one bad year does not turn the robust trend"
    assert found.low <= found.theil_sen <= found.high
    assert np.isnan(trend(years[:2], totals[:2]).slope)


def test_areas_add_up_to_the_earth() -> None:
    latitude = np.arange(-89.75, 90, 0.5)
    assert 720 * cell_area(latitude, 0.5).sum() == pytest.approx(5.1007e14, rel=1e-4)


@given(st.integers(0, 1000))
def test_conserved_carbon_leaves_no_rest_and_lost_carbon_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gpp, ra, rh = rng.uniform(0, 10, (3, 4, 30))
    area = rng.uniform(1e9, 3e9, 4)
    fluxes = {
        "gpp": gpp,
        "ra": ra,
        "rh": rh,
        "reco": ra + rh,
        "nee": ra + rh - gpp,
        "nep": gpp - ra - rh,
        "npp": gpp - ra,
    }
    for rest in mass_balance(fluxes, area).values():
        assert rest["residual"] == pytest.approx(0, abs=1e-12)
        assert rest["worst"] == pytest.approx(0, abs=1e-12)
    assert len(mass_balance(fluxes, area)) == 5
    lost = mass_balance({**fluxes, "nee": fluxes["nee"] + 0.5}, area)
    assert lost["nep + nee"]["residual"] == pytest.approx(0.5 * 365.25 * area.sum() / 1e15)
    assert lost["nep + nee"]["rmse"] == pytest.approx(0.5)
    assert mass_balance({"gpp": gpp}, area) == {}
    nep = rng.normal(size=(4, 5))
    stocks = 100 + np.concatenate([np.zeros((4, 1)), np.cumsum(nep, 1)], 1)
    assert stock_closure(nep, stocks, area)["worst"] == pytest.approx(0, abs=1e-10)
    assert stock_closure(nep + 3, stocks, area)["residual"] == pytest.approx(3 * area.sum() / 1e15)


def test_of_a_flux_that_is_negative_more_is_more() -> None:
    """A sink of 1 where 2 was observed is too weak: the bias and its share of the flux have one sign."""
    found = metrics(np.array([-1.0, -1.0]), np.array([-2.0, -2.0]))
    assert found.bias == 1
    assert found.pbias == found.relative == 50
    assert found.nrmse == pytest.approx(0.5)
    years = np.array([2001, 2001, 2002, 2002])
    assert interannual_variability(np.array([-1.0, -1.0, -3.0, -3.0]), years) == pytest.approx(0.5)


def test_around_zero_nothing_is_relative() -> None:
    observed = np.array([-2.0, 2.1, -2.0, 2.1])
    found = metrics(observed + 0.5, observed).to_json()
    assert found["bias"] == pytest.approx(0.5)
    assert found["rmse"] == pytest.approx(0.5)
    assert {found[name] for name in ("pbias", "relative", "nrmse")} == {None}
    assert np.isnan(interannual_variability(observed, np.array([2001, 2001, 2002, 2002])))
    assert metrics(observed + 5.5, observed + 5).to_json()["pbias"] is not None
