"""Campaigns in MPI worlds that lose a rank or a worker, or are told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from phloem.hpc.mpi_engine import find_launcher
from tests.support.campaigns.campaigns import command, count, differing, failures, merged, start, succeed, wait_for
from tests.support.engines.killing import Ledger, descendants, ranks, worker_processes
from tests.support.processes import alive

pytest.importorskip("mpi4py", reason="the mpi engine needs the package mpi4py")
pytestmark = pytest.mark.engine

Process = subprocess.Popen[str]


class World:
    """A `phloem run` in a world of two ranks, and what is below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.process = start("run", root, "--engine", "mpi", folder=root.parent)
        self.below: set[int] = set()

    def compute(self) -> None:
        """Wait until both ranks have a worker that has kept some of its work."""
        least = count(self.root, "checkpoint")
        wait_for("two workers", lambda: len(self.workers()) == 2 or self.process.poll() is not None)
        wait_for("checkpoints", lambda: count(self.root, "checkpoint") > least + 1 or self.process.poll() is not None)
        assert self.process.poll() is None, self.said()
        self.below |= {*descendants(self.process.pid)}

    def ranks(self) -> list[int]:
        return ranks(self.process.pid)

    def workers(self) -> list[int]:
        return worker_processes(self.process.pid)

    def said(self) -> str:
        return (self.root.parent / "stderr").read_text()

    def left(self) -> list[int]:
        """Return which of its processes are still there."""
        return [pid for pid in self.below if alive(pid)]

    def close(self) -> None:
        self.below |= {*descendants(self.process.pid)}
        self.process.kill()
        self.process.wait()
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def world(four_planned: Path) -> Iterator[World]:
    world = World(four_planned)
    yield world
    world.close()


def test_a_rank_is_killed(four: Path, world: World) -> None:
    """The world ends, nothing of it is left, and the next run goes on from the checkpoints."""
    with Ledger(world.root).watching() as ledger:
        world.compute()
        both = world.ranks()
        assert len(both) == 2
        assert ledger.kill("rank", [both[1]], lambda: both)
        assert world.process.wait(30) == 1
        assert "what was done is kept" in world.said()
        assert f"phloem run {world.root}" in world.said()
        assert len(world.below) >= 6
        wait_for("the end of every process", lambda: not world.left(), 30)
        succeed("run", world.root, "--engine", "mpi", folder=world.root.parent)
    assert count(world.root, "resumed") >= 1
    assert differing(merged(four), merged(world.root)) == set()
    assert ledger.settle() >= 1


def test_a_worker_is_killed(four: Path, world: World) -> None:
    """Its rank replaces it; the world goes on."""
    with Ledger(world.root).watching() as ledger:
        world.compute()
        assert ledger.kill("worker", [world.workers()[0]])
        assert world.process.wait(300) == 0, world.said()
    assert [event["class"] for event in failures(world.root)] == ["worker lost"]
    assert differing(merged(four), merged(world.root)) == set()
    assert ledger.settle() == 1
    assert not world.left()


def test_the_launching_process_is_killed(four: Path, world: World) -> None:
    """The ranks keep their tiles and end: no world goes on that nobody waits for."""
    world.compute()
    stopped = count(world.root, "stopped")
    with Ledger(world.root).watching() as ledger:
        assert ledger.kill("launcher", [world.process.pid])
    world.process.wait()
    wait_for("the end of every process", lambda: not world.left(), 60)
    assert count(world.root, "stopped") == stopped + 2
    assert failures(world.root) == []


def stop(world: World, number: signal.Signals) -> None:
    """Send a signal to the process that has started the world, and look at what becomes of it."""
    try:
        world.compute()
        stopped = count(world.root, "stopped")
        world.process.send_signal(number)
        assert world.process.wait(60) == 1
        assert count(world.root, "stopped") == stopped + 2, "both ranks have kept their tile"
        said = world.said()
        assert said.count("checkpoints are kept. Go on with:") == 1, said
        assert f"phloem run {world.root}" in said
        assert "Traceback" not in said
        assert not world.left()
    finally:
        world.close()


def test_stop_signals(four: Path, four_planned: Path) -> None:
    """Each is passed on to the ranks, whose tiles are kept; the next run goes on with them."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        stop(World(four_planned), number)
    assert failures(four_planned) == []
    succeed("run", four_planned, "--engine", "mpi", folder=four_planned.parent)
    assert differing(merged(four), merged(four_planned)) == set()


def test_an_error_on_one_rank_ends_all(four_planned: Path, tmp_path: Path) -> None:
    """A rank that fails by itself does not leave the others waiting for it."""
    faults = tmp_path / "faults"
    faults.mkdir()
    (faults / "sitecustomize.py").write_text(FAULT)
    words = [find_launcher(), "-n", "2", sys.executable, "-m", "mpi4py", "-m", "phloem", "run", str(four_planned)]
    environment = {**os.environ, "PYTHONPATH": str(faults)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1
    assert "this rank has a bug" in done.stderr


FAULT = '''
"""Rank 1 fails where it begins to supervise."""

import os
import sys

if os.environ.get("PMI_RANK") == "1" and "phloem" in sys.orig_argv:
    from importlib.abc import MetaPathFinder

    class Trap(MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name == "phloem.jobs.run.mpi_world":
                raise RuntimeError("this rank has a bug")

    sys.meta_path.insert(0, Trap())
'''


def test_wrong_input_is_said_once(four_file: Path, tmp_path: Path) -> None:
    for words in (["--set", "optimiser.iterations=-1"], ["--set", 'data.kind="tower"', "--set", 'data.path="none"']):
        given = ["run", str(four_file), *words, "--out", "made"]
        launched = command(*given, "--engine", "mpi", folder=tmp_path)
        by_hand = [find_launcher(), "-n", "2", sys.executable, "-m", "mpi4py", "-m", "phloem", *given]
        done = subprocess.run(by_hand, cwd=tmp_path, capture_output=True, text=True, timeout=200)
        assert launched.returncode == done.returncode == 2, (launched.stderr, done.stderr)
        assert launched.stderr.count("phloem: ") == done.stderr.count("phloem: ") == 1
        assert "Traceback" not in launched.stderr + done.stderr
