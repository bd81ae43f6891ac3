"""Hierarchical partitioning: identity, axioms of the Shapley value, and a brute force over all orderings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.attribution.shapley_partition import Partition, partition
from phloem.errors import InputError

NAMES = ("PFT", "CLIM", "AGE", "SOIL", "TOPO")
Score = Callable[[frozenset[str]], float]


def subsets(names: tuple[str, ...]) -> list[frozenset[str]]:
    return [frozenset(some) for size in range(1, len(names) + 1) for some in combinations(names, size)]


@st.composite
def games(draw: st.DrawFn, least: int = 1) -> tuple[tuple[str, ...], dict[frozenset[str], float]]:
    names = NAMES[: draw(st.integers(least, 5))]
    values = st.floats(-2, 2, allow_subnormal=False)
    return names, {subset: draw(values) for subset in subsets(names)}


def by_orderings(names: tuple[str, ...], table: dict[frozenset[str], float]) -> dict[str, float]:
    """What each adds to those before it, in the mean over all orderings."""
    gains: dict[str, list[float]] = {name: [] for name in names}
    for order in permutations(names):
        for place, name in enumerate(order):
            before = frozenset(order[:place])
            gains[name].append(table[before | {name}] - (table[before] if before else 0.0))
    return {name: float(np.mean(gain)) for name, gain in gains.items()}


@given(games())
def test_parts_are_the_mean_over_all_orderings_and_add_up(game: tuple) -> None:
    names, table = game
    found = partition(names, table.__getitem__)
    expected = by_orderings(names, table)
    np.testing.assert_allclose(found.independent, [expected[name] for name in names], atol=1e-12)
    assert found.independent.sum() == pytest.approx(table[frozenset(names)], abs=1e-12)
    np.testing.assert_allclose(found.joint, [table[frozenset({n})] - expected[n] for n in names], atol=1e-12)


@given(games(least=2), st.floats(-1, 1))
def test_a_group_that_adds_nothing_gets_nothing(game: tuple, level: float) -> None:
    names, table = game
    dummy = names[-1]
    played = {s: table.get(s - {dummy}, 0.0) for s in subsets(names)}
    found = partition(names, played.__getitem__)
    assert found.independent[-1] == pytest.approx(0, abs=1e-12)
    added = {s: played[s] + (level if dummy in s else 0.0) for s in played}
    assert partition(names, added.__getitem__).independent[-1] == pytest.approx(level, abs=1e-12)


@given(games(least=2))
def test_groups_that_add_the_same_get_the_same(game: tuple) -> None:
    names, table = game
    one, two = names[0], names[1]
    swap = {one: two, two: one}
    even = {s: table[s] + table[frozenset(swap.get(name, name) for name in s)] for s in table}
    found = partition(names, even.__getitem__)
    assert found.independent[0] == pytest.approx(found.independent[1], abs=1e-12)


@given(games(least=3), st.floats(-3, 3), st.data())
def test_parts_are_linear_in_the_score(game: tuple, factor: float, data: st.DataObject) -> None:
    names, table = game
    other = {s: data.draw(st.floats(-1, 1)) for s in table}
    mixed = partition(names, lambda s: table[s] + factor * other[s]).independent
    apart = partition(names, table.__getitem__).independent + factor * partition(names, other.__getitem__).independent
    np.testing.assert_allclose(mixed, apart, atol=1e-11)


def test_the_weights_of_four_groups() -> None:
    """1/4 at both ends and 1/12 between, seen through a score of one subset alone."""
    for size, weight in ((1, 1 / 4), (2, 1 / 12), (3, 1 / 12), (4, 1 / 4)):
        chosen = frozenset(NAMES[:size])
        found = partition(NAMES[:4], lambda s, chosen=chosen: float(s == chosen))
        assert found.independent[0] == pytest.approx(weight)


def test_every_subset_is_scored_once() -> None:
    asked: list[frozenset[str]] = []
    partition(NAMES[:4], lambda subset: asked.append(subset) or 0.5)
    assert len(asked) == len(set(asked)) == 15
    assert frozenset() not in asked


def test_shares_of_a_score_of_zero_are_not_defined() -> None:
    assert np.isnan(partition(("a", "b"), lambda subset: 0.0).share).all()


def maps(rng: np.random.Generator) -> tuple[Partition, dict[frozenset[str], np.ndarray]]:
    table = {subset: rng.uniform(-0.2, 1.0, 60) for subset in subsets(NAMES[:3])}
    table[frozenset(NAMES[:3])][:7] = -0.1
    table[frozenset({"PFT"})][7:9] = np.nan
    return partition(NAMES[:3], table.__getitem__), table


def test_a_partition_of_maps_is_that_of_each_cell() -> None:
    found, table = maps(np.random.default_rng(0))
    for cell in range(60):
        parts = by_orderings(NAMES[:3], {subset: float(values[cell]) for subset, values in table.items()})
        np.testing.assert_allclose(found.independent[:, cell], [parts[name] for name in NAMES[:3]], atol=1e-12)
    assert np.isnan(found.independent[:, 7:9]).any(axis=0).all()
    assert np.isfinite(found.independent[:, 9:]).all()


@pytest.mark.parametrize("groups", [[], ["a", "a"], [f"g{n}" for n in range(17)]])
def test_wrong_groups(groups: list[str]) -> None:
    with pytest.raises(InputError, match="1 to 16 groups"):
        partition(groups, lambda subset: 0.0)
