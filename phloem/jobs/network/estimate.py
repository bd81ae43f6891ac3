"""Needs of a training: hours from the pace of a step, disk, memory."""

from __future__ import annotations

import statistics
import time

import numpy as np

from phloem.arithmetic import ceil_div
from phloem.hpc.usable_cores import usable_cores
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.kind_of_work import Estimate
from phloem.jobs.network.patch_source import CACHE_BYTES
from phloem.jobs.network.tile_training import TileTraining
from phloem.jobs.network.training_units import TrainingInput, read_training, table_of
from phloem.jobs.progress import duration

REPEATS = 7

PROGRAM_BYTES = 2**30
"""Of the program, its compiler and a few patches (measured, resident: 0.7 to 1.0 GiB)."""


def cell_years(unit: TrainingInput) -> float:
    """Return the cell-years of a step: rows that fill a patch count, since they are simulated too."""
    return unit.store.rows * unit.store.months / 12


def measured_rate(campaign: Campaign) -> float:
    """Return the microseconds of a step of one network per cell-year, as those of a tile go side by side here."""
    table, seed = table_of(campaign.configuration), campaign.configuration.campaign.seed
    units = [read_training(campaign, unit) for unit in campaign.tile_cells(0)]
    units = [unit for unit in units if unit.run == units[0].run]
    work = TileTraining(table, seed, units)
    _, parallel, source, networks = work.crew()
    walking, state, trainer = np.ones(len(units), bool), networks[0], parallel.trainer
    patches = [source.read(place) for place in units[0].split.train[:2]]
    times = []
    for number in range(REPEATS + 1):
        begun = time.process_time()
        _, values = trainer.step(state, patches[number % len(patches)], walking)
        np.asarray(values)
        times.append(time.process_time() - begun)
    return 1e6 * statistics.median(times[1:]) / len(units) / cell_years(units[0])


def describe(campaign: Campaign) -> list[str]:
    """Return what is trained, without times."""
    table, members = table_of(campaign.configuration), campaign.runs
    first = read_training(campaign, campaign.cells[0])
    store, split = first.store, first.split
    return [
        f"{len(campaign.cells)} networks: {len(table.set_ups)} set-ups x {members} runs, {len(campaign.tiles)} tiles",
        f"{len(store)} patches of up to {store.rows} cells, {store.months} months: {len(split.train)} to train on, "
        f"{len(split.dev)} to watch, {len(split.test)} held out",
        f"labels: {', '.join(name for name in store.streams if name not in table.leave_out)}",
        f"{table.epochs} epochs, learning rate {table.rate:g} ({table.schedule}), {table.mode}, {table.precision}",
    ]


def estimate(campaign: Campaign, rate: float | None) -> Estimate:
    """Return what a training needs.

    Args:
        campaign: planned.
        rate: microseconds of a step of one network per cell-year; None: as it is measured here.
    """
    pace = measured_rate(campaign) if rate is None else rate
    first = read_training(campaign, campaign.cells[0])
    steps = sum(campaign.count_steps(tile) for tile in range(len(campaign.tiles)))
    seconds = 1e-6 * pace * cell_years(first) * steps
    engine = campaign.configuration.engine
    workers = min(engine.workers_of(usable_cores()), len(campaign.tiles))
    longest = 1e-6 * pace * cell_years(first) * max(map(campaign.count_steps, range(len(campaign.tiles))))
    rounds = ceil_div(len(campaign.tiles), workers)
    memory = PROGRAM_BYTES + min(
        CACHE_BYTES, len(first.split.train) * patch_bytes(first, table_of(campaign.configuration).precision)
    )
    facts = {
        "networks": len(campaign.cells),
        "tiles": len(campaign.tiles),
        "steps": steps,
        "rate": pace,
        "core_hours": seconds / 3600,
        "workers": workers,
        "bytes_per_worker": memory,
        "longest_tile_seconds": longest,
    }
    lines = [
        *describe(campaign),
        f"{steps:,} steps, {1e-3 * pace * cell_years(first):.2f} ms each ({pace:.2f} us a cell-year): "
        f"{seconds / 3600:,.1f} core-hours",
        f"{workers} workers of {memory / 2**30:.1f} GiB: about {duration(longest * rounds)}",
    ]
    return Estimate(facts, lines)


def patch_bytes(unit: TrainingInput, precision: str = "float32") -> int:
    """Return the bytes of a made patch, about: forcing, labels and weights as the fold and as the means read them."""
    return 56 * unit.store.months * unit.store.rows * np.dtype(precision).itemsize
