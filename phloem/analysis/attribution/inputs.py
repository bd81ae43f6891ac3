"""Inputs of an attribution: predictors, targets, and the valid settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phloem.model_tables import Parameter

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
        bounds: the parameter that it is, whose members may stand at a bound; None for what follows from several.
    """

    name: str
    units: str
    long_name: str
    members: np.ndarray
    period: float = 0.0
    bounds: Parameter | None = None
