"""Floors, ceilings, roots and quotients whose derivatives stay finite at their edges, and through which NaN passes.

A branch that is not taken is evaluated all the same, and its derivative times 0 is NaN where it is infinite: what a
branch is given is made harmless before it (the "double where"). Comparisons are written so that NaN takes the branch
that keeps it.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from phloem.errors import InputError, did_you_mean


def floats(*values: ArrayLike) -> tuple[Array, ...]:
    """Return values as arrays of one floating type, in which numbers of Python have no say."""
    dtype = jnp.result_type(*values, float)
    return tuple(jnp.asarray(value, dtype) for value in values)


def at_least(value: ArrayLike, floor: float) -> Array:
    """Raise what is below a floor to it, with derivative 0 there."""
    return jnp.where(jnp.asarray(value) <= floor, floor, value)


def at_most(value: ArrayLike, ceiling: float) -> Array:
    """Lower what is above a ceiling to it, with derivative 0 there."""
    return jnp.where(jnp.asarray(value) >= ceiling, ceiling, value)


def within(value: ArrayLike, floor: float, ceiling: float) -> Array:
    """Keep values between two bounds, with derivative 0 outside."""
    return at_most(at_least(value, floor), ceiling)


def root(value: ArrayLike) -> Array:
    """Take the square root; 0 with derivative 0 where there is none."""
    none = jnp.asarray(value) <= 0
    return jnp.where(none, 0.0, jnp.sqrt(jnp.where(none, 1.0, value)))


def quotient(over: ArrayLike, under: ArrayLike, otherwise: float) -> Array:
    """Divide; a constant where the denominator is 0."""
    none = jnp.asarray(under) == 0
    return jnp.where(none, otherwise, over / jnp.where(none, 1.0, under))


def require_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse the value of an option that is not one of its choices.

    Raises:
        InputError: with the option, the value and the choices.
    """
    if value not in choices:
        raise InputError(f"{name} = {value!r}: it is one of {', '.join(choices)}.{did_you_mean(value, choices)}")
