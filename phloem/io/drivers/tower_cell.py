"""The cell that every driver reader returns: its days, drivers, observations, and findings of quality control."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from phloem.arithmetic import ceil_div
from phloem.errors import InputError
from phloem.io.drivers.findings import Finding
from phloem.io.drivers.variables import EPOCH
from phloem.names import PERIOD
from phloem.typed_tables import TowerYears


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
    """Return days since 2001-01-01 as datetime64[D]."""
    return EPOCH + np.asarray(time).astype("timedelta64[D]")


def day_of_year(time: np.ndarray) -> np.ndarray:
    """Return the Gregorian day of the year 1..366, int64, of days since 2001-01-01."""
    day = dates(time)
    return (day - day.astype("datetime64[Y]")).astype(np.int64) + 1


def in_years(cell: Cell, years: TowerYears | None) -> Cell:
    """Return a cell's days of some calendar years, with the calibration window that they give.

    Args:
        cell: with all its days.
        years: wanted; None: the cell as it is.

    Raises:
        InputError: its record does not hold them, or no observation lies in the calibration window.
    """
    if years is None:
        return cell
    of_day = cell.dates.astype("datetime64[Y]").astype(int) + 1970
    last = int(of_day[-1]) if years.last is None else years.last
    full = [year for year in (years.first, years.calibrated, last) if not _is_whole(cell, of_day, year)]
    if full or last <= years.calibrated:
        what = f"{years.first} to {years.calibrated} are to be calibrated and years up to {last} to be validated"
        lacking = f"{full[0]} is not whole" if full else "no year is left for the validation"
        raise InputError(
            f"{cell.source}: cell {cell.name}: variable time: {what}, and {lacking} in its record, "
            f"{cell.dates[0]} to {cell.dates[-1]} (experiment.calibration_years, validation_years)"
        )
    kept = (of_day >= years.first) & (of_day <= last)
    window = int((of_day[kept] <= years.calibrated).sum())
    observations = {name: values[kept] for name, values in cell.observations.items()}
    if all(np.isnan(values[:window]).all() for values in observations.values()):
        raise InputError(
            f"{cell.source}: cell {cell.name}: variable {' '.join(observations)}: empty window: no observation in "
            f"{years.first} to {years.calibrated}, the calibration window"
        )
    return replace(
        cell,
        time=cell.time[kept],
        doy=cell.doy[kept],
        forcing={name: values[kept] for name, values in cell.forcing.items()},
        observations=observations,
        evaporative_fraction=cell.evaporative_fraction[kept],
        training_days=window,
    )


def _is_whole(cell: Cell, of_day: np.ndarray, year: int) -> bool:
    """Tell whether a record holds a calendar year from its first day to its last."""
    inside = cell.dates[of_day == year]
    return len(inside) > 0 and str(inside[0]).endswith("01-01") and str(inside[-1]).endswith("12-31")


def calendar_years(days: int) -> int:
    """Return the number of calendar years that a series of so many days stands for: round(days / 365.25)."""
    return round(days / PERIOD)


def count_training_days(time: np.ndarray) -> int:
    """Return days in the calibration window: the first ceil(n / 2) of the series' n calendar years.

    A series that starts inside a year is cut on the same day and month, so its years are counted from there.
    """
    first = dates(time[:1])[0]
    years = ceil_div(calendar_years(len(time)), 2)
    month = first.astype("datetime64[M]")
    end = (month + 12 * years).astype("datetime64[D]") + (first - month.astype("datetime64[D]"))
    return int(min((end - first).astype(int), len(time)))
