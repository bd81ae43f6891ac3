"""Campaigns on Ray that lose a worker, a node or their driver, or are told to stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import count, differing, end, failures, merged, start, succeed, wait_for
from tests.support.engines.killing import Ledger, RayNodes, descendants
from tests.support.processes import alive

pytest.importorskip("ray", reason="the ray engine needs the package ray")
pytestmark = pytest.mark.engine


def test_a_worker_is_killed(four: Path, four_planned: Path) -> None:
    """Ray tries its task again, which goes on from the checkpoint."""
    process = start("run", four_planned, "--engine", "ray", folder=four_planned.parent)
    try:
        with Ledger(four_planned).watching() as ledger:
            wait_for("a checkpoint", lambda: count(four_planned, "checkpoint") or process.poll() is not None)
            assert ledger.kill("worker", ledger.holders()[:1])
            assert process.wait(300) == 0, (four_planned.parent / "stderr").read_text()
    finally:
        end(process)
    assert [event["class"] for event in failures(four_planned)] == ["worker lost"]
    assert differing(merged(four), merged(four_planned)) == set()
    assert ledger.settle() == 1


def test_a_node_is_lost(four: Path, four_planned: Path, ray_nodes: RayNodes) -> None:
    """Its tiles go on elsewhere."""
    process = start("run", four_planned, *ray_nodes.words, folder=four_planned.parent)
    try:
        with Ledger(four_planned).watching() as ledger:
            wait_for("a checkpoint", lambda: count(four_planned, "checkpoint") or process.poll() is not None)
            wait_for("a tile on a node that is not the first", lambda: ray_nodes.busy(ledger))
            assert ray_nodes.kill(ledger, ray_nodes.busy(ledger)[0])
            assert process.wait(300) == 0, (four_planned.parent / "stderr").read_text()
    finally:
        end(process)
        ray_nodes.replace()
    assert differing(merged(four), merged(four_planned)) == set()
    assert ledger.settle() >= 1


def interrupt(root: Path, ledger: Ledger, way: str) -> None:
    """Run the campaign until a checkpoint is written, then tell its driver to stop, or kill it."""
    least = count(root, "checkpoint")
    process = start("run", root, "--engine", "ray", folder=root.parent)
    below: set[int] = set()
    try:
        wait_for("checkpoints", lambda: count(root, "checkpoint") > least or process.poll() is not None)
        below |= {*descendants(process.pid)}
        assert len(below) > 4
        if way == "driver":
            assert ledger.kill(way, [process.pid])
            process.wait()
        else:
            process.terminate()
            assert process.wait(60) == 1
            said = (root.parent / "stderr").read_text()
            assert "stopped by SIGTERM" in said
            assert f"phloem run {root}" in said
            assert "Traceback" not in said
            ledger.excuse("interrupted")
        wait_for("the end of every process", lambda: not [pid for pid in below if alive(pid)], 60)
    finally:
        end(process)
        for pid in filter(alive, below):
            os.kill(pid, signal.SIGKILL)


def test_a_driver_is_told_to_stop_and_another_killed(four: Path, four_planned: Path) -> None:
    """Both leave checkpoints and no process; the next run goes on with them."""
    with Ledger(four_planned).watching() as ledger:
        for way in ("SIGTERM", "driver"):
            interrupt(four_planned, ledger, way)
        assert failures(four_planned) == [], "tiles whose driver is gone keep their state"
        succeed("run", four_planned, "--engine", "ray", folder=four_planned.parent)
    assert count(four_planned, "resumed") >= 2
    assert differing(merged(four), merged(four_planned)) == set()
    assert ledger.settle() >= 2
