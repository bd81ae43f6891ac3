"""`phloem ingest --what towers`: one table of tower months, from downloads of half hours to months and CF tables."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phloem.errors import InputError
from phloem.io.flux_towers.cf_tower_table import read_tower_table, write_tower_table
from phloem.io.flux_towers.filled_table import filled_from
from phloem.io.flux_towers.quality_rules import GoodMonths, flux_rows
from phloem.io.flux_towers.tower_downloads import DownloadOptions, joined_tables, read_tower_downloads
from phloem.io.flux_towers.tower_months import TowerMonths
from phloem.jobs.config.own_variables import own_variables
from phloem.jobs.config.towers_file import TowersFile
from phloem.jobs.progress import ProgressBar

CF_ENDS = (".nc", ".nc4", ".cdf", ".h5")
"""How the names of CF tables end."""


@dataclass(frozen=True, eq=False)
class MadeTowerTable:
    """A table of tower months that was written.

    Attributes:
        path: the file.
        table: what is in it.
        good: what of it counts by the usual rules; None where nothing does.
        refused: why nothing does.
    """

    path: Path
    table: TowerMonths
    good: GoodMonths | None
    refused: str = ""

    def lines(self) -> list[str]:
        """Say what was made, of which files, and what counts by the usual rules of quality."""
        table = self.table
        said = [f"{self.path}: {len(table.sites)} towers, {table.months[0]} to {table.months[-1]}"]
        said += [f"  {_origin(row)}" for row in table.provenance]
        said += [f"note: {note}" for note in table.notes]
        said.append("by the usual rules of quality, which a campaign may change:")
        counted = self.good.lines() if self.good else [self.refused]
        return [*said, *(f"  {line}" for line in counted if line not in table.notes)]

    def as_json(self) -> dict[str, Any]:
        """Return the same as a JSON object."""
        kept = {flux: self.good.kept(flux).tolist() for flux in self.good.offered} if self.good else {}
        dropped = [
            {"of": one.of, "rule": one.rule, "months": one.by_site.tolist()}
            for one in (self.good.dropped if self.good else ()) if one.by_site.any()
        ]  # fmt: skip
        return {
            "path": str(self.path), "towers": list(self.table.sites), "first_month": str(self.table.months[0]),
            "last_month": str(self.table.months[-1]), "provenance": [dict(row) for row in self.table.provenance],
            "notes": list(self.table.notes), "kept": kept, "dropped": dropped,
        }  # fmt: skip


def _origin(row: Mapping[str, str]) -> str:
    share = f", {float(row['share_good']):.0%} good" if row.get("share_good") else ""
    months = f"{row.get('months')} months {row.get('first')} to {row.get('last')}" if row.get("first") else "no month"
    version = f" {row['version']}" if row.get("version") else ""
    return (
        f"{row.get('site')}: {months}{share}, {row.get('product')}{version} {row.get('resolution')}, {row.get('file')}"
    )


def ingest_towers(file: TowersFile, base: Path, out: Path) -> MadeTowerTable:
    """Write one table of tower months.

    Args:
        file: where the data are, and how they are read.
        base: folder from which its relative paths count.
        out: the table, NetCDF; one that is there is replaced when all is read.

    Raises:
        InputError: a source is not what it should be; nothing is written then.
    """
    if out.suffix not in CF_ENDS or out.is_dir():
        raise InputError(f"--out {out}: a NetCDF file is due, as towers.nc")
    if not out.resolve().parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.resolve().parent}")
    options, own = file.options(base), own_variables(file.variables)
    sources, beside = file.sources(base), file.tables_beside(base)
    if out.resolve() in [path.resolve() for path in (*sources, *beside)]:
        raise InputError(f"--out {out}: that is a source; name another file")
    tables = []
    for path in sources:
        if path.suffix in CF_ENDS:
            tables.append(read_tower_table(path, own, file.stamps))
        else:
            tables.append(_downloads(path, options))
    table = joined_tables(tables)
    for path in beside:
        table = filled_from(table, read_tower_table(path, stamps=file.stamps, complete=False), path.name)
    write_tower_table(table, out)
    try:
        return MadeTowerTable(out, table, flux_rows(table))
    except InputError as error:
        return MadeTowerTable(out, table, None, str(error))


def _downloads(path: Path, options: DownloadOptions) -> TowerMonths:
    """Read downloads with a bar."""
    with ExitStack() as stack:
        bars: list[ProgressBar] = []

        def progress(done: int, total: int, name: str) -> None:
            if not bars:
                bars.append(stack.enter_context(ProgressBar("reading towers", total)))
            bars[0].update(done, name)

        return read_tower_downloads(path, options, progress)
