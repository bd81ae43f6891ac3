"""Labels of places by hand, masks, fractions, and entropy against scipy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import entropy, spearmanr

from phloem.analysis.network.dominance import NO_LABEL, dominance, heterogeneity, mixed_cover_correlation
from phloem.analysis.network.set_up_partition import partition_of_set_ups
from phloem.errors import InputError
from phloem.kernels.network.set_ups import GROUPS, all_set_ups

NAMES = tuple(GROUPS)


def additive(gains: np.ndarray) -> dict[tuple[str, ...], np.ndarray]:
    """Scores of one member of set-ups whose groups add (groups, places) each."""
    return {groups: gains[[NAMES.index(g) for g in groups]].sum(0)[None] for groups in all_set_ups()}


GAINS = np.array(
    [
        [0.5, 0.3, 0.1, 0.0, 0.2, 0.4],
        [0.1, 0.2, 0.2, 0.0, 0.1, 0.2],
        [0.0, 0.2, 0.1, 0.0, 0.1, 0.3],
        [0.1, 0.2, 0.4, 0.0, 0.1, 0.2],
    ]
)
"""Of six places: PFT, PFT, SOIL, nothing, (undefined), PFT; PFT is above all others together at the first alone."""


def labelled():
    scores = additive(GAINS)
    scores[("AGE",)][0, 4] = np.nan
    return dominance(partition_of_set_ups(scores), area=np.array([1.0, 2, 3, 4, 5, 6]))


def test_places_are_labelled_by_the_largest_independent_part() -> None:
    found = labelled()
    assert found.labels.tolist() == [0, 0, 3, NO_LABEL, NO_LABEL, 0]
    assert (found.undefined, found.not_positive) == (1, 1)
    np.testing.assert_allclose(found.fraction, [3 / 4, 0, 0, 1 / 4])
    np.testing.assert_allclose(found.fraction_of_area, [9 / 12, 0, 0, 3 / 12])
    np.testing.assert_allclose(found.share[:, 0], GAINS[:, 0] / 0.7)
    assert np.isnan(found.share[:, 3:5]).all()


def test_pft_is_compared_with_all_other_groups_together() -> None:
    found = labelled()
    assert found.pft_above_environment == pytest.approx(1 / 4)
    assert found.pft_above_environment_of_area == pytest.approx(1 / 12)


def test_a_negative_part_stays_in_the_sum_and_gets_no_label() -> None:
    gains = np.array([[-0.2], [0.1], [0.3], [0.1]])
    found = dominance(partition_of_set_ups(additive(gains)))
    assert found.labels.tolist() == [2]
    assert found.share[0, 0] == pytest.approx(-0.2 / 0.3)
    assert np.isnan(found.fraction_of_area).all()


def test_places_that_are_all_masked_have_no_fractions() -> None:
    document = json.loads(
        json.dumps(dominance(partition_of_set_ups(additive(np.zeros((4, 3))))).to_json(), allow_nan=False)
    )
    assert document["labelled"] == 0
    assert document["not_positive"] == 3
    assert {row["fraction"] for row in document["groups"]} == {None}
    assert document["pft_above_environment"] is None


def test_wrong_areas_and_pooled_parts_are_refused() -> None:
    parts = partition_of_set_ups(additive(GAINS))
    with pytest.raises(InputError, match="one from 0 on for each of 6 places"):
        dominance(parts, area=np.ones(5))
    with pytest.raises(InputError, match="one from 0 on"):
        dominance(parts, area=np.array([1, 2, 3, 4, 5, -1.0]))
    with pytest.raises(InputError, match=r"not \(groups, places\)"):
        dominance(partition_of_set_ups({groups: np.ones(2) for groups in all_set_ups()}))


def test_heterogeneity_is_the_entropy_of_the_shares() -> None:
    rng = np.random.default_rng(0)
    percent = 100 * rng.dirichlet(np.ones(10), 40)
    percent[:5, 2] = 0.0
    np.testing.assert_allclose(heterogeneity(percent), entropy(percent, axis=1), rtol=1e-12)
    np.testing.assert_allclose(heterogeneity(percent / 100), heterogeneity(percent))
    one, even = np.eye(10)[:1], np.ones((1, 10))
    assert heterogeneity(one)[0] == 0
    assert heterogeneity(even)[0] == pytest.approx(np.log(10))
    assert np.isnan(heterogeneity(np.zeros((1, 10)))).all()
    assert np.isnan(heterogeneity(np.full((1, 10), np.nan))).all()
    with pytest.raises(InputError, match="none is below 0"):
        heterogeneity(-even)


def test_share_of_pft_is_correlated_with_mixed_cover_by_ranks() -> None:
    rng = np.random.default_rng(0)
    percent = 100 * rng.dirichlet(np.full(10, 0.3), 200)
    share = heterogeneity(percent) + rng.normal(0, 0.3, 200)
    share[::7] = np.nan
    found = mixed_cover_correlation(share, percent)
    known = np.isfinite(share)
    expected = spearmanr(share[known], entropy(percent, axis=1)[known])
    assert (found.rho, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.places == known.sum()
    assert mixed_cover_correlation(np.full(200, np.nan), percent).to_json() == {"rho": None, "p": None, "places": 0}
    assert mixed_cover_correlation(np.ones(200), percent).to_json()["rho"] is None
