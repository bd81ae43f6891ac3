"""Terms of the daily DALEC that depend on the forcing alone, in float64 (docs/science.md#forcing)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Real

from phloem.kernels.models.dalec_daily.mode_switches import Switches
from phloem.kernels.models.dalec_daily.phenology import SCALE

# The aggregated canopy model, ACM (Williams et al. 1997, Ecol. Appl. 7, 882-894), with the coefficients of CARDAMOM as
# DifferLand v1.0 has them (docs/science.md#constants). They are of a regression: a unit is that which makes
# the formula come out in gC m-2 d-1.
ACM_A2 = 0.011136  # a2, temperature response of the nitrogen-use efficiency, degC-1
ACM_B2 = 0.37836  # b2, hydraulic coefficient of the canopy conductance, times a resistance H = 1; degC
ACM_D1 = 0.0156935  # d1, slope of the day-length factor, h-1
ACM_D2 = 0.0453194  # d2, intercept of the day-length factor, 1
ACM_PSI_POWER = 2.0**0.789798  # |psi|^eb, of a leaf water-potential difference psi of 2 MPa and eb = 0.789798

OBLIQUITY_DEGREES = 23.4
"""Tilt of the Earth's axis in the declination, degrees."""

POLE = 89.99
"""Latitude in degrees beyond which tan(lat) loses its sign."""


class Weather(NamedTuple):
    """One day's forcing as the step reads it; ACM's terms that do not depend on the lane are ready-made.

    Attributes:
        conductance: gc, canopy conductance, gC m-2 d-1 a umol mol-1.
        thermal: exp(a2 Tx) / gc, the inverse of the conductance's unit.
        radiation: R, MJ m-2 d-1.
        co2: ca, umol mol-1.
        daylight: d1 dayl + d2, 1.
        sqrt_vpd: square root of the vapour pressure deficit, hPa^0.5.
        precipitation: P, mm d-1.
        warmth: T - Tm, K.
        wetness: P / Pm - 1.
        sin_phase: sin(t / sf).
        cos_phase: cos(t / sf).
    """

    conductance: Any
    thermal: Any
    radiation: Any
    co2: Any
    daylight: Any
    sqrt_vpd: Any
    precipitation: Any
    warmth: Any
    wetness: Any
    sin_phase: Any
    cos_phase: Any


def day_length(latitude: float | np.ndarray, doy: np.ndarray, pole_guard: str = "clip") -> np.ndarray:
    """Return the day length in hours (docs/science.md#photosynthesis): 24 in the polar day, 0 in the polar night.

    Args:
        latitude: degrees north.
        doy: day of the year, 1 to 366.
        pole_guard: `clip` keeps the latitude within 89.99 degrees, where the tangent still has its sign.
    """
    if pole_guard == "clip":
        latitude = np.clip(latitude, -POLE, POLE)
    declination = -np.deg2rad(OBLIQUITY_DEGREES) * np.cos(np.deg2rad(360 * (np.asarray(doy, float) + 10) / 365))
    mu = np.tan(np.deg2rad(latitude)) * np.tan(declination)
    return 24 / np.pi * np.arccos(-np.clip(mu, -1, 1))


def weather(
    time: Real[np.ndarray, "days ..."],
    doy: Real[np.ndarray, "days ..."],
    latitude: float | np.ndarray,
    forcing: Mapping[str, Real[np.ndarray, "days ..."]],
    window: int | slice,
    switches: Switches,
    reference: tuple[float, float] | tuple[np.ndarray, np.ndarray] | None = None,
) -> Weather:
    """Turn a cell's forcing into what the step reads; with a reference, that of several cells at once, (days, cells).

    Args:
        time: days since 2001-01-01, shape (days,); whole numbers, reduced modulo the period in float64.
        doy: day of the year, shape (days,).
        latitude: degrees north.
        forcing: tasmin, tasmax (degC), rsds (MJ m-2 d-1), co2 (umol mol-1), vpd (hPa), pr (mm d-1),
            each of shape (days,).
        window: days, or number of first days, over which the reference climate Tm and Pm is taken.
        switches: named differences; `pole_guard` is read.
        reference: Tm and Pm where they are those of another record, as of a scenario's calibration.

    Returns:
        Eleven float64 arrays of shape (days,).
    """
    cold, warm = (np.asarray(forcing[name], float) for name in ("tasmin", "tasmax"))
    rain = np.asarray(forcing["pr"], float)
    mean = 0.5 * (cold + warm)
    temperature, rainfall = reference_climate(forcing, window) if reference is None else reference
    conductance = ACM_PSI_POWER / (ACM_B2 + 0.5 * (warm - cold))
    phase = np.asarray(time, float) % (2 * np.pi * SCALE) / SCALE
    return Weather(
        conductance=conductance,
        thermal=np.exp(ACM_A2 * warm) / conductance,
        radiation=np.asarray(forcing["rsds"], float),
        co2=np.asarray(forcing["co2"], float),
        daylight=ACM_D1 * day_length(latitude, doy, switches.pole_guard) + ACM_D2,
        sqrt_vpd=np.sqrt(np.maximum(np.asarray(forcing["vpd"], float), 0)),
        precipitation=rain,
        warmth=mean - temperature,
        wetness=rain / np.maximum(rainfall, 1e-3) - 1,
        sin_phase=np.sin(phase),
        cos_phase=np.cos(phase),
    )


def reference_climate(forcing: Mapping[str, Real[np.ndarray, " days"]], window: int | slice) -> tuple[float, float]:
    """Return the reference climate of a record: Tm in degC and Pm in mm d-1, means over a window of its days."""
    days = window if isinstance(window, slice) else slice(window)
    mean = 0.5 * (np.asarray(forcing["tasmin"], float) + np.asarray(forcing["tasmax"], float))
    return float(mean[days].mean()), float(np.asarray(forcing["pr"], float)[days].mean())


def year_ends(doy: Real[np.ndarray, " days"]) -> Float[np.ndarray, " days"]:
    """Return 1.0 on the last day of each simulated year except the final one, else 0.0."""
    doy = np.asarray(doy)
    marks = np.zeros(len(doy))
    marks[np.flatnonzero(doy[1:] == doy[0])] = 1.0
    return marks
