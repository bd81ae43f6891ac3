"""Shapley values of the networks' quantities: of cells of any plant type, and of those that one type covers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phloem.analysis.interpret.explained_quantity import (
    ExplainedQuantity,
    explained_quantities,
    principal_component,
)
from phloem.analysis.interpret.predictor_importance import NetworkImportance, network_importance
from phloem.analysis.interpret.predictor_table import explained_cells
from phloem.analysis.interpret.shapley_values import (
    ShapleyMethod,
    ShapleySettings,
    ShapleyValues,
    background_of,
    explain,
)
from phloem.analysis.interpret.trait_curves import LEAST_CELLS, TraitEnvironment, trait_environment
from phloem.analysis.parameters.strategy_axes import Axes
from phloem.errors import InputError
from phloem.jobs.config.network_attribution_file import CurvesSection, ShapSection
from phloem.jobs.network.trained_networks import TrainedNetworks
from phloem.jobs.network_analyses.ensembles import AGNOSTIC, AWARE, ensemble_of, groups_of, trained
from phloem.jobs.network_analyses.predictor_cells import PredictorCells
from phloem.names import PREDICTOR_GROUPS


@dataclass(frozen=True, eq=False)
class Explanations:
    """Shapley values of a set-up's networks.

    Attributes:
        set_up: whose networks.
        values: of cells of any plant type under the empty name, and of those that a type covers by its name.
        importance: of each quantity and set of cells.
        refused: plant types without values, and why; under the empty name, why there are none at all.
        scarce: plant types that too few cells are covered by to be explained apart.
    """

    set_up: str
    values: dict[str, ShapleyValues] = field(default_factory=dict)
    importance: list[NetworkImportance] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    scarce: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the part of attribution.json."""
        everywhere = self.values.get("")
        return {
            "set_up": self.set_up,
            "explained": everywhere.to_json() if everywhere else None,
            "importance": [one.to_json() for one in self.importance],
            "refused": {name or "all": why for name, why in self.refused.items()},
            "scarce": self.scarce,
        }


def explained_of(choice: ShapSection, axes: Axes | None) -> tuple[ExplainedQuantity, ...]:
    """Return what is explained: traits, and principal components where there are axes.

    Raises:
        InputError: an unknown trait.
    """
    count = min(choice.components, len(axes.variables)) if axes is not None else 0
    first = tuple(principal_component(axes, number) for number in range(1, count + 1)) if axes is not None else ()
    return (*explained_quantities(choice.quantities), *first)


def types_wanted(choice: ShapSection, set_up: str) -> list[str]:
    """Return the plant types whose cells are explained apart: those that were named, else all.

    Raises:
        InputError: some are named, and the networks see none.
    """
    if "PFT" not in groups_of(set_up):
        if choice.plant_types:
            raise InputError(f"shap.plant_types: networks of {set_up} see no plant types; choose another shap.set_up")
        return []
    if not choice.cells_of_type:
        return []
    return choice.plant_types or list(PREDICTOR_GROUPS["PFT"])


def covering_types(cells: PredictorCells, seen: np.ndarray, share: float) -> tuple[list[str], list[str]]:
    """Return the plant types that cover enough cells to be explained apart, and the others.

    Args:
        cells: of a store.
        seen: which of them each network has seen, (runs, cells).
        share: per cent of a cell's area that a type covers.

    Raises:
        InputError: the shares of the types do not add up to 100.
    """
    there = seen.all(0) & cells.table.finite(PREDICTOR_GROUPS["PFT"])
    counts = {name: int((there & cells.table.dominated_by(name, share)).sum()) for name in PREDICTOR_GROUPS["PFT"]}
    enough = [name for name, count in counts.items() if count >= LEAST_CELLS]
    return enough, [name for name in counts if name not in enough]


def explanations(
    networks: TrainedNetworks,
    cells: PredictorCells,
    set_up: str,
    choice: ShapSection,
    axes: Axes | None,
    seed: int,
    report: Callable[[int], None],
) -> Explanations:
    """Explain the networks of a set-up.

    Args:
        networks: of the campaign.
        cells: of its store.
        set_up: one of its own.
        choice: what is explained, where and how.
        axes: principal components of its maps; None: there are none.
        seed: of draws of cells, coalitions and orderings.
        report: told of the sets of cells that are done.

    Raises:
        InputError: an unknown trait or plant type.
    """
    quantities, found = explained_of(choice, axes), Explanations(set_up)
    settings = ShapleySettings(ShapleyMethod(choice.method), choice.pairs, seed)
    ensemble, runs = ensemble_of(networks, set_up), networks.kept_members(set_up)
    seen = cells.seen(networks, runs)
    types = types_wanted(choice, set_up)
    if types and not choice.plant_types:
        try:
            types, scarce = covering_types(cells, seen, choice.share)
            found.scarce.extend(scarce)
        except InputError as error:
            found.refused["each plant type"] = str(error)
            types = []
    for number, plant_type in enumerate(["", *types] if choice.cells else []):
        try:
            chosen = explained_cells(
                cells.table, ensemble.names, seen, count=choice.cells_of_type if plant_type else choice.cells,
                seed=seed, plant_type=plant_type or None, share=choice.share,
            )  # fmt: skip
            if plant_type and len(chosen) < LEAST_CELLS:
                raise InputError(f"{len(chosen)} cells of {plant_type}, at least {LEAST_CELLS} are due")
            some = cells.table.cells(chosen)
            values = explain(ensemble, quantities, some, background_of(some, choice.background), settings)
            found.values[plant_type] = values
            found.importance.extend(network_importance(values, one.name, plant_type) for one in quantities)
        except InputError as error:
            found.refused[plant_type] = str(error)
        report(number + 1)
    if not choice.cells:
        found.refused[""] = "shap.cells = 0"
    return found


def curves(
    networks: TrainedNetworks, cells: PredictorCells, choice: CurvesSection, shap: ShapSection, seed: int
) -> TraitEnvironment | str:
    """Return traits against climate and height, or why there are none.

    Curves of cells of any plant type are of networks that see no types, and those of single types of networks that do.

    Raises:
        InputError: an unknown trait.
    """
    explained_quantities(choice.traits)
    if not choice.traits:
        return "curves.traits names none"
    missing = [name for name in (AGNOSTIC, AWARE) if not trained(networks, name)]
    if missing:
        return f"no network of {' nor of '.join(missing)} counts; curves are of both"
    agnostic, aware = ensemble_of(networks, AGNOSTIC), ensemble_of(networks, AWARE)
    runs = sorted({*networks.kept_members(AGNOSTIC), *networks.kept_members(AWARE)})
    try:
        seen = cells.seen(networks, runs)
        types = shap.plant_types or covering_types(cells, seen, shap.share)[0]
        return trait_environment(
            agnostic, aware, cells.table, seen, types,
            traits=choice.traits, environment=choice.environment, count=choice.cells, share=shap.share,
            settings=ShapleySettings(ShapleyMethod(choice.method), choice.pairs, seed),
        )  # fmt: skip
    except InputError as error:
        return str(error)
