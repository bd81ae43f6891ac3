"""The command `phloem ingest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phloem.errors import InputError
from phloem.jobs.commands.options import Json, StampsIn, What
from phloem.jobs.config.toml_file import TEMPLATES

if TYPE_CHECKING:
    from phloem.jobs.ingest.import_published import ImportedPatches

TEMPLATE = TEMPLATES / "ingest.toml"

OWN_TEMPLATES = {
    What.GLOBE: TEMPLATES / "globe.toml",
    What.PUBLISHED_PATCHES: TEMPLATES / "published_patches.toml",
    What.TOWER_PATCHES: TEMPLATES / "tower_patches.toml",
}
"""Files to start from, where they are others than that of raw products."""


def ingest(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Ingest file (TOML); with monthly a NetCDF file of months, a folder of them "
            "(CARDAMOM's .cbf.nc) or an ingest file that says more of them, with fluxnet a table, a ZIP or a folder "
            "of them, with published-patches the maps of DifferLand_Global or an ingest file that names them, with "
            "tower-patches an ingest file, with globe the file of a synthetic Earth or none, with leaf-economics and "
            "growth-curves a table (CSV)."
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
    """Make a driver store from raw products or monthly drivers, or parameters from tables. Run it again after any
    interruption.

    Examples: phloem ingest boreal.toml --out stores/boreal; phloem ingest months.nc --what monthly --out stores/sites
    """
    if template is not None:
        from phloem.jobs.config.toml_file import copy_template

        written = copy_template(OWN_TEMPLATES.get(what, TEMPLATE), template)
        option = f" --what {what.value}" if what in OWN_TEMPLATES else ""
        print(f"wrote {written}; edit it, then: phloem ingest {template}{option} --out STORE")
        return
    if what is What.GLOBE:
        _globe(source, out, as_json)
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
    if what in (What.PUBLISHED_PATCHES, What.TOWER_PATCHES):
        if out is None:
            raise InputError("--out is missing: the folder of the patch store")
        patches = _patches(source, what, out)
        print(json.dumps(patches.as_json(), indent=2) if as_json else "\n".join(patches.lines()))
        return
    from phloem.jobs.ingest.fit_curves import fit_growth_curves, fit_leaf_economics

    if what is What.LEAF_ECONOMICS:
        print("\n".join(fit_leaf_economics(source, out)))
        return
    if out is None:
        raise InputError("--out is missing: the table of growth curves to write (CSV)")
    print("\n".join(fit_growth_curves(source, out)))


def _patches(source: Path, what: What, out: Path) -> ImportedPatches:
    """Make a patch store of other files."""
    base = source.resolve().parent
    if what is What.PUBLISHED_PATCHES:
        from phloem.jobs.config.published_file import PublishedFile, load_published_file
        from phloem.jobs.ingest.import_published import import_published

        file = load_published_file(source) if source.suffix == ".toml" else PublishedFile(path=str(source.resolve()))
        return import_published(file, base, out)
    from phloem.jobs.config.tower_patches_file import load_tower_patches_file
    from phloem.jobs.ingest.ingest_tower_patches import ingest_tower_patches

    return ingest_tower_patches(load_tower_patches_file(source), base, out)


def _globe(source: Path | None, out: Path | None, as_json: bool) -> None:
    """Make the patch store of a synthetic Earth, and say what it has."""
    if out is None:
        raise InputError("--out is missing: the folder of the store")
    from phloem.jobs.config.globe_file import load_globe_file
    from phloem.jobs.synthetic.globe_store import globe_lines, make_globe

    store = make_globe(out, load_globe_file(source))
    if as_json:
        labels = {stream: store.count_labels(stream) for stream in store.streams}
        counts = {"patches": len(store), "cells": sum(store.table["cells"]), "labels": labels}
        print(json.dumps({"directory": str(out), **counts, **store.facts}, indent=2))
        return
    print("\n".join(globe_lines(store)))
