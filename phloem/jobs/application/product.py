"""The product of an application: a CF-NetCDF file, (site, time) or (time, lat, lon), written by rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np

from phloem.errors import WorkError
from phloem.hpc.apart import ProcessEnded, run_apart
from phloem.io.campaign.application_schema import value_names
from phloem.io.campaign.tiles import load_tile, read_commits
from phloem.io.files.disk_space import not_written
from phloem.io.files.netcdf import FILL, filled
from phloem.io.files.replaced_netcdf import file_aside, replaced_netcdf
from phloem.jobs.application.blocks import lacking_columns, source_of, table_of
from phloem.jobs.application.product_axes import ProductAxes, define_product
from phloem.jobs.application.product_totals import ProductTotals
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.campaign.kind_of_work import Arrays
from phloem.jobs.progress import ProgressBar, say

_AGAIN = "the same command goes on from here"

HELD_BYTES = 128 * 2**20
"""Bytes of the rows that are held until they are whole."""

MOST_ROWS = 16
"""Rows that are written at once, and that a chunk has, at most."""


def write_application(campaign: Campaign) -> Path:
    """Write the file of an application whose tiles are done; what stood there before stays until it is whole.

    Raises:
        WorkError: a tile is damaged, or the file cannot be written.
    """
    out = Path(table_of(campaign.configuration).out)
    started: list[int] = []
    try:
        with ProgressBar(f"writing {out.name}", len(campaign.tiles)) as bar:
            path: Path = run_apart(f"{__name__}:write_apart", campaign.paths.root, bar.update, started.append)
    except ProcessEnded as error:
        raise not_written(out, error, _AGAIN) from error
    finally:
        for process in started:
            file_aside(out, process).unlink(missing_ok=True)
    there, without = result_counts(path)
    if without:
        say(f"{out}: {without:,} of {there:,} place-months with all needed drivers have no result")
    return path


def result_counts(path: Path) -> tuple[int, int]:
    """Return how many months of places with all needed drivers a product has, and of them without any flux.

    Args:
        path: of the product.
    """
    with netCDF4.Dataset(path) as file:
        return int(file.place_months), int(file.place_months_without_result)


def write_apart(root: Path, report: Callable[[int], None]) -> Path:
    """Write the file of an application and its totals, in a process of its own.

    Args:
        root: directory of the application.
        report: told of the tiles that are done.
    """
    campaign = open_campaign(root)
    table = table_of(campaign.configuration)
    source = source_of(campaign.configuration)
    names = value_names(table.fluxes, table.spread)
    places, months = source.places, source.months
    each = 4 * (len(names) + 1) * places.columns * len(months)
    band = max(1, min(places.rows, MOST_ROWS if places.gridded else places.rows, HELD_BYTES // max(1, each)))
    axes = ProductAxes(places, months, band)
    totals = ProductTotals(source, table.fluxes)
    out = Path(table.out)
    with replaced_netcdf(out, _AGAIN) as file:
        define_product(file, axes, table, names, campaign)
        file.drivers_lacking = ", ".join(lacking_columns(table, source)) or "none"
        for rows in _RowBands(campaign, axes, [*names, "inside"], report):
            _write(file, axes, rows)
            totals.add(rows.first, rows.values)
        file.place_months = np.int64(totals.counts["months"])
        file.place_months_without_result = np.int64(totals.counts["without_any"])
    totals.write(out, table)
    return out


@dataclass(frozen=True, eq=False)
class WholeRows:
    """Some rows of a product.

    Attributes:
        first: the first of them.
        values: by name, (places, months), `FILL` or -1 where there is nothing.
    """

    first: int
    values: Arrays


class _RowBands:
    """Bands of rows of a product, each of them whole, from the tiles of an application in their order."""

    def __init__(self, campaign: Campaign, axes: ProductAxes, names: list[str], report: Callable[[int], None]) -> None:
        self.campaign, self.axes, self.names, self.report = campaign, axes, names, report

    def __iter__(self) -> Iterator[WholeRows]:
        commits = read_commits(self.campaign.paths)
        first, held = 0, self._empty(0)
        for number in range(len(self.campaign.tiles)):
            arrays = load_tile(self.campaign.paths, number, self.campaign.schema, commits)[0]
            done, stop = int(arrays["first"][0]), int(arrays["stop"][-1])
            while done < stop:
                until = min(stop, first + self.axes.band)
                self._put(held, arrays, first, done, until)
                done = until
                if done == first + self.axes.band or done == self.axes.places.rows:
                    yield WholeRows(first, held)
                    first, held = done, self._empty(done)
            self.report(number + 1)
        if first != self.axes.places.rows:
            raise WorkError(f"{self.campaign.paths.root}: its tiles end at row {first}; remove it and run it again")

    def _empty(self, first: int) -> Arrays:
        rows = min(self.axes.band, self.axes.places.rows - first)
        shape = rows * self.axes.places.columns, len(self.axes.months)
        return {
            name: np.full(shape, -1, np.int8) if name == "inside" else np.full(shape, FILL, np.float32)
            for name in self.names
        }

    def _put(self, held: Arrays, arrays: Arrays, first: int, start: int, stop: int) -> None:
        """Put what a tile has of rows `start` to `stop` into rows that begin at `first`."""
        columns = self.axes.places.columns
        which = slice(*np.searchsorted(arrays["place"], [start * columns, stop * columns]).tolist())
        at = arrays["place"][which] - first * columns, arrays["month"][which]
        for name in self.names:
            values = arrays[name][which]
            held[name][at] = filled(values)


def _write(file: netCDF4.Dataset, axes: ProductAxes, rows: WholeRows) -> None:
    for name, values in rows.values.items():
        count = len(values) // axes.places.columns
        here = slice(rows.first, rows.first + count)
        if axes.places.gridded:
            file[name][:, here] = values.reshape(count, axes.places.columns, -1).transpose(2, 0, 1)
        else:
            file[name][here] = values
