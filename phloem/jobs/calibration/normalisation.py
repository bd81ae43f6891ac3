"""`normalise`: campaign-wide statistics of every variable, each process reading its share of the cells."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from phloem.errors import InputError
from phloem.io.campaign.normalisation import write_normalisation
from phloem.io.drivers.variables import Variable, driver_variables
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.campaign.unit_table import PlannedUnit
from phloem.jobs.progress import ProgressBar
from phloem.sharding.processes.exact_moments import (
    Moments,
    Statistics,
    deal,
    moments,
    reduce_moments,
    round_size,
    statistics,
)
from phloem.sharding.processes.launch import end_with_parent, run_processes
from phloem.sharding.processes.mesh import gather_messages, process_mesh
from phloem.sharding.processes.rendezvous import Processes, find_processes

THREADS = {"OMP_NUM_THREADS": "1", "NPROC": "1"}
"""One process is one core: it reads files, and adds a few thousand integers."""

Found = list[tuple[Variable, Statistics]]
"""What was found of each variable, in the order of files."""


def normalise(directory: Path, processes: int | None, devices: int, as_json: bool) -> Found | None:
    """Write DIR/normalisation.nc, in this process, in some that are started here, or in those of SLURM or MPI.

    Args:
        directory: of a planned campaign.
        processes: how many to start here; None for this one, or for those of the job that this one belongs to.
        devices: CPU devices of each process.
        as_json: what processes started here are to print.

    Returns:
        the statistics by variable, where they are to be printed; else None.

    Raises:
        InputError: no campaign, a cell that cannot be read, or not the processes that were asked for.
        WorkError: a process was lost.
    """
    campaign = open_campaign(directory)
    if not os.access(campaign.paths.root, os.W_OK):
        raise InputError(f"{campaign.paths.root}: not writable")
    job = find_processes()
    if job.count > 1 and processes not in (None, job.count):
        raise InputError(f"--processes {processes}, but this is process {job.rank} of {job.count} ({job.origin})")
    if job.count == 1 and processes not in (None, 1):
        _start(campaign, processes, devices, as_json)
        return None
    end_with_parent()
    sums, problem = _measure(campaign, job, devices)
    if problem:
        if job.rank:
            sys.exit(2)
        raise InputError(problem)
    if job.rank:
        return None
    found = [(spec, statistics(total)) for spec, total in zip(_variables(campaign), sums, strict=True)]
    rows = [(spec, asdict(row)) for spec, row in found]
    write_normalisation(campaign.paths.normalisation, rows, _attributes(campaign))
    return found


def _start(campaign: Campaign, processes: int, devices: int, as_json: bool) -> None:
    call = "from phloem.jobs.command_line import main; main()"
    words = ["normalise", str(campaign.paths.root), "--devices", str(devices), *(["--json"] if as_json else [])]
    status = run_processes([sys.executable, "-c", call, *words], processes, THREADS)
    if status:
        sys.exit(status)


def _measure(campaign: Campaign, job: Processes, devices: int) -> tuple[list[Moments], str]:
    """Return the moments of all cells, or the first cell's error; both are the same in every process.

    All leave the mesh in the same way, whoever met the error, so that one clear message remains.
    """
    cells = deal(len(campaign.cells), job.count, job.rank)
    most = len(deal(len(campaign.cells), job.count, 0))
    count = len(_variables(campaign))
    sums = [Moments()] * count
    with process_mesh(job, devices=devices, platform="cpu") as mesh, _bar(job, most) as bar:
        size = round_size(most, devices)
        for first in range(0, most, size):
            batch, problem = _read(campaign, cells[first : first + size])
            problems = sorted(filter(None, gather_messages(mesh, problem)))
            if problems:
                return sums, problems[0].partition(" ")[2]
            found = reduce_moments(mesh, batch, size, count)
            sums = [a + b for a, b in zip(sums, found, strict=True)]
            bar.update(min(first + size, most))
    return sums, ""


def _bar(job: Processes, most: int) -> ProgressBar:
    shares = f" (process 0 of {job.count})" if job.count > 1 else ""
    return ProgressBar(f"reading cells{shares}", most)


def _read(campaign: Campaign, positions: Sequence[int]) -> tuple[list[list[Moments]], str]:
    """Return the moments of some cells, and what is wrong with the first one that cannot be read, after its position.

    Positions have ten digits, so that texts sort as they do.
    """
    batch = []
    for position in positions:
        try:
            batch.append(_cell_moments(campaign, campaign.cells[position]))
        except InputError as error:
            return batch, f"{position:010d} {error}"
    return batch, ""


def _cell_moments(campaign: Campaign, planned: PlannedUnit) -> list[Moments]:
    cell = campaign.read_unit(planned)
    values = {**cell.forcing, **cell.observations}
    return [moments(values[spec.name]) for spec in _variables(campaign)]


def _variables(campaign: Campaign) -> tuple[Variable, ...]:
    """Return the variables of the drivers, in the order of files."""
    return driver_variables(campaign.configuration.calibration.tables).all


def _attributes(campaign: Campaign) -> dict[str, Any]:
    return {
        "title": f"phloem normalisation {campaign.configuration.campaign.name}",
        "version": campaign.version,
        "configuration_hash": campaign.configuration.fingerprint(),
        "seed": campaign.configuration.campaign.seed,
        "cells": len(campaign.cells),
    }


def table(found: Found) -> Iterator[str]:
    """Yield the lines of a table for people."""
    yield f"{'variable':8} {'count':>10} {'mean':>12} {'deviation':>12} {'minimum':>12} {'maximum':>12}  units"
    for spec, row in found:
        numbers = " ".join(f"{x:12.6g}" for x in (row.mean, row.standard_deviation, row.minimum, row.maximum))
        yield f"{spec.name:8} {row.count:10d} {numbers}  {spec.unit}"
