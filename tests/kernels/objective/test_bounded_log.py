import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.kernels.models.dalec_daily.daily_step import inputs_from_logs
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, UNKNOWNS
from phloem.kernels.objective.bounded_log import CLIP, log_bounds, log_physical, physical, unbounded

WOOD = [p for p in PARAMETERS if p.name == "turnover_wood"]
PRINTED = {
    -3.0: 3.647683908e-5,
    -1.0: 6.287167148e-5,
    0.0: 1.581138830e-4,
    0.5: 2.725259195e-4,
    2.0: 5.801792480e-4,
}
LOWER = np.array([[p.lower] for p in UNKNOWNS])
UPPER = np.array([[p.upper] for p in UNKNOWNS])
LIFESPANS = [row for row, p in enumerate(PARAMETERS) if p.name.endswith("lifespan")]


def test_published_values_both_ways():
    raw, expected = np.array([list(PRINTED)]), np.array([list(PRINTED.values())])
    np.testing.assert_allclose(physical(jnp.asarray(raw), WOOD), expected, rtol=2e-10)
    np.testing.assert_allclose(unbounded(expected, WOOD), raw, rtol=2e-9, atol=2e-9)


@settings(deadline=None, max_examples=200)
@given(raw=st.lists(st.floats(-1e3, 1e3), min_size=len(UNKNOWNS), max_size=len(UNKNOWNS)))
def test_round_trip(raw):
    column = np.array(raw)[:, None]
    there = np.asarray(physical(jnp.asarray(column), UNKNOWNS))
    assert (there > LOWER).all()
    assert (there < UPPER).all()
    np.testing.assert_allclose(np.arctan(unbounded(there, UNKNOWNS)), np.arctan(column), atol=1e-10)


@settings(deadline=None, max_examples=100)
@given(share=st.floats(0, 1))
def test_the_inverse_of_physical_values_comes_back_within_the_clip(share):
    values = LOWER * (UPPER / LOWER) ** share
    back = np.asarray(physical(jnp.asarray(unbounded(values, UNKNOWNS)), UNKNOWNS))
    nearest = LOWER * (UPPER / LOWER) ** np.clip(share, CLIP, 1 - CLIP)
    np.testing.assert_allclose(back, nearest, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("nudge", [-1, 0, 1])
def test_the_inverse_at_a_bound_keeps_its_sign(dtype, nudge):
    """In float32 the plain tangent turns lo into +2.3e7, which maps back to hi."""
    for bound, sign in ((LOWER, -1), (UPPER, 1)):
        value = bound.astype(dtype)
        if nudge:
            value = np.nextafter(value, dtype(nudge * np.inf))
        raw = unbounded(value, UNKNOWNS)
        assert (np.sign(raw) == sign).all()
        assert np.isfinite(raw).all()
        back = np.asarray(physical(jnp.asarray(raw.astype(dtype)), UNKNOWNS))
        np.testing.assert_allclose(np.log(back / bound) / np.log(UPPER / LOWER), -sign * CLIP, rtol=2e-2)


def test_absurd_raw_values_stay_finite_and_at_the_bounds_in_float32():
    for raw, bound in ((-1e30, LOWER), (1e30, UPPER)):
        column = jnp.full((len(UNKNOWNS), 1), raw, jnp.float32)
        np.testing.assert_allclose(physical(column, UNKNOWNS), bound, rtol=3e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_type_is_kept(dtype):
    raw = jnp.zeros((len(UNKNOWNS), 2), dtype)
    assert physical(raw, UNKNOWNS).dtype == dtype
    assert all(bound.dtype == dtype for bound in log_bounds(UNKNOWNS, dtype))


def test_lifespan_less_one_keeps_its_digits_in_float32():
    u = np.linspace(1e-4, 0.02, 200)
    raw = np.zeros((len(PARAMETERS), len(u)), np.float32)
    raw[LIFESPANS] = np.tan(np.pi * (u - 0.5))
    single = inputs_from_logs(log_physical(jnp.asarray(raw), PARAMETERS))
    double = inputs_from_logs(log_physical(jnp.asarray(raw, jnp.float64), PARAMETERS))
    exact = np.asarray(double.leaf_excess)
    np.testing.assert_allclose(double.leaf_excess, double.leaf_lifespan - 1, rtol=1e-10)
    assert single.leaf_excess.dtype == jnp.float32
    assert exact.min() < 1.3e-3
    kept = np.abs(np.asarray(single.leaf_excess) / exact - 1).max()
    subtracted = np.abs((np.asarray(single.leaf_lifespan) - np.float32(1)) / exact - 1).max()
    print(f"relative error of L - 1 in float32: expm1 {kept:.1e}, subtraction {subtracted:.1e}")
    assert subtracted > 3e-5
    assert kept < 1e-4
    np.testing.assert_allclose(single.labile_excess, single.leaf_excess, rtol=1e-6)
