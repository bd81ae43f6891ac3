"""The table of daily variables: names in files, units and their conversions, possible values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phloem.io.files.units import bare_unit, conversion
from phloem.model_tables import ModelTables
from phloem.names import FORCING, STREAMS

EPOCH = np.datetime64("2001-01-01")
"""Day 0 of every time axis in this package."""


def _unit_key(unit: str) -> str:
    """A unit without case, blanks, the marks that differ between spellings, and its variable's name before brackets."""
    key = bare_unit(unit).lower().replace("µ", "u").replace("μ", "u").replace("**", "").replace("day", "d")
    return "".join(c for c in key if c not in " ^._·*°")


def unit_table(unit: str, *groups: tuple[str, str]) -> dict[str, tuple[float, float, str]]:
    """Return conversions to a unit by normalised spelling: factor, offset, and a spelling for people.

    Args:
        unit: to come to.
        groups: what spellings mean, as `phloem.io.files.units` reads it, and the spellings between semicolons.
    """
    table: dict[str, tuple[float, float, str]] = {}
    for meaning, spellings in groups:
        numbers = conversion(meaning, unit)
        assert numbers is not None, f"{meaning!r} does not lead to {unit!r}"
        table |= {_unit_key(spelling): (*numbers, spelling) for spelling in spellings.split(";")}
    return table


_TEMPERATURE = unit_table(
    "degC",
    ("degC", "degC;degreesC;degreeC;celsius;degcelsius;degreecelsius;degreescelsius;C"),
    ("K", "K;kelvin;degK;degreesK;degrees kelvin;degree kelvin"),
)
_RADIATION = unit_table(
    "MJ m-2 d-1",
    ("MJ m-2 d-1", "MJ m-2 d-1;MJ/m2/d;MJ/(m2 d)"),
    ("W m-2", "W m-2;W/m2"),
    ("J m-2 d-1", "J m-2 d-1;J/m2/d"),
)
_CO2 = unit_table("ppm", ("ppm", "ppm;ppmv;umol mol-1;umol/mol;1e-6"), ("mol mol-1", "mol mol-1;mol/mol"))
_PRESSURE = unit_table("hPa", ("hPa", "hPa;mbar;mb;millibar"), ("kPa", "kPa"), ("Pa", "Pa"))
_WATER = unit_table(
    "mm d-1", ("mm d-1", "mm d-1;mm/d;kg m-2 d-1;kg/m2/d"), ("mm s-1", "kg m-2 s-1;kg/m2/s;mm s-1;mm/s")
)
_CARBON = unit_table(
    "g m-2 d-1",
    ("g m-2 d-1", "gC m-2 d-1;gC/m2/d;g m-2 d-1;g C m-2 d-1"),
    ("kg m-2 s-1", "kg m-2 s-1;kgC m-2 s-1;kg C m-2 s-1"),
    ("umol m-2 s-1", "umol m-2 s-1;umolCO2 m-2 s-1;umol CO2 m-2 s-1"),
)
_LEAF = unit_table("1", ("1", "m2 m-2;m2/m2;1;-;dimensionless;m2 m-2 pixel land area"))
_SHARE = unit_table("1", ("1", "1;-;dimensionless"))


@dataclass(frozen=True)
class Variable:
    """One daily variable: what files call it, its unit here, and what it can be.

    Attributes:
        name: Name in this package (CMIP style).
        layout: Name in the tower layout.
        unit: Unit in this package.
        conversions: Normalised unit -> (factor, offset) that leads to `unit`, and a spelling for people; empty: what
            `phloem.io.files.units` reads and can convert.
        lowest, highest: Range outside which a value is physically impossible for a daily value on land.
        slack: A negative value of a non-negative quantity down to minus this is instrument noise.
        long_name: For people.
    """

    name: str
    layout: str
    unit: str
    conversions: Mapping[str, tuple[float, float, str]]
    lowest: float
    highest: float
    slack: float
    long_name: str

    def convert(self, values: np.ndarray, unit: str) -> np.ndarray | None:
        """Return values in this package's unit, or None where `unit` is unknown."""
        known = self._conversion(unit)
        if known is None:
            return None
        factor, offset = known
        return values if (factor, offset) == (1.0, 0.0) else values * factor + offset

    def is_own_unit(self, unit: str) -> bool:
        """Return whether `unit` is a spelling of this package's unit."""
        return self._conversion(unit) == (1.0, 0.0)

    def _conversion(self, unit: str) -> tuple[float, float] | None:
        if not self.conversions:
            return conversion(unit, self.unit)
        known = self.conversions.get(_unit_key(unit))
        return known[:2] if known else None

    @property
    def accepted(self) -> str:
        """The units that `convert` knows, in words; case, blanks and marks between symbols do not matter."""
        return ", ".join(spelling for _, _, spelling in self.conversions.values()) or f"those that lead to {self.unit}"


