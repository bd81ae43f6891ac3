"""Campaigns on Ray that lose a worker, a node or their driver, or are told to stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from campaigns import OFTEN, count, differing, end, failures, merged, start, succeed, wait_for, write_campaign
from killing import Ledger, RayNodes, descendants, is_alive

pytest.importorskip("ray", reason="the ray engine needs the package ray")
pytestmark = pytest.mark.engine


def write(folder: Path) -> Path:
    """Write the campaign: 3 tiles, long enough to be hit, two at a time."""
    tiles = {"cells": 1, "checkpoint_minutes": OFTEN}
    return write_campaign(folder, optimiser={"iterations": 4000}, tiles=tiles, engine={"name": "ray", "workers": 2})


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory, compiled: None) -> Path:
    """The campaign, run without a disturbance on the local engine."""
    folder = tmp_path_factory.mktemp("quiet")
    succeed("run", write(folder), "--engine", "local", "--out", "made", folder=folder)
    return folder / "made"


@pytest.fixture
def planned(tmp_path: Path, compiled: None) -> Path:
    """The campaign, planned and not yet run."""
    succeed("plan", write(tmp_path), "--out", "made", folder=tmp_path)
    return tmp_path / "made"


def test_a_worker_is_killed(quiet: Path, planned: Path) -> None:
    """Ray tries its task again, which goes on from the checkpoint."""
    process = start("run", planned, folder=planned.parent)
    try:
        with Ledger(planned).watching() as ledger:
            wait_for("a checkpoint", lambda: count(planned, "checkpoint") or process.poll() is not None)
            assert ledger.kill("worker", ledger.holders()[:1])
            assert process.wait(300) == 0, (planned.parent / "stderr").read_text()
    finally:
        end(process)
    assert [event["class"] for event in failures(planned)] == ["worker lost"]
    assert differing(merged(quiet), merged(planned)) == set()
    assert ledger.settle() == 1


def test_a_node_is_lost(quiet: Path, planned: Path, ray_nodes: RayNodes) -> None:
    """Its tiles go on elsewhere."""
    process = start("run", planned, *ray_nodes.words, folder=planned.parent)
    try:
        with Ledger(planned).watching() as ledger:
            wait_for("a checkpoint", lambda: count(planned, "checkpoint") or process.poll() is not None)
            wait_for("a tile on a node that is not the first", lambda: ray_nodes.busy(ledger))
            assert ray_nodes.kill(ledger, ray_nodes.busy(ledger)[0])
            assert process.wait(300) == 0, (planned.parent / "stderr").read_text()
    finally:
        end(process)
        ray_nodes.replace()
    assert differing(merged(quiet), merged(planned)) == set()
    assert ledger.settle() >= 1


def test_a_driver_is_told_to_stop_and_another_killed(quiet: Path, planned: Path) -> None:
    """Both leave checkpoints and no process; the next run goes on with them."""
    with Ledger(planned).watching() as ledger:
        for way in ("SIGTERM", "driver"):
            least = count(planned, "checkpoint")
            process = start("run", planned, folder=planned.parent)
            below: set[int] = set()
            try:
                wait_for("checkpoints", lambda: count(planned, "checkpoint") > least or process.poll() is not None)
                below = {*descendants(process.pid)}
                assert len(below) > 4
                if way == "driver":
                    assert ledger.kill(way, [process.pid])
                    process.wait()
                else:
                    process.terminate()
                    assert process.wait(60) == 1
                    said = (planned.parent / "stderr").read_text()
                    assert "stopped by SIGTERM" in said
                    assert f"phloem run {planned}" in said
                    assert "Traceback" not in said
                    ledger.excuse("interrupted")
                wait_for("the end of every process", lambda: not [pid for pid in below if is_alive(pid)], 60)
            finally:
                end(process)
                for pid in filter(is_alive, below):
                    os.kill(pid, signal.SIGKILL)
        assert failures(planned) == [], "tiles whose driver is gone keep their state"
        succeed("run", planned, folder=planned.parent)
    assert count(planned, "resumed") >= 2
    assert differing(merged(quiet), merged(planned)) == set()
    assert ledger.settle() >= 2
