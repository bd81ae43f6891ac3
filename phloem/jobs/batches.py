"""`run --engine slurm`: rounds of array jobs over what has no result, each with a last job that goes on or merges.

The launcher keeps no state: a round is a list of tiles on disk, every task of it a supervisor that takes its own tiles
first and then whatever is free. So a round may be submitted twice, die half-way, or run beside another, and no tile is
lost. Nobody has to stay logged in.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from phloem.errors import InputError, WorkError
from phloem.hpc import EngineError, SlurmLauncher, SlurmOptions, default_workers, job_states
from phloem.io import list_attempts, read_sealed, write_sealed
from phloem.jobs.campaign import Campaign, open_campaign
from phloem.jobs.configuration import Configuration
from phloem.jobs.execute import conclude, describe_set_aside, merge, prepare, todo
from phloem.jobs.housekeeping import tidy
from phloem.jobs.progress import ProgressBar, say
from phloem.jobs.scheduler import alive, verdict
from phloem.jobs.state import CampaignState, read_state, total_steps

MOST_TASKS = 1000
"""Tasks of a round, at most, where `engine.tiles_per_task` does not say otherwise."""

POLL_SECONDS = 10.0
LOST_TWICE = 2
"""A node that so many attempts were lost on is left out of the next round."""


@dataclass(frozen=True)
class Round:
    """One submission of what has no result.

    Attributes:
        number: 1 for the first.
        tasks: tiles of each task.
        attempts: attempts of the whole campaign that had been claimed before.
        configuration: of the run that submitted it; science is the campaign's.
    """

    number: int
    tasks: Sequence[Sequence[int]]
    attempts: int
    configuration: Configuration


def round_path(campaign: Campaign, number: int) -> Path:
    """Return where a round is written down."""
    return campaign.paths.batches_dir / f"round-{number:04d}.json"


def jobs_path(campaign: Campaign, number: int) -> Path:
    """Return where the job ids of a round are written down."""
    return campaign.paths.batches_dir / f"round-{number:04d}.jobs.json"


def newest_round(campaign: Campaign) -> int:
    """Return the number of the newest round, 0 where there is none."""
    names = campaign.paths.batches_dir.glob("round-[0-9]*.json")
    return max((int(p.name.split(".")[0].removeprefix("round-")) for p in names if ".copy" not in p.name), default=0)


def read_round(campaign: Campaign, number: int) -> Round:
    """Return a round.

    Raises:
        InputError: it is not there, or damaged.
    """
    try:
        table = read_sealed(round_path(campaign, number))
    except (OSError, WorkError) as error:
        raise InputError(f"{round_path(campaign, number)}: {error}; submit anew: phloem run") from error
    return Round(number, table["tasks"], table["attempts"], Configuration.model_validate(table["configuration"]))


def round_jobs(campaign: Campaign, number: int) -> list[str]:
    """Return the ids of a round's jobs, the one that goes on last, and of those that its tasks submitted anew."""
    try:
        table = read_sealed(jobs_path(campaign, number))
    except (OSError, WorkError):
        return []
    again = sorted(campaign.paths.batches_dir.glob(f"round-{number:04d}.again-*"))
    return [*table["arrays"], *(path.name.partition("again-")[2] for path in again), table["after"]]


