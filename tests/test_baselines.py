"""`phloem.baselines`: what comes in goes out, and what cannot be in its unit is refused."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import phloem
from phloem import baselines
from phloem.baselines import PModel
from phloem.errors import InputError

PAGE = Path(__file__).parents[1] / "docs/python.md"
FUNCTIONS = sorted(name for name in baselines.__all__ if inspect.isfunction(getattr(baselines, name)))


def test_the_door_gives_out_the_module() -> None:
    assert phloem.baselines is baselines
    assert len(FUNCTIONS) == len(baselines.__all__) - 3


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_its_units_and_stands_on_the_page(name: str) -> None:
    function = getattr(baselines, name)
    assert (function.__name__, function.__module__) == (name, "phloem.baselines")
    described = inspect.getdoc(function).partition("Args:")[2]
    for argument in inspect.signature(function).parameters:
        assert re.search(rf"^ +{argument}: ", described, re.M), argument
    section = PAGE.read_text().partition("## Process baselines")[2].partition("## When it fails")[0]
    assert re.search(rf"^\|[^\n]*`{name}`", section, re.M)


def test_numbers_lists_and_pandas_give_numpy_of_double_precision() -> None:
    assert type(baselines.q10(20.0, 2.5)) is np.float64
    for given in ([10, 20], (10.0, 20.0), np.array([10, 20], np.float32), pd.Series([10.0, 20.0], index=[7, 8])):
        found = baselines.q10(given, 2.5)
        assert type(found) is np.ndarray
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, [2.5, 3.75], rtol=1e-14)
        found[0] = 0  # what a script is given is its own
    leaf = baselines.p_model([5.0, 20.0], 1000.0, 400.0, 101325.0, pathway="c4")
    assert type(leaf) is PModel
    assert {(type(part), part.dtype, part.shape) for part in leaf} == {(np.ndarray, np.dtype("float64"), (2,))}


def test_missing_values_stay_missing_masked_ones_included() -> None:
    given = np.ma.array([10.0, -9999.0, np.nan], mask=[False, True, False])
    assert np.isnan(baselines.q10(given, 2.5)).tolist() == [False, True, True]


def test_xarray_is_broadcast_by_names_and_comes_out() -> None:
    ta = xr.DataArray([5.0, 20.0], dims="time", coords={"time": [3, 4]})
    vpd = xr.DataArray([[300.0], [500.0], [1000.0]], dims=("site", "level"))
    leaf = baselines.p_model(ta, vpd, 400.0, pa=101325.0)
    assert type(leaf) is PModel
    assert (leaf.lue.name, leaf.lue.dims, leaf.lue.shape) == ("lue", ("time", "site", "level"), (2, 3, 1))
    assert leaf.lue.time.values.tolist() == [3, 4]
    assert float(leaf.lue[1, 2, 0]) == pytest.approx(float(baselines.p_model(20.0, 1000.0, 400.0, 101325.0).lue))
    le = baselines.priestley_taylor(ta, 0.7, 120.0).le
    assert (le.name, le.dims) == ("le", ("time",))
    assert baselines.q10(ta, 2.5).name == "q10"


def test_xarray_that_says_its_units_is_converted() -> None:
    ta, vpd, pa = (
        xr.DataArray([value], dims="time", attrs={"units": unit})
        for value, unit in ((293.15, "K"), (10.0, "hPa"), (101.325, "kPa"))
    )
    due = baselines.p_model(20.0, 1000.0, 400.0, 101325.0)
    assert float(baselines.p_model(ta, vpd, 400.0, pa).lue[0]) == pytest.approx(float(due.lue), rel=1e-12)
    small = xr.DataArray([50.0], dims="time", attrs={"units": "K"})  # 50 degC would pass: the attribute decides
    with pytest.raises(InputError, match=r"ta is -223\.15"):
        baselines.q10(small, 2.5)
    jax_and_labels = baselines.q10(ta, jnp.array(2.5))
    np.testing.assert_allclose(jax_and_labels, baselines.q10(20.0, 2.5), rtol=1e-6)


def test_arrays_of_jax_come_out_as_such_under_every_transformation() -> None:
    found = baselines.q10(jnp.array([10.0, 20.0], jnp.float32), 2.5)
    assert isinstance(found, jax.Array)
    assert found.dtype == jnp.float32
    lue = lambda ta: baselines.p_model(ta, 1000.0, 400.0, 101325.0).lue  # noqa: E731
    slope = jax.jit(jax.vmap(jax.grad(lue)))(jnp.array([5.0, 20.0]))
    step = (baselines.p_model([5.001, 20.001], 1e3, 400, 101325).lue - lue(np.array([4.999, 19.999]))) / 0.002
    np.testing.assert_allclose(slope, step, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: baselines.p_model(293.15, 1e3, 400, 101325),
            r"p_model: ta is 293.15; it is in degC, from",
        ),
        (lambda: baselines.p_model([20, 20], 1e3, 400, [101325, 1013.25]), r"pa is 1013.25 at \(1,\); it is in Pa"),
        (lambda: baselines.p_model(20, 1e3, 4e-4, 101325), r"co2 is 0.0004; it is in ppm"),
        (lambda: baselines.priestley_taylor(20, [[0.5], [7000.0]], 100), r"ndvi is 7000 at \(1, 0\)"),
        (lambda: baselines.pt_jpl(20, 55.0, 0.5, 200, 20, 25, 0.6), r"rh is 55; it is in 1"),
        (lambda: baselines.q10(-9999.0, 2.5), r"ta is -9999; .* NaN where missing"),
        (lambda: baselines.q10(np.inf, 2.5), r"ta is inf"),
        (lambda: baselines.q10(20.0, np.inf), r"rref is inf; it is in finite numbers"),
        (lambda: baselines.q10("warm", 2.5), r"q10: ta is not of numbers"),
        (lambda: baselines.q10(None, 2.5), r"q10: ta is None; it has to be given"),
        (lambda: baselines.p_model(20, 1e3, None, 1e5), r"p_model: co2 is None"),
        (lambda: baselines.q10(jnp.array(20.0), None), r"q10: rref is None"),
        (lambda: baselines.q10(20.0, [2.5, -0.1]), r"rref is -0.1 at \(1,\); it is in finite numbers, from 0"),
        (lambda: baselines.lloyd_taylor(20.0, -1.0), r"lloyd_taylor: rref is -1"),
        (
            lambda: baselines.q10(xr.DataArray([20.0], dims="x", attrs={"units": "mm d-1"}), 2.5),
            r"q10: ta says units = 'mm d-1'; it is in degC",
        ),
        (
            lambda: baselines.p_model([1, 2], [1, 2, 3], 400, 1e5),
            r"shapes do not fit each other: ta \(2,\), vpd",
        ),
        (lambda: baselines.p_model(20, 1e3, 400, 1e5, pathway="C3"), r"pathway = 'C3': it is one of c3, c4"),
        (
            lambda: baselines.optimum_temperature(xr.DataArray([1.0], dims="time"), 0.5, 100.0, 500.0),
            r"by the number of an axis: give it arrays",
        ),
        (
            lambda: baselines.q10(
                xr.DataArray([1.0, 2.0], dims="x", coords={"x": [0, 1]}),
                xr.DataArray([1.0, 2.0], dims="x", coords={"x": [1, 2]}),
            ),
            r"q10: coordinates differ",
        ),
    ],
)
def test_bad_input_is_refused_with_what_is_due(call, said: str) -> None:
    with pytest.raises(InputError, match=said):
        call()
