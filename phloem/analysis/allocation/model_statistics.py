"""Mean and quartiles over land models, of the parts of a ratio before the ratio is formed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

STATISTICS = ("mean", "q25", "q75")
"""Over models: the mean, the 25th and the 75th percentile."""


@dataclass(frozen=True, eq=False)
class PartStatistics:
    """Parts of a ratio, over the models that have all of them.

    Attributes:
        values: by statistic, then by part, (...,), NaN where no model has all parts.
        models: how many have, int64 (...,).
    """

    values: Mapping[str, Mapping[str, np.ndarray]]
    models: np.ndarray


def part_statistics(parts: Mapping[str, np.ndarray]) -> PartStatistics:
    """Return statistics of parts over models.

    Args:
        parts: by name, each (models, ...), NaN where a model has none.
    """
    stacked = np.stack(list(parts.values()))
    there = ~np.isnan(stacked).any(axis=0)
    stacked = np.where(there, stacked, np.nan)
    count = there.sum(axis=0)
    ranked = np.sort(stacked, axis=1)  # what is missing comes last
    found: dict[str, Mapping[str, np.ndarray]] = {}
    for statistic in STATISTICS:
        if statistic == "mean":
            values = np.where(there, stacked, 0.0).sum(axis=1) / np.maximum(count, 1)
        else:
            values = _quantile(ranked, count, float(statistic[1:]) / 100.0)
        values = np.where(count > 0, values, np.nan)
        found[statistic] = dict(zip(parts, values, strict=True))
    return PartStatistics(found, count)


def _quantile(ranked: np.ndarray, count: np.ndarray, share: float) -> np.ndarray:
    """Linear quantiles along the models, of ascending values of which the first `count` are known.

    `np.nanpercentile` goes cell by cell where values are missing: an hour for 20 years of half a degree.
    """
    place = share * np.maximum(count - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    below, above = (np.take_along_axis(ranked, one[None, None], axis=1)[:, 0] for one in (low, high))
    return np.asarray(below + (place - low) * (above - below))
