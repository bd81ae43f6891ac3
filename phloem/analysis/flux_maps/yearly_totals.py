"""Yearly totals of a region with their trend, variability, interval over members and share missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.analysis.benchmark.skill_scores import Trend, finite, interannual_variability, trend

BAND = (0.05, 0.95)
"""Quantiles over members of the interval of a total."""


@dataclass(frozen=True, eq=False)
class YearlyTotals:
    """Yearly totals of a flux in a region.

    Attributes:
        unit: of the totals.
        years: that began within the months asked for, int64 (years,).
        total: NaN for years that are not whole, (years,).
        mean_flux: over the known land and the days of each year, the flux's own unit, (years,).
        missing: share of the land area and months without a value, (years,).
        low, high: 5 and 95 % over the members of the years' totals, (years,); None without members.
        trend: of the totals, unit a year.
        variability: standard deviation over mean of the totals (ddof 0).
        spread_of_mean: 5 and 95 % over members of the mean of the whole years; None without members.
    """

    unit: str
    years: np.ndarray
    total: np.ndarray
    mean_flux: np.ndarray
    missing: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    trend: Trend
    variability: float
    spread_of_mean: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        """Return the numbers by name, None in place of what is not finite."""
        document: dict[str, Any] = {"unit": self.unit, "years": self.years.tolist()}
        for name in ("total", "mean_flux", "missing", "low", "high"):
            if (values := getattr(self, name)) is not None:
                document[name] = [finite(float(value)) for value in values]
        whole = self.total[np.isfinite(self.total)]
        document["whole_years"] = len(whole)
        document["mean"] = finite(float(whole.mean())) if len(whole) else None
        document["trend"] = {name: finite(value) for name, value in vars(self.trend).items()}
        document["interannual_variability"] = finite(self.variability)
        document["standard_deviation"] = finite(float(whole.std())) if len(whole) > 1 else None
        if self.spread_of_mean is not None:
            document["mean_low"], document["mean_high"] = map(finite, self.spread_of_mean)
        return document


def yearly_totals(
    unit: str, years: np.ndarray, members: np.ndarray, mean_flux: np.ndarray, missing: np.ndarray
) -> YearlyTotals:
    """Return the totals of years with their trend, variability and interval over members.

    Args:
        unit: of the totals.
        years: (years,).
        members: total of each member, (members, years), NaN in years that are not whole.
        mean_flux: as of `YearlyTotals`.
        missing: as of `YearlyTotals`.
    """
    total = members.mean(0)
    low, high, ends = None, None, None
    if len(members) > 1:
        low, high = np.quantile(members, BAND, axis=0)
        whole = np.isfinite(total)
        means = members[:, whole].mean(1) if whole.any() else np.full(len(members), np.nan)
        ends = (float(np.quantile(means, BAND[0])), float(np.quantile(means, BAND[1])))
    return YearlyTotals(
        unit=unit,
        years=years,
        total=total,
        mean_flux=mean_flux,
        missing=missing,
        low=low,
        high=high,
        trend=trend(years, total),
        variability=interannual_variability(total, years),
        spread_of_mean=ends,
    )
