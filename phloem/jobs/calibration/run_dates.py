"""The days of a cell's run: which forcing each has, and under which date a product shows it."""

from __future__ import annotations

from dataclasses import dataclass

import cftime
import numpy as np

from phloem.io.drivers.grid_cell import GridCell, days_since_epoch
from phloem.io.drivers.tower_arrays import TIME_UNITS
from phloem.io.drivers.tower_cell import Cell
from phloem.kernels.calibrations.experiment import Calibration
from phloem.kernels.objective.site import Site


def simulated_days(cell: Cell | GridCell, experiment: Calibration, site: Site) -> tuple[np.ndarray, np.ndarray]:
    """Return year and day of the year of each simulated day, (days,): those whose forcing it had."""
    if isinstance(cell, Cell):
        return cell.dates.astype("datetime64[Y]").astype(int) + 1970, np.asarray(cell.doy)
    first, last = experiment.protocol.forcing
    record = (cell.year >= first) & (cell.year <= last)
    rows = np.arange(site.days) if site.weather_row is None else site.weather_row
    return np.asarray(cell.year)[record][rows], np.asarray(cell.doy)[record][rows]


@dataclass(frozen=True, eq=False)
class RunDates:
    """The days of a run.

    A run that repeats its years of forcing has more years than the calendar has had: they are counted backward from
    the last one, whose date is true.

    Attributes:
        calendar: `standard` or `noleap`.
        day: days since 2001-01-01 of that calendar, one after the other, int64 (days,).
        year: which year a day is shown in, int64 (days,).
        month: 1 to 12, int64 (days,).
        forcing_year: calendar year whose forcing the day had, int64 (days,).
        repeats: whether years of forcing are met more than once.
    """

    calendar: str
    day: np.ndarray
    year: np.ndarray
    month: np.ndarray
    forcing_year: np.ndarray
    repeats: bool

    def __len__(self) -> int:
        return len(self.day)

    @property
    def year_spans(self) -> list[slice]:
        """The days of each year, one after the other."""
        begins = np.flatnonzero(np.diff(self.year, prepend=self.year[0] - 1))
        return [slice(int(a), int(b)) for a, b in zip(begins, [*begins[1:], len(self.year)], strict=True)]


def calendar_dates(calendar: str, year: np.ndarray, doy: np.ndarray) -> np.ndarray:
    """Return days as datetime64[D]; without leap days, those of a year that has none: their month and day are true."""
    years = year if calendar == "standard" else np.full(len(year), 2001)
    return np.char.add(np.char.zfill(years.astype(str), 4), "-01-01").astype("datetime64[D]") + (doy - 1)


def run_dates(calendar: str, year: np.ndarray, doy: np.ndarray) -> RunDates:
    """Return the dates of a run from the calendar year and the day of the year whose forcing each day had."""
    year, doy = np.asarray(year, np.int64), np.asarray(doy, np.int64)
    number = 365 * (year - 2001) + doy - 1 if calendar == "noleap" else days_since_epoch(year, doy)
    month = calendar_dates(calendar, year, doy).astype("datetime64[M]").astype(np.int64) % 12 + 1
    if (np.diff(number) == 1).all():
        return RunDates(calendar, number, year, month, year, False)
    turns = np.cumsum(np.diff(doy, prepend=doy[0]) < 0)
    return RunDates(
        calendar, number[-1] - np.arange(len(number))[::-1], year[-1] - turns[-1] + turns, month, year, True
    )


def month_starts(keys: np.ndarray, calendar: str) -> np.ndarray:
    """Return the first day of months, in days since 2001-01-01, float64.

    Args:
        keys: 12 times the year, plus the month from 0, (months,).
        calendar: `standard` or `noleap`.
    """
    dates = [cftime.datetime(int(key) // 12, int(key) % 12 + 1, 1, calendar=calendar) for key in keys]
    return np.asarray(cftime.date2num(dates, TIME_UNITS, calendar), float)
