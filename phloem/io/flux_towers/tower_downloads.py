"""Downloads of the ONEFlux family as one table of tower months: which file of each tower is read, one at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError, some
from phloem.io.drivers.oneflux_files import RESOLUTIONS, TowerTable, list_files, table_of
from phloem.io.flux_towers.cf_tower_table import known_classes
from phloem.io.flux_towers.oneflux_months import LEAST_OF_MONTH, OneTower, read_oneflux_months
from phloem.io.flux_towers.site_information import SiteInformation, require_places, site_information
from phloem.io.flux_towers.tower_months import TowerMonths, in_half_turns
from phloem.io.flux_towers.tower_quantities import OF_SITE, QUANTITIES

_CONTENTS = ("FULLSET", "FLUXMET", "SUBSET", "")
"""Which of several tables of one resolution is read: the first of these."""

Progress = Callable[[int, int, str], None]
"""Told how many towers of how many are read, and the name of the last."""


@dataclass(frozen=True)
class DownloadOptions:
    """How downloads become months.

    Attributes:
        resolutions: of `oneflux_files.RESOLUTIONS`, the first that a tower has is read.
        completeness: share of a month's steps that a quantity needs.
        sites: tables of users with places and classes of towers.
    """

    resolutions: tuple[str, ...] = RESOLUTIONS
    completeness: float = LEAST_OF_MONTH
    sites: tuple[Path, ...] = ()


def read_tower_downloads(
    path: Path, options: DownloadOptions | None = None, progress: Progress = lambda done, total, name: None
) -> TowerMonths:
    """Read tables of FLUXNET2015, Warm Winter 2020, AmeriFlux-FLUXNET, ICOS or ONEFlux.

    Of several tables of a tower the finest is read, of two equally fine ones the fuller, and then the one that ends
    later. Where it is damaged the next is read in its place, which is told; where there is none, it is refused.

    Args:
        path: a table, a ZIP archive, or a folder of either, nested as downloaded.
        options: how; None: as usual.
        progress: told after each tower.

    Raises:
        InputError: no table; a tower without a place; two tables of a tower between which nothing chooses; a table that
            cannot be read, by file, column and line.
    """
    options = options or DownloadOptions()
    files = list_files(path)
    tables = [table for file in files if (table := table_of(file)) is not None]
    by_site: dict[str, list[TowerTable]] = defaultdict(list)
    for table in tables:
        if table.resolution in options.resolutions:
            by_site[table.site].append(table)
    if not by_site:
        asked = ", ".join(options.resolutions)
        there = sorted({table.resolution for table in tables})
        only = f"; there are tables of {', '.join(there)}" if there else ""
        raise InputError(f"{path}: no table of {asked} (as XX-Xxx_FLUXNET_FULLSET_HH_2001-2014_1-4.csv), alone or in a "
                         f"ZIP archive{only}")  # fmt: skip
    notes: list[str] = []
    known = site_information(files, options.sites, notes)
    sites = sorted(by_site)
    require_places(sites, known, files)
    ordered = {site: _in_order(by_site[site], options.resolutions) for site in sites}
    towers: dict[str, OneTower] = {}
    progress(0, len(sites), "")
    for count, site in enumerate(sites, 1):
        towers[site] = _read_one(ordered[site], options.completeness, notes)
        progress(count, len(sites), site)
    return _joined(towers, known, notes)


def _in_order(tables: Sequence[TowerTable], resolutions: Sequence[str]) -> list[TowerTable]:
    """Tables of a tower, those first that are to be read."""

    def rank(table: TowerTable) -> tuple[int, int, int, int]:
        first, last = table.years
        return (
            resolutions.index(table.resolution), _CONTENTS.index(table.contents), -last, first - last,
        )  # fmt: skip

    ordered = sorted(tables, key=rank)
    if len(ordered) > 1 and rank(ordered[0]) == rank(ordered[1]):
        one, other = ordered[:2]
        raise InputError(f"tower {one.site}: {one.file.where} and {other.file.where} are of one resolution and of the "
                         "same years: take one of them away")  # fmt: skip
    return ordered


def _read_one(tables: Sequence[TowerTable], completeness: float, notes: list[str]) -> OneTower:
    """The months of the first table that can be read."""
    refused: list[InputError] = []
    for table in tables:
        try:
            tower = read_oneflux_months(table, completeness)
        except InputError as error:
            refused.append(error)
            continue
        notes += [f"{table.site}: {error}; {table.file.name} is read in its place" for error in refused]
        notes += [f"{table.site}: {note}" for note in tower.notes]
        passed = [other.file.name for other in tables if other is not table]
        if passed and not refused:
            notes.append(f"{table.site}: read is {table.file.name}, and not {some(passed, most=4)}")
        return tower
    raise refused[0]


def _joined(towers: Mapping[str, OneTower], known: Mapping[str, SiteInformation], notes: list[str]) -> TowerMonths:
    first = min(tower.months[0] for tower in towers.values())
    last = max(tower.months[-1] for tower in towers.values())
    months = first + np.arange(int((last - first).astype(int)) + 1)
    there = {name for tower in towers.values() for name in tower.values}
    values = {name: np.full((len(towers), len(months)), np.nan) for name in QUANTITIES if name in there}
    for row, tower in enumerate(towers.values()):
        place = (tower.months - first).astype(np.int64)
        for name, numbers in tower.values.items():
            values[name][row, place] = numbers
    information = [known[site] for site in towers]
    numbers_of = {name for one in information for name in one.numbers}
    of_site = {
        name: np.array([one.numbers.get(name, np.nan) for one in information]) for name in OF_SITE if name in numbers_of
    }
    of_site["lon"] = in_half_turns(of_site["lon"])
    classes = known_classes([one.igbp for one in information], notes)
    if lost := [site for site, text in zip(towers, classes, strict=True) if not text]:
        notes.append(f"igbp: no class of {some(lost)}")
    return TowerMonths(
        sites=tuple(towers),
        months=months,
        values=values,
        of_site=of_site,
        igbp=classes,
        provenance=tuple(tower.provenance for tower in towers.values()),
        notes=tuple(notes),
    )


def joined_tables(tables: Sequence[TowerMonths]) -> TowerMonths:
    """Return several tables of different towers as one.

    Args:
        tables: at least one.

    Raises:
        InputError: a tower stands in two of them.
    """
    if len(tables) == 1:
        return tables[0]
    sites = [site for table in tables for site in table.sites]
    if twice := sorted({site for site in sites if sites.count(site) > 1}):
        raise InputError(f"towers that stand in two of the sources: {some(twice)}; leave each in one of them")
    first = min(table.months[0] for table in tables)
    last = max(table.months[-1] for table in tables)
    months = first + np.arange(int((last - first).astype(int)) + 1)

    def series(name: str) -> np.ndarray:
        made = np.full((len(sites), len(months)), np.nan)
        row = 0
        for table in tables:
            start = int((table.months[0] - first).astype(int))
            if name in table.values:
                made[row : row + len(table.sites), start : start + len(table.months)] = table.values[name]
            row += len(table.sites)
        return made

    def still(name: str) -> np.ndarray:
        return np.concatenate([table.of_site.get(name, np.full(len(table.sites), np.nan)) for table in tables])

    return TowerMonths(
        sites=tuple(sites),
        months=months,
        values={name: series(name) for name in QUANTITIES if any(name in table.values for table in tables)},
        of_site={name: still(name) for name in OF_SITE if any(name in table.of_site for table in tables)},
        igbp=tuple(text for table in tables for text in table.igbp),
        provenance=tuple(row for table in tables for row in table.provenance),
        notes=tuple(dict.fromkeys(note for table in tables for note in table.notes)),
    )
