"""Calibrations of made cells, without a campaign on disk, and how their results are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from phloem.io.drivers.tower_cell import Cell
from phloem.jobs.calibration.tile_calibration import TileCalibration
from phloem.jobs.config.campaign_file import CampaignSection, Configuration, Data
from phloem.jobs.config.optimiser import AdamSection, FastSection
from phloem.jobs.synthetic.weather import boreal_weather
from phloem.kernels.calibrations.dalec_daily.experiment import DalecExperiment
from tests.support.drivers.cells import made_up

MEMBERS = 5
ITERATIONS = 6
MANY = 35
"""Members with which two cells fill more than a block: however they are laid out, one compiled program serves."""

Arrays = dict[str, np.ndarray]


def made_cell(number: int, days: int | None = None) -> Cell:
    """Return a cell of two years, or of so many days; the same for the same number.

    Every twelfth has three years: a full block has one of those, and all full blocks have tables of one shape.
    """
    made = boreal_weather(48.0 + number % 20, 2 + (number % 12 == 0), np.random.default_rng(number))
    if days is not None:
        made = {name: np.resize(values, days) for name, values in made.items()}
        made["time"] = np.arange(days)
    return made_up(f"made-{number}", 48.0 + number % 20, made)


def made_cells(count: int) -> list[Cell]:
    """Return some cells."""
    return [made_cell(number) for number in range(count)]


def broken(cell: Cell) -> Cell:
    """Return a cell whose losses are never finite: a day of rain is missing."""
    rain = cell.forcing["pr"].copy()
    rain[40] = np.nan
    return replace(cell, forcing={**cell.forcing, "pr": rain})


FAST = FastSection(
    iterations=60,
    starts=2,
    tolerance=0.5,
    patience=4,
    windows=[1],
    window_iterations=[12],
    sharpness_iterations=10,
    trace=8,
)
"""Short walks, which end after another number of steps in each lane."""


def configuration(
    backend: str,
    iterations: int = ITERATIONS,
    members: int = MEMBERS,
    optimiser: AdamSection | FastSection | None = None,
) -> Configuration:
    """Return a short schedule of Adam, or the optimiser given."""
    return Configuration(
        campaign=CampaignSection(name="made", members=members, seed=3),
        data=Data(kind="synthetic"),
        experiment=DalecExperiment(backend=backend),
        optimiser=optimiser or AdamSection(iterations=iterations, learning_rate=0.02, sharpness_iterations=3, trace=4),
    )


def finish(calibration: TileCalibration, chunk: int = 4) -> Arrays:
    """Calibrate to the end; the arrays of the tile."""
    while calibration.running:
        calibration.advance(chunk)
    return calibration.arrays()


def digest(arrays: Arrays) -> dict[str, str]:
    """Return what tells arrays apart, name by name: type, shape and bytes."""
    return {
        name: f"{values.dtype}{values.shape}{hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()}"
        for name, values in sorted(arrays.items())
    }


def differing(one: Arrays, two: Arrays) -> set[str]:
    """Return the names of arrays that are not the same to the bit."""
    return {name for name, value in digest(one).items() if digest(two).get(name) != value} ^ (set(one) ^ set(two))


def of_lanes(arrays: Arrays, lanes: Sequence[tuple[int, int]]) -> Arrays:
    """Return the variables that have a value a lane, for some lanes of a tile."""
    where = tuple(np.array(lanes).T)
    shape = arrays["status"].shape
    return {name: values[where] for name, values in arrays.items() if values.shape[:2] == shape}
