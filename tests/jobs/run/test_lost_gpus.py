"""Campaigns of the gpu backend on a stand-in for the driver, which fails where and as it is told."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

from phloem.errors import WorkError
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.run.execute import conclude
from phloem.jobs.run.state import read_state
from tests.support.campaigns.campaigns import count, failures, write_campaign
from tests.support.campaigns.on_gpus import HOST, OfSlot, compute, journalled, logged, of_slot
from tests.support.kernels import stand_in_driver

pytestmark = pytest.mark.engine

CELLS = 6
NAMES = {
    46: "CUDA_ERROR_DEVICE_UNAVAILABLE",
    214: "CUDA_ERROR_ECC_UNCORRECTABLE",
    700: "CUDA_ERROR_ILLEGAL_ADDRESS",
    714: "CUDA_ERROR_HARDWARE_STACK_ERROR",
    719: "CUDA_ERROR_LAUNCH_FAILED",
}
"""Codes that the driver returns for a launch, with their names."""


def plan(folder: Path) -> Path:
    """Plan the campaign; return its directory."""
    engine, optimiser = {"workers": 2, "gpus": 2, "lanes": 64}, {"iterations": 6}
    written = write_campaign(
        folder, data={"cells": CELLS}, experiment={"backend": "gpu"}, optimiser=optimiser, engine=engine
    )
    return open_or_plan(written, folder / "made", []).paths.root


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    return plan(tmp_path)


def on_stand_in(**faults: str) -> OfSlot:
    """Return what workers are told where the driver is the stand-in, with its faults."""
    return lambda slot: {**of_slot(slot), **stand_in_driver.environment(**faults)}


def tiles(root: Path) -> list[bytes]:
    """Return the arrays of a campaign's tiles, as bytes, in their order."""
    found = []
    for path in sorted(root.glob("tiles/*.h5")):
        with h5py.File(path) as file:
            found.append(file["parameters"][...].tobytes() + file["status"][...].tobytes())
    return found


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The results of the campaign on a driver that holds."""
    folder = tmp_path_factory.mktemp("sound")
    root = plan(folder)
    _campaign, _engine, state = compute(root, 2, on_stand_in())
    assert len(state.done) == CELLS
    assert failures(root) == []
    return tiles(root)


@pytest.mark.parametrize("code", list(NAMES))
def test_a_gpu_whose_launches_fail_costs_one_attempt(planned: Path, sound: list[bytes], code: int) -> None:
    """The third launch of a process and all after it fail, as in a dead context."""
    _campaign, engine, state = compute(planned, 2, on_stand_in(STAND_IN_ERROR=f"{code}:3", STAND_IN_GPU="1"))
    assert len(state.done) == CELLS
    ended = failures(planned)
    assert [event["class"] for event in ended] == ["device lost"]
    assert ended[0]["message"].startswith(f"GPU 1 of {HOST}: ")
    assert NAMES[code] in ended[0]["message"]
    assert list(engine.shunned) == [1]
    assert count(planned, "part failed") == count(planned, "set aside") == count(planned, "halved") == 0
    failed = [event for event in logged(planned) if event["event"] == "failed"]
    later = [event for event in logged(planned) if event["worker"] == failed[0]["worker"]]
    assert max(event["time"] for event in later) == failed[0]["time"], "its process is not used again"
    assert [event["device"] for event in journalled(planned, "device lost")] == ["1"]
    assert tiles(planned) == sound


def test_memory_that_the_driver_does_not_have_halves(planned: Path, sound: list[bytes]) -> None:
    _campaign, engine, state = compute(planned, 2, on_stand_in(STAND_IN_ERROR="2:3:3", STAND_IN_GPU="1"))
    assert len(state.done) == CELLS
    assert failures(planned) == []
    assert count(planned, "halved") == 1
    assert engine.shunned == {}
    assert tiles(planned) == sound


def test_a_machine_whose_driver_fails_everywhere_stops_after_an_attempt_a_gpu(planned: Path) -> None:
    campaign, engine, state = compute(planned, 2, on_stand_in(STAND_IN_CONTEXT_ERROR="999"))
    assert [event["class"] for event in failures(planned)] == ["device lost"] * 2
    with pytest.raises(WorkError, match="stopped by the loss of every device"):
        conclude(campaign, state, engine.flag.name)
    assert [device["device"] for device in read_state(campaign).devices] == ["0", "1"]
    assert count(planned, "part failed") == 0
