"""LOWESS at given points, breakpoints and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.nonparametric.smoothers_lowess import lowess

from phloem.analysis.attribution import dependence_curves as dependence
from phloem.analysis.attribution.dependence_curves import (
    bootstrap,
    breakpoint_interval,
    breakpoint_of,
    curve_grid,
    trend,
)


def noisy(seed: int, cells: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=cells)
    y = np.sin(2 * x) + 0.3 * rng.standard_t(2, cells)
    return x, y


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.8])
def test_the_curve_is_that_of_statsmodels(fraction: float) -> None:
    """The same where its robustness weights are not interpolated either; near it where they are."""
    x, y = noisy(0)
    grid = curve_grid(x)
    theirs = lowess(y, x, frac=fraction, it=3, xvals=grid)
    height = np.ptp(theirs)
    np.testing.assert_allclose(trend(x, y, grid, fraction), theirs, atol=0.01 * height)
    np.testing.assert_allclose(trend(x, y, grid, fraction, delta=0.0), theirs, atol=0.002 * height)


def test_weights_of_cells() -> None:
    """A cell of no weight is as good as absent from the lines, and outliers hardly move the curve."""
    x, y = noisy(1)
    grid = curve_grid(x)
    spoiled = y.copy()
    spoiled[::10] += 50.0
    weights = np.ones(x.size)
    weights[::10] = 0.0
    clean = trend(x, y, grid, 0.3, weights)
    inside = (grid > -2) & (grid < 2)
    assert np.abs(trend(x, spoiled, grid, 0.3, weights) - clean)[inside].max() < 0.1
    assert np.abs(trend(x, spoiled, grid, 0.3) - clean)[inside].max() < 0.2, "robust"


def test_a_predictor_of_few_values() -> None:
    """Shares of area are often exactly 0 or 1."""
    rng = np.random.default_rng(0)
    x = np.repeat([0.0, 0.5, 1.0], 100)
    y = x**2 + 0.01 * rng.normal(size=300)
    found = trend(x, y, curve_grid(x), 0.3)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[[0, -1]], [0, 1], atol=0.02)


@pytest.mark.parametrize("knee", [-0.7, 0.0, 0.8])
def test_a_knee_is_found_and_lies_in_its_interval(knee: float) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=1500)
    y = 1.5 * np.maximum(x - knee, 0) + 0.15 * rng.normal(size=1500)
    grid = curve_grid(x)
    at = breakpoint_of(grid, trend(x, y, grid, 0.3), x)
    found = bootstrap(x, y[None], grid, 0.3, 60, rng)
    interval = breakpoint_interval(grid, at, found.breakpoints)
    assert interval is not None
    assert at == pytest.approx(knee, abs=0.3)
    assert interval[0] <= knee <= interval[1]
    assert interval[1] - interval[0] < 0.25 * np.ptp(x)
    assert (found.low <= found.high).all()


def test_a_line_has_a_wide_interval() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=1500)
    y = x + 0.3 * rng.normal(size=1500)
    grid = curve_grid(x)
    at = breakpoint_of(grid, trend(x, y, grid, 0.3), x)
    interval = breakpoint_interval(grid, at, bootstrap(x, y[None], grid, 0.3, 60, rng).breakpoints)
    assert interval is not None
    assert interval[1] - interval[0] > 0.4 * np.ptp(np.percentile(x, dependence.INSIDE))


def test_smoothing_steadies_the_breakpoint() -> None:
    """Why the curve is smoothed before it is differenced: without, breakpoints of resamples scatter more."""
    spread = {0.0: [], dependence.SMOOTHING: []}  # type: dict[float, list[float]]
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=800)
        y = 1.5 * np.maximum(x - 0.5, 0) + 0.4 * rng.normal(size=800)
        grid = curve_grid(x)
        curve = trend(x, y, grid, 0.3)
        for smoothing, errors in spread.items():
            errors.append(breakpoint_of(grid, curve, x, smoothing) - 0.5)
    raw, smooth = (np.sqrt(np.mean(np.square(errors))) for errors in spread.values())
    assert smooth < 0.8 * raw


def test_ends_are_left_out_and_gaps_have_none() -> None:
    x = np.linspace(0.0, 1.0, 500)
    grid = curve_grid(x)
    hook = np.where(grid > 0.995, 0.6 * (grid - 0.995), 0.0) + 0.2 * np.abs(grid - 0.4)
    assert breakpoint_of(grid, hook, x) == pytest.approx(0.4, abs=0.02)
    assert np.isnan(breakpoint_of(grid, np.where(grid > 0.5, np.nan, 0.0), x))
    assert np.isnan(breakpoint_of(grid, np.zeros(grid.size), x))
    assert breakpoint_interval(grid, 0.4, np.array([0.4, np.nan, np.nan])) is None


def test_blocks_are_drawn_whole() -> None:
    """Where the blocks differ and each is alike within, single cells would look far too certain."""
    rng = np.random.default_rng(7)
    block = np.repeat(np.arange(12), 50)
    x = rng.normal(size=600)
    y = x + rng.normal(size=12)[block]
    grid = np.linspace(-1, 1, 200)
    single = bootstrap(x, y[None], grid, 0.5, 40, np.random.default_rng(0))
    whole = bootstrap(x, y[None], grid, 0.5, 40, np.random.default_rng(0), block)
    assert (whole.high - whole.low).mean() > 1.5 * (single.high - single.low).mean()
