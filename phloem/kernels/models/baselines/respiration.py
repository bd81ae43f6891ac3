"""Ecosystem respiration from temperature (uflux.md sections 2, 10.9 and 10.10)."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from phloem.kernels.models.baselines.edges import floats

Q10 = 1.5
"""Factor of respiration in 10 degC of warming, 1; the UFLUX paper."""

REFERENCE_TEMPERATURE = 10.0
"""At which respiration is Rref, degC."""

E0 = 308.56
"""Lloyd and Taylor 1994, K."""

T0 = -46.02
"""At and below which there is no respiration, degC; Lloyd and Taylor 1994."""


def q10(ta: ArrayLike, rref: ArrayLike, *, factor: ArrayLike = Q10, tref: ArrayLike = REFERENCE_TEMPERATURE) -> Array:
    """Return ecosystem respiration by a constant factor in 10 degC, in the unit of rref (gC m-2 d-1).

    Args:
        ta: air temperature, degC.
        rref: respiration at the reference temperature.
        factor: Q10, 1.
        tref: reference temperature, degC.
    """
    ta, rref, factor, tref = floats(ta, rref, factor, tref)
    return rref * jnp.exp(jnp.log(factor) / 10.0 * (ta - tref))


def lloyd_taylor(
    ta: ArrayLike, rref: ArrayLike, *, e0: ArrayLike = E0, tref: ArrayLike = REFERENCE_TEMPERATURE
) -> Array:
    """Return ecosystem respiration by Lloyd and Taylor 1994, in the unit of rref (gC m-2 d-1).

    Args:
        ta: air temperature, degC; at and below -46.02 degC respiration is 0, with derivative 0.
        rref: respiration at the reference temperature.
        e0: sensitivity, K.
        tref: reference temperature, degC.
    """
    ta, rref, e0, tref = floats(ta, rref, e0, tref)
    frozen = ta <= T0
    above = jnp.where(frozen, 1.0, ta - T0)
    return jnp.where(frozen, 0.0, rref * jnp.exp(e0 * (1.0 / (tref - T0) - 1.0 / above)))


def rref_of_fapar(fapar: ArrayLike, intercept: ArrayLike, slope: ArrayLike) -> Array:
    """Return respiration at the reference temperature as a line of fAPAR, gC m-2 d-1 (uflux.md 10.10).

    Args:
        fapar: share of photosynthetically active radiation that is absorbed, 1.
        intercept: a, gC m-2 d-1.
        slope: b, gC m-2 d-1.
    """
    fapar, intercept, slope = floats(fapar, intercept, slope)
    return intercept + slope * fapar
