"""Kills by the hundred, over whole campaigns on the local engine, Ray and MPI: nothing is lost, nothing computed in vain.

PHLOEM_KILLS sets how many there are on the local engine, 1,000 by default; on Ray and MPI a twentieth each.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from campaigns import OFTEN, differing, merged, read_events, start, succeed, write_campaign
from campaigns import end as end_group
from killing import Ledger, descendants, is_alive, pause
from processes import children

pytestmark = [pytest.mark.engine, pytest.mark.soak, pytest.mark.timeout(4 * 3600)]

KILLS = int(os.environ.get("PHLOEM_KILLS", "1000"))
A_CAMPAIGN = 100
"""So many kills a campaign takes at most; then it may end."""

Strike = Callable[[Ledger, "subprocess.Popen[str]", random.Random], bool]


def write(folder: Path) -> Path:
    """Write the campaign: 8 tiles of 2 cells, four at a time, checkpoints as often as can be, no end of losses."""
    return write_campaign(
        folder,
        data={"cells": 16},
        optimiser={"iterations": 2000},
        tiles={"cells": 2, "checkpoint_minutes": OFTEN},
        engine={"workers": 4},
        failures={"worker_lost": 10**6, "node_lost": 10**6, "max_failures": 10**6},
    )


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory, compiled: None) -> Path:
    """The campaign, run without a disturbance."""
    folder = tmp_path_factory.mktemp("quiet")
    succeed("run", write(folder), "--out", "made", folder=folder)
    return folder / "made"


def torment(root: Path, most: int, chance: random.Random, strike: Strike, *words: str) -> Ledger:
    """Run a campaign, kill at random moments, start it again as soon as it is dead; at last let it end."""
    ledger, folder = Ledger(root), root.parent
    process = start("run", root, *words, folder=folder)
    try:
        with ledger.watching():
            while len(ledger.kills) < most:
                pause(lambda: chance.uniform(0.2, 2.0), lambda: process.poll() is None)
                if process.poll() is None:
                    strike(ledger, process, chance)
                elif process.returncode == 0:
                    break
                else:
                    assert ledger.kills[-1].whom != "worker", (folder / "stderr").read_text()
                    process = start("run", root, *words, folder=folder)
            if process.wait(1800):
                succeed("run", root, *words, folder=folder)
    finally:
        end_group(process)
    return ledger


def strike_local(ledger: Ledger, process: subprocess.Popen[str], chance: random.Random) -> bool:
    """Kill a worker, the parent alone, or all of them at once."""
    workers = children(process.pid)
    whom = chance.choices(("worker", "parent", "group"), (8, 1, 1))[0]
    if not workers:
        return False
    if whom == "worker":
        return ledger.kill(whom, [chance.choice(workers)])
    hit = ledger.kill(whom, [process.pid, *([*descendants(process.pid)] if whom == "group" else [])])
    process.wait()
    return hit


def check(quiet: Path, root: Path, ledger: Ledger) -> str:
    """Compare a tormented campaign with a quiet one; return what is to be told of it."""
    ends = Counter(event["class"] for event in read_events(root / "journals") if event["event"] == "ended")
    assert set(ends) <= {"worker lost", "node lost", "interrupted"}
    assert differing(merged(quiet), merged(root)) == set()
    futile = ledger.settle()
    apart = {line["tile"] for log in root.glob("logs/*.log") for line in read_events(log) if "part" in line}
    return f"{dict(ledger.count())} kills, {futile} attempts ended by them, {len(apart)} tiles computed in parts"


def soak(quiet: Path, folder: Path, kills: int, strike: Strike, *words: str) -> Counter[str]:
    """Torment campaign after campaign until there were enough kills; return them by victim."""
    chance, counts, round_ = random.Random(kills), Counter[str](), 0
    while (left := kills - counts.total()) > 0:
        here = folder / str(round_)
        here.mkdir()
        succeed("plan", write(here), "--out", "made", folder=here)
        ledger = torment(here / "made", min(A_CAMPAIGN, left), chance, strike, *words)
        assert ledger.kills
        counts += ledger.count()
        print(f"campaign {round_}: {check(quiet, here / 'made', ledger)}; in all {counts.total()}", flush=True)
        round_ += 1
    return counts


def test_local(quiet: Path, tmp_path: Path) -> None:
    counts = soak(quiet, tmp_path, KILLS, strike_local)
    assert counts.total() >= KILLS
    assert min(counts[whom] for whom in ("worker", "parent", "group")) >= KILLS // 50
