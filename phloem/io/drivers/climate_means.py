"""Climate means of cells from their daily drivers: predictors of attribution (docs/attribution.md).

All rest on the twelve long-term monthly means, so that neither a missing day nor a record that begins in summer tilts
them: a month's mean is that of all its days seen in any year. A month never seen makes what needs it NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import calendar_days, days_since_epoch
from phloem.io.drivers.variables import EPOCH

CLIMATE = {
    "mat": ("degC", "annual mean temperature"),
    "coldest_month": ("degC", "mean temperature of the coldest month"),
    "temperature_seasonality": ("degC", "standard deviation of the monthly mean temperatures"),
    "map": ("mm yr-1", "annual precipitation"),
    "precipitation_seasonality": ("1", "coefficient of variation of the monthly precipitation"),
    "radiation": ("MJ m-2 d-1", "mean shortwave radiation"),
    "radiation_seasonality": ("MJ m-2 d-1", "standard deviation of the monthly mean radiation"),
    "vpd": ("kPa", "mean vapour pressure deficit"),
}
"""Units and long names of what `climate_means` returns."""

YEARS = (1985, 2020)
"""The years of the published climate means, as far as a store has them."""

WEATHER = ("tasmin", "tasmax", "rsds", "vpd", "pr")

KPA_OF_HPA = 0.1

_AT_ONCE = 64
"""Cells of a chunk that are read together: 36 years of their weather are 17 MB."""


@dataclass(frozen=True, eq=False)
class Months:
    """The months of a daily record, as far as its years count.

    Attributes:
        days: the days that count.
        starts: first day of each run of days in one month, counted from the first day that counts; int (runs,).
        month: of each run, 0 to 11, int (runs,).
        lengths: mean days of each month over the calendar years in which the record lies, float64 (12,).
    """

    days: slice
    starts: np.ndarray
    month: np.ndarray
    lengths: np.ndarray


def months_of(year: np.ndarray, doy: np.ndarray, calendar: str, years: tuple[int, int] | None, where: str) -> Months:
    """Find the months of a record.

    Args:
        year: of each day, int (days,), ascending.
        doy: day of the year, from 1, int (days,).
        calendar: `standard` or `noleap`.
        years: first and last that count; None: all.
        where: what to call the record in messages.

    Raises:
        InputError: the record has no day in these years.
    """
    first, last = (int(year[0]), int(year[-1])) if years is None else years
    begin, end = np.searchsorted(year, [first, last + 1])
    if begin == end:
        raise InputError(
            f"{where}: drivers of {int(year[0])} to {int(year[-1])}; climate means of {first} to {last} are asked for: "
            "set attribution.years"
        )
    inside = slice(int(begin), int(end))
    month = _month(year[inside], doy[inside], calendar)
    starts = np.append(0, np.flatnonzero(np.diff(month) != 0) + 1)
    days = calendar_days(int(year[begin]), int(year[end - 1]), calendar)
    lengths = np.bincount(_month(*days, calendar), minlength=12) / len(np.unique(days[0]))
    return Months(inside, starts, month[starts], lengths)


def _month(year: np.ndarray, doy: np.ndarray, calendar: str) -> np.ndarray:
    """Return the month of each day, 0 to 11; that of a 365-day year is the month of the day in a common year."""
    time = days_since_epoch(np.full(len(doy), 2001) if calendar == "noleap" else year, doy)
    return (EPOCH + time).astype("datetime64[M]").astype(np.int64) % 12


def monthly_means(values: np.ndarray, months: Months) -> np.ndarray:
    """Return the long-term mean of each month, float64 (cells, 12), NaN for a month without any value.

    Args:
        values: daily, (cells, days); NaN is missing.
        months: of the days.
    """
    inside = values[:, months.days]
    known = np.isfinite(inside)
    sums, counts = np.zeros((len(values), 12)), np.zeros((len(values), 12))
    for total, daily in ((sums, np.where(known, inside, 0)), (counts, known)):
        runs = np.add.reduceat(daily, months.starts, axis=1, dtype=np.float64)
        np.add.at(total.T, months.month, runs.T)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def climate_means(weather: Mapping[str, np.ndarray], months: Months) -> dict[str, np.ndarray]:
    """Return the climate of some cells, float64 (cells,) by the names in `CLIMATE`.

    Annual values weigh each month by its length: on a record of whole years without gaps they are the plain mean and
    the plain total a year. Deviations over the twelve months have eleven degrees of freedom, as in BIO4 and BIO15 of
    WorldClim (Fick and Hijmans 2017).

    Args:
        weather: daily, (cells, days), by the names in `WEATHER`, in the units of `names.FORCING`; the temperature of a
            day is the mean of its extremes.
        months: of the days.
    """
    air = monthly_means(0.5 * (weather["tasmin"] + weather["tasmax"]), months)
    sun, deficit = monthly_means(weather["rsds"], months), monthly_means(weather["vpd"], months)
    rain = monthly_means(weather["pr"], months) * months.lengths
    shares = months.lengths / months.lengths.sum()
    wet = rain.mean(1)
    return {
        "mat": air @ shares,
        "coldest_month": air.min(1),
        "temperature_seasonality": air.std(1, ddof=1),
        "map": rain.sum(1),
        "precipitation_seasonality": np.divide(rain.std(1, ddof=1), wet, out=np.full(len(wet), np.nan), where=wet > 0),
        "radiation": sun @ shares,
        "radiation_seasonality": sun.std(1, ddof=1),
        "vpd": KPA_OF_HPA * (deficit @ shares),
    }


@dataclass(frozen=True, eq=False)
class StoreMeans:
    """Time means and constants of the cells of a driver store.

    Attributes:
        climate: by the names in `CLIMATE`, float64 (cells,).
        statics: numbers of the cells by name, float64 (cells,), NaN where a cell has none.
        meanings: unit and long name of each of the statics.
    """

    climate: dict[str, np.ndarray]
    statics: dict[str, np.ndarray] = field(default_factory=dict)
    meanings: dict[str, tuple[str, str]] = field(default_factory=dict)


def store_means(
    root: Path,
    sources: Sequence[str],
    names: Sequence[str],
    checksums: Sequence[str],
    years: tuple[int, int] | None = YEARS,
    on_progress: Callable[[int, str], None] = lambda done, name: None,
) -> StoreMeans:
    """Read the cells of a store once, chunk by chunk; memory holds the weather of 64 cells at most.

    Args:
        root: folder from which relative sources count.
        sources: of each cell: file of the chunk, `#`, and row in it, as a campaign's plan has them.
        names: of the cells.
        checksums: of the cells when the campaign was planned.
        years: first and last of the climate means; None: all.
        on_progress: called with the number of cells done and the name of the last.

    Raises:
        InputError: a chunk cannot be read, holds other cells than planned, or has no day in the years.
    """
    rows: dict[str, list[tuple[int, int]]] = {}
    for place, source in enumerate(sources):
        chunk, _, row = source.rpartition("#")
        rows.setdefault(chunk, []).append((int(row), place))
    means = StoreMeans({name: np.full(len(names), np.nan) for name in CLIMATE})
    calendars: dict[tuple[str, bytes], Months] = {}
    done = 0
    for chunk, wanted in rows.items():
        path = root / chunk
        try:
            with netCDF4.Dataset(str(path)) as file:
                file.set_auto_mask(False)
                _check(file, path, wanted, names, checksums)
                months = _months(file, years, str(path), calendars)
                _read_statics(file, wanted, means)
                for begin in range(0, len(wanted), _AT_ONCE):
                    part = wanted[begin : begin + _AT_ONCE]
                    weather = {key: np.stack([file[key][one] for one, _ in part]) for key in WEATHER}
                    places = [place for _, place in part]
                    for key, values in climate_means(weather, months).items():
                        means.climate[key][places] = values
                    done += len(part)
                    on_progress(done, names[places[-1]])
        except (OSError, RuntimeError, KeyError, IndexError, AttributeError) as error:
            raise InputError(
                f"{path}: not a readable chunk of a driver store ({error}); run `phloem ingest` again"
            ) from error
    return means


def _check(
    file: netCDF4.Dataset, path: Path, wanted: list[tuple[int, int]], names: Sequence[str], checksums: Sequence[str]
) -> None:
    ids, sums = file["cell"][:], file["checksum"][:]
    for row, place in wanted:
        if (str(ids[row]), str(sums[row])) != (names[place], checksums[place]):
            raise InputError(
                f"{path}: cell {names[place]}: the driver store is not what it was when the campaign was planned (row "
                f"{row} is {ids[row]}, sha256 {str(sums[row])[:12]}, planned {checksums[place][:12]})"
            )


def _months(
    file: netCDF4.Dataset, years: tuple[int, int] | None, where: str, known: dict[tuple[str, bytes], Months]
) -> Months:
    """Find the months of a chunk; all chunks of a store have the same days."""
    time, calendar = file["time"][:].astype(np.int64), str(file["time"].calendar)
    key = calendar, time.tobytes()
    if key not in known:
        if calendar == "noleap":
            year, doy = 2001 + time // 365, time % 365 + 1
        else:
            dates = EPOCH + time
            start = dates.astype("datetime64[Y]")
            year, doy = start.astype(np.int64) + 1970, (dates - start).astype(np.int64) + 1
        known[key] = months_of(year, doy, calendar, years, where)
    return known[key]


def _read_statics(file: netCDF4.Dataset, wanted: list[tuple[int, int]], found: StoreMeans) -> None:
    rows, places = (list(part) for part in zip(*wanted, strict=True))
    cells = len(found.climate["mat"])
    for variable in (file[name] for name in file.variables if name.startswith("static_")):
        name = variable.name.removeprefix("static_")
        if name not in found.statics:
            found.statics[name] = np.full(cells, np.nan)
            meaning = str(getattr(variable, "long_name", name))
            found.meanings[name] = str(getattr(variable, "units", "")), meaning
        found.statics[name][places] = variable[:][rows]
