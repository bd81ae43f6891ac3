"""Places and classes of towers: BADM interchange files (BIF, ICOS site information), and tables of users."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from phloem.errors import InputError, some
from phloem.io.drivers.oneflux_files import SITE, ArchivedFile, opened
from phloem.io.drivers.tower_files import COORDINATES
from phloem.io.files.csv_table import Row, Table, is_missing
from phloem.io.flux_towers.tower_quantities import OF_SITE

SITES = "sites.csv"
"""Name of the table of users beside the data; `site_coords.csv`, that of other readers, does as well."""

_BADM = re.compile(r"_(BIF|SITEINFO)(?![A-Za-z]).*\.csv$", re.IGNORECASE)
_WORKBOOK = re.compile(r"_BIF(?![A-Za-z]).*\.xlsx$", re.IGNORECASE)
_OF_BADM = {"LOCATION_LAT": "lat", "LOCATION_LONG": "lon", "LOCATION_ELEV": "elevation"}
_LIMITS: Mapping[str, dict[str, float]] = {
    "lat": {"least": -90.0, "most": 90.0},
    "lon": {"least": -180.0, "most": 360.0},
    "elevation": {"least": -500.0, "most": 9000.0},
}
_NAMES: Mapping[str, tuple[str, ...]] = {
    "site": ("site", "site_id", "name", "station"),
    "lat": ("lat", "latitude", "location_lat"),
    "lon": ("lon", "long", "longitude", "location_long"),
    "elevation": ("elevation", "elev", "location_elev", "altitude"),
    "igbp": ("igbp",),
    **{name: (name.lower(),) for name in OF_SITE if name not in ("lat", "lon", "elevation")},
}
"""What users may call the columns, in any case."""


@dataclass
class SiteInformation:
    """What is known of a tower's place.

    Attributes:
        numbers: by the names in `tower_quantities.OF_SITE`.
        igbp: its class as the file has it, empty where unknown.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    igbp: str = ""


def site_information(
    files: Iterable[ArchivedFile], own: Sequence[Path], notes: list[str]
) -> dict[str, SiteInformation]:
    """Return what files say of towers; what the user's own table says outweighs BADM files.

    Args:
        files: of the download (`oneflux_files.list_files`); those of BADM and tables of users among them are read.
        own: further tables of users; the later outweighs.
        notes: what is told is added here.

    Raises:
        InputError: naming file and line: a place that is not on Earth, a table without names of towers, a tower that
            stands twice in a table of users.
    """
    known: dict[str, SiteInformation] = {}
    listed = list(files)
    for file in listed:
        if _BADM.search(file.name):
            _read_badm(file, known, notes)
    tables = [file for file in listed if file.name in (COORDINATES, SITES)]
    for table in [*tables, *(ArchivedFile(path) for path in own)]:
        for site, said in read_sites(table).items():
            here = known.setdefault(site, SiteInformation())
            here.numbers |= said.numbers
            here.igbp = said.igbp or here.igbp
    return known


def require_places(sites: Sequence[str], known: Mapping[str, SiteInformation], files: Sequence[ArchivedFile]) -> None:
    """Refuse towers of which nobody says where they are.

    Raises:
        InputError: naming the towers and how to say it.
    """
    lost = [site for site in sites if not {"lat", "lon"} <= known.get(site, SiteInformation()).numbers.keys()]
    if lost:
        book = next((file for file in files if _WORKBOOK.search(file.name)), None)
        more = f"; {book.where} is a workbook, which is not read: save it as CSV" if book else ""
        raise InputError(
            f"no latitude and longitude of {some(lost)}: give a table {SITES} beside the data, or by the key sites, "
            f"with the columns site, lat, lon, elevation, igbp, or a file of BADM (..._BIF_....csv){more}"
        )


def _text(file: ArchivedFile) -> str:
    with opened(file) as stream:
        data = stream.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # names of people and places; what is read of it is ASCII


def _read_badm(file: ArchivedFile, known: dict[str, SiteInformation], notes: list[str]) -> None:
    """Read a file of groups of variables and values; of a value that stands several times the last counts."""
    table = Table(Path(file.where), _text(file))
    columns = {name.upper(): name for name in table.columns}
    if not {"VARIABLE", "DATAVALUE"} <= columns.keys():
        return
    variable, value, site_id = columns["VARIABLE"], columns["DATAVALUE"], columns.get("SITE_ID", "")
    named = SITE.search(file.name)
    for row in table.rows():
        key, text = row.values[variable].upper(), row.values[value]
        if is_missing(text) or (key not in _OF_BADM and key != "IGBP"):
            continue
        site = row.values[site_id] if site_id else named[1] if named else ""
        here = known.setdefault(site, SiteInformation())
        if key == "IGBP":
            here.igbp = text
            continue
        name = _OF_BADM[key]
        number = row.number(value, **_LIMITS[name])
        before = here.numbers.get(name, number)
        if name != "elevation" and not math.isclose(before, number, abs_tol=0.01):
            notes.append(f"{site}: {key} is {before:g} and then {number:g}; the last counts")
        here.numbers[name] = number


def read_sites(file: ArchivedFile) -> dict[str, SiteInformation]:
    """Read a table of users: a row a tower, with columns such as site, lat, lon, elevation, igbp.

    Raises:
        InputError: naming file and line: no column of names, a tower that stands twice, a number that is none.
    """
    if not file.inside and not file.path.is_file():
        raise InputError(f"{file.path}: no such file of sites")
    table = Table(Path(file.where), _text(file))
    lower = {name.lower(): name for name in table.columns}
    columns = {
        key: lower[word] for key, words in _NAMES.items() if (word := next((w for w in words if w in lower), ""))
    }
    if "site" not in columns:
        due = " or ".join(_NAMES["site"])
        raise InputError(f"{file.where}: no column of names ({due}); the table has: {', '.join(table.columns)}")
    found: dict[str, SiteInformation] = {}
    for row in table.rows():
        site = row.values[columns["site"]]
        if site in found:
            raise InputError(f"{row.where}: tower {site} stands twice")
        found[site] = SiteInformation(_numbers(row, columns), row.values.get(columns.get("igbp", ""), ""))
    return found


def _numbers(row: Row, columns: Mapping[str, str]) -> dict[str, float]:
    numbers = {name: row.optional(columns[name], **_LIMITS.get(name, {})) for name in OF_SITE if name in columns}
    return {name: number for name, number in numbers.items() if not math.isnan(number)}
