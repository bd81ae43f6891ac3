"""A campaign inside SLURM jobs: the task that works through tiles, and what the scheduler knows of other jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from phloem.hpc import (
    EngineError,
    JobIdentity,
    end_class,
    exclude_node,
    job_states,
    requeue_this_job,
    resubmit_this_task,
    this_job,
)
from phloem.io import Holder
from phloem.jobs.campaign import Campaign, open_campaign
from phloem.jobs.progress import say

REMEMBER_SECONDS = 30.0
"""How long an answer of the scheduler holds: hundreds of tasks ask for the same few jobs."""

OVER = ("preempted", "walltime", "node lost", "out of memory", "cancelled", "worker lost")
"""What ends a job for certain; everything else, `unknown` first of all, is no end."""

_known: dict[str, tuple[float, str]] = {}


def verdict(holder: Holder) -> str:
    """Return how a holder's job ended, as an end's class; empty where it is not known for certain to be over."""
    asked, found = _known.get(holder.job, (-REMEMBER_SECONDS, ""))
    if time.monotonic() - asked < REMEMBER_SECONDS:
        return found
    try:
        state = job_states([holder.job]).get(holder.job, "UNKNOWN")
    except EngineError:
        state = "UNKNOWN"
    kind = end_class(state)
    # A job that waits again was put back: whoever held the tile in its earlier life is gone without a word.
    found = {"pending": "node lost", "completed": "worker lost"}.get(kind, kind if kind in OVER else "")
    _known[holder.job] = time.monotonic(), found
    return found


def alive(jobs: Sequence[str]) -> list[str]:
    """Return the jobs of which a task runs, waits, or cannot be asked about: unknown is never over."""
    if not jobs:
        return []
    try:
        states = job_states(jobs)
    except EngineError:
        return list(jobs)
    live = {task for task, state in states.items() if end_class(state) in ("running", "pending", "unknown")}
    return [job for job in jobs if any(task == job or task.startswith(f"{job}_") for task in live)]


def work(directory: Path, number: int, task: int) -> str:
    """Compute the tiles of one task of a round, then whatever else is free; go on later where the walltime ends.

    Args:
        directory: of the campaign.
        number: of the round.
        task: index of the task.

    Returns:
        What was done, for the job's output.
    """
    from phloem.jobs.batches import read_round, task_workers
    from phloem.jobs.execute import local_engine
    from phloem.jobs.supervisor import Supervisor

    campaign = open_campaign(directory)
    this = read_round(campaign, number)
    campaign = replace(campaign, configuration=this.configuration)
    job = this_job()
    own = this.tasks[task]
    others = [tile for later in (*this.tasks[task + 1 :], *this.tasks[:task]) for tile in later]
    engine = local_engine(campaign, task_workers(this.configuration))
    supervisor = Supervisor(
        campaign,
        engine,
        order=[*own, *others],
        job=job.id if job else "",
        restart=job.restarts if job else 0,
        node=job.node if job else "",
        verdict=verdict,
    )
    if job is not None and job.restarts:
        _shun_bad_nodes(campaign, number)
    supervisor.run()
    left = [tile for tile in own if tile not in supervisor.done]
    said = f"{len(own) - len(left)} of {len(own)} own tiles are done"
    if engine.flag.name in ("SIGUSR1", "SIGUSR2") and job is not None and len(supervisor.done) < len(own) + len(others):
        said += "; " + _go_on_later(campaign, number, job)
    return said


def _go_on_later(campaign: Campaign, number: int, job: JobIdentity) -> str:
    """Have this task run again: requeued where that is allowed, else submitted anew."""
    if campaign.configuration.engine.requeue:
        try:
            say(f"job {job.id} goes back into the queue")
            requeue_this_job()
            return "requeued"
        except EngineError as error:
            say(f"requeue refused: {error}")
    try:
        new = resubmit_this_task()
    except EngineError as error:
        return f"not submitted anew ({error}); the job after the round goes on"
    (campaign.paths.batches_dir / f"round-{number:04d}.again-{new}").touch()
    return f"submitted anew as {new}"


def _shun_bad_nodes(campaign: Campaign, number: int) -> None:
    """Keep the waiting tasks of a round off nodes on which attempts were lost twice."""
    from phloem.jobs.batches import bad_nodes, round_jobs
    from phloem.jobs.state import read_state

    for node in bad_nodes(read_state(campaign, False, verdict)):
        try:
            count = exclude_node(round_jobs(campaign, number), node)
            say(f"node {node}: attempts were lost on it twice; {count} waiting tasks are kept off it")
        except EngineError as error:
            say(f"node {node}: attempts were lost on it twice; it could not be left out: {error}")
