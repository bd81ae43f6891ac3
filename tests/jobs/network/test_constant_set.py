"""The constant set: a network that sees nothing, its fit, its scores, and a truth that it finds again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.patches.patch_store import PatchStore, PatchStorePaths, seal_patches, write_patch
from phloem.io.patches.stored_patch import StoredPatch
from phloem.jobs.network.constant_network import constant_network
from phloem.jobs.network.constant_set import (
    ConstantFit,
    constant_baseline,
    constant_over_folds,
    simulate_constant,
)
from phloem.jobs.network.stored_cells import cells_of, cells_together
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.kernels.network.parameter_network import unbounded_quantities
from phloem.kernels.network.patch_cells import MonthAxis, patch_of_cells
from phloem.kernels.network.training_loss import TrainingLoss
from phloem.kernels.objective.bounded_log import unbounded
from tests.support.patches import made_store, stored_patch

TRUTH = np.array([
    4e-4, 0.45, 0.12, 0.35, 1.6, 8e-5, 2e-3, 3e-3, 3e-5, 0.045, 18, 0.2, 45, 60, 60, 20, 900, 180, 0.4, 0.2, 0.1, 0.5,
    1.05, 0.3, 6, 0.03, 0.15, 12, 2.5, 0.001, 1e-5, 480, 640, 150, 90, 120, 4000, 300, 9000, 140,
])  # fmt: skip
"""Quantities of the golden step."""

LABELS = ("tower_gpp", "tower_reco", "tower_et", "lai")


def raw_truth() -> np.ndarray:
    return unbounded(TRUTH[:, None], UNKNOWNS)[:, 0]


def rewritten(root: Path, store: PatchStore, labels: list[dict[str, np.ndarray]]) -> PatchStore:
    """Write a store with other labels."""
    paths, rows = PatchStorePaths(root), []
    for place, name in enumerate(store.names):
        patch: StoredPatch = replace(stored_patch(name, place, 5, 24), labels=labels[place], weights={})
        rows.append(write_patch(paths, patch, store.table["south"][place], store.table["west"][place]))
    return seal_patches(root, store.facts, rows)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    """A store whose fluxes and leaf areas are those of a known constant set."""
    folder = tmp_path_factory.mktemp("twin")
    store = made_store(folder / "made", patches=4, cells=5)
    months = [simulate_constant(store, place, raw_truth()) for place in range(len(store))]
    return rewritten(folder / "twin", store, [{name: one[name] for name in LABELS} for one in months])


def test_constant_network_gives_the_same_quantities_everywhere() -> None:
    raw = jnp.asarray(np.random.default_rng(0).normal(size=40))
    found = unbounded_quantities(constant_network(raw), jnp.asarray(np.linspace(-2, 2, 7))[:, None])
    np.testing.assert_array_equal(found, np.repeat(np.asarray(raw, found.dtype)[:, None], 7, 1))


def test_cells_together_have_the_sum_of_the_patches_losses(twin: PatchStore) -> None:
    loss, axis = TrainingLoss(), MonthAxis(twin.first_month, twin.months)
    stored = [twin.read(place) for place in range(len(twin))]
    network = constant_network(jnp.asarray(raw_truth() + 0.3, jnp.float32))
    statistics = {"hemisphere": (0.0, 1.0)}
    apart = [float(loss.value(network, patch_of_cells(cells_of(one, twin.co2), axis, statistics, 7))) for one in stored]
    together = cells_together(stored, twin.co2)
    whole = float(loss.value(network, patch_of_cells(together, axis, statistics, len(together))))
    assert whole == pytest.approx(sum(apart), rel=1e-5)


def test_patches_with_coupled_labels_are_not_put_together(tmp_path: Path) -> None:
    store = made_store(tmp_path, patches=2)
    with pytest.raises(ValueError, match="fire, nbe, water_storage are compared as means of a patch"):
        cells_together([store.read(0), store.read(1)], store.co2)


def test_fit_comes_near_a_truth_at_cells_that_it_never_saw(twin: PatchStore) -> None:
    found = constant_baseline(twin, [0, 1, 2], [3], ConstantFit(steps=300, starts=1))
    assert found.losses[-1] < 0.02 * found.losses[0]
    assert set(found.scores.test) == {"tower_gpp", "tower_reco", "tower_nee", "tower_et", "lai"}
    for name in ("tower_gpp", "tower_et"):
        assert found.scores.test[name].nse > 0.8
        assert found.scores.test[name].pairs == 5 * 24
    assert len(found.quantities) == 40
    assert all(one.lower <= found.quantities[one.name] <= one.upper for one in UNKNOWNS)


def test_truth_itself_scores_one(twin: PatchStore) -> None:
    for place in range(len(twin)):
        ours, theirs = simulate_constant(twin, place, raw_truth()), twin.read(place).labels
        for name in LABELS:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-5, abs=1e-5)


def test_scores_do_not_depend_on_labels_of_patches_that_are_held_out(twin: PatchStore, tmp_path: Path) -> None:
    fit = ConstantFit(steps=5, starts=2)
    labels = [dict(twin.read(place).labels) for place in range(4)]
    labels[3] = {name: values + 1 for name, values in labels[3].items()}
    other = rewritten(tmp_path, twin, labels)
    first, second = (constant_baseline(store, [0, 1, 2], [3], fit) for store in (twin, other))
    np.testing.assert_array_equal(first.raw, second.raw)
    assert first.starts == second.starts
    assert first.scores.train == second.scores.train
    assert first.scores.test["lai"].bias == pytest.approx(second.scores.test["lai"].bias + 1, abs=1e-5)


def test_store_with_labels_of_patches_is_fitted_patch_after_patch(tmp_path: Path) -> None:
    store = made_store(tmp_path, patches=3)
    found = constant_baseline(store, [0, 2], [1], ConstantFit(steps=20, starts=1))
    assert found.losses[-1] < found.losses[0]
    assert {"sif", "et", "lai", "tower_gpp"} <= set(found.scores.test)


def test_constant_set_has_the_loss_of_a_network_in_compat_too(twin: PatchStore) -> None:
    """Whose year has 365.22 days in the reference precipitation."""
    loss, axis, none = TrainingLoss("compat"), MonthAxis(twin.first_month, twin.months), {"hemisphere": (0.0, 1.0)}
    fit = ConstantFit(steps=0, starts=1, precision="float64")
    network, due = constant_network(jnp.zeros(40, "float64")), 0.0
    for place in (0, 2):
        cells = cells_of(twin.read(place), twin.co2, "compat")
        due += float(loss.value(network, patch_of_cells(cells, axis, none, 5, mode="compat", dtype=np.float64)))
    assert constant_baseline(twin, [0, 2], [1], fit, loss).losses[0] == pytest.approx(due, rel=1e-10)


def test_slope_is_that_of_the_loss(twin: PatchStore) -> None:
    """By central differences along a random direction."""
    axis, cells = MonthAxis(twin.first_month, twin.months), cells_of(twin.read(0), twin.co2)
    patch = patch_of_cells(cells, axis, {"hemisphere": (0.0, 1.0)}, 7, dtype=np.float64)
    raw = jnp.asarray(raw_truth() + 0.2, "float64")

    @jax.jit
    def value(x: jax.Array) -> jax.Array:
        return TrainingLoss().value(constant_network(x), patch)

    way, step = np.random.default_rng(1).normal(size=40), 1e-6
    difference = (value(raw + step * way) - value(raw - step * way)) / (2 * step)
    assert float(jax.grad(value)(raw) @ way) == pytest.approx(float(difference), rel=1e-5)


def test_folds_score_every_patch_once(twin: PatchStore) -> None:
    found = constant_over_folds(twin, 2, 0, ConstantFit(steps=3, starts=1))
    assert found["tower_gpp"].pairs == 4 * 5 * 24


def test_patches_in_both_sets_are_refused(twin: PatchStore) -> None:
    with pytest.raises(InputError, match=rf"{twin.names[1]} in both"):
        constant_baseline(twin, [0, 1], [1, 2])
    with pytest.raises(InputError, match="none to train on"):
        constant_baseline(twin, [], [1])
