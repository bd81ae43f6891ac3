"""The gradient of the whole strict loss against central differences, for every unknown.

The steps are 4e-5 and 2e-5 in raw space, joined by Richardson's rule, whose error falls as the fourth power of the
step. They are as small as the rounding of the loss allows (ROUNDING below), for no day may change sides of a clamp, a
knee or a kink of the water stress between the two ends of a step; the test looks.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.kernels.models.dalec_daily.parameters import POOLS, UNKNOWNS
from phloem.kernels.objective.bounded_log import physical, unbounded
from phloem.kernels.objective.site import site_data
from phloem.kernels.simulate.daily_outputs import trajectory
from tests.support.kernels.builders import NAMES, POOL_NAMES, STATE, G, made_site

DAYS = 730
SHARPNESS = (0.3, 3.0, 30.0)
STEPS = (4e-5, 2e-5)
ROUNDING = 40 * np.finfo(np.float64).eps / STEPS[1]
"""What rounding leaves of a difference, as a share of the loss: 40 units in the last place of it."""
N = len(UNKNOWNS)
UNSEEN = ("combustion_foliar", "combustion_ligneous", "combustion_dom", "fire_resilience")
INERT = ("paw_to_puw_fraction", "puw_drainage_capacity", "puw")
LABELS = [*NAMES, *POOL_NAMES]


def points():
    """Return three points: moist, with sun and drought, and one whose leaves and water sit at their floors."""
    moist, mixed, dry = (dict(zip(LABELS, np.concatenate([G, STATE]), strict=True)) for _ in range(3))
    moist |= {"paw_drainage_capacity": 4000, "field_capacity": 700, "wilting_point_fraction": 0.02}
    mixed |= {"paw_drainage_capacity": 500, "field_capacity": 90, "leaf_lifespan": 1.2, "turnover_som": 2e-5}
    dry |= {"radiation_et_coefficient": 0.15, "foliar": 3, "leaf_lifespan": 1.05, "labile": 1.5, "f_foliar": 0.03}
    table = np.array([[point[name] for name in LABELS] for point in (moist, mixed, dry)]).T
    return unbounded(table, UNKNOWNS) + np.random.default_rng(5).normal(0, 0.03, (N, 3))


def sides(raw, cell, data):
    """Return on which side of every branch each day of each lane is, and how many days are clamped."""
    values = np.asarray(physical(jnp.asarray(raw), UNKNOWNS))
    lanes = jnp.zeros(raw.shape[1], jnp.int32)
    out = trajectory(
        dalec("strict"), inputs(jnp.asarray(values[:30])), state(jnp.asarray(values[30:])), data.tables, lanes
    )
    branch = [np.sign(np.asarray(out.beta)[:DAYS]) + (np.asarray(out.beta)[:DAYS] == 1)]
    for row, pool in enumerate(POOLS[:7]):
        pools = np.asarray(getattr(out, pool.name))[:DAYS]
        branch += [pools == pool.lower, pools == pool.upper]
        before = np.vstack([values[30 + row][None], pools[:-1]])
    branch.append(before <= 0.5 * values[NAMES.index("paw_drainage_capacity")])
    branch += [np.asarray(out.violation)[:DAYS] > 0, np.asarray(out.litter_to_som)[:DAYS] == 0]
    return np.stack(branch).astype(int)


@pytest.fixture(scope="module")
def compared():
    cell = made_site(DAYS, 11, STRICT, missing=0.4)
    data = site_data([cell], np.float64)
    objective = SiteObjective(dalec("strict"))
    base = points()
    here = np.repeat(base, len(SHARPNESS), 1)
    k = np.tile(SHARPNESS, base.shape[1])
    lane = jnp.zeros(here.shape[1], jnp.int32)
    gradient = jax.jit(objective.loss_and_gradient)(jnp.asarray(here), jnp.asarray(k), data, lane)[1]

    moves = np.concatenate([sign * step * np.eye(N) for step in STEPS for sign in (1, -1)], 1)
    moved = (here[:, :, None] + moves[:, None, :]).reshape(N, -1)
    many = jnp.zeros(moved.shape[1], jnp.int32)
    loss = jax.jit(objective.loss)(jnp.asarray(moved), jnp.asarray(np.repeat(k, moves.shape[1])), data, many)
    up_far, down_far, up, down = np.asarray(loss).reshape(len(k), 4, N).transpose(1, 2, 0)
    far, near = (up_far - down_far) / (2 * STEPS[0]), (up - down) / (2 * STEPS[1])
    ends = (base[:, :, None] + moves[:, None, : 2 * N]).reshape(N, -1)
    branches = sides(ends, cell, data).reshape(-1, DAYS, base.shape[1], 2 * N)
    return {
        "gradient": np.asarray(gradient),
        "difference": (4 * near - far) / 3,
        "rounding": ROUNDING * np.abs(np.asarray(loss).reshape(len(k), -1)).max(1),
        "branches": branches,
    }


def test_no_day_changes_sides_within_a_step(compared):
    branches = compared["branches"]
    changed = (branches != branches[..., :1]).any(axis=(0, 1))
    assert not changed.any(), [(point, LABELS[i % N]) for point, i in np.argwhere(changed)]


def test_the_points_see_stress_clamps_and_violation(compared):
    branches = compared["branches"][..., 0]
    beta, foliar_floor, paw_floor, violation = branches[0], branches[3], branches[13], branches[-2]
    assert (beta == 1).any()
    assert (beta == 2).any()
    assert foliar_floor.sum() > 0
    assert paw_floor.sum() > 10
    assert violation.sum() > 10
    assert branches[1:-3, :, 0].sum() == 0


@pytest.mark.parametrize("unknown", range(N), ids=LABELS)
def test_gradient(compared, unknown):
    found, expected = compared["gradient"][unknown], compared["difference"][unknown]
    assert (np.abs(found - expected) <= 1e-6 * np.abs(expected) + compared["rounding"]).all(), (found, expected)
    if LABELS[unknown] not in UNSEEN + INERT:
        assert (np.abs(found) > 10 * compared["rounding"]).any()


def test_gradients_of_what_is_never_read_are_exactly_zero(compared):
    for name in (*UNSEEN, "puw_drainage_capacity", "puw"):
        assert not compared["gradient"][LABELS.index(name)].any(), name
    assert np.abs(compared["gradient"][LABELS.index("paw_to_puw_fraction")]).max() < 1e-12
