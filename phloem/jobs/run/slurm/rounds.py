"""Rounds of a campaign on SLURM: one submission of what has no result, written down, and submitted by one alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phloem.arithmetic import ceil_div
from phloem.endings import FREE, LOST_MACHINES, Ending
from phloem.errors import InputError, WorkError
from phloem.hpc.slurm_engine.control import cancel_jobs
from phloem.hpc.slurm_engine.gpu_requests import asked_gpus, most_gpus, with_gpus, without_gpus
from phloem.hpc.slurm_engine.launcher import SlurmLauncher, SlurmOptions
from phloem.hpc.tasks import EngineError
from phloem.hpc.usable_cores import usable_cores
from phloem.io.campaign.attempts import file_system_now, list_attempts, read_end
from phloem.io.files.journals import read_events
from phloem.io.files.sealed_json import read_sealed, write_sealed
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.config.campaign_file import Configuration
from phloem.jobs.progress import say
from phloem.jobs.run.device_losses import forgiven_at, hosts_without_device
from phloem.jobs.run.execute import todo
from phloem.jobs.run.state import CampaignState

MAX_ARRAY_TASKS = 1000
"""Tasks of a round, at most, where `engine.tiles_per_task` does not say otherwise."""

SUBMIT_SECONDS = 300.0
"""A round that is not in the queue so long after it was begun never will be: whoever submitted it is gone."""

LOST_TWICE = 2
"""A node that was lost so often is left out from then on."""

ONE_LOSS_SECONDS = 150.0
"""Attempts on a node that were last heard within this went with it at once: they beat every 60 s at least."""


@dataclass(frozen=True)
class Round:
    """One submission of what has no result.

    Attributes:
        number: 1 for the first.
        tasks: tiles of each task.
        attempts: attempts of the whole campaign that had been claimed before.
        progress: from `progress`, before.
        idle: rounds in a row before this one that brought nothing forward.
        configuration: of the run that submitted it; science is the campaign's.
    """

    number: int
    tasks: Sequence[Sequence[int]]
    attempts: int
    progress: Sequence[int]
    idle: int
    configuration: Configuration


def round_path(campaign: Campaign, number: int) -> Path:
    """Return where a round is written down."""
    return campaign.paths.batches_dir / f"round-{number:04d}.json"


def jobs_path(campaign: Campaign, number: int) -> Path:
    """Return where the job ids of a round are written down."""
    return campaign.paths.batches_dir / f"round-{number:04d}.jobs.json"


def claim_path(campaign: Campaign, number: int) -> Path:
    """Return the file whose exclusive creation decides who submits a round."""
    return campaign.paths.batches_dir / f"round-{number:04d}.claim"


def newest_round(campaign: Campaign) -> int:
    """Return the number of the newest round that is in the queue or was, 0 where there is none."""
    return _highest(campaign, "jobs.json")


def _highest(campaign: Campaign, suffix: str) -> int:
    names = (path.name.partition(".") for path in campaign.paths.batches_dir.glob("round-[0-9]*"))
    return max((int(stem.removeprefix("round-")) for stem, _, rest in names if rest.endswith(suffix)), default=0)


def being_submitted(campaign: Campaign) -> int:
    """Return the number of the round that another process submits at this moment, 0 where none does."""
    number = _highest(campaign, "")
    if number <= newest_round(campaign):
        return 0
    try:
        age = file_system_now(campaign.paths.batches_dir) - claim_path(campaign, number).stat().st_mtime
    except FileNotFoundError:
        return 0
    return number if age < SUBMIT_SECONDS else 0


def read_round(campaign: Campaign, number: int) -> Round:
    """Return a round.

    Raises:
        InputError: it is not there, or damaged.
    """
    try:
        table = read_sealed(round_path(campaign, number))
    except (OSError, WorkError) as error:
        raise InputError(f"{round_path(campaign, number)}: {error}; submit anew: phloem run") from error
    configuration = Configuration.model_validate(table.pop("configuration"))
    return Round(number, configuration=configuration, **table)


def array_jobs(campaign: Campaign, number: int) -> list[str]:
    """Return the ids of a round's jobs that compute, with those that its tasks submitted anew."""
    again = sorted(campaign.paths.batches_dir.glob(f"round-{number:04d}.again-*"))
    return [*_jobs(campaign, number)["arrays"], *(path.name.partition("again-")[2] for path in again)]


