"""Saturation vapour pressure, and vapour pressure deficit from specific humidity and pressure."""

from __future__ import annotations

import numpy as np


def vapour_pressure_deficit(air: np.ndarray, moisture: np.ndarray, pressure: np.ndarray) -> np.ndarray:
    """Return vapour pressure deficit, hPa: max(es(T) - e, 0), e = q p / (0.622 + 0.378 q) (docs/science.md#forcing).

    Args:
        air: temperature, degC.
        moisture: specific humidity, kg kg-1.
        pressure: surface pressure, hPa.
    """
    return np.maximum(saturation_pressure(air) - vapour_pressure(moisture, pressure), 0.0)


def vapour_pressure(moisture: np.ndarray, pressure: np.ndarray) -> np.ndarray:
    """Return vapour pressure, in the unit of the pressure, of a specific humidity in kg kg-1."""
    return moisture * pressure / (0.622 + 0.378 * moisture)


def saturation_pressure(temperature: np.ndarray) -> np.ndarray:
    """Return saturation vapour pressure over water in hPa of a temperature in degC.

    es(T) = 6.1078 exp(17.269 T / (T + 237.3)): Murray (1967), On the computation of saturation vapor
    pressure, Journal of Applied Meteorology 6, 203-204.
    """
    return 6.1078 * np.exp(17.269 * temperature / (temperature + 237.3))


def is_vapour_pressure(standard_name: str) -> bool:
    """Return whether a standard name is that of vapour pressure itself, not of its deficit."""
    name = standard_name.lower().replace("vapour", "vapor").replace(" ", "_")
    return "vapor" in name and "pressure" in name and "deficit" not in name
