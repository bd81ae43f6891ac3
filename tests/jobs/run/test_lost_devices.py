"""Campaigns on real worker processes whose devices are lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phloem.endings import Ending
from phloem.errors import WorkError
from phloem.io.campaign.attempts import claim_tile, end_attempt, holder
from phloem.io.files.journals import append_event
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.run.device_losses import forgive_devices
from phloem.jobs.run.execute import conclude, forgive
from phloem.jobs.run.slurm.rounds import bad_nodes
from phloem.jobs.run.state import read_state
from phloem.jobs.run.status import show, status_json
from tests.support.campaigns.campaigns import (
    count,
    differing,
    failures,
    merged,
    succeed,
    write_campaign,
)
from tests.support.campaigns.on_gpus import HOST, OfSlot, compute, journalled, logged, of_slot
from tests.support.campaigns.poison import Poison

pytestmark = pytest.mark.engine

ECC = "INTERNAL: CUDA error: Failed to synchronize: CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered"
ILLEGAL = "INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered"
CELLS = 8


def write(folder: Path) -> Path:
    return write_campaign(folder, data={"cells": CELLS}, engine={"workers": 2})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The campaign on devices that hold."""
    folder = tmp_path_factory.mktemp("sound")
    succeed("run", write(folder), "--out", "made", folder=folder)
    return folder / "made"


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    succeed("plan", write(tmp_path), "--out", "made", folder=tmp_path)
    return tmp_path / "made"


def without_driver(broken: set[int]) -> OfSlot:
    """Return what workers are told where some are to compute on CUDA, which this machine does not have."""
    return lambda slot: {**of_slot(slot), **({"JAX_PLATFORMS": "cuda"} if slot in broken else {})}


@pytest.fixture
def poison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Poison]:
    """Let the workers of this process meet faults."""

    def set_fault(**fault: Any) -> Poison:
        poison = Poison(tmp_path / "marks", [{"kind": "device", **fault}])
        for name, value in poison.environment.items():
            monkeypatch.setenv(name, value)
        return poison

    return set_fault


@pytest.mark.parametrize("text", [ECC, ILLEGAL], ids=["ECC", "illegal address"])
def test_a_lost_gpu_costs_one_attempt_and_the_others_finish(
    planned: Path, sound: Path, poison: Callable[..., Poison], text: str
) -> None:
    """Its process is never used again, its tile is not taken apart, and the results are those of sound devices."""
    marks = poison(gpu="1", after=1, text=text)
    campaign, engine, state = compute(planned, 2)
    conclude(campaign, state, engine.flag.name)
    assert len(state.done) == CELLS
    ended = failures(planned)
    assert [(event["class"], event["host"]) for event in ended] == [("device lost", HOST)]
    assert ended[0]["message"] == f"GPU 1 of {HOST}: {text}"
    done = marks.done()
    assert len(done) == 1, "one call after the loss, in one process"
    process = next(iter(done)).rpartition("-")[2]
    assert done.total() == 1
    logs = logged(planned)
    lost = [event for event in logs if event["event"] == "failed"]
    assert [event["worker"].endswith(f"-{process}") for event in lost] == [True]
    last = max(event["time"] for event in logs if event["worker"].endswith(f"-{process}"))
    assert last <= lost[0]["time"], "nothing was computed there afterwards"
    assert count(planned, "part failed") == count(planned, "set aside") == 0
    assert not any(event.get("part") for event in logs)
    assert [(event["host"], event["device"]) for event in journalled(planned, "device lost")] == [(HOST, "1")]
    assert list((planned / "failures").iterdir()) == []
    said = show(campaign, status_json(campaign))
    assert f"GPU 1 of {HOST} was lost: {text}" in said
    succeed("run", planned, folder=planned.parent, afresh=True)
    assert differing(merged(sound), merged(planned)) == set()


