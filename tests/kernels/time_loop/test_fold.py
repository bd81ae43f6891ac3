"""The fold over cells of unequal length, padded and cycled, against the plain trajectory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.forcing_terms import weather
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from phloem.kernels.objective.bounded_log import physical, unbounded
from phloem.kernels.objective.site import site_data
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.time_loop.day_tables import SEGMENT, day_tables
from phloem.kernels.time_loop.fold import fold
from tests.support.kernels.builders import NAMES, POOL_NAMES, STATE, G, made_forcing, made_site, unobserved

LANES = 64
MODEL = dalec("strict")
FLUXES = ("labile_release", "leaf_litter", "rh_litter", "rh_som", "gpp", "violation")


@jax.jit
def folded(values, data, lanes):
    return fold(MODEL, inputs(values[: len(NAMES)]), state(values[len(NAMES) :]), data, lanes)


@pytest.fixture(scope="module")
def values():
    raw = unbounded(np.concatenate([G, STATE])[:, None], UNKNOWNS)
    raw = raw + np.random.default_rng(6).normal(0, 0.4, (len(UNKNOWNS), LANES))
    return np.asarray(physical(jnp.asarray(raw), UNKNOWNS))


def bytes_of(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def test_padded_segments_leave_every_bit_alone(values):
    """The short cell fills its two segments; the second, in spring, outweighs the first."""
    short, *longer = (made_site(days, 40 + days, STRICT, first_day=30) for days in (2 * SEGMENT, 150, 700))
    lanes, single = jnp.zeros(LANES, jnp.int32), jnp.asarray(values, jnp.float32)
    alone = folded(single, site_data([short, short], np.float32).tables, lanes)
    for neighbour in longer:
        beside = folded(single, site_data([short, neighbour], np.float32).tables, lanes)
        changed = [name for name in alone[1]._fields if (getattr(alone[1], name) != getattr(beside[1], name)).any()]
        assert changed == []
        assert bytes_of(beside[0]) == bytes_of(alone[0])


def test_each_lane_runs_its_own_cell_for_its_own_days(values):
    cells = [made_site(days, 50 + days, STRICT, wet=wet) for days, wet in ((200, 0.3), (333, 1.0), (128, 3.0))]
    lanes = np.arange(LANES) % len(cells)
    data = site_data(cells, np.float64).tables
    last, sums = folded(jnp.asarray(values), data, jnp.asarray(lanes, jnp.int32))
    for row, cell in enumerate(cells):
        mine = np.flatnonzero(lanes == row)[:2]
        p, q = inputs(jnp.asarray(values[:30, mine])), state(jnp.asarray(values[30:, mine]))
        out = trajectory(MODEL, p, q, site_data([cell], np.float64).tables, jnp.zeros(2, jnp.int32))
        for name in POOL_NAMES:
            expected = np.asarray(getattr(out, name))[cell.days - 1]
            np.testing.assert_allclose(np.asarray(getattr(last, name))[mine], expected, rtol=1e-11, err_msg=name)
        for name in FLUXES:
            expected = np.asarray(getattr(out, name))[: cell.days].sum(0)
            np.testing.assert_allclose(np.asarray(getattr(sums, name))[mine], expected, rtol=1e-11, err_msg=name)


def test_index_tables_cycle_the_weather(values):
    f = made_forcing(150, 7)
    terms = weather(f["time"], f["doy"], 58.0, f, 150, STRICT)
    rows = np.arange(400) % 150
    cycled = day_tables([terms], [unobserved(1)], np.float64, weather_row=rows, observed_row=np.zeros(400, int))
    written = day_tables([type(terms)(*(field[rows] for field in terms))], [unobserved(400)], np.float64)
    assert cycled.weather.shape[0] == 150
    lanes = jnp.zeros(LANES, jnp.int32)
    pair = [folded(jnp.asarray(values), data, lanes) for data in (cycled, written)]
    for a, b in zip(*(jax.tree.leaves(one) for one in pair), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


@pytest.mark.parametrize("segment", [7, 400])
def test_the_length_of_a_segment_is_only_bookkeeping(values, segment):
    f = made_forcing(400, 7)
    terms = weather(f["time"], f["doy"], 58.0, f, 400, STRICT)
    few, lanes = jnp.asarray(values[:, :4]), jnp.zeros(4, jnp.int32)

    def cut(segment):
        data = day_tables([terms], [unobserved(400)], np.float64, segment=segment)
        return fold(MODEL, inputs(few[:30]), state(few[30:]), data, lanes, segment=segment)

    for a, b in zip(jax.tree.leaves(cut(segment)), jax.tree.leaves(cut(64)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
