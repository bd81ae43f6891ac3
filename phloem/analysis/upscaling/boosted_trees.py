"""Gradient-boosted trees of xgboost and of scikit-learn behind one interface; both read missing values."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from phloem.analysis.upscaling.upscaling_settings import TreeOptions
from phloem.errors import InputError
from phloem.kernels.trees.coded_trees import CodedTrees, TreeNodes, can_compile, code_trees

KIND = "kind"
"""Array of a saved model that names the class of trees."""


MANY_ROWS = 4096
"""Rows from which on trees are brought to the form in which they take an eighth of the time."""


class FittedTrees(Protocol):
    """A fitted model: the same table gives the same bits, before and after it was saved."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return predictions, float32 (rows,), of predictors, float32 (rows, predictors), NaN where missing."""

    def to_bytes(self) -> bytes:
        """Return the model as bytes that `trees_from_bytes` reads."""


class GradientTrees:
    """Trees of xgboost.

    Attributes:
        booster: `xgboost.Booster`.
    """

    kind = "xgboost"

    def __init__(self, booster: Any) -> None:
        self.booster = booster
        booster.set_param({"nthread": 1})

    @cached_property
    def coded(self) -> CodedTrees | None:
        """The same trees in the form that very many rows are predicted by, with the same bits; None where they have no
        such form or there is no compiler.
        """
        return coded_booster(self.booster) if can_compile() else None

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return predictions, float32 (rows,)."""
        if len(x) >= MANY_ROWS and self.coded is not None:
            return self.coded.predict(x)
        return np.asarray(self.booster.inplace_predict(np.ascontiguousarray(x, dtype=np.float32)), dtype=np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what makes the model up, by name."""
        return {"model": np.frombuffer(zlib.compress(bytes(self.booster.save_raw("ubj")), 6), dtype=np.uint8)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> GradientTrees:
        """Return the model of what `arrays` returned."""
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(bytearray(zlib.decompress(arrays["model"].tobytes())))
        return cls(booster)

    def to_bytes(self) -> bytes:
        """Return the model as bytes."""
        return packed({KIND: np.asarray(self.kind), **self.arrays()})


def coded_booster(booster: Any) -> CodedTrees | None:
    """Return the trees of a booster in coded form; None where they have none.

    Args:
        booster: `xgboost.Booster` of squared errors.
    """
    model = json.loads(bytes(booster.save_raw("json")))["learner"]
    trees = model["gradient_booster"]["model"]["trees"]
    if any(tree["categories"] for tree in trees):
        return None
    nodes = [
        TreeNodes(
            left=np.array(tree["left_children"]),
            right=np.array(tree["right_children"]),
            feature=np.array(tree["split_indices"]),
            value=np.array(tree["split_conditions"], np.float32),
            missing_left=np.array(tree["default_left"], bool),
        )
        for tree in trees
    ]
    start = np.float32(model["learner_model_param"]["base_score"].strip("[]"))
    return code_trees(nodes, booster.num_features(), float(start))


class HistogramTrees:
    """Histogram trees of scikit-learn, as tables of their nodes.

    Attributes:
        start: prediction before any tree.
        nodes: of all trees, one below the other, in scikit-learn's layout.
        lengths: nodes of each tree, int64 (trees,).
    """

    kind = "histogram"

    def __init__(self, start: float, nodes: np.ndarray, lengths: np.ndarray) -> None:
        self.start, self.nodes, self.lengths = start, nodes, lengths

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return predictions, float32 (rows,)."""
        from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

        values = np.ascontiguousarray(x, dtype=np.float64)
        total = np.full(len(values), self.start)
        no_category = np.zeros((0, 8), dtype=np.uint32)
        for nodes in np.split(self.nodes, np.cumsum(self.lengths)[:-1]):
            tree = TreePredictor(nodes, no_category, no_category)
            total += tree.predict(values, no_category, np.zeros(values.shape[1], dtype=np.uint32), 1)
        return total.astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what makes the model up, by name."""
        fields = {f"node_{name}": self.nodes[name] for name in self.nodes.dtype.names or ()}
        return {"start": np.asarray(self.start), "lengths": self.lengths, **fields}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> HistogramTrees:
        """Return the model of what `arrays` returned."""
        from sklearn.ensemble._hist_gradient_boosting.predictor import PREDICTOR_RECORD_DTYPE

        lengths = arrays["lengths"]
        nodes = np.zeros(int(lengths.sum()), dtype=PREDICTOR_RECORD_DTYPE)
        for name in PREDICTOR_RECORD_DTYPE.names:
            nodes[name] = arrays[f"node_{name}"]
        return cls(float(arrays["start"]), nodes, lengths)

    def to_bytes(self) -> bytes:
        """Return the model as bytes."""
        return packed({KIND: np.asarray(self.kind), **self.arrays()})


def fit_trees(
    x: np.ndarray,
    y: np.ndarray,
    options: TreeOptions,
    learner: str,
    seed: int,
    monotone: Sequence[int] | None = None,
    weight: np.ndarray | None = None,
) -> FittedTrees:
    """Fit boosted trees on one thread; the same input and seed give the same bits in any process.

    Args:
        x: predictors, float32 (rows, predictors), NaN where missing.
        y: to be predicted, float64 (rows,).
        options: size and shrinkage.
        learner: "xgboost" or "histogram".
        seed: of the subsamples.
        monotone: -1, 0, 1 for each predictor: the direction that is imposed.
        weight: of the rows, (rows,).

    Raises:
        InputError: no rows, values that are not finite, a learner that is none of these.
    """
    return fit_each(x, {"y": y}, options, learner, seed, monotone, weight)["y"]


def fit_each(
    x: np.ndarray,
    targets: dict[str, np.ndarray],
    options: TreeOptions,
    learner: str,
    seed: int,
    monotone: Sequence[int] | None = None,
    weight: np.ndarray | None = None,
) -> dict[str, FittedTrees]:
    """Fit one model a target to the same rows, whose predictors are cut into bins once; else as `fit_trees`."""
    for y in targets.values():
        if len(y) == 0 or not np.isfinite(y).all():
            raise InputError(f"trees need rows with finite values to be fitted to: {np.isfinite(y).sum()} of {len(y)}")
    if learner == "xgboost":
        return {**_fit_gradient(x, targets, options, seed, monotone, weight)}
    if learner == "histogram":
        return {name: _fit_histogram(x, y, options, seed, monotone, weight) for name, y in targets.items()}
    raise InputError(f"learner {learner!r} is not of trees: xgboost, histogram")


def _fit_gradient(
    x: np.ndarray,
    targets: dict[str, np.ndarray],
    options: TreeOptions,
    seed: int,
    monotone: Sequence[int] | None,
    weight: np.ndarray | None,
) -> dict[str, GradientTrees]:
    """Fit trees of xgboost."""
    import xgboost

    data = xgboost.QuantileDMatrix(
        np.ascontiguousarray(x, dtype=np.float32), weight=weight, max_bin=options.bins, nthread=1
    )
    parameters = {
        "objective": "reg:squarederror",
        "tree_method": "hist",
        "max_depth": options.depth,
        "eta": options.learning_rate,
        "min_child_weight": options.min_child_weight,
        "subsample": options.subsample,
        "colsample_bytree": options.colsample,
        "lambda": options.l2,
        "max_bin": options.bins,
        "nthread": 1,
        "seed": seed,
        "verbosity": 0,
    }
    if monotone is not None and any(monotone):
        parameters["monotone_constraints"] = "(" + ",".join(map(str, monotone)) + ")"
    fitted = {}
    for name, y in targets.items():
        data.set_label(y)
        fitted[name] = GradientTrees(xgboost.train(parameters, data, options.trees))
    return fitted


def _fit_histogram(
    x: np.ndarray,
    y: np.ndarray,
    options: TreeOptions,
    seed: int,
    monotone: Sequence[int] | None,
    weight: np.ndarray | None,
) -> HistogramTrees:
    """Fit histogram trees of scikit-learn."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingRegressor(
        max_iter=options.trees,
        max_depth=options.depth,
        max_leaf_nodes=2**options.depth,
        learning_rate=options.learning_rate,
        min_samples_leaf=max(int(options.min_child_weight), 1),
        l2_regularization=options.l2,
        max_features=options.colsample,
        max_bins=min(options.bins, 255),
        monotonic_cst=None if monotone is None else list(monotone),
        early_stopping=False,
        random_state=seed,
    )
    # The order of sums, and with it the last bits, would follow the number of threads.
    with threadpool_limits(1):
        model.fit(np.asarray(x, dtype=np.float64), y, sample_weight=weight)
    trees = [trees_of_step[0].nodes for trees_of_step in model._predictors]
    lengths = np.asarray([len(nodes) for nodes in trees], dtype=np.int64)
    return HistogramTrees(float(np.ravel(model._baseline_prediction)[0]), np.concatenate(trees), lengths)


def trees_from_bytes(saved: bytes) -> FittedTrees:
    """Return the model that `to_bytes` of any fitted trees returned.

    Raises:
        InputError: the bytes are of no such model.
    """
    from phloem.analysis.upscaling.cascade import CascadeTrees

    arrays = unpacked(saved)
    kinds: dict[str, Any] = {cls.kind: cls for cls in (GradientTrees, HistogramTrees, CascadeTrees)}
    kind = str(arrays.pop(KIND, ""))
    if kind not in kinds:
        raise InputError(f"the saved model is of kind {kind!r}, none of {', '.join(kinds)}")
    model: FittedTrees = kinds[kind].from_arrays(arrays)
    return model


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """Return arrays as the bytes of a compressed npz; the same arrays give the same bytes."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def unpacked(saved: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of `packed`.

    Raises:
        InputError: the bytes are no such file, or damaged.
    """
    try:
        with np.load(io.BytesIO(saved), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception as error:
        raise InputError(f"the bytes of a saved model cannot be read ({error})") from error
