"""The local engine where devices are lost, and where workers do not end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from phloem.hpc.local_engine import LocalEngine
from phloem.hpc.tasks import Device
from tests.support.engines.frozen import Freezer, freezer
from tests.support.engines.hpc_tasks import run, tasks
from tests.support.processes import alive, children, environment, state_of, until

pytestmark = pytest.mark.engine

HOST = os.uname().nodename


def of_slot(slot: int) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": f"GPU-{slot}"}


def calls(folder: Path, gpu: str) -> list[int]:
    """Return the process of each call on a GPU."""
    path = folder / f"calls-{gpu}"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_lost_device_costs_one_task_and_others_go_on(tmp_path: Path) -> None:
    engine = LocalEngine(3, of_slot=of_slot)
    found = run(engine, tasks("use_gpu", range(30), folder=str(tmp_path), broken=["GPU-1"]))
    lost = [outcome for outcome in found.values() if outcome.kind != "done"]
    assert len(found) == 30
    assert [(outcome.error, outcome.device) for outcome in lost] == [("DeviceLost", Device(HOST, "GPU-1"))]
    assert lost[0].message == "GPU GPU-1 fell off the bus"
    assert len(calls(tmp_path, "GPU-1")) == 1
    assert not alive(calls(tmp_path, "GPU-1")[0])
    assert calls(tmp_path, "GPU-1")[0] not in [*calls(tmp_path, "GPU-0"), *calls(tmp_path, "GPU-2")]
    assert (engine.devices_left, engine.flag.name) == (True, None)
    again = run(engine, tasks("use_gpu", range(12), folder=str(tmp_path), broken=[]))
    assert {outcome.value[0] for outcome in again.values()} <= {"GPU-0", "GPU-2"}, "for the rest of this run"


def test_the_loss_of_every_device_stops_the_engine(tmp_path: Path) -> None:
    engine = LocalEngine(2, of_slot=of_slot)
    found = run(engine, tasks("use_gpu", range(10), folder=str(tmp_path), broken=["GPU-0", "GPU-1"]))
    assert {outcome.error for outcome in found.values()} == {"DeviceLost"}
    assert len(found) == 2, "one task a device; the others were not begun"
    assert not engine.devices_left
    assert engine.flag.name is not None
    assert sorted(engine.flag.name.partition(": ")[2].split(", ")) == [f"GPU GPU-{n} of {HOST}" for n in range(2)]
    assert not children(os.getpid())


def test_a_task_that_wants_a_fresh_process_gets_one(tmp_path: Path) -> None:
    given = tasks("use_gpu", range(6), folder=str(tmp_path), broken=[])
    given = [replace(task, fresh=task.key in (0, 3)) for task in given]
    found = run(LocalEngine(1, of_slot=of_slot), given)
    processes = [found[key].value[1] for key in range(6)]
    assert len(set(processes[:3])) == 1
    assert len(set(processes[3:])) == 1
    assert processes[2] != processes[3]
    assert {found[key].value[0] for key in range(6)} == {"GPU-0"}


@pytest.fixture
def cold() -> Iterator[Freezer]:
    with freezer() as made:
        if made is None:
            pytest.skip("needs root and control groups of version 1: /sys/fs/cgroup/freezer")
        yield made


def frozen_worker(cold: Freezer, folder: Path) -> int:
    """Freeze the first worker that says it is there; return its number."""
    victim = int(until(lambda: [path for path in folder.iterdir() if path.name.isdigit()])[0].name)
    cold.freeze(victim)
    return victim


@pytest.mark.parametrize("gpu", [True, False], ids=["GPU", "processor"])
def test_a_worker_that_sigkill_does_not_end_is_left_behind(cold: Freezer, tmp_path: Path, gpu: bool) -> None:
    """It hangs, is killed, and stays in state D: others go on, and nobody waits for it."""
    victims: list[int] = []
    catcher = threading.Thread(target=lambda: victims.append(frozen_worker(cold, tmp_path)))
    catcher.start()
    engine = LocalEngine(1 + gpu, of_slot=of_slot if gpu else lambda slot: {}, hang_seconds=2.0)
    given = [*tasks("wait", range(1), folder=str(tmp_path)), *tasks("double", range(1, 8))]
    begun = time.monotonic()
    found = run(engine, given)
    took = time.monotonic() - begun
    catcher.join()
    assert state_of(victims[0]) == "D", "it lives, and may for hours"
    assert engine.left_behind == victims
    assert {key: found[key].value for key in range(1, 8)} == {n: 2 * n for n in range(1, 8)}
    assert (found[0].kind, found[0].error) == ("lost", "DeviceLost" if gpu else "Hang")
    assert f"process {victims[0]} does not end, not even by SIGKILL, and is left behind" in found[0].message
    assert took < 40
    assert list(engine.shunned) == ([0] if gpu else [])
    cold.thaw()
    until(lambda: not alive(victims[0]), 10, "the end of a process that was killed long ago")


RUN = """
import sys
from phloem.hpc.local_engine import LocalEngine
from tests.support.engines.hpc_tasks import run, tasks
if __name__ == "__main__":
    engine = LocalEngine(2, hang_seconds=2.0)
    found = run(engine, [*tasks("wait", range(1), folder=sys.argv[1]), *tasks("double", range(1, 3))])
    print(sorted(outcome.kind for outcome in found.values()), engine.left_behind, flush=True)
"""


def test_a_program_ends_though_a_worker_does_not(cold: Freezer, tmp_path: Path) -> None:
    """multiprocessing joins all children when the interpreter ends, without a bound."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], env=environment(), stdout=(tmp_path / "said").open("w")
    )
    try:
        victim = frozen_worker(cold, tmp_path)
        assert process.wait(60) == 0
        assert state_of(victim) == "D"
        assert (tmp_path / "said").read_text() == f"['done', 'done', 'lost'] [{victim}]\n"
    finally:
        process.kill()
        process.wait()
