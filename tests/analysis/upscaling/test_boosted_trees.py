"""Trees of both libraries: missing values, bytes, directions, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.analysis.upscaling.boosted_trees import fit_each, fit_trees, packed, trees_from_bytes
from phloem.analysis.upscaling.upscaling_settings import TreeOptions
from phloem.errors import InputError

OPTIONS = TreeOptions(trees=40, depth=4, learning_rate=0.2, bins=64)
LEARNERS = ("xgboost", "histogram")


def table(rows: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, 5)).astype(np.float32)
    y = 2.0 * x[:, 0] + np.where(x[:, 1] > 0.0, 3.0, 0.0)
    x[draw.random(x.shape) < 0.2] = np.nan
    return x, y.astype(np.float64)


@pytest.mark.parametrize("learner", LEARNERS)
def test_trees_learn_through_missing_values(learner: str) -> None:
    x, y = table()
    new, truth = table(300, 1)
    predicted = fit_trees(x, y, OPTIONS, learner, 0).predict(new)
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    assert np.mean((predicted - truth) ** 2) < 0.4 * truth.var()


@pytest.mark.parametrize("learner", LEARNERS)
def test_trees_from_bytes_predict_the_same_bits(learner: str) -> None:
    x, y = table()
    new = np.concatenate([table(200, 2)[0], np.full((1, 5), np.nan, np.float32)])
    fitted = fit_trees(x, y, OPTIONS, learner, 0)
    saved = fitted.to_bytes()
    read = trees_from_bytes(saved)
    assert read.predict(new).tobytes() == fitted.predict(new).tobytes()
    assert read.to_bytes() == saved


@pytest.mark.parametrize("learner", LEARNERS)
def test_prediction_of_a_row_does_not_depend_on_the_rows_beside_it(learner: str) -> None:
    x, y = table()
    fitted = fit_trees(x, y, OPTIONS, learner, 0)
    alone = np.concatenate([fitted.predict(x[i : i + 1]) for i in range(40)])
    assert alone.tobytes() == fitted.predict(x[:40]).tobytes()


def test_histogram_trees_predict_what_the_library_predicts() -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, y = table()
    model = HistGradientBoostingRegressor(
        max_iter=40, max_depth=4, max_leaf_nodes=16, learning_rate=0.2, min_samples_leaf=4, l2_regularization=1.0,
        max_features=0.8, max_bins=64, early_stopping=False, random_state=3,
    ).fit(x.astype(np.float64), y)  # fmt: skip
    ours = fit_trees(x, y, OPTIONS, "histogram", 3).predict(x)
    np.testing.assert_allclose(ours, model.predict(x.astype(np.float64)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("learner", LEARNERS)
def test_models_fitted_together_are_those_fitted_one_by_one(learner: str) -> None:
    x, y = table()
    together = fit_each(x, {"a": y, "b": -y}, OPTIONS, learner, 5)
    assert together["a"].to_bytes() == fit_trees(x, y, OPTIONS, learner, 5).to_bytes()
    assert together["b"].to_bytes() == fit_trees(x, -y, OPTIONS, learner, 5).to_bytes()


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("direction", [1, -1])
def test_directions_hold_on_a_grid(learner: str, direction: int) -> None:
    draw = np.random.default_rng(0)
    x = draw.uniform(-2.0, 2.0, (400, 2)).astype(np.float32)
    y = np.sin(3.0 * x[:, 0]) + x[:, 1] + draw.normal(0.0, 0.3, 400)
    free, bound = (fit_trees(x, y, OPTIONS, learner, 0, monotone) for monotone in (None, [direction, 0]))
    a, b = np.meshgrid(np.linspace(-2.5, 2.5, 60), np.linspace(-2.5, 2.5, 11), indexing="ij")
    grid = np.stack([a.ravel(), b.ravel()], axis=1).astype(np.float32)
    assert (direction * np.diff(bound.predict(grid).reshape(60, 11), axis=0) >= 0.0).all()
    assert (direction * np.diff(free.predict(grid).reshape(60, 11), axis=0) < 0.0).any()


@pytest.mark.parametrize("learner", LEARNERS)
def test_rows_of_no_weight_count_less_than_others(learner: str) -> None:
    x, y = table()
    planted = np.where(np.arange(len(y)) < 50, 1e4, y)
    weight = np.where(np.arange(len(y)) < 50, 1e-9, 1.0)
    heavy, light = (fit_trees(x, planted, OPTIONS, learner, 0, weight=w).predict(x[50:]) for w in (None, weight))
    assert np.abs(light).max() < 30.0 < np.abs(heavy).max()


def test_values_that_are_not_finite_and_unknown_learners_are_refused() -> None:
    x, y = table(20)
    for wrong in (np.where(np.arange(20) == 3, np.nan, y), np.where(np.arange(20) == 3, np.inf, y)):
        with pytest.raises(InputError, match="19 of 20"):
            fit_trees(x, wrong, OPTIONS, "xgboost", 0)
    with pytest.raises(InputError, match="0 of 0"):
        fit_trees(x[:0], y[:0], OPTIONS, "histogram", 0)
    with pytest.raises(InputError, match="'forest'"):
        fit_trees(x, y, OPTIONS, "forest", 0)


def test_damaged_or_strange_bytes_are_refused() -> None:
    saved = fit_trees(*table(60), OPTIONS, "xgboost", 0).to_bytes()
    for damaged in (saved[: len(saved) // 2], b"", b"nothing of the kind"):
        with pytest.raises(InputError, match="cannot be read"):
            trees_from_bytes(damaged)
    with pytest.raises(InputError, match="kind 'oak'"):
        trees_from_bytes(packed({"kind": np.asarray("oak")}))
