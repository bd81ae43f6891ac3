"""Which group of predictors explains most of each place, and where land cover is mixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from phloem.analysis.attribution.shapley_partition import Partition
from phloem.analysis.benchmark.skill_scores import finite
from phloem.errors import InputError

NO_LABEL = -1
"""Label of a place that is masked."""


@dataclass(frozen=True, eq=False)
class Dominance:
    """Places by the group with the largest independent contribution.

    Attributes:
        groups: names.
        labels: place of the group in `groups`, or `NO_LABEL`, (places,).
        share: of the groups at each place, (groups, places), NaN where masked.
        undefined: places where a set-up has no correlation.
        not_positive: places where all groups together explain nothing.
        fraction: of the labelled places that are each group's, (groups,); NaN where there are none.
        fraction_of_area: of their area; NaN where no areas are given.
        pft_above_environment: fraction of the labelled places where PFT explains more than all others together.
        pft_above_environment_of_area: of their area.
    """

    groups: tuple[str, ...]
    labels: np.ndarray
    share: np.ndarray
    undefined: int
    not_positive: int
    fraction: np.ndarray
    fraction_of_area: np.ndarray
    pft_above_environment: float
    pft_above_environment_of_area: float

    def to_json(self) -> dict[str, Any]:
        """Return fractions and counts; labels and shares of single places belong on maps."""
        return {
            "places": len(self.labels),
            "labelled": int((self.labels != NO_LABEL).sum()),
            "undefined": self.undefined,
            "not_positive": self.not_positive,
            "groups": [
                {"group": name, "fraction": finite(float(one)), "fraction_of_area": finite(float(area))}
                for name, one, area in zip(self.groups, self.fraction, self.fraction_of_area, strict=True)
            ],
            "pft_above_environment": finite(self.pft_above_environment),
            "pft_above_environment_of_area": finite(self.pft_above_environment_of_area),
        }


def dominance(parts: Partition, area: np.ndarray | None = None, pft: str = "PFT") -> Dominance:
    """Label each place by the group with the largest I_j; of equal ones, by the first.

    Places where all groups together explain nothing, V <= 0, or where V of any set-up is undefined, are masked.

    Args:
        parts: place by place, each (groups, places).
        area: of the places, m2, (places,).
        pft: the group that is compared with all others together.

    Raises:
        InputError: areas of other places, a negative or unknown area, or no such group.
    """
    independent = parts.independent
    if independent.ndim != 2 or pft not in parts.groups:
        raise InputError(
            f"dominance: parts of {', '.join(parts.groups)} of shape {independent.shape}, not (groups, places)"
        )
    places = independent.shape[1]
    defined = np.isfinite(independent).all(0) & np.isfinite(parts.total)
    used = defined & (np.where(defined, parts.total, 0.0) > 0)
    labels = np.where(used, np.where(defined, independent, 0.0).argmax(0), NO_LABEL)
    own = parts.groups.index(pft)
    above = independent[own] > np.delete(independent, own, axis=0).sum(0)
    if area is not None and (np.shape(area) != (places,) or not (np.asarray(area) >= 0).all()):
        raise InputError(f"dominance: areas of shape {np.shape(area)}: one from 0 on for each of {places} places")
    one, by_area = np.ones(places), np.full(places, np.nan) if area is None else np.asarray(area, float)
    groups = range(len(parts.groups))
    return Dominance(
        groups=parts.groups,
        labels=labels,
        share=np.where(used, parts.share, np.nan),
        undefined=int((~defined).sum()),
        not_positive=int((defined & ~used).sum()),
        fraction=np.array([_fraction(labels == n, used, one) for n in groups]),
        fraction_of_area=np.array([_fraction(labels == n, used, by_area) for n in groups]),
        pft_above_environment=_fraction(above, used, one),
        pft_above_environment_of_area=_fraction(above, used, by_area),
    )


def _fraction(there: np.ndarray, used: np.ndarray, weight: np.ndarray) -> float:
    total = float(weight[used].sum())
    return float(weight[used & there].sum()) / total if total > 0 else np.nan


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation.

    Attributes:
        rho: NaN with fewer than three places, or of a constant.
        p: two-sided, that it is 0; places near each other are not independent, so that it is too small.
        places: number of them.
    """

    rho: float
    p: float
    places: int

    def to_json(self) -> dict[str, float | None]:
        """Return the numbers, None in place of what is not finite."""
        return {"rho": finite(self.rho), "p": finite(self.p), "places": self.places}


def heterogeneity(fractions: np.ndarray) -> np.ndarray:
    """Return Shannon's entropy of the fractions of land cover, nat, (places,); NaN where they are missing or all 0.

    Args:
        fractions: (places, classes), of one or per cent: they count as shares of their sum.

    Raises:
        InputError: a negative fraction.
    """
    fractions = np.asarray(fractions, float)
    if (fractions < 0).any():
        raise InputError("fractions of land cover: none is below 0")
    total = fractions.sum(axis=1, keepdims=True)
    share = np.divide(fractions, total, out=np.full(fractions.shape, np.nan), where=total > 0)
    terms = np.where(share > 0, share * np.log(np.where(share > 0, share, 1.0)), share)
    # From 0.0, so that a place of one class has 0 and not -0.
    return np.asarray(0.0 - terms.sum(axis=1))


def mixed_cover_correlation(share: np.ndarray, fractions: np.ndarray) -> RankCorrelation:
    """Correlate the share of PFT with how mixed the land cover is.

    Args:
        share: of PFT at each place, NaN where masked, (places,).
        fractions: of land cover, (places, classes).
    """
    entropy = heterogeneity(fractions)
    known = np.isfinite(share) & np.isfinite(entropy)
    x, y = np.asarray(share)[known], entropy[known]
    if len(x) < 3 or not np.ptp(x) or not np.ptp(y):
        return RankCorrelation(np.nan, np.nan, len(x))
    found = spearmanr(x, y)
    return RankCorrelation(float(found.statistic), float(found.pvalue), len(x))
