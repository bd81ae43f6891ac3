"""`run`, `retry` and `merge`: execute what has no committed result, again and again until nothing is left to do."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from phloem.errors import InputError, WorkError
from phloem.hpc.gpus import VISIBLE, gpus_of_slot, visible_gpus
from phloem.hpc.local_engine import LocalEngine
from phloem.hpc.tasks import Engine, EngineError
from phloem.hpc.usable_cores import usable_cores
from phloem.io.campaign.attempts import Verdict, keep_floor, list_attempts
from phloem.io.campaign.attempts import forgive as forgive_attempts
from phloem.io.campaign.tiles import quarantine, sweep
from phloem.io.files.journals import append_event, read_events
from phloem.jobs.campaign.backend import require_backend
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.progress import ProgressBar, say
from phloem.jobs.run.batch_jobs import verdict
from phloem.jobs.run.device_losses import describe_lost, forgive_devices
from phloem.jobs.run.state import CampaignState, read_state
from phloem.jobs.run.supervisor import COMPILING, Supervisor, Watch
from phloem.jobs.tile.failures import describe_classes, forget_tracebacks, stopped
from phloem.sharding.lanes.devices import device_environment, gpu_environment, keep_off_gpus

WAIT_SECONDS = 2.0
"""Time between two looks at tiles that another run computes."""


def worker_environment(campaign: Campaign) -> dict[str, str]:
    """Return the variables of a worker. One worker is one core a device.

    On blocks of 64 lanes a second thread of XLA's only costs: 86 ms an iteration against 74.
    """
    engine = campaign.configuration.engine
    found = {"NPROC": "1", "OMP_NUM_THREADS": "1"} | device_environment(engine.devices)
    return found | (gpu_environment(os.environ) if engine.gpus else {})


def own_gpus(visible: Sequence[str], devices: int, slot: int) -> dict[str, str]:
    """Return the variables that show a worker its own GPUs: those of its slot."""
    return {VISIBLE: ",".join(gpus_of_slot(visible, devices, slot))}


def local_engine(campaign: Campaign, workers: int, gpus: Sequence[str] | None = None) -> LocalEngine:
    """Return the engine of this machine's processes.

    Args:
        campaign: whose tiles they compute.
        workers: how many; 0 for what the configuration says.
        gpus: those that they share; by default what this process sees.

    Raises:
        EngineError: there are fewer GPUs than the workers need.
    """
    engine = campaign.configuration.engine
    workers = workers or engine.workers_of(usable_cores())
    made = LocalEngine(
        workers,
        environment=worker_environment(campaign),
        hang_seconds=60 * engine.hang_minutes,
        memory_bytes=int(engine.memory_gb * 2**30),
    )
    if engine.gpus:
        keep_off_gpus()
        visible = visible_gpus() if gpus is None else list(gpus)
        gpus_of_slot(visible, engine.devices, workers - 1)
        made.of_slot = partial(own_gpus, visible, engine.devices)
    return made


def choose_engine(campaign: Campaign, workers: int) -> Engine:
    """Return the engine that the configuration names, where it runs tasks for this process."""
    engine = campaign.configuration.engine
    if engine.name == "ray":
        from phloem.hpc.ray_engine.engine import RayEngine

        here = usable_cores() if not engine.gpus else 0 if engine.address else engine.workers_of(1)
        return RayEngine(
            workers or engine.workers or here,
            environment=worker_environment(campaign),
            address=engine.address,
            cpus_per_task=1 if engine.gpus else engine.devices,
            gpus_per_task=engine.devices if engine.gpus else 0,
        )
    return local_engine(campaign, workers)


def prepare(campaign: Campaign, over: Verdict = verdict) -> CampaignState:
    """Sweep, check every committed byte, quarantine what does not agree; return the state.

    Raises:
        InputError: the directory is not writable, or the backend cannot run here.
        WorkError: the campaign was stopped because everything failed alike.
    """
    paths = campaign.paths
    if not os.access(paths.root, os.W_OK):
        raise InputError(f"{paths.root}: not writable")
    if campaign.configuration.engine.gpus:
        keep_off_gpus()
    require_backend(campaign.configuration)
    _require_gpus(campaign)
    paths.make()
    if why := stopped(paths):
        raise WorkError(f"{paths.root} was stopped: {why}. Mend the cause, then: phloem retry {paths.root}")
    _warn_of_schedule(campaign)
    for path in sweep(paths):
        say(f"swept {path.name}, left by a killed attempt")
    files = sum(1 for _ in paths.tiles_dir.glob("*.h5"))
    with ProgressBar("checking tile files", files) as bar:
        state = read_state(campaign, True, over, bar.update)
    numbers = _highest_attempts(campaign) if state.corrupt else {}
    for tile, reason in state.corrupt.items():
        _set_aside_file(campaign, tile, reason, numbers)
    return state


def _require_gpus(campaign: Campaign) -> None:
    """Refuse to run on more GPUs than this machine, which would compute, shows."""
    engine = campaign.configuration.engine
    elsewhere = engine.name == "slurm" or (engine.name == "ray" and engine.address)
    if not engine.gpus or elsewhere:
        return
    try:
        seen = visible_gpus()
    except EngineError as error:
        raise InputError(str(error)) from error
    wanted = engine.devices if engine.name == "mpi" else engine.gpus
    if len(seen) < wanted:
        shown = f"{VISIBLE}={os.environ[VISIBLE]}" if VISIBLE in os.environ else "/dev/nvidia*"
        what = f"{len(seen)} GPUs" if seen else "no GPU"
        raise InputError(f"engine.gpus = {engine.gpus}, and {os.uname().nodename} shows {what} ({shown})")


def _set_aside_file(campaign: Campaign, tile: int, reason: str, numbers: Mapping[int, int]) -> None:
    """Quarantine a tile file, and see that the next attempt's number is higher than any that is known."""
    keep_floor(campaign.paths, tile, numbers.get(tile, 0))
    moved = quarantine(campaign.paths, campaign.paths.tile(tile), reason, worker="campaign")
    say(f"tile {tile} is quarantined as {moved} and will be computed again: {reason}")


