"""Shares of variables by SHAP: additivity with xgboost, classes together, groups, members with fewer predictors."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xgboost
from sklearn.ensemble import HistGradientBoostingRegressor

from phloem.analysis.flux_drivers.flux_importance import explainable_trees, flux_importance, variable_of
from phloem.analysis.trees.boosting import explain
from phloem.errors import InputError

NAMES = ["TA", "SWIN", "igbp_DBF", "igbp_ENF", "noise"]


def table(seed: int = 0, rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 5))
    x[:, 2] = rng.random(rows) < 0.5
    x[:, 3] = 1 - x[:, 2]
    y = 3 * x[:, 0] + x[:, 1] + x[:, 2]
    x[rng.random(rows) < 0.1, 1] = np.nan
    return x, y


def fitted(x: np.ndarray, y: np.ndarray, seed: int = 0) -> xgboost.XGBRegressor:
    model = xgboost.XGBRegressor(n_estimators=60, max_depth=4, subsample=0.8, random_state=seed, n_jobs=1)
    return model.fit(x, y)


def test_shap_values_of_xgboost_add_up_to_the_prediction_with_missing_values_too() -> None:
    x, y = table()
    model = fitted(x, y)
    phi, expected = explain(model, x)
    assert np.isnan(x).any()
    assert phi.sum(axis=1) + expected == pytest.approx(model.predict(x), abs=2e-4)


def test_shares_are_led_by_what_made_the_data_and_sum_to_100() -> None:
    x, y = table()
    found = flux_importance([fitted(x, y, seed) for seed in range(3)], x, NAMES)
    assert found.variables[:2] == ("TA", "SWIN")
    assert set(found.variables) == {"TA", "SWIN", "igbp", "noise"}
    assert found.shares.sum() == pytest.approx(100)
    assert found.shares[0] > 60
    assert (found.spread > 0).any()


def test_classes_of_one_variable_are_summed_before_their_size_is_taken() -> None:
    x, y = table()
    model = fitted(x, y)
    phi, _ = explain(model, x)
    sizes = np.abs(np.column_stack([phi[:, 0], phi[:, 1], phi[:, 2] + phi[:, 3], phi[:, 4]])).mean(axis=0)
    found = flux_importance([model], x, NAMES)
    shares = dict(zip(found.variables, found.shares.tolist(), strict=True))
    assert shares["igbp"] == pytest.approx(100 * sizes[2] / sizes.sum())
    assert [variable_of(name) for name in ("igbp_ENF", "koppen_3", "TA", "VPD_DAY", "igbp")] == [
        "igbp", "koppen", "TA", "VPD_DAY", "igbp"
    ]  # fmt: skip


def test_groups_hold_the_sums_of_their_variables() -> None:
    x, y = table()
    found = flux_importance([fitted(x, y)], x, NAMES, {"climate": ["TA", "SWIN"], "plants": ["igbp"]})
    shares = dict(zip(found.variables, found.shares.tolist(), strict=True))
    assert found.groups["climate"] == pytest.approx(shares["TA"] + shares["SWIN"])
    assert found.groups["other"] == pytest.approx(shares["noise"])
    assert sum(found.groups.values()) == pytest.approx(100)


def test_a_member_that_does_not_see_a_variable_gives_it_nothing() -> None:
    x, y = table()
    own = [NAMES, ["SWIN", "igbp_DBF", "igbp_ENF", "noise"]]
    models = [fitted(x, y), fitted(x[:, 1:], y)]
    both, first = flux_importance(models, x, own), flux_importance(models[:1], x, NAMES)
    share = dict(zip(both.variables, both.shares.tolist(), strict=True))["TA"]
    assert share == pytest.approx(0.5 * dict(zip(first.variables, first.shares.tolist(), strict=True))["TA"])


def test_histogram_trees_of_scikit_learn_are_explained_too() -> None:
    x, y = table()
    model = HistGradientBoostingRegressor(max_iter=40, random_state=0).fit(x, y)
    assert flux_importance([model], x, NAMES).variables[0] == "TA"


def test_trees_kept_as_a_booster_or_as_tables_are_explained_as_their_estimators_are() -> None:
    """As fitted models of a campaign are kept: `booster`; or `start`, `nodes` and `lengths`."""
    x, y = table()
    gradient, histogram = fitted(x, y), HistGradientBoostingRegressor(max_iter=40, random_state=0).fit(x, y)
    trees = [step[0].nodes for step in histogram._predictors]
    start = float(np.ravel(histogram._baseline_prediction)[0])
    kept = SimpleNamespace(start=start, nodes=np.concatenate(trees), lengths=np.array([len(one) for one in trees]))
    for model, estimator in ((SimpleNamespace(booster=gradient.get_booster()), gradient), (kept, histogram)):
        phi, expected = explain(explainable_trees(model), x)
        assert phi.sum(axis=1) + expected == pytest.approx(estimator.predict(x), abs=2e-4)
        np.testing.assert_allclose(phi, explain(estimator, x)[0], atol=1e-5)
        assert flux_importance([model], x, NAMES).variables[0] == "TA"


def test_a_cascade_is_refused() -> None:
    x, _ = table(rows=20)
    with pytest.raises(InputError, match="a cascade's trees are not explained"):
        flux_importance([SimpleNamespace(kind="cascade")], x, NAMES)


def test_what_does_not_fit_is_refused() -> None:
    x, y = table(rows=50)
    model = fitted(x, y)
    with pytest.raises(InputError, match="0 models and 50 rows"):
        flux_importance([], x, NAMES)
    with pytest.raises(InputError, match="4 names of columns; the rows have 5"):
        flux_importance([model], x, NAMES[:4])
    with pytest.raises(InputError, match="group climate: WIND is no variable; they are TA, SWIN, igbp, noise"):
        flux_importance([model], x, NAMES, {"climate": ["WIND"]})
