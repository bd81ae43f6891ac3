"""The command `phloem ingest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from phloem.errors import InputError
from phloem.jobs.commands.options import Json, StampsIn, What
from phloem.jobs.config.toml_file import TEMPLATES

TEMPLATE = TEMPLATES / "ingest.toml"
PATCHES_TEMPLATE = TEMPLATES / "patches.toml"


def ingest(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Ingest file (TOML), also with patches; with monthly a NetCDF file of months, a folder of them "
            "(CARDAMOM's .cbf.nc) or an ingest file that says more of them, with fluxnet a table, a ZIP or a folder "
            "of them, with leaf-economics and growth-curves a table (CSV)."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the store, or file to write.")] = None,
    what: Annotated[What, typer.Option("--what", help="What to make.")] = What.DRIVERS,
    template: Annotated[
        Path | None, typer.Option("--template", help="Write a commented ingest file there, and do nothing else.")
    ] = None,
    stamps: Annotated[
        StampsIn,
        typer.Option(
            "--stamps", help="With monthly: where stamps stand in their months if the file has no time bounds."
        ),
    ] = StampsIn.BEGIN,
    as_json: Json = False,
) -> None:
    """Make a driver store from raw products or monthly drivers, a patch store from global monthly products, or
    parameters from tables. Run it again after any interruption.

    Examples: phloem ingest boreal.toml --out stores/boreal; phloem ingest months.nc --what monthly --out stores/sites;
    phloem ingest global.toml --what patches --out stores/global
    """
    if template is not None:
        from phloem.jobs.config.toml_file import copy_template

        chosen, kind = (PATCHES_TEMPLATE, " --what patches") if what is What.PATCHES else (TEMPLATE, "")
        print(f"wrote {copy_template(chosen, template)}; edit it, then: phloem ingest {template}{kind} --out STORE")
        return
    if source is None:
        raise InputError("name an ingest file; phloem ingest --template ingest.toml writes one to start from")
    if what is What.DRIVERS:
        if out is None:
            raise InputError("--out is missing: the folder of the store")
        from phloem.jobs.ingest.ingest_products import ingest as make

        finished = make(source, out)
        print(json.dumps(finished.as_json(), indent=2) if as_json else "\n".join(finished.lines()))
        return
    if what is What.PATCHES:
        if out is None:
            raise InputError("--out is missing: the folder of the store")
        from phloem.jobs.ingest.ingest_patches import ingest_patches

        patches = ingest_patches(source, out)
        print(json.dumps(patches.as_json(), indent=2) if as_json else "\n".join(patches.lines()))
        return
    if what is What.MONTHLY:
        if out is None:
            raise InputError("--out is missing: the folder of the store")
        from phloem.jobs.config.monthly_file import load_monthly_file
        from phloem.jobs.config.own_variables import own_variables
        from phloem.jobs.ingest.ingest_monthly import ingest_monthly

        if source.suffix == ".toml":
            said = load_monthly_file(source)
            own = own_variables(said.variables)
            at = said.stamps if stamps is StampsIn.BEGIN else "end"
            store = ingest_monthly(said.source(source.resolve().parent), out, stamps=at, own=own)
        else:
            store = ingest_monthly(source, out, stamps=stamps.value)
        print(json.dumps(store.as_json(), indent=2) if as_json else "\n".join(store.lines()))
        return
    if what is What.FLUXNET:
        if out is None:
            raise InputError("--out is missing: the folder of the tower files")
        from phloem.jobs.ingest.ingest_fluxnet import ingest_fluxnet

        print("\n".join(ingest_fluxnet(source, out)))
        return
    from phloem.jobs.ingest.fit_curves import fit_growth_curves, fit_leaf_economics

    if what is What.LEAF_ECONOMICS:
        print("\n".join(fit_leaf_economics(source, out)))
        return
    if out is None:
        raise InputError("--out is missing: the table of growth curves to write (CSV)")
    print("\n".join(fit_growth_curves(source, out)))
