"""Days of products and of the store: calendars, time axes as they are published, windows and composites."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import calendar_days
from phloem.io.files.time_axis import (
    StampsAt,
    bounds_name,
    days_within,
    decode_dates,
    leaves_month_open,
    usable_calendar,
)
from phloem.io.products.raw_files import RawFile, decoded

_YEARS = ("year", "years", "yr")
"""Names, and units, of an axis of years."""

_MONTH_ENDS = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


@dataclass(frozen=True, eq=False)
class Days:
    """The days of a store.

    Attributes:
        first_year, last_year: whole years.
        calendar: `standard` or `noleap`.
        year, doy: of each day, int64 (days,).
    """

    first_year: int
    last_year: int
    calendar: str
    year: np.ndarray
    doy: np.ndarray

    def __len__(self) -> int:
        return len(self.year)

    def places(self, dates: np.ndarray) -> np.ndarray:
        """Return places of dates among the days, -1 for those outside and for 29 February where there is none.

        Args:
            dates: datetime64[D] of the Gregorian calendar.
        """
        months = dates.astype("datetime64[M]")
        year = dates.astype("datetime64[Y]").astype(np.int64) + 1970
        day = (dates - months).astype(np.int64)
        month = months.astype(np.int64) % 12
        if self.calendar == "noleap":
            place = 365 * (year - self.first_year) + _MONTH_ENDS[month] + day
            place = np.where((month == 1) & (day == 28), -1, place)
        else:
            place = (dates - np.datetime64(f"{self.first_year:04d}-01-01")).astype(np.int64)
        return np.where((year >= self.first_year) & (year <= self.last_year), place, -1)

    def date(self, place: int) -> str:
        """Return a day for people."""
        year, doy = int(self.year[place]), int(self.doy[place])
        if self.calendar == "noleap":
            month = int(np.searchsorted(_MONTH_ENDS, doy, "left"))
            return f"{year:04d}-{month:02d}-{doy - _MONTH_ENDS[month - 1]:02d}"
        return str(np.datetime64(f"{year:04d}-01-01") + (doy - 1))

    def span(self, first: int, last: int) -> slice:
        """Return places of the days of some years."""
        kept = np.flatnonzero((self.year >= first) & (self.year <= last))
        return slice(int(kept[0]), int(kept[-1]) + 1) if len(kept) else slice(0, 0)


def days_of(first_year: int, last_year: int, calendar: str) -> Days:
    """Return the days of whole years."""
    return Days(first_year, last_year, calendar, *calendar_days(first_year, last_year, calendar))


@dataclass(frozen=True, eq=False)
class Stamps:
    """Times of the steps of one file.

    Attributes:
        date: datetime64[D] of each step by year, month and day of its own calendar, (steps,).
        hour: hours after midnight, float64 (steps,).
        calendar: `standard` or `noleap`.
        edges: first day and first day after each step as datetime64[D], (steps, 2), or None without time bounds.
        note: where the dates come from, if not from a CF time axis.
    """

    date: np.ndarray
    hour: np.ndarray
    calendar: str
    edges: np.ndarray | None = None
    note: str = ""

    def days_within(self, stamps: StampsAt = "begin") -> np.ndarray:
        """Return a day that lies in each step."""
        return days_within(self.date, self.hour, self.edges, stamps)

    @property
    def leaves_month_open(self) -> bool:
        """Whether nothing says if stamps of months begin or end them."""
        return leaves_month_open(self.date, self.hour, self.edges)


def read_stamps(file: RawFile, path: Path, dimension: str, length: int, pattern: str, known: str) -> Stamps:
    """Read the times of a file's steps: from its time axis, else from its name.

    Args:
        file: open.
        path: of the file.
        dimension: name of the time dimension; empty where the variable has none.
        length: steps along it.
        pattern: of the product's file names, with `year` and perhaps `doy` or `month`; may be empty.
        known: calendar that the product's number of steps implies where no axis says so.

    Raises:
        InputError: a calendar that cannot be used, or no way to know the dates.
    """
    name = dimension if dimension in file.names() else "time" if "time" in file.names() else ""
    if name:
        header = file.header(name)
        units, stated, where = header.text("units"), header.text("calendar"), f"{path}: variable {name}"
        if " since " in units:
            calendar = usable_calendar(stated, where)
            date, hour = decode_dates(decoded(file, path, name).reshape(-1), units, stated, where)
            bounds = bounds_name(header.text("bounds"), name, file.names())
            return Stamps(date, hour, calendar, _edges(file, bounds, units, stated, path))
        if name.lower() in _YEARS or units.lower() in _YEARS:
            return _years(file, path, name)
    match = re.search(pattern, path.name) if pattern else None
    if match is None:
        raise InputError(
            f"{path}: no time axis with units such as 'days since 2001-01-01', and no date in the file's name"
        )
    return _named(file, path, name, length, match, known)


def _years(file: RawFile, path: Path, name: str) -> Stamps:
    """Middles of the years along an axis of whole years."""
    values = decoded(file, path, name).reshape(-1)
    if not ((values == np.round(values)) & (values >= 1000) & (values <= 9999)).all():
        raise InputError(f"{path}: variable {name}: whole years are due, or units such as 'days since 2001-01-01'")
    dates = np.array([f"{int(year):04d}-07-01" for year in values], "datetime64[D]")
    return Stamps(dates, np.zeros(len(dates)), "standard", note=f"{name} (years)")


def _edges(file: RawFile, name: str, units: str, calendar: str, path: Path) -> np.ndarray | None:
    if not name:
        return None
    values = decoded(file, path, name)
    if values.ndim != 2 or values.shape[1] != 2:
        raise InputError(f"{path}: {name}: time bounds have shape {values.shape}; (steps, 2) is due")
    own = file.header(name)
    units, calendar = own.text("units") or units, own.text("calendar") or calendar
    return decode_dates(values, units, calendar, f"{path}: variable {name}")[0]


def _named(file: RawFile, path: Path, axis: str, length: int, match: re.Match[str], known: str) -> Stamps:
    """Dates from a file's name: a composite's or a month's own, days of the year along an axis, or a year of steps."""
    parts = match.groupdict()
    new_year = np.datetime64(f"{parts['year']}-01-01")
    if parts.get("doy"):
        if length != 1:
            raise InputError(f"{path}: {length} steps in a file whose name is the date of one")
        return Stamps(np.array([new_year + (int(parts["doy"]) - 1)]), np.zeros(1), "standard", note="file names")
    if parts.get("month"):
        if length != 1:
            raise InputError(f"{path}: {length} steps in a file whose name is the month of one")
        middle = np.datetime64(f"{parts['year']}-{parts['month']}-15")
        return Stamps(np.array([middle]), np.zeros(1), "standard", note="file names")
    numbers = np.asarray(file.read(axis, (slice(None),)), np.float64) if axis else np.arange(length)
    if length == len(_MONTH_ENDS) - 1 and np.array_equal(numbers - numbers[0], np.arange(length)) and numbers[0] <= 1:
        months = new_year.astype("datetime64[M]") + np.arange(length)
        dates = months.astype("datetime64[D]") + 14
        return Stamps(dates, np.zeros(length), "standard", note="file names and twelve steps")
    if axis:
        values = np.asarray(file.read(axis, (slice(None),)), np.float64)
        if len(values) and values.min() >= 1 and values.max() <= 366 and (np.diff(values) > 0).all():
            dates = new_year + (values.astype(np.int64) - 1)
            return Stamps(dates, np.zeros(len(values)), "standard", note=f"{axis} (day of the year) and file names")
    if known == "noleap" and length % 365 == 0:
        days = calendar_days(int(parts["year"]), int(parts["year"]), "noleap")[1]
        month = np.searchsorted(_MONTH_ENDS, days, "left")
        first = np.array([f"{parts['year']}-{m:02d}-01" for m in month], "datetime64[D]")
        dates = first + (days - _MONTH_ENDS[month - 1] - 1)
        steps = length // 365
        hours = np.tile(np.arange(steps) * 24.0 / steps, 365)
        return Stamps(np.repeat(dates, steps), hours, "noleap", note="file names and the number of steps")
    raise InputError(f"{path}: no time axis with units, and {length} steps do not say what days they are")
