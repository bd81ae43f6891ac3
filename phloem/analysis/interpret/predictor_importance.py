"""Importance and direction of predictors, and what groups of them come to, from Shapley values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from phloem.analysis.attribution.result_files import plain
from phloem.analysis.interpret.shapley_values import ShapleyValues
from phloem.errors import InputError
from phloem.kernels.network.set_ups import CONTROLS, GROUPS, HEMISPHERE

HEMISPHERE_GROUP = "HEMISPHERE"
"""The group of the one predictor that is in every set-up."""

ALL_GROUPS: dict[str, tuple[str, ...]] = {**GROUPS, **CONTROLS, HEMISPHERE_GROUP: (HEMISPHERE,)}


@dataclass(frozen=True)
class NetworkImportanceRow:
    """One predictor.

    Attributes:
        predictor: its name.
        group: that it belongs to.
        mean_absolute: mean |phi| over the cells, in the unit of the quantity.
        share: of the sum over all predictors, 0 to 1; NaN where that is 0.
        direction: median phi where the predictor is in its upper quartile, minus that in its lower; NaN where it is the
            same in all cells.
    """

    predictor: str
    group: str
    mean_absolute: float
    share: float
    direction: float


@dataclass(frozen=True)
class NetworkImportance:
    """What matters for one quantity.

    Attributes:
        quantity: its name.
        unit: its unit.
        cells: number of them.
        plant_type: that covers all cells; empty for cells of any.
        rows: of the predictors, in the order of the networks' inputs.
    """

    quantity: str
    unit: str
    cells: int
    plant_type: str
    rows: tuple[NetworkImportanceRow, ...]

    @property
    def ranked(self) -> list[NetworkImportanceRow]:
        """The predictors, the most important first."""
        return sorted(self.rows, key=lambda row: -row.mean_absolute)

    @property
    def groups(self) -> dict[str, float]:
        """Share of each group that the networks see: the sum of its predictors' shares."""
        found: dict[str, float] = {}
        for row in self.rows:
            found[row.group] = found.get(row.group, 0.0) + row.share
        return found

    def share_of(self, group: str) -> float:
        """Return the share of a group.

        Raises:
            InputError: the networks do not see such a group.
        """
        if group not in self.groups:
            raise InputError(f"group of predictors {group!r}: valid are {', '.join(self.groups)}")
        return self.groups[group]

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        document: dict[str, Any] = plain(
            {
                "quantity": self.quantity,
                "unit": self.unit,
                "cells": self.cells,
                "plant_type": self.plant_type or None,
                "predictors": [asdict(row) for row in self.rows],
                "groups": self.groups,
            }
        )
        return document


def network_importance(
    explained: ShapleyValues,
    quantity: str,
    plant_type: str = "",
    groups: Mapping[str, Sequence[str]] | None = None,
) -> NetworkImportance:
    """Return importance and direction of each predictor for a quantity.

    Args:
        explained: Shapley values.
        quantity: one of those that were explained.
        plant_type: that covers the cells, where they were chosen so.
        groups: of the predictors, by default the set-ups' and the hemisphere.

    Raises:
        InputError: the quantity was not explained, or a predictor is in no group.
    """
    place = explained.place(quantity)
    group_of = {name: group for group, names in (groups or ALL_GROUPS).items() for name in names}
    lost = [name for name in explained.predictors if name not in group_of]
    if lost:
        raise InputError(f"predictors {', '.join(lost)} are in no group of {', '.join(groups or ALL_GROUPS)}")
    phi = explained.values[place]
    sizes = np.abs(phi).mean(0)
    total = sizes.sum()
    rows = tuple(
        NetworkImportanceRow(
            name, group_of[name], float(size), float(size / total) if total > 0 else np.nan, direction(x, effect)
        )
        for name, size, x, effect in zip(explained.predictors, sizes, explained.rows.T, phi.T, strict=True)
    )
    return NetworkImportance(quantity, explained.quantities[place].unit, len(phi), plant_type, rows)


def direction(x: np.ndarray, phi: np.ndarray) -> float:
    """Return the median phi of the upper quartile of a predictor minus that of the lower.

    Many fractions of plant functional types are zero in more than three quarters of the cells: where both quartiles are
    one value, the cells above it are compared with those at it, or those at it with those below.

    Args:
        x: predictor, (cells,).
        phi: its Shapley values, (cells,).

    Returns:
        In the unit of phi; NaN where the predictor is the same in all cells.
    """
    low, high = np.quantile(x, (0.25, 0.75))
    lower, upper = x <= low, x >= high
    if low == high:
        if (x > high).any():
            upper = x > high
        else:
            lower = x < low
        if (x > high).any() and (x < low).any():
            lower = x < low
    if not (lower.any() and upper.any()) or x.min() == x.max():
        return float("nan")
    return float(np.median(phi[upper]) - np.median(phi[lower]))
