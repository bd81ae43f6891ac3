"""Axes of strategy: principal components of a model's ecological variables over the cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from phloem.model_tables import Strategy

SMALL = 0.05
"""Of a loading: below it, its sign says nothing, and the largest loading of the component is made positive instead."""

CELLS_A_VARIABLE = 2
"""With fewer cells the components would be those of the cells, not of the variables."""


@dataclass(frozen=True)
class Axes:
    """Principal components; all are kept, the first three have their signs fixed by a variable's name.

    Attributes:
        variables: names.
        explained: (variables,) share of the variance.
        loadings: (variables, variables) unit vectors, one row a component.
        scores: (cells, variables), NaN where a variable is missing.
        sign_by: which variable loads above 0 on each component.
        cells: how many were used.
        refused: why there are none; empty where there are.
        mean, deviation: (variables,) over the cells that were used, by which variables are standardised; empty where
            there are no axes.
    """

    variables: tuple[str, ...]
    explained: np.ndarray
    loadings: np.ndarray
    scores: np.ndarray
    sign_by: tuple[str, ...]
    cells: int
    refused: str = ""
    mean: np.ndarray = field(default_factory=lambda: np.empty(0))
    deviation: np.ndarray = field(default_factory=lambda: np.empty(0))

    def to_json(self) -> dict[str, Any]:
        """Return the part of attribution.json, without the scores."""
        return {
            "variables": list(self.variables),
            "explained": self.explained.tolist(),
            "loadings": self.loadings.tolist(),
            "sign_by": list(self.sign_by),
            "cells": self.cells,
            "refused": self.refused or None,
        }


def strategy_axes(parameters: np.ndarray, strategy: Strategy) -> Axes:
    """Return principal components of the ecological variables of the members' mean parameters, cells unweighted.

    Args:
        parameters: (cells, members, parameters), NaN for lanes without a result.
        strategy: the variables.

    Returns:
        The axes, or why there are none: fewer than two cells a variable, or a variable that is the same everywhere.
    """
    parameters = np.asarray(parameters, float)
    there = np.isfinite(parameters)
    count = there.sum(axis=1)
    mean = np.where(there, parameters, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan)
    computed = strategy.compute(mean)
    values = np.stack([computed[name] for name in strategy.names], axis=-1)
    valid = np.isfinite(values).all(axis=1)
    used = values[valid]
    if len(used) < CELLS_A_VARIABLE * len(strategy.names):
        needed = f"{CELLS_A_VARIABLE * len(strategy.names)} are needed, two a variable"
        return _refused(strategy, values, len(used), f"{len(used)} of {len(values)} cells have all variables; {needed}")
    spread, middle = used.std(axis=0), used.mean(axis=0)
    flat = [name for name, sd, mean in zip(strategy.names, spread, middle, strict=True) if sd <= 1e-9 * abs(mean)]
    if flat:
        words = f"{', '.join(flat)} {'is' if len(flat) == 1 else 'are'} the same in all {len(used)} cells"
        return _refused(strategy, values, len(used), words)
    standard = (used - middle) / spread
    pca = PCA(svd_solver="full").fit(standard)
    loadings, sign_by = _fix_signs(pca.components_, strategy)
    scores = np.full(values.shape, np.nan)
    scores[valid] = standard @ loadings.T
    return Axes(
        strategy.names,
        pca.explained_variance_ratio_,
        loadings,
        scores,
        sign_by,
        len(used),
        mean=middle,
        deviation=spread,
    )


def _fix_signs(components: np.ndarray, strategy: Strategy) -> tuple[np.ndarray, tuple[str, ...]]:
    names, leading = strategy.names, strategy.leading
    fixed, sign_by = components.copy(), []
    for number, row in enumerate(fixed):
        leader = names.index(leading[number]) if number < len(leading) else -1
        if leader < 0 or abs(row[leader]) < SMALL:
            leader = int(np.abs(row).argmax())
        if row[leader] < 0:
            row *= -1.0
        sign_by.append(names[leader])
    return fixed, tuple(sign_by)


def _refused(strategy: Strategy, values: np.ndarray, cells: int, words: str) -> Axes:
    nothing = np.empty((0, len(strategy.names)))
    return Axes(strategy.names, np.empty(0), nothing, np.full(values.shape, np.nan), (), cells, words)
