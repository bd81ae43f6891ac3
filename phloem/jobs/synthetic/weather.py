"""A generator of plausible boreal and temperate daily weather, for demonstrations and for tests without data.

The statistics follow two towers of FLUXNET2015 (Pastorello et al. 2020, doi:10.1038/s41597-020-0534-3):
FI-Hyy (61.8 N, 2006-14) and DE-Tha (51.0 N, 2008-16), between and around which they are linear in latitude.
"""

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.drivers.tower_cell import day_of_year
from phloem.io.drivers.variables import EPOCH
from phloem.names import PERIOD

SOUTH, NORTH = 45.0, 70.0
"""Latitudes between which the generator holds, degrees north."""

PERSISTENCE = 0.82
"""Lag-1 autocorrelation of daily temperature anomalies (0.84 at FI-Hyy, 0.81 at DE-Tha)."""

WET_AFTER_WET, WET_AFTER_DRY = 0.58, 0.30
"""Chances of a wet day (more than 0.5 mm): 0.59 and 0.31 at FI-Hyy, 0.56 and 0.29 at DE-Tha."""

_MEMORY = 128  # 0.82**128 = 1e-11: further back the past is forgotten


def extraterrestrial_radiation(latitude: float | np.ndarray, doy: np.ndarray) -> np.ndarray:
    """Return daily shortwave at the top of the atmosphere, MJ m-2 d-1 (days,).

    Allen et al. (1998), FAO Irrigation and Drainage Paper 56, equations 21 to 25; holds in polar
    night and polar day.
    """
    angle = 2.0 * np.pi * doy / 365.0
    declination = 0.409 * np.sin(angle - 1.39)
    distance = 1.0 + 0.033 * np.cos(angle)
    phi = np.deg2rad(latitude)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1.0, 1.0))
    height = sunset * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    return np.maximum(24.0 * 60.0 / np.pi * 0.0820 * distance * height, 0.0)


def _season(doy: np.ndarray, warmest: float) -> np.ndarray:
    """A cosine of the year: 1 on the day `warmest`, -1 half a year away."""
    return np.cos(2.0 * np.pi * (doy - warmest) / PERIOD)


def _autoregressive(rng: np.random.Generator, days: int, persistence: float) -> np.ndarray:
    """A stationary AR(1) series of unit variance (days,)."""
    shocks = rng.standard_normal(days + _MEMORY)
    kernel = np.sqrt(1.0 - persistence**2) * persistence ** np.arange(_MEMORY + 1)
    return np.convolve(shocks, kernel, mode="valid")


def _wet_days(rng: np.random.Generator, days: int) -> np.ndarray:
    """A two-state Markov chain, bool (days,).

    One uniform number a day decides: below the smaller chance the day is wet and above the larger one dry
    whatever the day before was; in between it is as the day before. So the chain needs no loop.
    """
    draw = rng.random(days + _MEMORY)
    decided = (draw < WET_AFTER_DRY) | (draw >= WET_AFTER_WET)
    decided[0] = True
    last = np.maximum.accumulate(np.where(decided, np.arange(len(draw)), 0))
    return (draw[last] < WET_AFTER_DRY)[_MEMORY:]


def boreal_weather(
    latitude: float, years: int, rng: np.random.Generator, first_year: int = 2001
) -> dict[str, np.ndarray]:
    """Return daily weather of whole Gregorian years at a latitude between 45 and 70 degrees north.

    Temperature is an annual cycle plus AR(1) anomalies; a Markov chain of wet and dry days with gamma amounts
    gives precipitation; dry days have more sun, a wider range of temperature and drier air.

    Args:
        latitude: Degrees north, 45..70.
        years: Number of calendar years, at least 1.
        rng: Source of all chance: the same state gives the same weather.
        first_year: First calendar year.

    Returns:
        `time` (int64, days since 2001-01-01), `doy` (int64) and the arrays of `names.FORCING`
        (float64), each (days,).

    Raises:
        InputError: A latitude or number of years outside the range.
    """
    if not SOUTH <= latitude <= NORTH:
        raise InputError(
            f"latitude {latitude} is outside the weather generator's {SOUTH:.0f}..{NORTH:.0f} degrees north"
        )
    if years < 1:
        raise InputError(f"years = {years}: the weather generator needs at least 1")
    start, end = (np.datetime64(f"{y:04d}-01-01") for y in (first_year, first_year + years))
    time = np.arange((start - EPOCH).astype(np.int64), (end - EPOCH).astype(np.int64))
    doy, days = day_of_year(time), len(time)
    north = latitude - 51.0
    summer = _season(doy, 201.0)

    wet = _wet_days(rng, days)
    amount = (5.2 + 1.9 * summer) * (1.0 - 0.012 * north)
    precipitation = np.where(wet, 0.5 + rng.gamma(0.8, (amount - 0.5) / 0.8), 0.0)

    spread = (4.2 + 0.04 * north) - (0.6 + 0.08 * north) * summer
    mean = (9.3 - 0.41 * north) + (9.4 + 0.26 * north) * summer
    mean = mean + spread * _autoregressive(rng, days, PERSISTENCE)

    sky = _autoregressive(rng, days, 0.3)  # clear of cloud: more sun, wider range
    bright = _season(doy, 172.0)
    clearness = np.where(wet, 0.29 + 0.06 * bright, 0.45 + 0.09 * bright) + 0.10 * sky
    radiation = np.clip(clearness, 0.05, 0.75) * extraterrestrial_radiation(latitude, doy)

    breadth = (6.1 + 2.0 * _season(doy, 165.0)) * np.where(wet, 0.85, 1.10)
    half_range = 0.5 * breadth * np.exp(0.22 * sky + 0.25 * rng.standard_normal(days) - 0.055)
    low, high = mean - half_range, mean + half_range

    dryness = np.where(wet, 1.0, 1.6) * (0.9 + 0.35 * bright) * np.exp(0.25 * rng.standard_normal(days) - 0.03)
    deficit = dryness * np.maximum(saturation_pressure(mean) - saturation_pressure(low), 0.0)
    deficit = np.minimum(deficit, 0.95 * saturation_pressure(mean))

    co2 = 375.0 + 2.0 * time / PERIOD + 7.0 * _season(doy, 10.0) + 3.0 * _autoregressive(rng, days, 0.6)
    return {
        "time": time,
        "doy": doy,
        "tasmin": low,
        "tasmax": high,
        "rsds": radiation,
        "co2": co2,
        "vpd": deficit,
        "pr": precipitation,
    }
