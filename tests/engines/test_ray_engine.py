"""The Ray engine on the real Ray: a local one, and clusters of three nodes on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_tasks import run, tasks

from phloem.hpc import EngineError, RayEngine, Task

pytest.importorskip("ray", reason="the ray engine needs the package ray")
pytestmark = pytest.mark.engine

Campaign = Callable[..., "subprocess.Popen[str]"]


def wait_for(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def descendants(root: int) -> dict[int, str]:
    """Return the living processes below one, by their command lines."""
    parents, lines = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                parents[int(entry.name)] = int(parent)
                lines[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    below = {root}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return {pid: lines[pid] for pid in below - {root} if pid in lines}


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def marks(folder: Path, name: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(name))


def ray_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("phloem-ray-*"))


def test_outcomes_reports_and_what_is_left(tmp_path: Path) -> None:
    """Everything that ends a task in a Ray that lives on."""
    said: list[tuple[int, str]] = []
    before = ray_folders()
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    engine = RayEngine(2, on_report=lambda key, message: said.append((key, message)), worker_retries=2)
    given = [*tasks("double", range(6)), *tasks("fail", range(6, 7)), *tasks("run_out", range(7, 8))]
    given += [*tasks("cannot_be_sent", range(8, 9)), Task(9, "ray_tasks:no_such", {})]
    given += [*tasks("die", range(10, 11), folder=str(tmp_path), deaths=2)]
    given += [*tasks("die", range(11, 12), folder=str(tmp_path), deaths=9), *tasks("double", range(12, 13))]
    found = run(engine, given)
    assert {key: found[key].value for key in (*range(6), 12)} == {n: 2 * n for n in (*range(6), 12)}
    assert sorted(said) == [(n, f"doubling {n}") for n in (*range(6), 12)]
    assert (found[6].kind, found[6].error, found[6].message) == ("failed", "ValueError", "number 6 is not liked")
    assert "ray_tasks.py" in found[6].value
    assert (found[7].kind, found[7].error, found[7].message) == ("failed", "MemoryError", "out of memory")
    assert (found[8].kind, found[8].error) == ("failed", "TypeError")
    assert (found[9].kind, found[9].error) == ("failed", "AttributeError")
    assert marks(tmp_path, "deaths-10") == 2
    assert (found[10].kind, found[10].value) == ("done", 3), "Ray tried again after each death"
    assert marks(tmp_path, "deaths-11") == 3
    assert (found[11].kind, found[11].error) == ("lost", "WorkerLost")
    assert not descendants(os.getpid()), "no process is left"
    assert ray_folders() == before, "nor a file"
    assert handlers == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


def test_listens_on_loopback_only_and_runs_no_more_than_its_workers(tmp_path: Path) -> None:
    engine = RayEngine(2)
    listening: set[str] = set()
    met = []
    for outcome in engine.run(tasks("meet", range(8), folder=str(tmp_path))):
        met.append(outcome.value)
        mine = descendants(os.getpid())
        shown = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
        listening |= {line.split()[3] for line in shown.splitlines() if any(f"pid={pid}," in line for pid in mine)}
    assert len(met) == 8
    assert max(met) == 2
    assert len(listening) >= 5
    assert {address.rpartition(":")[0] for address in listening} <= {"127.0.0.1", "[::ffff:127.0.0.1]", "[::1]"}


def test_environment_is_there_before_the_interpreter(tmp_path: Path) -> None:
    """PYTHONPATH is read once, when Python starts: a module that only it leads to shows that it was set before."""
    (tmp_path / "only_there.py").write_text("def name(arguments, context):\n    return __name__\n")
    wanted = {"JAX_PLATFORMS": "cpu", "NPROC": "1", "OMP_NUM_THREADS": "3", "PYTHONPATH": str(tmp_path)}
    engine = RayEngine(1, environment=wanted)
    found = run(engine, [Task(0, "only_there:name", {}), *tasks("environment", range(1, 2), names=list(wanted))])
    assert found[0].value == "only_there"
    assert found[1].value == wanted | {"PYTHONPATH": found[1].value["PYTHONPATH"]}
    assert str(tmp_path) in found[1].value["PYTHONPATH"].split(os.pathsep)
    assert not set(wanted) & set(os.environ) - {"PYTHONPATH"}


def test_tasks_are_taken_as_there_is_room() -> None:
    taken, ahead = 0, []

    def endless() -> Iterator[Task]:
        nonlocal taken
        for task in tasks("double", range(500)):
            taken += 1
            yield task

    ended = set()
    for outcome in RayEngine(2).run(endless()):
        ended.add((outcome.key, outcome.value))
        ahead.append(taken - len(ended))
    assert ended == {(n, 2 * n) for n in range(500)}
    assert max(ahead) <= 4, "twice the workers"


def test_no_tasks_need_no_ray() -> None:
    assert run(RayEngine(1, address="127.0.0.1:1"), []) == {}


def test_a_closed_generator_stops_what_runs(tmp_path: Path) -> None:
    outcomes = RayEngine(2).run([*tasks("double", range(1)), *tasks("wait", range(1, 3), folder=str(tmp_path))])
    assert next(outcomes).value == 0
    wait_for(lambda: list(tmp_path.glob("running-*")))
    outcomes.close()
    assert len(list(tmp_path.glob("kept-*"))) == len(list(tmp_path.glob("running-*"))) > 0
    assert not descendants(os.getpid())


def test_more_than_any_node_has() -> None:
    with pytest.raises(EngineError, match="1 GPU, where no node has more than 0"):
        run(RayEngine(1, gpus_per_task=1), tasks("double", range(2)))
    assert not descendants(os.getpid())


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[Campaign]:
    """Start a process that waits in two workers; nothing of it is left afterwards."""
    started: list[subprocess.Popen[str]] = []
    below: set[int] = set()

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(__file__).with_name("ray_tasks.py")), str(tmp_path), *words]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        started.append(process)
        wait_for(lambda: len(list(tmp_path.glob("running-*"))) == 2)
        below.update(descendants(process.pid))
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    for pid in filter(alive, below):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def workers(folder: Path) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in folder.glob("running-*")]


def kept(folder: Path) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in folder.glob("kept-*")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("whom", ["process", "group", "everyone"])
def test_a_stop_signal(campaign: Campaign, tmp_path: Path, number: signal.Signals, whom: str) -> None:
    """To the process, to its group (a terminal's Ctrl-C), to every process of the job (a batch system)."""
    process = campaign()
    below = descendants(process.pid)
    assert any("raylet" in line for line in below.values())
    if whom == "group":
        os.killpg(process.pid, number)
    else:
        for pid in [*below] * (whom == "everyone") + [process.pid]:
            os.kill(pid, number)
    said, _ = process.communicate(timeout=30)
    lines = ["stopped state kept", "stopped state kept", f"flag {number.name}", "handlers True"]
    assert said.splitlines() == lines
    assert sorted(kept(tmp_path)) == sorted(workers(tmp_path))
    assert not any(map(alive, below))


@pytest.mark.parametrize("whom", ["campaign", "driver"])
def test_workers_end_with_whoever_runs_them(campaign: Campaign, tmp_path: Path, whom: str) -> None:
    before = ray_folders()
    process = campaign()
    below = descendants(process.pid)
    drivers = [pid for pid, line in below.items() if "ray_driver" in line]
    assert len(drivers) == 1
    os.kill(process.pid if whom == "campaign" else drivers[0], signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in workers(tmp_path)[:2]), 15)
    if whom == "campaign":
        wait_for(lambda: not any(map(alive, below)), 15)
        wait_for(lambda: ray_folders() == before, 15)
        assert sorted(kept(tmp_path)) == sorted(workers(tmp_path))
