"""Latent heat by Priestley and Taylor with a coefficient that follows NDVI (uflux.md section 3)."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from phloem.kernels.models.baselines.air import saturation_slope
from phloem.kernels.models.baselines.edges import at_least, floats

PRIESTLEY_TAYLOR = 1.26
"""Coefficient of evaporation from a wet surface, 1; Priestley and Taylor 1972."""

PSYCHROMETRIC = 0.066
"""Psychrometric constant, kPa K-1."""

BARE_NDVI = 0.2
"""NDVI at and below which nothing evaporates, 1."""

LATENT_HEAT = 2.45e6
"""Of vaporisation, J kg-1."""

SECONDS_OF_DAY = 86400.0


class PriestleyTaylor(NamedTuple):
    """Latent heat, and what it comes from.

    Attributes:
        delta: slope of saturation vapour pressure, kPa K-1.
        alpha: Priestley-Taylor coefficient, 1.
        le: latent heat flux, W m-2; below 0 where net radiation is.
    """

    delta: Array
    alpha: Array
    le: Array


def priestley_taylor(ta: ArrayLike, ndvi: ArrayLike, rnet: ArrayLike) -> PriestleyTaylor:
    """Return latent heat by Priestley and Taylor, with a coefficient of 1.26 (NDVI - 0.2) / 0.8, at least 0.

    Args:
        ta: air temperature, degC.
        ndvi: normalised difference vegetation index, 1.
        rnet: net radiation, shortwave and longwave, W m-2.
    """
    ta, ndvi, rnet = jnp.broadcast_arrays(*floats(ta, ndvi, rnet))
    delta = saturation_slope(ta)
    alpha = at_least(PRIESTLEY_TAYLOR * (ndvi - BARE_NDVI) / 0.8, 0.0)
    return PriestleyTaylor(delta, alpha, alpha * (delta / (delta + PSYCHROMETRIC)) * rnet)


def water_of_latent_heat(le: ArrayLike, *, latent_heat: ArrayLike = LATENT_HEAT) -> Array:
    """Return the water that a flux of latent heat carries, mm d-1.

    Args:
        le: latent heat flux, W m-2.
        latent_heat: of vaporisation, J kg-1.
    """
    le, latent_heat = floats(le, latent_heat)
    return le / latent_heat * SECONDS_OF_DAY
