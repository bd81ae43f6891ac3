"""The command `phloem allocate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from phloem.jobs.commands.options import Json, Mode


def allocate(
    models: Annotated[
        Path,
        typer.Argument(help="Folder of land models (TRENDY): MODEL/S3/PREFIX_S3_VARIABLE.nc, also .nc.gz."),
    ],
    drivers: Annotated[
        Path,
        typer.Option("--drivers", help="Monthly predictors (time, lat, lon) and statics (lat, lon); gives the grid."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write allocation.nc and allocation.json to.")],
    fluxes: Annotated[
        Path | None,
        typer.Option("--fluxes", help="Monthly gpp and reco to share out, of `phloem apply`; default: the models'."),
    ] = None,
    simulation: Annotated[
        list[Path] | None,
        typer.Option("--simulation", help="Output of `phloem simulate DIR --what monthly`, as one more model."),
    ] = None,
    years: Annotated[str | None, typer.Option("--years", help="Years that are used, as 2003-2022.")] = None,
    mode: Annotated[
        Mode, typer.Option("--mode", help="strict: fractions that close; compat: the printed ratios, which do not.")
    ] = Mode.STRICT,
    include_ocean: Annotated[
        bool, typer.Option("--include-ocean", help="Score with ocean as zeros, as the published table seems to.")
    ] = False,
    annual_means: Annotated[
        list[str] | None,
        typer.Option("--annual-means", help="Model whose annual stocks are means of the year; default: JULES."),
    ] = None,
    index_year: Annotated[
        int, typer.Option("--index-year", help="Year in which time axes without units begin.")
    ] = 2003,
    block_degrees: Annotated[
        float, typer.Option("--block-degrees", help="Side of the blocks left out together.")
    ] = 15.0,
    as_json: Json = False,
) -> None:
    """Share out carbon to respiration, growth and pools as land models do, with budgets that close.

    Example: phloem allocate trendy/v12 --drivers drivers.nc --out allocation --fluxes upscaled.nc
    """
    from dataclasses import replace

    from phloem.analysis.allocation.emulators import TREES
    from phloem.analysis.allocation.ratios import RatioMode
    from phloem.io.land_models.model_variable import ReadingOptions
    from phloem.jobs.allocation.allocate import AllocationRequest
    from phloem.jobs.allocation.allocate import allocate as make

    reading = ReadingOptions(index_year=index_year)
    if annual_means:
        reading = replace(reading, annual_mean_stocks=tuple(annual_means))
    request = AllocationRequest(
        models=models,
        drivers=drivers,
        out=out,
        fluxes=fluxes,
        simulations=simulation or [],
        years=None if years is None else _all_years(years),
        mode=RatioMode(mode.value),
        include_ocean=include_ocean,
        reading=reading,
        settings=replace(TREES, block_degrees=block_degrees),
    )
    result = make(request)
    print(json.dumps(result.as_json(), indent=2, allow_nan=False) if as_json else "\n".join(result.lines()))


def _all_years(text: str) -> list[int]:
    from phloem.jobs.config.year_range import year_range

    first, last = year_range(text)
    return list(range(first, last + 1))
