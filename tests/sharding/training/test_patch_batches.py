"""Patches of an epoch on steps, rounds, processes and devices: each once, shared out evenly, in their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.sharding.training.patch_batches import NO_PATCH, PatchBatches, StepPatches

ORDERS = st.lists(st.integers(0, 900), unique=True, max_size=60)
BATCHES = st.builds(PatchBatches, st.integers(1, 13), st.integers(1, 4), st.integers(1, 5))


@given(ORDERS, BATCHES)
def test_each_patch_is_worked_on_once_an_epoch(order: list[int], batches: PatchBatches) -> None:
    steps = list(batches.steps(np.array(order, int)))
    assert len(steps) == batches.count(len(order))
    worked = [number for step in steps for rank in range(batches.processes) for number in step.of_process(rank).flat]
    assert sorted(number for number in worked if number != NO_PATCH) == sorted(order)
    assert [number for step in steps for number in step.patches] == order
    assert all(len(step.patches) == batches.patches_per_step for step in steps[:-1])


@given(ORDERS, BATCHES)
def test_read_by_round_and_device_patches_stand_in_their_order(order: list[int], batches: PatchBatches) -> None:
    for step in batches.steps(np.array(order, int)):
        places = np.stack([step.of_process(rank) for rank in range(batches.processes)], 1)
        np.testing.assert_array_equal(places, step.table)
        assert places.shape == (batches.rounds, batches.processes, batches.devices)
        assert tuple(places.flat)[: len(step.patches)] == step.patches
        assert (places.reshape(-1)[len(step.patches) :] == NO_PATCH).all()


@given(ORDERS, BATCHES)
def test_devices_of_a_step_differ_by_one_patch_at_most(order: list[int], batches: PatchBatches) -> None:
    for step in batches.steps(np.array(order, int)):
        shares = (step.table != NO_PATCH).sum(0)
        assert shares.max() - shares.min() <= 1
        assert shares.max() <= batches.rounds
    assert (batches.rounds - 1) * batches.processes * batches.devices < batches.patches_per_step


@given(ORDERS, BATCHES)
def test_steps_have_the_same_patches_on_any_devices(order: list[int], batches: PatchBatches) -> None:
    alone = PatchBatches(batches.patches_per_step)
    there, here = (of.steps(np.array(order, int)) for of in (batches, alone))
    assert [step.patches for step in there] == [step.patches for step in here]


@pytest.mark.parametrize("order", [[1, 2, 1], [0, -1], [0.5, 1.0], [[0, 1]]])
def test_an_order_that_is_none_is_refused(order: list) -> None:
    with pytest.raises(ValueError, match="each once"):
        PatchBatches(2).steps(np.array(order))


def test_numbers_below_one_and_steps_too_full_are_refused() -> None:
    for bad in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        with pytest.raises(ValueError, match="each from 1 on"):
            PatchBatches(*bad)
    for patches in ((), (1, 2, 3)):
        with pytest.raises(ValueError, match="in a step of 2"):
            StepPatches(patches, PatchBatches(2))
