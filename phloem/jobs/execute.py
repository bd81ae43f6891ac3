"""`run`, `retry` and `merge`: execute what has no committed result, again and again until nothing is left to do."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phloem.errors import InputError, WorkError
from phloem.hpc import LocalEngine, Outcome, Task, default_workers
from phloem.io import append_event, merge_tiles, quarantine, sweep
from phloem.jobs.backend import require_backend
from phloem.jobs.campaign import Campaign
from phloem.jobs.progress import ProgressBar, duration, say
from phloem.jobs.state import CampaignState, read_failures, read_state, total_steps
from phloem.jobs.tile import beat_path, record_failure

WORKER_ENVIRONMENT = {"NPROC": "1", "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
"""One worker is one core. On blocks of 64 lanes a second thread of XLA's only costs: 86 ms an iteration against 74."""

WAIT_SECONDS = 2.0
"""Time between two looks at tiles that another run computes."""

CLASSES = {"InputError": "bad input", "MemoryError": "out of memory", "WorkerLost": "worker lost"}


@dataclass
class Watch:
    """Follows running tiles and shows how far they are."""

    bar: ProgressBar
    steps: dict[int, int] = field(default_factory=dict)
    waiting: bool = False

    def report(self, tile: int, message: dict[str, object]) -> None:
        """Take note of what a tile says."""
        if "note" in message:
            self.bar.note(f"tile {tile}: {message['note']}")
        if "steps" in message:
            self.steps[tile] = int(str(message["steps"]))
            self.show()

    def show(self) -> None:
        """Show the sum."""
        self.bar.update(sum(self.steps.values()))


def classify(outcome: Outcome) -> str:
    """Return the failure class of an outcome."""
    if "RESOURCE_EXHAUSTED" in outcome.message or "out of memory" in outcome.message.lower():
        return "out of memory"
    return CLASSES.get(outcome.error, "bug")


def run_campaign(campaign: Campaign, workers: int = 0) -> CampaignState:
    """Execute every tile without a committed result.

    Args:
        campaign: planned.
        workers: processes; 0 for what the configuration says (there 0 is one a core).

    Returns:
        The state afterwards.

    Raises:
        WorkError: some tiles have no result; the message says why and what to do.
    """
    if not os.access(campaign.paths.root, os.W_OK):
        raise InputError(f"{campaign.paths.root}: not writable")
    require_backend(campaign.configuration)
    campaign.paths.make()
    _warn_of_schedule(campaign)
    workers = workers or campaign.configuration.engine.workers or default_workers()
    for path in sweep(campaign.paths):
        say(f"swept {path.name}, left by a killed attempt")
    state = read_state(campaign)
    for tile, reason in state.corrupt.items():
        moved = quarantine(campaign.paths, campaign.paths.tile(tile), reason, worker="campaign")
        say(f"tile {tile} is quarantined as {moved} and will be computed again: {reason}")
    if len(state.done) == len(campaign.tiles):
        return state
    engine = LocalEngine(workers, environment=WORKER_ENVIRONMENT)
    total = sum(total_steps(campaign, tile) for tile in range(len(campaign.tiles)))
    before = sum(total_steps(campaign, tile) for tile in state.done)
    begun = time.time()
    with ProgressBar("calibrating", total, before) as bar:
        watch = Watch(bar, {tile: total_steps(campaign, tile) for tile in state.done})
        engine.on_report = watch.report
        while (todo := _todo(campaign, state)) and not engine.flag:
            todo = [tile for tile in todo if tile not in state.beats]
            if not todo:
                _wait_for(state.beats, watch)
                state = read_state(campaign)
                continue
            for outcome in engine.run([_task(campaign, tile) for tile in todo]):
                _settle(campaign, outcome, watch)
            state = read_state(campaign)
    append_event(campaign.paths.journal("campaign"), {"event": "ran", "seconds": round(time.time() - begun, 1)})
    if engine.flag:
        raise WorkError(
            f"stopped by {engine.flag.name}; checkpoints are kept. Go on with: phloem run {campaign.paths.root}"
        )
    if len(state.done) < len(campaign.tiles):
        raise WorkError(describe_failures(campaign, state))
    return state


def _warn_of_schedule(campaign: Campaign) -> None:
    """Say so where the loss is reported at a sharpness that the optimiser never reaches."""
    optimiser = campaign.configuration.optimiser
    if optimiser.iterations <= optimiser.sharpness_iterations:
        reached = optimiser.sharpness * optimiser.iterations / optimiser.sharpness_iterations
        say(
            f"warning: {optimiser.iterations} iterations end before sharpness_iterations = "
            f"{optimiser.sharpness_iterations}: k reaches {reached:.3g}, the loss is reported at k = "
            f"{optimiser.sharpness:g}"
        )


