"""Reference series of any CF file on the cells of a campaign, as means of months; and tables of points.

A month is told by the step's time bounds where the file has them, else by its stamp. Steps that are shorter than a
month are averaged, where at least half of a month's steps have values; steps of less than 15 days must also cover half
of the month's days, which the first and the last month of a file may not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.files.csv_table import Table
from phloem.io.files.time_axis import STAMPED_AT_FIRSTS, StampsAt
from phloem.io.files.units import convert
from phloem.io.products.levels import Select, resolve, units_of
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.times import Stamps, read_stamps
from phloem.io.references.maps import Method, level_mean, open_source

LEAST_OF_MONTH = 0.5
_SHORT = 15.0
"""Days; of shorter steps it is known how many a month has."""


@dataclass(frozen=True, eq=False)
class MonthlyValues:
    """Means of months at the cells.

    Attributes:
        values: float64 (cells, months), NaN where there is none.
        months: datetime64[M] (months,), ascending.
        units, long_name, regrid, extent, notes: as of `maps.MapValues`.
    """

    values: np.ndarray
    months: np.ndarray
    units: str
    long_name: str
    regrid: str
    extent: str
    notes: tuple[str, ...] = ()


def read_months(
    path: Path,
    variable: str,
    latitude: np.ndarray,
    longitude: np.ndarray,
    step: float,
    years: tuple[int, int],
    select: Select | None = None,
    method: Method = "mean",
    units: str = "",
    stated: str = "",
    names: Sequence[str] | None = None,
    stamped: StampsAt = "begin",
) -> MonthlyValues:
    """Read a variable of some years; arguments as of `reference.read_map`.

    Args:
        path: CF-NetCDF.
        variable: its name there; it has a time axis.
        latitude: of the cells, degrees north, (cells,).
        longitude: likewise, degrees east.
        step: size of a cell in degrees.
        years: first and last.
        select: value along each further dimension.
        method: `mean` or `nearest`.
        units: that are wanted; empty: as in the file.
        stated: what the values are, where the file's own attribute is missing or wrong.
        names: of the cells.
        stamped: where stamps stand in their steps if the file has no time bounds.

    Raises:
        InputError: as of `read_map`; no time axis, or no step in the years.
    """
    with OpenFiles() as files:
        source = open_source(files, path, variable, latitude, longitude, step, method, names)
        axes = [n for n in source.header.dimensions if " since " in units_of(source.file, n)]
        if len(axes) != 1:
            raise InputError(
                f"{path}: variable {variable}: a time axis with units such as 'days since 2001-01-01' is due; its "
                f"dimensions are {', '.join(source.header.dimensions)}"
            )
        (time,) = axes
        length = source.header.shape[source.header.dimensions.index(time)]
        stamps = read_stamps(source.file, path, time, length, "", "")
        begins = stamps.days_within(stamped)
        month = begins.astype("datetime64[M]")
        year = month.astype("datetime64[Y]").astype(int) + 1970
        places = np.flatnonzero((year >= years[0]) & (year <= years[1]))
        if not len(places):
            raise InputError(
                f"{path}: variable {variable}: no step in {years[0]} to {years[1]}; the file has {begins.min()} to "
                f"{begins.max()}"
            )
        levels = resolve(source.file, path, source.header, source.plane | {time}, select or {})
        months, owner = np.unique(month[places], return_inverse=True)
        total, count = np.zeros((2, len(latitude), len(months)))
        for place, number in zip(places, owner, strict=True):
            values = level_mean(source.read({**level, time: int(place)}) for level in levels)
            known = np.isfinite(values)
            total[known, number] += values[known]
            count[known, number] += 1
        enough = count >= LEAST_OF_MONTH * np.bincount(owner)
        if (days := _step_days(stamps)) < _SHORT:
            length_of = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
            enough &= count * days >= LEAST_OF_MONTH * length_of.astype(float)
        means = np.divide(total, count, out=np.full(total.shape, np.nan), where=enough & (count > 0))
        unit = stated or source.header.text("units")
        if units:
            means = convert(means, unit, units, f"{path}: variable {variable}")
        title = source.header.text("long_name") or variable
        notes = [STAMPED_AT_FIRSTS] if stamped == "begin" and stamps.leaves_month_open else []
        notes += source.stored.told()
        return MonthlyValues(means, months, units or unit, title, source.regrid, source.extent, tuple(notes))


def _step_days(stamps: Stamps) -> float:
    """Days from one step to the next, the median; of a lone step its bounds, infinite where it has none."""
    if len(stamps.date) > 1:
        days = np.sort((stamps.date - stamps.date[0]).astype(float) + stamps.hour / 24.0)
        return float(np.median(np.diff(days)))
    return math.inf if stamps.edges is None else float((stamps.edges[0, 1] - stamps.edges[0, 0]).astype(float))


@dataclass(frozen=True, eq=False)
class TableValues:
    """A table's columns averaged by cell.

    Attributes:
        values: by quantity, float64 (cells,), NaN where the table has none.
        rows: rows that a cell's mean is of, by quantity, (cells,).
        used, total: rows that lie in some cell, and all rows.
        extent: what the table covers, for messages.
    """

    values: Mapping[str, np.ndarray]
    rows: Mapping[str, np.ndarray]
    used: int
    total: int
    extent: str


def read_points(
    path: Path,
    columns: Mapping[str, str],
    names: Sequence[str],
    latitude: np.ndarray,
    longitude: np.ndarray,
    step: float,
    cell: str = "",
    places: tuple[str, str] = ("latitude", "longitude"),
    renormalise: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
) -> TableValues:
    """Read a table of points and average its rows by cell (docs/benchmark.md#references).

    A row belongs to the cell of its id, or to the nearest centre within half a step. Where fractions are renormalised,
    each row's are divided by their sum before the mean, and a row without one of them counts for none.

    Args:
        path: CSV.
        columns: quantity -> column.
        names: of the cells.
        latitude: of the cells, degrees north, (cells,).
        longitude: likewise, degrees east.
        step: size of a cell in degrees.
        cell: column of ids; empty: rows are placed by coordinates.
        places: columns of latitude and longitude.
        renormalise: quantities that are to sum to 1.
        where: column -> text that a row must have there.

    Raises:
        InputError: a column that is not there, or text where a number is due.
    """
    table = Table(path)
    table.require([*columns.values(), *(where or {}), *([cell] if cell else places)])
    ids = {name: place for place, name in enumerate(names)}
    latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
    total = {name: np.zeros(len(names)) for name in columns}
    count = {name: np.zeros(len(names)) for name in columns}
    rows, used, seen = 0, 0, []
    for row in table.rows():
        if any(row.values[column] != text for column, text in (where or {}).items()):
            continue
        rows += 1
        if cell:
            place = ids.get(row.values[cell], -1)
        else:
            north, east = row.number(places[0], least=-90, most=90), row.number(places[1], least=-180, most=360)
            seen.append((north, (east + 180) % 360 - 180))
            away = np.maximum(np.abs(latitude - north), np.abs((longitude - east + 180) % 360 - 180))
            place = int(np.argmin(away)) if len(away) and away.min() <= 0.5 * step + 1e-9 else -1
        if place < 0:
            continue
        used += 1
        values = {name: row.optional(column) for name, column in columns.items()}
        if renormalise:
            sum_of_parts = math.fsum(values[name] for name in renormalise)
            for name in renormalise:
                values[name] = values[name] / sum_of_parts if sum_of_parts > 0 else math.nan
        for name, value in values.items():
            if math.isfinite(value):
                total[name][place] += value
                count[name][place] += 1
    means = {
        name: np.divide(total[name], count[name], out=np.full(len(names), np.nan), where=count[name] > 0)
        for name in columns
    }
    extent = f"{rows} rows"
    if seen:
        (south, west), (north, east) = np.min(seen, axis=0), np.max(seen, axis=0)
        extent += f", latitude {south:.6g} to {north:.6g}, longitude {west:.6g} to {east:.6g}"
    return TableValues(means, count, used, rows, extent)
