"""Pre-calibration of the canopy efficiency on days without water stress (calibration.md section 5)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from phloem.kernels.dalec import photosynthesis
from phloem.kernels.features import Weather

LOWER, UPPER, POINTS = 5.0, 50.0, 500
"""The published grid of trial values."""

PERCENTILE = 80.0
REFINEMENTS = 3
GOLDEN = 0.6180339887498949
GUARD = (5.5, 49.5)
"""The estimate is kept inside before it starts a lane: at a bound the inverse transform is broken (D7)."""


def _errors(trial: np.ndarray, lai: np.ndarray, gpp: np.ndarray, days: Weather) -> np.ndarray:
    """Mean squared error of unstressed GPP for each trial value, shape (trials,)."""
    simulated = photosynthesis(jnp.asarray(lai), jnp.asarray(trial)[:, None], days)
    return np.asarray(jnp.mean((simulated - gpp) ** 2, axis=1))


def canopy_efficiency(
    weather: Weather,
    gpp: np.ndarray,
    lai: np.ndarray,
    evaporative_fraction: np.ndarray,
    window: int,
    *,
    refine: bool = True,
) -> float:
    """Return ce_opt: the canopy efficiency that explains GPP on the wettest fifth of days, with beta = 1.

    Args:
        weather: forcing-only terms, (days,).
        gpp: observed GPP, gC m-2 d-1, NaN where missing.
        lai: observed LAI, NaN where missing.
        evaporative_fraction: (days,), NaN where missing.
        window: number of first days that may be used.
        refine: three golden-section steps around the best of the published 500-point grid; without them, the
            published value.

    Returns:
        The estimate, or NaN where no day has evaporative fraction, GPP and LAI.
    """
    fraction = np.asarray(evaporative_fraction[:window], float)
    if not np.isfinite(fraction).any():
        return float("nan")
    with np.errstate(invalid="ignore"):
        wet = fraction >= np.nanpercentile(fraction, PERCENTILE)
    use = np.flatnonzero(wet & np.isfinite(gpp[:window]) & np.isfinite(lai[:window]))
    if not len(use):
        return float("nan")
    days = Weather(*(np.asarray(field)[use] for field in weather))
    seen, area = np.asarray(gpp, float)[use], np.asarray(lai, float)[use]
    grid = np.linspace(LOWER, UPPER, POINTS)
    best = int(np.argmin(_errors(grid, area, seen, days)))
    if not refine:
        return float(grid[best])
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, POINTS - 1)]
    for _ in range(REFINEMENTS):
        inner = np.array([high - GOLDEN * (high - low), low + GOLDEN * (high - low)])
        left, right = _errors(inner, area, seen, days)
        low, high = (low, inner[1]) if left < right else (inner[0], high)
    return float(0.5 * (low + high))


def start_value(ce_opt: float) -> float:
    """Return the value that starts a lane: ce_opt kept within the guard, or the geometric centre where it is NaN."""
    return float(np.clip(ce_opt, *GUARD)) if np.isfinite(ce_opt) else float(np.sqrt(LOWER * UPPER))
