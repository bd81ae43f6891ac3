"""Pressure and humidity of air."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from phloem.kernels.models.baselines.edges import floats, require_choice

STANDARD_PRESSURE = 101325.0
"""At sea level, Pa."""

LAPSE_RATE = 0.0065
"""Fall of temperature with height, K m-1."""

PRESSURE_TEMPERATURE = 298.15
"""Temperature at sea level in the pressure's formula, K; P-model (pyrealm)."""

PRESSURE_EXPONENT = {"strict": 5.25551, "compat": 5.2558}
"""g M / (R L), 1: of the public code, and as printed (uflux.md 10.9)."""


def pressure_of_elevation(elevation: ArrayLike, *, mode: str = "strict") -> Array:
    """Return air pressure from height, Pa (uflux.md sections 1 and 10.9).

    Args:
        elevation: above sea level, m; above 45,869 m pressure is 0.
        mode: "strict", exponent 5.25551, or "compat", 5.2558 as printed.

    Raises:
        InputError: for another mode.
    """
    require_choice("mode", mode, tuple(PRESSURE_EXPONENT))
    (elevation,) = floats(elevation)
    share = 1.0 - LAPSE_RATE * elevation / PRESSURE_TEMPERATURE
    above = share <= 0
    return jnp.where(above, 0.0, STANDARD_PRESSURE * jnp.where(above, 1.0, share) ** PRESSURE_EXPONENT[mode])


def saturation_vapour_pressure(ta: ArrayLike) -> Array:
    """Return saturation vapour pressure over water, kPa (Tetens; FAO-56 equation 11).

    Args:
        ta: air temperature, degC.
    """
    (ta,) = floats(ta)
    return 0.6108 * jnp.exp(17.27 * ta / (ta + 237.3))


def saturation_slope(ta: ArrayLike) -> Array:
    """Return the slope of saturation vapour pressure with temperature, kPa K-1 (FAO-56 equation 13).

    Args:
        ta: air temperature, degC.
    """
    (ta,) = floats(ta)
    return 4098.0 * saturation_vapour_pressure(ta) / (ta + 237.3) ** 2
