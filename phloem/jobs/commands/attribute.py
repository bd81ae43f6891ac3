"""The command `phloem attribute`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from phloem.errors import InputError, WorkError
from phloem.jobs.commands.options import Json
from phloem.jobs.config.toml_file import TEMPLATES, copy_template

TEMPLATE = TEMPLATES / "attribution.toml"


def attribute(
    directory: Annotated[
        Path | None, typer.Argument(help="Directory of a merged campaign, or of what `phloem experiments` made.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Attribution file (TOML); default: none.")] = None,
    targets: Annotated[
        str | None,
        typer.Option("--targets", help="Names between commas; default: leaf lifespan, turnover and shares of NPP."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; default: DIR/attribution.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the [attribution] table; repeatable.")
    ] = None,
    template: Annotated[
        Path | None, typer.Option("--template", help="Write a commented attribution file there, and do nothing else.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain retrieved parameters by climate, soil and vegetation: boosted trees, SHAP, bands over the members.

    Example: phloem attribute campaigns/boreal/growth-curve --targets leaf_lifespan,turnover_wood
    """
    if template is not None:
        print(f"wrote {copy_template(TEMPLATE, template)}; edit it, then: phloem attribute DIR --config {template}")
        return
    if directory is None:
        raise InputError("name the directory of a merged campaign; phloem attribute --help shows an example")
    from phloem.jobs.analyse.attribute import describe, refusal, run_attribute, warn

    names = None if targets is None else [name.strip() for name in targets.split(",") if name.strip()]
    summary = run_attribute(directory, config, names, out, assignments or [])
    why = refusal(summary)
    if as_json:
        print(json.dumps(summary, indent=2))
        if not why:
            warn(summary)
    elif not why:
        print("\n".join(describe(summary)))
    if why:
        raise WorkError(why)
