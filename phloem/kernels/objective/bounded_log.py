"""The bounded log transform between unbounded raw values and physical values (docs/science.md#bounded-log-transform).

u = arctan(x) / pi + 1/2,   ln p = ln lo + u ln(hi / lo)
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from numpy.typing import ArrayLike

from phloem.model_tables import Parameter

CLIP = 1e-4
"""The inverse keeps u this far from 0 and 1: closer, float32 rounds pi (u - 1/2) past pi/2 and the sign flips."""


def log_bounds(
    table: Sequence[Parameter], dtype: np.dtype | type
) -> tuple[Float[np.ndarray, "unknowns 1"], Float[np.ndarray, "unknowns 1"]]:
    """Return ln lo and ln(hi / lo) of a table, computed in float64 and rounded once.

    Args:
        table: n parameters.
        dtype: floating type of the result.

    Returns:
        Two arrays of shape (n, 1).
    """
    lower = np.array([[p.lower] for p in table])
    upper = np.array([[p.upper] for p in table])
    return np.log(lower).astype(dtype), np.log(upper / lower).astype(dtype)


def log_physical(raw: Float[Array, "unknowns lanes"], table: Sequence[Parameter]) -> Float[Array, "unknowns lanes"]:
    """Return ln p for unbounded values.

    The logarithm is what a float-safe L - 1 = expm1(ln L) needs near L = 1.001.

    Args:
        raw: shape (n, lanes), unbounded.
        table: n parameters.

    Returns:
        Natural logarithms of the physical values, shape (n, lanes).
    """
    start, span = (jnp.asarray(bound) for bound in log_bounds(table, raw.dtype))
    return start + (jnp.arctan(raw) * (1 / np.pi) + 0.5) * span


def physical(raw: Float[Array, "unknowns lanes"], table: Sequence[Parameter]) -> Float[Array, "unknowns lanes"]:
    """Return physical values, inside the bounds, for unbounded values; both of shape (n, lanes)."""
    return jnp.exp(log_physical(raw, table))


def unbounded(values: ArrayLike, table: Sequence[Parameter]) -> np.ndarray:
    """Return raw values (float64) for physical values of shape (n, lanes), clipped to u in [1e-4, 1 - 1e-4]."""
    start, span = log_bounds(table, np.float64)
    u = (np.log(np.asarray(values, np.float64)) - start) / span
    return np.tan(np.pi * (np.clip(u, CLIP, 1 - CLIP) - 0.5))
