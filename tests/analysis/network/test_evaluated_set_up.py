import numpy as np
import pytest

from phloem.analysis.network.evaluated_set_up import LEVELS, evaluated_set_up
from phloem.analysis.network.held_out_scores import HeldOutSums, member_scores
from phloem.analysis.network.patch_pairs import PairRules, patch_pairs

MONTHS, CELLS = 36, 4


def sums_of(seed: int, patches: tuple[int, ...] = (0, 1)) -> HeldOutSums:
    rng, found = np.random.default_rng(seed), HeldOutSums()
    labels = np.random.default_rng(99).normal(2, 1, (MONTHS, CELLS))
    for patch in patches:
        simulated = {"lai": labels + rng.normal(0, 0.5, labels.shape)}
        cells = np.arange(CELLS) + CELLS * patch
        found.add(patch, cells, patch_pairs(simulated, {"lai": labels}, rules=PairRules(0)))
    return found


def test_reduced_scores_are_those_of_the_members() -> None:
    members = [sums_of(1).scores(), sums_of(2).scores()]
    found = evaluated_set_up("PFT", ["0", "1"], [[0], [1]], iter(members), sums_of(3).scores())
    pooled, by_place = member_scores(members, "lai")
    assert list(found.ensemble) == ["lai"], "streams without pairs are left out"
    np.testing.assert_allclose(found.of_each("lai", "pooled", "r2_pearson"), pooled)
    np.testing.assert_allclose(found.r2["lai"], by_place, rtol=1e-6)
    document = found.to_json()["streams"]["lai"]
    assert document["members"]["pooled"]["r2_pearson"]["mean"] == pytest.approx(pooled.mean())
    assert document["members"]["pooled"]["r2_pearson"]["sd"] == pytest.approx(pooled.std(ddof=1))
    assert {row["level"] for row in found.rows()} == set(LEVELS)
    assert {row["member"] for row in found.rows()} == {"0", "1", "ensemble"}


def test_members_of_other_patches_have_no_scores_by_place() -> None:
    members = [sums_of(1, (0,)).scores(), sums_of(2, (1,)).scores()]
    found = evaluated_set_up("PFT", ["0", "1"], [[0], [1]], members, sums_of(3).scores())
    assert not found.r2
    assert not found.places
    assert len(found.of_each("lai", "pooled", "nse")) == 2


def test_one_member_has_no_deviation() -> None:
    found = evaluated_set_up("PFT", ["0"], [[0]], [sums_of(1).scores()], sums_of(1).scores())
    nse = found.to_json()["streams"]["lai"]["members"]["pooled"]["nse"]
    assert nse["sd"] is None
    assert nse["mean"] == found.ensemble["lai"]["pooled"]["nse"]