def round_jobs(campaign: Campaign, number: int) -> list[str]:
    """Return the ids of all of a round's jobs, the one that goes on or merges last."""
    return [*array_jobs(campaign, number), *filter(None, [_jobs(campaign, number)["after"]])]


def _jobs(campaign: Campaign, number: int) -> dict[str, Any]:
    try:
        return read_sealed(jobs_path(campaign, number))
    except (OSError, WorkError):
        return {"arrays": [], "after": ""}


def slurm_options(configuration: Configuration, exclude: Sequence[str] = ()) -> SlurmOptions:
    """Return what the jobs of a campaign ask of the cluster."""
    engine = configuration.engine
    return SlurmOptions(
        partition=engine.partition,
        account=engine.account,
        qos=engine.qos,
        gres=with_gpus(engine.gres, engine.sbatch, engine.gpus),
        constraint=engine.constraint,
        walltime_minutes=engine.walltime_minutes,
        cpus_per_task=engine.task_cores,
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


def progress(campaign: Campaign, state: CampaignState) -> list[int]:
    """Return how far a campaign is: tiles that are done, and attempts at the others that were not in vain.

    In vain is an attempt that ended through nobody's fault before its first checkpoint.
    """
    done, count = set(state.done), 0
    for tile, numbers in list_attempts(campaign.paths).items():
        for number in numbers.ends if tile not in done else ():
            end = read_end(campaign.paths, tile, number)
            count += bool(end.get("saved")) or end["class"] not in (*FREE, Ending.COMMITTED)
    return [len(done), count]


def bad_nodes(campaign: Campaign) -> list[str]:
    """Return the nodes that were lost twice, or whose devices were, and those on which a task lost all of its devices.

    Attempts that went with a node at once are one loss. Devices that `phloem retry` has forgiven count no more.
    """
    heard: dict[str, list[float]] = {}
    events = read_events(campaign.paths.journals_dir)
    since = {Ending.DEVICE_LOST: forgiven_at(events)}
    for event in events:
        if event["event"] == "ended" and event["class"] in LOST_MACHINES and event.get("host"):
            last = event.get("last", 0.0)
            if last >= since.get(event["class"], 0.0):
                heard.setdefault(event["host"], []).append(last)
    twice = {host for host, times in heard.items() if _groups(times) >= LOST_TWICE}
    return sorted(twice | hosts_without_device(events))


def _groups(times: Sequence[float]) -> int:
    """Return how many groups of times there are that lie within a loss of each other."""
    groups, end = 0, float("-inf")
    for time in sorted(times):
        if time > end:
            groups, end = groups + 1, time + ONE_LOSS_SECONDS
    return groups


def submit_round(campaign: Campaign, state: CampaignState, after: int | None = None, idle: int = 0) -> int:
    """Submit what has no result as arrays of tasks, and after them the job that goes on or merges.

    Args:
        campaign: planned.
        state: lately read.
        after: the newest round when the caller found that its jobs have ended; None: the newest one now.
        idle: rounds in a row so far that brought nothing forward.

    Returns:
        The number of the round; 0 where another process submits it at this moment, or has done so since.

    Raises:
        EngineError: SLURM refused; nothing of the round is in the queue.
    """
    campaign.paths.batches_dir.mkdir(exist_ok=True)
    number = _highest(campaign, "") + 1  # before the looks below: whoever claims a round meanwhile claims this one
    if being_submitted(campaign) or after not in (None, newest_round(campaign)):
        return 0
    try:
        claim_path(campaign, number).touch(exist_ok=False)
    except FileExistsError:
        return 0
    try:
        _submit(campaign, state, number, idle)
    except EngineError:
        claim_path(campaign, number).unlink(missing_ok=True)
        for path in campaign.paths.batches_dir.glob(f"round-{number:04d}.*json"):
            path.unlink(missing_ok=True)
        raise
    return number


def _submit(campaign: Campaign, state: CampaignState, number: int, idle: int) -> None:
    configuration = campaign.configuration
    tiles = todo(campaign, state)
    engine = configuration.engine
    # Where each task is a job of its own, clusters count jobs: no more of them than may run at once.
    most = engine.throttle if engine.throttle and not engine.arrays else MAX_ARRAY_TASKS
    size = engine.tiles_per_task or max(engine.workers_of(engine.cpus_per_task or 1), ceil_div(len(tiles), most))
    tasks = [tiles[first : first + size] for first in range(0, len(tiles), size)]
    table = {
        "tasks": tasks,
        "attempts": claimed_attempts(campaign),
        "progress": progress(campaign, state),
        "idle": idle,
        "configuration": configuration.written(),
    }
    write_sealed(round_path(campaign, number), table)
    avoid = bad_nodes(campaign)
    if avoid:
        say(f"nodes that were lost, or whose GPUs were, are left out: {', '.join(avoid)}")
    name = f"phloem-{configuration.campaign.name}"
    launcher = SlurmLauncher(campaign.paths.batches_dir, name, slurm_options(configuration, avoid))
    words = [sys.executable, "-m", "phloem", "work", str(campaign.paths.root.resolve()), "--round", str(number)]
    arrays = [one.job for one in launcher.submit(words, len(tasks))]
    try:
        after = submit_after(campaign, number, arrays)
    except EngineError:
        cancel_jobs(arrays)
        raise
    write_sealed(jobs_path(campaign, number), {"arrays": arrays, "after": after})
    say(f"round {number}: {len(tiles)} tiles in {len(tasks)} tasks; jobs {', '.join(arrays)}, merge {after}")


def require_gpus_of_cluster(configuration: Configuration) -> None:
    """Refuse a task that asks for more GPUs than any node has; a controller that does not answer says so at submission.

    Raises:
        InputError: no node has so many; the message says how many the one with most has.
    """
    engine = configuration.engine
    if not engine.gpus:
        return
    wanted = asked_gpus(engine.gres, engine.sbatch) or engine.gpus
    try:
        most = most_gpus(engine.partition)
    except EngineError:
        return
    if wanted > most:
        where = f"of partition {engine.partition}" if engine.partition else "of this cluster"
        found = f"the node {where} with most GPUs has {most}" if most else f"no node {where} has a GPU"
        raise InputError(
            f"engine.gpus = {engine.gpus} asks SLURM for {wanted} GPUs a task, and {found} (sinfo -o %G): tasks are "
            "of one node each, so set engine.gpus to the GPUs of a node, or another engine.partition"
        )


def submit_after(campaign: Campaign, number: int, jobs: Sequence[str]) -> str:
    """Submit the job that goes on or merges after others: one core, no generic resources, no GPU; return its id.

    Raises:
        EngineError: SLURM refused.
    """
    options = slurm_options(campaign.configuration, bad_nodes(campaign))
    options = replace(
        options,
        cpus_per_task=min(1, options.cpus_per_task),
        gres="",
        sbatch=without_gpus(options.sbatch),
        throttle=0,
        use_srun=False,
    )
    launcher = SlurmLauncher(
        campaign.paths.batches_dir, f"phloem-{campaign.configuration.campaign.name}-merge", options
    )
    words = [sys.executable, "-m", "phloem", "finish", str(campaign.paths.root.resolve()), "--round", str(number)]
    return launcher.submit_one(words, "afterany:" + ":".join(jobs)).job


def task_workers(configuration: Configuration) -> int:
    """Return the worker processes of one task."""
    engine = configuration.engine
    return engine.workers_of(engine.task_cores or usable_cores())
