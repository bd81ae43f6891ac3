"""A cascade of boosted trees: each layer also sees what the one before predicts of towers it was not fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np

from phloem.analysis.upscaling import boosted_trees
from phloem.analysis.upscaling.upscaling_settings import TreeOptions
from phloem.errors import InputError

REGRESSORS = 5
"""Regressors of a layer (uflux.md section 10.4)."""
MAX_LAYERS = 10
PATIENCE = 3
"""Layers without improvement out of fold after which no further one is fitted."""
FOLDS = 3
"""Groups of towers of the predictions out of fold; a regressor is as many models."""


class CascadeTrees:
    """Layers of trees up to the best one.

    Attributes:
        layers: models by layer, regressor, fold.
        scores: mean squared error out of fold of every layer that was fitted, the dropped ones too.
    """

    kind = "cascade"

    def __init__(self, layers: list[list[list[boosted_trees.GradientTrees]]], scores: list[float]) -> None:
        self.layers, self.scores = layers, scores

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the mean over the regressors of the last layer, float32 (rows,)."""
        outputs = np.empty((len(x), 0), dtype=np.float32)
        for layer in self.layers:
            table = np.concatenate([x, outputs], axis=1)
            outputs = np.stack([_mean([model.predict(table) for model in folds]) for folds in layer], axis=1)
        return _mean(list(outputs.T))

    def to_bytes(self) -> bytes:
        """Return the model as bytes."""
        return boosted_trees.packed({boosted_trees.KIND: np.asarray(self.kind), **self.arrays()})

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what makes the model up, by name."""
        flat = {
            f"{i}_{j}_{k}": model.arrays()["model"]
            for i, layer in enumerate(self.layers)
            for j, folds in enumerate(layer)
            for k, model in enumerate(folds)
        }
        shape = (len(self.layers), len(self.layers[0]), len(self.layers[0][0]))
        return {"shape": np.asarray(shape), "scores": np.asarray(self.scores), **flat}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> CascadeTrees:
        """Return the model of what `arrays` returned."""
        layers, regressors, folds = map(int, arrays["shape"])
        read = boosted_trees.GradientTrees.from_arrays
        return cls(
            [
                [[read({"model": arrays[f"{i}_{j}_{k}"]}) for k in range(folds)] for j in range(regressors)]
                for i in range(layers)
            ],
            arrays["scores"].tolist(),
        )


def fit_cascade(
    x: np.ndarray,
    y: np.ndarray,
    group: np.ndarray,
    options: TreeOptions,
    seed: int,
    monotone: list[int] | None = None,
    *,
    regressors: int = REGRESSORS,
    max_layers: int = MAX_LAYERS,
    patience: int = PATIENCE,
) -> CascadeTrees:
    """Fit a cascade; all rows of a group, a tower, are on one side of every split.

    Args:
        x: predictors, float32 (rows, predictors), NaN where missing.
        y: to be predicted, float64 (rows,).
        group: tower of each row, int64 (rows,).
        options: of each regressor.
        seed: of folds and subsamples.
        monotone: -1, 0, 1 for each predictor; what earlier layers predict is never constrained.
        regressors: of a layer.
        max_layers: that are fitted.
        patience: layers in a row without a smaller error out of fold after which no further layer is fitted.

    Raises:
        InputError: fewer groups than folds.
    """
    groups, member = np.unique(group, return_inverse=True)
    if len(groups) < FOLDS:
        raise InputError(f"the cascade splits towers into {FOLDS} folds; the rows are of {len(groups)} towers")
    draw = np.random.default_rng(seed)
    fold = draw.permutation(np.arange(len(groups)) % FOLDS)[member]
    layers: list[list[list[boosted_trees.GradientTrees]]] = []
    scores: list[float] = []
    outputs = np.empty((len(y), 0), dtype=np.float32)
    while len(layers) < max_layers and len(scores) - _best(scores) < patience:
        table = np.concatenate([x, outputs], axis=1)
        directions = None if monotone is None else [*monotone, *[0] * outputs.shape[1]]
        outputs = np.empty((len(y), regressors), dtype=np.float32)
        layer: list[list[boosted_trees.GradientTrees]] = []
        for j in range(regressors):
            models: list[Any] = []
            for k in range(FOLDS):
                at = int(draw.integers(2**31))
                model = boosted_trees.fit_trees(table[fold != k], y[fold != k], options, "xgboost", at, directions)
                outputs[fold == k, j] = model.predict(table[fold == k])
                models.append(model)
            layer.append(models)
        layers.append(layer)
        scores.append(float(np.mean((y - outputs.mean(axis=1, dtype=np.float64)) ** 2)))
    return CascadeTrees(layers[: _best(scores)], scores)


def _best(scores: list[float]) -> int:
    """Return how many layers there are up to the best one."""
    return int(np.argmin(scores)) + 1 if scores else 0


def _mean(predictions: list[np.ndarray]) -> np.ndarray:
    """Return the mean of predictions, added up in their order in double precision, float32 (rows,)."""
    return np.asarray(np.mean(np.stack(predictions, axis=1), axis=1, dtype=np.float64), dtype=np.float32)