def _highest_attempts(campaign: Campaign) -> dict[int, int]:
    """Return the highest attempt of each tile that the journals tell of."""
    highest: dict[int, int] = {}
    for event in read_events(campaign.paths.journals_dir):
        number = event.get("attempt", event.get("newest", 0))
        if "tile" in event and number > highest.get(event["tile"], 0):
            highest[event["tile"]] = number
    return highest


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
    state = prepare(campaign)
    if len(state.done) == len(campaign.all_tiles):
        return state
    engine = choose_engine(campaign, workers)
    begun = time.time()
    total = sum(campaign.count_steps(tile) for tile in campaign.all_tiles)
    watch = Watch(steps={tile: campaign.count_steps(tile) for tile in state.done})
    with ProgressBar(campaign.kind.doing, total, sum(watch.steps.values()), COMPILING) as watch.bar:
        supervisor = Supervisor(campaign, engine, watch, done=set(state.done), verdict=verdict)
        state = supervise(supervisor)
    journal = campaign.paths.journal(supervisor.name)
    append_event(journal, {"event": "ran", "seconds": round(time.time() - begun, 1)})
    return conclude(campaign, state, engine.flag.name)


def supervise(supervisor: Supervisor) -> CampaignState:
    """Compute what is free, and wait for what others hold, until nothing is left; return the state."""
    campaign, watch = supervisor.campaign, supervisor.watch
    reported: set[int] = set()
    while True:
        supervisor.run()
        state = read_state(campaign, None, supervisor.verdict)
        supervisor.done = set(state.done)
        if supervisor.engine.flag or stopped(campaign.paths) or not todo(campaign, state):
            return state
        for tile, beat in state.beats.items():
            if tile not in reported:
                watch.note(f"tile {tile} is being computed by {beat['worker']}, of another run; waiting for it")
            reported.add(tile)
            watch.steps[tile] = beat["steps"]
        for tile in state.done:
            watch.steps[tile] = campaign.count_steps(tile)
        watch.show()
        time.sleep(WAIT_SECONDS)


