"""The published daily model in float64 at four towers (oracle/golden_*.nc): outputs, NNSE and gradients."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.mode_switches import COMPAT, STRICT
from phloem.kernels.objective.objective import nnse
from phloem.kernels.objective.site import site_data
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.time_loop.fold import fold
from phloem.names import STREAMS
from tests.support.kernels.builders import tower

TOWERS = ("DE-Hai", "FI-Hyy", "FR-Pue", "US-Var")
RELATIVE = 1e-9
FLOOR = 1e-12
"""Of the largest absolute value of the same output at the same tower: what passes through 0 is not compared closer."""

LANES = np.zeros(3, np.int32)


@pytest.fixture(scope="module")
def golden(data_dir):
    def load(name):
        with xr.open_dataset(data_dir / "oracle" / f"golden_{name}.nc", decode_times=False) as file:
            return file.load()

    return {name: load(name) for name in TOWERS}


@jax.jit
@partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
def slope(p, q, data):
    """J_obs summed over the members, their NNSE, and its gradient."""
    _, sums = fold(dalec("compat"), inputs(p), state(q), data.tables, LANES)
    efficiency = nnse(sums, data, LANES, STREAMS)
    return -sum(efficiency.values()).sum(), efficiency


def simulate(data_dir, name, golden, switches):
    data = site_data([tower(data_dir, name).site(switches)], np.float64)
    p, q = jnp.asarray(golden.parameters.values.T), jnp.asarray(golden.initial_pools.values.T)
    return trajectory(dalec(switches), inputs(p), state(q), data.tables, LANES)


def check(out, golden, relative, floor=FLOOR):
    names = [name for name in golden.data_vars if name in out._fields]
    assert len(names) >= 20
    for name in names:
        expected = golden[name].values
        found = np.asarray(getattr(out, name)).T[:, : expected.shape[1]]
        wrong = np.abs(found - expected) - relative * np.abs(expected) - floor * np.abs(expected).max()
        assert wrong.max() <= 0, (name, float(wrong.max()))


@pytest.mark.parametrize("name", TOWERS)
def test_outputs(data_dir, golden, name):
    check(simulate(data_dir, name, golden[name], COMPAT), golden[name], RELATIVE)


def test_strict_agrees_where_no_day_is_clamped(data_dir, golden):
    """At FR-Pue nothing is clamped: what differs is the rate form alone, 1 - (1 - k) with its rounding of 1e-16 / k."""
    assert golden["FR-Pue"].attrs["clamped_days"] == 0
    out = simulate(data_dir, "FR-Pue", golden["FR-Pue"], replace(STRICT, rate_form="power"))
    check(out, golden["FR-Pue"], RELATIVE)
    check(simulate(data_dir, "FR-Pue", golden["FR-Pue"], STRICT), golden["FR-Pue"], 1e-8)


def test_strict_differs_where_days_are_clamped(data_dir, golden):
    """At DE-Hai the leaves spend days at their floor, where the published code makes litter from nothing."""
    g = golden["DE-Hai"]
    assert (g.foliar == 1).sum() > 100
    with pytest.raises(AssertionError, match="rh_litter"):
        check(simulate(data_dir, "DE-Hai", g, STRICT), g, 1e-6)


@pytest.mark.parametrize("name", TOWERS)
def test_nnse_and_the_gradient_of_j_obs(data_dir, golden, name):
    g = golden[name]
    cell = tower(data_dir, name)
    assert cell.training_days == g.attrs["n_train"]
    data = site_data([cell.site(COMPAT)], np.float64)

    p, q = jnp.asarray(g.parameters.values.T), jnp.asarray(g.initial_pools.values.T)
    (_, efficiency), gradient = slope(p, q, data)
    for row, stream in enumerate(STREAMS):
        np.testing.assert_allclose(efficiency[stream], g.nnse.values[:, row], rtol=RELATIVE, err_msg=stream)
    for found, expected in zip(gradient, (g.dJobs_dparameters.values, g.dJobs_dinitial_pools.values), strict=True):
        assert (np.abs(expected) > 1e-9).sum() > 10
        largest = np.abs(expected).max(axis=1, keepdims=True)
        assert (np.abs(found.T - expected) <= RELATIVE * np.abs(expected) + 1e-16 * largest).all()
