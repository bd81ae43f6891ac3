"""What drives predicted fluxes: shares of mean |SHAP value| by variable, exact for trees (uflux.md section 9)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.analysis.trees.boosting import explain, mean_effect, to_shares
from phloem.errors import InputError

CLASSES = re.compile(r"^(?P<variable>igbp|koppen)_[A-Za-z0-9]+$")
"""One column a class: igbp_DBF is of the variable igbp."""


@dataclass(frozen=True, eq=False)
class FluxImportance:
    """Shares of the variables.

    Attributes:
        variables: with the columns of one variable together, the most important first.
        shares: per cent of the sum of mean |phi|, mean over models, (variables,).
        spread: standard deviation over models (ddof 0), (variables,).
        groups: per cent by group, where groups were asked for.
        rows: explained.
    """

    variables: tuple[str, ...]
    shares: np.ndarray
    spread: np.ndarray
    groups: dict[str, float]
    rows: int

    def to_json(self) -> dict[str, Any]:
        """Return shares by variable and by group, per cent."""
        return {
            "shares": dict(zip(self.variables, self.shares.tolist(), strict=True)),
            "spread": dict(zip(self.variables, self.spread.tolist(), strict=True)),
            "groups": self.groups,
            "rows": self.rows,
        }


def variable_of(column: str) -> str:
    """Return the variable that a column is of: itself, or igbp of igbp_DBF."""
    match = CLASSES.match(column)
    return match["variable"] if match else column


def explainable_trees(model: Any) -> Any:
    """Return what the explainer takes: xgboost's booster, or the tables of scikit-learn's histogram trees.

    Args:
        model: an estimator of either library, a model with a `booster`, or one with `start`, `nodes` and `lengths`:
            the prediction before any tree, nodes of all trees one below the other in scikit-learn's layout, and how
            many each has.

    Raises:
        InputError: a cascade, whose later layers see predictions of the former, so that shares of drivers are not
            defined by its trees.
    """
    booster = getattr(model, "booster", None)  # the name of a booster in xgboost's own estimators
    if hasattr(booster, "save_raw"):
        return booster
    if hasattr(model, "nodes") and hasattr(model, "lengths"):
        trees = [_tree_table(nodes) for nodes in np.split(model.nodes, np.cumsum(model.lengths)[:-1])]
        return {"trees": trees, "base_offset": float(model.start), "input_dtype": np.float64}
    if getattr(model, "kind", "") == "cascade":
        raise InputError("importance: a cascade's trees are not explained; fit one boosted model")
    return model


def _tree_table(nodes: np.ndarray) -> dict[str, np.ndarray]:
    """Return one tree of scikit-learn's histogram trees in the explainer's words."""
    leaf = nodes["is_leaf"].astype(bool)
    left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
    return {
        "children_left": left,
        "children_right": right,
        "children_default": np.where(nodes["missing_go_to_left"].astype(bool), left, right),
        "features": np.where(leaf, -2, nodes["feature_idx"].astype(np.int64)),
        "thresholds": nodes["num_threshold"].astype(np.float64),
        "values": nodes["value"].astype(np.float64)[:, None],
        "node_sample_weight": nodes["count"].astype(np.float64),
    }


@dataclass(frozen=True, eq=False)
class VariableEffects:
    """What each variable of each row adds to the prediction of each model.

    Attributes:
        variables: with the columns of one variable together, in the order of the columns.
        phi: in the unit of the models, (models, rows, variables).
        expected: what each model predicts where nothing is known; with the sum of phi, its prediction, (models,).
    """

    variables: tuple[str, ...]
    phi: np.ndarray
    expected: np.ndarray


def variable_effects(
    models: Sequence[Any], x: np.ndarray, names: Sequence[str] | Sequence[list[str]]
) -> VariableEffects:
    """Explain models by exact tree SHAP values.

    Values of the columns of one variable are added row by row, so that what a class gives and another takes away
    cancels as it does in the prediction.

    Args:
        models: trees of xgboost or scikit-learn, the members of an ensemble; their own, or those that
            `explainable_trees` takes.
        x: what is explained, (rows, columns); missing values go as the models take them.
        names: of the columns; where members see different ones, the names of each.

    Raises:
        InputError: no models or rows, names that do not fit the columns, or a model whose trees are not explained.
    """
    if not len(models) or not len(x):
        raise InputError(f"importance: {len(models)} models and {len(x)} rows; at least one of each is due")
    shared = [one for one in names if isinstance(one, str)]
    of_models = [shared] * len(models) if shared else [list(one) for one in names]
    all_names = list(dict.fromkeys(name for own in of_models for name in own))
    if len(all_names) != x.shape[1] or len(of_models) != len(models):
        raise InputError(f"importance: {len(all_names)} names of columns; the rows have {x.shape[1]}")
    variables = list(dict.fromkeys(variable_of(name) for name in all_names))
    effects, expected = np.zeros((len(models), len(x), len(variables))), np.zeros(len(models))
    for number, (model, own) in enumerate(zip(models, of_models, strict=True)):
        phi, expected[number] = explain(
            explainable_trees(model), x[:, np.array([all_names.index(name) for name in own])]
        )
        for column, name in enumerate(own):
            effects[number, :, variables.index(variable_of(name))] += phi[:, column]
    return VariableEffects(tuple(variables), effects, expected)


def importance_of(effects: VariableEffects, groups: Mapping[str, Sequence[str]] | None = None) -> FluxImportance:
    """Return what each variable contributes.

    Args:
        effects: of the models.
        groups: variables by group; a variable in none is in "other".

    Raises:
        InputError: a group's variable that is none.
    """
    variables = effects.variables
    for group, members in (groups or {}).items():
        unknown = [name for name in members if name not in variables]
        if unknown:
            raise InputError(f"group {group}: {', '.join(unknown)} is no variable; they are {', '.join(variables)}")
    rows = effects.phi.shape[1]
    shares = to_shares(np.stack([mean_effect(one, np.ones(rows)) for one in effects.phi]))
    mean, spread = shares.mean(axis=0), shares.std(axis=0)
    order = np.argsort(-mean, kind="stable")
    of_group = {name: group for group, members in (groups or {}).items() for name in members}
    by_group: dict[str, float] = {}
    if groups:
        for name, share in zip(variables, mean.tolist(), strict=True):
            group = of_group.get(name, "other")
            by_group[group] = by_group.get(group, 0.0) + share
    return FluxImportance(tuple(variables[n] for n in order), mean[order], spread[order], by_group, rows)


def flux_importance(
    models: Sequence[Any],
    x: np.ndarray,
    names: Sequence[str] | Sequence[list[str]],
    groups: Mapping[str, Sequence[str]] | None = None,
) -> FluxImportance:
    """Explain the models of a flux, and return what each variable contributes.

    Args:
        models: as of `variable_effects`.
        x: likewise.
        names: likewise.
        groups: variables by group; a variable in none is in "other".

    Raises:
        InputError: as of `variable_effects` and `importance_of`.
    """
    return importance_of(variable_effects(models, x, names), groups)
