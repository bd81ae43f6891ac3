"""Gradient-boosted trees: fits, scores on unseen cells, and explanations (docs/attribution.md).

Friedman 2001, doi:10.1214/aos/1013203451; tree SHAP: Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shap
from sklearn import metrics
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor

if TYPE_CHECKING:
    from phloem.analysis.trees.settings import AttributionSettings

EXACT_CELLS = 3000
"""Cells up to which `auto` takes the exact estimator."""

BINS = 255
"""Of the histogram estimator."""

BACKGROUND = 200
"""Cells of the background of interventional SHAP."""


@dataclass(frozen=True)
class Sample:
    """Data that a model is fitted to.

    Attributes:
        x: (cells, predictors), all finite.
        y: (cells,).
        weights: (cells,), above 0.
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray

    def subset(self, cells: np.ndarray) -> Sample:
        """Return some of the cells: indices or a mask."""
        return Sample(self.x[cells], self.y[cells], self.weights[cells])

    def columns(self, which: np.ndarray | list[int]) -> Sample:
        """Return the same cells with some of the predictors."""
        return Sample(self.x[:, which], self.y, self.weights)


@dataclass(frozen=True)
class ValidationScores:
    """Scores of held-out cells: over all of them together, and mean and standard deviation (ddof 1) over the folds."""

    r2: float
    rmse: float
    r2_mean: float
    r2_sd: float
    rmse_mean: float
    rmse_sd: float


@dataclass(frozen=True)
class Validation:
    """Predictions of cells by models that had not seen them, with their scores.

    Attributes:
        predicted: (cells,), each by the model of the folds that it is not in.
        r2: 1 - SSE / SST over all cells together, the headline.
        rmse: over all cells together, in the unit of the target.
        r2_folds, rmse_folds: (folds,) of each fold alone.
    """

    predicted: np.ndarray
    r2: float
    rmse: float
    r2_folds: np.ndarray
    rmse_folds: np.ndarray

    def scores(self) -> ValidationScores:
        """Return the pooled scores, and those over the folds."""
        return ValidationScores(
            r2=self.r2,
            rmse=self.rmse,
            r2_mean=float(self.r2_folds.mean()),
            r2_sd=float(self.r2_folds.std(ddof=1)),
            rmse_mean=float(self.rmse_folds.mean()),
            rmse_sd=float(self.rmse_folds.std(ddof=1)),
        )


def in_single_precision(x: np.ndarray) -> np.ndarray:
    """Return predictors as float64 that float32 holds too; what models are fitted to.

    Interventional SHAP keeps thresholds in float32 (shap 0.51), and those of the histogram estimator are values of
    cells: rounded, they would send these cells the other way, and phi would not add up (off by 0.5 of a prediction).
    """
    return x.astype(np.float32).astype(np.float64)


def in_bins(x: np.ndarray) -> np.ndarray:
    """Return predictors with 255 distinct values at most, the means of equally full bins.

    The histogram estimator puts values into so many bins anyway. Where cells have weights, scikit-learn 1.9 finds each
    border by sorting all cells anew, which takes ten times as long as the trees; of 255 values it takes them as they
    are.
    """
    binned = x.copy()
    for column in binned.T:
        if np.unique(column).size > BINS:
            borders = np.quantile(column, np.arange(1, BINS) / BINS)
            place = np.searchsorted(borders, column, side="right")
            count = np.bincount(place)
            column[:] = (np.bincount(place, column) / np.maximum(count, 1))[place]
    return binned


def choose_estimator(settings: AttributionSettings, cells: int) -> str:
    """Return "exact" or "histogram"."""
    if settings.estimator == "auto":
        return "exact" if cells <= EXACT_CELLS else "histogram"
    return settings.estimator


def fit(sample: Sample, settings: AttributionSettings, estimator: str, seed: int) -> Any:
    """Fit one model.

    Args:
        sample: cells.
        settings: the hyper-parameters; `subsample` only holds for the exact estimator.
        estimator: "exact" or "histogram".
        seed: of the draws of cells and predictors.
    """
    shared = {
        "learning_rate": settings.learning_rate,
        "max_depth": settings.max_depth,
        "min_samples_leaf": settings.min_samples_leaf,
        "max_features": settings.max_features,
        "random_state": seed,
    }
    if estimator == "exact":
        model = GradientBoostingRegressor(n_estimators=settings.n_estimators, subsample=settings.subsample, **shared)
    else:
        # By itself it would stop early from 10,000 cells on, and so be another model there.
        model = HistGradientBoostingRegressor(
            max_iter=settings.n_estimators, early_stopping=False, max_leaf_nodes=None, **shared
        )
    even = bool(np.all(sample.weights == sample.weights[0]))
    return model.fit(sample.x, sample.y, sample_weight=None if even else sample.weights)


