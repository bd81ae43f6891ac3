"""Time axes of land models: months and years in whatever way their files count them.

What the dialects are: units of CF; months or years since some day (also with a calendar that has no such unit for
cftime); dates such as `AD 1700-Jan-1st` or `1700`; numbers YYYYMM.f and YYYY.f; a bare index without units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.errors import InputError
from phloem.io.files.time_axis import calendar_of, decode_moments

NAMES_OF_TIME = ("time", "time_counter", "t", "date")
"""Names of time axes, in lower case."""

_SINCE = re.compile(r"^\s*(?P<unit>[A-Za-z]+)\s+since\s+(?P<date>.+?)\s*$")
_AS = re.compile(r"as\s+%Y(?P<month>%m)?(?P<day>%d)?", re.IGNORECASE)
_DATE = re.compile(
    r"^(?:AD\s+)?(?P<year>\d{1,4})(?:-(?P<month>\d{1,2}|[A-Za-z]{3,9})(?:-(?P<day>\d{1,2})(?:st|nd|rd|th)?)?)?"
    r"(?:[T\s]+(?P<time>[\d:.]+).*)?$",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ENDS = re.compile(r"\bend(s|ing)?\b", re.IGNORECASE)
_CALENDAR_DAYS = {"360_day": 360.0}
_AWHILE = 1e-6
"""Share of a step by which a stamp in floating numbers may be short of where it should be."""


@dataclass(frozen=True, eq=False)
class ModelSteps:
    """Steps of a file.

    Attributes:
        year: calendar year of each, int64 (steps,).
        month: 1 to 12, 0 throughout where steps are years, int64 (steps,).
        findings: what is odd in the axis.
        has_leap_years: whether the model's calendar does; a year of 360 days is one of its calendar's length all the
            same, for its means are given.
    """

    year: np.ndarray
    month: np.ndarray
    findings: tuple[str, ...] = ()
    has_leap_years: bool = True

    @property
    def is_annual(self) -> bool:
        """Whether steps are years."""
        return bool((self.month == 0).all())

    def whole_years(self) -> np.ndarray:
        """Return the years that the file has as a whole, ascending, int64."""
        years, counts = np.unique(self.year, return_counts=True)
        return years[counts == (1 if self.is_annual else 12)]

    def places(self, year: int) -> slice:
        """Return where the steps of a year are."""
        found = np.flatnonzero(self.year == year)
        return slice(int(found[0]), int(found[-1]) + 1)


def read_steps(
    values: np.ndarray, attributes: Mapping[str, Any], where: str, *, index_year: int, monthly_steps: int, single: bool
) -> ModelSteps:
    """Read a time axis.

    Args:
        values: as stored, (steps,).
        attributes: of its variable; `bounds` are not needed: stamps inside or at the end of their steps are told apart.
        where: file and variable, for messages.
        index_year: year in which an index without units begins.
        monthly_steps: months of the model, 0 where unknown: an index of a twelfth as many counts years.
        single: whether a single step is a year.

    Raises:
        InputError: units that are not understood, steps that are neither months nor years, that do not ascend or leave
            gaps.
    """
    values = np.asarray(values, np.float64)
    units = str(attributes.get("units", "")).strip()
    findings: list[str] = []
    if not values.size or not np.isfinite(values).all():
        raise InputError(f"{where}: no times, or times that are missing")
    if not units:
        months = _index(values, where, index_year, len(values) * 12 == monthly_steps, findings)
    elif written := _AS.search(units):
        months = _written(values, bool(written["month"]), bool(written["day"]))
        findings.append(f"times are numbers ({units!r})")
    else:
        months = _since(values, units, attributes, where, findings)
    leap = calendar_of(str(attributes.get("calendar", ""))) != "noleap"
    return _steps(months, where, single, findings, leap)


def _index(values: np.ndarray, where: str, year: int, annual: bool, findings: list[str]) -> np.ndarray:
    if values.min() > 1e5:
        findings.append("times are numbers YYYYMM without units")
        return _written(values, True, values.min() > 1e7)
    if values.min() >= 1500 and values.max() < 2500:
        findings.append("times are years without units")
        return values * 12.0
    if not np.allclose(np.diff(values), 1.0):
        raise InputError(
            f"{where}: no units, and values that are neither an index nor dates; say since when they count"
        )
    findings.append(f"time is an index without units: taken as {'years' if annual else 'months'} from {year} on")
    return year * 12.0 + np.arange(len(values)) * (12.0 if annual else 1.0) + 0.5


def _written(values: np.ndarray, month: bool, day: bool) -> np.ndarray:
    """Numbers YYYYMMDD, YYYYMM.f or YYYY.f as months since year 0."""
    if day:
        return values // 10000 * 12.0 + values // 100 % 100 - 1.0 + (values % 100 - 1.0) / 31.0
    return values // 100 * 12.0 + values % 100 - 1.0 if month else values * 12.0


def _since(
    values: np.ndarray, units: str, attributes: Mapping[str, Any], where: str, findings: list[str]
) -> np.ndarray:
    """Moments as months since year 0, with the share of the month that is over."""
    split = _SINCE.match(units)
    date = _DATE.match(split["date"]) if split else None
    if split is None or date is None:
        raise InputError(f'{where}: units {units!r} are not understood; due are "days since 1700-01-01" and the like')
    word = (date["month"] or "1").lower()
    month = int(word) if word.isdigit() else _MONTHS.index(word[:3]) + 1 if word[:3] in _MONTHS else 0
    if not 1 <= month <= 12:
        raise InputError(f"{where}: units {units!r}: there is no month {date['month']!r}")
    year, day = int(date["year"]), int(date["day"] or 1)
    unit = split["unit"].lower().rstrip("s")
    ending = bool(_ENDS.search(str(attributes.get("long_name", ""))))
    if unit in ("month", "year", "yr", "mon"):
        if date["month"] is None or not word.isdigit():
            findings.append(f"times are {units!r}")
        elif day != 1 or str(attributes.get("calendar", "standard")) not in ("standard", "gregorian", "360_day"):
            findings.append(f"times are {units!r}, which has no length in calendar {attributes.get('calendar')!r}")
        months = year * 12.0 + (month - 1) + (day - 1) / 31.0 + values * (12.0 if unit in ("year", "yr") else 1.0)
    else:
        calendar = str(attributes.get("calendar", ""))
        cf = f"{split['unit']} since {year:04d}-{month:02d}-{day:02d} {date['time'] or '00:00:00'}"
        years, moments, days, hours = decode_moments(values, cf, calendar, where)
        if calendar in _CALENDAR_DAYS:
            findings.append(f"calendar {calendar}")
        months = years * 12.0 + (moments - 1) + (days - 1 + hours / 24.0) / 31.0
        # A run begins in January: months that begin in February, at its first midnight, are those before.
        firsts = (days == 1).all() and (hours == 0.0).all()
        ending = ending or bool(
            firsts and len(values) % 12 == 0 and len(values) > 1 and moments[0] == 2 and moments[1] == 3
        )
    if ending:
        findings.append("stamps stand at the ends of the steps")
        return months - 1e-3
    return months


def _steps(months: np.ndarray, where: str, single: bool, findings: list[str], leap: bool) -> ModelSteps:
    whole = np.floor(months + _AWHILE).astype(np.int64)
    steps = np.diff(whole)
    if (steps <= 0).any():
        place = int(np.argmax(steps <= 0))
        raise InputError(
            f"{where}: steps {place} and {place + 1} are in the same month or run backwards; months or years are due"
        )
    annual = single if not len(steps) else bool(np.median(steps) > 6)
    due = 12 if annual else 1
    if (np.abs(steps - due) > (1 if annual else 0)).any():
        place = int(np.argmax(np.abs(steps - due) > (1 if annual else 0)))
        raise InputError(
            f"{where}: {steps[place]} months between steps {place} and {place + 1}, where {due} are due; "
            "a step is missing"
        )
    return ModelSteps(whole // 12, np.zeros_like(whole) if annual else whole % 12 + 1, tuple(findings), leap)
