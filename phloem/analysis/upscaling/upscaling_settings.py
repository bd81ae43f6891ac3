"""Settings of the models of fluxes: baselines, predictors, learner, draws of the ensemble."""

from __future__ import annotations

from dataclasses import dataclass, field

WAYS = ("residual", "direct", "blend")
"""What is learned: what a process baseline leaves over, the flux itself, or both, weighed where neither was fitted."""

LEARNERS = ("xgboost", "histogram", "cascade", "network")
"""Gradient-boosted trees of xgboost and of scikit-learn, a cascade of the first, a network with constraints."""

SCHEMES = ("tower", "row", "block", "year")
"""What is left out together: all months of a tower, single rows, towers of one box of degrees, a year of all towers."""


@dataclass(frozen=True)
class BaselineOptions:
    """Choices of the process baselines (uflux.md sections 1 to 3 and 10).

    Attributes:
        jmax: "wang17", limitation by electron transport, or "none".
        reco: "q10" or "lloyd-taylor".
        rref: respiration at the reference temperature: "fapar", a + b fAPAR; "igbp", one value a plant class;
            "constant", one for all. Fitted to training rows.
        le: "priestley-taylor" or "pt-jpl".
        ppfd: umol of photons a joule of shortwave.
    """

    jmax: str = "wang17"
    reco: str = "q10"
    rref: str = "fapar"
    le: str = "priestley-taylor"
    ppfd: float = 2.04


@dataclass(frozen=True)
class TreeOptions:
    """Gradient-boosted trees (uflux.md section 5)."""

    trees: int = 100
    depth: int = 6
    learning_rate: float = 0.05
    min_child_weight: float = 4.0
    subsample: float = 0.8
    colsample: float = 0.8
    l2: float = 1.0
    bins: int = 64


@dataclass(frozen=True)
class UpscalingSettings:
    """What is fitted, and how.

    Attributes:
        ways: of `WAYS`.
        learner: of `LEARNERS`.
        fluxes: gpp, reco, nee, le, or some of them.
        predictors: names; empty: all that the rows have (`predictor_columns`).
        draws: "tower" or "row": of what each member sees a share.
        row_share: of the towers or rows that a member is fitted to.
        predictor_share: of the predictors that a member sees.
        monotone: whether physical directions are imposed on trees.
        baselines: choices of the process baselines.
        trees: of the boosted models.
    """

    ways: tuple[str, ...] = ("residual",)
    learner: str = "xgboost"
    fluxes: tuple[str, ...] = ("gpp", "reco", "nee", "le")
    predictors: tuple[str, ...] = ()
    draws: str = "tower"
    row_share: float = 0.8
    predictor_share: float = 0.8
    monotone: bool = False
    baselines: BaselineOptions = field(default_factory=BaselineOptions)
    trees: TreeOptions = field(default_factory=TreeOptions)