def r2_score(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
    """Return 1 - SSE / SST about the (weighted) mean; NaN where y is constant."""
    return float(metrics.r2_score(y, predicted, sample_weight=weights)) if np.ptp(y) > 0 else float("nan")


def random_folds(cells: int, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each cell (cells,): shuffled, sizes that differ by one at most.

    KFold(shuffle=True) of scikit-learn cuts another permutation: other folds, and so other scores, of the same seed.
    """
    return rng.permutation(np.arange(cells) % folds)


def blocks_of(latitude: np.ndarray, longitude: np.ndarray, degrees: float) -> np.ndarray:
    """Return which block each cell is in (cells,), counted from 0: boxes of so many degrees from 90 S and 180 W on."""
    rows = np.floor((latitude + 90.0) / degrees + 1e-9).astype(np.int64)
    columns = np.floor(np.mod(longitude + 180.0, 360.0) / degrees + 1e-9).astype(np.int64)
    return np.unique(rows * 1_000_000 + columns, return_inverse=True)[1].reshape(-1)


def blocked_folds(blocks: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Deal whole blocks to folds: the largest first, each to the fold with the fewest cells; equals in random order.

    GroupKFold of scikit-learn deals so too, but without chance among equal blocks (which most of a grid are), or, with
    shuffle=True, without regard to their sizes.

    Args:
        blocks: (cells,) as `blocks_of` returns them, at least as many blocks as folds.
        folds: how many.
        rng: source of chance.

    Returns:
        The fold of each cell, (cells,).
    """
    sizes = np.bincount(blocks)
    order = rng.permutation(sizes.size)
    order = order[np.argsort(-sizes[order], kind="stable")]
    held = np.zeros(folds, np.int64)
    fold = np.empty(sizes.size, np.int64)
    for block in order:
        fold[block] = np.argmin(held)
        held[fold[block]] += sizes[block]
    return fold[blocks]


def cross_validate(
    sample: Sample, fold: np.ndarray, settings: AttributionSettings, estimator: str, seed: int
) -> Validation:
    """Predict each fold by a model of all others.

    Args:
        sample: cells.
        fold: (cells,) which fold each is in, counted from 0; none is empty.
        settings: the hyper-parameters.
        estimator: "exact" or "histogram".
        seed: of the fits.
    """
    predicted = np.empty(sample.y.size)
    count = int(fold.max()) + 1
    r2, rmse = np.empty(count), np.empty(count)
    for number in range(count):
        held = fold == number
        model = fit(sample.subset(~held), settings, estimator, seed + number)
        predicted[held] = model.predict(sample.x[held])
        part, weights = sample.y[held], sample.weights[held]
        r2[number] = r2_score(part, predicted[held], weights)
        rmse[number] = np.sqrt(np.average((part - predicted[held]) ** 2, weights=weights))
    return Validation(
        predicted=predicted,
        r2=r2_score(sample.y, predicted, sample.weights),
        rmse=float(np.sqrt(np.average((sample.y - predicted) ** 2, weights=sample.weights))),
        r2_folds=r2,
        rmse_folds=rmse,
    )


def explain(model: Any, x: np.ndarray, background: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Compute exact SHAP values of a tree model.

    Args:
        model: from `fit`.
        x: (cells, predictors) what to explain.
        background: (cells, predictors) for interventional SHAP; without it the path-dependent one.

    Returns:
        phi (cells, predictors) in the unit of the model, and the expected value: they add up to the prediction.
    """
    if background is None:
        explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    else:
        explainer = shap.TreeExplainer(model, data=background, feature_perturbation="interventional")
    phi = np.asarray(explainer.shap_values(x, check_additivity=False), dtype=np.float64)
    return phi, float(np.ravel(explainer.expected_value)[0])


def mean_effect(phi: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean over cells of |phi| (predictors,)."""
    return np.asarray(np.average(np.abs(phi), axis=0, weights=weights))


def to_shares(effects: np.ndarray) -> np.ndarray:
    """Return effects (..., predictors) as per cent of their sum; zeros where that is zero."""
    total = effects.sum(axis=-1, keepdims=True)
    return np.asarray(100.0 * effects / np.where(total > 0.0, total, 1.0))
