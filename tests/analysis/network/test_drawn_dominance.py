import numpy as np
import pytest

from phloem.analysis.network.dominance import dominance
from phloem.analysis.network.drawn_dominance import dominance_intervals
from phloem.analysis.network.set_up_partition import NAMES, partition_of_set_ups
from phloem.kernels.network.set_ups import all_set_ups

PLACES = 12


def scores_of(seed: int, members: int, spread: float) -> dict:
    """Scores to which each group adds its own part, with noise among the members."""
    rng = np.random.default_rng(seed)
    parts = rng.uniform(0, 0.2, (len(NAMES), PLACES))
    return {
        groups: parts[[NAMES.index(one) for one in groups]].sum(0) + spread * rng.normal(size=(members, PLACES))
        for groups in all_set_ups()
    }


def test_intervals_of_members_that_are_all_alike_are_points() -> None:
    scores = scores_of(0, 3, 0.0)
    found = dominance_intervals(scores, 20)
    expected = dominance(partition_of_set_ups(scores))
    np.testing.assert_allclose(found.fraction, np.stack([expected.fraction] * 2))
    assert found.pft_above_environment.tolist() == [expected.pft_above_environment] * 2


def test_intervals_widen_with_the_spread_of_members_and_hold_the_fraction() -> None:
    narrow, wide = (dominance_intervals(scores_of(1, 6, spread), 200) for spread in (0.001, 0.05))
    assert np.ptp(narrow.fraction, axis=0).sum() < np.ptp(wide.fraction, axis=0).sum()
    expected = dominance(partition_of_set_ups(scores_of(1, 6, 0.001))).fraction
    assert (narrow.fraction[0] <= expected).all()
    assert (expected <= narrow.fraction[1]).all()


@pytest.mark.parametrize(("members", "draws"), [(1, 100), (4, 0)])
def test_one_member_or_no_draw_leaves_intervals_unknown(members: int, draws: int) -> None:
    found = dominance_intervals(scores_of(2, members, 0.01), draws)
    assert found.draws == 0
    assert found.to_json()["pft_above_environment"] == [None, None]


def test_draws_of_one_seed_are_the_same_and_of_another_are_not() -> None:
    scores = scores_of(3, 5, 0.05)
    first, again, other = (dominance_intervals(scores, 30, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.fraction, again.fraction)
    assert (first.fraction != other.fraction).any()
