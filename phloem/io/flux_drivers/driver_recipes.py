"""Names of drivers of fluxes in files, and how those that a file does not have follow from others.

A driver is found by the name that tower tables have it by, else by that of CMIP or of a reanalysis; else it is made of
others: mean temperature of the lowest and the highest, the vapour pressure deficit of what tells how moist the air is,
net radiation of its four parts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np

from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.drivers.moisture import MOISTURES, Moisture
from phloem.io.flux_towers.tower_quantities import FLUXES, OF_SITE, QUANTITIES

OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "TA": ("tas", "t2m", "T2M", "air_temperature"),
    "TS": ("tsl", "stl1", "soil_temperature"),
    "VPD": ("vpd",),
    "SWIN": ("rsds", "ssrd", "SSRD"),
    "LWIN": ("rlds", "strd"),
    "RNET": ("rnet", "rn"),
    "P": ("pr", "tp", "TOTAL_PREC"),
    "PA": ("ps", "sp"),
    "CO2": ("co2",),
    "WS": ("sfcWind", "ws"),
    "LAI": ("lai",),
    "NDVI": ("ndvi",),
    "NIRv": ("nirv", "NIRV"),
    "FAPAR": ("fapar",),
    "G": ("hfdsl",),
}
"""What files of CMIP and of reanalyses call drivers."""

STATIC_NAMES: dict[str, tuple[str, ...]] = {
    "elevation": ("orog", "z", "height"),
    "koppen": ("koeppen",),
    "igbp": ("IGBP", "landcover"),
    "land_fraction": ("sftlf", "landfrac"),
}
"""The same of numbers of a place."""

LATITUDE, LONGITUDE = "lat", "lon"
"""Every place has them."""

LAND = "land_fraction"
"""Share of a cell that is land: where it is 0, nothing is computed; totals are weighed by it. No model reads it."""

STATICS = (*(name for name in OF_SITE if name not in (LATITUDE, LONGITUDE)), "igbp", LAND)
"""Numbers of a place that are read, those of the axes apart."""

DRIVERS = tuple(
    name
    for name in QUANTITIES
    if not name.endswith("_QC") and name not in (*FLUXES.values(), "GPP_DT", "RECO_DT", "LE_CORR", "H")
)
"""Drivers with time."""


@dataclass(frozen=True)
class Part:
    """A variable of files of which a driver is made.

    Attributes:
        names: of which a file has one.
        unit: in which it is due.
    """

    names: tuple[str, ...]
    unit: str


@dataclass(frozen=True)
class Recipe:
    """How a driver comes from variables of files.

    Attributes:
        parts: what is read.
        combine: the driver, in its unit, of arrays of the parts.
        said: of what it is made, in words; empty where it is read as it is.
    """

    parts: tuple[Part, ...]
    combine: Callable[..., np.ndarray] = field(default=lambda values: values)
    said: str = ""


_TEMPERATURES = Part(("tasmin", "T2M_MIN"), "degC"), Part(("tasmax", "T2M_MAX"), "degC")
_RADIATIONS = tuple(Part((name,), "W m-2") for name in ("rsds", "rsus", "rlds", "rlus"))


def usual_names(driver: str) -> tuple[str, ...]:
    """Return what files may call a driver, the name of tower tables first."""
    return driver, *OTHER_NAMES.get(driver, ()), *STATIC_NAMES.get(driver, ())


def unit_of(driver: str) -> str:
    """Return the unit of a driver."""
    return "1" if driver in ("igbp", LAND) else {**QUANTITIES, **OF_SITE}[driver].unit


def _mean(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    middle: np.ndarray = 0.5 * (low + high)
    return middle


def _air() -> tuple[Recipe, ...]:
    """Ways to know the temperature of the air."""
    return Recipe((Part(usual_names("TA"), "degC"),)), Recipe(_TEMPERATURES, _mean, "(tasmin + tasmax) / 2")


def _deficits() -> list[Recipe]:
    """Ways to make the deficit, hPa, of the moisture and the mean temperature of the air."""
    made = []
    for moisture in MOISTURES:
        wet = Part(moisture.names, moisture.variable.unit)
        pressure = (Part(usual_names("PA"), "hPa"),) if moisture.pressure else ()
        said = f"{moisture.variable.long_name} and temperature"
        made += [Recipe((wet, *air.parts, *pressure), _deficit_of(moisture, air), said) for air in _air()]
    return made


def _deficit_of(moisture: Moisture, air: Recipe) -> Callable[..., np.ndarray]:
    """The deficit, hPa, as a function of the moisture, the parts of the temperature, and the pressure if it is due."""
    count = len(air.parts)

    def deficit(values: np.ndarray, *rest: np.ndarray) -> np.ndarray:
        mean = air.combine(*rest[:count])
        lacking: np.ndarray = saturation_pressure(mean) - moisture.vapour(values, mean, rest[-1])
        return np.maximum(lacking, 0.0)

    return deficit


def recipes_of(driver: str) -> list[Recipe]:
    """Return the ways in which a driver may come from a file's variables, the best first."""
    plain = Recipe((Part(usual_names(driver), unit_of(driver)),))
    if driver == "TA":
        return list(_air())
    if driver == "VPD":
        return [plain, *_deficits()]
    if driver == "RNET":
        return [plain, Recipe(_RADIATIONS, lambda down, up, sky, ground: down - up + sky - ground, "its four parts")]
    return [plain]


def find_recipe(driver: str, have: Collection[str]) -> tuple[Recipe, tuple[str, ...]] | None:
    """Return how a driver comes from some variables, and which of them are read; None where it does not.

    Args:
        driver: name of `DRIVERS` or `STATICS`.
        have: variables that there are.
    """
    for recipe in recipes_of(driver):
        names = [next((name for name in part.names if name in have), "") for part in recipe.parts]
        if all(names):
            return recipe, tuple(names)
    return None


def described(driver: str) -> str:
    """Return what a file may have for a driver, for messages."""
    ways = [" or ".join(usual_names(driver))]
    if driver == "TA":
        ways.append("tasmin with tasmax")
    if driver == "VPD":
        ways.append("vap, tdps or hurs, or huss with ps, each with the temperature")
    if driver == "RNET":
        ways.append("rsds, rsus, rlds and rlus")
    return f"{driver} ({'; '.join(ways)}; {unit_of(driver)})"
