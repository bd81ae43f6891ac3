"""The command `phloem benchmark`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from phloem.errors import InputError
from phloem.jobs.commands.options import Json, Set
from phloem.jobs.config.toml_file import TEMPLATES

TEMPLATE = TEMPLATES / "benchmark.toml"


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
    template: Annotated[
        Path | None, typer.Option("--template", help="Write a commented benchmark file there, and do nothing else.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a campaign with reference maps, tables, series and withheld years: scores, maps, figures.

    Example: phloem benchmark campaigns/towers --config benchmark.toml
    """
    if template is not None:
        from phloem.jobs.config.toml_file import copy_template

        copy_template(TEMPLATE, template)
        print(f"wrote {template}; edit it, then: phloem benchmark DIR --config {template}")
        return
    if directory is None:
        raise InputError("name the directory of a campaign; phloem benchmark --template benchmark.toml writes a file")
    from phloem.jobs.analyse.benchmark import benchmark as compare
    from phloem.jobs.analyse.benchmark import describe

    document = compare(directory, config, out, assignments or [])
    print(json.dumps(document, indent=2, allow_nan=False) if as_json else "\n".join(describe(document)))
