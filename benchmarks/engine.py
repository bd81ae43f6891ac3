"""Times what the engine costs beside the work: the period of a tile of about a minute against its bare steps.

    python -m benchmarks.engine

A campaign of several equal tiles runs on one worker and on two. The period is the time between two ends of one worker's
tiles, so it holds everything that a tile's life adds: the claim, the drivers, beats, a checkpoint every 20 seconds,
the evaluation, the commit, and the hand-over of the next tile; not the start of a worker, once a run. The bare steps
are timed inside the same tile: between runs of equal steps a machine's own pace differs by more than the engine costs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from phloem.hpc.tasks import Context, Task
from phloem.jobs.calibration.tile_calibration import TileCalibration
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.kind_of_work import KINDS, TileWork
from phloem.jobs.campaign.planning import plan
from phloem.jobs.config.campaign_file import CampaignSection, Configuration, Data, Tiles
from phloem.jobs.config.optimiser import AdamSection
from phloem.jobs.kinds.calibration import Calibrations
from phloem.jobs.progress import say
from phloem.jobs.run.execute import local_engine, prepare
from phloem.jobs.run.supervisor import Supervisor
from phloem.jobs.tile.failures import TileFailures
from phloem.jobs.tile.tile_task import TileTask
from phloem.jobs.tile.worker import run_tile

CELLS = 12
YEARS = 8


class Period(NamedTuple):
    """Seconds between two ends of one worker's tiles, and those of the later tile's steps."""

    seconds: float
    steps: float


class _Timed(TileCalibration):
    """A calibration that adds up the time of its steps."""

    seconds = 0.0

    def advance(self, steps: int) -> int:
        begun = time.perf_counter()
        taken = super().advance(steps)
        _Timed.seconds += time.perf_counter() - begun
        return taken


class TimedCalibrations(Calibrations):
    """Calibrations that add up the time of their steps."""

    def begin(self, *arguments: Any) -> TileWork:
        """Return the lanes of some cells at their first step."""
        return _Timed(*arguments)


def timed_tile(task: TileTask, context: Context) -> dict[str, Any]:
    """Run a tile as ever, and say how long its steps took."""
    KINDS["calibration"] = "benchmarks.engine:TimedCalibrations"
    _Timed.seconds = 0.0
    return {
        **run_tile(task, context),
        "steps": _Timed.seconds,
        "worker": context.worker,
        "ended": time.time(),
    }


class _TimingSupervisor(Supervisor):
    """A supervisor that keeps what its timed tiles say."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ends: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def task(self, number: int, failures: TileFailures) -> Task:
        return replace(super().task(number, failures), function="benchmarks.engine:timed_tile")

    def record_outcome(self, outcome: Any) -> None:
        super().record_outcome(outcome)
        self.ends[outcome.value["worker"]].append((outcome.value["ended"], outcome.value["steps"]))


def planned(folder: Path, tiles: int, iterations: int) -> Campaign:
    """Plan the campaign."""
    configuration = Configuration(
        campaign=CampaignSection(name="engine"),
        data=Data(kind="synthetic", cells=CELLS * tiles, years=YEARS),
        optimiser=AdamSection(iterations=iterations, sharpness_iterations=iterations // 2),
        tiles=Tiles(cells=CELLS, checkpoint_minutes=1 / 3),
    )
    return plan(configuration, folder / "made", folder)


def periods(campaign: Campaign, workers: int) -> list[Period]:
    """Run the campaign; return its periods, the first tile of each worker left out."""
    prepare(campaign)
    supervisor = _TimingSupervisor(campaign, local_engine(campaign, workers))
    supervisor.run()
    measured = [
        Period(later[0] - earlier[0], later[1])
        for ends in supervisor.ends.values()
        for earlier, later in pairwise(ends)
    ]
    for period in measured:
        say(json.dumps({"workers": workers, "period": round(period.seconds, 2), "steps": round(period.steps, 2)}))
    return measured


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=18_000, help="18,000 make a tile of about a minute")
    chosen = parser.parse_args()
    measured = {}
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            measured[workers] = periods(planned(Path(folder), chosen.tiles, chosen.iterations), workers)
    for workers, of_worker in measured.items():
        steps, seconds = (
            statistics.median(values) for values in zip(*((p.steps, p.seconds) for p in of_worker), strict=True)
        )
        cost = statistics.median(p.seconds / p.steps - 1 for p in of_worker)
        print(
            f"{workers} at once: period {seconds:6.2f} s, steps {steps:6.2f} s, "
            f"overhead {cost:.2%} ({len(of_worker)} periods)"
        )
    alone, shared = (statistics.median(p.seconds for p in measured[workers]) for workers in (1, 2))
    print(f"two workers do {2 * alone / shared:.2f} times the work of one")


if __name__ == "__main__":
    main()
