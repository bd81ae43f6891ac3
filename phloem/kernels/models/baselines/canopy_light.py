"""Light that falls on a canopy, and the share of it that is absorbed, from what satellites and towers give."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from phloem.kernels.models.baselines.edges import floats, quotient, within

PPFD_OF_SHORTWAVE = 2.04
"""Photons of photosynthetically active radiation a joule of shortwave, umol J-1; pyrealm."""

PPFD_OF_HALF_SHORTWAVE = 0.5 * 4.57
"""The same where half of shortwave is active at 4.57 umol J-1, 2.285 umol J-1; public code of UFLUX."""

EXTINCTION = 0.5
"""Of light in a canopy, m2 of ground a m2 of leaves."""


def ppfd_of_shortwave(swin: ArrayLike, *, factor: float = PPFD_OF_SHORTWAVE) -> Array:
    """Return photosynthetic photon flux density, umol m-2 s-1.

    Args:
        swin: incoming shortwave, W m-2, mean over 24 hours where daily production is asked for.
        factor: umol of photons a joule: `PPFD_OF_SHORTWAVE` or `PPFD_OF_HALF_SHORTWAVE`.
    """
    (swin,) = floats(swin)
    return factor * swin


def ndvi_of_reflectance(nir: ArrayLike, red: ArrayLike) -> Array:
    """Return the normalised difference vegetation index, 1; NaN where nothing is reflected.

    Args:
        nir: near-infrared reflectance, 1.
        red: red reflectance, 1.
    """
    nir, red = floats(nir, red)
    return quotient(nir - red, nir + red, jnp.nan)


def nirv(nir: ArrayLike, red: ArrayLike) -> Array:
    """Return the near-infrared reflectance of vegetation, NIR times NDVI, 1; 0 where nothing is reflected.

    Args:
        nir: near-infrared reflectance, 1.
        red: red reflectance, 1.
    """
    nir, red = floats(nir, red)
    return quotient(nir * (nir - red), nir + red, 0.0)


def fapar_of_ndvi(ndvi: ArrayLike) -> Array:
    """Return the absorbed share of photosynthetically active radiation, 1: 1.24 NDVI - 0.168, within 0 and 0.95.

    Args:
        ndvi: normalised difference vegetation index, 1.
    """
    (ndvi,) = floats(ndvi)
    return within(1.24 * ndvi - 0.168, 0.0, 0.95)


def fapar_of_lai(lai: ArrayLike) -> Array:
    """Return the absorbed share of photosynthetically active radiation, 1: 1 - exp(-0.5 LAI).

    Args:
        lai: leaf area index, m2 m-2.
    """
    (lai,) = floats(lai)
    return -jnp.expm1(-EXTINCTION * lai)


def ndvi_of_lai(lai: ArrayLike, ndvi_min: ArrayLike, ndvi_max: ArrayLike, fapar_max: ArrayLike = 1.0) -> Array:
    """Return NDVI as fAPAR, over the greatest of the place, scales the place's range of it, 1 (uflux.md 10.10).

    Args:
        lai: leaf area index, m2 m-2.
        ndvi_min: least NDVI of the place, 1.
        ndvi_max: greatest NDVI of the place, 1.
        fapar_max: greatest fAPAR of the place, 1. Without it NDVI never reaches its maximum: latent heat at towers
            then has a squared correlation of .53, with it .63.
    """
    lai, low, high, greatest = floats(lai, ndvi_min, ndvi_max, fapar_max)
    return low + (high - low) * within(quotient(fapar_of_lai(lai), greatest, 0.0), 0.0, 1.0)
