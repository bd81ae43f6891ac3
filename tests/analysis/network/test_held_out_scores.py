"""Scores gathered patch by patch against scores of everything at once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import pearsonr

from phloem.analysis.benchmark.skill_scores import metrics
from phloem.analysis.network.departures import monthly_anomalies, year_means, yearly_anomalies
from phloem.analysis.network.held_out_scores import HeldOutSums, member_scores
from phloem.analysis.network.patch_pairs import COMPARED, STREAMS, patch_pairs
from phloem.errors import InputError
from tests.support.analysis.network_patches import labels_near, random_outputs

CELLS = (7, 4, 9)
MONTHS = 96


def patches(gaps: float = 0.1) -> list[dict]:
    found = []
    for patch, cells in enumerate(CELLS):
        outputs = random_outputs(MONTHS, cells, seed=patch)
        found.append(patch_pairs(outputs, labels_near(outputs, seed=10 + patch, gaps=gaps)))
    return found


def gathered(several: list[dict], order: tuple[int, ...] = (0, 1, 2)) -> HeldOutSums:
    sums = HeldOutSums()
    for patch in order:
        sums.add(patch, 100 * patch + np.arange(CELLS[patch]), several[patch])
    return sums


@pytest.mark.parametrize("stream", ["lai", "nbe", "biomass", "soil_carbon", "tower_reco", "fire"])
def test_scores_gathered_patch_by_patch_are_those_of_all_pairs_at_once(stream: str) -> None:
    several = patches(0.0 if stream == "biomass" else 0.1)
    scores = gathered(several).scores()[stream]
    x, y = (
        np.concatenate([getattr(one[stream], side) for one in several], axis=1) for side in ("simulated", "observed")
    )
    whole = metrics(x, y).to_json()
    assert scores.pooled.pairs == np.isfinite(y).sum()
    for name, value in scores.pooled.to_json().items():
        assert value == pytest.approx(whole[name], rel=1e-9), name
    means = metrics(np.nanmean(x, 0), np.nanmean(y, 0)).to_json()
    for name, value in scores.spatial.to_json().items():
        assert value == pytest.approx(means[name], rel=1e-9), name


def test_scores_within_a_place_are_those_of_its_own_times() -> None:
    several = patches()
    scores = gathered(several).scores()["et"]
    assert scores.places.tolist() == [100 * patch + n for patch, cells in enumerate(CELLS) for n in range(cells)]
    one = several[1]["et"]
    for cell in range(CELLS[1]):
        both = np.isfinite(one.observed[:, cell])
        x, y = one.simulated[both, cell], one.observed[both, cell]
        place = CELLS[0] + cell
        assert scores.temporal["r2_pearson"][place] == pytest.approx(pearsonr(x, y)[0] ** 2)
        assert scores.temporal["nse"][place] == pytest.approx(1 - ((x - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())
        assert scores.count[place] == both.sum()
    medians = scores.to_json()["temporal_median"]
    assert medians["nse"] == pytest.approx(np.median(scores.temporal["nse"]))
    assert medians["places"] == sum(CELLS)


def test_the_order_of_patches_changes_no_bit() -> None:
    several = patches()
    one, two = gathered(several, (0, 1, 2)).scores(), gathered(several, (2, 0, 1)).scores()
    assert {name: score.to_json() for name, score in one.items()} == {
        name: score.to_json() for name, score in two.items()
    }
    np.testing.assert_array_equal(one["lai"].temporal["r"], two["lai"].temporal["r"])
    apart = HeldOutSums()
    apart.add(1, 100 + np.arange(CELLS[1]), several[1])
    rest = HeldOutSums()
    for patch in (0, 2):
        rest.add(patch, 100 * patch + np.arange(CELLS[patch]), several[patch])
    assert apart.joined(rest).scores()["nbe"].to_json() == one["nbe"].to_json()


def test_sums_hold_no_months() -> None:
    """Bounded memory: what is kept of a patch does not grow with its months."""
    sizes = []
    for months in (48, 480):
        outputs = random_outputs(months, 5)
        sums = HeldOutSums()
        sums.add(0, range(5), patch_pairs(outputs, labels_near(outputs)))
        kept = [
            getattr(part, kind) for part in sums.patches[0].values() for kind in ("pairs", "anomalies", "interannual")
        ]
        sizes.append(sum(values.nbytes * bool(values.strides[0]) for one in kept for values in vars(one).values()))
    assert sizes[0] == sizes[1] < 5 * len(STREAMS) * 3 * 12 * 8 + 1


def test_a_patch_that_comes_twice_is_refused() -> None:
    several = patches()
    sums = gathered(several)
    before = sums.scores()["lai"].to_json()
    with pytest.raises(InputError, match="patch 1 was added before"):
        sums.add(1, range(CELLS[1]), several[1])
    with pytest.raises(InputError, match="both have patch 0"):
        sums.joined(sums)
    with pytest.raises(InputError, match="patch 9, sif: pairs of 7 cells, and 6 ids"):
        sums.add(9, range(6), several[0])
    assert sums.scores()["lai"].to_json() == before


def test_no_patch_at_all_gives_none_everywhere() -> None:
    found = HeldOutSums().scores()
    assert tuple(found) == COMPARED
    for scores in found.values():
        document = json.loads(json.dumps(scores.to_json(), allow_nan=False))
        for part in ("pooled", "spatial", "temporal_median", "anomalies", "interannual", "interannual_median"):
            assert set(document[part].values()) <= {0, None}


def test_anomalies_are_departures_from_each_cells_own_season() -> None:
    rng = np.random.default_rng(0)
    departure = rng.normal(size=(60, 3))
    for month in range(12):
        departure[month::12] -= departure[month::12].mean(0)
    season = 10 * rng.normal(size=(12, 3))
    x, y = monthly_anomalies(np.tile(season, (5, 1)) + departure, np.tile(-season, (5, 1)) + 2 * departure)
    np.testing.assert_allclose(x, departure, atol=1e-12)
    np.testing.assert_allclose(y, 2 * departure, atol=1e-12)


def test_a_month_of_the_year_that_a_place_has_once_has_no_anomaly() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 36, 2))
    y[[0, 12], 1] = np.nan
    found = monthly_anomalies(x, y)
    assert np.isnan(found[0][[0, 12, 24], 1]).all()
    assert np.isfinite(found[0]).sum() == 72 - 3
    assert np.nansum(found[0][1::12], axis=0) == pytest.approx([0, 0], abs=1e-12)


def test_a_season_without_anomalies_leaves_no_correlation_of_rounding_errors() -> None:
    season = np.tile(np.random.default_rng(0).normal(size=(12, 4)), (6, 1)) * 1e3
    x, y = monthly_anomalies(season, season / 3)
    assert not x.any()
    assert not y.any()


def test_years_are_departures_from_each_cells_mean() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 60, 3))
    found = yearly_anomalies(*monthly_anomalies(x, y), "month")
    for side, values in zip(found, (x, y), strict=True):
        years = values.reshape(5, 12, 3).mean(1)
        np.testing.assert_allclose(side, years - years.mean(0), atol=1e-12)
    y[30, 1] = np.nan
    found = yearly_anomalies(*monthly_anomalies(x, y), "month")
    assert np.isnan(found[0][2, 1])
    assert np.isfinite(found[0]).sum() == 14
    assert found[0][:, 1][[0, 1, 3, 4]].sum() == pytest.approx(0, abs=1e-12)
    assert np.isfinite(yearly_anomalies(*monthly_anomalies(x, y), "month", least=6)[0]).all()


def test_years_with_gaps_count_where_fewer_months_are_asked_for() -> None:
    outputs = random_outputs(MONTHS, 4)
    labels = labels_near(outputs)
    labels["lai"][::12] = np.nan
    pairs = patch_pairs(outputs, labels)
    whole, most = HeldOutSums(), HeldOutSums(least_months=11)
    for sums in (whole, most):
        sums.add(0, range(4), pairs)
    assert whole.scores()["lai"].interannual.pairs == 0
    assert most.scores()["lai"].interannual.pairs == 4 * 6
    with pytest.raises(InputError, match="years need other numbers of months"):
        whole.joined(HeldOutSums(least_months=11))


def test_a_place_with_one_year_says_nothing_between_years() -> None:
    x = np.random.default_rng(0).normal(size=(5, 2))
    y = x.copy()
    y[1:, 0] = np.nan
    found = yearly_anomalies(x, y, "year")
    assert np.isfinite(found[0]).sum(0).tolist() == [0, 5]


def test_means_of_years_leave_the_months_after_the_last_december_out() -> None:
    values = np.arange(30.0)[:, None]
    np.testing.assert_allclose(year_means(values)[:, 0], [5.5, 17.5])


def test_static_and_yearly_streams_have_no_anomalies_of_months() -> None:
    scores = gathered(patches(0.0)).scores()
    assert scores["soil_carbon"].anomalies.pairs == scores["biomass"].anomalies.pairs == 0
    assert scores["soil_carbon"].interannual.pairs == 0
    assert scores["biomass"].interannual.pairs == sum(CELLS) * 6
    assert scores["soil_carbon"].to_json()["temporal_median"]["nse"] is None


def test_means_of_places_of_a_centred_stream_are_not_scored() -> None:
    """Simulated water storage is a departure from each place's mean: only rounding differs between places."""
    scores = gathered(patches(0.0)).scores()["water_storage"]
    assert scores.spatial.pairs == 0
    assert scores.pooled.r2_pearson > 0.5


def test_scores_of_members_are_stacked_over_the_same_places() -> None:
    several = patches()
    members = [gathered(several).scores(), gathered(patches(0.3)).scores()]
    pooled, by_place = member_scores(members, "lai")
    assert pooled.tolist() == [member["lai"].pooled.r2_pearson for member in members]
    assert by_place.shape == (2, sum(CELLS))
    maes, _ = member_scores(members, "lai", "mae")
    assert maes[0] == members[0]["lai"].pooled.mae
    other = HeldOutSums()
    other.add(0, range(CELLS[0]), several[0])
    with pytest.raises(InputError, match="different places"):
        member_scores([members[0], other.scores()], "lai")
    with pytest.raises(InputError, match="lai: no member to score"):
        member_scores([], "lai")
