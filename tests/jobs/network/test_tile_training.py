from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phloem.io.patches.patch_store import PatchStore, PatchStorePaths, seal_patches, write_patch
from phloem.jobs.campaign.kind_of_work import Lane
from phloem.jobs.network import tile_training
from phloem.jobs.network.patch_source import PatchSource
from phloem.jobs.network.table import NetworkTable
from phloem.jobs.network.tile_training import TileTraining, epoch_order, looks
from phloem.jobs.network.training_units import TrainingInput, training_input
from phloem.kernels.network.training_loss import Patch
from phloem.kernels.network.training_step import Trainer, Training
from phloem.names import STATUS
from tests.support.patches import made_store

SET_UPS = ["PFT", "CLIM", "PFT+CLIM+AGE+SOIL"]
SEED = 3


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return made_store(tmp_path_factory.mktemp("patches"), patches=7, cells=4, months=12)


def _table(**other: object) -> NetworkTable:
    return NetworkTable.model_validate(
        {"set_ups": SET_UPS, "epochs": 3, "dev_every": 2, "backend": "cpu", "test_share": 0.15, **other}
    )


def _units(store: PatchStore, table: NetworkTable, runs: Sequence[int] = (0,)) -> list[TrainingInput]:
    return [training_input(table, store, SEED, set_up, run) for run in runs for set_up in table.set_ups]


def _train(work: TileTraining, chunk: int = 100) -> dict[str, np.ndarray]:
    while work.running:
        work.advance(chunk)
    return work.arrays()


def _same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert set(ours) == set(theirs)
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)


@pytest.fixture(scope="module")
def reference(store: PatchStore) -> dict[str, np.ndarray]:
    return _train(TileTraining(_table(), SEED, _units(store, _table(), (0, 1))))


def test_training_lowers_the_loss_of_every_network_and_looks_at_the_dev_patches(
    reference: dict[str, np.ndarray],
) -> None:
    losses = reference["loss_of_epochs"][:, 0]
    assert (losses[:, -1] < losses[:, 0]).all()
    assert (reference["status"] == STATUS["calibrated"]).all()
    assert np.isfinite(reference["dev_loss"]).all()
    assert reference["dev_loss"].shape[-1] == len(looks(_table())) == 2
    np.testing.assert_array_equal(reference["loss"], losses[:, -1:])


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_steps_cut_anyhow_give_the_same_bits(store: PatchStore, reference: dict[str, np.ndarray], chunk: int) -> None:
    _same(_train(TileTraining(_table(), SEED, _units(store, _table(), (0, 1))), chunk), reference)


def test_networks_trained_alone_have_the_bits_that_they_have_side_by_side(
    store: PatchStore, reference: dict[str, np.ndarray]
) -> None:
    units = _units(store, _table(), (0, 1))
    for place in (1, 5):
        alone = _train(TileTraining(_table(), SEED, [units[place]]))
        for name in ("weights", "loss_of_epochs", "dev_loss", "mean"):
            np.testing.assert_array_equal(alone[name][0], reference[name][place], err_msg=name)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, 7), min_size=1, max_size=3), chunk=st.integers(1, 4))
def test_training_taken_up_from_any_step_ends_with_the_same_bits(
    store: PatchStore, reference: dict[str, np.ndarray], stops: list[int], chunk: int
) -> None:
    units = _units(store, _table(), (0, 1))
    work = TileTraining(_table(), SEED, units)
    for stop in stops:
        for _ in range(stop):
            if work.running:
                work.advance(chunk)
        kept = work.saved()
        work = TileTraining(_table(), SEED, units)
        work.restore(kept)
    _same(_train(work), reference)


def test_halving_gives_the_same_bits_with_fewer_networks_side_by_side(
    store: PatchStore, reference: dict[str, np.ndarray]
) -> None:
    work = TileTraining(_table(), SEED, _units(store, _table(), (0, 1)))
    work.advance(2)
    assert work.halve()  # the patches that were kept
    assert work.halve()
    assert work.in_flight == 3
    while work.halve():
        pass
    assert work.in_flight == 1
    _same(_train(work), reference)


