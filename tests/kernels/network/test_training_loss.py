"""The loss of a patch against the public code's own numbers; two phases against one; and what strict mends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from phloem.kernels.network.parameter_network import Weights, flat, of_flat
from phloem.kernels.network.patch_labels import STREAMS, LabelStream, PatchLabels
from phloem.kernels.network.patch_loss import TERMS, LossWeights, error_of_means
from phloem.kernels.network.patch_model import segment_of
from phloem.kernels.network.training_loss import Patch, TrainingLoss
from tests.support.kernels.global_oracle import ROWS, SEEDS, VALID, GoldenPatch, arrays, golden_network, golden_patch

NAMES = {"gleam_et": "et"}


@pytest.fixture(scope="module")
def gold(data_dir: Path) -> dict[str, np.ndarray]:
    return arrays(data_dir / "oracle/global_patch.nc")


@pytest.fixture(scope="module")
def published(data_dir: Path) -> Weights:
    return golden_network(data_dir / "oracle", "published_2026")


@pytest.fixture(scope="module")
def made(data_dir: Path) -> GoldenPatch:
    return golden_patch(data_dir / "oracle", "strict").rows(np.r_[0:24, VALID : VALID + 8])


def total(terms: dict[str, Any]) -> Any:
    return sum(terms.values())


@pytest.mark.parametrize("backend", ["xla", "cpu"])
def test_every_term(data_dir: Path, gold: dict[str, np.ndarray], published: Weights, backend: str) -> None:
    patch = golden_patch(data_dir / "oracle", "compat").patch()
    found = jax.jit(TrainingLoss("compat", backend=backend).terms)(published, patch)
    assert set(found) == set(TERMS)
    for name, value in zip(gold["term"], gold["loss_terms"], strict=True):
        assert float(found[NAMES.get(str(name), str(name))]) == pytest.approx(value, rel=1e-12), name
    assert float(total(found)) == pytest.approx(float(gold["loss_total"]), rel=1e-12)


@pytest.mark.parametrize("backend", ["xla", "cpu"])
@pytest.mark.parametrize("network", SEEDS)
def test_the_loss_and_its_slope(data_dir: Path, gold: dict[str, np.ndarray], network: str, backend: str) -> None:
    """At trained weights, and at two untrained ones of which many cells meet floors."""
    patch = golden_patch(data_dir / "oracle", "compat").patch()
    weights = golden_network(data_dir / "oracle", network)
    value, slope = jax.jit(jax.value_and_grad(TrainingLoss("compat", backend=backend).value))(weights, patch)
    end = SEEDS[network]
    assert float(value) == pytest.approx(float(gold[f"loss_total{end}"]), rel=1e-12)
    expected = gold[f"dloss_dweights{end}"]
    error = np.linalg.norm(flat(slope) - expected) / np.linalg.norm(expected)
    assert error < (1e-8 if network == "seed_1234" else 1e-11), "at seed_1234 some cells stand on a floor's edge"


def test_single_precision_is_near(data_dir: Path, gold: dict[str, np.ndarray], published: Weights) -> None:
    patch = golden_patch(data_dir / "oracle", "compat").patch(np.float32)
    weights = jax.tree.map(lambda one: one.astype(jnp.float32), published)
    terms = jax.jit(TrainingLoss("compat", backend="cpu").terms)(weights, patch)
    for name, value in zip(gold["term"], gold["loss_terms"], strict=True):
        assert float(terms[NAMES.get(str(name), str(name))]) == pytest.approx(value, rel=2e-4), name
    slope = jax.jit(jax.grad(TrainingLoss("compat", backend="cpu").value))(weights, patch)
    expected = gold["dloss_dweights"]
    assert np.linalg.norm(flat(slope) - expected) < 2e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize("place", [0, 1])
def test_steps_of_adam(data_dir: Path, gold: dict[str, np.ndarray], published: Weights, place: int) -> None:
    """Twenty-one steps on one patch, at both learning rates of the source."""
    patch, loss = golden_patch(data_dir / "oracle", "compat").patch(), TrainingLoss("compat", backend="cpu")
    adam = optax.adam(float(gold["learning_rate"][place]))

    @jax.jit
    def step(vector: jax.Array, state: Any) -> tuple[jax.Array, Any, jax.Array]:
        value, slope = jax.value_and_grad(lambda one: loss.value(of_flat(one, 20), patch))(vector)
        change, state = adam.update(slope, state)
        return optax.apply_updates(vector, change), state, value

    vector = flat(published)
    state = adam.init(vector)
    for expected in gold["adam_loss"][place]:
        vector, state, value = step(vector, state)
        assert float(value) == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(vector, gold["weights_after_21_steps"][place], atol=1e-8)


@pytest.mark.parametrize("mode", ["strict", "compat"])
@pytest.mark.parametrize("backend", ["xla", "cpu"])
def test_two_phases_are_one(data_dir: Path, published: Weights, mode: str, backend: str) -> None:
    patch = golden_patch(data_dir / "oracle", mode).rows(np.r_[0:40, VALID : VALID + 8]).patch()
    loss = TrainingLoss(mode, backend=backend)
    two, one = (
        jax.jit(jax.value_and_grad(lambda weights, terms=terms: total(terms(weights, patch))))(published)
        for terms in (loss.terms, loss.terms_of_months)
    )
    assert float(two[0]) == pytest.approx(float(one[0]), rel=1e-12)
    error, size = flat(two[1]) - flat(one[1]), np.linalg.norm(flat(one[1]))
    assert np.linalg.norm(error) < 1e-12 * size


class TestStrict:
    def slope(self, weights: Weights, patch: Patch) -> tuple[float, np.ndarray]:
        value, slope = jax.jit(jax.value_and_grad(TrainingLoss(backend="cpu").value))(weights, patch)
        return float(value), np.asarray(flat(slope))

    def test_rows_that_fill_the_patch_count_nowhere(self, made: GoldenPatch, published: Weights) -> None:
        """Whatever stands in them, and whether they are there at all."""
        value, slope = self.slope(published, made.patch())
        rng = np.random.default_rng(0)
        filled = made.predictors.copy()
        filled[24:] = rng.standard_normal(filled[24:].shape)
        other = self.slope(published, replace(made, predictors=filled).patch())
        assert other[0] == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(other[1], slope, atol=1e-12 * np.abs(slope).max())
        alone = self.slope(published, made.rows(np.arange(24)).patch())
        cover = 24 / 32
        terms = TrainingLoss(backend="cpu").terms(published, made.patch())
        coupled = sum(float(terms[name]) for name in ("nbe", "nbe_interannual", "fire", "water"))
        assert alone[0] - (value - coupled) == pytest.approx(coupled / cover, rel=1e-9), "weights are shares of rows"

    def test_the_order_of_the_rows_does_not_matter(self, made: GoldenPatch, published: Weights) -> None:
        order = np.random.default_rng(1).permutation(32)
        value, slope = self.slope(published, made.patch())
        other = self.slope(published, made.rows(order).patch())
        assert other[0] == pytest.approx(value, rel=1e-11)
        np.testing.assert_allclose(other[1], slope, atol=1e-10 * np.abs(slope).max())

    def test_labels_that_are_missing_may_hold_anything(self, made: GoldenPatch, published: Weights) -> None:
        spoilt = {}
        for name in STREAMS:
            stream = getattr(made.labels, name)
            spoilt[name] = LabelStream(np.where(stream.weight > 0, stream.label, 1e6), stream.weight)
        value, slope = self.slope(published, made.patch())
        other = self.slope(published, replace(made, labels=made.labels._replace(**spoilt)).patch())
        assert other[0] == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(other[1], slope, atol=1e-12 * np.abs(slope).max())

    @pytest.mark.parametrize("rows", [1, 32])
    def test_a_patch_without_any_label(self, made: GoldenPatch, published: Weights, rows: int) -> None:
        """Only the constraints are left; one cell is a patch too."""
        few = made.rows(np.arange(rows))
        nothing = {name: LabelStream(getattr(few.labels, name).label, 0 * few.labels.lai.weight) for name in STREAMS}
        patch = replace(few, labels=few.labels._replace(**nothing)).patch()
        terms = TrainingLoss(backend="cpu").terms(published, patch)
        assert {name for name, value in terms.items() if float(value)} <= {"violation", "steady_state"}
        assert float(terms["steady_state"]) > 0
        _, slope = self.slope(published, patch)
        assert np.isfinite(slope).all()

    def test_cells_are_held_near_a_steady_state_without_leaves_in_january(
        self, made: GoldenPatch, published: Weights
    ) -> None:
        dark = LabelStream(made.labels.lai.label, np.where(np.arange(276)[:, None] == 0, 0.0, made.labels.lai.weight))
        night = replace(made, labels=made.labels._replace(lai=dark)).patch()
        strict, compat = (TrainingLoss(mode, backend="cpu").terms(published, night) for mode in ("strict", "compat"))
        assert float(compat["steady_state"]) == 0.0
        assert float(strict["steady_state"]) > 0.0

    def test_the_violation_of_cells_alone(
        self, data_dir: Path, gold: dict[str, np.ndarray], published: Weights
    ) -> None:
        """The public arithmetic of the months, strict masks: what the golden file says of the valid rows."""
        weights = golden_network(data_dir / "oracle", "seed_1234")
        patch = golden_patch(data_dir / "oracle", "compat").rows(np.arange(VALID)).patch()
        found = TrainingLoss("compat", backend="cpu").terms(weights, patch)["violation"]
        assert float(found) == pytest.approx(float(gold["violation_of_valid_rows_untrained_1234"]), rel=1e-9)
        assert published is not None


def test_means_with_holes_are_means_of_what_is_there() -> None:
    """Strict: an offset of 1 everywhere is an error of the share of cells; the public code's is its cube."""
    rng = np.random.default_rng(0)
    label = rng.normal(size=(12, 40))
    weight = np.broadcast_to((np.arange(40) < 10).astype(float), label.shape)
    stream = LabelStream(jnp.asarray(np.where(weight > 0, label, -9999.0)), jnp.asarray(weight))
    assert float(error_of_means(jnp.asarray(label + 1), stream, True)) == pytest.approx(12 * 0.25)
    assert float(error_of_means(jnp.asarray(label + 1), stream, False)) == pytest.approx(12 * 0.25**3)
    empty = LabelStream(stream.label, 0 * stream.weight)
    assert float(error_of_means(jnp.asarray(label), empty, True)) == 0.0


def test_weights_of_the_terms_come_from_the_configuration(made: GoldenPatch, published: Weights) -> None:
    patch = made.patch()
    usual = TrainingLoss(backend="cpu").terms(published, patch)
    other = TrainingLoss(weights=LossWeights(lai=0.0, sif=800.0), backend="cpu").terms(published, patch)
    assert float(other["lai"]) == 0.0
    assert float(other["sif"]) == pytest.approx(2 * float(usual["sif"]), rel=1e-12)
    assert float(other["et"]) == pytest.approx(float(usual["et"]), rel=1e-12)


@pytest.mark.parametrize(("months", "segment"), [(276, 92), (12, 12), (96, 96), (120, 60), (24, 24), (97, 96)])
def test_segments_are_whole(months: int, segment: int) -> None:
    assert segment_of(months) == segment


def test_the_golden_patch_is_the_one_that_is_described(data_dir: Path) -> None:
    golden = golden_patch(data_dir / "oracle", "compat")
    assert golden.predictors.shape == (ROWS, 21)
    assert isinstance(golden.labels, PatchLabels)
    assert golden.labels.valid.sum() == VALID
