"""Signals and kills at any moment change nothing in the merged arrays."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from phloem.hpc.local_engine import LocalEngine
from phloem.hpc.tasks import Context, StopFlag, call
from phloem.io.files.journals import read_events
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.run.supervisor import Supervisor
from phloem.jobs.tile.failures import TileFailures
from tests.support.campaigns.campaigns import (
    command,
    count,
    differing,
    end,
    failures,
    merged,
    start,
    succeed,
    wait_for,
    write_campaign,
)
from tests.support.processes import children

pytestmark = pytest.mark.engine


def begun(root: Path) -> int:
    """Attempts that have begun to compute."""
    return count(root, "fresh") + count(root, "resumed")


def checkpoints(root: Path) -> int:
    """Checkpoints that were written."""
    return count(root, "checkpoint")


def losses(root: Path) -> int:
    """Attempts that failed."""
    return len(failures(root))


def exceeds(number: Callable[[Path], int], root: Path, least: int, process: subprocess.Popen[str]) -> bool:
    """Tell whether a number of a campaign has grown, or never will."""
    return number(root) > least or process.poll() is not None


def interrupt(root: Path, number: signal.Signals, group: bool) -> None:
    """Run a campaign, stop it by a signal in the middle of a tile, and look at what it says."""
    before = begun(root)
    process = start("run", root, folder=root.parent)
    try:
        wait_for("a tile that runs", partial(exceeds, begun, root, before, process))
        os.killpg(process.pid, number) if group else os.kill(process.pid, number)
        assert process.wait(120) == 1
    finally:
        end(process)
    said = (root.parent / "stderr").read_text()
    assert f"stopped by {number.name}" in said
    assert f"phloem run {root}" in said
    assert "Traceback" not in said


def test_interrupted_and_resumed(undisturbed: Path, planned_long: Path) -> None:
    for number, group in ((signal.SIGTERM, False), (signal.SIGINT, True), (signal.SIGTERM, True)):
        interrupt(planned_long, number, group)
    assert count(planned_long, "stopped") > 0
    assert count(planned_long, "finished") == 0
    assert failures(planned_long) == [], "an interrupted attempt is no failed one"
    # The last time without what was compiled before: a program compiled anew gives the same bits.
    succeed("run", planned_long, folder=planned_long.parent, JAX_ENABLE_COMPILATION_CACHE="false")
    assert count(planned_long, "stopped") == 3
    assert count(planned_long, "resumed") == 3
    assert differing(merged(undisturbed), merged(planned_long)) == set()
    assert not list((planned_long / "checkpoints").iterdir())


def kill(process: subprocess.Popen[str], whom: str) -> int:
    """Kill the worker, the parent alone, or the whole process group; return how many hits that were."""
    if whom == "worker":
        victims = children(process.pid)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        return len(victims)
    os.kill(process.pid, signal.SIGKILL) if whom == "parent" else os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return 1


def torment(root: Path, victims: Iterable[str], chance: random.Random) -> int:
    """Run a campaign, kill again and again after a checkpoint, then let it finish; return the kills."""
    started: list[subprocess.Popen[str]] = []
    kills, before = 0, begun(root)
    try:
        for whom in victims:
            if not started or started[-1].poll() is not None:
                started.append(start("run", root, folder=root.parent))
            process = started[-1]
            for what, event in (("an attempt that begins", begun), ("a checkpoint", checkpoints)):
                least = before if event is begun else checkpoints(root)
                wait_for(what, partial(exceeds, event, root, least, process))
            time.sleep(chance.uniform(0, 1.2))
            if process.poll() is not None or count(root, "finished"):
                break
            before = begun(root)
            kills += kill(process, whom)
        if started[-1].poll() is None:
            assert started[-1].wait(300) == 0, (root.parent / "stderr").read_text()
    finally:
        for process in started:
            end(process)
    succeed("run", root, folder=root.parent)
    return kills


def test_killed_and_resumed(undisturbed: Path, planned_long: Path) -> None:
    victims = ["group", "parent", "group", "worker", "worker", "worker"]
    kills = torment(planned_long, victims, random.Random(1))
    assert kills >= 4
    assert count(planned_long, "resumed") >= kills
    assert differing(merged(undisturbed), merged(planned_long)) == set()
    lost = [event["message"] for event in failures(planned_long) if event["class"] == "worker lost"]
    assert any("SIGKILL" in message for message in lost), "what a parent sees of its worker"
    assert any("is gone" in message for message in lost), "what the next run sees where both were killed"
    assert all("SIGKILL" in message or "is gone" in message for message in lost)


def test_too_many_losses_end_the_attempts(planned_long: Path) -> None:
    """After as many as the configuration allows, no checkpoint between them, the tile is left to `phloem retry`."""
    keys = ("--set", "failures.worker_lost=2", "--set", "tiles.checkpoint_minutes=1000")
    process = start("run", planned_long, *keys, folder=planned_long.parent)
    try:
        for loss in range(2):
            wait_for("an attempt", partial(exceeds, begun, planned_long, loss, process))
            wait_for("a worker", lambda: kill(process, "worker"))
            wait_for("the loss", partial(exceeds, losses, planned_long, loss, process))
        assert process.wait(120) == 1
    finally:
        end(process)
    said = (planned_long.parent / "stderr").read_text()
    assert "worker lost 2x" in said
    assert f"phloem retry {planned_long}" in said
    assert "T000, T001, T002" in said
    shown = command("status", planned_long, folder=planned_long.parent)
    assert "worker lost 2x" in shown.stdout


def test_set_counts_in_a_planned_campaign(tmp_path: Path) -> None:
    """What does not change results may be set anew when a campaign goes on."""
    succeed("plan", write_campaign(tmp_path, data={"cells": 1}), "--out", "made", folder=tmp_path)
    succeed("run", "made", "--set", "tiles.checkpoint_minutes=0.001", folder=tmp_path)
    assert count(tmp_path / "made", "checkpoint") > 0


def test_asked_to_stop_before_a_part_begins(planned_long: Path) -> None:
    """A tile that is computed in parts and is to stop before the first of them has been interrupted, not failed."""
    flag = StopFlag()
    flag.set(signal.SIGTERM)
    campaign = open_campaign(planned_long)
    task = Supervisor(campaign, LocalEngine(1)).task(0, TileFailures(Counter({"worker lost": 2})))
    assert task.argument.isolate
    outcome = call(task, Context("here", flag, os.getppid(), lambda _message: None))
    assert outcome.kind == "stopped", outcome
    (event,) = [event for event in read_events(planned_long / "journals") if event["event"] == "ended"]
    assert event["class"] == "interrupted"
