"""Explained variance shared out among the groups: identity, hand values, intervals, and what is refused."""

from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.network.set_up_partition import (
    NAMES,
    normalised_errors,
    partition_of_set_ups,
    partition_with_intervals,
)
from phloem.errors import InputError
from phloem.kernels.network.set_ups import all_set_ups

GAIN = {"PFT": 0.3, "CLIM": 0.2, "AGE": 0.0, "SOIL": 0.1}


def additive(members: int = 10, noise: float = 0.01, seed: int = 0) -> dict[tuple[str, ...], np.ndarray]:
    rng = np.random.default_rng(seed)
    return {groups: sum(GAIN[g] for g in groups) + noise * rng.normal(size=members) for groups in all_set_ups()}


@given(st.integers(0, 1000), st.booleans())
def test_independent_parts_add_up_to_the_score_of_all_groups(seed: int, maps: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = {groups: rng.uniform(0, 1, (3 + len(groups), 5) if maps else 3 + len(groups)) for groups in all_set_ups()}
    found = partition_of_set_ups(scores)
    full = scores[NAMES].mean(0)
    np.testing.assert_allclose(found.independent.sum(0), full, atol=1e-12)
    np.testing.assert_allclose(found.total, full)
    gains = np.zeros_like(found.independent)
    means = {frozenset(groups): values.mean(0) for groups, values in scores.items()}
    for order in permutations(NAMES):
        for place, name in enumerate(order):
            before = frozenset(order[:place])
            gains[NAMES.index(name)] += (means[before | {name}] - means.get(before, 0.0)) / 24
    np.testing.assert_allclose(found.independent, gains, atol=1e-12)
    np.testing.assert_allclose(found.joint, found.alone - gains, atol=1e-12)


def test_shares_of_groups_that_only_add_are_what_they_add() -> None:
    found = partition_with_intervals(additive(noise=0.0), "lai")
    np.testing.assert_allclose(found.parts.share, [3 / 6, 2 / 6, 0, 1 / 6], atol=1e-12)
    np.testing.assert_allclose(found.parts.joint, 0, atol=1e-12)
    np.testing.assert_allclose(found.share_interval, np.stack([found.parts.share] * 2), atol=1e-12)
    assert found.environment == pytest.approx(0.3)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["environment_share"] == pytest.approx(0.5)
    assert len(document["scores"]) == 15
    assert document["scores"][0] == {"groups": ["PFT"], "score": pytest.approx(0.3), "members": 10}


def test_intervals_hold_the_truth_and_are_wider_for_members_that_differ_more() -> None:
    narrow, wide = (partition_with_intervals(additive(noise=noise), "lai", draws=500) for noise in (0.005, 0.05))
    low, high = narrow.share_interval
    assert (low <= narrow.parts.share).all()
    assert (narrow.parts.share <= high).all()
    assert (np.ptp(wide.share_interval, axis=0) > 3 * np.ptp(narrow.share_interval, axis=0)).all()
    assert narrow.environment_interval[0] < 1 - narrow.parts.share[0] < narrow.environment_interval[1]


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Of ten members each, the ends of the draws are a little too near: 90 % hold about 85 %."""
    truth = np.array([3 / 6, 2 / 6, 0, 1 / 6])
    inside = []
    for seed in range(150):
        low, high = partition_with_intervals(
            additive(noise=0.03, seed=seed), "lai", draws=300, seed=seed
        ).share_interval
        inside.append((low <= truth) & (truth <= high))
    assert 0.8 < np.mean(inside) < 0.95


def test_a_seed_gives_the_same_intervals_whatever_the_order_of_set_ups() -> None:
    scores = additive(noise=0.02)
    turned = dict(reversed([(tuple(reversed(groups)), values) for groups, values in scores.items()]))
    one, two = (partition_with_intervals(each, "lai", draws=200, seed=7) for each in (scores, turned))
    assert one.to_json() == two.to_json()
    assert one.to_json() != partition_with_intervals(scores, "lai", draws=200, seed=8).to_json()


def test_the_interval_of_the_environment_is_about_its_own_share() -> None:
    scores = {groups: values + 0.5 * ("PFT" in groups) for groups, values in additive().items()}
    document = partition_with_intervals(scores, "lai", draws=200).to_json()
    assert document["environment_share"] == pytest.approx(0.3 / 1.1, abs=0.02)
    assert document["environment_low"] < document["environment_share"] < document["environment_high"]
    assert document["environment"] == pytest.approx(sum(row["independent"] for row in document["groups"][1:]))


def test_single_members_have_shares_without_intervals() -> None:
    scores = additive(members=5)
    scores[("AGE",)] = scores[("AGE",)][:1]
    document = partition_with_intervals(scores, "et").to_json()
    assert document["groups"][0]["share"] is not None
    assert document["groups"][0]["low"] is None
    assert document["environment_low"] is None


def test_a_score_of_zero_has_no_shares() -> None:
    document = partition_with_intervals({groups: np.zeros(3) for groups in all_set_ups()}, "et", draws=50).to_json()
    assert document["total"] == 0
    assert {row["share"] for row in document["groups"]} == {None}


def test_missing_set_ups_are_named() -> None:
    scores = additive()
    del scores[("PFT", "SOIL")], scores[("AGE",)]
    with pytest.raises(InputError, match=r"et: set-ups AGE, PFT\+SOIL are missing: variance is shared out over all 15"):
        partition_with_intervals(scores, "et")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update({("LATLON",): np.ones(3)}), "set-up LATLON: valid are PFT, CLIM"),
        (lambda s: s.update({("CLIM", "PFT"): np.ones(3)}), r"set-up PFT\+CLIM is given twice"),
        (lambda s: s.update({("PFT",): np.ones(0)}), r"set-up PFT: scores of shape \(0,\)"),
        (lambda s: s.update({("PFT",): np.ones((3, 4))}), r"set-up PFT: scores of shape \(3, 4\)"),
        (lambda s: s.update({("PFT",): np.array([1.0, np.nan])}), "set-up PFT has members without a pooled score"),
    ],
)
def test_wrong_scores_are_refused(change, message) -> None:
    scores = additive()
    change(scores)
    with pytest.raises(InputError, match=message):
        partition_with_intervals(scores, "lai")


def test_a_place_is_undefined_where_a_member_is() -> None:
    scores = {groups: np.tile(values[:, None], (1, 4)) for groups, values in additive().items()}
    scores[("CLIM",)][2, 1] = np.nan
    found = partition_of_set_ups(scores)
    assert np.isnan(found.independent[:, 1]).any()
    assert np.isfinite(found.independent[:, [0, 2, 3]]).all()


def test_errors_are_over_those_of_the_reference() -> None:
    errors = {("PFT",): [2.0, 4.0], ("SOIL", "CLIM", "AGE"): [1.5, 3.6], NAMES: [2.4]}
    rows = normalised_errors({groups: np.array(values) for groups, values in errors.items()})
    assert [row.groups for row in rows] == [("PFT",), ("CLIM", "AGE", "SOIL"), NAMES]
    np.testing.assert_allclose([row.ratio for row in rows], [1.0, 0.85, 0.8])
    assert rows[0].spread == pytest.approx(np.sqrt(2) / 3)
    assert rows[2].to_json()["spread"] is None
    control = normalised_errors({("PFT",): np.ones(2), ("LATLON",): np.full(2, 3.0)})[1]
    assert (control.groups, control.ratio) == (("LATLON",), 3.0)
    with pytest.raises(InputError, match=r"errors of set-up AGE are missing; there are PFT, SOIL\+CLIM\+AGE"):
        normalised_errors({groups: np.array(values) for groups, values in errors.items()}, ("AGE",))
    with pytest.raises(InputError, match="errors of set-up CLIM"):
        normalised_errors({("PFT",): np.ones(2), ("CLIM",): np.ones(0)})
