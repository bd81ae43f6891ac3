"""The coordinates of windowed BFGS: z = arsinh x of the unbounded x."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array

FARTHEST = 14.0
"""Coordinates stay within this: at z = 14 the distance to a bound is 5e-7 of the log range, less than float32 sees."""


def raw_of(point: Array, dtype: Any) -> Array:
    """Return the unbounded x of a point z, as a floating type."""
    return jnp.sinh(jnp.clip(point, -FARTHEST, FARTHEST)).astype(dtype)
