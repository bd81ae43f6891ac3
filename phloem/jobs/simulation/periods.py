"""Periods of a simulation's product: days, months or years, numbered so that those of all cells are on one axis."""

from __future__ import annotations

from calendar import isleap, monthrange
from dataclasses import dataclass

import numpy as np

from phloem.jobs.calibration.run_dates import RunDates, month_starts

MONTHS = 12
PER_YEAR = {"daily": 366, "monthly": MONTHS, "annual": 1}
"""Periods of a year, at most."""


def period_keys(dates: RunDates, what: str) -> np.ndarray:
    """Return the number of each day's period: of its day, its month or its year; int64 (days,)."""
    if what == "daily":
        return dates.day
    return dates.year if what == "annual" else MONTHS * dates.year + dates.month - 1


def whole_lengths(dates: RunDates, what: str) -> dict[int, int]:
    """Return how many days each period of a run has when it is whole, by its number: of its forcing's year."""
    keys = period_keys(dates, what)
    firsts = np.unique(keys, return_index=True)
    lengths = {}
    for key, day in zip(*(one.tolist() for one in firsts), strict=True):
        year, month = int(dates.forcing_year[day]), int(dates.month[day])
        leap = dates.calendar == "standard" and isleap(year)
        of_month = monthrange(year if dates.calendar == "standard" else 2001, month)[1]
        lengths[key] = {"daily": 1, "monthly": of_month, "annual": 366 if leap else 365}[what]
    return lengths


@dataclass(frozen=True, eq=False)
class PeriodAxis:
    """The axis of a product.

    Attributes:
        what: daily, monthly or annual.
        calendar: `standard` or `noleap`.
        first, last: numbers of its periods.
    """

    what: str
    calendar: str
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def bounds(self) -> np.ndarray:
        """Begin of each period and of the next, days since 2001-01-01, float64 (periods, 2)."""
        keys = np.arange(self.first, self.last + 2)
        if self.what == "daily":
            edges = keys.astype(float)
        else:
            edges = month_starts(keys * (MONTHS if self.what == "annual" else 1), self.calendar)
        return np.stack([edges[:-1], edges[1:]], axis=1)

    @property
    def time(self) -> np.ndarray:
        """Coordinate of each period: the day, or the middle of the month or year; float64 (periods,)."""
        bounds = self.bounds
        middles: np.ndarray = bounds[:, 0] if self.what == "daily" else bounds.mean(axis=1)
        return middles
