"""What an attribution is given: predictors, targets, and the choices there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CHOICES = {
    "estimator": ("auto", "exact", "histogram"),
    "convergence": ("mask", "weight", "none"),
    "shap": ("path", "interventional"),
}
"""What the words of `AttributionSettings` may be."""


@dataclass(frozen=True)
class Predictor:
    """One predictor at the cells.

    Attributes:
        name: identifier, unique among the predictors.
        group: what it belongs to: climate, soil, vegetation, or any other word.
        units: of `values`.
        long_name: what it is, for figures.
        values: float64 (cells,), NaN = missing.
    """

    name: str
    group: str
    units: str
    long_name: str
    values: np.ndarray


@dataclass(frozen=True)
class Target:
    """One retrieved quantity, every member.

    Attributes:
        name: identifier, unique among the targets.
        units: of `members`.
        long_name: what it is, for figures.
        members: float64 (cells, members), NaN for lanes without a result.
        period: after which it repeats, as a day of the year does, which is then counted from the circular mean of the
            cells; 0 where it does not.
    """

    name: str
    units: str
    long_name: str
    members: np.ndarray
    period: float = 0.0
