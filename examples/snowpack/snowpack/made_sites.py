"""Made-up sites whose true parameters are known: `python -m snowpack.made_sites sites` writes three of them."""

from __future__ import annotations

import sys
from pathlib import Path

import netCDF4
import numpy as np

from snowpack.model import DRIEST, HALF_DRY

TRUTH = {
    "SN-One": {"melt_factor": 3.0, "drainage_rate": 0.03, "evaporation_factor": 0.15},
    "SN-Two": {"melt_factor": 4.5, "drainage_rate": 0.01, "evaporation_factor": 0.3},
    "SN-Six": {"melt_factor": 2.0, "drainage_rate": 0.08, "evaporation_factor": 0.08},
}
"""Parameters by site, in the units of the tables."""

FIRST_DAY = np.datetime64("2001-01-01")
SWE_NOISE = 1.5
"""mm, standard deviation of the observed snow."""

RUNOFF_NOISE = 0.02
"""The same of a month's mean runoff, as a share."""


def simulate(
    temperature: np.ndarray, water: np.ndarray, melt_factor: float, drainage_rate: float, evaporation_factor: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return daily snow (mm) and runoff (mm d-1), each (days,), from 20 mm of snow and 120 mm of soil water."""
    snow, soil_water = 20.0, 120.0
    found = np.empty((2, len(temperature)))
    for day, (degrees, fallen) in enumerate(zip(temperature, water, strict=True)):
        warmth = max(degrees, 0.0)
        melt = min(snow + (fallen if degrees < 0 else 0.0), melt_factor * warmth)
        snow += (fallen if degrees < 0 else 0.0) - melt
        runoff = drainage_rate * soil_water
        evaporation = evaporation_factor * warmth * soil_water / (soil_water + HALF_DRY)
        soil_water = max(soil_water + (0.0 if degrees < 0 else fallen) + melt - runoff - evaporation, DRIEST)
        found[:, day] = snow, runoff
    return found[0], found[1]


def write_site(folder: Path, name: str, years: int = 6, seed: int = 0) -> Path:
    """Write FOLDER/NAME.nc: weather, and what the truth makes of it, with noise; the last years are left unobserved.

    Args:
        folder: must exist.
        name: one of `TRUTH`.
        years: of daily weather from 2001 on.
        seed: of weather and noise.
    """
    rng = np.random.default_rng([seed, list(TRUTH).index(name)])
    days = np.arange(FIRST_DAY, (FIRST_DAY.astype("datetime64[Y]") + years).astype("datetime64[D]"))
    doy = (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int)
    temperature = 3 - 13 * np.cos(2 * np.pi * (doy - 15) / 365.25) + 4 * rng.standard_normal(len(days))
    water = np.where(rng.random(len(days)) < 0.4, rng.gamma(0.8, 6.0, len(days)), 0.0)
    swe, runoff = simulate(temperature, water, **TRUTH[name])
    month = days.astype("datetime64[M]")
    last = np.append(month[1:] != month[:-1], True)
    means = np.array([runoff[month == one].mean() for one in np.unique(month)])
    observed = np.full(len(days), np.nan)
    observed[last] = means * (1 + RUNOFF_NOISE * rng.standard_normal(len(means)))
    seen = np.maximum(swe + SWE_NOISE * rng.standard_normal(len(days)), 0.0)
    seen[doy % 5 > 0] = np.nan
    path = folder / f"{name}.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", len(days))
        for key, values, units in (
            ("time", (days - FIRST_DAY).astype(int), "days since 2001-01-01"),
            ("tas", temperature + 273.15, "K"),
            ("pr", water, "mm d-1"),
            ("swe", seen, "mm"),
            ("runoff", observed, "mm d-1"),
        ):
            variable = file.createVariable(key, values.dtype, ("time",))
            variable.units = units
            variable[:] = values
        for key, value in (("LAT", 61.0), ("LON", 24.0)):
            file.createVariable(key, "f8")[...] = value
    return path


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for site in TRUTH:
        print(write_site(target, site))
