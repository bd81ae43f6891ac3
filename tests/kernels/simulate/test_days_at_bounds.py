"""Days at bounds against those of the whole trajectory, and what a ceiling costs in the loss."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.daily_step import OVERFLOW_PER_GRAM, dalec, inputs, state
from phloem.kernels.models.dalec_daily.mode_switches import COMPAT, STRICT
from phloem.kernels.models.dalec_daily.parameters import POOLS
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.simulate.days_at_bounds import days_at_bounds
from tests.support.kernels.builders import G_WET, STATE, golden_weather, lanes_of, plain_series

DAYS = 1461
LANE = jnp.zeros(1, jnp.int32)
SOM = [pool.name for pool in POOLS].index("som")
FULL = [*STATE[:SOM], POOLS[SOM].upper, *STATE[SOM + 1 :]]
"""A soil that is full, under a climate in which little of it is respired."""

SLOW = {"turnover_som": 1e-7, "decomposition_rate": 0.01}


def parameters() -> list[float]:
    names = [one.name for one in dalec("strict").parameters]
    return [SLOW.get(name, value) for name, value in zip(names, G_WET, strict=True)]


def run(pools, switches=STRICT, backend="xla", p=None):
    data = plain_series(golden_weather(switches), np.float64)
    lanes = lanes_of(parameters() if p is None else p, np.float64)
    start = lanes_of(pools, np.float64)
    out = trajectory(dalec(switches), inputs(lanes), state(start), data, LANE, backend="xla")
    counted = days_at_bounds(dalec(switches), inputs(lanes), start, data, LANE, backend=backend)
    return {name: np.asarray(value)[:DAYS, 0] for name, value in out._asdict().items()}, counted


@pytest.mark.parametrize("backend", ["xla", "cpu"])
@pytest.mark.parametrize("start", [STATE, FULL, [1.0] * len(POOLS)], ids=["sane", "full", "empty"])
def test_counts_are_those_of_the_trajectory(start, backend):
    out, counted = run(start, backend=backend)
    for place, pool in enumerate(POOLS):
        floor, ceiling = out[pool.name] <= pool.lower, out[pool.name] >= pool.upper
        assert counted.floor[place, 0] == floor.sum(), pool.name
        assert counted.ceiling[place, 0] == ceiling.sum(), pool.name
        unbroken = DAYS if floor.all() else int(np.argmin(floor[::-1]))
        assert counted.floor_to_the_end[place, 0] == unbroken, pool.name
    assert bool(counted.ceiling[SOM, 0] > 1000) == (start is FULL)


def test_a_full_soil_costs_what_it_spills():
    """The price of each day follows from the carbon balance of the pool: inflow less respiration, were it not full."""
    out, _ = run(FULL)
    spilt = out["rh_som"] - FULL[SOM] * np.asarray(out["temperate"]) * SLOW["turnover_som"]
    spilt = np.where(out["som"] >= POOLS[SOM].upper, np.maximum(spilt, 0), 0)
    assert spilt.max() > 0.1
    np.testing.assert_allclose(out["overflow"], OVERFLOW_PER_GRAM * spilt**2 / (spilt + 1), rtol=1e-6, atol=1e-9)
    assert out["overflow"].sum() > 0.5
    compat, counted = run(FULL, COMPAT)
    assert counted.ceiling[SOM, 0] > 1000
    assert not compat["overflow"].any()
    sane, _ = run(STATE, p=G_WET)
    assert not sane["overflow"].any()


def test_its_gradient_leads_away_from_the_ceiling():
    data, start = plain_series(golden_weather(STRICT), np.float64), state(lanes_of(FULL, np.float64))

    def cost(p):
        return trajectory(dalec(STRICT), inputs(p), start, data, LANE, backend="xla").overflow.sum()

    p = lanes_of(parameters(), np.float64)
    slope = np.asarray(jax.grad(cost)(p))[:, 0]
    row = [one.name for one in dalec("strict").parameters].index("turnover_som")
    assert slope[row] < 0  # a soil that turns over faster spills less
    step = 1e-3 * float(p[row, 0])
    up, down = (float(cost(p.at[row, 0].add(sign * step))) for sign in (1, -1))
    assert slope[row] == pytest.approx((up - down) / (2 * step), rel=1e-4)
