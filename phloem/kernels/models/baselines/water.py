"""Density and viscosity of liquid water."""

from __future__ import annotations

from functools import reduce

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from phloem.kernels.models.baselines.edges import at_least, floats

COLDEST_VISCOSITY = -25.0
"""Temperature below which viscosity stays what it is there, degC: the end of the formula's validity."""

COMPRESSION_SLOPE = (1788.316, 21.55053, -0.4695911, 3.096363e-3, -7.341182e-6)
"""lambda of Fisher and Dial 1975, bar cm3 g-1, in ascending powers of degC."""

COMPRESSION_PRESSURE = (5918.499, 58.05267, -1.1253317, 6.6123869e-3, -1.4661625e-5)
"""P0 of Fisher and Dial 1975, bar."""

VOLUME_AT_INFINITE_PRESSURE = (
    0.6980547, -7.435626e-4, 3.704258e-5, -6.315724e-7, 9.829576e-9, -1.197269e-10, 1.005461e-12, -5.437898e-15,
    1.69946e-17, -2.295063e-20,
)  # fmt: skip
"""V-infinity of Fisher and Dial 1975, cm3 g-1."""

CRITICAL_TEMPERATURE = 647.096
"""Of water, K; Huber et al. 2009."""

CRITICAL_DENSITY = 322.0
"""Of water, kg m-3; Huber et al. 2009."""

DILUTE_GAS = (1.67752, 2.20462, 0.6366564, -0.241605)
"""Of viscosity at zero density, in powers of the inverse reduced temperature, (uPa s)-1; Huber et al. 2009."""

FINITE_DENSITY = (
    (0.520094, 0.0850895, -1.08374, -0.289555, 0.0, 0.0),
    (0.222531, 0.999115, 1.88797, 1.26613, 0.0, 0.120573),
    (-0.281378, -0.906851, -0.772479, -0.489837, -0.25704, 0.0),
    (0.161913, 0.257399, 0.0, 0.0, 0.0, 0.0),
    (-0.0325372, 0.0, 0.0, 0.0698452, 0.0, 0.0),
    (0.0, 0.0, 0.0, 0.0, 0.00872102, 0.0),
    (0.0, 0.0, 0.0, -0.00435673, 0.0, -0.000593264),
)
"""H of Huber et al. 2009: rows are powers of reduced density less 1, columns of inverse reduced temperature less 1."""


def density(ta: ArrayLike, pa: ArrayLike) -> Array:
    """Return the density of water, kg m-3 (Fisher and Dial 1975; uflux.md section 1).

    Args:
        ta: temperature, degC.
        pa: pressure, Pa.
    """
    ta, pa = floats(ta, pa)
    volume = _polynomial(VOLUME_AT_INFINITE_PRESSURE, ta) + _polynomial(COMPRESSION_SLOPE, ta) / (
        _polynomial(COMPRESSION_PRESSURE, ta) + 1e-5 * pa
    )
    return 1000.0 / volume


def viscosity(ta: ArrayLike, pa: ArrayLike) -> Array:
    """Return the dynamic viscosity of water, Pa s (Huber et al. 2009; uflux.md section 1).

    Args:
        ta: temperature, degC; below `COLDEST_VISCOSITY` the value there, with derivative 0.
        pa: pressure, Pa.
    """
    ta, pa = floats(ta, pa)
    ta = at_least(ta, COLDEST_VISCOSITY)
    warmth = (ta + 273.15) / CRITICAL_TEMPERATURE
    thickness = density(ta, pa) / CRITICAL_DENSITY
    dilute = 100.0 * jnp.sqrt(warmth) / _polynomial(DILUTE_GAS, 1.0 / warmth)
    coldness = 1.0 / warmth - 1.0
    columns = [_polynomial(column, thickness - 1.0) for column in zip(*FINITE_DENSITY, strict=True)]
    dense = jnp.exp(thickness * reduce(lambda total, column: total * coldness + column, reversed(columns)))
    return 1e-6 * dilute * dense


def _polynomial(coefficients: tuple[float, ...], at: Array) -> Array:
    """Evaluate a polynomial from its coefficients in ascending powers (Horner)."""
    return reduce(lambda total, coefficient: total * at + coefficient, reversed(coefficients), jnp.zeros_like(at))
