"""Campaigns of the gpu backend on a stand-in for the driver, and the GPUs that computed each of their tiles."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests.support.campaigns.campaigns import PROVENANCE, command, differing, merged, write_campaign
from tests.support.campaigns.on_gpus import journalled, logged
from tests.support.kernels import stand_in_driver

CELLS = 6


def write_for_gpus(folder: Path, **engine: Any) -> Path:
    """Write a campaign of six tiles of one cell each; with `gpus` in its engine the gpu backend computes them."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_campaign(folder, data={"cells": CELLS}, optimiser={"iterations": 60}, engine=engine)


def run_on_gpus(path: Path, *options: object, visible: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a campaign on the stand-in, into `made` beside its file.

    Args:
        path: of its file.
        options: of `phloem run`.
        visible: the GPUs that it is shown, as CUDA_VISIBLE_DEVICES names them.
        environment: more variables.
    """
    more = stand_in_driver.environment(CUDA_VISIBLE_DEVICES=visible, **environment)
    return command("run", path, "--out", "made", *options, folder=path.parent, seconds=400.0, afresh=True, **more)


def cards_of_workers(root: Path) -> dict[str, set[str]]:
    """Return the GPUs, as HOST:GPU, on which each worker has computed its tiles; all tiles are committed once."""
    committed = {event["tile"]: event["on"] for event in journalled(root, "committed")}
    assert sorted(committed) == list(range(CELLS))
    assert {on["backend"] for on in committed.values()} == {"gpu"}
    found: dict[str, set[str]] = {}
    for event in logged(root):
        if event["event"] == "finished":
            found.setdefault(event["worker"], set()).update(committed[event["tile"]]["cards"])
    return found


def differing_numbers(one: Path, two: Path) -> set[str]:
    """Return the variables in which two products differ; the global attributes hold each one's configuration."""
    return differing(merged(one), merged(two), {*PROVENANCE, "attributes"})