def slurm_options(configuration: Configuration, exclude: Sequence[str] = ()) -> SlurmOptions:
    """Return what the jobs of a campaign ask of the cluster."""
    engine = configuration.engine
    return SlurmOptions(
        partition=engine.partition,
        account=engine.account,
        qos=engine.qos,
        gres=engine.gres,
        constraint=engine.constraint,
        walltime_minutes=engine.walltime_minutes,
        cpus_per_task=engine.cpus_per_task,
        memory=engine.memory,
        exclude=tuple(dict.fromkeys([*engine.exclude, *exclude])),
        throttle=engine.throttle,
        signal_seconds=min(engine.signal_seconds, 60 * engine.walltime_minutes // 2),
        requeue=engine.requeue,
        arrays=engine.arrays,
        setup=tuple(engine.setup),
        sbatch=engine.sbatch,
        use_srun=engine.use_srun,
    )


def claimed_attempts(campaign: Campaign) -> int:
    """Return how many attempts were ever claimed, for telling a round that did something from one that did not."""
    return sum(numbers.newest for numbers in list_attempts(campaign.paths).values())


def bad_nodes(state: CampaignState) -> list[str]:
    """Return the nodes on which attempts were lost twice."""
    hosts = Counter(host for failure in state.failures.values() for host in failure.hosts if host)
    return sorted(host for host, count in hosts.items() if count >= LOST_TWICE)


def submit_round(campaign: Campaign, state: CampaignState, before: Sequence[str] = ()) -> int:
    """Submit what has no result as arrays of tasks, and after them the job that goes on or merges.

    Args:
        campaign: planned.
        state: lately read.
        before: jobs that must have ended first.

    Returns:
        The number of the round.

    Raises:
        EngineError: SLURM refused; nothing of the round is in the queue.
    """
    campaign.paths.batches_dir.mkdir(exist_ok=True)
    number = newest_round(campaign) + 1
    tiles = todo(campaign, state)
    engine = campaign.configuration.engine
    # Where each task is a job of its own, clusters count jobs: no more of them than may run at once.
    most = engine.throttle if engine.throttle and not engine.arrays else MOST_TASKS
    size = engine.tiles_per_task or max(engine.workers or engine.cpus_per_task or 1, -(-len(tiles) // most))
    tasks = [tiles[first : first + size] for first in range(0, len(tiles), size)]
    table = {
        "tasks": tasks,
        "attempts": claimed_attempts(campaign),
        "configuration": campaign.configuration.model_dump(),
    }
    write_sealed(round_path(campaign, number), table)
    avoid = bad_nodes(state)
    if avoid:
        say(f"nodes on which attempts were lost twice are left out: {', '.join(avoid)}")
    name = f"phloem-{campaign.configuration.campaign.name}"
    launcher = SlurmLauncher(campaign.paths.batches_dir, name, slurm_options(campaign.configuration, avoid))
    command = [sys.executable, "-m", "phloem"]
    here = [str(campaign.paths.root.resolve()), "--round", str(number)]
    dependency = "afterany:" + ":".join(before) if before else ""
    arrays = [one.job for one in launcher.submit([*command, "work", *here], len(tasks), dependency)]
    after = SlurmLauncher(campaign.paths.batches_dir, f"{name}-merge", _small(launcher.options))
    job = after.submit_one([*command, "finish", *here], "afterany:" + ":".join(arrays)).job
    write_sealed(jobs_path(campaign, number), {"arrays": arrays, "after": job})
    say(f"round {number}: {len(tiles)} tiles in {len(tasks)} tasks; jobs {', '.join(arrays)}, merge {job}")
    return number


def _small(options: SlurmOptions) -> SlurmOptions:
    """Return what the job that goes on or merges asks for: one core, no generic resources."""
    return replace(options, cpus_per_task=min(1, options.cpus_per_task), gres="", throttle=0, use_srun=False)


def run_through_slurm(campaign: Campaign, detach: bool = False) -> tuple[Campaign, CampaignState, Path] | None:
    """Submit what has no result, wait for it, and merge.

    Args:
        campaign: planned; its engine is `slurm`.
        detach: return once it is submitted: the last job goes on, and merges.

    Returns:
        The campaign, its state and its product; None when detached.

    Raises:
        WorkError: some tiles have no result.
        EngineError: SLURM refused.
    """
    state = prepare(campaign)
    number = newest_round(campaign)
    if todo(campaign, state) and not alive(round_jobs(campaign, number)):
        number = submit_round(campaign, state)
    if detach:
        say(f"it goes on by itself. See: phloem status {campaign.paths.root} --watch")
        return None
    try:
        state = _wait(campaign, state, number)
    except KeyboardInterrupt:
        root = campaign.paths.root
        raise WorkError(
            f"no longer watching; the jobs go on: {', '.join(round_jobs(campaign, newest_round(campaign)))}. "
            f"See: phloem status {root} --watch; go on watching: phloem run {root} --engine slurm; end them: scancel"
        ) from None
    conclude(campaign, state, None)
    return campaign, state, merge(campaign)


def _wait(campaign: Campaign, state: CampaignState, number: int) -> CampaignState:
    """Watch until nothing is left to do or nobody is left to do it; return the state."""
    total = sum(total_steps(campaign, tile) for tile in campaign.all_tiles)
    with ProgressBar("calibrating", total) as bar:
        while todo(campaign, state):
            queued = alive(round_jobs(campaign, number))
            state = read_state(campaign, None, verdict)
            steps = sum(total_steps(campaign, tile) for tile in state.done)
            bar.update(steps + sum(beat["steps"] for beat in state.beats.values()))
            if not queued and todo(campaign, state) and not state.beats:
                if newest_round(campaign) == number:
                    _refuse_idle_round(campaign, number)
                    return state
                number = newest_round(campaign)
            time.sleep(POLL_SECONDS if todo(campaign, state) else 0)
            number = newest_round(campaign)
    return state


def _refuse_idle_round(campaign: Campaign, number: int) -> None:
    """Stop where a round ended without claiming anything: another one would do no better.

    Raises:
        WorkError: the message names the folder of the jobs' output.
    """
    if claimed_attempts(campaign) == read_round(campaign, number).attempts:
        raise WorkError(
            f"round {number} ended without computing anything; see the jobs' output in {campaign.paths.batches_dir}"
        )


def finish(directory: Path, number: int) -> str:
    """Go on after a round: merge where all is done, else submit the next round.

    Args:
        directory: of the campaign.
        number: of the round that has ended.

    Returns:
        What was done, for the job's output.

    Raises:
        WorkError: some tiles have no result and will not be tried again by themselves.
    """
    campaign = open_campaign(directory)
    this = read_round(campaign, number)
    campaign = replace(campaign, configuration=this.configuration)
    jobs = round_jobs(campaign, number)[:-1]
    waiting = alive(jobs)
    if waiting:
        launcher = SlurmLauncher(campaign.paths.batches_dir, "phloem-merge", _small(slurm_options(this.configuration)))
        words = [sys.executable, "-m", "phloem", "finish", str(directory), "--round", str(number)]
        job = launcher.submit_one(words, "afterany:" + ":".join(waiting)).job
        write_sealed(jobs_path(campaign, number), {"arrays": jobs, "after": job})
        return f"jobs {', '.join(waiting)} go on; looking again after them"
    state = prepare(campaign)
    if not todo(campaign, state):
        conclude(campaign, state, None)
        merged = merge(campaign)
        tidy(campaign, state)
        return "\n".join(filter(None, [f"merged: {merged}", describe_set_aside(state, campaign.paths.root)]))
    if newest_round(campaign) > number:
        return f"round {newest_round(campaign)} has been submitted already"
    cancelled = [task for task, found in _states(jobs).items() if found == "CANCELLED"]
    if cancelled:
        raise WorkError(
            f"jobs were cancelled ({', '.join(cancelled)}); go on with: phloem run {directory} --engine slurm"
        )
    _refuse_idle_round(campaign, number)
    return f"round {submit_round(campaign, state)} submitted"


def _states(jobs: Sequence[str]) -> dict[str, str]:
    try:
        return job_states(jobs) if jobs else {}
    except EngineError:
        return {}


def task_workers(configuration: Configuration) -> int:
    """Return the worker processes of one task: as configured, else one a core that the task has."""
    engine = configuration.engine
    return engine.workers or max(1, (engine.cpus_per_task or default_workers()) // engine.devices)
