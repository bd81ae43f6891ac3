"""`phloem apply DIR`: fitted models of fluxes at every place and month of drivers, computed on any engine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phloem.errors import InputError, WorkError
from phloem.io.files.time_axis import StampsAt
from phloem.jobs.application.fitted_models import fitted_models, models_checksum
from phloem.jobs.application.output_place import refuse_input_as_output
from phloem.jobs.application.product import result_counts
from phloem.jobs.application.table import ApplicationTable
from phloem.jobs.campaign.campaign import is_campaign, open_campaign
from phloem.jobs.campaign.planning import take_up
from phloem.jobs.config.campaign_file import Configuration, configuration_of
from phloem.jobs.run.engines import run_planned
from phloem.jobs.run.outcome import ToldElsewhere
from phloem.jobs.single_cell import check_out


@dataclass(frozen=True)
class ApplyChoice:
    """What models are applied to.

    Attributes:
        drivers: CF file, folder of such files, or driver store.
        static: file of numbers of the places; None: only those that the drivers bring.
        spread: whether 5 and 95 % of the members are kept too.
        stamps: where stamps of months stand in files without time bounds.
    """

    drivers: Path
    static: Path | None = None
    spread: bool = False
    stamps: StampsAt = "begin"


def apply_fluxes(
    directory: Path,
    out: Path,
    choice: ApplyChoice,
    assignments: Sequence[str] = (),
    workers: int = 0,
) -> Path | None:
    """Write the fluxes of all places and months of drivers as one CF-NetCDF file.

    The parts are kept beside the file, in a folder of its name and `.parts`, until it is whole: run again, an
    application that was interrupted goes on.

    Args:
        directory: of a merged campaign that fits models of fluxes.
        out: the file; on a grid its totals are beside it, `O.totals.json` of `O.nc`.
        choice: what they are applied to.
        assignments: `engine.key=value` texts, and `data.variables.TA=...` of what the drivers' files call a variable.
        workers: processes; 0: as the engine says.

    Returns:
        The file; None where it was submitted and others write it.

    Raises:
        InputError: drivers that are not there, not readable, or lack what the models need; nothing is written.
        WorkError: the campaign is not merged, some blocks have no result, or no month of any place has one.
    """
    check_out(out)
    if not choice.drivers.exists():
        raise InputError(f"--drivers {choice.drivers}: not there")
    if choice.static is not None and not choice.static.is_file():
        raise InputError(f"--static {choice.static}: not there")
    models = fitted_models(str(directory.resolve()))
    refuse_input_as_output(out, choice.drivers, choice.static, directory)
    chosen: dict[str, Any] = {
        "name": ApplicationTable.names[0],
        "campaign": str(directory.resolve()),
        "models": models_checksum(directory),
        "drivers": str(choice.drivers.resolve()),
        "out": str(out.resolve()),
        "spread": choice.spread,
        "stamps": choice.stamps,
        "fluxes": list(models.fluxes),
        "needed": list(models.needed),
        "seen": list(models.seen),
    }
    if choice.static is not None:
        chosen["static"] = str(choice.static.resolve())
    tables = {
        "campaign": {"name": "application", "seed": 0, "members": 1},
        "data": {"kind": "tower", "path": str(choice.drivers.resolve())},
        "experiment": chosen,
        "tiles": {"cells": 1},
        "engine": open_campaign(directory).configuration.engine.model_dump(exclude_none=True),
    }
    parts = out.with_name(f"{out.name}.parts")
    begun = time.time()
    campaign = take_up(_as_begun(configuration_of(tables, assignments), parts), parts, Path.cwd())
    outcome = run_planned(campaign, workers, assignments)
    if isinstance(outcome, ToldElsewhere):
        if outcome.status:
            raise WorkError(f"the application did not come to its end; run it again to go on ({campaign.paths.root})")
        if not out.is_file() or out.stat().st_mtime < begun - 1:
            return None  # others are at work on it, or it was only submitted
    shutil.rmtree(campaign.paths.root, ignore_errors=True)
    there, without = result_counts(out)
    if there == without:
        why = "the drivers that tell of leaves are missing in all" if there else "none has all needed drivers"
        raise WorkError(f"{out}: no place and month has a result: {why}")
    return out


def _as_begun(configuration: Configuration, parts: Path) -> Configuration:
    """Return a configuration with the tiles of an application that was begun."""
    if not is_campaign(parts):
        return configuration
    return configuration.model_copy(update={"tiles": open_campaign(parts).configuration.tiles})
