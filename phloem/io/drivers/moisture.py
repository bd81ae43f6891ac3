"""The vapour pressure deficit from vapour pressure, dew point, relative or specific humidity."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from phloem.io.drivers.humidity import saturation_pressure, vapour_pressure
from phloem.io.drivers.variables import VARIABLES, Variable, unit_table

_HUSS = unit_table(
    "kg kg-1",
    ("kg kg-1", "kg kg-1;kg/kg;1;-;dimensionless;kg kg**-1"),
    ("g kg-1", "g kg-1;g/kg"),
    ("mg kg-1", "mg kg-1"),
)
_HURS = unit_table("%", ("%", "%;percent;pct"), ("1", "1;-;fraction;dimensionless"))

PRESSURE = Variable("ps", "ps", "hPa", VARIABLES["vpd"].conversions, 300.0, 1200.0, 0.0, "surface pressure")
_VAPOUR = Variable("vap", "vap", "hPa", VARIABLES["vpd"].conversions, 0.0, 80.0, 0.1, "vapour pressure")
_DEW = Variable("tdps", "tdps", "degC", VARIABLES["tasmin"].conversions, -100.0, 40.0, 0.0, "dew point temperature")
_RELATIVE = Variable("hurs", "hurs", "%", _HURS, 0.0, 105.0, 0.5, "relative humidity")
SPECIFIC_HUMIDITY = Variable("huss", "huss", "kg kg-1", _HUSS, 0.0, 0.06, 1e-4, "specific humidity")

Pressure = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Moisture:
    """One way to know how moist the air is.

    Attributes:
        variable: what is read.
        names: what files call it.
        standard_name: of CF.
        vapour: vapour pressure in hPa from its values, the mean temperature in degC and the pressure in hPa.
        pressure: whether it needs the pressure at the surface.
    """

    variable: Variable
    names: tuple[str, ...]
    standard_name: str
    vapour: Pressure
    pressure: bool = False


MOISTURES = (
    Moisture(
        _VAPOUR,
        ("vap", "vp", "ea", "vapour_pressure", "vapor_pressure"),
        "water_vapor_partial_pressure_in_air",
        lambda e, *_: e,
    ),
    Moisture(
        _DEW,
        ("tdps", "tdew", "d2m", "dewpoint", "dew_point"),
        "dew_point_temperature",
        lambda dew, *_: saturation_pressure(dew),
    ),
    Moisture(
        _RELATIVE,
        ("hurs", "rh", "RH"),
        "relative_humidity",
        lambda rh, air, _: 0.01 * rh.clip(max=100) * saturation_pressure(air),
    ),
    Moisture(
        SPECIFIC_HUMIDITY,
        ("huss",),
        "specific_humidity",
        lambda q, _, ps: vapour_pressure(q, ps),
        pressure=True,
    ),
)
"""In the order in which they are looked for, where a file has no deficit."""

PLACE_OF_VPD = "vap, tdps or hurs, or huss with ps"
"""What may stand in the place of the deficit, in words."""


def find_moisture(names: Collection[str]) -> tuple[Moisture, str] | None:
    """Return how a file says how moist the air is, and the variable that does; None where none is complete."""
    for one in MOISTURES:
        name = next((name for name in one.names if name in names), None)
        if name is not None and (not one.pressure or PRESSURE.name in names):
            return one, name
    return None


def told_moisture(own: Collection[str]) -> bool:
    """Return whether the user says how moist the air is, and not what the deficit is called."""
    return "vpd" not in own and any(one.variable.name in own for one in MOISTURES)


def outweighed(own: Collection[str]) -> list[str]:
    """Return variables of a file that are not read, since the user says how moist the air is, and not by them."""
    if not told_moisture(own):
        return []
    return [
        "vpd",
        VARIABLES["vpd"].layout,
        *(name for one in MOISTURES if one.variable.name not in own for name in one.names),
    ]


def deficit(
    moisture: Moisture, values: np.ndarray, tasmin: np.ndarray, tasmax: np.ndarray, pressure: np.ndarray
) -> np.ndarray:
    """Return the vapour pressure deficit, hPa: the mean of those at the lowest and the highest temperature.

    Args:
        moisture: what the values are.
        values: in its unit.
        tasmin: degC.
        tasmax: degC.
        pressure: hPa; anything where it is not needed.
    """
    vapour = moisture.vapour(values, 0.5 * (tasmin + tasmax), pressure)
    return 0.5 * sum(np.maximum(saturation_pressure(air) - vapour, 0.0) for air in (tasmin, tasmax))
