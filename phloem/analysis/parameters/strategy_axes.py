"""Axes of plant strategy: principal components of 13 ecological parameters over the cells (attribution.md 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from phloem.names import PARAMETERS

VARIABLES = {
    "ce": "canopy efficiency",
    "uwue": "underlying water-use efficiency",
    "q10": "Q10 of decomposition, exp(10 x temperature sensitivity)",
    "f_auto": "share of GPP respired by plants",
    "k_lit": "litter mineralisation",
    "lcma": "leaf carbon mass per area",
    "leaf_onset_period": "labile release period",
    "leaf_fall_period": "leaf-fall period",
    "leaf_lifespan": "leaf lifespan",
    "gpp_labile": "share of GPP to labile carbon",
    "gpp_foliar": "share of GPP to foliage",
    "gpp_wood": "share of GPP to wood",
    "gpp_root": "share of GPP to fine roots",
}
"""The 13 variables, in the order of the loadings."""

SIGNS = ("lcma", "gpp_wood", "ce")
"""Which variable loads above 0 on the first, second and third component."""

SMALL = 0.05
"""Of a loading: below it, its sign says nothing, and the largest loading of the component is made positive instead."""

LEAST_CELLS = 2 * len(VARIABLES)
"""Two cells a variable: with fewer than 14 the components would be those of the cells, not of the variables."""

_DIRECT = {
    "ce": "canopy_efficiency",
    "uwue": "uwue",
    "f_auto": "f_auto",
    "k_lit": "turnover_litter",
    "lcma": "lcma",
    "leaf_onset_period": "labile_release_period",
    "leaf_fall_period": "leaf_fall_period",
    "leaf_lifespan": "leaf_lifespan",
}


@dataclass(frozen=True)
class Axes:
    """Principal components; all are kept, the first three have their signs fixed by a variable's name.

    Attributes:
        explained: (13,) share of the variance.
        loadings: (13, 13) unit vectors, one row a component, in the order of `VARIABLES`.
        scores: (cells, 13), NaN where a variable is missing.
        sign_by: which variable loads above 0 on each component.
        cells: how many were used.
        refused: why there are none; empty where there are.
    """

    explained: np.ndarray
    loadings: np.ndarray
    scores: np.ndarray
    sign_by: tuple[str, ...]
    cells: int
    refused: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the part of attribution.json, without the scores."""
        return {
            "variables": list(VARIABLES),
            "explained": self.explained.tolist(),
            "loadings": self.loadings.tolist(),
            "sign_by": list(self.sign_by),
            "cells": self.cells,
            "refused": self.refused or None,
        }


def ecological_variables(parameters: np.ndarray) -> np.ndarray:
    """The 13 variables of parameter sets.

    GPP goes, in the model's order, to respiration, foliage, labile carbon, roots and wood (dalec_daily.md 5.6): what is
    left after each step is shared by the next.

    Args:
        parameters: (..., 30) physical values.

    Returns:
        (..., 13) in the order of `VARIABLES`.
    """
    p = {name: np.asarray(parameters, float)[..., column] for column, name in enumerate(PARAMETERS)}
    npp = 1.0 - p["f_auto"]
    rest = npp * (1.0 - p["f_foliar"])
    below = rest * (1.0 - p["f_labile"])
    found = {name: p[parameter] for name, parameter in _DIRECT.items()} | {
        "q10": np.exp(10.0 * p["temperature_sensitivity"]),
        "gpp_labile": rest * p["f_labile"],
        "gpp_foliar": npp * p["f_foliar"],
        "gpp_wood": below * (1.0 - p["f_root"]),
        "gpp_root": below * p["f_root"],
    }
    return np.stack([found[name] for name in VARIABLES], axis=-1)


def ecological_axes(parameters: np.ndarray) -> Axes:
    """Principal components of the ecological variables of the members' mean parameters, cells unweighted.

    Args:
        parameters: (cells, members, 30), NaN for lanes without a result.

    Returns:
        The axes, or why there are none: fewer than 26 cells, or a variable that is the same everywhere.
    """
    parameters = np.asarray(parameters, float)
    there = np.isfinite(parameters)
    count = there.sum(axis=1)
    mean = np.where(there, parameters, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan)
    variables = ecological_variables(mean)
    valid = np.isfinite(variables).all(axis=1)
    used = variables[valid]
    if len(used) < LEAST_CELLS:
        words = f"{len(used)} of {len(variables)} cells have all variables; {LEAST_CELLS} are needed, two a variable"
        return _refused(variables, len(used), words)
    spread = used.std(axis=0)
    flat = [name for name, sd, mean in zip(VARIABLES, spread, used.mean(axis=0), strict=True) if sd <= 1e-9 * abs(mean)]
    if flat:
        words = f"{', '.join(flat)} {'is' if len(flat) == 1 else 'are'} the same in all {len(used)} cells"
        return _refused(variables, len(used), words)
    standard = (used - used.mean(axis=0)) / spread
    pca = PCA(svd_solver="full").fit(standard)
    loadings, sign_by = _fix_signs(pca.components_)
    scores = np.full(variables.shape, np.nan)
    scores[valid] = standard @ loadings.T
    return Axes(pca.explained_variance_ratio_, loadings, scores, sign_by, len(used))


def _fix_signs(components: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    names = tuple(VARIABLES)
    fixed, sign_by = components.copy(), []
    for number, row in enumerate(fixed):
        leader = names.index(SIGNS[number]) if number < len(SIGNS) else -1
        if leader < 0 or abs(row[leader]) < SMALL:
            leader = int(np.abs(row).argmax())
        if row[leader] < 0:
            row *= -1.0
        sign_by.append(names[leader])
    return fixed, tuple(sign_by)


def _refused(variables: np.ndarray, cells: int, words: str) -> Axes:
    nothing = np.empty((0, len(VARIABLES)))
    return Axes(np.empty(0), nothing, np.full(variables.shape, np.nan), (), cells, words)
