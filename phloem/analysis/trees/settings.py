"""Settings of attribution and of its gradient-boosted trees."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AttributionSettings:
    """Settings of an attribution; the defaults are explained in docs/attribution.md#settings.

    Attributes:
        estimator: "exact" (GradientBoostingRegressor), "histogram" (HistGradientBoostingRegressor) or "auto": exact up
            to 3000 cells.
        n_estimators: trees.
        learning_rate: how much of each tree is taken.
        max_depth: of a tree.
        min_samples_leaf: cells in a leaf, at least.
        subsample: share of the cells that a tree sees; exact only.
        max_features: share of the predictors that a split may choose from.
        folds: of the cross-validations.
        block_degrees: side of the blocks of the spatially blocked one.
        convergence: "mask" leaves out cells whose members disagree (rCV above the limit), "weight" gives each the
            Tukey biweight of rCV / limit (0 beyond it), "none" takes all.
        rcv_limit: robust coefficient of variation of the members up to which a cell has converged.
        shap: "path" (path-dependent) or "interventional" (200 background cells).
        dependence_predictors: how many of the most important get a dependence curve.
        bootstrap: resamples of the cells behind the bands of dependence curves and breakpoints; 0 for none.
        lowess_fraction: share of the points in a LOWESS window.
        explained_cells: the final model's SHAP is over all cells up to this many, then over an even draw.
        partition: whether the explained variance is shared out among the groups of predictors.
        log: names of the targets that are modelled on the logarithmic scale.
        seed: of all chance.
        workers: processes; 0 for one a core.
    """

    estimator: str = "auto"
    n_estimators: int = 500
    learning_rate: float = 0.05
    max_depth: int = 4
    min_samples_leaf: int = 10
    subsample: float = 0.8
    max_features: float = 0.5
    folds: int = 5
    block_degrees: float = 5.0
    convergence: str = "mask"
    rcv_limit: float = 0.3
    shap: str = "path"
    dependence_predictors: int = 8
    bootstrap: int = 100
    lowess_fraction: float = 0.3
    explained_cells: int = 10_000
    partition: bool = True
    log: tuple[str, ...] = ()
    seed: int = 0
    workers: int = 0
