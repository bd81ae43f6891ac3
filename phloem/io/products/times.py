"""Days of products and of the store: calendars, time axes as they are published, windows and composites."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cftime
import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import calendar_days
from phloem.io.products.raw_files import RawFile

_STANDARD = ("standard", "gregorian", "proleptic_gregorian")
_NOLEAP = ("noleap", "365_day")
_HUGE = 1e30
"""NetCDF's default fill values lie beyond."""
_MONTH_ENDS = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def calendar_of(text: str) -> str | None:
    """Return the store's name of a CF calendar, `standard` or `noleap`, or None where it has no such days."""
    text = text.strip().lower() or "standard"
    return "standard" if text in _STANDARD else "noleap" if text in _NOLEAP else None


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


@lru_cache(maxsize=64)
def _decoded(data: bytes, units: str, calendar: str) -> tuple[np.ndarray, np.ndarray]:
    moments = cftime.num2date(np.frombuffer(data, np.float64), units, calendar)
    dates = np.array([f"{m.year:04d}-{m.month:02d}-{m.day:02d}" for m in moments], "datetime64[D]")
    hours = np.array([m.hour + m.minute / 60.0 + (m.second + m.microsecond * 1e-6) / 3600.0 for m in moments])
    late = hours > 24.0 - 1e-3  # float32 stamps of midnight
    return dates + late.astype(np.int64), np.where(late, 0.0, np.round(hours, 3))


def read_stamps(file: RawFile, path: Path, dimension: str, length: int, pattern: str, known: str) -> Stamps:
    """Read the times of a file's steps: from its time axis, else from its name.

    Args:
        file: open.
        path: of the file.
        dimension: name of the time dimension; empty where the variable has none.
        length: steps along it.
        pattern: of the product's file names, with `year` and perhaps `doy`; may be empty.
        known: calendar that the product's number of steps implies where no axis says so.

    Raises:
        InputError: a calendar that cannot be used, or no way to know the dates.
    """
    name = dimension if dimension in file.names() else "time" if "time" in file.names() else ""
    if name:
        header = file.header(name)
        units, stated = header.text("units"), header.text("calendar")
        if " since " in units:
            calendar = calendar_of(stated)
            if calendar is None:
                raise InputError(f"{path}: {name}: calendar {stated!r}; usable are {', '.join(_STANDARD + _NOLEAP)}")
            values = _read_times(file, path, name).reshape(-1)
            try:
                date, hour = _decoded(values.tobytes(), units, stated or "standard")
            except (ValueError, OverflowError) as error:
                raise InputError(f"{path}: {name}: units {units!r} are not understood ({error})") from error
            edges = _edges(file, header.text("bounds"), units, stated or "standard", path)
            return Stamps(date, hour, calendar, edges)
    match = re.search(pattern, path.name) if pattern else None
    if match is None:
        raise InputError(
            f"{path}: no time axis with units such as 'days since 2001-01-01', and no date in the file's name"
        )
    return _named(file, path, name, length, match, known)


def _read_times(file: RawFile, path: Path, name: str) -> np.ndarray:
    """Stored times or time bounds, float64; one that is missing is refused."""
    header = file.header(name)
    values = np.asarray(file.read(name, (slice(None),) * len(header.shape)), np.float64)
    missing = ~(np.abs(values) < _HUGE)
    for key in ("_FillValue", "missing_value"):
        fill = header.attributes.get(key)
        if fill is not None and not isinstance(fill, str):
            missing |= np.isin(values, np.asarray(fill, np.float64))
    if missing.any():
        raise InputError(f"{path}: variable {name}: step {int(np.argwhere(missing)[0][0])}: no time (NaN or missing)")
    return values


def _edges(file: RawFile, name: str, units: str, calendar: str, path: Path) -> np.ndarray | None:
    if not name or name not in file.names():
        return None
    values = _read_times(file, path, name)
    if values.ndim != 2 or values.shape[1] != 2:
        raise InputError(f"{path}: {name}: time bounds have shape {values.shape}; (steps, 2) is due")
    try:
        return _decoded(values.tobytes(), units, calendar)[0].reshape(-1, 2)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: {name}: units {units!r} are not understood ({error})") from error


def _named(file: RawFile, path: Path, axis: str, length: int, match: re.Match[str], known: str) -> Stamps:
    """Dates from a file's name: a composite's own date, days of the year along an axis, or a year of equal steps."""
    parts = match.groupdict()
    new_year = np.datetime64(f"{parts['year']}-01-01")
    if parts.get("doy"):
        if length != 1:
            raise InputError(f"{path}: {length} steps in a file whose name is the date of one")
        return Stamps(np.array([new_year + (int(parts["doy"]) - 1)]), np.zeros(1), "standard", note="file names")
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
