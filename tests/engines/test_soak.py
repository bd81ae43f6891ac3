"""Kills by the hundred, over whole campaigns on the local engine, Ray and MPI: the same bits, no work without a cause.

PHLOEM_KILLS sets how many there are on the local engine, 1,000 by default; on Ray and MPI a twentieth each.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import differing, merged, read_events, start, succeed, write_campaign
from tests.support.campaigns.campaigns import end as end_group
from tests.support.engines.killing import Ledger, RayNodes, descendants, pause, ranks, worker_processes
from tests.support.processes import children

pytestmark = [pytest.mark.engine, pytest.mark.soak, pytest.mark.timeout(4 * 3600)]

KILLS = int(os.environ.get("PHLOEM_KILLS", "1000"))
A_CAMPAIGN = 50
"""So many kills a campaign takes at most; then it may end."""

Strike = Callable[[Ledger, "subprocess.Popen[str]", random.Random], None]


@dataclass
class Quiet:
    """The campaign, run without a disturbance.

    Attributes:
        root: its directory.
        seconds: from the start of the command to the first checkpoint, on this machine as busy as it is.
    """

    root: Path
    seconds: float


def write(folder: Path) -> Path:
    """Write the campaign: 7 tiles of 2 cells, four at a time, checkpoints as often as can be, no end of losses."""
    return write_campaign(
        folder,
        data={"cells": 14},
        optimiser={"iterations": 2000},
        tiles={"cells": 2, "checkpoint_minutes": 0.005},
        engine={"workers": 4},
        failures={"worker_lost": 10**6, "node_lost": 10**6, "max_failures": 10**6},
    )


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Quiet:
    folder = tmp_path_factory.mktemp("quiet")
    for name in ("first", "second"):  # the first compiles, which is done once for all
        begun = time.time()
        succeed("run", write(folder), "--out", name, folder=folder)
    root = folder / "second"
    events = [line for log in root.glob("logs/*.log") for line in read_events(log) if line["event"] == "checkpoint"]
    return Quiet(root, min(line["time"] for line in events) - begun)


def torment(quiet: Quiet, root: Path, most: int, chance: random.Random, strike: Strike, *words: str) -> Ledger:
    """Run a campaign, kill at random moments, start it again as soon as it is dead; at last let it end.

    Of four workers one is killed every sixth of the time from the start of a run to a checkpoint: some get that far.
    """
    ledger, folder = Ledger(root), root.parent
    process = start("run", root, *words, folder=folder)
    try:
        with ledger.watching():
            while len(ledger.kills) < most:
                pause(quiet.seconds * chance.uniform(0.02, 0.3), process)
                if process.poll() is None:
                    strike(ledger, process, chance)
                elif process.returncode == 0:
                    break
                else:
                    said = (folder / "stderr").read_text()
                    assert process.returncode < 0 or ledger.kills[-1].whom != "worker" or "no more here" in said, said
                    process = start("run", root, *words, folder=folder)
            if process.wait(1800):
                succeed("run", root, *words, folder=folder)
    finally:
        end_group(process)
    return ledger


def strike_local(ledger: Ledger, process: subprocess.Popen[str], chance: random.Random) -> None:
    """Kill a worker, the parent alone, or all of them at once."""
    workers = children(process.pid)
    whom = chance.choices(("worker", "parent", "group"), (10, 1, 1))[0]
    if workers and whom == "worker":
        ledger.kill(whom, [chance.choice(workers)])
    elif workers:
        ledger.kill(whom, [process.pid, *([*descendants(process.pid)] if whom == "group" else [])])
        process.wait()


def check(quiet: Quiet, root: Path, ledger: Ledger) -> str:
    """Compare a tormented campaign with a quiet one; return what is to be told of it."""
    ends = Counter(event["class"] for event in read_events(root / "journals") if event["event"] == "ended")
    assert set(ends) <= {"worker lost", "node lost", "interrupted"}
    assert differing(merged(quiet.root), merged(root)) == set()
    futile = ledger.settle()
    apart = {line["tile"] for log in root.glob("logs/*.log") for line in read_events(log) if "part" in line}
    return f"{ledger.count().total()} kills, {futile} attempts ended by them, {len(apart)} tiles computed in parts"


def soak(quiet: Quiet, folder: Path, kills: int, strike: Strike, *words: str) -> Counter[str]:
    """Torment campaign after campaign until there were enough kills; return them by victim."""
    chance, counts, round_ = random.Random(kills), Counter[str](), 0
    while (left := kills - counts.total()) > 0:
        here = folder / str(round_)
        here.mkdir()
        succeed("plan", write(here), "--out", "made", folder=here)
        ledger = torment(quiet, here / "made", min(A_CAMPAIGN, left), chance, strike, *words)
        assert ledger.kills
        counts += ledger.count()
        told = check(quiet, here / "made", ledger)
        print(f"{time.strftime('%X')} campaign {round_}: {told}; in all {dict(counts)}", flush=True)
        round_ += 1
    return counts


def test_local(quiet: Quiet, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    counts = soak(quiet, tmp_path, KILLS, strike_local)
    assert counts.total() >= KILLS
    assert min(counts[whom] for whom in ("worker", "parent", "group")) >= KILLS // 50
    record_property("faults", f"local engine: SIGKILLs {dict(counts)}")


def test_ray(quiet: Quiet, tmp_path: Path, ray_nodes: RayNodes, record_property: Callable[[str, object], None]) -> None:
    pytest.importorskip("ray", reason="the ray engine needs the package ray")

    def strike(ledger: Ledger, _process: subprocess.Popen[str], chance: random.Random) -> None:
        """Kill a worker that computes a tile, or a node with all of them."""
        ray_nodes.replace()
        holders, nodes = ledger.holders(), ray_nodes.busy(ledger)
        if nodes and chance.random() < 0.3:
            ray_nodes.kill(ledger, chance.choice(nodes))
        elif holders:
            ledger.kill("worker", [chance.choice(holders)])

    counts = soak(quiet, tmp_path, KILLS // 20, strike, *ray_nodes.words)
    ray_nodes.replace()
    assert counts.total() >= KILLS // 20
    assert min(counts[whom] for whom in ("worker", "node")) > 0
    record_property("faults", f"Ray: SIGKILLs {dict(counts)}")


def strike_mpi(ledger: Ledger, process: subprocess.Popen[str], chance: random.Random) -> None:
    """Kill a rank, which ends the world, or a worker, which does not."""
    both, workers = ranks(process.pid), worker_processes(process.pid)
    if len(both) == 2 and workers and chance.random() < 0.3:
        if ledger.kill("rank", [chance.choice(both)], lambda: both):
            process.wait()
    elif workers:
        ledger.kill("worker", [chance.choice(workers)])


def test_mpi(quiet: Quiet, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    pytest.importorskip("mpi4py", reason="the mpi engine needs the package mpi4py")
    counts = soak(quiet, tmp_path, KILLS // 20, strike_mpi, "--engine", "mpi", "--workers", "2")
    assert counts.total() >= KILLS // 20
    assert min(counts[whom] for whom in ("worker", "rank")) > 0
    record_property("faults", f"MPI: SIGKILLs {dict(counts)}")
