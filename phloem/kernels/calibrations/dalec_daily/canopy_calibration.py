"""Pre-calibration of the canopy efficiency on days without water stress.

Steps: docs/science.md#pre-calibration-of-canopy-efficiency.
"""

from __future__ import annotations

import jax
import numpy as np
from jax import Array
from jaxtyping import Float

from phloem.kernels.models.dalec_daily.daily_step import photosynthesis
from phloem.kernels.models.dalec_daily.forcing_terms import Weather

LOWER, UPPER, POINTS = 5.0, 50.0, 500
"""The published grid of trial values of ce, 1."""

PERCENTILE = 80.0
"""Days count whose evaporative fraction is at least at this percentile."""

REFINEMENTS = 3
"""Steps of the golden-section search after the grid."""

GOLDEN = 0.6180339887498949
"""The golden section, (sqrt 5 - 1) / 2."""

GUARD = (5.5, 49.5)
"""The estimate of ce is kept within this before it starts a lane: at a bound the inverse transform is broken."""

PADDING = 1024
"""Days are padded to a multiple of this, so that one compiled program serves cells of any record."""


@jax.jit
def _errors(trial: Array, lai: Array, gpp: Array, weight: Array, days: Weather) -> Array:
    """Mean squared error of unstressed GPP on the days of weight 1 for each trial value, shape (trials,)."""
    simulated = photosynthesis(lai, trial[:, None], days)
    return (weight * (simulated - gpp) ** 2).sum(1) / weight.sum()


def canopy_efficiency(
    weather: Weather,
    gpp: Float[np.ndarray, " days"],
    lai: Float[np.ndarray, " days"],
    evaporative_fraction: Float[np.ndarray, " days"],
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
    padded = np.pad(use, (0, -len(use) % PADDING), "edge")
    weight = (np.arange(len(padded)) < len(use)).astype(float)
    days = Weather(*(np.asarray(field, float)[padded] for field in weather))
    seen, area = np.asarray(gpp, float)[padded], np.asarray(lai, float)[padded]
    grid = np.linspace(LOWER, UPPER, POINTS)
    best = int(np.argmin(_errors(grid, area, seen, weight, days)))
    if not refine:
        return float(grid[best])
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, POINTS - 1)]
    for _ in range(REFINEMENTS):
        inner = np.array([high - GOLDEN * (high - low), low + GOLDEN * (high - low)])
        left, right = _errors(inner, area, seen, weight, days)
        low, high = (low, inner[1]) if left < right else (inner[0], high)
    return float(0.5 * (low + high))


def start_value(ce_opt: float) -> float:
    """Return the value that starts a lane: ce_opt kept within the guard, or the geometric centre where it is NaN."""
    return float(np.clip(ce_opt, *GUARD)) if np.isfinite(ce_opt) else float(np.sqrt(LOWER * UPPER))