def _todo(campaign: Campaign, state: CampaignState) -> list[int]:
    """Return the tiles without result whose failures leave them another attempt."""
    budget = campaign.configuration.engine.max_attempts
    return [
        tile
        for tile in range(len(campaign.tiles))
        if tile not in state.done and not (tile in state.failures and state.failures[tile].exhausted(budget))
    ]


def _task(campaign: Campaign, tile: int) -> Task:
    """Return the call that computes a tile; keys that no result depends on come from this run's configuration."""
    arguments = {
        "root": str(campaign.paths.root),
        "tile": tile,
        "checkpoint_minutes": campaign.configuration.tiles.checkpoint_minutes,
    }
    return Task(tile, "phloem.jobs.tile:run_tile", arguments)


def _wait_for(elsewhere: dict[int, dict[str, Any]], watch: Watch) -> None:
    """Wait a little while another run of the same campaign works on what is left."""
    for tile, beat in elsewhere.items():
        if not watch.waiting:
            watch.bar.note(f"tile {tile} is being computed by {beat['worker']}, of another run; waiting for it")
        watch.steps[tile] = beat["steps"]
    watch.waiting = True
    watch.show()
    time.sleep(WAIT_SECONDS)


def _settle(campaign: Campaign, outcome: Outcome, watch: Watch) -> None:
    """Journal how an attempt ended."""
    tile = outcome.key
    if outcome.error != "StaleAttempt":
        beat_path(campaign.paths, tile).unlink(missing_ok=True)
    if outcome.kind == "done":
        watch.steps[tile] = total_steps(campaign, tile)
        watch.show()
        took = duration(outcome.value["seconds"])
        watch.bar.note(f"tile {tile} committed: {outcome.value['lanes']} lanes in {took}")
    elif outcome.kind == "stopped":
        watch.bar.note(outcome.message)
    elif outcome.error == "StaleAttempt":
        watch.bar.note(f"tile {tile}: another run has it: {outcome.message}")
    else:
        failure = classify(outcome)
        trace = outcome.value if isinstance(outcome.value, str) else None
        record_failure(campaign.paths, tile, failure, outcome.message, trace)
        watch.bar.note(f"tile {tile} failed ({failure}): {outcome.message}")


def describe_failures(campaign: Campaign, state: CampaignState) -> str:
    """Return what failed, and the command that mends it."""
    lines = [f"{len(campaign.tiles) - len(state.done)} of {len(campaign.tiles)} tiles have no result."]
    for tile, failure in sorted(state.failures.items()):
        cells = ", ".join(cell.name for cell in campaign.tile_cells(tile))
        counts = ", ".join(f"{name} {count}x" for name, count in failure.classes.items())
        lines.append(f"  tile {tile} ({cells}): {counts}: {failure.message}")
        trace = campaign.paths.failures_dir / f"tile_{tile:05d}.txt"
        if trace.exists():
            lines.append(f"    traceback: {trace}")
    lines.append(f"Mend the cause, then: phloem retry {campaign.paths.root}")
    return "\n".join(lines)


def forgive(campaign: Campaign) -> list[int]:
    """Let tiles that used up their attempts be tried again; return them."""
    failures = read_failures(campaign)
    for tile in sorted(failures):
        append_event(campaign.paths.journal("campaign"), {"event": "forgiven", "tile": tile})
    return sorted(failures)


def merge(campaign: Campaign, allow_holes: bool = False) -> Path:
    """Write merged.nc from the committed tiles.

    Raises:
        WorkError: a tile is missing or damaged, and holes were not asked for.
    """
    from phloem.kernels import PARAMETERS

    attributes = {
        "title": f"phloem calibration {campaign.configuration.campaign.name}",
        "version": campaign.version,
        "configuration_hash": campaign.configuration.fingerprint(),
        "seed": campaign.configuration.campaign.seed,
        "experiment": campaign.configuration.experiment.name,
        "mode": campaign.configuration.experiment.mode,
        "precision": campaign.configuration.experiment.precision,
        "parameter_units": [parameter.unit for parameter in PARAMETERS],
    }
    plan = [[cell.name for cell in campaign.tile_cells(tile)] for tile in range(len(campaign.tiles))]
    with ProgressBar("merging", len(plan)) as bar:
        return merge_tiles(
            campaign.paths,
            plan,
            attributes,
            allow_holes=allow_holes,
            on_progress=lambda done, _total: bar.update(done),
        )
