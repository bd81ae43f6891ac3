"""Steps of training: set-ups side by side as each alone, weights that do not act, and what is no number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from phloem.kernels.network.parameter_network import Weights, first_weights, flat
from phloem.kernels.network.set_ups import GROUPS, all_set_ups, columns
from phloem.kernels.network.training_loss import Patch, TrainingLoss
from phloem.kernels.network.training_step import ALL_COLUMNS, Network, Trainer, Training
from tests.support.kernels.global_oracle import VALID, GoldenPatch, arrays, golden_network, golden_patch

SET_UPS = (("PFT",), ("CLIM", "SOIL"), tuple(GROUPS), ("LATLON",))


@pytest.fixture(scope="module")
def made(data_dir: Path) -> GoldenPatch:
    return golden_patch(data_dir / "oracle", "strict").rows(np.r_[0:12, VALID : VALID + 4])


@pytest.fixture(scope="module")
def patch(made: GoldenPatch) -> Patch:
    return with_all_columns(made)


def with_all_columns(made: GoldenPatch, dtype: type = np.float32) -> Patch:
    """Return a patch with latitude and longitude behind its predictors."""
    places = np.random.default_rng(0).standard_normal((len(made.predictors), 2))
    found = replace(made, predictors=np.concatenate([made.predictors, places], 1)).patch(dtype)
    assert found.predictors.shape[1] == len(ALL_COLUMNS)
    return found


def trainer(set_ups: Any = SET_UPS, **other: Any) -> Trainer:
    return Trainer(TrainingLoss(backend="cpu"), tuple(set_ups), 2e-3, total_steps=6, **other)


def walk(of: Trainer, keys: list[Any], patch: Patch, steps: int = 4) -> tuple[Training, np.ndarray]:
    state, seen = of.first(keys), []
    for _ in range(steps):
        state, values = of.step(state, patch, jnp.ones(len(keys), bool))
        seen.append(np.asarray(values))
    return state, np.array(seen)


def keys_of(count: int) -> list[Any]:
    return [jax.random.key(number) for number in range(count)]


def assert_same(one: Any, other: Any) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("precision", "alone_too"), [("float32", (0, 4, 9, 14)), ("float64", (7,))])
def test_fifteen_side_by_side_are_as_alone(made: GoldenPatch, precision: str, alone_too: tuple[int, ...]) -> None:
    """To the bit, weights and Adam's state too."""
    set_ups, keys = all_set_ups(), keys_of(15)
    patch = with_all_columns(made, np.dtype(precision).type)
    together, seen = walk(trainer(set_ups, precision=precision), keys, patch)
    assert seen.dtype == precision
    assert np.isfinite(seen).all()
    assert (seen[-1] < seen[0]).all()
    for number in alone_too:
        alone, values = walk(trainer([set_ups[number]], precision=precision), [keys[number]], patch)
        np.testing.assert_array_equal(seen[:, number], values[:, 0])
        assert_same(together[number], alone[0])


@pytest.mark.parametrize("set_up", SET_UPS)
def test_what_a_set_up_does_not_see_does_not_act(made: GoldenPatch, set_up: tuple[str, ...]) -> None:
    """As a network of its own predictors alone, with weights of its own shape."""
    patch, key = with_all_columns(made, np.float64), jax.random.key(7)
    of = trainer([set_up], precision="float64", schedule="constant")
    found, seen = walk(of, [key], patch)
    places = [ALL_COLUMNS.index(name) for name in columns(set_up)]
    small = patch._replace(predictors=patch.predictors[:, np.array(places)])
    weights = first_weights(key, len(places) - 1, jnp.float64)
    adam = optax.adam(2e-3)
    state = adam.init(weights)
    for value in seen[:, 0]:
        expected, slope = jax.jit(jax.value_and_grad(of.loss.value))(weights, small)
        assert float(value) == pytest.approx(float(expected), rel=1e-12)
        change, state = adam.update(slope, state, weights)
        weights = optax.apply_updates(weights, change)
    own = _rows(found[0].weights, [place - 1 for place in places[1:]])
    np.testing.assert_allclose(flat(own), flat(weights), atol=1e-7, err_msg="Adam divides slopes near 0")
    unseen = [row for row in range(len(ALL_COLUMNS) - 1) if row + 1 not in places]
    np.testing.assert_array_equal(found[0].weights.embedding[0].w[np.array(unseen)], 0)


