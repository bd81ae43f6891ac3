"""Leaf fall and labile release (docs/science.md#phenology)."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import i0e

from phloem.names import PERIOD

SCALE = PERIOD / math.pi
"""sf, days a radian of the half period."""

OFFSET = (
    2.3599784710e-5,
    3.32730053021e-4,
    9.01865258885e-4,
    -5.437736864888e-3,
    -2.0836027517787e-2,
    1.26972018064287e-1,
    -1.88459767342504e-1,
)
"""Offset polynomial in ln(L - 1), L in yr, highest power first; DifferLand v1.0."""


class Pulse(NamedTuple):
    """A yearly pulse phi(t) = amplitude exp(-(width sin((t - centre) / sf))^2), with width = sf / w.

    Attributes:
        amplitude: largest rate, d-1.
        sin_weight: width times the cosine of centre / sf, what multiplies sin(t / sf).
        cos_weight: width times the sine of centre / sf, what multiplies cos(t / sf).
    """

    amplitude: Array
    sin_weight: Array
    cos_weight: Array


def _shape(excess: Array, period: Array) -> tuple[Array, Array]:
    """Return f (1) and w (days) from L - 1 (yr) and the period (days)."""
    return 0.5 * jnp.log1p(1 / excess), period * (math.sqrt(2) / 2)


def offset(excess: Array, w: Array) -> Array:
    """Return the offset o in days from L - 1 (yr) and w (days)."""
    x = jnp.log(excess)
    polynomial = OFFSET[0] * x
    for coefficient in OFFSET[1:-1]:
        polynomial = (polynomial + coefficient) * x
    return w * (polynomial + OFFSET[-1])


def pulse(excess: Array, period: Array, day: Array) -> Pulse:
    """Prepare a pulse.

    Args:
        excess: L - 1, yr; given apart from L because it loses digits near L = 1.001.
        period: release or fall period, days.
        day: bud-burst or leaf-fall day, days.

    Returns:
        The pulse; sine and cosine of the centre stand ready so that no step needs trigonometry.
    """
    f, w = _shape(excess, period)
    centre = (day - offset(excess, w)) / SCALE
    width = SCALE / w
    return Pulse((2 / math.sqrt(math.pi)) * f / w, width * jnp.cos(centre), width * jnp.sin(centre))


def rate(pulse: Pulse, sin_phase: Array, cos_phase: Array) -> Array:
    """Return phi in d-1 on the day whose sin(t / sf) and cos(t / sf) are given."""
    x = sin_phase * pulse.sin_weight - cos_phase * pulse.cos_weight
    return pulse.amplitude * jnp.exp(-x * x)


def yearly(excess: Array, period: Array) -> Array:
    """Return A, the rate integrated over a period of 365.25 days, yr-1; the effective lifespan is 1 / A.

    Closed form: the mean of exp(-2 a sin^2) over a period is exp(-a) I0(a).
    """
    f, w = _shape(excess, period)
    return (2 / math.sqrt(math.pi)) * f / w * PERIOD * i0e(0.5 * (SCALE / w) ** 2)
