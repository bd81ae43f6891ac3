"""Limits of drivers: the lowest and highest values that there can be, and what is said of those beyond."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from phloem.errors import InputError
from phloem.io.flux_drivers.driver_recipes import DRIVERS, unit_of
from phloem.io.flux_towers.quality_rules import BOUNDS

LIMITS = MappingProxyType({
    **{name: BOUNDS[name] for name in DRIVERS if name in BOUNDS},
    "CO2": (150.0, 2000.0),
    "elevation": (-500.0, 9000.0), "c4_fraction": (0.0, 1.0), "ndvi_min": (-1.0, 1.0), "ndvi_max": (-1.0, 1.0),
    "fapar_max": (0.0, 1.0),
})  # fmt: skip
"""As of towers, in the unit of the driver; carbon dioxide of scenarios and of glacial times goes beyond theirs."""

SLACK = 1e-3
"""Share of its range by which a value may pass a limit and be taken for it: packed and interpolated files do."""

MOST_OUTSIDE = 0.05
"""Share of the known values beyond the limits from which a variable is refused."""

ENOUGH = 10_000
"""Known values of a band from which their share counts."""

OF_OTHER_UNIT = MappingProxyType({
    "TA": "K", "TS": "K", "VPD": "kPa", "VPD_DAY": "kPa", "PA": "Pa", "CO2": "mol mol-1", "P": "kg m-2 s-1",
    "SWIN": "MJ m-2 d-1", "LWIN": "MJ m-2 d-1", "RNET": "MJ m-2 d-1", "G": "MJ m-2 d-1",
})  # fmt: skip
"""Unit that values of a driver often have instead, for the message; of shares it is per cent."""


def plausible(name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values with those a little beyond a limit at it and impossible ones NaN, and which these are, bool.

    Args:
        name: of the driver, or number of a place; without limits only infinite values are impossible.
        values: in its unit, float, of any shape, NaN where missing.
    """
    low, high = LIMITS.get(name, (-np.inf, np.inf))
    slack = SLACK * (high - low) if name in LIMITS else 0.0
    outside = (values < low - slack) | (values > high + slack) | np.isinf(values)
    return np.where(outside, np.nan, np.clip(values, low, high)), outside


@dataclass
class Plausibility:
    """How many values of a driver lie beyond its limits.

    Attributes:
        name: of the driver.
        where: file and variable, for messages.
        known, outside: values so far.
        example: one of those outside.
        told: whether the user can say its unit; else it must be right in the file.
    """

    name: str
    where: str
    known: int = 0
    outside: int = 0
    example: float = np.nan
    told: bool = True

    def add(self, values: np.ndarray, outside: np.ndarray) -> None:
        """Count values, and which are outside."""
        self.known += int(values.size - np.isnan(values).sum())
        self.outside += int(outside.sum())
        if outside.any() and np.isnan(self.example):
            self.example = float(values[outside].flat[0])

    @property
    def words(self) -> str:
        """What was seen."""
        low, high = LIMITS.get(self.name, (-np.inf, np.inf))
        return (
            f"{self.where}: {self.outside:,} of {self.known:,} values of {self.name} are outside {low:g} to {high:g} "
            f"{unit_of(self.name)}, such as {self.example:g}"
        )

    def refuse_most(self, least: int = 0) -> None:
        """Refuse a variable too many of whose values are outside.

        Args:
            least: known values below which nothing is refused.

        Raises:
            InputError: naming file, variable, a value, and how to say what its unit is.
        """
        # heights of the sea floor stand in many maps of elevation, where nothing is computed
        if self.name == "elevation" or self.known < least or self.outside <= MOST_OUTSIDE * self.known:
            return
        unit = OF_OTHER_UNIT.get(self.name, "%" if LIMITS.get(self.name, (0, 0))[1] == 1.0 else "UNIT")
        mend = f"say what they are (--set data.variables.{self.name}.units={unit})"
        mend = mend if self.told else f"bring them to {unit_of(self.name)} in this file"
        raise InputError(f"{self.words}; {mend}, or declare what is missing (_FillValue)")
