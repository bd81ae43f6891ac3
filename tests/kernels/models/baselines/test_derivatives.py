"""Derivatives of the baselines against differences, and at every edge; compiled, vectorised and single precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from phloem.kernels.models.baselines.p_model import p_model
from phloem.kernels.models.baselines.pt_jpl import optimum_temperature
from tests.support.kernels.baseline_cases import CASES


def stacked(name: str):
    """Return a function from a point, (arguments,), to all outputs in one array, compiled."""
    function = CASES[name].function
    return jax.jit(lambda point: jnp.stack([jnp.asarray(part) for part in jax.tree.leaves(function(*point))]))


def drawn(name: str, count: int) -> np.ndarray:
    """Return points within a case's ranges, (count, arguments)."""
    low, high = np.transpose(CASES[name].ranges)
    return np.random.default_rng(18).uniform(low, high, (count, len(low)))


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_central_differences(name: str) -> None:
    function, low, high = stacked(name), *map(np.array, zip(*CASES[name].ranges, strict=True))
    jacobian = jax.jit(jax.jacrev(function))
    compared = set()

    @settings(max_examples=150)
    @given(st.tuples(*(st.floats(0.0, 1.0) for _ in low)), st.integers(0, len(low) - 1))
    def at(shares: tuple[float, ...], argument: int) -> None:
        point = low + (0.01 + 0.98 * np.array(shares)) * (high - low)
        step = np.zeros(len(low))
        step[argument] = 1e-4 * (high - low)[argument]
        wide, narrow = (
            np.asarray(function(point + share * step) - function(point - share * step)) / (2 * share * step[argument])
            for share in (1.0, 0.5)
        )
        scale = np.abs(np.asarray(function(point))) / (high - low)[argument] + np.abs(narrow) + 1e-12
        assume((np.abs(wide - narrow) <= 1e-5 * scale).all())  # an edge lies between, or curvature near one
        better = (4 * narrow - wide) / 3
        assert (np.abs(np.asarray(jacobian(point))[:, argument] - better) <= 1e-6 * scale).all()
        compared.add(argument)

    at()
    assert compared == set(range(len(low)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.edges])
def test_values_and_derivatives_at_edges_are_finite(name: str, dtype: str) -> None:
    function, points = stacked(name), jnp.asarray(CASES[name].edges, dtype)
    for kind in (function, jax.jacrev(function), jax.jacfwd(function)):
        found = jax.jit(jax.vmap(kind))(points)
        assert found.dtype == dtype
        bad = ~np.isfinite(np.asarray(found)).reshape(len(points), -1).all(1)
        assert not bad.any(), np.asarray(points)[bad].tolist()


def test_derivatives_are_finite_beside_the_end_of_limitation() -> None:
    """Where mj is 0.41 the root has no slope: floating numbers on both sides of it."""
    efficiency = jax.jit(lambda co2: p_model(45.0, 3000.0, co2, 6e4))
    low, high = 60.0, 1000.0
    while (middle := 0.5 * (low + high)) not in (low, high):
        low, high = (middle, high) if float(efficiency(middle).mj) <= 0.41 else (low, middle)
    assert float(efficiency(low).f_v) == 0
    assert float(efficiency(high).mj) == pytest.approx(0.41, rel=1e-12)
    beside = low + np.spacing(low) * np.concatenate([np.arange(-20, 21), [-1000, 1000, 10**6]])
    slopes = jax.jit(jax.vmap(jax.grad(lambda co2: p_model(45.0, 3000.0, co2, 6e4).lue)))(beside)
    assert bool(jnp.isfinite(slopes).all())
    assert bool((slopes[beside < low] == 0).all())
    assert bool((slopes[-2:] > 0).all())


@pytest.mark.parametrize("name", CASES)
def test_missing_arguments_stay_missing(name: str) -> None:
    point = drawn(name, 1)[0]
    function = stacked(name)
    slopes = np.asarray(jax.jacfwd(function)(point))
    for argument in range(len(point)):
        holed = point.copy()
        holed[argument] = np.nan
        found = np.asarray(function(holed))
        assert np.isnan(found[slopes[:, argument] != 0]).all()
        assert np.isnan(found).any() or not slopes[:, argument].any()


@pytest.mark.parametrize("name", CASES)
def test_compiled_and_mapped_functions_equal_plain_ones(name: str) -> None:
    function = CASES[name].function
    columns = [jnp.asarray(column) for column in drawn(name, 64).T]
    plain = jax.tree.leaves(function(*columns))
    for other in (jax.jit(function), jax.vmap(function), jax.jit(jax.vmap(function))):
        for ours, theirs in zip(plain, jax.tree.leaves(other(*columns)), strict=True):
            np.testing.assert_allclose(np.asarray(theirs), np.asarray(ours), rtol=1e-12, atol=1e-12)


def test_mapped_derivatives_are_those_of_single_points() -> None:
    points = jnp.asarray(drawn("c3", 4))
    slope = jax.jit(jax.grad(lambda point: p_model(*point).lue))
    np.testing.assert_allclose(jax.vmap(slope)(points), [slope(point) for point in points], rtol=1e-12)


@pytest.mark.parametrize("name", ["c3", "c4"])
def test_single_precision_is_near_double(name: str) -> None:
    points = drawn(name, 200).T
    function = CASES[name].function
    double, single = function(*points), function(*(jnp.asarray(column, jnp.float32) for column in points))
    for ours, theirs in zip(single, double, strict=True):
        assert ours.dtype == jnp.float32
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4)


def test_derivative_of_the_optimum_is_that_of_its_moment() -> None:
    ta = jnp.array([5.0, 18.0, 30.0])
    slope = jax.grad(lambda ta: optimum_temperature(ta, 0.5, 100.0, jnp.array([500.0, 800.0, 3000.0])))(ta)
    assert slope.tolist() == [0.0, 1.0, 0.0]


def test_arguments_broadcast_against_each_other() -> None:
    ta, vpd = np.linspace(0, 30, 4)[:, None], np.linspace(100, 2000, 3)
    found = p_model(ta, vpd, 400.0, 101325.0)
    assert {part.shape for part in found} == {(4, 3)}
    np.testing.assert_array_equal(found.lue[2, 1], p_model(20.0, 1050.0, 400.0, 101325.0).lue)
