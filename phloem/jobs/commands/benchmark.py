"""The command `phloem benchmark`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from phloem.errors import InputError
from phloem.jobs.campaign.kind_of_work import AnalysisRequest
from phloem.jobs.commands.kind_of_directory import copy_kind_template, kind_of_directory
from phloem.jobs.commands.options import Json, Set


def benchmark(
    directory: Annotated[
        Path | None, typer.Argument(help="Directory of a campaign, or the one that holds the three experiments.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Benchmark file (TOML); default: withheld years, the store's biomass."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write, replaced as a whole; default: DIR/benchmark.")
    ] = None,
    assignments: Set = None,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", help="Another training beside which this one's scores and shares are shown."),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option("--template", help="Write a commented file there (of DIR's kind of work), and do nothing else."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a campaign with observations: maps, tables, series, withheld years; of networks, held-out patches.

    Example: phloem benchmark campaigns/towers --config benchmark.toml

    Example: phloem benchmark campaigns/earth --against campaigns/earth-other-labels
    """
    if template is not None:
        written = copy_kind_template(directory, "benchmark", template)
        print(f"wrote {written}; edit it, then: phloem benchmark DIR --config {written}")
        return
    if directory is None:
        raise InputError("name the directory of a campaign; phloem benchmark --template benchmark.toml writes a file")
    request = AnalysisRequest(directory, config, out, assignments or [], against=against or [])
    result = kind_of_directory(directory).benchmark(request)
    print(json.dumps(result.document, indent=2, allow_nan=False) if as_json else "\n".join(result.lines))
