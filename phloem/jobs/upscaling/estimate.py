"""Needs of an upscaling: hours from the pace of a fit, memory."""

from __future__ import annotations

import statistics
import time

import numpy as np

from phloem.arithmetic import ceil_div
from phloem.hpc.usable_cores import usable_cores
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.kind_of_work import Estimate
from phloem.jobs.progress import duration
from phloem.jobs.upscaling.fit_units import NOTHING, planned_data, read_fit, table_of
from phloem.jobs.upscaling.tower_scores import interval_scheme, why_no_models

REPEATS = 3

PROGRAM_BYTES = 700 * 2**20
"""Of the program with a table of towers and the trees that are grown (measured, resident: 0.5 to 0.7 GiB)."""


def measured_rate(campaign: Campaign) -> float:
    """Return the seconds of a fit of one member here, median over the last units: those that are fitted to most."""
    configuration = campaign.configuration
    units = [read_fit(campaign, unit) for unit in campaign.cells[-REPEATS:]]
    work = campaign.kind.begin(configuration, units, None, 1)
    times: list[float] = []
    while work.running and len(times) <= REPEATS:
        begun = time.process_time()
        steps = work.advance(1)
        times.append((time.process_time() - begun) / max(1, steps))
    return statistics.median(times[1:] or times)


def describe(campaign: Campaign) -> list[str]:
    """Return what is fitted, without times."""
    table, data = table_of(campaign.configuration), planned_data(campaign)
    months = ", ".join(f"{flux} {int(np.isfinite(data.rows.observed[flux]).sum()):,}" for flux in table.fluxes)
    schemes = ", ".join(f"{scheme} ({len(data.left_out[scheme].names)} parts)" for scheme in table.cv) or "nothing"
    units = sum(not name.startswith(f"{NOTHING}:") for name in campaign.cells.names)
    return [
        f"{len(data.rows.sites)} towers; months that count: {months}",
        f"left out: {schemes}; {units} units and those of everything, x {campaign.runs} members, "
        f"{len(campaign.tiles)} tiles",
        f"{table.learner}, {' and '.join(table.learn)} of {', '.join(table.fluxes)}; maps by {table.applied_way}",
        *([] if interval_scheme(table) else [f"no models for maps will be kept: {why_no_models(table)}"]),
        *data.good.lines(table.fluxes),
    ]


def estimate(campaign: Campaign, rate: float | None) -> Estimate:
    """Return what an upscaling needs.

    Args:
        campaign: planned.
        rate: microseconds of a step of one member; None: as it is measured here.
    """
    pace = measured_rate(campaign) if rate is None else 1e-6 * rate
    steps = [campaign.count_steps(tile) for tile in range(len(campaign.tiles))]
    workers = min(campaign.configuration.engine.workers_of(usable_cores()), len(steps))
    seconds, rounds = pace * sum(steps), ceil_div(len(steps), workers)
    facts = {
        "units": len(campaign.cells),
        "tiles": len(steps),
        "steps": sum(steps),
        "rate": 1e6 * pace,
        "core_hours": seconds / 3600,
        "workers": workers,
        "bytes_per_worker": PROGRAM_BYTES,
        "longest_tile_seconds": pace * max(steps),
    }
    lines = [
        *describe(campaign),
        f"{sum(steps):,} steps of {1e3 * pace:.0f} ms: {seconds / 3600:,.2f} core-hours",
        f"{workers} workers of {PROGRAM_BYTES / 2**30:.1f} GiB: about {duration(pace * max(steps) * rounds)}",
    ]
    return Estimate(facts, lines)
