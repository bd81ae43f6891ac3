"""A cell of a driver store: its days, its drivers, its observations, and the checksum of all that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from phloem.io.drivers.tower_cell import day_of_year
from phloem.io.drivers.variables import EPOCH
from phloem.names import PERIOD

CALENDARS = ("standard", "noleap")

MAX_DECIMALS = 5
"""Decimals of a degree in a cell's id, at most: one metre."""

_EXACT = 1e-9


@dataclass(frozen=True, eq=False)
class GridCell:
    """Drivers and observations of one grid cell.

    Attributes:
        name: from the coordinates (`cell_name`), so that it does not depend on tiles or chunks.
        latitude, longitude: of the centre, degrees north and east (-180 to 180).
        calendar: `standard` or `noleap`.
        year, doy: of each day, int (days,); whole years.
        forcing: float32 (days,) by the names in `names.FORCING`, in their units; finite.
        observations: float32 (days,) by the names in `names.STREAMS`, NaN where there is none; `reco` holds the mean of
            each window on its last day, `lai` each composite on its first day. A store can say that other streams are
            means over the windows, in place of these (`window_means` among its facts).
        window_start: 1 on the first day of each window, int8 (days,); the first day of the record is one.
        evaporative_fraction: E / Ep, float32 (days,), NaN where there is none.
        trajectory: live biomass at ages 1, 2, ..., gC m-2, float32 (ages,), at least one; NaN where there is none.
        statics: numbers of the cell by name; NaN where there is none.
        withheld: values that no calibration sees, as `observations`, by some streams; empty where nothing is withheld.
    """

    name: str
    latitude: float
    longitude: float
    calendar: str
    year: np.ndarray
    doy: np.ndarray
    forcing: Mapping[str, np.ndarray]
    observations: Mapping[str, np.ndarray]
    window_start: np.ndarray
    evaporative_fraction: np.ndarray
    trajectory: np.ndarray
    statics: Mapping[str, float]
    withheld: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def has_snapshot(self) -> bool:
        """Whether it has the single biomass of the mature forest."""
        return bool(np.isfinite(self.statics.get("biomass_snapshot", np.nan)))

    @property
    def has_trajectory(self) -> bool:
        """Whether it has biomass by age."""
        return bool(np.isfinite(self.trajectory).any())

    @property
    def observed_years(self) -> tuple[int, int]:
        """First and last year with an observation of any stream, withheld ones apart; (0, 0) where there is none."""
        seen = np.flatnonzero(np.logical_or.reduce([np.isfinite(values) for values in self.observations.values()]))
        return (int(self.year[seen[0]]), int(self.year[seen[-1]])) if len(seen) else (0, 0)

    @property
    def time(self) -> np.ndarray:
        """Phenological time: days since 2001-01-01 of the Gregorian calendar; in `noleap`, days that are stretched
        so that a year lasts 365.25 of them (docs/science.md#forcing), float64 (days,).
        """
        if self.calendar == "noleap":
            return PERIOD * (self.year - 2001) + (self.doy - 1) * (PERIOD / 365)
        return days_since_epoch(self.year, self.doy).astype(float)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of all that a calibration reads, hexadecimal."""
        sha = hashlib.sha256(f"{self.name} {self.latitude!r} {self.longitude!r} {self.calendar}".encode())
        arrays = {"year": self.year, "doy": self.doy, "window_start": self.window_start}
        arrays |= {**self.forcing, **self.observations, "ef": self.evaporative_fraction, "trajectory": self.trajectory}
        arrays |= {f"{name}_withheld": values for name, values in self.withheld.items()}
        for name, values in sorted(arrays.items()):
            kind = "<f4" if values.dtype.kind == "f" else "<i4"
            plain = np.ascontiguousarray(values, kind)
            if kind == "<f4":
                plain = np.where(np.isnan(plain), np.float32(np.nan), plain + np.float32(0))
            sha.update(f"{name} {len(plain)}".encode() + plain.tobytes())
        for name, value in sorted(self.statics.items()):
            sha.update(f"{name} {float(value)!r}".encode())
        return sha.hexdigest()


def cell_name(latitude: float, longitude: float, step: float | None = None) -> str:
    """Return the id of the cell whose centre is there, such as N61.75E024.25.

    Two decimals tell cells apart whose step is a whole number of hundredths of a degree, and greater than one. Others
    have as many as their centres need, such as N61.8125E024.0625, or five where no number of them is enough.

    Args:
        latitude: of the centre, degrees north.
        longitude: likewise, degrees east.
        step: size of the cells in degrees; None for one of those that need two decimals.
    """
    decimals = 2 if step is None else _decimals(step)
    if step is not None and decimals > 2:
        latitude, longitude = (_snapped(value, step) for value in (latitude, longitude))
    return _name(latitude, longitude, decimals)


def place_name(latitude: float, longitude: float) -> str:
    """Return the id of a place on no grid: with as many decimals as its coordinates need, from two to five."""
    texts = [f"{value:.{MAX_DECIMALS}f}".rstrip("0").partition(".")[2] for value in (latitude, longitude)]
    return _name(latitude, longitude, max(2, *map(len, texts)))


def _snapped(value: float, step: float) -> float:
    """A coordinate as the multiple of half a step that it is meant to be: single precision moves a centre of a fine
    grid across the edge between two decimals.
    """
    whole = round(2.0 * value / step) * 0.5 * step
    return whole if abs(whole - value) <= 0.01 * step else value


def _decimals(step: float) -> int:
    """Decimals that tell apart, and if they can write exactly, centres that are multiples of half a step."""
    if step > 0.01 + _EXACT and abs(step * 100.0 - round(step * 100.0)) < _EXACT:
        return 2
    exact = (d for d in range(2, MAX_DECIMALS) if abs(0.5 * step * 10**d - round(0.5 * step * 10**d)) < _EXACT)
    return next(exact, MAX_DECIMALS)


def _name(latitude: float, longitude: float, decimals: int) -> str:
    longitude = (longitude + 180.0) % 360.0 - 180.0
    north, east = "S" if latitude < 0 else "N", "W" if longitude < 0 else "E"
    return f"{north}{abs(latitude):0{decimals + 3}.{decimals}f}{east}{abs(longitude):0{decimals + 4}.{decimals}f}"


def days_since_epoch(year: np.ndarray, doy: np.ndarray) -> np.ndarray:
    """Return days since 2001-01-01 of days of Gregorian years, int64."""
    first = (np.asarray(year, np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    return (first - EPOCH).astype(np.int64) + np.asarray(doy, np.int64) - 1


def calendar_days(first_year: int, last_year: int, calendar: str) -> tuple[np.ndarray, np.ndarray]:
    """Return year and day of the year of every day of some whole years, int64 each.

    Raises:
        ValueError: an unknown calendar.
    """
    if calendar not in CALENDARS:
        raise ValueError(f"calendar {calendar!r}; known are {', '.join(CALENDARS)}")
    if calendar == "noleap":
        years = np.arange(first_year, last_year + 1)
        return np.repeat(years, 365), np.tile(np.arange(1, 366), len(years))
    ends = [np.datetime64(f"{y:04d}-01-01") for y in (first_year, last_year + 1)]
    time = np.arange(*((end - EPOCH).astype(np.int64) for end in ends))
    return (EPOCH + time).astype("datetime64[Y]").astype(np.int64) + 1970, day_of_year(time)
