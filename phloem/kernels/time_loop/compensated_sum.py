"""Sums that keep what rounding would lose."""

from __future__ import annotations

from jax import Array, lax
from jaxtyping import Float


def add_exactly(
    total: Float[Array, " lanes"], rest: Float[Array, " lanes"], more: Float[Array, " lanes"]
) -> tuple[Float[Array, " lanes"], Float[Array, " lanes"]]:
    """Add with the rounding error carried along; the carried part has no derivative.

    Knuth's TwoSum, exact whichever of the two is larger: with the shorter form, which is not, a segment of padding
    changed the last bits of a sum that its last segment had dominated.
    """
    wanted = more + lax.stop_gradient(rest)
    new = total + wanted
    part = new - total
    return new, lax.stop_gradient((total - (new - part)) + (wanted - part))
