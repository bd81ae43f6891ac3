"""Departures of pairs from what is the same every year: anomalies of months, and of years.

Both series of a place are taken about means over the same times, those of its pairs: where labels have gaps, means over
each series' own times would not fit together.
"""

from __future__ import annotations

import numpy as np

from phloem.analysis.benchmark.pair_means import CONSTANT
from phloem.kernels.network.patch_loss import YEAR

Both = tuple[np.ndarray, np.ndarray]
"""Simulated and observed, (times, places) each, NaN where there is no pair."""


def monthly_anomalies(simulated: np.ndarray, observed: np.ndarray) -> Both:
    """Return departures from each place's own mean seasonal cycle.

    A month of the year that a place has once alone says nothing: it has no anomaly, rather than one of 0.

    Args:
        simulated: (months, places) from a January on.
        observed: of the same shape.
    """
    both = np.isfinite(simulated) & np.isfinite(observed)
    kept = both.copy()
    cycle = [np.zeros(both.shape), np.zeros(both.shape)]
    for month in range(min(YEAR, len(both))):
        count = both[month::YEAR].sum(0)
        kept[month::YEAR] &= count > 1
        for means, values in zip(cycle, (simulated, observed), strict=True):
            means[month::YEAR] = np.where(both[month::YEAR], values[month::YEAR], 0.0).sum(0) / np.maximum(count, 1)
    return _less(simulated, cycle[0], kept), _less(observed, cycle[1], kept)


def yearly_anomalies(simulated: np.ndarray, observed: np.ndarray, every: str, least: int = YEAR) -> Both:
    """Return departures of years from each place's mean over its years; places with one year have none.

    A year of months is the mean of their anomalies, so that a gap does not shift it by the season.

    Args:
        simulated: (times, places) from a January on; of months, their `monthly_anomalies`.
        observed: of the same shape.
        every: "month" or "year", the times.
        least: months with an anomaly that a year has at least.
    """
    x, y = simulated, observed
    if every == "month":
        x, y = (year_means(values, least) for values in (simulated, observed))
    both = np.isfinite(x) & np.isfinite(y)
    kept = both & (both.sum(0) > 1)
    return _about_mean(x, kept), _about_mean(y, kept)


def year_means(values: np.ndarray, least: int = YEAR) -> np.ndarray:
    """Return means of years over the months that are there, (years, places).

    Args:
        values: (months, places) from a January on, NaN where missing; months after the last December are left out.
        least: months that a year has at least; others are NaN.
    """
    years = len(values) // YEAR
    months = np.asarray(values, float)[: years * YEAR].reshape(years, YEAR, -1)
    known = np.isfinite(months)
    count = known.sum(1)
    return np.where(count >= max(1, least), np.where(known, months, 0.0).sum(1) / np.maximum(count, 1), np.nan)


def _about_mean(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    mean = np.where(kept, values, 0.0).sum(0) / np.maximum(kept.sum(0), 1)
    return _less(values, np.broadcast_to(mean, values.shape), kept)


def _less(values: np.ndarray, mean: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Values less a mean; exactly 0 at places where only rounding is left, NaN where not kept."""
    off = np.where(kept, values - mean, 0.0)
    squares = np.where(kept, values, 0.0) ** 2
    real = (off**2).sum(0) > CONSTANT * squares.sum(0)
    return np.where(kept, np.where(real, off, 0.0), np.nan)
