"""Dependence of SHAP values on a predictor: LOWESS, its sharpest bend, and the uncertainty of both.

LOWESS: Cleveland 1979, doi:10.1080/01621459.1979.10481038 (docs/attribution.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from statsmodels.nonparametric.smoothers_lowess import lowess

POINTS = 200
"""Equally spaced points of a curve, from the lowest to the highest value of the predictor."""

ITERATIONS = 3
"""Robustifying iterations."""

DELTA = 0.01
"""Of the predictor's range: closer points than this are interpolated while the robustness weights are found."""

COARSE = 0.02
"""The same for resamples, of which there are many."""

RESAMPLED = 1000
"""Cells in a bootstrap resample, at most."""

BAND = (5.0, 95.0)
"""Per cent: what the bootstrap's bands and intervals span."""

SMOOTHING = 4.0
"""Points of the curve, 2 % of the range: SD of the Gaussian that it is smoothed by before it is differenced."""

INSIDE = (2.5, 97.5)
"""Per cent of the cells: a breakpoint is looked for where the predictor is within these quantiles."""


@dataclass(frozen=True)
class Bootstrap:
    """Curves and breakpoints over resamples of the cells.

    Attributes:
        low, high: (200,) 5 and 95 % of the resampled curves.
        breakpoints: (resamples,) in the unit of the predictor, NaN where a resample has none.
    """

    low: np.ndarray
    high: np.ndarray
    breakpoints: np.ndarray


def curve_grid(x: np.ndarray) -> np.ndarray:
    """Return the 200 points (200,) at which curves over `x` (cells,) are evaluated."""
    return np.linspace(float(x.min()), float(x.max()), POINTS)


def trend(
    x: np.ndarray,
    y: np.ndarray,
    grid: np.ndarray,
    fraction: float,
    weights: np.ndarray | None = None,
    delta: float = DELTA,
) -> np.ndarray:
    """Compute LOWESS of y on x, evaluated at other points by its own local regressions.

    statsmodels takes either `delta`, without which many cells take long, or `xvals`; and between points `delta` apart
    it interpolates, so that second differences of its curve would be those of the interpolation. Here it finds the
    robustness weights, with `delta`; the last of the fits is done at `grid`.

    Args:
        x: (n,) predictor.
        y: (n,) SHAP values.
        grid: (points,) where the curve is wanted, in ascending order.
        fraction: share of the points in a window.
        weights: (n,) of the cells, used in the last of the fits; by default all are 1.
        delta: share of the range within which the fits for the robustness weights are interpolated.

    Returns:
        (points,).
    """
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    span = float(x[-1] - x[0])
    # A window of one value alone makes it divide by 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        fitted = lowess(
            y,
            x,
            frac=fraction,
            it=ITERATIONS - 1,
            delta=delta * span,
            is_sorted=True,
            missing="none",
            return_sorted=False,
        )
    fitted = np.where(np.isfinite(fitted), fitted, y)
    robust = _bisquare(y - fitted)
    if weights is not None:
        robust = robust * weights[order]
    return _local_lines(x, y, robust, grid, fraction)


def _bisquare(residuals: np.ndarray) -> np.ndarray:
    scale = 6.0 * float(np.median(np.abs(residuals)))
    if not scale > 0.0:
        return np.ones_like(residuals)
    return np.square(1.0 - np.square(np.minimum(np.abs(residuals) / scale, 1.0)))


