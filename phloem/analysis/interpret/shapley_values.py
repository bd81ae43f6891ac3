"""Shapley values of an ensemble's quantities for cells, against a background of such cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import shap
import xarray as xr

from phloem.analysis.attribution.result_files import plain
from phloem.analysis.interpret.explained_quantity import ExplainedQuantity
from phloem.analysis.interpret.physical_ensemble import PhysicalEnsemble
from phloem.analysis.interpret.predictor_table import PredictorTable
from phloem.analysis.interpret.shapley_methods import exact_values, kernel_values, permutation_values
from phloem.errors import InputError

BACKGROUND = 100
"""Cells of the background."""


class ShapleyMethod(StrEnum):
    """How Shapley values are computed."""

    KERNEL = "kernel"
    PERMUTATION = "permutation"
    EXACT = "exact"


@dataclass(frozen=True)
class ShapleySettings:
    """How Shapley values are computed.

    Attributes:
        method: `kernel` as published, `permutation`, or `exact` for set-ups of at most 16 predictors.
        pairs: of orderings a cell, for `permutation`.
        seed: of orderings and coalitions.
    """

    method: ShapleyMethod = ShapleyMethod.KERNEL
    pairs: int = 150
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in list(ShapleyMethod):
            raise InputError(f"method {self.method!r}: valid are {', '.join(ShapleyMethod)}")
        if self.pairs < 1:
            raise InputError(f"{self.pairs} pairs of orderings: at least one")


@dataclass(frozen=True, eq=False)
class ShapleyValues:
    """What each predictor of each cell adds to quantities, in their units.

    Attributes:
        quantities: that are explained.
        predictors: names.
        rows: predictors of the cells in their own units, (cells, predictors).
        values: (quantities, cells, predictors); with the base they add up to the model.
        base: mean of the model over the background, (quantities,).
        model: (quantities, cells).
        settings: by which they were computed.
    """

    quantities: tuple[ExplainedQuantity, ...]
    predictors: tuple[str, ...]
    rows: np.ndarray
    values: np.ndarray
    base: np.ndarray
    model: np.ndarray
    settings: ShapleySettings

    @property
    def gap(self) -> np.ndarray:
        """What base and values together are off the model."""
        return self.base[:, None] + self.values.sum(-1) - self.model

    def place(self, quantity: str) -> int:
        """Return the place of a quantity.

        Raises:
            InputError: it was not explained.
        """
        names = [one.name for one in self.quantities]
        if quantity not in names:
            raise InputError(f"quantity {quantity!r} was not explained: valid are {', '.join(names)}")
        return names.index(quantity)

    def column(self, predictor: str) -> int:
        """Return the place of a predictor.

        Raises:
            InputError: the networks do not see it.
        """
        if predictor not in self.predictors:
            raise InputError(f"predictor {predictor!r}: valid are {', '.join(self.predictors)}")
        return self.predictors.index(predictor)

    def to_dataset(self) -> xr.Dataset:
        """Return values, model and predictors of the cells."""
        names = [one.name for one in self.quantities]
        units = ", ".join(one.unit for one in self.quantities)
        return xr.Dataset(
            {
                "shapley_value": (("quantity", "cell", "predictor"), self.values, {"long_name": "Shapley value"}),
                "base": ("quantity", self.base, {"long_name": "mean of the model over the background"}),
                "model": (("quantity", "cell"), self.model, {"long_name": "ensemble's mean"}),
                "predictor_value": (("cell", "predictor"), self.rows),
                "unit": ("quantity", [one.unit for one in self.quantities]),
            },
            {"quantity": names, "predictor": list(self.predictors)},
            {"method": str(self.settings.method), "seed": self.settings.seed, "units": units},
        )

    def to_json(self) -> dict[str, Any]:
        """Return what was explained, and how well values add up; the values themselves are in the dataset."""
        document: dict[str, Any] = plain(
            {
                "method": str(self.settings.method),
                "seed": self.settings.seed,
                "cells": len(self.rows),
                "predictors": list(self.predictors),
                "quantities": [
                    {"name": one.name, "unit": one.unit, "meaning": one.meaning, "base": base, "largest_gap": gap}
                    for one, base, gap in zip(self.quantities, self.base, np.abs(self.gap).max(1), strict=True)
                ],
            }
        )
        return document


def background_of(cells: PredictorTable, count: int = BACKGROUND) -> PredictorTable:
    """Return the rows of `shap.utils.sample`, the same for the same cells; all where there are no more than wanted."""
    return cells.cells(shap.utils.sample(np.arange(len(cells)), count))


def explain(
    ensemble: PhysicalEnsemble,
    quantities: Sequence[ExplainedQuantity],
    cells: PredictorTable,
    background: PredictorTable | None = None,
    settings: ShapleySettings | None = None,
) -> ShapleyValues:
    """Explain quantities at cells.

    Days of the year are counted around their circular mean over the background, so that values are not torn at the
    turn of the year.

    Args:
        ensemble: trained networks.
        quantities: that are explained, all from the same runs of the networks.
        cells: that are explained.
        background: by default 100 of the cells.
        settings: method, pairs of orderings, seed.

    Raises:
        InputError: no cell or quantity, a predictor that is missing or not finite.
    """
    settings = settings or ShapleySettings()
    background = background_of(cells) if background is None else background
    if not len(cells) or not len(background) or not quantities:
        raise InputError("Shapley values need at least one cell, one row of background and one quantity")
    rows, behind = cells.columns(ensemble.names), background.columns(ensemble.names)
    centres = ensemble.day_centres(background)

    def evaluate(points: np.ndarray) -> np.ndarray:
        return ensemble.explained_at(np.asarray(points), quantities, centres)

    if settings.method == ShapleyMethod.KERNEL:
        values = kernel_values(evaluate, rows, behind, settings.seed)
    elif settings.method == ShapleyMethod.EXACT:
        values = exact_values(evaluate, rows, behind)
    else:
        values = permutation_values(evaluate, rows, behind, settings.pairs, settings.seed)
    base, model = evaluate(behind).mean(0), evaluate(rows).T
    return ShapleyValues(tuple(quantities), ensemble.names, rows, values, base, model, settings)
