"""Traits against climate and height: base + Shapley value in the trait's unit, with a LOWESS trend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.analysis.attribution.dependence_curves import curve_grid, trend
from phloem.analysis.attribution.result_files import plain
from phloem.analysis.interpret.explained_quantity import explained_quantities
from phloem.analysis.interpret.physical_ensemble import PhysicalEnsemble
from phloem.analysis.interpret.predictor_table import DOMINANT, EXPLAINED, WHOLE, PredictorTable, explained_cells
from phloem.analysis.interpret.shapley_values import ShapleySettings, ShapleyValues, explain
from phloem.errors import InputError

TRAITS = ("ce", "lcma", "cue", "gpp_root")
"""Canopy efficiency, leaf carbon mass per area, carbon-use efficiency, share of GPP to fine roots."""

ENVIRONMENT = ("MAT", "MAP", "canopy_height")

WINDOW = 0.3
"""Share of the cells in a LOWESS window."""

GLOBAL = "all"
"""The plant type of a curve of cells of any."""

LEAST_CELLS = 10
"""Fewer cells than this have no curve."""


@dataclass(frozen=True, eq=False)
class TraitCurve:
    """One trait against one predictor.

    Attributes:
        trait, unit: of the ordinate.
        predictor: the abscissa, in its own unit.
        plant_type: that covers the cells; `all` for cells of any.
        x: predictor, (cells,).
        y: base + phi, (cells,).
        grid: equally spaced points, (200,).
        trend: LOWESS of y on x there.
    """

    trait: str
    unit: str
    predictor: str
    plant_type: str
    x: np.ndarray
    y: np.ndarray
    grid: np.ndarray
    trend: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return the curve; its cells are counted."""
        return {
            "trait": self.trait,
            "unit": self.unit,
            "predictor": self.predictor,
            "plant_type": self.plant_type,
            "cells": len(self.x),
            "grid": self.grid,
            "trend": self.trend,
        }


@dataclass(frozen=True)
class TraitEnvironment:
    """Curves of traits, of cells of any plant type and of each type.

    Attributes:
        curves: one for each trait, predictor and plant type.
        refused: plant types without curves, and why.
    """

    curves: tuple[TraitCurve, ...]
    refused: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        document: dict[str, Any] = plain({"curves": [one.to_json() for one in self.curves], "refused": self.refused})
        return document


def trait_curve(
    explained: ShapleyValues, trait: str, predictor: str, plant_type: str = GLOBAL, window: float = WINDOW
) -> TraitCurve:
    """Return a trait against a predictor.

    Args:
        explained: Shapley values.
        trait: one of the quantities that were explained.
        predictor: that the networks see.
        plant_type: that covers the cells, where they were chosen so.
        window: share of the cells in a LOWESS window.

    Raises:
        InputError: unknown trait or predictor, a predictor that is the same in all cells, or too few cells.
    """
    place, column = explained.place(trait), explained.column(predictor)
    x = explained.rows[:, column]
    if len(x) < LEAST_CELLS:
        raise InputError(f"{trait} against {predictor}: {len(x)} cells, a curve needs {LEAST_CELLS}")
    if x.min() == x.max():
        raise InputError(f"{trait} against {predictor}: the predictor is {x[0]:g} in all {len(x)} cells")
    y = explained.base[place] + explained.values[place, :, column]
    grid = curve_grid(x)
    unit = explained.quantities[place].unit
    return TraitCurve(trait, unit, predictor, plant_type, x, y, grid, trend(x, y, grid, window))


def trait_environment(
    agnostic: PhysicalEnsemble,
    aware: PhysicalEnsemble,
    table: PredictorTable,
    seen: np.ndarray,
    plant_types: Sequence[str] = (),
    *,
    traits: Sequence[str] = TRAITS,
    environment: Sequence[str] = ENVIRONMENT,
    count: int = EXPLAINED,
    share: float = DOMINANT,
    whole: float = WHOLE,
    settings: ShapleySettings | None = None,
) -> TraitEnvironment:
    """Return the curves of all cells by one ensemble, and those of each plant type's cells by another.

    Each set of cells has a background of its own: the base is the mean trait of such cells.

    Args:
        agnostic: networks that do not see plant functional types; their curves are of all cells.
        aware: networks that see them; their curves are of cells that one type covers.
        table: predictors of all cells, of both ensembles.
        seen: cells that each member was trained on.
        plant_types: of which curves are wanted; one without enough such cells is told in `refused`.
        traits: ordinates.
        environment: abscissae.
        count: of cells that are explained at a time, at most.
        share: per cent of a cell's area that a type covers there.
        whole: what all fractions of a cell add up to.
        settings: of the Shapley values.

    Raises:
        InputError: an unknown trait, predictor or plant type, or not one cell that can be explained.
    """
    quantities, seed = explained_quantities(traits), (settings or ShapleySettings()).seed
    for ensemble in (agnostic, aware):
        unseen = [name for name in environment if name not in ensemble.names]
        if unseen:
            raise InputError(f"networks of {'+'.join(ensemble.set_up)} do not see {', '.join(unseen)}")
    for plant_type in plant_types:
        table.dominated_by(plant_type, share, whole)
    cells = table.cells(explained_cells(table, agnostic.names, seen, count=count, seed=seed))
    explained = explain(agnostic, quantities, cells, settings=settings)
    curves = [trait_curve(explained, trait, name) for trait in traits for name in environment]
    refused = {}
    for plant_type in plant_types:
        try:
            chosen = explained_cells(
                table, aware.names, seen, count=count, seed=seed, plant_type=plant_type, share=share, whole=whole
            )
            if len(chosen) < LEAST_CELLS:
                raise InputError(f"{len(chosen)} cells of {plant_type}, a curve needs {LEAST_CELLS}")
            explained = explain(aware, quantities, table.cells(chosen), settings=settings)
            curves += [trait_curve(explained, trait, name, plant_type) for trait in traits for name in environment]
        except InputError as error:
            refused[plant_type] = str(error)
    return TraitEnvironment(tuple(curves), refused)
