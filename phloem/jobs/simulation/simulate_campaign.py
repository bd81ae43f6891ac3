"""`phloem simulate DIR`: a campaign's fluxes and pools as one file, computed on any engine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phloem.arithmetic import ceil_div
from phloem.errors import InputError, WorkError
from phloem.hpc.usable_cores import usable_cores
from phloem.jobs.campaign.campaign import is_campaign, open_campaign
from phloem.jobs.campaign.planning import take_up
from phloem.jobs.config.campaign_file import Configuration, configuration_of
from phloem.jobs.config.parameters_file import ALL_MEMBERS, MEDIAN, member_numbers
from phloem.jobs.config.year_range import year_range
from phloem.jobs.run.engines import run_planned
from phloem.jobs.run.outcome import ToldElsewhere
from phloem.jobs.simulation.periods import PER_YEAR
from phloem.jobs.simulation.product import forget_parts
from phloem.jobs.simulation.table import SimulationTable
from phloem.jobs.single_cell import check_out, daily_outputs
from phloem.names import PERIOD

TILE_BYTES = 128 * 2**20
"""Bytes of what a tile keeps, about."""

MOST_CELLS = 48
"""Cells of a tile, at most."""


@dataclass(frozen=True)
class Wanted:
    """What is simulated of a campaign.

    Attributes:
        what: daily, monthly or annual.
        cells: names with commas between them; empty: all.
        members: `all`, `median`, or numbers with commas between them.
        years: first and last year that is kept, as 2001-2010; empty: all.
        drivers: other drivers than those of the calibration.
        quality: what happens to mendable defects of such drivers.
    """

    what: str = "daily"
    cells: str = ""
    members: str = ALL_MEMBERS
    years: str = ""
    drivers: Path | None = None
    quality: str = "repair"


def simulate_campaign(
    directory: Path, out: Path, choice: Wanted, assignments: Sequence[str] = (), workers: int = 0
) -> Path | None:
    """Write the fluxes and pools of a finished campaign as one CF-NetCDF file.

    The parts are kept beside the file, in a folder of its name and `.parts`, until it is whole: run again, a simulation
    that was interrupted goes on.

    Args:
        directory: of the campaign.
        out: the file.
        choice: what is simulated.
        assignments: `engine.key=value` texts; the engine is else that of the campaign.
        workers: processes; 0: as the engine says.

    Returns:
        The file; None where it was submitted and others write it.

    Raises:
        InputError: bad choice, cell, member, years or drivers; nothing is written.
        WorkError: the campaign is not merged, or some tiles have no result.
    """
    check_out(out)
    source = open_campaign(directory)
    frozen, experiment = source.configuration, source.configuration.calibration
    chosen: dict[str, Any] = {
        "name": "simulation",
        "campaign": str(directory.resolve()),
        "out": str(out.resolve()),
        "what": choice.what,
        "backend": experiment.time_loop,
        "quality": choice.quality,
    }
    members = frozen.campaign.members
    if choice.members != MEDIAN:
        chosen["numbers"] = list(range(members)) if choice.members == ALL_MEMBERS else member_numbers(choice.members)
    if choice.cells:
        chosen["cells"] = [name.strip() for name in choice.cells.split(",")]
    if choice.years:
        chosen["shown_years"] = year_range(choice.years)
    if choice.drivers is not None:
        if not choice.drivers.exists():
            raise InputError(f"--drivers {choice.drivers}: not there")
        chosen["drivers"] = str(choice.drivers.resolve())
    count = len(chosen.get("numbers", [0]))
    days = max((source.cells[place].days for place in range(len(source.cells))), default=366)
    periods = days * PER_YEAR[choice.what] / PERIOD
    each = max(
        1.0, len(daily_outputs(experiment.tables)) * count * periods * (8 if experiment.precision == "float64" else 4)
    )
    simulated = len(chosen.get("cells", source.cells))
    hands = workers or frozen.engine.workers or usable_cores()
    tables = {
        "campaign": {"name": "simulation", "seed": 0, "members": count},
        "data": {"kind": "tower", "path": str(directory.resolve())},
        "experiment": chosen,
        "tiles": {"cells": max(1, min(MOST_CELLS, int(TILE_BYTES / each), ceil_div(simulated, hands)))},
        "engine": frozen.engine.model_dump(exclude_none=True),
    }
    parts = out.with_name(f"{out.name}.parts")
    configuration = _as_begun(configuration_of(tables, assignments), parts)
    begun = time.time()
    campaign = take_up(configuration, parts, Path.cwd())
    outcome = run_planned(campaign, workers, assignments)
    if isinstance(outcome, ToldElsewhere):
        if outcome.status:
            raise WorkError(f"the simulation did not come to its end; run it again to go on ({campaign.paths.root})")
        if not out.is_file() or out.stat().st_mtime < begun - 1:
            return None  # others are at work on it, or it was only submitted
    forget_parts(campaign)
    return out


def _as_begun(configuration: Configuration, parts: Path) -> Configuration:
    """Return a configuration with what a simulation that was begun has found out: its tiles, and its longest run."""
    if not is_campaign(parts):
        return configuration
    begun = open_campaign(parts).configuration
    if not isinstance(begun.experiment, SimulationTable) or not isinstance(configuration.experiment, SimulationTable):
        return configuration
    experiment = configuration.experiment.model_copy(update={"longest": begun.experiment.longest})
    return configuration.model_copy(update={"tiles": begun.tiles, "experiment": experiment})
