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
    MembersOfKind,
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
        Step | None,
        typer.Option(
            "--what", help="Of a campaign: each day, or means over months or years; of networks monthly or annual."
        ),
    ] = None,
    cells: Annotated[
        str, typer.Option("--cells", help="Of a campaign: names such as A,B; of networks patches too; default: all.")
    ] = "",
    years: Annotated[str, typer.Option("--years", help="Of a campaign: those that are kept, as 2001-2010.")] = "",
    drivers: Annotated[
        Path | None,
        typer.Option(
            "--drivers",
            help="One tower: its file (NetCDF). A campaign: other drivers, a folder of towers, a store or a grid file; "
            "of networks a patch store.",
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
    members: MembersOfKind = None,
    set_up: Annotated[
        str, typer.Option("--set-up", help="Of networks: whose predictions, as PFT+CLIM; default: the fullest.")
    ] = "",
    outputs: Annotated[
        str, typer.Option("--outputs", help="Of networks: names such as gpp,nbe; default: fluxes, leaves and pools.")
    ] = "",
    engine: EngineOption = None,
    workers: Workers = 0,
    assignments: Set = None,
) -> None:
    """Write fluxes and pools: of a finished campaign's cells and members, or of one tower with given parameters.

    No observations are needed. Of a campaign O.nc is (member, time, cell), or (member, time, lat, lon) on a grid;
    members that do not count are missing. Other drivers (scenarios, other years, longer runs) begin with the calibrated
    initial pools, and keep the reference climate of the calibration. Of trained networks see docs/network.md.

    Example: phloem simulate campaigns/fluxnet --out O.nc --what monthly --members 0,1 --years 2001-2010

    Example: phloem simulate --drivers FI-Hyy.nc --parameters P.csv --out O.nc

    Example: phloem simulate --model dalec-monthly --drivers D.nc --parameters P.csv --out O.nc --mode compat

    Example: phloem simulate campaigns/earth --out O.nc --set-up PFT+CLIM --outputs gpp,nbe --years 2003-2010
    """
    networks = directory is not None and trains_networks(directory)
    if not networks and (set_up or outputs):
        raise InputError("--set-up and --outputs go with the directory of a campaign that trains networks")
    if directory is not None and networks:
        from phloem.jobs.network_products.simulate_networks import PredictionChoice, write_predictions

        refused = {
            "--model": model is not ModelChoice.DALEC_DAILY,
            "--parameters": parameters is not None,
            "--cell": cell is not None,
            "--mode": mode is not Mode.STRICT,
            "--precision": precision is not Precision.FLOAT32,
            "--backend": backend is not Backend.AUTO,
            "--quality": quality is not Quality.REPAIR,
            "--engine": engine is not None,
            "--workers": bool(workers),
            "--set": bool(assignments),
        }
        if given := [name for name, there in refused.items() if there]:
            raise InputError(f"{given[0]} does not go with a campaign that trains networks: they have their own model")
        period = (what or Step.MONTHLY).value
        prediction = PredictionChoice(period, set_up, members or "mean", cells, years, outputs, drivers)
        print(write_predictions(directory, out, prediction))
        return
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
        choice = Wanted((what or Step.DAILY).value, cells, members or "all", years, drivers, quality.value)
        keys = [*(assignments or []), *([f'engine.name="{engine}"'] if engine else [])]
        written = simulate_campaign(directory, out, choice, keys, workers)
        if written is not None:
            print(written)
        return
    if drivers is None or parameters is None:
        raise InputError(
            "simulate: name the directory of a finished campaign, or --drivers and --parameters of one tower"
        )
    if (what or Step.DAILY) is not Step.DAILY or cells or years or engine or workers or assignments:
        raise InputError("--what, --cells, --years, --engine, --workers and --set go with the directory of a campaign")
    if model is ModelChoice.DALEC_MONTHLY:
        if cell is not None or quality is not Quality.REPAIR:
            raise InputError("--cell and --quality go with --model dalec-daily")
        from phloem.jobs.monthly_cell import simulate_months

        print(simulate_months(drivers, parameters, out, mode.value, precision.value, backend.value, members or "all"))
        return
    from phloem.jobs.single_cell import simulate as run_simulation

    choices = mode.value, precision.value, backend.value, quality.value
    print(run_simulation(drivers, parameters, out, *choices, cell, members or "all"))


def parameters(
    product: Annotated[Path, typer.Argument(help="Directory of a finished campaign, or its merged.nc.")],
    out: Annotated[Path, typer.Option("--out", help="File to write: CSV, or NetCDF where it ends with .nc.")],
    cell: CellOption = None,
    members: MembersOfKind = None,
    set_ups: Annotated[
        str, typer.Option("--set-ups", help="Of networks: names such as PFT,PFT+CLIM; default: all.")
    ] = "",
    cells: Annotated[
        str, typer.Option("--cells", help="Of networks: names of patches or cells such as A,B; default: all.")
    ] = "",
) -> None:
    """Write what a campaign has found: parameters of one cell as a file, or maps of what trained networks give.

    Of one cell it is a parameters file: all members, some, or their median. `simulate` and `evaluate` read it, and so
    do spreadsheets. Of trained networks it is a NetCDF file, (set_up, lat, lon), of mean and spread over the members
    (`--members mean`), or of each (`all`, or numbers). Members that do not count are left out.

    Example: phloem parameters campaigns/fluxnet --cell FI-Hyy --members median --out P.csv

    Example: phloem parameters campaigns/earth --out maps.nc --set-ups PFT,PFT+CLIM+AGE+SOIL
    """
    root = product.parent if product.is_file() else product
    if trains_networks(root):
        if cell is not None:
            raise InputError("--cell goes with a campaign that calibrates cells; of networks --cells names some")
        from phloem.jobs.network_products.parameter_maps import MapChoice, write_parameter_maps

        print(write_parameter_maps(root, out, MapChoice(set_ups, members or "mean", cells)))
        return
    if set_ups or cells:
        raise InputError("--set-ups and --cells go with a campaign that trains networks; --cell names one cell")
    from phloem.jobs.single_cell import write_cell_parameters

    print(write_cell_parameters(product, out, cell, members or "all"))


def trains_networks(directory: Path) -> bool:
    """Return whether a directory is that of a campaign that trains networks."""
    from phloem.jobs.campaign.campaign import is_campaign, open_campaign

    return is_campaign(directory) and open_campaign(directory).configuration.experiment.kind_of_work == "training"


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
