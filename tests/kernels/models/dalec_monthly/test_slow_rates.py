"""What a rate near 0 takes in a month, in single precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.kernels.models.dalec_monthly.mode_switches import switches
from phloem.kernels.models.dalec_monthly.monthly_step import _lost_slowly

STRICT = switches("strict")


@pytest.mark.parametrize("days", [28, 29, 30, 31])
@given(exponent=st.floats(-8, 0))
def test_share_that_a_rate_takes_has_the_digits_of_its_precision(days: int, exponent: float) -> None:
    rate = np.float32(10.0**exponent)
    exact = -np.expm1(days * np.log1p(-np.float64(rate))) / days if rate < 1 else 1 / days
    found = _lost_slowly(jnp.float32(rate), jnp.float32(days), STRICT)
    assert float(found) == pytest.approx(float(exact), rel=2e-6)


def test_slope_of_what_a_rate_takes_is_that_of_the_power() -> None:
    for days in (28.0, 31.0):
        for rate in (1e-7, 1e-4, 0.3):
            slope = jax.grad(lambda k, days=days: _lost_slowly(k, days, STRICT))(rate)
            assert float(slope) == pytest.approx((1 - rate) ** (days - 1), rel=1e-12)
