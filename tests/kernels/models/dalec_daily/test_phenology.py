import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.kernels.models.dalec_daily.phenology import SCALE, offset, pulse, rate, yearly
from phloem.names import PERIOD

POLYNOMIAL = [
    *(2.3599784710e-5, 3.32730053021e-4, 9.01865258885e-4, -5.437736864888e-3),
    *(-2.0836027517787e-2, 1.26972018064287e-1, -1.88459767342504e-1),
]


def direct(t, lifespan, period, day):
    """The formula of docs/science.md#phenology as it is printed."""
    f = 0.5 * (np.log(lifespan) - np.log(lifespan - 1))
    w = period * math.sqrt(2) / 2
    o = w * np.polyval(POLYNOMIAL, np.log(lifespan - 1))
    sf = 365.25 / math.pi
    return 2 / math.sqrt(math.pi) * f / w * np.exp(-((np.sin((t - day + o) / sf) * sf / w) ** 2))


@pytest.mark.parametrize(
    ("lifespan", "expected"),
    [(1.001, -0.883179688), (1.05, -0.600217557), (1.6, -0.257982254), (2.0, -0.188459767), (8.0, -0.036851924)],
)
def test_offset_polynomial(lifespan, expected):
    assert float(offset(jnp.asarray(lifespan - 1), jnp.asarray(1.0))) == pytest.approx(expected, abs=6e-10)


@pytest.mark.parametrize(
    ("lifespan", "period", "expected", "tau"),
    [
        (1.001, 30.4375, 6.970409471, 0.143464),
        (1.07, 60, 2.838510019, 0.352298),
        (1.42, 60, 1.268007042, 0.788639),
        (2.83, 67.6, 0.460403523, 2.172008),
        (8.0, 150, 0.155400499, 6.434986),
        (1.42, 150, 1.417661201, 0.705387),
    ],
)
def test_yearly_rate_and_effective_lifespan(lifespan, period, expected, tau):
    found = float(yearly(jnp.asarray(lifespan - 1), jnp.asarray(float(period))))
    assert found == pytest.approx(expected, abs=1e-9)
    assert 1 / found == pytest.approx(tau, abs=6e-7)
    days = np.arange(20_000) * (365.25 / 20_000)
    assert found == pytest.approx(direct(days, lifespan, period, 600.0).mean() * 365.25, rel=1e-9)


lifespans = st.floats(1.001, 8)
periods = st.floats(30.4375, 150)
dates = st.floats(365.25, 1461)


@settings(deadline=None, max_examples=100)
@given(lifespan=lifespans, period=periods, day=dates, first=st.integers(-40_000, 40_000))
def test_rate_is_the_direct_formula(lifespan, period, day, first):
    t = first + np.arange(0.0, 800, 7)
    phase = t / SCALE
    prepared = pulse(jnp.asarray(lifespan - 1), jnp.asarray(period), jnp.asarray(day))
    found = np.asarray(rate(prepared, jnp.sin(phase), jnp.cos(phase)))
    np.testing.assert_allclose(found, direct(t, lifespan, period, day), rtol=1e-8, atol=1e-14)
    assert found.min() >= 0
    assert found.max() <= 0.1812


@settings(deadline=None, max_examples=50)
@given(lifespan=lifespans, period=periods, day=st.floats(365.25, 730))
def test_days_a_period_apart_are_the_same_day(lifespan, period, day):
    phase = np.arange(0.0, 366, 5) / SCALE
    rates = [
        rate(pulse(jnp.asarray(lifespan - 1), jnp.asarray(period), jnp.asarray(d)), jnp.sin(phase), jnp.cos(phase))
        for d in (day, day + PERIOD)
    ]
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-8, atol=1e-14)


def test_largest_rate_leaves_something_of_the_pool():
    largest = pulse(jnp.asarray(0.001), jnp.asarray(30.4375), jnp.asarray(500.0)).amplitude
    assert float(largest) == pytest.approx(0.1811, abs=5e-5)


def test_gradients_are_finite_at_the_bounds():
    def both(excess, period, day):
        prepared = pulse(excess, period, day)
        return rate(prepared, jnp.sin(3.0), jnp.cos(3.0)) + yearly(excess, period)

    for dtype in (jnp.float32, jnp.float64):
        for excess in (1e-3, 7.0):
            for period in (30.4375, 150.0):
                arguments = [jnp.asarray(v, dtype) for v in (excess, period, 700.0)]
                assert np.isfinite(jax.grad(both, (0, 1, 2))(*arguments)).all()
