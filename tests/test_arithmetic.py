"""Arithmetic of whole numbers, against fractions."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from phloem.arithmetic import ceil_div


@given(st.integers(0, 10**30), st.integers(1, 10**15))
def test_ceil_div_is_the_quotient_rounded_up(count: int, size: int) -> None:
    assert ceil_div(count, size) == math.ceil(Fraction(count, size))
