"""The command `phloem apply`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from phloem.jobs.commands.options import EngineOption, Json, Set, StampsIn, Workers, print_json


def apply(
    directory: Annotated[Path, typer.Argument(help="Directory of a finished campaign that upscales tower fluxes.")],
    drivers: Annotated[
        Path, typer.Option("--drivers", help="CF file, (site, time) or (time, lat, lon); a folder of such; or a store.")
    ],
    out: Annotated[Path, typer.Option("--out", help="NetCDF file to write.")],
    static: Annotated[
        Path | None, typer.Option("--static", help="CF file of what does not change: elevation, C4 share, classes.")
    ] = None,
    spread: Annotated[bool, typer.Option("--spread", help="Also 5 and 95 % of the members.")] = False,
    stamps: Annotated[
        StampsIn, typer.Option("--stamps", help="Where stamps of months stand in files without time bounds.")
    ] = StampsIn.BEGIN,
    engine: EngineOption = None,
    workers: Workers = 0,
    assignments: Set = None,
    as_json: Json = False,
) -> None:
    """Write gpp, reco, nee and le of every place and month of drivers, with intervals and where they hold.

    Drivers have the names of tower tables (TA, VPD, SWIN, ...) or of CMIP (tas, hurs, rsds, ...); units are converted.
    Places and months that lack what the models need are missing. On a grid, totals of the globe and of regions are
    written beside the file. See docs/apply.md.

    Example: phloem apply campaigns/towers --drivers X.nc --static S.nc --out O.nc

    Example: phloem apply campaigns/towers --drivers cmip/ --out O.nc --engine slurm --set data.variables.TA=t2m
    """
    from phloem.jobs.application.apply_fluxes import ApplyChoice, apply_fluxes
    from phloem.jobs.application.product_totals import totals_file

    choice = ApplyChoice(drivers, static, spread, stamps.value)
    keys = [*(assignments or []), *([f'engine.name="{engine}"'] if engine else [])]
    written = apply_fluxes(directory, out, choice, keys, workers)
    totals = totals_file(out) if written is not None and totals_file(out).is_file() else None
    if as_json:
        found = json.loads(totals.read_text()) if totals else None
        print_json({"out": str(written) if written else None, "totals": found})
    elif written is not None:
        print(written)
