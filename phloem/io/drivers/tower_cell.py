"""The cell that every driver reader returns, what quality control says of it, and the table of variables."""

from dataclasses import dataclass

import numpy as np

from phloem.arithmetic import ceil_div
from phloem.io.drivers.findings import Finding
from phloem.io.drivers.variables import EPOCH
from phloem.names import PERIOD


@dataclass(frozen=True, eq=False)
class Cell:
    """Drivers and observations of one cell over contiguous days.

    Attributes:
        name: Site id or cell id; it does not depend on tiling.
        latitude: Degrees north.
        longitude: Degrees east, NaN where the file does not give it.
        time: Days since 2001-01-01, int64 (days,), increasing by one.
        doy: Day of the year 1..366, int64 (days,).
        forcing: Finite float64 (days,) by the names in `names.FORCING`.
        observations: float64 (days,) by the names in `names.STREAMS`; NaN is missing.
        evaporative_fraction: float64 (days,); NaN is missing.
        training_days: Length of the calibration window in days.
        findings: What quality control found.
        source: Path of the file.
        checksum: sha256 of the file's bytes, hexadecimal.
    """

    name: str
    latitude: float
    longitude: float
    time: np.ndarray
    doy: np.ndarray
    forcing: dict[str, np.ndarray]
    observations: dict[str, np.ndarray]
    evaporative_fraction: np.ndarray
    training_days: int
    findings: tuple[Finding, ...] = ()
    source: str = ""
    checksum: str = ""

    @property
    def dates(self) -> np.ndarray:
        """The days as datetime64[D] (days,)."""
        return dates(self.time)


def dates(time: np.ndarray) -> np.ndarray:
    """Days since 2001-01-01 as datetime64[D]."""
    return EPOCH + np.asarray(time).astype("timedelta64[D]")


def day_of_year(time: np.ndarray) -> np.ndarray:
    """Gregorian day of the year 1..366, int64, of days since 2001-01-01."""
    day = dates(time)
    return (day - day.astype("datetime64[Y]")).astype(np.int64) + 1


def calendar_years(days: int) -> int:
    """Number of calendar years that a series of so many days stands for: round(days / 365.25)."""
    return round(days / PERIOD)


def count_training_days(time: np.ndarray) -> int:
    """Days in the calibration window: the first ceil(n / 2) of the series' n calendar years.

    A series that starts inside a year is cut on the same day and month, so its years are counted from there.
    """
    first = dates(time[:1])[0]
    years = ceil_div(calendar_years(len(time)), 2)
    month = first.astype("datetime64[M]")
    end = (month + 12 * years).astype("datetime64[D]") + (first - month.astype("datetime64[D]"))
    return int(min((end - first).astype(int), len(time)))
