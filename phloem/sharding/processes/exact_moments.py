"""Mean, spread and range of every variable over all days of all cells, the same to the last bit however they are dealt.

A sum of floats depends on its order. Sums of integers do not: a finite float64 is an integer multiple of 2**-1074, its
square of 2**-2148. So the sums of values and of squares are kept exactly, as integers of a few thousand bits; on the
mesh they travel as 32-bit limbs in int64, which psum adds without loss. Only mean and deviation are rounded, once, at
the end: each is the float64 nearest to the exact one, and no cancellation can occur.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import jax
import numpy as np
from jax.sharding import Mesh

from phloem.arithmetic import ceil_div
from phloem.sharding.processes.mesh import global_rows, reduce_rows

UNIT_BITS = 1074
"""A finite float64 is an integer times 2**-1074."""

LIMB_BITS = 32
SUM_LIMBS = ceil_div(1024 + UNIT_BITS + 64, LIMB_BITS)
SQUARE_LIMBS = ceil_div(2 * (1024 + UNIT_BITS) + 64, LIMB_BITS)
"""Limbs that hold the sum of 2**63 values of any size, and of their squares, with a sign."""

LARGEST_ROUND = 256
"""Cells a process and reduction, 16 KB each. Limbs of 2**31 cells would still add up in int64."""

_HALF = 26
_HALF_MASK = (1 << _HALF) - 1
_PART = 27
_PART_MASK = (1 << _PART) - 1
_BATCH = 1 << 25
"""Values at a time: parts of at most 28 bits then add up below 2**53, exactly, in bincount's float64."""


@dataclass(frozen=True)
class Moments:
    """Exact moments of a set of values.

    Attributes:
        count: how many.
        total: their sum, in units of 2**-1074.
        squares: the sum of their squares, in units of 2**-2148.
        minimum, maximum: inf and -inf for the empty set; never -0.0.
    """

    count: int = 0
    total: int = 0
    squares: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf

    def __add__(self, other: Moments) -> Moments:
        """Moments of both sets together: commutative and associative, exactly."""
        return Moments(
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )


@dataclass(frozen=True)
class Statistics:
    """What a variable is normalised by; all but the count NaN where nothing was observed.

    Attributes:
        count: days of all cells with a value.
        mean: their mean, in the variable's unit.
        standard_deviation: of the population (divided by the count), in the variable's unit.
        minimum, maximum: in the variable's unit.
    """

    count: int
    mean: float
    standard_deviation: float
    minimum: float
    maximum: float


def moments(values: np.ndarray) -> Moments:
    """Return the exact moments of those values that are not NaN.

    Args:
        values: (...), any float or integer type that float64 holds.

    Raises:
        ValueError: an infinite value.
    """
    flat = np.asarray(values, np.float64).reshape(-1)
    present = flat[~np.isnan(flat)]
    if np.isinf(present).any():
        raise ValueError(f"{int(np.isinf(present).sum())} infinite values")
    result = Moments()
    for first in range(0, len(present), _BATCH):
        result += _moments(present[first : first + _BATCH])
    return result


def _moments(values: np.ndarray) -> Moments:
    """Moments of at most `_BATCH` finite values, at least one."""
    fraction, exponent = np.frexp(values)
    # value = mantissa * 2**(exponent - 53); mantissa = upper * 2**26 + lower with |upper| <= 2**27.
    mantissa = np.ldexp(fraction, 53).astype(np.int64)
    upper, lower = mantissa >> _HALF, mantissa & _HALF_MASK
    lowest = int(exponent.min())
    place = exponent - lowest
    total = (_grouped(upper, place, 1) << _HALF) + _grouped(lower, place, 1)
    squares = (
        (_grouped(upper * upper, place, 2) << 2 * _HALF)
        + (_grouped(upper * lower, place, 2) << _HALF + 1)
        + _grouped(lower * lower, place, 2)
    )
    shift = UNIT_BITS + lowest - 53
    return Moments(
        len(values), _scaled(total, shift), _scaled(squares, 2 * shift), float(values.min()) + 0.0,
        float(values.max()) + 0.0,
    )  # fmt: skip


def _grouped(terms: np.ndarray, place: np.ndarray, step: int) -> int:
    """Sum of terms * 2**(step * place), exactly; terms int64 below 2**55 in size."""
    high = np.bincount(place, weights=(terms >> _PART).astype(np.float64))
    low = np.bincount(place, weights=(terms & _PART_MASK).astype(np.float64))
    used = np.flatnonzero((high != 0) | (low != 0))
    return sum(((int(high[p]) << _PART) + int(low[p])) << step * int(p) for p in used)


