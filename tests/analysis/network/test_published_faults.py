"""Faults of the published evaluation, each by its number in the specification: they are not here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import r2_score

from phloem.analysis.network.held_out_scores import HeldOutSums, StreamScores
from phloem.analysis.network.patch_pairs import COMPARED, PairRules, live_biomass, patch_pairs
from phloem.errors import InputError
from phloem.kernels.network.patch_cells import MonthAxis, PatchCells, patch_of_cells
from phloem.kernels.network.set_ups import GROUPS
from tests.support.analysis.network_patches import labels_near, random_outputs

ALL = PairRules(warm_up=0)


def scored(*patches: tuple[dict, dict]) -> dict[str, StreamScores]:
    sums = HeldOutSums()
    for patch, (outputs, labels) in enumerate(patches):
        cells = next(iter(labels.values())).shape[1]
        sums.add(patch, 1000 * patch + np.arange(cells), patch_pairs(outputs, labels, rules=ALL))
    return sums.scores()


@pytest.mark.parametrize("stream", ["lai", "biomass", "water_storage", "sif"])
def test_g10_spatial_and_temporal_scores_of_gappy_labels_are_numbers(stream: str) -> None:
    """Plain means over arrays with NaN made them NaN for leaf area, biomass and water."""
    outputs = random_outputs(60, 12)
    labels = labels_near(outputs)
    labels[stream][24:27] = np.nan
    labels[stream][:, 3] = np.nan
    scores = scored((outputs, labels))[stream]
    document = scores.to_json()
    assert document["pooled"]["nse"] is not None
    assert document["temporal_median"]["nse"] is not None
    if stream != "water_storage":
        kept = np.isfinite(labels[stream])
        if stream == "biomass":
            kept = kept.reshape(5, 12, 12).all(1).repeat(12, axis=0)
        y = np.where(kept, labels[stream], np.nan)
        means = np.nanmean(np.delete(y, 3, axis=1), axis=0)
        np.testing.assert_allclose(np.delete(scores.mean_observed, 3), means)
        assert np.isnan(scores.mean_observed[3])
        assert document["spatial"]["nse"] is not None
        assert document["spatial"]["pairs"] == 11


def test_g11_results_are_json() -> None:
    outputs = random_outputs(36, 3)
    labels = labels_near(outputs)
    labels["vod"][:] = np.nan
    text = json.dumps({name: one.to_json() for name, one in scored((outputs, labels)).items()}, allow_nan=False)
    read = json.loads(text)
    assert tuple(read) == COMPARED
    assert read["vod"]["pooled"]["nse"] is None
    assert isinstance(read["lai"]["pooled"]["pairs"], int)


@pytest.mark.parametrize("stream", ["nbe", "fire"])
def test_g15_months_and_patches_without_labels_are_no_pairs_of_zeros(stream: str) -> None:
    """Four of ten patches have labels, in 156 of 252 months: pairs (0, 0) halved the errors, and patches without
    labels scored an NSE of 1."""
    rng = np.random.default_rng(0)
    output = {"nbe": "nbe", "fire": "fire_emission"}[stream]
    x = rng.normal(0, 1, (10, 252, 3))
    y = np.repeat((x + rng.normal(0, 0.5, x.shape)).mean(2, keepdims=True), 3, axis=2)
    y[4:] = np.nan
    y[:, 156:] = np.nan
    scores = scored(*(({output: a}, {stream: b}) for a, b in zip(x, y, strict=True)))[stream]
    off = (x.mean(2) - y.mean(2))[:4, :156]
    assert scores.pooled.pairs == 4 * 156
    assert scores.pooled.rmse == pytest.approx(np.sqrt((off**2).mean()))
    assert scores.pooled.mae == pytest.approx(np.abs(off).mean())
    assert np.isnan(scores.temporal["nse"][4:]).all()
    each = [r2_score(y[n, :156, 0], x[n, :156].mean(1)) for n in range(4)]
    assert scores.to_json()["temporal_median"]["nse"] == pytest.approx(np.median(each))
    assert scores.to_json()["temporal_median"]["places"] == 4
    assert scores.to_json()["temporal_median"]["nse"] < 1


def test_g16_the_observations_are_the_truth_of_nse_by_cell() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(0, 1, (48, 5))
    x = 0.3 * y + 2
    scores = scored(({"lai": x}, {"lai": y}))["lai"]
    expected = [r2_score(y[:, n], x[:, n]) for n in range(5)]
    swapped = [r2_score(x[:, n], y[:, n]) for n in range(5)]
    np.testing.assert_allclose(scores.temporal["nse"], expected)
    assert not np.allclose(expected, swapped)
    assert scores.pooled.nse == pytest.approx(r2_score(y.ravel(), x.ravel()))
    assert scores.pooled.slope_obs_on_pred == pytest.approx(1 / 0.3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_g17_correlations_of_gappy_labels_are_over_common_months(sign: float) -> None:
    """Means of each series over its own months gave .906 for .966."""
    rng = np.random.default_rng(1)
    months = np.arange(120)
    x = np.sin(2 * np.pi * months / 12)[:, None] + months[:, None] / 40 + rng.normal(0, 0.2, (120, 4))
    y = sign * x + rng.normal(0, 0.2, x.shape)
    y[60:, :2] = np.nan
    y[::3, 2] = np.nan
    scores = scored(({"et": x}, {"et": y}))["et"]
    for cell in range(4):
        both = np.isfinite(y[:, cell])
        assert scores.temporal["r"][cell] == pytest.approx(pearsonr(x[both, cell], y[both, cell])[0])
        assert abs(scores.temporal["r"][cell]) <= 1
    own_means = ((x - x.mean(0)) * (y - np.nanmean(y, 0)))[:60, 0].mean() / (x[:, 0].std() * np.nanstd(y[:, 0]))
    assert abs(own_means - scores.temporal["r"][0]) > 0.02


def test_g18_biomass_is_compared_with_roots_on_both_sides() -> None:
    """Maps compared all live pools with above-ground biomass alone: here labels are of all, as in training."""
    outputs = random_outputs(36, 4)
    total = outputs["labile"] + outputs["foliar"] + outputs["root"] + outputs["wood"]
    np.testing.assert_array_equal(live_biomass(outputs), total)
    scores = scored((outputs, {"biomass": total}))["biomass"]
    assert scores.pooled.rmse == pytest.approx(0, abs=1e-12)
    assert scores.spatial.bias == pytest.approx(0, abs=1e-12)
    above = scored((outputs, {"biomass": total - outputs["root"]}))["biomass"]
    assert above.spatial.bias == pytest.approx(outputs["root"].mean(), rel=1e-9)


def test_g19_fluorescence_is_compared_with_the_labels_of_training() -> None:
    """Maps were compared with another product of the file than training had."""
    months, cells = MonthAxis(np.datetime64("2001-01"), 36), 4
    rng = np.random.default_rng(0)
    outputs = random_outputs(36, cells)
    labels = {"sif": labels_near(outputs, gaps=0.1)["sif"]}
    names = [name for group in GROUPS.values() for name in group]
    forcing = {name: rng.uniform(1, 10, (36, cells)) for name in ("tasmin", "rsds", "vpd", "pr")}
    forcing |= {"tasmax": forcing["tasmin"] + 5, "burned_area": np.zeros((36, cells)), "co2": np.full(36, 400.0)}
    data = PatchCells(
        latitude=np.array([40.0, 41, 42, 43]),
        predictors={name: rng.normal(size=cells) for name in names},
        forcing=forcing,
        reference=(np.full(cells, 10.0), np.full(cells, 2.0)),
        labels=labels,
        weights={},
    )
    statistics = {"hemisphere": (0.5, 0.4), **dict.fromkeys(names, (0.0, 1.0))}
    trained = patch_of_cells(data, months, statistics, cells, dtype=np.float32).labels.sif
    compared = patch_pairs(outputs, data.labels, rules=ALL)["sif"].observed
    weight = np.asarray(trained.weight)
    np.testing.assert_array_equal(np.isfinite(compared), weight > 0)
    np.testing.assert_allclose(np.nan_to_num(compared), np.asarray(trained.label), rtol=1e-6)
    with pytest.raises(InputError, match="streams SIF: valid are sif"):
        patch_pairs(outputs, {"SIF": labels["sif"]})


def test_g20_anomalies_are_not_the_annual_scores_under_another_name() -> None:
    """One month up and the next down, differently each year: months differ, years do not."""
    rng = np.random.default_rng(0)
    season = np.tile(np.sin(np.arange(12)), 8)[:, None]
    zigzag = np.repeat(rng.normal(size=(48, 3)), 2, axis=0) * np.tile([1.0, -1.0], 48)[:, None]
    slow = np.repeat(rng.normal(size=(8, 3)), 12, axis=0)
    x, y = season + zigzag + 0.05 * slow, 3 * season + zigzag - 0.05 * slow
    scores = scored(({"sif": x}, {"sif": y}))["sif"]
    assert scores.anomalies.r > 0.9
    assert scores.interannual.r < -0.9
    assert (scores.anomalies_by_place["r"] > 0.9).all()
    assert (scores.interannual_by_place["r"] < -0.9).all()
    document = scores.to_json()
    assert document["anomalies"]["r"] != document["interannual"]["r"] != document["pooled"]["r"]


@pytest.mark.parametrize("stream", ["biomass", "vod"])
@pytest.mark.parametrize("missing", [np.nan, -9999.0])
def test_g21_a_year_with_missing_months_is_no_pair(stream: str, missing: float) -> None:
    """Means of years held -9999 of the months that were missing."""
    outputs = random_outputs(60, 3)
    labels = {stream: outputs[stream] + 1}
    labels[stream][17, 1] = missing
    weights = {stream: np.where(labels[stream] == -9999.0, 0.0, 1.0)}
    one = patch_pairs(outputs, labels, weights, ALL)[stream]
    assert np.argwhere(~np.isfinite(one.observed)).tolist() == [[1, 1]]
    np.testing.assert_allclose(one.observed - one.simulated, np.where(np.isfinite(one.observed), 1, np.nan))


def test_g22_a_fill_value_with_a_weight_is_refused() -> None:
    outputs = random_outputs(36, 3)
    labels = {"tower_gpp": outputs["gpp"].copy()}
    labels["tower_gpp"][30, 2] = -9999.0
    with pytest.raises(InputError, match=r"tower_gpp: -9999 in month 30, cell 2, with a weight above 0"):
        patch_pairs(outputs, labels)
    weights = {"tower_gpp": np.where(labels["tower_gpp"] == -9999.0, 0.0, 0.25)}
    assert np.isnan(patch_pairs(outputs, labels, weights)["tower_gpp"].observed).sum() == 1
