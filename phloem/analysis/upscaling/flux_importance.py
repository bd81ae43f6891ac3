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


def flux_importance(
    models: Sequence[Any],
    x: np.ndarray,
    names: Sequence[str] | Sequence[list[str]],
    groups: Mapping[str, Sequence[str]] | None = None,
) -> FluxImportance:
    """Explain the models of a flux by exact tree SHAP values, and return what each variable contributes.

    Values of the columns of one variable are added row by row before their absolute values are taken, so that what a
    class gives and another takes away cancels as it does in the prediction.

    Args:
        models: trees of xgboost or scikit-learn, the members of an ensemble.
        x: what is explained, (rows, columns); missing values go as the models take them.
        names: of the columns; where members see different ones, the names of each.
        groups: variables by group; a variable in none is in "other".

    Raises:
        InputError: no models or rows, names that do not fit the columns, or a group's variable that is none.
    """
    if not len(models) or not len(x):
        raise InputError(f"importance: {len(models)} models and {len(x)} rows; at least one of each is due")
    shared = [one for one in names if isinstance(one, str)]
    of_models = [shared] * len(models) if shared else [list(one) for one in names]
    all_names = list(dict.fromkeys(name for own in of_models for name in own))
    if len(all_names) != x.shape[1] or len(of_models) != len(models):
        raise InputError(f"importance: {len(all_names)} names of columns; the rows have {x.shape[1]}")
    variables = list(dict.fromkeys(variable_of(name) for name in all_names))
    for group, members in (groups or {}).items():
        unknown = [name for name in members if name not in variables]
        if unknown:
            raise InputError(f"group {group}: {', '.join(unknown)} is no variable; they are {', '.join(variables)}")
    effects = np.zeros((len(models), len(variables)))
    for number, (model, own) in enumerate(zip(models, of_models, strict=True)):
        phi, _ = explain(model, x[:, np.array([all_names.index(name) for name in own])])
        summed = np.zeros((len(x), len(variables)))
        for column, name in enumerate(own):
            summed[:, variables.index(variable_of(name))] += phi[:, column]
        effects[number] = mean_effect(summed, np.ones(len(x)))
    shares = to_shares(effects)
    mean, spread = shares.mean(axis=0), shares.std(axis=0)
    order = np.argsort(-mean, kind="stable")
    of_group = {name: group for group, members in (groups or {}).items() for name in members}
    by_group: dict[str, float] = {}
    if groups:
        for name, share in zip(variables, mean.tolist(), strict=True):
            group = of_group.get(name, "other")
            by_group[group] = by_group.get(group, 0.0) + share
    return FluxImportance(tuple(variables[n] for n in order), mean[order], spread[order], by_group, len(x))
