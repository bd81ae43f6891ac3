"""A lane's bits are its own: whatever stands beside it, wherever it stands, however its run is cut."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from phloem.kernels.objective.bounded_log import physical
from phloem.kernels.optimise.lanes import (
    DIVERGED,
    DONE,
    MAX_REDRAWS,
    PADDING,
    RUNNING,
    draw,
    lane_keys,
    start_values,
)
from phloem.kernels.optimise.optimiser import begin
from tests.support.kernels.lane_blocks import BLOCK, LENGTHS, OPTIONS, SEED, bits, cells, fresh, rows_of, run, table

MEMBERS = 5
PAIRS = [(cell, member) for cell in range(len(LENGTHS)) for member in range(MEMBERS)]
TOTAL = OPTIONS.iterations


MODEL = dalec("strict")
NAMES = [unknown.name for unknown in MODEL.unknowns]
CANOPY_ROW, PAW_ROW = NAMES.index("canopy_efficiency"), NAMES.index("paw")
WET = {"initial_paw": 500.0}


@pytest.fixture(scope="module")
def world():
    sites = cells()
    data = table(sites)
    lanes = fresh(*zip(*PAIRS, strict=True), sites)
    rows = rows_of([cell for cell, _ in PAIRS])
    return sites, data, lanes, rows, run(lanes, data, rows)


def own(end, pairs=PAIRS):
    """Return the bits of each lane by cell and member."""
    return {pair: bits(end, position) for position, pair in enumerate(pairs)}


def test_all_lanes_finish_and_padding_is_never_touched(world):
    _, _, start, _, end = world
    count = len(PAIRS)
    assert (np.asarray(end.phase)[:count] == DONE).all()
    assert (np.asarray(end.phase)[count:] == PADDING).all()
    assert (np.asarray(end.step)[:count] == TOTAL).all()
    assert (np.asarray(end.evaluations)[:count] == TOTAL).all()
    assert bits(end, slice(count, None)) == bits(start, slice(count, None))
    assert end.raw.dtype == end.best_loss.dtype == np.float32
    assert (np.asarray(end.raw)[:count] != np.asarray(start.raw)[:count]).mean() > 0.75
    assert np.isfinite(np.asarray(end.best_loss)[:count]).all()


@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(0, TOTAL), max_size=5))
def test_chunks_of_any_length_give_the_same_bits(world, cuts):
    _, data, lanes, rows, end = world
    edges = [0, *sorted(cuts), TOTAL]
    assert bits(run(lanes, data, rows, [b - a for a, b in itertools.pairwise(edges)])) == bits(end)


def test_more_steps_than_are_left_change_nothing(world):
    _, data, lanes, rows, end = world
    assert bits(run(lanes, data, rows, [3, 100, 5])) == bits(end)


@settings(deadline=None, max_examples=5)
@given(order=st.permutations(PAIRS), count=st.integers(1, len(PAIRS)))
def test_place_and_neighbours_do_not_matter(world, order, count):
    sites, data, _, _, end = world
    chosen, expected = order[:count], own(end)
    lanes = fresh(*zip(*chosen, strict=True), sites)
    found = own(run(lanes, data, rows_of([cell for cell, _ in chosen])), chosen)
    assert all(found[pair] == expected[pair] for pair in chosen)


def test_a_full_block_gives_the_same_bits(world):
    sites, data, _, _, end = world
    pairs = [(position % len(LENGTHS), position // len(LENGTHS)) for position in range(BLOCK)]
    found = own(run(fresh(*zip(*pairs, strict=True), sites), data, rows_of([cell for cell, _ in pairs])), pairs)
    assert all(found[pair] == bits_of for pair, bits_of in own(end).items())


@pytest.mark.parametrize("shared", [(2,), (2, 1)])
def test_how_many_cells_share_the_table_does_not_matter(world, shared):
    """Without the longer cell 0 the table is a segment shorter."""
    sites, _, _, _, end = world
    pairs = [(cell, member) for cell in shared for member in range(MEMBERS)]
    data = table([sites[cell] for cell in shared])
    rows = rows_of([shared.index(cell) for cell, _ in pairs])
    found = own(run(fresh(*zip(*pairs, strict=True), sites), data, rows), pairs)
    expected = own(end)
    assert [pair for pair in pairs if found[pair] != expected[pair]] == []


def test_a_lane_that_goes_astray_once_is_drawn_anew_alone(world):
    _, data, lanes, rows, end = world
    lost = 7
    astray = lanes._replace(raw=lanes.raw.at[lost, 3].set(np.nan))
    found = run(astray, data, rows, [2, 1, TOTAL])
    others = np.arange(BLOCK) != lost
    assert bits(found, others) == bits(end, others)
    assert int(found.redraws[lost]) == 1
    assert int(found.phase[lost]) == DONE
    assert int(found.step[lost]) == TOTAL
    assert int(found.evaluations[lost]) == TOTAL + 1

    redraws = lanes.redraws.at[lost].set(1)
    raw = draw(lanes.key, redraws, lanes.start, OPTIONS.init)
    again = run(lanes._replace(raw=raw, best_raw=raw, redraws=redraws), data, rows)
    counted = again._replace(evaluations=again.evaluations.at[lost].add(1))
    assert bits(found, lost) == bits(counted, lost)


def test_a_lane_that_never_finds_a_finite_start_is_given_up_alone(world):
    """Cell 1 has a day of missing rain, which no start can survive; it is drawn anew five times, then left."""
    sites, data, lanes, rows, end = world
    rain = sites[1].weather.precipitation.copy()
    rain[40] = np.nan
    broken = table([sites[0], replace(sites[1], weather=sites[1].weather._replace(precipitation=rain)), sites[2]])
    found = run(lanes, broken, rows, [1, 4, TOTAL])
    bad = np.array([cell == 1 for cell, _ in PAIRS] + [False] * (BLOCK - len(PAIRS)))
    assert bits(found, ~bad) == bits(end, ~bad)
    assert (np.asarray(found.phase)[bad] == DIVERGED).all()
    assert (np.asarray(found.redraws)[bad] == MAX_REDRAWS).all()
    assert (np.asarray(found.evaluations)[bad] == MAX_REDRAWS + 1).all()
    assert (np.asarray(found.step)[bad] == 0).all()
    assert np.isinf(np.asarray(found.best_loss)[bad]).all()
    assert np.isfinite(np.asarray(found.raw)[bad]).all()

    good = [pair for pair in PAIRS if pair[0] != 1]
    without = run(fresh(*zip(*good, strict=True), sites), data, rows_of([cell for cell, _ in good]))
    assert own(without, good) == {pair: b for pair, b in own(found).items() if pair[0] != 1}


def test_keys_differ_by_seed_cell_member_and_redraw_and_by_nothing_else():
    grid = list(itertools.product((0, 1, 2**32 - 1, 2**31 + 7), range(3)))
    keys = np.concatenate([lane_keys(seed, *zip(*grid, strict=True)) for seed in (0, 1, 99)])
    assert len(np.unique(keys, axis=0)) == 3 * len(grid)
    np.testing.assert_array_equal(lane_keys(1, [5, 2**32 - 1], [0, 2])[1], lane_keys(1, [2**32 - 1], [2])[0])
    free = np.full((MAX_REDRAWS + 1, len(UNKNOWNS)), np.nan, np.float32)
    key = np.repeat(keys[:1], MAX_REDRAWS + 1, 0)
    drawn = np.asarray(draw(key, np.arange(MAX_REDRAWS + 1), free, "normal"))
    assert len(np.unique(drawn)) == drawn.size
    again = np.asarray(draw(key[:2], np.array([3, 0]), free[:2], "normal"))
    np.testing.assert_array_equal(again, drawn[[3, 0]])


def test_draws_do_not_depend_on_the_float_type(world):
    sites = world[0]
    starts = [
        begin(OPTIONS, MODEL, SEED, [0], [0], [sites[0].starts], dtype, 1).raw for dtype in (np.float32, np.float64)
    ]
    free = [row for row in range(len(UNKNOWNS)) if row not in (CANOPY_ROW, PAW_ROW)]
    np.testing.assert_array_equal(np.asarray(starts[0])[0, free], np.asarray(starts[1])[0, free])


def test_starts_follow_the_published_draw():
    n = 4000
    keys = lane_keys(3, range(n), [0] * n)
    start = start_values([WET] * (n - 2) + [WET | {"canopy_efficiency": ce} for ce in (20.0, 49.5)], MODEL, np.float64)
    raw = np.asarray(draw(keys, np.zeros(n, int), start, "normal"))
    free = raw[:, [row for row in range(len(UNKNOWNS)) if row not in (CANOPY_ROW, PAW_ROW)]]
    assert free.mean() == pytest.approx(0, abs=0.01)
    assert free.std() == pytest.approx(1, abs=0.01)
    values = np.asarray(physical(jnp.asarray(raw.T), UNKNOWNS))
    np.testing.assert_allclose(values[PAW_ROW], 500, rtol=1e-12)
    np.testing.assert_allclose(values[CANOPY_ROW, -2:], [20.0, 49.5], rtol=1e-12)
    assert np.unique(values[CANOPY_ROW, :-2]).size > 0.99 * n
    u = np.arctan(np.asarray(draw(keys, np.zeros(n, int), np.full_like(start, np.nan), "uniform_u"))) / np.pi + 0.5
    assert u.min() >= 0.02 - 1e-6
    assert u.max() <= 0.98 + 1e-6
    assert u.std() == pytest.approx(0.96 / np.sqrt(12), rel=0.01)


def test_the_state_is_a_tree_of_plain_arrays_that_survives_a_copy_through_numpy(world):
    _, data, lanes, rows, end = world
    half = run(lanes, data, rows, [3])
    assert (np.asarray(half.phase)[: len(PAIRS)] == RUNNING).all()
    leaves, shape = jax.tree.flatten(half)
    copied = jax.tree.unflatten(shape, [np.array(np.asarray(leaf)) for leaf in leaves])
    assert bits(run(jax.tree.map(jax.numpy.asarray, copied), data, rows)) == bits(end)