def _local_lines(x: np.ndarray, y: np.ndarray, weights: np.ndarray, grid: np.ndarray, fraction: float) -> np.ndarray:
    """Weighted lines through the nearest points of each of the grid's, as Cleveland has them; x is sorted."""
    nearest = int(np.clip(int(fraction * x.size + 1e-10), 2, x.size))
    # The window moves on where the point after it is closer than its first.
    first = np.searchsorted(0.5 * (x[: x.size - nearest] + x[nearest:]), grid)
    fits = np.empty(grid.size)
    # In pieces: the windows of all 200 points of many cells would take hundreds of megabytes.
    step = max(1, 200_000 // nearest)
    for begin in range(0, grid.size, step):
        part = slice(begin, begin + step)
        window = first[part, None] + np.arange(nearest)
        away = x[window] - grid[part, None]
        radius = np.maximum(-away[:, :1], away[:, -1:])
        near = np.abs(away) / np.maximum(radius, np.finfo(float).tiny)
        w = weights[window] * np.where(near < 1.0, (1.0 - near**3) ** 3, 0.0)
        # Where all are equally far, or the near ones are outliers, the mean of the window is what can be said.
        w = np.where(w.sum(axis=1, keepdims=True) > 0.0, w, 1.0)
        total = w.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            centre = (w * away).sum(axis=1) / total
            level = (w * y[window]).sum(axis=1) / total
            off = away - centre[:, None]
            spread = (w * off**2).sum(axis=1)
            slope = (w * off * y[window]).sum(axis=1) / spread
            line = level - slope * centre
        flat = ~(spread > 1e-6 * total * max(x[-1] - x[0], np.finfo(float).tiny) ** 2)
        fits[part] = np.where(flat, level, line)
    return fits


def breakpoint_of(grid: np.ndarray, curve: np.ndarray, x: np.ndarray, smoothing: float = SMOOTHING) -> float:
    """Find where a curve bends most: its largest absolute second difference.

    Second differences at 200 points are mostly noise: local lines change with every point that enters or leaves a
    window. So the curve is first smoothed by a Gaussian (SD 2 % of the range), and the ends, where windows are
    one-sided, are left out: outside 2.5 to 97.5 % of the cells nothing is looked for.

    Args:
        grid: (points,) equally spaced.
        curve: (points,) the curve.
        x: (n,) the predictor at the cells.
        smoothing: SD of the Gaussian in points; 0 for none.

    Returns:
        In the unit of the predictor; NaN for a curve with gaps, or with fewer than three points inside.
    """
    if not np.isfinite(curve).all():
        return float("nan")
    smooth = gaussian_filter1d(curve, smoothing, mode="nearest") if smoothing > 0 else curve
    bend = np.abs(np.diff(smooth, 2))
    low, high = np.percentile(x, INSIDE)
    margin = int(np.ceil(smoothing))
    inside = (grid[1:-1] >= low) & (grid[1:-1] <= high)
    inside[:margin] = inside[inside.size - margin :] = False
    if inside.sum() < 3 or not bend[inside].max() > 0.0:
        return float("nan")
    return float(grid[1:-1][inside][int(np.argmax(bend[inside]))])


def bootstrap(
    x: np.ndarray,
    fits: np.ndarray,
    grid: np.ndarray,
    fraction: float,
    resamples: int,
    rng: np.random.Generator,
    blocks: np.ndarray | None = None,
) -> Bootstrap:
    """Compute curves and breakpoints of resamples of the cells.

    Args:
        x: (n,) predictor.
        fits: (fits, n) SHAP values of one or several models; the resamples take one after the other in turn.
        grid: (200,).
        fraction: share of the points in a LOWESS window.
        resamples: how many, at least one.
        rng: source of chance.
        blocks: (n,) a number for each cell: cells of one number are drawn together, because neighbours are alike.
            Without it each cell is drawn for itself. A resample keeps 1,000 cells at most.
    """
    together = None if blocks is None else [np.flatnonzero(blocks == block) for block in np.unique(blocks)]
    curves, breaks = np.empty((resamples, grid.size)), np.empty(resamples)
    for turn in range(resamples):
        if together is None:
            drawn = rng.integers(x.size, size=min(x.size, RESAMPLED))
        else:
            drawn = np.concatenate([together[block] for block in rng.integers(len(together), size=len(together))])
            if drawn.size > RESAMPLED:
                drawn = rng.choice(drawn, RESAMPLED, replace=False)
        curves[turn] = trend(x[drawn], fits[turn % len(fits)][drawn], grid, fraction, delta=COARSE)
        breaks[turn] = breakpoint_of(grid, curves[turn], x[drawn])
    low, high = np.percentile(curves, BAND, axis=0)
    return Bootstrap(low, high, breaks)


def breakpoint_interval(grid: np.ndarray, at: float, breakpoints: np.ndarray) -> tuple[float, float] | None:
    """Return the bootstrap's interval of a breakpoint: 5 to 95 % of the resamples', 2 % of the range to either side.

    The margin is what the curve is smoothed by: nothing is placed more exactly than that. It also holds the bias of the
    method, about 1 % of the range towards where the cells are densest.

    Args:
        grid: (200,).
        at: the breakpoint of the curve itself, which the interval always holds.
        breakpoints: of the resamples, NaN where one has none.

    Returns:
        Lowest and highest, within the range of the predictor; None where most resamples have no breakpoint.
    """
    known = breakpoints[np.isfinite(breakpoints)]
    if 2 * known.size < max(breakpoints.size, 1):
        return None
    margin = SMOOTHING * float(grid[1] - grid[0])
    low, high = np.percentile(known, BAND)
    return max(float(min(low, at)) - margin, float(grid[0])), min(float(max(high, at)) + margin, float(grid[-1]))
