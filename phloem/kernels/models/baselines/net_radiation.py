"""Net radiation from shortwave, temperature and humidity where it was not measured (FAO-56; uflux.md 10.10).

Against towers it has a bias of about +16 W m-2: what is computed with it is flagged by whoever does.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from phloem.kernels.models.baselines.air import saturation_vapour_pressure
from phloem.kernels.models.baselines.edges import at_least, floats, root, within

SOLAR_CONSTANT = 0.0820e6 / 60.0
"""W m-2; FAO-56."""

STEFAN_BOLTZMANN = 4.903e-3 / 86400.0
"""W m-2 K-4; 4.903e-9 MJ m-2 d-1 K-4 of FAO-56."""

ALBEDO = 0.15
"""Of vegetation, 1 (uflux.md 10.10)."""

DARK = 1.0
"""Clear-sky shortwave, W m-2, below which clouds cannot be told from it."""

CLOUDS_IN_THE_DARK = 0.4
"""Shortwave over that of a clear sky where there is none, 1: the lower end of FAO-56 for humid places, which at towers
in polar night is off by -4 W m-2, and the upper, 0.6, by more than -13."""


def extraterrestrial_radiation(latitude: ArrayLike, doy: ArrayLike) -> Array:
    """Return shortwave at the top of the atmosphere, W m-2, mean over 24 hours (FAO-56 equation 21).

    Args:
        latitude: degrees north.
        doy: day of the year, from 1.
    """
    latitude, doy = floats(latitude, doy)
    latitude = jnp.deg2rad(within(latitude, -89.99, 89.99))
    angle = 2.0 * jnp.pi / 365.0 * doy
    distance = 1.0 + 0.033 * jnp.cos(angle)
    declination = 0.409 * jnp.sin(angle - 1.39)
    cosine = -jnp.tan(latitude) * jnp.tan(declination)
    never_sets, never_rises = cosine <= -1, cosine >= 1
    sunset = jnp.arccos(jnp.where(never_sets | never_rises, 0.0, cosine))
    sunset = jnp.where(never_sets, jnp.pi, jnp.where(never_rises, 0.0, sunset))
    height = sunset * jnp.sin(latitude) * jnp.sin(declination)
    height = height + jnp.cos(latitude) * jnp.cos(declination) * jnp.sin(sunset)
    return SOLAR_CONSTANT / jnp.pi * distance * at_least(height, 0.0)


def net_radiation(
    swin: ArrayLike,
    ta: ArrayLike,
    vpd: ArrayLike,
    elevation: ArrayLike,
    latitude: ArrayLike,
    doy: ArrayLike,
    *,
    albedo: ArrayLike = ALBEDO,
) -> Array:
    """Return net radiation, W m-2 (FAO-56 equations 37 to 40, with the mean temperature).

    The share of clear-sky shortwave is kept within 0.3 and 1, so that the factor of clouds is within 0.05 and 1
    (ASCE-EWRI 2005); where there is no sun it is 0.4.

    Args:
        swin: incoming shortwave, W m-2, mean over 24 hours.
        ta: air temperature, degC.
        vpd: vapour pressure deficit, Pa.
        elevation: above sea level, m.
        latitude: degrees north.
        doy: day of the year, from 1; of a month, of its middle.
        albedo: of the surface, 1.
    """
    swin, ta, vpd, elevation, latitude, doy, albedo = floats(swin, ta, vpd, elevation, latitude, doy, albedo)
    clear = (0.75 + 2e-5 * elevation) * extraterrestrial_radiation(latitude, doy)
    dark = clear <= DARK
    share = jnp.where(dark, CLOUDS_IN_THE_DARK, within(swin / jnp.where(dark, 1.0, clear), 0.3, 1.0))
    humidity = saturation_vapour_pressure(ta) - 1e-3 * vpd
    emissivity = 0.34 - 0.14 * root(humidity)
    longwave = STEFAN_BOLTZMANN * (ta + 273.16) ** 4 * emissivity * (1.35 * share - 0.35)
    return (1.0 - albedo) * swin - longwave
