"""Microseconds per lane-gradient-year on this machine: measured once by a short calibration, and kept in a file."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax

from phloem.arithmetic import ceil_div
from phloem.io.files.atomic import write_atomically
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.kind_of_work import Lane
from phloem.jobs.campaign.tile_size import planned_width
from phloem.jobs.progress import say
from phloem.kernels.time_loop.checked_cards import card_of
from phloem.names import PERIOD
from phloem.version import VERSION

SECONDS = 0.5
REPEATS = 5
ENDLESS = 10_000_000
"""Iterations that no measurement comes to the end of."""


def pace(campaign: Campaign, on_gpu: bool = False) -> float:
    """Return the microseconds that one gradient of one lane takes per simulated year, blocks being full.

    Args:
        campaign: whose backend, mode and precision count.
        on_gpu: of the GPU that this process has (`phloem.jobs.estimate.gpu_pace` starts such a one), else of one core.
    """
    key, known = _key(campaign, on_gpu), _read()
    if key not in known:
        say("measuring the pace of this machine, once (plan --rate states one instead)")
        measured = _measure(campaign, time.perf_counter if on_gpu else time.process_time)
        known[key] = float(f"{measured:.4g}")
        _write(known)
    return float(known[key])


def known_pace(campaign: Campaign) -> float | None:
    """Return the pace of one core where it was measured before, else None; nothing is computed."""
    found = _read().get(_key(campaign, on_gpu=False))
    return None if found is None or campaign.configuration.engine.gpus else float(found)


def _key(campaign: Campaign, on_gpu: bool) -> str:
    """Return the name of a pace in the file."""
    experiment, optimiser = campaign.configuration.calibration, campaign.configuration.optimiser.name
    what = f"core time, {_processor()}"
    if on_gpu:
        what = f"{card_of(jax.local_devices()[0])}, {planned_width(campaign.configuration)} lanes"
    model = experiment.on_windows.objective().model.name
    return f"{VERSION} {model} {optimiser} {experiment.backend} {experiment.precision} {what}"


def _measure(campaign: Campaign, clock: Callable[[], float]) -> float:
    """Time steps of a full block of the campaign's first cell under many names, compilation apart; return the median.

    On cores the clock is the processors' time of this process: by the wall's a busy machine looked five times slower.
    """
    from phloem.jobs.calibration.tile_calibration import TileCalibration

    members = campaign.configuration.campaign.members
    configuration = campaign.configuration
    experiment = configuration.calibration.on_windows  # a century of growth is timed by its twenty observed years
    configuration = configuration.model_copy(update={"experiment": experiment})
    unit = campaign.read_unit(campaign.cells[0])
    years = experiment.site(unit).days / PERIOD
    width = planned_width(campaign.configuration)
    cells = [replace(unit, name=f"pace {number}") for number in range(ceil_div(width, members))]
    lanes = [Lane(cell, member, 0) for cell in range(len(cells)) for member in range(members)][:width]
    configuration = configuration.model_copy(update={"optimiser": configuration.optimiser.endless(ENDLESS)})
    work = TileCalibration(configuration, cells, lanes)
    work.advance(1)
    wanted = 1
    paces: list[float] = []
    while len(paces) < REPEATS:
        steps, begun = 0, clock()
        while steps < wanted and work.running:
            steps += work.advance(wanted - steps)
        took = clock() - begun
        if work.running and took < SECONDS / 2:
            wanted *= 2
            continue
        paces.append(1e6 * took / (steps * len(lanes) * years))
        if not work.running:  # nowhere down any more: what was seen counts, and others go on
            work, wanted = TileCalibration(configuration, cells, lanes), 1 + wanted // 2
            work.advance(1)
    return statistics.median(paces)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return os.uname().machine
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _file() -> Path:
    from phloem.kernels.time_loop.cpu.c_compiler import cache_folder

    return cache_folder().parent / "pace.json"


def _read() -> dict[str, float]:
    try:
        found = json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(known: dict[str, float]) -> None:
    """Remember; where that cannot be, it is measured again next time."""
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_file(), json.dumps(known, indent=1).encode())
    except OSError:
        return