def _scaled(number: int, bits: int) -> int:
    """Return number * 2**bits; bits that fall off are zero, because every value is a multiple of the unit."""
    return number << bits if bits >= 0 else number >> -bits


def statistics(moments: Moments) -> Statistics:
    """Round exact moments to statistics, each to the nearest float64."""
    count = moments.count
    if not count:
        return Statistics(0, math.nan, math.nan, math.nan, math.nan)
    mean = Fraction(moments.total, count << UNIT_BITS)
    variance = Fraction(count * moments.squares - moments.total**2, count * count << 2 * UNIT_BITS)
    return Statistics(count, float(mean), _square_root(variance), moments.minimum, moments.maximum)


def _square_root(value: Fraction) -> float:
    """Square root, correct to the last bit: an integer root with 64 bits more than a float64 holds, then rounded."""
    if not value:
        return 0.0
    shift = 2 * max(0, 128 - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    root = math.isqrt((value.numerator << shift) // value.denominator)
    # An odd last bit stands for all that the integer root leaves off, so that no tie is seen where there is none.
    exact = root * root * value.denominator == value.numerator << shift
    return float(Fraction(2 * root + (not exact), 1 << shift // 2 + 1))


def encode(moments: Moments) -> np.ndarray:
    """Return count and sums as limbs (1 + SUM_LIMBS + SQUARE_LIMBS,), int64; the last of each number has its sign."""
    return np.concatenate(
        [[moments.count], _limbs(moments.total, SUM_LIMBS), _limbs(moments.squares, SQUARE_LIMBS)]
    ).astype(np.int64)


def decode(limbs: np.ndarray, minimum: float, maximum: float) -> Moments:
    """Return the moments that sums of encoded ones stand for; the inverse of `encode` for one."""
    total, squares = limbs[1 : 1 + SUM_LIMBS], limbs[1 + SUM_LIMBS :]
    return Moments(int(limbs[0]), _number(total), _number(squares), minimum, maximum)


def _limbs(number: int, count: int) -> np.ndarray:
    data = number.to_bytes(count * LIMB_BITS // 8, "little", signed=True)
    limbs = np.frombuffer(data, "<u4").astype(np.int64)
    limbs[-1] = np.frombuffer(data, "<i4")[-1]
    return limbs


def _number(limbs: np.ndarray) -> int:
    return sum(int(limb) << LIMB_BITS * place for place, limb in enumerate(limbs))


def round_size(most: int, devices: int) -> int:
    """Return how many rows a process contributes to one reduction: a multiple of its devices.

    Args:
        most: cells of the process that has most.
        devices: devices a process.
    """
    return ceil_div(min(max(most, 1), LARGEST_ROUND), devices) * devices


def reduce_moments(mesh: Mesh, batch: Sequence[Sequence[Moments]], size: int, variables: int) -> list[Moments]:
    """Add up the moments of some cells of every process; all processes take part, with or without cells of their own.

    Args:
        mesh: from `process_mesh`.
        batch: the moments of each variable, for each of some of this process's cells.
        size: from `round_size`, the same in all processes; at least as many as the cells.
        variables: how many variables.

    Returns:
        the moments of each variable over the cells of all processes, the same in all.

    Raises:
        WorkError: a process was lost.
    """
    limbs = np.zeros((len(batch), variables, 1 + SUM_LIMBS + SQUARE_LIMBS), np.int64)
    ranges = np.zeros((len(batch), variables, 2))
    for row, cell in enumerate(batch):
        for variable, found in enumerate(cell):
            limbs[row, variable] = encode(found)
            ranges[row, variable] = found.minimum, found.maximum
    with jax.enable_x64(True):
        total = reduce_rows(mesh, *global_rows(mesh, limbs, size))
        lowest = reduce_rows(mesh, *global_rows(mesh, ranges[..., 0], size), how="min")
        highest = reduce_rows(mesh, *global_rows(mesh, ranges[..., 1], size), how="max")
    return [decode(total[v], float(lowest[v]), float(highest[v])) for v in range(variables)]


def deal(cells: int, processes: int, rank: int) -> range:
    """Return the positions of a process's cells: every `processes`-th one, so that shares differ by one at most."""
    return range(rank, cells, processes)
