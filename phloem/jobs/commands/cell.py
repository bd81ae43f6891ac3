"""The commands for one cell: `simulate` and `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from phloem.errors import InputError
from phloem.jobs.commands.options import (
    Backend,
    BackendOption,
    CellOption,
    Drivers,
    EngineOption,
    Json,
    MembersOption,
    Mode,
    ModelChoice,
    ModelOption,
    ModeOption,
    Parameters,
    Precision,
    PrecisionOption,
    Quality,
    QualityOption,
    Set,
    Step,
    Workers,
)


def simulate(
    out: Annotated[Path, typer.Option("--out", help="NetCDF file to write.")],
    directory: Annotated[Path | None, typer.Argument(help="Directory of a finished campaign.")] = None,
    what: Annotated[
        Step, typer.Option("--what", help="Of a campaign: each day, or means over months or years.")
    ] = Step.DAILY,
    cells: Annotated[str, typer.Option("--cells", help="Of a campaign: names such as A,B; default: all.")] = "",
    years: Annotated[str, typer.Option("--years", help="Of a campaign: those that are kept, as 2001-2010.")] = "",
    drivers: Annotated[
        Path | None,
        typer.Option(
            "--drivers",
            help="One tower: its file (NetCDF). A campaign: other drivers, a folder of towers, a store or a grid file.",
        ),
    ] = None,
    parameters: Annotated[
        Path | None,
        typer.Option("--parameters", help="One tower: CSV, one row a member; or a campaign's merged.nc."),
    ] = None,
    model: ModelOption = ModelChoice.DALEC_DAILY,
    mode: ModeOption = Mode.STRICT,
    precision: PrecisionOption = Precision.FLOAT32,
    backend: BackendOption = Backend.AUTO,
    quality: QualityOption = Quality.REPAIR,
    cell: CellOption = None,
    members: MembersOption = "all",
    engine: EngineOption = None,
    workers: Workers = 0,
    assignments: Set = None,
) -> None:
    """Write fluxes and pools: of a finished campaign's cells and members, or of one tower with given parameters.

    No observations are needed. Of a campaign O.nc is (member, time, cell), or (member, time, lat, lon) on a grid;
    members that do not count are missing. Other drivers (scenarios, other years, longer runs) begin with the calibrated
    initial pools, and keep the reference climate of the calibration.

    Example: phloem simulate campaigns/fluxnet --out O.nc --what monthly --members 0,1 --years 2001-2010

    Example: phloem simulate --drivers FI-Hyy.nc --parameters P.csv --out O.nc

    Example: phloem simulate --model dalec-monthly --drivers D.nc --parameters P.csv --out O.nc --mode compat
    """
    if directory is not None:
        from phloem.jobs.simulation.simulate_campaign import Wanted, simulate_campaign

        refused = {
            "--model": model is not ModelChoice.DALEC_DAILY,
            "--parameters": parameters is not None,
            "--cell": cell is not None,
            "--mode": mode is not Mode.STRICT,
            "--precision": precision is not Precision.FLOAT32,
            "--backend": backend is not Backend.AUTO,
        }
        if given := [name for name, there in refused.items() if there]:
            raise InputError(f"{given[0]} goes with one tower; a campaign has its own")
        choice = Wanted(what.value, cells, members, years, drivers, quality.value)
        keys = [*(assignments or []), *([f'engine.name="{engine}"'] if engine else [])]
        written = simulate_campaign(directory, out, choice, keys, workers)
        if written is not None:
            print(written)
        return
    if drivers is None or parameters is None:
        raise InputError(
            "simulate: name the directory of a finished campaign, or --drivers and --parameters of one tower"
        )
    if what is not Step.DAILY or cells or years or engine or workers or assignments:
        raise InputError("--what, --cells, --years, --engine, --workers and --set go with the directory of a campaign")
    if model is ModelChoice.DALEC_MONTHLY:
        if cell is not None or quality is not Quality.REPAIR:
            raise InputError("--cell and --quality go with --model dalec-daily")
        from phloem.jobs.monthly_cell import simulate_months

        print(simulate_months(drivers, parameters, out, mode.value, precision.value, backend.value, members))
        return
    from phloem.jobs.single_cell import simulate as run_simulation

    choices = mode.value, precision.value, backend.value, quality.value
    print(run_simulation(drivers, parameters, out, *choices, cell, members))


def parameters(
    product: Annotated[Path, typer.Argument(help="Directory of a finished campaign, or its merged.nc.")],
    out: Annotated[Path, typer.Option("--out", help="File to write: CSV, or NetCDF where it ends with .nc.")],
    cell: CellOption = None,
    members: MembersOption = "all",
) -> None:
    """Write what a campaign has found for one cell as a parameters file: all members, some, or their median.

    `simulate` and `evaluate` read it, and so do spreadsheets. Members that do not count are left out.

    Example: phloem parameters campaigns/fluxnet --cell FI-Hyy --members median --out P.csv
    """
    from phloem.jobs.single_cell import write_cell_parameters

    print(write_cell_parameters(product, out, cell, members))


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
