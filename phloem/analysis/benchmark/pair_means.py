"""Formulas of the metrics, from means over pairs: for one set of pairs, or for many places at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

CONSTANT = 1e-20
"""Values whose squared deviations are below this share of their squares are constant: only rounding is left."""


class PairMeans(NamedTuple):
    """What every metric follows from: means over pairs, each a number, or an array for many places at once.

    Attributes:
        mean_x, mean_y: of simulated and observed values.
        xx, yy: squared deviations from them, NaN where the values are constant (`varying`).
        xy: product of the deviations.
        error: squared error.
        error_spread: squared deviation of the error from its mean.
        absolute_error: of the error.
        relative_error: 100 (x - y) / |y|, of the pairs with y other than 0.
        around_zero: whether y-bar is no measure of the size of y.
    """

    mean_x: Any
    mean_y: Any
    xx: Any
    yy: Any
    xy: Any
    error: Any
    error_spread: Any
    absolute_error: Any
    relative_error: Any
    around_zero: Any


def measures(means: PairMeans, *, has_zero: bool = True) -> dict[str, Any]:
    """Return all that `Metrics` has beside the number of pairs, by its names.

    Args:
        means: of the pairs, each a number or (places,).
        has_zero: as of `metrics`.
    """
    m = means
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        r = np.clip(m.xy / np.sqrt(m.xx * m.yy), -1, 1)
        nse = 1 - m.error / m.yy
        on_x, on_y = m.xy / m.xx, m.xy / m.yy
        size = np.where(np.asarray(m.around_zero) | (not has_zero), np.nan, np.abs(m.mean_y))
        return {
            "mean_observed": m.mean_y,
            "mean_simulated": m.mean_x,
            "bias": m.mean_x - m.mean_y,
            "pbias": 100 * (m.mean_x - m.mean_y) / size,
            "relative": m.relative_error + 0 * size,
            "rmse": np.sqrt(m.error),
            "nrmse": np.sqrt(m.error) / size,
            "mae": m.absolute_error,
            "r": r,
            "r2_pearson": r**2,
            "nse": nse,
            "r2_explained": nse,
            "nnse": 1 / (2 - nse),
            "explained_variance": 1 - m.error_spread / m.yy,
            "slope_obs_on_pred": on_x,
            "intercept_obs_on_pred": m.mean_y - on_x * m.mean_x,
            "slope_pred_on_obs": on_y,
            "intercept_pred_on_obs": m.mean_x - on_y * m.mean_y,
        }


def varying(spread: Any, square: Any) -> Any:
    """Return mean squared deviations, NaN where they are no more than rounding leaves of constant values.

    Args:
        spread: mean squared deviation from the mean, a number or (places,).
        square: mean square of the values.
    """
    return np.where(spread > CONSTANT * np.asarray(square), spread, np.nan)[()]
