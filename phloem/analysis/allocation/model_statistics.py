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
    # An all-NaN slice would be warned of: zeros stand in, and are taken out again.
    safe = np.where(count > 0, stacked, 0.0)
    found: dict[str, Mapping[str, np.ndarray]] = {}
    for statistic in STATISTICS:
        if statistic == "mean":
            values = np.nanmean(safe, axis=1)
        else:
            values = np.nanpercentile(safe, float(statistic[1:]), axis=1)
        values = np.where(count > 0, values, np.nan)
        found[statistic] = dict(zip(parts, values, strict=True))
    return PartStatistics(found, count)
