"""Time axes of files by CF: calendars, dates, bounds under their usual names, and stamps that may end what they date.

The one reader of time. Where a file has time bounds, they say what a step is; else its stamp lies inside of it, or at
its beginning, unless the user says that stamps stand at the ends of the steps.
"""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from typing import Literal

import cftime
import numpy as np

from phloem.errors import InputError

STANDARD = ("standard", "gregorian", "proleptic_gregorian")
NOLEAP = ("noleap", "365_day")

StampsAt = Literal["begin", "end"]
"""Where in their steps the stamps of a file without time bounds stand: inside or at the beginning, or at the end."""

STAMPED_AT_FIRSTS = (
    "stamped at 00:00 on the first of each month, without time bounds: each is taken as the month that begins there; "
    'if it is the one that ends, say stamps = "end"'
)
"""What is told of months whose stamps leave it open."""

_BOUNDS = ("{}_bnds", "{}_bounds", "{}_bound", "{}_bnd", "bounds_{}", "bnds_{}")
_MONTH = 27.0
"""Days; steps of a month are not shorter."""


def calendar_of(text: str) -> str | None:
    """Return the store's name of a CF calendar, `standard` or `noleap`, or None where it has no such days."""
    text = text.strip().lower() or "standard"
    return "standard" if text in STANDARD else "noleap" if text in NOLEAP else None


def usable_calendar(text: str, where: str) -> str:
    """Return the store's name of a CF calendar.

    Raises:
        InputError: it has other days than the store.
    """
    calendar = calendar_of(text)
    if calendar is None:
        raise InputError(f"{where}: calendar {text!r}; usable are {', '.join(STANDARD + NOLEAP)}")
    return calendar


def bounds_name(stated: str, axis: str, names: Container[str]) -> str:
    """Return the variable of a file that holds the bounds of its time axis, empty where there is none.

    Args:
        stated: the axis' attribute `bounds`.
        axis: name of the axis.
        names: variables of the file.
    """
    usual = [pattern.format(word) for word in dict.fromkeys([axis, "time"]) for pattern in _BOUNDS]
    return next((name for name in (stated.strip(), *usual) if name and name in names), "")


def decode_dates(values: np.ndarray, units: str, calendar: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return dates by year, month and day of the axis' own calendar, and hours after midnight.

    Args:
        values: as stored, NaN where missing, any shape.
        units: CF text.
        calendar: CF name; empty: standard.
        where: file and variable, for messages.

    Returns:
        datetime64[D] and float64 of the shape of `values`.

    Raises:
        InputError: a time that is missing, or units that are not understood.
    """
    year, month, day, hours = decode_moments(values, units, calendar, where)
    flat = zip(year.ravel(), month.ravel(), day.ravel(), strict=True)
    try:
        dates = np.array([f"{y:04d}-{m:02d}-{d:02d}" for y, m, d in flat], "datetime64[D]").reshape(year.shape)
    except ValueError as error:
        raise InputError(f"{where}: units {units!r} are not understood ({error})") from error
    late = hours > 24.0 - 1e-3  # float32 stamps of midnight
    return dates + late.astype(np.int64), np.where(late, 0.0, np.round(hours, 3))


def decode_moments(
    values: np.ndarray, units: str, calendar: str, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return year, month, day (int64) and hours after midnight of the axis' own calendar, which may have 30 February.

    Args:
        values: as stored, NaN where missing, any shape.
        units: CF text.
        calendar: CF name, any that cftime knows; empty: standard.
        where: file and variable, for messages.

    Raises:
        InputError: a time that is missing, or units that are not understood.
    """
    values = np.ascontiguousarray(values, np.float64)
    missing = ~np.isfinite(values)
    if missing.any():
        raise InputError(f"{where}: step {int(np.argwhere(missing)[0][0])}: no time (NaN or missing)")
    try:
        numbers = _decoded(values.tobytes(), units.strip(), calendar.strip().lower() or "standard")
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where}: units {units!r} are not understood ({error})") from error
    year, month, day = (one.astype(np.int64).reshape(values.shape) for one in numbers[:3])
    return year, month, day, numbers[3].reshape(values.shape)


@lru_cache(maxsize=64)
def _decoded(data: bytes, units: str, calendar: str) -> np.ndarray:
    moments = cftime.num2date(np.frombuffer(data, np.float64), units, calendar)
    hours = [m.hour + m.minute / 60.0 + (m.second + m.microsecond * 1e-6) / 3600.0 for m in moments]
    return np.array([[m.year, m.month, m.day, hour] for m, hour in zip(moments, hours, strict=True)]).reshape(-1, 4).T


def days_within(date: np.ndarray, hour: np.ndarray, edges: np.ndarray | None, stamps: StampsAt) -> np.ndarray:
    """Return a day that lies in each step: the middle one by its bounds, else the day of its stamp.

    Args:
        date: of the stamps, datetime64[D] (steps,).
        hour: after midnight, (steps,).
        edges: first day and first day after each step, (steps, 2), or None.
        stamps: where stamps stand if there are no bounds.
    """
    if edges is not None:
        return edges[:, 0] + (edges[:, 1] - edges[:, 0]) // 2
    return date - ((hour == 0.0) & (stamps == "end")).astype(np.int64)


def leaves_month_open(date: np.ndarray, hour: np.ndarray, edges: np.ndarray | None) -> bool:
    """Return whether nothing says if the stamps of months begin or end them."""
    if edges is not None or not len(date):
        return False
    first = date == date.astype("datetime64[M]").astype("datetime64[D]")
    steps = np.diff(np.sort(date)).astype(float)
    return bool(first.all() and (hour == 0.0).all() and (not len(steps) or steps.min() >= _MONTH))
