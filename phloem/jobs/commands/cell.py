"""The commands for one cell: `simulate` and `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from phloem.jobs.commands.options import Backend, Drivers, Json, Mode, Parameters, Precision, Quality


def simulate(
    drivers: Drivers,
    parameters: Parameters,
    out: Annotated[Path, typer.Option("--out", help="NetCDF file to write.")],
    mode: Mode = "strict",
    precision: Precision = "float32",
    backend: Backend = "auto",
    quality: Quality = "repair",
) -> None:
    """Simulate one tower with given parameters: every member, every day.

    Example: phloem simulate --drivers FI-Hyy.nc --parameters P.csv --out O.nc
    """
    from phloem.jobs.single_cell import simulate as run_simulation

    print(run_simulation(drivers, parameters, out, mode, precision, backend, quality))


def evaluate(
    drivers: Drivers,
    parameters: Parameters,
    gradient: Annotated[bool, typer.Option("--gradient", help="Also the gradient of J_obs.")] = False,
    mode: Mode = "strict",
    precision: Precision = "float32",
    backend: Backend = "auto",
    quality: Quality = "repair",
    as_json: Json = False,
) -> None:
    """Score given parameters against a tower's observations.

    Example: phloem evaluate --drivers FI-Hyy.nc --parameters P.csv --gradient --json
    """
    from phloem.jobs.run.status import score_table
    from phloem.jobs.single_cell import evaluate as score

    found = score(drivers, parameters, gradient, mode, precision, backend, quality)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print(score_table(found))
