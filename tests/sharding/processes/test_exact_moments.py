"""Exact moments: the same whatever the order and the split, and rounded once."""

from __future__ import annotations

import math
import random
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.sharding.processes.exact_moments import (
    Moments,
    cells_of_rank,
    decode,
    encode,
    moments,
    round_size,
    statistics,
)

NUMBERS = st.lists(st.floats(allow_infinity=False, width=64), max_size=60)
"""NaN, both zeros, subnormal and very large numbers among them."""


def exact(values: list[float]) -> Moments:
    """The moments by rational arithmetic."""
    seen = [value for value in values if not math.isnan(value)]
    total, squares = sum(map(Fraction, seen)), sum(Fraction(value) ** 2 for value in seen)
    return Moments(
        len(seen), int(total * 2**1074), int(squares * 2**2148),
        min(seen, default=math.inf), max(seen, default=-math.inf),
    )  # fmt: skip


@given(NUMBERS)
def test_moments_are_exact(values: list[float]) -> None:
    assert moments(np.array(values)) == exact(values)


@given(NUMBERS, st.lists(st.integers(0, 60), max_size=8), st.randoms())
def test_any_split_in_any_order_gives_the_same(values: list[float], cuts: list[int], chance: random.Random) -> None:
    whole = moments(np.array(values))
    chance.shuffle(values)
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    parts = [moments(np.array(values[a:b])) for a, b in pairwise(edges)]
    chance.shuffle(parts)
    assert sum(parts, Moments()) == whole
    assert repr(statistics(sum(parts, Moments()))) == repr(statistics(whole))
    limbs = np.sum([encode(part) for part in parts], axis=0)
    assert decode(limbs, whole.minimum, whole.maximum) == whole, "sums of limbs are limbs of sums"


@given(st.lists(st.floats(-1e150, 1e150), min_size=1, max_size=40))
def test_statistics_are_rounded_once(values: list[float]) -> None:
    found = statistics(moments(np.array(values)))
    mean = sum(map(Fraction, values)) / len(values)
    assert found.mean == float(mean)
    variance = sum((Fraction(value) - mean) ** 2 for value in values) / len(values)
    with localcontext() as context:
        context.prec = 200
        root = (Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt()
    assert found.standard_deviation == float(root)


def test_no_cancellation() -> None:
    """A spread far below the mean, where the difference of the mean square and the squared mean is noise."""
    values = 1e9 + np.random.default_rng(3).integers(0, 1000, 100_000) / 1024
    naive = np.mean(values**2) - np.mean(values) ** 2
    found = statistics(moments(values)).standard_deviation
    assert found == pytest.approx(np.std(values - 1e9), rel=1e-14)
    assert naive < 0 or abs(math.sqrt(naive) - found) > 1e-3 * found


def test_real_numbers_against_numpy() -> None:
    values = np.random.default_rng(4).gamma(0.8, 6.0, (40, 3000))
    values[values > 30] = np.nan
    found = statistics(moments(values))
    assert found.count == np.isfinite(values).sum() < values.size
    assert found.mean == math.fsum(values[np.isfinite(values)]) / found.count
    assert found.standard_deviation == pytest.approx(np.nanstd(values), rel=1e-12)
    assert (found.minimum, found.maximum) == (np.nanmin(values), np.nanmax(values))


def test_nothing_observed() -> None:
    found = statistics(moments(np.full(5, np.nan)))
    assert found.count == 0
    assert all(math.isnan(x) for x in (found.mean, found.standard_deviation, found.minimum, found.maximum))


def test_zeros_have_no_sign() -> None:
    for zeros in ([0.0, -0.0], [-0.0, 0.0], [-0.0]):
        found = moments(np.array(zeros))
        assert math.copysign(1, found.minimum) == math.copysign(1, found.maximum) == 1


def test_infinite_values_are_refused() -> None:
    with pytest.raises(ValueError, match="2 infinite values"):
        moments(np.array([1.0, np.inf, np.nan, -np.inf]))


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_every_cell_is_dealt_once(processes: int) -> None:
    shares = [cells_of_rank(11, processes, rank) for rank in range(processes)]
    assert sorted(cell for share in shares for cell in share) == list(range(11))
    assert len(shares[0]) - len(shares[-1]) <= 1


def test_rounds_fit_the_devices() -> None:
    assert [round_size(most, 4) for most in (0, 1, 4, 5, 256, 10_000)] == [4, 4, 4, 8, 256, 256]
    assert round_size(10_000, 3) == 258
