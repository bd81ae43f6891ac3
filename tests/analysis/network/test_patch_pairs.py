"""Pairs of a patch against the loss that trains networks, hand values, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from phloem.analysis.network.patch_pairs import COMPARED, OF_PATCHES, SIMULATED, PairRules, live_biomass, patch_pairs
from phloem.errors import InputError
from phloem.kernels.network.patch_labels import STREAMS, LabelStream, PatchLabels
from phloem.kernels.network.patch_loss import LossWeights, cell_terms, coupled_terms, sums_of_months
from tests.support.analysis.network_patches import labels_near, random_outputs

ALL = PairRules(warm_up=0)


def patch_labels(labels: dict[str, np.ndarray], weights: dict[str, np.ndarray]) -> PatchLabels:
    some = next(iter(labels.values()))
    streams = {}
    for name in STREAMS:
        label = labels[name]
        weight = np.where(np.isfinite(label), weights.get(name, np.ones(label.shape)), 0.0)
        streams[name] = LabelStream(jnp.asarray(np.where(weight > 0, label, 0.0)), jnp.asarray(weight))
    december = (np.arange(len(some)) % 12 == 11).astype(float)
    return PatchLabels(**streams, valid=jnp.ones(some.shape[1]), december=jnp.asarray(december))


def test_pairs_are_what_the_loss_compares_in_training() -> None:
    outputs = random_outputs(36, 7)
    labels = labels_near(outputs, gaps=0.02)
    labels["nbe"][5:9] = np.nan
    seen = patch_labels(labels, {})
    o = SimpleNamespace(**{name: jnp.asarray(values) for name, values in outputs.items()})
    weights = LossWeights()
    carbon = jnp.ones((6, 7))
    terms = cell_terms(sums_of_months(o, seen), carbon, seen, weights, True)
    terms |= coupled_terms(o.nbe, o.fire_emission, o.water, seen, weights, True)
    pairs = patch_pairs(outputs, labels, rules=ALL)
    assert list(pairs) == list(COMPARED)
    for stream in STREAMS:
        one = pairs[stream]
        errors = (one.simulated - one.observed) ** 2
        if stream in OF_PATCHES:
            errors = errors * np.isfinite(labels[stream]).mean(1, keepdims=True)
        term = "water" if stream == "water_storage" else stream
        assert getattr(weights, term) * np.nansum(errors) == pytest.approx(float(terms[term]), rel=1e-3), stream


def test_months_without_label_are_no_pairs() -> None:
    outputs = random_outputs(48, 5)
    labels = labels_near(outputs)
    for values in labels.values():
        values[30] = np.nan
    pairs = patch_pairs(outputs, labels)
    for stream in set(STREAMS) - {"soil_carbon", "biomass", "vod"}:
        one = pairs[stream]
        assert len(one.simulated) == 24
        assert np.isnan(one.simulated[6]).all()
        assert np.isnan(one.observed[6]).all()
        assert np.isfinite(np.delete(one.simulated, 6, axis=0)).all()
    assert np.isfinite(pairs["biomass"].observed).sum() == 5
    assert np.isfinite(pairs["soil_carbon"].observed).all()


def test_a_stream_without_labels_has_no_pairs_at_all() -> None:
    outputs = random_outputs(36, 4)
    labels = {stream: np.full((36, 4), np.nan) for stream in STREAMS}
    for one in patch_pairs(outputs, labels).values():
        assert not np.isfinite(one.simulated).any()
        assert not np.isfinite(one.observed).any()


def test_means_of_a_patch_are_weighted_by_the_weights_of_labels() -> None:
    outputs = {"fire_emission": np.array([[1.0, 3.0, 100.0]] * 12)}
    labels = {"fire": np.array([[2.0, 6.0, np.nan]] * 12)}
    weights = {"fire": np.array([[1.0, 3.0, 9.0]] * 12)}
    one = patch_pairs(outputs, labels, weights, ALL)["fire"]
    np.testing.assert_allclose(one.simulated[:, 0], (1 * 1 + 3 * 3) / 4)
    np.testing.assert_allclose(one.observed[:, 0], (2 * 1 + 6 * 3) / 4)


def test_water_strict_is_the_mean_anomaly_of_the_labelled_cells() -> None:
    water = np.array([[10.0, 0.0, 70.0], [20.0, 4.0, 80.0], [60.0, 8.0, 90.0]]).repeat(4, axis=0)
    label = np.array([[1.0, 1.0, np.nan], [2.0, 2.0, np.nan], [3.0, np.nan, np.nan]]).repeat(4, axis=0)
    one = patch_pairs({"water": water}, {"water_storage": label}, rules=ALL)["water_storage"]
    expected = np.array([((10 - 30) + (0 - 2)) / 2, ((20 - 30) + (4 - 2)) / 2, 60 - 30]).repeat(4)
    np.testing.assert_allclose(one.simulated[:, 0], expected)
    np.testing.assert_allclose(one.observed[:, 0], np.array([1.0, 2.0, 3.0]).repeat(4))


def test_water_compat_is_the_published_arithmetic() -> None:
    rng = np.random.default_rng(0)
    water, label = rng.uniform(50, 90, (24, 6)), rng.normal(0, 5, (24, 6))
    label[3, :3] = np.nan
    weight = np.isfinite(label).astype(float)
    one = patch_pairs({"water": water}, {"water_storage": label}, rules=PairRules(0, "compat", rows=8))["water_storage"]
    middle = (water * weight).sum(0) / (weight.sum(0) + 0.1)
    x = ((water - middle) * weight).sum(1) / 8
    y = (np.nan_to_num(label) * weight).sum(1) / 8
    kept = weight.sum(1) / 8 >= 0.7
    assert kept.sum() == 23
    np.testing.assert_allclose(one.simulated[kept, 0], x[kept])
    np.testing.assert_allclose(one.observed[kept, 0], y[kept])
    assert np.isnan(one.simulated[~kept]).all()
    with pytest.raises(InputError, match=r"'lax' is not one of strict, compat"):
        PairRules(water="lax")


def test_the_first_months_are_left_out_of_every_stream_but_static_labels() -> None:
    outputs = random_outputs(60, 3)
    labels = labels_near(outputs)
    early = {name: values.copy() for name, values in outputs.items()}
    for values in early.values():
        values[:24] = 1e6
    for stream, one in patch_pairs(early, labels).items():
        same = patch_pairs(outputs, labels)[stream]
        np.testing.assert_array_equal(one.simulated, same.simulated)
    labels["soil_carbon"][24:] = np.nan
    assert np.isfinite(patch_pairs(outputs, labels)["soil_carbon"].observed).all()
    assert len(patch_pairs(outputs, labels, rules=PairRules(12))["lai"].simulated) == 48
    assert len(patch_pairs(outputs, labels)["biomass"].simulated) == 3


def test_live_biomass_needs_every_pool() -> None:
    pools = {"labile": np.ones((2, 1)), "foliar": np.ones((2, 1)), "root": np.ones((2, 1)), "wood": np.ones((2, 1))}
    np.testing.assert_array_equal(live_biomass(pools), np.full((2, 1), 4.0))
    with pytest.raises(KeyError):
        live_biomass({name: pools[name] for name in ("labile", "foliar", "wood")})


def test_every_stream_has_something_simulated() -> None:
    assert tuple(SIMULATED) == STREAMS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda o, y, w: y.update(SIF=y["sif"]), r"streams SIF: valid are sif, nbe"),
        (lambda o, y, w: o.pop("water"), r"water_storage: output 'water' is not there"),
        (lambda o, y, w: o.update(lai=o["lai"][:, :2]), r"lai: output 'lai' has shape \(36, 2\)"),
        (lambda o, y, w: o["lai"].__setitem__((30, 1), np.nan), r"lai: the simulated value of month 30, cell 1 is not"),
        (lambda o, y, w: o["water"].__setitem__((26, 2), np.inf), r"water_storage: the simulated value of month 26"),
        (lambda o, y, w: w.update(lai=-np.ones((36, 3))), r"weights of lai: each is a finite number from 0 on"),
        (lambda o, y, w: w.update(lai=np.ones((36, 1))), r"weights of lai: shape \(36, 1\)"),
        (lambda o, y, w: y.update(lai=np.ones(36)), r"labels of lai: shape \(36,\) is not \(months, cells\)"),
        (lambda o, y, w: y.update(lai=y["lai"][:24]), r"labels of lai: 24 months, of which the first 24"),
    ],
)
def test_bad_input_is_refused_by_name(change, message) -> None:
    outputs = random_outputs(36, 3)
    labels, weights = labels_near(outputs), {}
    change(outputs, labels, weights)
    with pytest.raises(InputError, match=message):
        patch_pairs(outputs, labels, weights)


def test_a_warm_up_of_part_of_a_year_is_refused() -> None:
    with pytest.raises(InputError, match="whole years are left out"):
        PairRules(warm_up=6)


def test_a_simulated_value_that_is_not_finite_matters_only_where_there_is_a_label() -> None:
    outputs = random_outputs(36, 3)
    labels = labels_near(outputs)
    outputs["et"][30, 1] = np.nan
    labels["et"][30, 1] = labels["tower_et"][30, 1] = np.nan
    assert np.isnan(patch_pairs(outputs, labels)["et"].simulated).sum() == 1


def test_net_exchange_at_towers_is_the_difference_of_labels_where_both_are_there() -> None:
    months, gone = 36, np.nan
    gpp, reco = np.full((months, 2), 3.0), np.full((months, 2), 2.0)
    gpp[30, 0], reco[31, 1] = gone, gone
    simulated = {"gpp": np.full((months, 2), 4.0), "nee": np.full((months, 2), -1.5)}
    pairs = patch_pairs(simulated, {"tower_gpp": gpp, "tower_reco": reco})["tower_nee"]
    there = np.isfinite(pairs.observed)
    assert there.sum() == 2 * 12 - 2
    np.testing.assert_array_equal(pairs.observed[there], -1.0)
    np.testing.assert_array_equal(pairs.simulated[there], -1.5)
    assert "tower_nee" not in patch_pairs(simulated, {"tower_gpp": gpp})