def test_the_loss_of_all_gpus_stops_the_run_and_the_next_goes_on(
    planned: Path, sound: Path, poison: Callable[..., Poison], monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = poison(gpu=None, after=1, text=ECC)
    campaign, engine, state = compute(planned, 2)
    assert marks.done().total() == 2, "one attempt a GPU, no more"
    assert not engine.devices_left
    with pytest.raises(WorkError) as told:
        conclude(campaign, state, engine.flag.name)
    said = str(told.value)
    assert "stopped by the loss of every device" in said
    for gpu in range(2):
        assert f"GPU {gpu} of {HOST} was lost: INTERNAL: CUDA error" in said
    assert f"phloem run {planned}" in said
    assert {event["class"] for event in failures(planned)} == {"device lost"}
    assert len(failures(planned)) == 2
    assert count(planned, "part failed") == 0
    document = status_json(campaign)
    assert [device["device"] for device in document["devices_lost"]] == ["0", "1"]
    assert document["failures_by_class"]["device lost"]["attempts"] == 2
    assert "nvidia-smi" in document["failures_by_class"]["device lost"]["mend"]
    assert bad_nodes(campaign) == [HOST], "a round on SLURM would leave it out"

    forgive(campaign)
    assert bad_nodes(campaign) == []
    assert status_json(campaign)["devices_lost"] == []
    monkeypatch.setenv("PHLOEM_FAULTS", "[]")
    succeed("run", planned, folder=planned.parent, afresh=True)
    assert differing(merged(sound), merged(planned)) == set()


def test_a_gpu_that_does_not_answer_costs_one_attempt_not_the_campaign(planned: Path, sound: Path) -> None:
    """One worker of two is told to compute on CUDA, which is not there: JAX raises an error without a word."""
    _campaign, engine, state = compute(planned, 2, without_driver({1}))
    assert len(state.done) == CELLS
    ended = failures(planned)
    assert [event["class"] for event in ended] == ["device lost"]
    assert ended[0]["message"].startswith(f"GPU 1 of {HOST} does not answer: ")
    assert engine.shunned.keys() == {1}
    assert count(planned, "part failed") == 0
    succeed("run", planned, folder=planned.parent, afresh=True)
    assert differing(merged(sound), merged(planned)) == set()


def test_a_machine_whose_gpus_do_not_answer_costs_an_attempt_a_gpu(planned: Path) -> None:
    """All of a campaign's tiles were taken apart there, with an empty message, and both attempts of each spent."""
    campaign, engine, state = compute(planned, 2, without_driver({0, 1}))
    assert len(failures(planned)) == 2
    assert all(event["message"].strip() for event in failures(planned))
    assert [failure.exhausted(campaign.configuration.failures) for failure in state.failures.values()] == [False] * 2
    with pytest.raises(WorkError, match="stopped by the loss of every device"):
        conclude(campaign, state, engine.flag.name)


def test_a_tile_that_is_taken_apart_on_a_gpu_that_is_lost_is_not_blamed(
    planned: Path, poison: Callable[..., Poison]
) -> None:
    """The part that met the loss is set aside by nobody; the tile is tried again elsewhere, in parts as before."""
    campaign = open_campaign(planned)
    campaign.paths.make()
    number = claim_tile(campaign.paths, 0, holder("an earlier run"))
    end_attempt(campaign.paths, 0, number, Ending.BUG, "an earlier failure")
    poison(gpu="0", after=0, text=ECC)
    campaign, _engine, state = compute(planned, 2)
    assert len(state.done) == CELLS
    ended = failures(planned)
    assert [(event["class"], event["tile"]) for event in ended] == [("device lost", 0)]
    assert ended[0]["message"] == f"GPU 0 of {HOST}: {ECC}"
    assert count(planned, "part failed") == 1, "the first part on the lost GPU"
    assert count(planned, "set aside") == 0
    assert read_state(campaign).set_aside == []


def test_a_tile_that_breaks_every_gpu_waits_for_the_others(planned: Path, poison: Callable[..., Poison]) -> None:
    """Such as one on which the kernel goes wrong: one GPU at first, the last ones when nothing else waits."""
    first = open_campaign(planned).tile_cells(0)[0].name
    poison(gpu=None, cell=first, after=0, text=ILLEGAL)
    _campaign, engine, state = compute(planned, 2)
    assert state.done == list(range(1, CELLS))
    assert {(event["class"], event["tile"]) for event in failures(planned)} == {("device lost", 0)}
    assert len(failures(planned)) == 2
    assert not engine.devices_left


def test_nodes_are_left_out_whose_devices_were_lost_twice(planned: Path) -> None:
    """Attempts that went with a node's devices at once are one loss; after `phloem retry` none counts."""
    campaign = open_campaign(planned)
    campaign.paths.make()
    journal = campaign.paths.journal("test")

    def lose(host: str, last: float) -> None:
        ended = {"event": "ended", "tile": 0, "attempt": 1, "class": "device lost", "message": "x", "seconds": 1.0}
        append_event(journal, {**ended, "host": host, "last": last})

    for last in (1000.0, 1001.0, 1140.0):
        lose("n1", last)
    lose("n2", 1000.0)
    assert bad_nodes(campaign) == []
    lose("n2", 1200.0)
    assert bad_nodes(campaign) == ["n2"]
    append_event(journal, {"event": "no device left", "host": "n3", "job": "7", "time": 1300.0})
    assert bad_nodes(campaign) == ["n2", "n3"]
    forgive_devices(journal)
    assert bad_nodes(campaign) == []
