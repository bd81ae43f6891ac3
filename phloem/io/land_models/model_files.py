"""Files of land models in archives: one folder a model, one file a variable, prefixes that differ from the folders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from phloem.errors import InputError

FLUXES = ("gpp", "ra", "rh", "npp", "nbp")
"""Carbon fluxes, read as gC m-2 yr-1 over years and gC m-2 d-1 over months."""

STOCKS = ("cVeg", "cLeaf", "cWood", "cRoot", "cLitter", "cSoil")
"""Carbon stocks, read as gC m-2."""

RECO = "reco"
"""Ecosystem respiration, which upscaled products have and archives of land models do not."""

COVER = "landCoverFrac"
"""Share of each plant type, by which densities of plant types are weighted."""

QUANTITIES = (*FLUXES, *STOCKS)

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "gpp": ("gpp", "gpptotal"),
    "ra": ("ra", "rauto", "ratotal"),
    "rh": ("rh", "arh", "rhtotal", "rhet"),
    "npp": ("npp", "npptotal"),
    "nbp": ("nbp", "nbptotal"),
    "cVeg": ("cveg", "cvegtotal"),
    "cLeaf": ("cleaf", "cleaftotal"),
    "cWood": ("cwood", "cwoodtotal"),
    "cRoot": ("croot", "croottotal"),
    "cLitter": ("clitter", "clittertotal"),
    "cSoil": ("csoil", "csoiltotal"),
    RECO: ("reco", "ter"),
    COVER: ("landcoverfrac", "landcover"),
}
"""Names of files and variables, in lower case; the first is the protocol's own."""

_QUANTITY = {alias: quantity for quantity, aliases in _ALIASES.items() for alias in aliases}

_FILE = re.compile(r"^(?P<prefix>.+)_(?P<experiment>S\d)_(?P<variable>[A-Za-z]+)\.(?:nc4?|nc4?\.gz)$")


def quantity_of(name: str) -> str | None:
    """Return the quantity that a file or a variable of this name holds, None where it is none that is read."""
    return _QUANTITY.get(name.lower())


@dataclass(frozen=True)
class ModelFiles:
    """Files of one model.

    Attributes:
        name: of its folder.
        prefix: of its files' names.
        files: by quantity.
        findings: what is odd in the names.
    """

    name: str
    prefix: str
    files: Mapping[str, Path]
    findings: tuple[str, ...]


def find_models(folder: Path, experiment: str = "S3") -> list[ModelFiles]:
    """Find the models below a folder, one a subfolder, or by prefix where all files lie in the folder itself.

    Args:
        folder: of an archive.
        experiment: of the protocol.

    Raises:
        InputError: no such folder, or no file `PREFIX_S3_VARIABLE.nc` below it.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; land models are due, as MODEL/{experiment}/PREFIX_{experiment}_gpp.nc"
        )
    groups: dict[str, list[tuple[re.Match[str], Path]]] = {}
    others: set[str] = set()
    for path in sorted(folder.rglob("*.nc*")):
        match = _FILE.match(path.name)
        if match is None or not path.is_file():
            continue
        if match["experiment"] != experiment:
            others.add(match["experiment"])
            continue
        inside = path.relative_to(folder).parts
        single = inside[0] == experiment or len(inside) == 1
        groups.setdefault(match["prefix"] if single else inside[0], []).append((match, path))
    if not groups:
        there = f"; there are {', '.join(sorted(others))}" if others else ""
        raise InputError(f"{folder}: no file of the form PREFIX_{experiment}_VARIABLE.nc or .nc.gz{there}")
    return [_model(name, found) for name, found in groups.items()]


def _model(name: str, found: list[tuple[re.Match[str], Path]]) -> ModelFiles:
    files: dict[str, Path] = {}
    findings = []
    prefixes = sorted({match["prefix"] for match, _ in found})
    if prefixes != [name]:
        findings.append(f"files begin with {', '.join(prefixes)}, not with the folder's name")
    for match, path in found:
        quantity = quantity_of(match["variable"])
        if quantity is None:
            continue
        if quantity in files:
            raise InputError(
                f"{path}: {quantity} of {name} is in {files[quantity].name} too; one file a variable is due: "
                "take one of them away"
            )
        if match["variable"] != quantity:
            findings.append(f"{quantity} is called {match['variable']}")
        if path.suffix == ".gz":
            findings.append("files are compressed (.nc.gz)")
        files[quantity] = path
    return ModelFiles(name, prefixes[0], files, tuple(dict.fromkeys(findings)))
