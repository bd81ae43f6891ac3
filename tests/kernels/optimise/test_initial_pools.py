"""Settling moves initial pools into the steady-state walls, and never raises a loss."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, UNKNOWNS
from phloem.kernels.objective.site import site_data
from phloem.kernels.optimise.initial_pools import balance_initial_pools
from tests.support.kernels.builders import made_site

LANES = 64
OBJECTIVE = SiteObjective(dalec("strict"))
POOLS = slice(len(PARAMETERS), len(PARAMETERS) + 6)


@pytest.fixture(scope="module")
def balanced() -> tuple[np.ndarray, ...]:
    """Raw values before and after, and both losses with their steady-state parts."""
    data = site_data([made_site(3 * 365, 5, STRICT)], np.float32)
    raw = jnp.asarray(np.random.default_rng(0).normal(size=(LANES, len(UNKNOWNS))), jnp.float32)
    raw = raw.at[7].set(jnp.nan)
    k, cell = jnp.full(LANES, 30.0, jnp.float32), jnp.zeros(LANES, jnp.int32)
    after = jax.jit(lambda raw: balance_initial_pools(OBJECTIVE, raw, k, data, cell))(raw)
    program = jax.jit(lambda raw: OBJECTIVE.terms(raw.T, k, data, cell)[0])
    found = [np.array([np.asarray(sum(t)), np.asarray(t.steady_state)]) for t in (program(raw), program(after))]
    return np.asarray(raw), np.asarray(after), *found


def test_no_loss_rises(balanced: tuple[np.ndarray, ...]) -> None:
    _, _, (before, _), (after, _) = balanced
    fine = np.isfinite(before)
    assert fine.sum() > 50
    assert (after[fine] <= before[fine] * (1 + 1e-5) + 1e-4).all()


def test_most_come_much_nearer_to_steady(balanced: tuple[np.ndarray, ...]) -> None:
    _, _, (_, before), (_, after) = balanced
    fine = np.isfinite(before)
    assert np.median(after[fine] / np.maximum(before[fine], 1e-3)) < 0.5


def test_only_carbon_pools_move(balanced: tuple[np.ndarray, ...]) -> None:
    raw, after, *_ = balanced
    moved = (raw != after) & ~np.isnan(raw)
    assert moved[:, POOLS].any()
    moved[:, POOLS] = False
    assert not moved.any()


def test_a_lane_without_a_loss_stays_where_it_is(balanced: tuple[np.ndarray, ...]) -> None:
    assert np.isnan(balanced[1][7]).all()


def test_where_no_pool_is_steady_nothing_moves() -> None:
    data = site_data([made_site(400, 5, STRICT)], np.float32)
    raw = jnp.zeros((LANES, len(UNKNOWNS)), jnp.float32)
    free = replace(OBJECTIVE, steady_pools=())
    after = balance_initial_pools(free, raw, jnp.ones(LANES, jnp.float32), data, jnp.zeros(LANES, jnp.int32))
    assert after is raw