def conclude(campaign: Campaign, state: CampaignState, stop: str | None) -> CampaignState:
    """Return the state of a finished campaign.

    Raises:
        WorkError: it is not finished; the message says why, and how to go on.
    """
    root = campaign.paths.root
    if why := stopped(campaign.paths):
        raise WorkError(f"stopped: {why}.\n{describe_failures(campaign, state)}")
    if len(state.done) == len(campaign.all_tiles):
        return state
    if stop:
        why = f"stopped by {stop}; checkpoints are kept. Go on with: phloem run {root}"
        raise WorkError("\n".join([why, *describe_lost(state.devices)]))
    raise WorkError(describe_failures(campaign, state))


def _warn_of_schedule(campaign: Campaign) -> None:
    """Say so where the loss is reported at a sharpness that the optimiser never reaches."""
    optimiser = campaign.configuration.optimiser
    if (optimiser.name == "adam" or not optimiser.windows) and optimiser.iterations <= optimiser.sharpness_iterations:
        reached = optimiser.sharpness * optimiser.iterations / optimiser.sharpness_iterations
        say(
            f"warning: {optimiser.iterations} iterations end before sharpness_iterations = "
            f"{optimiser.sharpness_iterations}: k reaches {reached:.3g}, the loss is reported at k = "
            f"{optimiser.sharpness:g}"
        )


def todo(campaign: Campaign, state: CampaignState) -> list[int]:
    """Return the tiles without result whose failures leave them another attempt."""
    budgets, done = campaign.configuration.failures, set(state.done)
    return [
        tile
        for tile in campaign.all_tiles
        if tile not in done and not (tile in state.failures and state.failures[tile].exhausted(budgets))
    ]


def describe_failures(campaign: Campaign, state: CampaignState, most: int = 20) -> str:
    """Return what failed, and the command that mends it."""
    tiles = len(campaign.all_tiles)
    lines = [f"{tiles - len(state.done)} of {tiles} tiles have no result."]
    for tile, failure in sorted(state.failures.items())[:most]:
        cells = ", ".join(cell.name for cell in campaign.tile_cells(tile))
        lines.append(f"  tile {tile} ({cells}): {describe_classes(failure.classes)}: {failure.message}")
        trace = campaign.paths.traceback(tile)
        if trace.exists():
            lines.append(f"    traceback: {trace}")
    if len(state.failures) > most:
        lines.append(f"  and {len(state.failures) - most} more: phloem status {campaign.paths.root} --json")
    lines += describe_lost(state.devices)
    lines.append(f"Mend the cause, then: phloem retry {campaign.paths.root}")
    return "\n".join(lines)


def forgive(campaign: Campaign) -> list[int]:
    """Let tiles that failed be tried again, and a stopped campaign go on; return the tiles."""
    paths = campaign.paths
    state = read_state(campaign)
    numbers = list_attempts(paths)
    for tile in sorted(state.failures):
        forgive_attempts(paths, tile, numbers[tile])
        append_event(paths.journal("campaign"), {"event": "forgiven", "tile": tile, "time": time.time()})
    if state.devices:
        forgive_devices(paths.journal("campaign"))
    forget_tracebacks(paths)
    paths.stop.unlink(missing_ok=True)
    return sorted(state.failures)


def describe_set_aside(state: CampaignState, root: Path) -> str:
    """Return which cells were set aside and why, and the command that tries them again; empty where none was."""
    if not state.set_aside:
        return ""
    lines = [f"{len(state.set_aside)} cells are set aside; their neighbours are calibrated:"]
    lines += [f"  {e['cell']} (tile {e['tile']}): {e['class']}: {e['message']}" for e in state.set_aside]
    return "\n".join([*lines, f"Mend the cause, then: phloem retry {root} --lanes"])
