"""A growth-curve campaign on a grid is killed again and again, and ends with the bits of an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from phloem.io.drivers.store import Store
from tests.support.campaigns.campaigns import count, differing, end, merged, start, succeed, wait_for
from tests.support.campaigns.stores import SHORT, write_grid_campaign

pytestmark = pytest.mark.engine

KILLS = 5


def test_five_kills_change_no_bit(store: Store, tmp_path: Path) -> None:
    longer = {**SHORT, "iterations": 150, "window_iterations": [40, 20], "tolerance": 1e-9}
    write_grid_campaign(
        tmp_path, store, optimiser=longer, tiles={"cells": 2, "checkpoint_minutes": 0.01}, engine={"workers": 2}
    )
    succeed("run", "made.toml", "--out", "calm", folder=tmp_path)
    succeed("plan", "made.toml", "--out", "hard", folder=tmp_path)
    dice = random.Random(6)
    root, killed, resumed = tmp_path / "hard", 0, 0
    for _ in range(KILLS):
        before = count(root, "checkpoint")
        process = start("run", "made.toml", "--out", "hard", folder=tmp_path)
        try:
            wait_for("a checkpoint", lambda: count(root, "checkpoint") > before or process.poll() is not None)  # noqa: B023
            time.sleep(dice.random())
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
        finally:
            end(process)
        resumed = count(root, "resumed")
    assert killed == KILLS, "every run was killed while it computed"
    assert resumed >= KILLS - 1
    assert not (root / "merged.nc").exists()
    succeed("run", "hard", folder=tmp_path)
    apart = {"attempt"}
    assert differing(merged(tmp_path / "calm"), merged(root), apart) == set()
