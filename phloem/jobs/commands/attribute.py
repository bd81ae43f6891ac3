"""The command `phloem attribute`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from phloem.errors import InputError, WorkError
from phloem.jobs.campaign.kind_of_work import AnalysisRequest
from phloem.jobs.commands.kind_of_directory import copy_kind_template, kind_of_directory
from phloem.jobs.commands.options import Json
from phloem.jobs.progress import say


def attribute(
    directory: Annotated[
        Path | None, typer.Argument(help="Directory of a merged campaign, or of what `phloem experiments` made.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Attribution file (TOML); default: none.")] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            "--targets",
            help="Names between commas; default: leaf lifespan, turnover and shares of NPP; of networks, main traits.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; default: DIR/attribution.")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="key=value of the [attribution] table; of networks table.key=value too; repeatable."
        ),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option("--template", help="Write a commented file there (of DIR's kind of work), and do nothing else."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain parameters by climate, soil and vegetation; of networks, share out their skill among predictors too.

    Example: phloem attribute campaigns/boreal/growth-curve --targets leaf_lifespan,turnover_wood

    Example: phloem attribute campaigns/earth --targets ce,lcma,cue
    """
    if template is not None:
        written = copy_kind_template(directory, "attribute", template)
        print(f"wrote {written}; edit it, then: phloem attribute DIR --config {written}")
        return
    if directory is None:
        raise InputError("name the directory of a merged campaign; phloem attribute --help shows an example")
    names = None if targets is None else [name.strip() for name in targets.split(",") if name.strip()]
    request = AnalysisRequest(directory, config, out, assignments or [], names)
    result = kind_of_directory(directory).attribute(request)
    if as_json:
        print(json.dumps(result.document, indent=2))
    elif not result.refused:
        print("\n".join(result.lines))
    if result.refused:
        raise WorkError(result.refused)
    if as_json:
        for line in result.warnings:
            say(f"warning: {line}")
