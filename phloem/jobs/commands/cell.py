"""The commands for one cell: `simulate` and `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from phloem.jobs.commands.options import (
    Backend,
    BackendOption,
    CellOption,
    Drivers,
    Json,
    MembersOption,
    Mode,
    ModeOption,
    Parameters,
    Precision,
    PrecisionOption,
    Quality,
    QualityOption,
)


def simulate(
    drivers: Drivers,
    parameters: Parameters,
    out: Annotated[Path, typer.Option("--out", help="NetCDF file to write.")],
    mode: ModeOption = Mode.STRICT,
    precision: PrecisionOption = Precision.FLOAT32,
    backend: BackendOption = Backend.AUTO,
    quality: QualityOption = Quality.REPAIR,
    cell: CellOption = None,
    members: MembersOption = "all",
) -> None:
    """Simulate one tower with given parameters: every member, every day. No observations are needed.

    Example: phloem simulate --drivers FI-Hyy.nc --parameters P.csv --out O.nc
    """
    from phloem.jobs.single_cell import simulate as run_simulation

    choices = mode.value, precision.value, backend.value, quality.value
    print(run_simulation(drivers, parameters, out, *choices, cell, members))


def evaluate(
    drivers: Drivers,
    parameters: Parameters,
    gradient: Annotated[bool, typer.Option("--gradient", help="Also the gradient of J_obs.")] = False,
    mode: ModeOption = Mode.STRICT,
    precision: PrecisionOption = Precision.FLOAT32,
    backend: BackendOption = Backend.AUTO,
    quality: QualityOption = Quality.REPAIR,
    cell: CellOption = None,
    members: MembersOption = "all",
    as_json: Json = False,
) -> None:
    """Score given parameters against a tower's observations.

    Example: phloem evaluate --drivers FI-Hyy.nc --parameters P.csv --gradient --json
    """
    from phloem.jobs.run.status import score_table
    from phloem.jobs.single_cell import evaluate as score

    choices = mode.value, precision.value, backend.value, quality.value
    scores = score(drivers, parameters, gradient, *choices, cell, members).to_json()
    if as_json:
        print(json.dumps(scores, indent=2))
    else:
        print(score_table(scores))
