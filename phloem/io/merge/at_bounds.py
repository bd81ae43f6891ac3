"""Values that stand at their bounds: stopped there, which says nothing of agreement.

The optimiser keeps a quantity between two bounds. Members that all end at one of them have the least possible spread,
and yet no observation holds them there: the bound does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phloem.model_tables import Parameter
from phloem.names import NEAR_BOUND

AT_BOUND = {"at_lower_bound": -1, "between_bounds": 0, "at_upper_bound": 1}
"""Flags of `at_bound`."""


def at_bound(values: np.ndarray, quantities: Sequence[Parameter]) -> np.ndarray:
    """Tell which values lie within NEAR_BOUND of a bound, on the scale of logarithms.

    Args:
        values: physical, (..., quantities); NaN lies between.
        quantities: with their bounds.

    Returns:
        -1, 0 or 1 for the lower bound, neither, the upper one; int8, (..., quantities).
    """
    lower, upper = np.array([(one.lower, one.upper) for one in quantities]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.log(values / lower) / np.log(upper / lower)
    return np.where(share <= NEAR_BOUND, -1, np.where(share >= 1 - NEAR_BOUND, 1, 0)).astype(np.int8)


def mostly_at_bounds(values: np.ndarray, valid: np.ndarray, quantities: Sequence[Parameter]) -> np.ndarray:
    """Tell where more than half of the members that count stand at a bound.

    Args:
        values: (cells, members, quantities).
        valid: the members that count, bool (cells, members).
        quantities: with their bounds.

    Returns:
        bool (cells, quantities).
    """
    counted = valid[..., None] & np.isfinite(values)
    there = (at_bound(values, quantities) != 0) & counted
    mostly: np.ndarray = 2 * there.sum(axis=1) > counted.sum(axis=1)
    return mostly


def without_bounds(rcv: np.ndarray, values: np.ndarray, quantity: Parameter) -> np.ndarray:
    """Return the spread of one quantity, NaN where more than half of its members stand at a bound.

    Args:
        rcv: (cells,).
        values: (cells, members), NaN for members that do not count.
        quantity: with its bounds.
    """
    return np.where(mostly_at_bounds(values[..., None], np.isfinite(values), [quantity])[:, 0], np.nan, rcv)
