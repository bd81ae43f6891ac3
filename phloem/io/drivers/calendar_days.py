"""Days of towers on the Gregorian calendar: stamps at noon, and records of calendars of 365 or 360 days a year.

A record without leap days lacks 29 February; one of 360 days a year lacks five or six, spread over the year. Their
forcing is interpolated from the days beside them and their observations are missing, so that the model runs over days
that follow one another.
"""

from __future__ import annotations

from dataclasses import dataclass

import cftime
import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.variables import EPOCH
from phloem.io.files.time_axis import NOLEAP, STANDARD

OF_360 = ("360_day",)
CALENDARS = (*STANDARD, *NOLEAP, *OF_360)


@dataclass(frozen=True, eq=False)
class DaysOfRecord:
    """The days of a record.

    Attributes:
        stamps: of each day that follows on the Gregorian calendar, in days since 2001-01-01, float64; NaN where a stamp
            is missing.
        known: which of these days the record has, bool; None where it has all.
        said: what was done, in words; empty where nothing was.
    """

    stamps: np.ndarray
    known: np.ndarray | None = None
    said: str = ""

    def spread(self, values: np.ndarray, forcing: bool) -> np.ndarray:
        """Return values of the record on all of its days, float64.

        Args:
            values: as the record has them, NaN where missing.
            forcing: whether the days in between are interpolated; else they are missing.
        """
        if self.known is None:
            return values
        spread = np.full(len(self.known), np.nan)
        spread[self.known] = values
        if forcing and len(values):
            places = np.arange(len(self.known))
            between = np.interp(places, places[self.known], values)
            spread[~self.known] = between[~self.known]
        return spread


def at_midnight(stamps: np.ndarray) -> tuple[np.ndarray, str]:
    """Return days whose stamps all have one and the same hour, at 00:00, and what was done in words.

    Args:
        stamps: days, float64, NaN where missing.
    """
    parts = np.round(stamps - np.floor(stamps), 6)
    if not len(stamps) or not np.isfinite(stamps).all() or parts[0] == 0.0 or (parts != parts[0]).any():
        return stamps, ""
    minutes = round(24 * 60 * float(parts[0]))
    return np.floor(stamps), f"all days are stamped at {minutes // 60:02d}:{minutes % 60:02d}; taken as these days"


def on_gregorian_days(stamps: np.ndarray, units: str, calendar: str) -> DaysOfRecord:
    """Return the days of a record of another calendar.

    Args:
        stamps: as stored, float64; none is missing.
        units: CF text.
        calendar: one of `NOLEAP` or `OF_360`.

    Raises:
        InputError: two days fall on one, which a record of days does not have.
        ValueError: units that are not understood.
    """
    moments = cftime.num2date(stamps, units, calendar)
    year = np.array([one.year for one in moments], np.int64)
    doy = np.array([one.dayofyr for one in moments], np.int64)
    begins = np.char.add(year.astype(str), "-01-01").astype("datetime64[D]")
    following = np.char.add((year + 1).astype(str), "-01-01").astype("datetime64[D]")
    length = (following - begins).astype(np.int64)
    if calendar in OF_360:
        place = np.rint((doy - 0.5) * length / 360.0 - 0.5).astype(np.int64)
    else:
        place = doy - 1 + ((length == 366) & (doy > 59))
    number = (begins + place - EPOCH).astype(np.int64)
    if (np.diff(number) <= 0).any():
        raise InputError("its days do not follow one another")
    days = np.arange(number[0], number[-1] + 1)
    known = np.isin(days, number)
    lacking = int((~known).sum())
    said = f"calendar {calendar}: {lacking} days of the Gregorian one that it does not have are interpolated"
    return DaysOfRecord(days.astype(float), known if lacking else None, f"{said}; nothing is compared with them")
