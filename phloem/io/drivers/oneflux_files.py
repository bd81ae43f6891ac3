"""Files of the ONEFlux family as downloaded: what their names say, and where they lie in folders and ZIP archives.

FLX_XX-Xxx_FLUXNET2015_FULLSET_HH_2009-2011_1-4.csv (FLUXNET2015, Warm Winter 2020 with `beta-3`),
AMF_XX-Xxx_FLUXNET_SUBSET_DD_1991-2020_3-5.csv (AmeriFlux), ICOSETC_XX-Xxx_FLUXNET_HH_L2.csv (ICOS), and what ONEFlux
itself writes.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from phloem.errors import InputError

RESOLUTIONS = ("HH", "HR", "DD", "MM")
"""Half hours, hours, days, months: those that are read, from the finest on."""

SITE = re.compile(r"(?<![A-Za-z])([A-Z]{2}-[A-Za-z0-9]{3})(?![A-Za-z0-9])")
"""A tower's name in the name of a file."""

BUFFER = 1 << 20
"""Bytes of a member of an archive that are unpacked at once."""

_WITHIN = "!/"
_OTHER = re.compile(r"(ERAI|ERA5|AUX[A-Z]*|BIF[A-Z]*|VARINFO|SITEINFO|INSTRUMENTS?|METADATA)$")
_SETS = ("FULLSET", "SUBSET", "FLUXMET")
_YEARS = re.compile(r"^(\d{4})-(\d{4})$")


@dataclass(frozen=True)
class ArchivedFile:
    """A file, or one that lies in a ZIP archive.

    Attributes:
        path: the file, or the archive.
        inside: name in the archive, empty for a file; archives in it are parted from what they hold by `!/`.
    """

    path: Path
    inside: str = ""

    @property
    def name(self) -> str:
        """Name of the file without folders."""
        return (self.inside or self.path.name).rsplit("/", 1)[-1]

    @property
    def where(self) -> str:
        """File for messages."""
        return f"{self.path}: {self.inside}" if self.inside else str(self.path)


@dataclass(frozen=True)
class TowerTable:
    """A table of a tower, by its name.

    Attributes:
        file: where it is.
        site: name of the tower.
        resolution: of `RESOLUTIONS`.
        contents: FULLSET, SUBSET, FLUXMET, or empty where the name does not say.
        product: FLUXNET2015, Warm Winter 2020, AmeriFlux-FLUXNET, ICOS, or ONEFlux.
        version: last part of the name, as 1-4.
        years: first and last year by the name, 0 where it does not say.
    """

    file: ArchivedFile
    site: str
    resolution: str
    contents: str
    product: str
    version: str
    years: tuple[int, int]


def table_of(file: ArchivedFile) -> TowerTable | None:
    """Return what a file's name says, None where it is no table of a tower at a resolution that is read."""
    stem, _, end = file.name.rpartition(".")
    named = SITE.search(stem)
    words = stem.split("_")
    resolution = next((word.upper() for word in words if word.upper() in RESOLUTIONS), "")
    if end.lower() != "csv" or named is None or not resolution or any(_OTHER.match(word) for word in words):
        return None
    spans = [found for word in words if (found := _YEARS.match(word))]
    first, last = (int(spans[0][1]), int(spans[0][2])) if spans else (0, 0)
    at = max(n for n, word in enumerate(words) if word.upper() == resolution or _YEARS.match(word))
    version = "_".join(words[at + 1 :])
    return TowerTable(
        file=file,
        site=named[1],
        resolution=resolution,
        contents=next((word for word in words if word in _SETS), ""),
        product=_product(words, version),
        version=version,
        years=(first, last),
    )


def _product(words: list[str], version: str) -> str:
    if words[0].startswith("ICOSETC"):
        return "ICOS"
    if words[0] == "AMF":
        return "AmeriFlux-FLUXNET"
    if "FLUXNET2015" in words:
        return "Warm Winter 2020" if "beta" in version else "FLUXNET2015"
    return "ONEFlux"


def list_files(path: Path) -> list[ArchivedFile]:
    """Return all files of a file, archive or folder, in folders in it, and in archives to any depth, by name.

    Raises:
        InputError: there is no such path, or an archive cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    found: list[ArchivedFile] = []
    for file in files:
        if any(part.startswith(".") or part == "__MACOSX" for part in file.relative_to(path).parts):
            continue
        if file.suffix.lower() != ".zip":
            found.append(ArchivedFile(file))
            continue
        try:
            with zipfile.ZipFile(file) as archive:
                found += [ArchivedFile(file, name) for name in _names(archive)]
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise InputError(f"{file}: not a readable ZIP archive ({error})") from error
    return found


def _names(archive: zipfile.ZipFile) -> Iterator[str]:
    for name in sorted(archive.namelist()):
        parts = name.split("/")
        if name.endswith("/") or any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        if name.lower().endswith(".zip"):
            with archive.open(name) as raw, zipfile.ZipFile(raw) as inner:
                yield from (f"{name}{_WITHIN}{each}" for each in _names(inner))
        else:
            yield name


@contextmanager
def opened(file: ArchivedFile) -> Iterator[IO[bytes]]:
    """Open a file or one in an archive for reading its bytes.

    Raises:
        InputError: it cannot be read, now or later on.
    """
    try:
        with ExitStack() as stack:
            if not file.inside:
                yield stack.enter_context(file.path.open("rb"))
                return
            archive = stack.enter_context(zipfile.ZipFile(file.path))
            *outer, last = file.inside.split(_WITHIN)
            for name in outer:
                archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(archive.open(name))))
            # Lines of a member alone come four times slower: they are looked for in small pieces.
            yield io.BufferedReader(cast(io.RawIOBase, stack.enter_context(archive.open(last))), BUFFER)
    except (OSError, EOFError, zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{file.where}: not readable ({error})") from error
