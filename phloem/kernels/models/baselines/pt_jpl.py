"""Latent heat of soil, canopy and wet leaves by PT-JPL (Fisher et al. 2008; recipe of uflux.md 10.6)."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from phloem.kernels.models.baselines.canopy_light import EXTINCTION
from phloem.kernels.models.baselines.edges import at_least, at_most, floats, quotient, require_choice, within
from phloem.kernels.models.baselines.evaporation import PRIESTLEY_TAYLOR

PSYCHROMETRIC_PASCAL = 66.2
"""Psychrometric constant of the public code, Pa K-1."""

NET_EXTINCTION = 0.6
"""Of net radiation in a canopy, m2 of ground a m2 of leaves."""

DRY_RH, LEAST_WET = 0.7, 1e-4
"""Relative humidity below which leaves are dry, 1, and the wet share that they have then."""

LEAST_TOPT = 0.1
"""degC: below it the response to temperature would divide by 0."""

SATURATION_FLOOR = 1.0
"""kPa, under saturation vapour pressure in the public code: a defect."""

MODES = ("strict", "compat")


class PtJpl(NamedTuple):
    """Latent heat and its parts, W m-2.

    Attributes:
        rn_soil: net radiation at the soil.
        rn_canopy: net radiation in the canopy.
        pet: potential latent heat flux.
        le_soil: of the soil.
        le_canopy: transpiration.
        le_interception: of wet leaves.
        le: of all three, between 0 and the potential one.
    """

    rn_soil: Array
    rn_canopy: Array
    pet: Array
    le_soil: Array
    le_canopy: Array
    le_interception: Array
    le: Array


def pt_jpl(
    ta: ArrayLike,
    rh: ArrayLike,
    ndvi: ArrayLike,
    rnet: ArrayLike,
    g: ArrayLike,
    topt: ArrayLike,
    fapar_max: ArrayLike,
    *,
    mode: str = "strict",
) -> PtJpl:
    """Return latent heat by PT-JPL.

    Args:
        ta: air temperature, degC.
        rh: relative humidity, 1 (`relative_humidity`).
        ndvi: normalised difference vegetation index, 1.
        rnet: net radiation, W m-2.
        g: ground heat flux, W m-2.
        topt: temperature at which plants do best, degC (`optimum_temperature`); at least ta and 0.1 degC is taken.
        fapar_max: greatest fAPAR of the place, 1 (of `fapar_of_savi`).
        mode: "strict"; or "compat", the public code: vapour pressure deficit from a saturation pressure of 1 kPa at
            least, and NaN where NDVI is 0.05 or less (there the canopy has no radiation: `strict` has bare soil).

    Raises:
        InputError: for another mode.
    """
    require_choice("mode", mode, MODES)
    ta, rh, ndvi, rnet, g, topt, fapar_max = jnp.broadcast_arrays(*floats(ta, rh, ndvi, rnet, g, topt, fapar_max))
    compat = mode == "compat"
    fapar = fapar_of_savi(ndvi)
    fipar = within(within(ndvi, 0.0, 1.0) - 0.05, 0.0, 1.0)
    green = within(quotient(fapar, fipar, 0.0), 0.0, 1.0)
    if compat:
        green = jnp.where(fipar == 0, jnp.nan, green)
    wet = jnp.where(rh < DRY_RH, LEAST_WET, at_least(rh**4, LEAST_WET))
    best = jnp.where(topt <= ta, ta, topt)
    best = at_least(best, LEAST_TOPT)
    heat = jnp.exp(-(((ta - best) / best) ** 2))
    moist_canopy = within(quotient(fapar, fapar_max, 0.0), 0.0, 1.0)
    moist_soil = _power(rh, _deficit(ta, rh, compat))
    slope = 4098.0 * 610.8 * jnp.exp(17.27 * ta / (ta + 237.7)) / (ta + 237.3) ** 2
    equilibrium = PRIESTLEY_TAYLOR * slope / (slope + PSYCHROMETRIC_PASCAL)
    lai = -jnp.log1p(-fipar) / EXTINCTION
    rn_soil = rnet * jnp.exp(-NET_EXTINCTION * lai)
    if compat:
        rn_soil = jnp.where(fipar == 0, jnp.nan, rn_soil)
    rn_canopy = rnet - rn_soil
    le_soil = at_least((wet + moist_soil * (1.0 - wet)) * equilibrium * (rn_soil - g), 0.0)
    le_canopy = at_least((1.0 - wet) * green * heat * moist_canopy * equilibrium * rn_canopy, 0.0)
    le_interception = at_least(wet * equilibrium * rn_canopy, 0.0)
    pet = at_least(equilibrium * (rnet - g), 0.0)
    total = le_soil + le_canopy + le_interception
    le = jnp.where(total >= pet, pet, total)
    return PtJpl(rn_soil, rn_canopy, pet, le_soil, le_canopy, le_interception, le)


def fapar_of_savi(ndvi: ArrayLike) -> Array:
    """Return the absorbed share of radiation as PT-JPL has it, by way of the soil-adjusted index, 1.

    Args:
        ndvi: normalised difference vegetation index, 1.
    """
    (ndvi,) = floats(ndvi)
    return within(1.3632 * (0.45 * ndvi + 0.132) - 0.048, 0.0, 1.0)


def relative_humidity(ta: ArrayLike, vpd: ArrayLike) -> Array:
    """Return relative humidity, within 0 and 1, from the saturation vapour pressure of PT-JPL.

    Args:
        ta: air temperature, degC.
        vpd: vapour pressure deficit, Pa.
    """
    ta, vpd = floats(ta, vpd)
    return within(1.0 - 1e-3 * vpd / _saturation(ta), 0.0, 1.0)


def optimum_temperature(ta: ArrayLike, fapar: ArrayLike, rnet: ArrayLike, vpd: ArrayLike, *, axis: int = -1) -> Array:
    """Return the temperature at which plants do best, degC: where Rn fAPAR T / D is greatest (Fisher et al. 2008).

    Missing moments do not count; NaN where all are missing.

    Args:
        ta: air temperature, degC.
        fapar: absorbed share of radiation, 1.
        rnet: net radiation, W m-2.
        vpd: vapour pressure deficit, Pa; at least 1 Pa is taken.
        axis: along which time is.
    """
    ta, fapar, rnet, vpd = jnp.broadcast_arrays(*floats(ta, fapar, rnet, vpd))
    vigour = rnet * fapar * ta / at_least(vpd, 1.0)
    missing = jnp.isnan(vigour)
    at = jnp.argmax(jnp.where(missing, -jnp.inf, vigour), axis=axis, keepdims=True)
    found = jnp.take_along_axis(ta, at, axis=axis).squeeze(axis)
    return jnp.where(missing.all(axis=axis), jnp.nan, found)


def _saturation(ta: Array) -> Array:
    """Return saturation vapour pressure, kPa, as the public code has it."""
    return 0.611 * jnp.exp(17.27 * ta / (ta + 237.7))


def _deficit(ta: Array, rh: Array, compat: bool) -> Array:
    """Return vapour pressure deficit, kPa."""
    saturation = _saturation(ta)
    return (at_least(saturation, SATURATION_FLOOR) if compat else saturation) * (1.0 - at_most(rh, 1.0))


def _power(base: Array, exponent: Array) -> Array:
    """Raise a share to a power of at least 0; 0 where the share is."""
    none = base <= 0
    return jnp.where(none, 0.0, within(jnp.exp(exponent * jnp.log(jnp.where(none, 1.0, base))), 0.0, 1.0))