def test_network_that_is_not_finite_is_begun_anew_with_other_weights_and_counted(
    store: PatchStore, reference: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    units = _units(store, _table())
    step, spoilt = Trainer.step, []

    def spoil(self: Trainer, state: Training, patch: object, walking: object) -> tuple[Training, object]:
        moved, values = step(self, state, patch, walking)  # type: ignore[arg-type]
        if len(self.set_ups) == len(SET_UPS) and len(spoilt) < 1:
            spoilt.append(1)
            moved = (moved[0], moved[1]._replace(finite=np.array(False)), *moved[2:])
        return moved, values

    monkeypatch.setattr(Trainer, "step", spoil)
    found = _train(TileTraining(_table(), SEED, units))
    assert spoilt
    assert found["redraws"][:, 0].tolist() == [0, 1, 0]
    assert found["status"][:, 0].tolist() == [0, STATUS["calibrated_after_redraw"], 0]
    assert np.isfinite(found["loss_of_epochs"]).all()
    for name in ("weights", "loss_of_epochs"):
        for place in (0, 2):
            np.testing.assert_array_equal(found[name][place], reference[name][place])
        assert not np.array_equal(found[name][1], reference[name][1])
    again = _train(TileTraining(_table(), SEED, units, [Lane(1, 0, 1)]))
    np.testing.assert_array_equal(again["weights"][1], found["weights"][1])
    assert again["status"][:, 0].tolist() == [STATUS["missing"], 1, STATUS["missing"]]


def test_network_that_never_is_finite_is_given_up(store: PatchStore) -> None:
    table = _table(set_ups=["PFT"], learning_rate=1e30)
    found = _train(TileTraining(table, SEED, _units(store, table)))
    assert found["status"].tolist() == [[STATUS["diverged"]]]
    assert found["redraws"].tolist() == [[tile_training.MAX_REDRAWS]]


def test_orders_of_epochs_are_those_of_seed_run_and_epoch() -> None:
    patches = list(range(20, 60))
    first = epoch_order(_table(), 1, 0, 0, patches)
    assert sorted(first) == patches
    assert first == epoch_order(_table(), 1, 0, 0, patches)
    others = [epoch_order(_table(), *key, patches) for key in ((1, 0, 1), (1, 1, 0), (2, 0, 0))]
    assert first not in others
    fixed = _table(order="fixed")
    assert epoch_order(fixed, 1, 0, 7, patches) == epoch_order(fixed, 1, 0, 0, patches) == first


@pytest.mark.parametrize("train_on", ["train", "train+dev"])
def test_fixed_order_of_a_published_split_is_that_of_its_numbers(
    store: PatchStore, monkeypatch: pytest.MonkeyPatch, train_on: str
) -> None:
    numbers = {name: number for number, name in zip((60, 20, 50, 10, 40, 30), store.names, strict=False)}
    published = {
        "test": [store.names[6]],
        "published_index": {"1": numbers},
        "published_splits": {"1": {"dev": [store.names[0]]}},
    }
    brought = replace(store, facts={**store.facts, **published})
    table = _table(set_ups=["PFT"], epochs=2, split="published", order="fixed", train_on=train_on)
    read, taken = PatchSource.read, []

    def noted(self: PatchSource, position: int) -> Patch:
        taken.append(position)
        return read(self, position)

    monkeypatch.setattr(PatchSource, "read", noted)
    work = TileTraining(table, SEED, _units(brought, table))
    due = [3, 1, 5, 4, 2, *([0] if train_on == "train+dev" else [])]
    work.advance(len(due))
    assert taken[: len(due)] == due
    del taken[:]
    work.advance(len(due))
    assert taken[: len(due)] == due


def test_last_epoch_is_looked_at_whatever_the_interval() -> None:
    assert looks(_table(epochs=199, dev_every=10))[-2:] == [190, 199]
    assert looks(_table(epochs=3, dev_every=10)) == [3]


def test_checkpoint_of_other_networks_is_refused(store: PatchStore) -> None:
    work = TileTraining(_table(), SEED, _units(store, _table()))
    other = TileTraining(_table(set_ups=["PFT"]), SEED, _units(store, _table(set_ups=["PFT"])))
    with pytest.raises(ValueError, match="does not fit"):
        work.restore(other.saved())


@pytest.mark.parametrize("lanes", [[], [Lane(0, 0, 0), Lane(0, 0, 1)], [Lane(9, 0, 0)], [Lane(0, 1, 0)]])
def test_lanes_that_there_are_not_are_refused(store: PatchStore, lanes: list[Lane]) -> None:
    with pytest.raises(ValueError, match="network"):
        TileTraining(_table(), SEED, _units(store, _table()), lanes)


def test_streams_that_are_left_out_change_the_weights_and_no_other_stream(
    store: PatchStore, reference: dict[str, np.ndarray], tmp_path: Path
) -> None:
    table = _table(leave_out=["lai"], epochs=1)
    found = _train(TileTraining(table, SEED, _units(store, table)))
    assert not np.array_equal(found["loss_of_epochs"][:, 0, 0], reference["loss_of_epochs"][:3, 0, 0])


def test_weights_of_the_best_look_are_those_of_a_training_that_ends_there(store: PatchStore) -> None:
    """With a constant learning rate, a shorter training goes the same way."""
    constant = {"schedule": "constant", "learning_rate": 0.01, "dev_every": 1, "dev_share": 0.3, "set_ups": ["PFT"]}
    table = _table(epochs=4, choose="best-dev", **constant)
    found = _train(TileTraining(table, SEED, _units(store, table)))
    best = int(np.argmin(found["dev_loss"][0, 0]))
    shorter = _table(epochs=best + 1, **constant)
    np.testing.assert_array_equal(
        found["weights"], _train(TileTraining(shorter, SEED, _units(store, shorter)))["weights"]
    )


def test_strong_decay_draws_networks_to_one_set_of_quantities(store: PatchStore) -> None:
    matrices = {}
    for decay in (0.0, 1.0):
        table = _table(set_ups=["PFT"], weight_decay=decay, learning_rate=0.05, epochs=12, schedule="constant")
        weights = _train(TileTraining(table, SEED, _units(store, table)))["weights"][0, 0]
        matrices[decay] = np.abs(weights[: 22 * 32]).sum()
    assert matrices[1.0] < 0.2 * matrices[0.0]


def test_best_look_needs_dev_patches() -> None:
    with pytest.raises(ValueError, match="needs dev patches"):
        _table(choose="best-dev", train_on="train+dev")


def test_network_whose_dev_losses_are_no_numbers_is_begun_anew_and_not_without_weights(tmp_path: Path) -> None:
    """A label of 1e30 has an infinite square in single precision; it stands in the patch that watches."""
    plain = made_store(tmp_path / "plain", patches=7, cells=4, months=12)
    table = _table(set_ups=["PFT"], epochs=1, choose="best-dev")
    (watched,) = _units(plain, table)[0].split.dev
    paths, rows = PatchStorePaths(tmp_path / "beyond"), []
    for place in range(len(plain)):
        patch = plain.read(place)
        if place == watched:
            patch = replace(patch, labels={**patch.labels, "lai": np.full(patch.labels["lai"].shape, 1e30)})
        rows.append(write_patch(paths, patch, plain.table["south"][place], plain.table["west"][place]))
    beyond = seal_patches(tmp_path / "beyond", plain.facts, rows)
    found = _train(TileTraining(table, SEED, _units(beyond, table)))
    assert np.isfinite(found["loss_of_epochs"]).all()
    assert found["redraws"].tolist() == [[tile_training.MAX_REDRAWS]]
    assert found["status"].tolist() == [[STATUS["diverged"]]]


def test_control_gives_cells_of_one_hemisphere_the_same_quantities(store: PatchStore) -> None:
    table = _table(set_ups=["CONTROL", "PFT"], epochs=1)
    found = _train(TileTraining(table, SEED, _units(store, table)))
    assert found["status"][:, 0].tolist() == [STATUS["calibrated"]] * 2
    first_layer = found["weights"][:, 0, : 22 * 32]
    np.testing.assert_array_equal(first_layer[0], 0)
    assert first_layer[1].any()
