"""The local engine with real worker processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phloem.hpc.local_engine import LocalEngine
from phloem.hpc.tasks import Task
from phloem.hpc.usable_cores import usable_cores
from tests.support.engines.hpc_tasks import run, tasks
from tests.support.processes import alive, children, until

pytestmark = pytest.mark.engine

Parent = Callable[[], "subprocess.Popen[str]"]


def test_every_task_once() -> None:
    said = []
    engine = LocalEngine(2, on_report=lambda key, message: said.append((key, message)))
    found = run(engine, tasks("double", range(12)))
    assert {key: outcome.value for key, outcome in found.items()} == {n: 2 * n for n in range(12)}
    assert {outcome.kind for outcome in found.values()} == {"done"}
    assert sorted(said) == [(n, f"doubling {n}") for n in range(12)]
    assert not children(os.getpid()), "no worker is left"


def test_more_workers_than_tasks() -> None:
    assert {key: outcome.value for key, outcome in run(LocalEngine(4), tasks("double", range(2))).items()} == {
        0: 0,
        1: 2,
    }
    assert run(LocalEngine(2), []) == {}


def test_a_task_that_raises_costs_only_itself() -> None:
    given = [*tasks("double", range(2)), *tasks("fail", range(2, 3)), *tasks("run_out", range(3, 4))]
    given += [Task(4, "tests.support.engines.hpc_tasks:no_such", {}), *tasks("double", range(5, 7))]
    found = run(LocalEngine(1), given)
    assert [found[key].kind for key in range(7)] == ["done", "done", "failed", "failed", "failed", "done", "done"]
    assert (found[2].error, found[2].message) == ("ValueError", "number 2 is not liked")
    assert "hpc_tasks.py" in found[2].value
    assert (found[3].error, found[3].message) == ("MemoryError", "out of memory")
    assert found[4].error == "AttributeError"


def test_environment_of_the_workers() -> None:
    engine = LocalEngine(1, environment={"OF_THE_WORKERS": "yes"})
    assert run(engine, tasks("environment", range(1), name="OF_THE_WORKERS"))[0].value == "yes"
    assert "OF_THE_WORKERS" not in os.environ


def test_a_killed_worker_loses_its_own_task_only(tmp_path: Path) -> None:
    def kill() -> None:
        victim = until(lambda: list(tmp_path.iterdir()))[0]
        os.kill(int(victim.name), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    given = [
        *tasks("double", range(2)),
        *tasks("wait", range(2, 3), folder=str(tmp_path)),
        *tasks("double", range(3, 9)),
    ]
    found = run(LocalEngine(2), given)
    killer.join()
    assert (found[2].kind, found[2].error) == ("lost", "WorkerLost")
    assert "SIGKILL" in found[2].message
    assert {key: found[key].value for key in found if key != 2} == {n: 2 * n for n in range(9) if n != 2}


def test_every_worker_may_be_lost(tmp_path: Path) -> None:
    """With one worker, each later task needs a new one."""
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set():
            for victim in tmp_path.iterdir():
                os.kill(int(victim.name), signal.SIGKILL)
                victim.unlink()
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    given = [*tasks("wait", range(2), folder=str(tmp_path)), *tasks("double", range(2, 3))]
    found = run(LocalEngine(1), given)
    stop.set()
    killer.join()
    assert [found[key].kind for key in range(3)] == ["lost", "lost", "done"]


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    """Start a process that waits in two workers; nothing of it is left afterwards."""
    started = []

    def start() -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "tests.support.engines.hpc_tasks", str(tmp_path)]
        started.append(
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        )
        return started[-1]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2])
@pytest.mark.parametrize("group", [False, True], ids=["parent", "group"])
def test_a_stop_signal(parent: Parent, tmp_path: Path, number: signal.Signals, group: bool) -> None:
    process = parent()
    workers = until(lambda: len(list(tmp_path.iterdir())) == 2 and children(process.pid))
    os.killpg(process.pid, number) if group else os.kill(process.pid, number)
    said, _ = process.communicate(timeout=30)
    assert said.splitlines() == ["stopped state kept", "stopped state kept", f"flag {number.name}"]
    assert not any(map(alive, workers))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("group", [False, True], ids=["parent", "group"])
def test_a_stop_signal_while_workers_start(parent: Parent, number: signal.Signals, group: bool) -> None:
    """A worker that has not begun loses nothing: its task is stopped, not lost."""
    process = parent()
    until(lambda: children(process.pid))
    os.killpg(process.pid, number) if group else os.kill(process.pid, number)
    said, _ = process.communicate(timeout=30)
    assert said.splitlines()[-1] == f"flag {number.name}"
    assert "lost" not in said
    assert "Traceback" not in said


def test_workers_end_with_a_killed_parent(parent: Parent, tmp_path: Path) -> None:
    process = parent()
    workers = until(lambda: len(list(tmp_path.iterdir())) == 2 and children(process.pid))
    assert len(workers) == 2
    assert all(map(alive, workers))
    process.kill()
    until(lambda: not any(map(alive, workers)), 10)


def test_usable_cores() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_tasks_are_asked_for_when_a_worker_is_there() -> None:
    asked: list[int] = []

    def endless() -> Iterator[Task]:
        for task in tasks("double", range(1_000_000)):
            asked.append(task.key)
            yield task

    engine = LocalEngine(2)
    outcomes = engine.run(endless())
    first = [next(outcomes).key for _ in range(3)]
    assert len(asked) <= len(first) + 3, "two at work and one ahead"
    outcomes.close()
    assert not children(os.getpid())


def test_what_comes_up_later_goes_to_an_idle_worker() -> None:
    """An iterator that has ended is asked again: what failed is not kept waiting by a task that is long."""

    waiting = [*tasks("nap", range(1), seconds=8.0), *tasks("fail", range(1, 2))]

    class Growing(Iterator[Task]):
        def __next__(self) -> Task:
            if not waiting:
                raise StopIteration
            return waiting.pop(0)

    ended = []
    for outcome in LocalEngine(2).run(Growing()):
        ended.append(outcome.key)
        if outcome.kind == "failed":
            waiting.extend(tasks("double", range(2, 3)))
    assert ended == [1, 2, 0]


def test_a_crash_says_where_it_was() -> None:
    found = run(LocalEngine(1), [*tasks("crash", range(1)), *tasks("double", range(1, 3))])
    assert [found[key].kind for key in range(3)] == ["lost", "done", "done"]
    assert (found[0].error, "SIGSEGV" in found[0].message) == ("WorkerLost", True)
    assert "Segmentation fault" in found[0].value
    assert "in crash" in found[0].value


def test_a_worker_that_says_nothing_is_killed_and_says_where_it_hung() -> None:
    said = []
    engine = LocalEngine(1, hang_seconds=2.0, on_report=lambda key, message: said.append(key))
    found = run(engine, [*tasks("hang", range(1)), *tasks("double", range(1, 2))])
    assert (found[0].kind, found[0].error) == ("lost", "Hang")
    assert "said nothing" in found[0].message
    assert "in hang" in found[0].value
    assert found[1].value == 2
    assert said == [0, 1]


def test_a_worker_that_holds_too_much_is_killed() -> None:
    found = run(LocalEngine(1, memory_bytes=300 * 2**20), [*tasks("hold", range(1)), *tasks("double", range(1, 2))])
    assert (found[0].kind, found[0].error) == ("lost", "MemoryError")
    assert "GiB" in found[0].message
    assert found[1].value == 2


def test_whoever_is_asked_may_stop_it(tmp_path: Path) -> None:
    engine = LocalEngine(1, stopping=lambda: bool(list(tmp_path.iterdir())))
    found = run(engine, tasks("wait", range(3), folder=str(tmp_path)))
    assert [outcome.kind for outcome in found.values()] == ["stopped"]
    assert engine.flag.name == "parent gone"
