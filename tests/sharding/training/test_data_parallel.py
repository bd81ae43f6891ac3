"""Steps on several patches: the mean of their slopes, and the same bits on any devices and processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from phloem.kernels.network.training_loss import Patch
from phloem.kernels.network.training_step import Trainer, Training
from phloem.sharding.lanes.devices import device_environment, local_devices
from phloem.sharding.processes.launch import run_processes
from phloem.sharding.processes.mesh import local_mesh
from phloem.sharding.training.data_parallel import DataParallel
from phloem.sharding.training.patch_batches import PatchBatches
from tests.support.processes import environment
from tests.support.sharding.training_programs import PATCHES, SET_UPS, keys, patch, trainer

PROGRAM = "tests.support.sharding.training_programs"
ALL_WALK = np.ones(len(SET_UPS), bool)


@pytest.fixture(scope="module")
def patches() -> list[Patch]:
    return [patch(number) for number in range(3)]


def parallel(patches_per_step: int, of: Trainer | None = None) -> DataParallel:
    return DataParallel(of or trainer(), local_mesh(local_devices(1)), patches_per_step)


def take(of: DataParallel, patches: list[Patch], walking: Any = ALL_WALK, state: Training | None = None) -> Any:
    """Take one step on all of the patches; return the networks and the losses."""
    networks = of.to_devices(of.trainer.first(keys()) if state is None else state)
    [step] = of.batches.steps(np.arange(len(patches)))
    networks, losses = of.step(networks, of.place(step, patches.__getitem__), walking)
    return of.to_host(networks), of.to_host(losses)


def assert_same(one: Any, other: Any) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("there", [2, 3])
def test_a_step_is_adams_along_the_mean_slope_of_the_patches_there(patches: list[Patch], there: int) -> None:
    """Of three at most; worked out by JAX on each patch and network by itself."""
    of = parallel(3)
    after, losses = take(of, patches[:there])
    first = of.trainer.first(keys())
    optimiser, slope_of = of.trainer.one.optimiser, jax.jit(jax.value_and_grad(of.trainer.loss.value))
    for number, mask in enumerate(of.trainer.masks):
        weights = first[number].weights
        seen = [one._replace(predictors=one.predictors * mask) for one in patches[:there]]
        values, slopes = zip(*(slope_of(weights, one) for one in seen), strict=True)
        np.testing.assert_allclose(losses[:there, number], values, rtol=1e-5)
        mean = jax.tree.map(lambda *parts: sum(parts) / there, *slopes)
        change, adam = optimiser.update(mean, optimiser.init(weights), weights)
        scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(adam[0].mu))
        for found, expected in zip(*map(jax.tree.leaves, (after[number].adam[0].mu, adam[0].mu)), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * scale)
        expected_weights = optax.apply_updates(weights, change)
        for found, expected in zip(*map(jax.tree.leaves, (after[number].weights, expected_weights)), strict=True):
            assert (np.abs(found - expected) < 1e-5).mean() > 0.99
    np.testing.assert_array_equal(losses[there:], 0)
    assert all(one.finite for one in after)


def test_one_patch_a_step_is_the_trainers_step_to_the_bit(patches: list[Patch]) -> None:
    of = trainer()
    expected, values = of.step(of.first(keys()), patches[0], jnp.asarray(ALL_WALK))
    found, losses = take(parallel(1), patches[:1])
    assert_same(found, expected)
    np.testing.assert_array_equal(losses, values[None])


def test_networks_that_do_not_walk_stay(patches: list[Patch]) -> None:
    of = parallel(3)
    found, _ = take(of, patches, np.array([True, False, True]))
    every, _ = take(of, patches)
    assert_same(found[1], of.trainer.first(keys())[1])
    for number in (0, 2):
        assert_same(found[number], every[number])


def test_no_number_on_one_patch_keeps_all_networks_where_they_are(patches: list[Patch]) -> None:
    of = parallel(3)
    hole = patches[1]._replace(predictors=patches[1].predictors.at[5, 3].set(jnp.nan))
    found, losses = take(of, [patches[0], hole, patches[2]])
    first = of.trainer.first(keys())
    assert not any(one.finite for one in found)
    np.testing.assert_array_equal(np.isfinite(losses), [[True] * 3, [False] * 3, [True] * 3])
    assert_same([one[:2] for one in found], [one[:2] for one in first])


def test_a_network_that_is_no_number_stands_still_until_it_is_drawn_again(patches: list[Patch]) -> None:
    """The others go on as if it were not there."""
    of = parallel(3)
    first = of.trainer.first(keys())
    weights, pools = first[1].weights, first[1].weights.pools
    bad = weights._replace(pools=pools._replace(b=pools.b.at[1].set(jnp.nan)))
    spoilt = (first[0], first[1]._replace(weights=bad), first[2])
    found, _ = take(of, patches, state=spoilt)
    every, _ = take(of, patches)
    assert [bool(one.finite) for one in found] == [True, False, True]
    assert_same(found[1][:2], spoilt[1][:2])
    again = of.to_host(of.redraw(of.to_devices(found), 1, keys()[1]))
    assert all(one.finite for one in again)
    assert_same(again[1], first[1])
    for number in (0, 2):
        assert_same(found[number], every[number])
        assert_same(again[number], found[number])


def test_a_step_dealt_out_for_other_devices_is_refused(patches: list[Patch]) -> None:
    [step] = PatchBatches(3, devices=2).steps(np.arange(3))
    with pytest.raises(ValueError, match="on devices that take"):
        parallel(3).place(step, patches.__getitem__)


def local(patches_per_step: int, devices: str, backend: str = "cpu") -> list[dict[str, Any]]:
    """Return what two epochs give on so many of four devices, for each number."""
    words = [sys.executable, "-m", PROGRAM, "local", str(patches_per_step), devices]
    variables = environment(**device_environment(4), TRAINING_BACKEND=backend)
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("patches_per_step", "devices", "backend"), [(3, "1,2,4", "cpu"), (1, "1,2", "cpu"), (4, "1,2", "xla")]
)
def test_any_devices_give_the_same_bits(patches_per_step: int, devices: str, backend: str) -> None:
    alone, *others = local(patches_per_step, devices, backend)
    assert others == [alone] * devices.count(",")
    assert len(alone["networks"]) == 1, "each device holds the same"
    assert alone["read"] == list(range(PATCHES))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRAINING_FOLDER", str(tmp_path))
    return tmp_path


@pytest.mark.engine
def test_two_processes_of_two_devices_give_the_bits_of_one_device(folder: Path) -> None:
    words = [sys.executable, "-m", PROGRAM, "mesh", "2", "3"]
    assert run_processes(words, 2, device_environment(2)) == 0
    [alone] = local(3, "1")
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    for one in found:
        assert one["networks"] == alone["networks"]
        assert one["losses"] == alone["losses"]
    table = [
        step for epoch in range(2) for step in PatchBatches(3, 2, 2).steps(np.random.default_rng(epoch).permutation(7))
    ]
    for rank, one in enumerate(found):
        own = {int(number) for step in table for number in step.of_process(rank).flat if number >= 0}
        assert set(one["read"]) == own, "its own patches and no others"
    assert set(found[1]["read"]) < set(range(PATCHES))


@pytest.mark.engine
def test_processes_that_hold_different_networks_are_told(folder: Path, capfd: pytest.CaptureFixture) -> None:
    words = [sys.executable, "-m", PROGRAM, "different", "1", "2"]
    assert run_processes(words, 2, device_environment(1)) == 1
    assert "processes 0 and 1 of this job do not hold the same networks" in capfd.readouterr().err
    assert not list(folder.iterdir())
