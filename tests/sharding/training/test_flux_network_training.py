"""Training of networks of fluxes: lanes beside others as alone, to the bit; kills, devices, NaN, soft constraints."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.kernels.flux_network.flux_network import FluxLayer, flat_flux_weights, flux_weights_of_flat
from phloem.kernels.flux_network.flux_network_options import FluxNetworkOptions
from phloem.kernels.flux_network.flux_predictor import predictor_of_flat
from phloem.kernels.flux_network.lane_statistics import flat_statistics
from phloem.sharding.lanes.devices import device_environment
from phloem.sharding.training.flux_network_training import FluxNetworkTraining
from tests.conftest import ROOT
from tests.support.kernels.flux_tables import NAMES, OPTIONS, folds, made_table, training

EPOCHS = 3
LANES = 11
TABLE = made_table()


@pytest.fixture(scope="module")
def together() -> dict[str, np.ndarray]:
    of = training(TABLE, LANES)
    assert of.advance(EPOCHS) == EPOCHS
    assert np.isfinite(of.lanes.best_loss).all()
    return of.saved()


def assert_bits(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], which: Any = slice(None)) -> None:
    assert found.keys() == expected.keys()
    for name, part in found.items():
        assert part.tobytes() == np.ascontiguousarray(expected[name][which]).tobytes(), name


@settings(max_examples=8)
@given(st.lists(st.integers(0, LANES - 1), min_size=1, max_size=9, unique=True))
def test_lanes_alone_and_in_any_company_equal_lanes_together(together: Any, which: list[int]) -> None:
    of = training(TABLE, LANES, which)
    of.advance(EPOCHS)
    assert_bits(of.saved(), together, which)


@pytest.mark.parametrize("absurd", [np.nan, np.inf, -np.inf, 3e38, 0.0])
@pytest.mark.parametrize("head", ["softplus", "residual"])
def test_rows_of_weight_0_change_no_bit_of_a_lane(absurd: float, head: str) -> None:
    """A mark planted at the towers that lanes leave out: in predictors, observations and baselines."""
    of = training(TABLE, 1, head=head)
    of.advance(2)
    marked = {name: np.array(part) for name, part in TABLE.items()}
    for name in ("x", "observed", "baselines"):
        marked[name][TABLE["tower"] == 0] = absurd
    other = training(marked, 1, head=head)
    other.advance(2)
    assert_bits(other.saved(), of.saved())
    for one, same in zip(of.statistics, other.statistics, strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.asarray(other.lanes.failed).any()
    mark = {name: np.array(part) for name, part in TABLE.items()}
    mark["observed"][TABLE["tower"] == int(np.flatnonzero(~of._held[0])[1])] = 5
    seen = training(mark, 1, head=head)
    seen.advance(2)
    assert (seen.lanes.weights != of.lanes.weights).any()


def test_restored_after_any_epoch_ends_with_the_same_bits(together: Any) -> None:
    first = training(TABLE, LANES)
    for _ in range(EPOCHS):
        first.advance(1)
        saved = first.saved()
        first = training(TABLE, LANES)
        first.restore(saved)
    assert_bits(first.saved(), together)


def test_lanes_stop_after_their_patience_and_leave_the_others_alone() -> None:
    of = training(TABLE, LANES, max_epochs=40, patience=1)
    taken = 0
    while of.running:
        taken += of.advance(4)
    epoch, best = np.asarray(of.lanes.epoch), np.asarray(of.lanes.best_epoch)
    assert len(set(epoch.tolist())) > 1
    assert taken == epoch.max() <= 40
    assert ((epoch - best == 1) | (epoch == 40)).all()
    assert of.advance(5) == 0
    alone = training(TABLE, LANES, [int(np.argmax(epoch))], max_epochs=40, patience=1)
    alone.advance(40)
    assert_bits(alone.saved(), of.saved(), [int(np.argmax(epoch))])


def test_two_devices_and_any_number_of_threads_equal_one() -> None:
    words = [sys.executable, "-m", "tests.support.sharding.flux_networks_on_devices"]
    digests = []
    for devices, threads, numbers in ((2, 4, "1,2"), (1, 1, "1")):
        given = {**os.environ, "PYTHONPATH": str(ROOT), **device_environment(devices), "NPROC": str(threads)}
        done = subprocess.run([*words, numbers], env=given, cwd=ROOT, capture_output=True, text=True, check=True)
        digests += done.stdout.split()
    assert len(digests) == 3
    assert len(set(digests)) == 1


def test_nan_in_a_lane_stays_in_it_and_stops_it(together: Any) -> None:
    of = training(TABLE, LANES)
    of.advance(1)
    saved = of.saved()
    saved["weights"][2, 5] = np.nan
    of.restore(saved)
    of.advance(EPOCHS - 1)
    found = of.saved()
    assert_bits({name: np.delete(part, 2, 0) for name, part in found.items()}, together, np.arange(LANES) != 2)
    assert found["failed"].tolist() == [lane == 2 for lane in range(LANES)]
    assert not found["running"][2]
    assert np.isfinite(of.weights()[2]).all()
    assert np.isfinite(of.predict(TABLE["x"], TABLE["baselines"])).all()


def test_a_lane_without_a_finite_epoch_predicts_nothing() -> None:
    of = training(TABLE, 3)
    saved = of.saved()
    saved["weights"][1] = np.nan
    of.restore(saved)
    of.advance(2)
    fluxes = of.predict(TABLE["x"][:5], TABLE["baselines"][:5])
    np.testing.assert_array_equal(np.isnan(fluxes).all((1, 2)), [False, True, False])
    assert np.isfinite(fluxes[[0, 2]]).all()


def test_validation_towers_are_a_share_of_those_with_rows_and_hang_on_the_key() -> None:
    of = training(TABLE, LANES)
    held = of._held
    assert (held.sum(1) == 2).all()
    assert not held[np.arange(LANES), np.arange(LANES)].any()
    assert len(np.unique(held, axis=0)) > 5
    assert not training(TABLE, 3, validation_share=0)._held.any()


def test_observations_of_validation_towers_act_on_the_stop_alone() -> None:
    of = training(TABLE, 1)
    of.advance(2)
    marked = {name: np.array(part) for name, part in TABLE.items()}
    marked["observed"][of._held[0][TABLE["tower"]]] += 3
    other = training(marked, 1)
    other.advance(2)
    np.testing.assert_array_equal(of.lanes.weights, other.lanes.weights)
    assert of.lanes.best_loss != other.lanes.best_loss


def test_weight_decay_takes_its_share_of_matrices_and_leaves_biases() -> None:
    """One step an epoch, from the same first weights."""
    plain, decayed = (training(TABLE, 1, batch_rows=300, weight_decay=decay) for decay in (0.0, 5.0))
    first = np.array(plain.lanes.weights)
    for of in (plain, decayed):
        of.advance(1)
    share = OPTIONS.learning_rate * 5.0
    after, before = (flux_weights_of_flat(jnp.asarray(w[0]), len(NAMES)) for w in (plain.lanes.weights, first))
    expected = [FluxLayer(one.w - share * start.w, one.b) for one, start in zip(after, before, strict=True)]
    np.testing.assert_allclose(decayed.lanes.weights[0], flat_flux_weights(tuple(expected)), rtol=1e-6, atol=1e-7)
    assert np.abs(decayed.lanes.weights - plain.lanes.weights).max() > 1e-4


def test_networks_learn_fluxes_of_a_tower_left_out() -> None:
    table = made_table(1500)
    of = training(table, 1, max_epochs=60, patience=10, lanes_per_block=1)
    while of.running:
        of.advance(10)
    out = table["tower"] == 0
    left, spread = table["observed"][out], np.nanstd(table["observed"][out], 0)
    found = of.predict(table["x"], table["baselines"])[0][out]
    assert (np.sqrt(np.nanmean((found - left) ** 2, 0)) < 0.6 * spread).all()


def violations(of: FluxNetworkTraining) -> np.ndarray:
    """Return on a grid mean falls of gpp by PAR and of reco by temperature, and the mean residual of mass."""
    warm, bright = (part.ravel() for part in np.meshgrid(np.linspace(-10, 30, 15), np.linspace(20, 350, 15)))
    x = np.zeros((len(warm), len(NAMES)), np.float32)
    x[:, 0], x[:, 1] = warm, bright

    def at(column: int, step: float) -> np.ndarray:
        moved = x.copy()
        moved[:, column] += step
        return of.predict(moved, np.zeros((len(x), 4), np.float32))[0]

    light = (at(1, 2.0)[:, 0] - at(1, -2.0)[:, 0]) / 2.0
    warmth = (at(0, 0.2)[:, 1] - at(0, -0.2)[:, 1]) / 0.4
    gpp, reco, nee, _ = at(0, 0).T
    return np.array([np.maximum(0, -light).mean(), np.maximum(0, -warmth).mean(), np.abs(nee - reco + gpp).mean()])


def test_soft_constraints_hold_on_a_grid_after_training_against_data_that_break_them() -> None:
    """Observed gpp falls with light, reco with temperature, and nee is 3 gC m-2 d-1 off."""
    table = made_table(600)
    x, observed = table["x"], table["observed"]
    observed[:, 0], observed[:, 1] = 9 - 0.02 * x[:, 1], 6 - 0.15 * x[:, 0]
    observed[:, 2] = observed[:, 1] - observed[:, 0] + 3
    chosen: dict[str, Any] = {"max_epochs": 25, "patience": 25, "penalty_share": 1.0, "lanes_per_block": 1}
    free = training(table, 1, l_mass=0.0, l_light=0.0, l_temp=0.0, **chosen)
    bound = training(table, 1, l_mass=50.0, l_light=2000.0, l_temp=200.0, **chosen)
    for of in (free, bound):
        of.advance(25)
    broken, kept = violations(free), violations(bound)
    assert (broken > [0.02, 0.08, 2.0]).all()
    assert (kept < 0.15 * broken).all()


def test_what_is_negative_in_a_soft_head_falls_with_its_weight() -> None:
    table = made_table(600)
    table["observed"][:, :2] -= 4
    found = []
    for weight in (0.0, 50.0):
        of = training(table, 1, head="soft", l_pos=weight, max_epochs=20, patience=20, lanes_per_block=1)
        of.advance(20)
        found.append(np.maximum(0, -of.predict(table["x"], table["baselines"])[0, :, :2]).mean())
    assert found[1] < 0.1 * found[0]


def test_a_predictor_rebuilt_from_flat_arrays_gives_the_same_bits_for_any_number_of_rows() -> None:
    of = training(TABLE, 3)
    of.advance(2)
    expected = of.predict(TABLE["x"], TABLE["baselines"])
    again = predictor_of_flat(of.options, of.weights(), flat_statistics(of.statistics))
    np.testing.assert_array_equal(again.predict(TABLE["x"], TABLE["baselines"]), expected)
    np.testing.assert_array_equal(again.predict(TABLE["x"][7:9], TABLE["baselines"][7:9]), expected[:, 7:9])
    many = again.predict(np.tile(TABLE["x"], (9, 1)), np.tile(TABLE["baselines"], (9, 1)))
    np.testing.assert_array_equal(many[:, -300:], expected)
    with pytest.raises(InputError, match="are due"):
        again.predict(TABLE["x"][:, 1:], TABLE["baselines"])
    with pytest.raises(InputError, match="are due"):
        predictor_of_flat(of.options, of.weights()[:, 1:], flat_statistics(of.statistics))


def wrong(name: str, value: Any) -> dict[str, Any]:
    weight, keys = folds(TABLE["tower"], 2)
    return {**TABLE, "weight": weight, "keys": keys, "options": OPTIONS, name: value}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (wrong("names", ("ta", *NAMES[1:])), "TA is not among the predictors ta, SWIN"),
        (wrong("observed", TABLE["observed"][:, :3]), r"observed is \(300, 3\), and \(300, 4\) is due"),
        (wrong("weight", np.full((2, 300), np.nan)), "weight of lane 0: weights of rows are finite"),
        (wrong("weight", -np.eye(2, 300)), "weight of lane 0"),
        (wrong("weight", np.zeros((2, 300))), "lane 0: no row of positive weight has gpp"),
        (wrong("tower", TABLE["tower"] - 1), "not negative"),
        (wrong("keys", np.zeros((3, 2))), r"keys is \(3, 2\)"),
    ],
)
def test_wrong_input_is_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FluxNetworkTraining(**arguments)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"head": "sofplus"}, "Did you mean 'softplus'"),
        ({"patience": 0}, "patience = 0"),
        ({"l_mass": float("nan")}, "l_mass = nan"),
        ({"validation_share": 1.0}, "validation_share = 1.0"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0"),
    ],
)
def test_wrong_options_are_refused_by_name(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(FluxNetworkOptions(), **changed)


def test_what_was_saved_of_other_lanes_is_refused_and_nothing_changes() -> None:
    of, other = training(TABLE, 3), training(TABLE, 4)
    before = of.saved()
    with pytest.raises(InputError, match=r"weights: float32 \(4, .*\(3, "):
        of.restore(other.saved())
    with pytest.raises(InputError, match="has no running"):
        of.restore({name: part for name, part in before.items() if name != "running"})
    assert_bits(of.saved(), before)
