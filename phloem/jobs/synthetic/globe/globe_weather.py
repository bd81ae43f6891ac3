"""Monthly weather of a synthetic Earth: the climatology of its cells with anomalies that are smooth in space and time.

The numbers follow the 107 towers of CARDAMOM-FLUXVAL (2001 to 2016, CC-BY-4.0): anomalies of a month's temperature of
3.4 K at -20 degC, 1.7 K at 5 and 1.0 K at 25, correlated by 0.25 with the next month's; ln of rain 0.25 to 1.15, more
in dry months; clearness 0.36 + 0.24 exp(-rain / 3 mm d-1) and 0.005 a degree above 0; a daily range of 26 times the
clearness less 6.5 K; a deficit of vapour pressure of 1.26 (es(Tmax) - es(Tmin)), r .98.
"""

from __future__ import annotations

import numpy as np

from phloem.io.drivers.humidity import saturation_pressure
from phloem.jobs.synthetic.globe.globe_land import PFTS, Places
from phloem.jobs.synthetic.globe.smooth_fields import smooth_series
from phloem.jobs.synthetic.weather import extraterrestrial_radiation
from phloem.kernels.network.patch_cells import MonthAxis
from phloem.names import PERIOD

SCALE_KM = 1500.0
QUICK, SLOW = 0.2, 0.93
"""Correlation of a month's anomaly with the next: of what passes, and of what lasts a year or two."""

SLOW_SHARE = 0.2
"""Of the variance of the anomalies."""

FUEL = dict(zip(PFTS, (0.016, 0.02, 0.004, 0.015, 0.06, 0.30, 0.18, 0.03, 0.04, 0.01), strict=True))
"""Share of a type's area that would burn in a month that is dry and hot, after a wet year."""


def weather_of(places: Places, months: MonthAxis, seed: int) -> dict[str, np.ndarray]:
    """Return the forcing of `names.PATCH_FORCING`, (months, cells) each.

    Args:
        places: the cells.
        months: of the record.
        seed: of the Earth.
    """

    def anomaly(name: str) -> np.ndarray:
        quick, slow = (
            smooth_series(seed, f"{name} {kind}", SCALE_KM, lasting, months.count, places.latitude, places.longitude)
            for kind, lasting in (("quick", QUICK), ("slow", SLOW))
        )
        return np.asarray(np.sqrt(1 - SLOW_SHARE) * quick + np.sqrt(SLOW_SHARE) * slow)

    of_year = np.arange(months.count) % 12
    usual, rainfall = places.temperature[of_year], places.rain[of_year]
    warmth = anomaly("temperature")
    mean = usual + (1.0 + 2.6 / (1 + np.exp((usual + 3) / 8))) * warmth
    spread = 0.3 + 0.4 * np.exp(-rainfall / 1.5)
    rain = rainfall * np.exp(spread * (0.95 * anomaly("rain") - 0.3 * warmth) - 0.5 * spread**2)
    sky = anomaly("sky")
    clear = 0.36 + 0.005 * np.clip(mean, 0, 28) + 0.24 * np.exp(-rain / 3) + 0.02 * sky
    clear = np.clip(clear, 0.2, 0.75)
    light = clear * extraterrestrial_radiation(places.latitude, months.doy[:, None])
    breadth = np.clip(26 * clear - 6.5 + 0.5 * sky, 2.5, 18)
    low, high = mean - 0.5 * breadth, mean + 0.5 * breadth
    deficit = 1.26 * (saturation_pressure(high) - saturation_pressure(low))
    return {
        "tasmin": low,
        "tasmax": high,
        "rsds": light,
        "vpd": deficit,
        "pr": rain,
        "burned_area": _burned(places, mean, rain, deficit, anomaly("fire")),
    }


def _burned(places: Places, mean: np.ndarray, rain: np.ndarray, deficit: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Share of a cell that burns: fuel of its plants, in months that are dry after two dry ones, and warm."""
    before = np.concatenate([places.rain[10:], rain])
    three = (before[2:] + before[1:-1] + before[:-2]) / 3
    dry = deficit / (deficit + 7 * three + 2)
    fuel = np.array(list(FUEL.values())) @ (places.pft / 100)
    year = PERIOD * places.rain.mean(0)
    grown = year / (year + 500)
    warm = 1 / (1 + np.exp(-(mean - 12) / 3))
    return np.asarray(np.minimum(fuel * grown * warm * dry**3 * np.exp(0.6 * chance - 0.18), 0.5))


def carbon_dioxide(months: MonthAxis) -> np.ndarray:
    """Return the Earth's mean carbon dioxide of each month, ppm: 371 in 2001, 2.1 more a year, 2 up and down."""
    return np.asarray(371.0 + 2.1 * months.time / PERIOD + 2.0 * np.cos(2 * np.pi * (months.doy - 120) / PERIOD))
