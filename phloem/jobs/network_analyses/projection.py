"""Traits of the networks in a changed climate, hatched where it leaves what they were trained in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phloem.analysis.interpret.climate_response import ClimateDelta, ClimateResponse, climate_response
from phloem.errors import InputError, some
from phloem.io.grids.placed_cells import DEFAULT_STEP
from phloem.io.references.maps import read_map
from phloem.jobs.config.network_attribution_file import ProjectionSection
from phloem.jobs.config.paths import expand_path
from phloem.jobs.network.trained_networks import SPLIT, TrainedNetworks
from phloem.jobs.network_analyses.ensembles import AGNOSTIC, AWARE, ensemble_of, trained
from phloem.jobs.network_analyses.predictor_cells import PredictorCells


def read_delta(networks: TrainedNetworks, cells: PredictorCells, choice: ProjectionSection, base: Path) -> ClimateDelta:
    """Return the change of climate at the cells.

    Args:
        networks: whose store says how large a cell is.
        cells: of the store.
        choice: numbers, or maps.
        base: folder from which paths count.

    Raises:
        InputError: a map that cannot be read, or has no value at some cells.
    """
    step = networks.store.step or DEFAULT_STEP

    def at_cells(key: str, value: float | str) -> float | np.ndarray:
        if not isinstance(value, str):
            return float(value)
        path, _, variable = value.rpartition(":")
        found = read_map(expand_path(path, base), variable, cells.latitude, cells.longitude, step, names=cells.names)
        lacking = np.flatnonzero(~np.isfinite(found.values))
        if lacking.size:
            raise InputError(
                f"projection.{key}: {value} has no value at {lacking.size} of {len(cells)} cells "
                f"({some([cells.names[n] for n in lacking])})"
            )
        return found.values

    return ClimateDelta(at_cells("warming", choice.warming), at_cells("rain_ratio", choice.rain_ratio))


def training_range(networks: TrainedNetworks, cells: PredictorCells, runs: list[int]) -> dict[str, tuple[float, float]]:
    """Return the smallest and largest MAT and MAP of the cells that any of some runs was trained on."""
    learned = (networks.split[runs] == SPLIT["train"]).any(0)[cells.patch]
    found = {}
    for name in ("MAT", "MAP"):
        values = cells.table.column(name)[learned]
        found[name] = (float(values.min()), float(values.max()))
    return found


def projection(
    networks: TrainedNetworks, cells: PredictorCells, choice: ProjectionSection, delta: ClimateDelta
) -> ClimateResponse | str:
    """Return the change of traits by networks with and without plant types, or why there is none."""
    missing = [name for name in (AGNOSTIC, AWARE) if not trained(networks, name)]
    if missing:
        return f"no network of {' nor of '.join(missing)} counts; a projection compares both"
    runs = sorted({*networks.kept_members(AGNOSTIC), *networks.kept_members(AWARE)})
    place = (cells.latitude, cells.longitude)
    try:
        return climate_response(
            ensemble_of(networks, AGNOSTIC), ensemble_of(networks, AWARE), cells.table, delta,
            training_range(networks, cells, runs), place, choice.traits,
        )  # fmt: skip
    except InputError as error:
        return str(error)
