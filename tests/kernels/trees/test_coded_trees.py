"""Coded trees give the bits of the library whose trees they are, with missing values, ties and odd numbers of rows."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.analysis.upscaling.boosted_trees import MANY_ROWS, GradientTrees, coded_booster, fit_trees
from phloem.analysis.upscaling.upscaling_settings import TreeOptions
from phloem.kernels.trees.coded_trees import TreeNodes, code_trees


def fitted(depth: int, trees: int = 30, rows: int = 3000, missing: float = 0.1) -> GradientTrees:
    draw = np.random.default_rng(depth)
    x = draw.normal(size=(rows, 7)).astype(np.float32)
    x[:, 6] = np.round(x[:, 6])
    x[draw.random(x.shape) < missing] = np.nan
    known = np.nan_to_num(x)
    y = known[:, 0] * known[:, 1] + np.sin(3 * known[:, 2]) + np.isnan(x[:, 3]) + 0.1 * draw.normal(size=rows)
    model = fit_trees(x, y, TreeOptions(trees=trees, depth=depth), "xgboost", 1)
    assert isinstance(model, GradientTrees)
    return model


@pytest.mark.parametrize("depth", [1, 3, 6])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_bits_are_those_of_the_library(depth: int, missing: float) -> None:
    model = fitted(depth, missing=missing)
    coded = coded_booster(model.booster)
    assert coded is not None
    draw = np.random.default_rng(5)
    x = (2 * draw.normal(size=(1000, 7))).astype(np.float32)
    x[draw.random(x.shape) < 0.2] = np.nan
    x[::9, 1], x[::7, 2] = np.inf, -np.inf
    used = coded.tables[np.isfinite(coded.tables)]
    x[:, 0] = np.resize(used, 1000)  # rows that stand exactly at thresholds
    np.testing.assert_array_equal(coded.predict(x), model.booster.inplace_predict(x))


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(0, 200), first=st.integers(0, 150))
def test_a_row_has_the_same_bits_wherever_it_stands(rows: int, first: int) -> None:
    coded = _CODED
    x = np.random.default_rng(2).normal(size=(400, 7)).astype(np.float32)
    np.testing.assert_array_equal(coded.predict(x[first : first + rows]), coded.predict(x)[first : first + rows])


_CODED = coded_booster(fitted(6, trees=10).booster)


def test_many_rows_and_few_are_predicted_alike() -> None:
    model = fitted(6)
    x = np.random.default_rng(3).normal(size=(MANY_ROWS + 11, 7)).astype(np.float32)
    few = np.concatenate([model.predict(part) for part in np.array_split(x, 3)])
    np.testing.assert_array_equal(model.predict(x), few)
    assert model.coded is not None


def test_deeper_trees_and_too_many_thresholds_stay_with_the_library() -> None:
    assert coded_booster(fitted(8).booster) is None
    draw = np.random.default_rng(1)
    x = draw.normal(size=(4000, 1)).astype(np.float32)
    options = {"tree_method": "exact", "max_depth": 6, "nthread": 1}
    booster = xgboost.train(options, xgboost.DMatrix(x, draw.normal(size=4000)), 60)
    assert coded_booster(booster) is None
    model = GradientTrees(booster)
    many = np.resize(x, (MANY_ROWS, 1))
    np.testing.assert_array_equal(model.predict(many), booster.inplace_predict(many))


def test_a_single_leaf_and_an_uneven_tree_are_laid_out() -> None:
    leaf = TreeNodes(*(np.array([one]) for one in (-1, -1, 0)), np.array([2.5], np.float32), np.array([False]))
    uneven = TreeNodes(
        left=np.array([1, -1, 3, -1, -1]),
        right=np.array([2, -1, 4, -1, -1]),
        feature=np.array([1, 0, 0, 0, 0]),
        value=np.array([0.0, 10.0, 5.0, 20.0, 30.0], np.float32),
        missing_left=np.array([True, False, False, False, False]),
    )
    coded = code_trees([leaf, uneven], 2, 1.0)
    assert coded is not None
    nan = np.nan
    x = np.array([[9, -1], [4, 0], [5, 0], [nan, 3], [4, nan]], np.float32)
    np.testing.assert_array_equal(coded.predict(x), np.array([13.5, 23.5, 33.5, 33.5, 13.5], np.float32))
    with pytest.raises(ValueError, match="2"):
        coded.predict(x[:, :1])
