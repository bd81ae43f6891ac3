"""Times what the engine costs beside the work: the period of a tile of about a minute against its bare steps.

    python -m benchmarks.engine

A campaign of several equal tiles runs on one worker and on two. The period is the time between two `finished` events
of one worker, so it holds everything that a tile's life adds: the claim, the drivers, beats, a checkpoint every 20
seconds, the evaluation, the commit, and the hand-over of the next tile; not the start of a worker, once a run.
The bare steps are the same lanes advanced in this process, one tile at a time. All takes a quarter of an hour on an
otherwise idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import tomli_w

from phloem.io import read_events
from phloem.jobs.calibration import TileCalibration
from phloem.jobs.campaign import Campaign, open_campaign
from phloem.jobs.progress import say

CELLS = 12
YEARS = 8
CHUNK = 1000


def plan(folder: Path, tiles: int, iterations: int) -> Path:
    """Plan the campaign; return its directory."""
    tree = {
        "campaign": {"name": "engine"},
        "data": {"kind": "synthetic", "cells": CELLS * tiles, "years": YEARS},
        "optimiser": {"iterations": iterations, "sharpness_iterations": iterations // 2},
        "tiles": {"cells": CELLS, "checkpoint_minutes": 1 / 3},
    }
    (folder / "engine.toml").write_text(tomli_w.dumps(tree))
    root = folder / "made"
    _phloem("plan", folder / "engine.toml", "--out", root, "--rate", 5)
    return root


def _phloem(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "phloem", *map(str, words)], check=True, capture_output=True)


def bare_seconds(campaign: Campaign, repeats: int) -> float:
    """Return the seconds that the steps of one tile take by themselves, compiled before; the median of several."""
    cells = [campaign.read_cell(cell) for cell in campaign.tile_cells(0)]
    TileCalibration(campaign.configuration, cells).advance(1)
    found = []
    for _ in range(repeats):
        work = TileCalibration(campaign.configuration, cells)
        begun = time.perf_counter()
        while work.running:
            work.advance(CHUNK)
        found.append(time.perf_counter() - begun)
        say(f"bare steps of a tile: {found[-1]:.2f} s")
    return statistics.median(found)


def finished(root: Path, workers: int) -> list[float]:
    """Run the campaign; return when each tile was finished, the first of each worker left out."""
    _phloem("run", root, "--workers", workers)
    times: dict[str, list[float]] = {}
    for log in sorted((root / "logs").glob("*.log")):
        for event in read_events(log):
            if event["event"] == "finished":
                times.setdefault(str(event["worker"]), []).append(event["time"])
    periods = [later - earlier for one in times.values() for earlier, later in pairwise(one)]
    say(f"periods with workers = {workers}: {', '.join(f'{period:.2f}' for period in periods)} s")
    return periods


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=16_000, help="16,000 make a tile of about a minute")
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        periods = {}
        for workers in (1, 2):
            inside = Path(folder) / str(workers)
            inside.mkdir()
            root = plan(inside, chosen.tiles, chosen.iterations)
            periods[workers] = finished(root, workers)
        bare = bare_seconds(open_campaign(root), chosen.repeats)
    one, two = (statistics.median(periods[workers]) for workers in (1, 2))
    print(f"bare steps of a tile             {bare:8.2f} s")
    print(f"period of a tile, one worker     {one:8.2f} s  overhead {one / bare - 1:+.2%}  ({len(periods[1])} periods)")
    print(f"period of a tile, two workers    {two:8.2f} s  two do {2 * one / two:.2f} times the work of one")


if __name__ == "__main__":
    main()