# Ranges: records of daily surface weather with a margin (-89.2 and 56.7 degC, 1825 mm in a day), and about
# twice the largest daily fluxes of the FLUXNET2015 towers.
VARIABLES: dict[str, Variable] = {
    v.name: v
    for v in (
        Variable("tasmin", "T2M_MIN", "degC", _TEMPERATURE, -95.0, 60.0, 0.0, "minimum air temperature"),
        Variable("tasmax", "T2M_MAX", "degC", _TEMPERATURE, -95.0, 65.0, 0.0, "maximum air temperature"),
        Variable("rsds", "SSRD", "MJ m-2 d-1", _RADIATION, 0.0, 50.0, 0.5, "downward shortwave radiation"),
        Variable("co2", "CO2", "ppm", _CO2, 150.0, 2500.0, 0.0, "atmospheric CO2 mole fraction"),
        Variable("vpd", "VPD", "hPa", _PRESSURE, 0.0, 120.0, 0.5, "vapour pressure deficit"),
        Variable("pr", "TOTAL_PREC", "mm d-1", _WATER, 0.0, 2000.0, 0.1, "precipitation"),
        Variable("gpp", "GPP", "gC m-2 d-1", _CARBON, -15.0, 60.0, 0.0, "gross primary production"),
        Variable("reco", "RECO", "gC m-2 d-1", _CARBON, -15.0, 60.0, 0.0, "ecosystem respiration"),
        Variable("et", "ET", "mm d-1", _WATER, -5.0, 25.0, 0.0, "evapotranspiration"),
        Variable("lai", "LAI", "m2 m-2", _LEAF, 0.0, 20.0, 0.1, "leaf area index"),
    )
}
"""Forcing and observed streams by name; T2M_MIN and tasmin are two spellings of one variable."""

EVAPORATIVE_FRACTION = Variable("ef", "EF", "1", _SHARE, -np.inf, np.inf, 0.0, "evaporative fraction")
"""Not a stream of the objective: only the canopy-efficiency prior reads it."""


@dataclass(frozen=True)
class DriverVariables:
    """The daily variables that a model's drivers have.

    Attributes:
        forcing: complete on every day.
        streams: observed on some.
    """

    forcing: tuple[Variable, ...]
    streams: tuple[Variable, ...]

    @property
    def all(self) -> tuple[Variable, ...]:
        """Forcing and streams, in the order of files."""
        return self.forcing + self.streams


DAILY = DriverVariables(tuple(VARIABLES[name] for name in FORCING), tuple(VARIABLES[name] for name in STREAMS))
"""The drivers of the package's own models."""


def driver_variables(tables: ModelTables) -> DriverVariables:
    """Return the driver variables of a model: those of the table above, and its own.

    Streams that no driver file has, as one made of several, are left out.
    """
    own = {
        one.name: Variable(one.name, one.name, one.unit, {}, one.lowest, one.highest, one.slack, one.meaning)
        for one in tables.variables
    }
    known = {**VARIABLES, **own}
    return DriverVariables(
        forcing=tuple(known[name] for name in tables.forcing),
        streams=tuple(known[name] for name in tables.streams if name in known),
    )


BURNED_AREA = ("BURNED_AREA", "burned_area", "burntFractionAll", "burntArea", "BA")
"""Names of burned area, which the daily model does not read."""
