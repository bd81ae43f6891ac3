"""The command `phloem ingest`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from phloem.errors import InputError
from phloem.jobs.commands.options import Json, StampsIn, What
from phloem.jobs.config.toml_file import TEMPLATES

TEMPLATE = TEMPLATES / "ingest.toml"

OWN_TEMPLATES = {
    What.GLOBE: TEMPLATES / "globe.toml",
    What.PATCHES: TEMPLATES / "patches.toml",
    What.PUBLISHED_PATCHES: TEMPLATES / "published_patches.toml",
    What.TOWER_PATCHES: TEMPLATES / "tower_patches.toml",
    What.TOWERS: TEMPLATES / "towers.toml",
}
"""Files to start from, where they are others than that of raw products."""


def ingest(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Ingest file (TOML), also with patches; with monthly a NetCDF file of months, a folder of them "
            "(CARDAMOM's .cbf.nc) or an ingest file that says more of them, with fluxnet a table, a ZIP or a folder "
            "of them, with towers the same, a CF table or an ingest file, with published-patches the maps of "
            "DifferLand_Global or an ingest file that names them, with tower-patches an ingest file, with globe the "
            "file of a synthetic Earth or none, with leaf-economics and growth-curves a table (CSV)."
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
    partition: Annotated[
        bool,
        typer.Option(
            "--partition",
            help="With globe: also share out the truth's variance among the groups of predictors (minutes).",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a driver store from raw products or monthly drivers, a patch store from global monthly products, or
    parameters from tables. Run it again after any interruption.

    Examples: phloem ingest boreal.toml --out stores/boreal; phloem ingest months.nc --what monthly --out stores/sites;
    phloem ingest global.toml --what patches --out stores/global
    """
    if template is not None:
        from phloem.jobs.config.toml_file import copy_template

        written = copy_template(OWN_TEMPLATES.get(what, TEMPLATE), template)
        option = f" --what {what.value}" if what in OWN_TEMPLATES else ""
        print(f"wrote {written}; edit it, then: phloem ingest {template}{option} --out {_NAMED.get(what, 'STORE')}")
        return
    if partition and what is not What.GLOBE:
        raise InputError("--partition goes with --what globe")
    if source is None and what is not What.GLOBE:
        raise InputError("name an ingest file; phloem ingest --template ingest.toml writes one to start from")
    if out is None and what is not What.LEAF_ECONOMICS:
        raise InputError(f"--out is missing: {_WRITTEN.get(what, 'the folder')} to write")
    made: Made | list[str]
    if what is What.GLOBE:
        made = _globe(source, out or Path(), partition)
    elif what is What.MONTHLY:
        made = _monthly(source or Path(), out or Path(), stamps)
    else:
        made = _MAKERS[what](source or Path(), out)
    if isinstance(made, list):
        print("\n".join(made))
    else:
        print(json.dumps(made.as_json(), indent=2) if as_json else "\n".join(made.lines()))


_WRITTEN = {What.GROWTH_CURVES: "the table (CSV)", What.TOWERS: "the table (NetCDF)"}
"""What `--out` names, where it is no folder."""


_NAMED = {What.TOWERS: "towers.nc"}
"""An example of what `--out` names, where it is no store."""


class Made(Protocol):
    """What was made, for people and for scripts."""

    def lines(self) -> list[str]:
        """Say what was made."""

    def as_json(self) -> dict[str, Any]:
        """Return the same as a JSON object."""


def _drivers(source: Path, out: Path) -> Made:
    from phloem.jobs.ingest.ingest_products import ingest as make

    return make(source, out)


def _monthly(source: Path, out: Path, stamps: StampsIn) -> Made:
    from phloem.jobs.config.monthly_file import load_monthly_file
    from phloem.jobs.config.own_variables import own_variables
    from phloem.jobs.ingest.ingest_monthly import ingest_monthly

    if source.suffix != ".toml":
        return ingest_monthly(source, out, stamps=stamps.value)
    said = load_monthly_file(source)
    at = said.stamps if stamps is StampsIn.BEGIN else "end"
    return ingest_monthly(said.source(source.resolve().parent), out, stamps=at, own=own_variables(said.variables))


def _fluxnet(source: Path, out: Path) -> list[str]:
    from phloem.jobs.ingest.ingest_fluxnet import ingest_fluxnet

    return ingest_fluxnet(source, out)


def _towers(source: Path, out: Path) -> Made:
    from phloem.jobs.config.towers_file import TowersFile, load_towers_file
    from phloem.jobs.ingest.ingest_towers import ingest_towers

    file = load_towers_file(source) if source.suffix == ".toml" else TowersFile(path=str(source.resolve()))
    return ingest_towers(file, source.resolve().parent, out)


def _patches(source: Path, out: Path) -> Made:
    from phloem.jobs.ingest.ingest_patches import ingest_patches

    return ingest_patches(source, out)


def _published_patches(source: Path, out: Path) -> Made:
    from phloem.jobs.config.published_file import PublishedFile, load_published_file
    from phloem.jobs.ingest.import_published import import_published

    file = load_published_file(source) if source.suffix == ".toml" else PublishedFile(path=str(source.resolve()))
    return import_published(file, source.resolve().parent, out)


def _tower_patches(source: Path, out: Path) -> Made:
    from phloem.jobs.config.tower_patches_file import load_tower_patches_file
    from phloem.jobs.ingest.ingest_tower_patches import ingest_tower_patches

    return ingest_tower_patches(load_tower_patches_file(source), source.resolve().parent, out)


def _globe(source: Path | None, out: Path, partition: bool) -> Made:
    from phloem.jobs.config.globe_file import load_globe_file
    from phloem.jobs.synthetic.globe.globe_store import MadeGlobe, make_globe

    store = make_globe(out, load_globe_file(source))
    if partition:
        from phloem.jobs.synthetic.globe.globe_partition import make_truth_partition

        make_truth_partition(store)
    return MadeGlobe(store)


def _leaf_economics(source: Path, out: Path | None) -> list[str]:
    from phloem.jobs.ingest.fit_curves import fit_leaf_economics

    return fit_leaf_economics(source, out)


def _growth_curves(source: Path, out: Path) -> list[str]:
    from phloem.jobs.ingest.fit_curves import fit_growth_curves

    return fit_growth_curves(source, out)


_MAKERS: dict[What, Callable[[Path, Any], Made | list[str]]] = {
    What.DRIVERS: _drivers,
    What.FLUXNET: _fluxnet,
    What.PATCHES: _patches,
    What.PUBLISHED_PATCHES: _published_patches,
    What.TOWER_PATCHES: _tower_patches,
    What.TOWERS: _towers,
    What.LEAF_ECONOMICS: _leaf_economics,
    What.GROWTH_CURVES: _growth_curves,
}
"""What makes each kind from a source alone; that of months has stamps too, and a synthetic Earth needs no source."""