def _rows(weights: Weights, rows: list[int]) -> Weights:
    first = weights.embedding[0]
    return weights._replace(embedding=(first._replace(w=first.w[np.array(rows)]), *weights.embedding[1:]))


@pytest.mark.parametrize("place", [0, 1])
def test_steps_of_the_source(data_dir: Path, place: int) -> None:
    """Twenty-one steps on the golden patch from the published weights, at both learning rates."""
    gold = arrays(data_dir / "oracle/global_patch.nc")
    published = golden_network(data_dir / "oracle", "published_2026")
    made = golden_patch(data_dir / "oracle", "compat")
    rate = float(gold["learning_rate"][place])
    of = Trainer(TrainingLoss("compat", backend="cpu"), (tuple(GROUPS),), rate, "constant", precision="float64")
    first = published.embedding[0]
    wide = jnp.zeros((len(ALL_COLUMNS) - 1, first.w.shape[1])).at[: len(first.w)].set(first.w)
    weights = published._replace(embedding=(first._replace(w=wide), *published.embedding[1:]))
    state: Training = (Network(weights, of.one.optimiser.init(weights), jnp.array(True)),)
    patch = with_all_columns(made, np.float64)
    for expected in gold["adam_loss"][place]:
        state, values = of.step(state, patch, jnp.ones(1, bool))
        assert float(values[0]) == pytest.approx(expected, rel=1e-9)
    own = _rows(state[0].weights, list(range(20)))
    np.testing.assert_allclose(flat(own), gold["weights_after_21_steps"][place], atol=1e-8)


def test_those_that_do_not_walk_stay(patch: Patch) -> None:
    of = trainer()
    before, _ = walk(of, keys_of(4), patch, 2)
    after, values = of.step(before, patch, jnp.array([True, False, True, False]))
    for number in (1, 3):
        assert_same(after[number], before[number])
    for number in (0, 2):
        assert (flat(after[number].weights) != flat(before[number].weights)).any()
    np.testing.assert_array_equal(of.losses(before, patch), values)


def test_no_number_stays_with_its_network(patch: Patch) -> None:
    """It is told, its network stands still, and the others go on as if it were not there."""
    of, keys = trainer(), keys_of(4)
    clean, seen = walk(of, keys, patch, 3)
    state = of.first(keys)
    bad = state[1].weights.pools
    spoilt = state[1]._replace(weights=state[1].weights._replace(pools=bad._replace(b=bad.b.at[1].set(jnp.nan))))
    state = (state[0], spoilt, *state[2:])
    for number in range(3):
        state, values = of.step(state, patch, jnp.ones(4, bool))
        assert np.isnan(values[1])
        np.testing.assert_array_equal(np.delete(values, 1), np.delete(seen[number], 1))
    assert [bool(one.finite) for one in state] == [True, False, True, True]
    assert_same(state[1]._replace(finite=spoilt.finite), spoilt)
    for number in (0, 2, 3):
        assert_same(state[number], clean[number])
    again = of.redraw(state, 1, keys[1])
    assert all(bool(one.finite) for one in again)
    assert_same(again[1], of.first(keys)[1])
    assert_same(again[2], state[2])


def test_the_cosine_ends_at_nothing(patch: Patch) -> None:
    of = trainer()
    at_its_end, _ = walk(of, keys_of(4), patch, 6)
    after, _ = of.step(at_its_end, patch, jnp.ones(4, bool))
    assert_same([one.weights for one in after], [one.weights for one in at_its_end])
    assert (flat(at_its_end[0].weights) != flat(walk(of, keys_of(4), patch, 5)[0][0].weights)).any()
