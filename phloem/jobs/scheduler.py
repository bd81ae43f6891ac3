"""A campaign inside SLURM jobs: the task that works through tiles, and what the scheduler knows of other jobs."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from phloem.hpc import (
    EngineError,
    JobIdentity,
    StopFlag,
    end_class,
    exclude_node,
    job_states,
    node_is_down,
    queue_states,
    requeue_this_job,
    resubmit_this_task,
    this_job,
)
from phloem.io import Holder
from phloem.jobs.campaign import Campaign, open_campaign
from phloem.jobs.execute import local_engine
from phloem.jobs.progress import say
from phloem.jobs.rounds import bad_nodes, read_round, round_jobs, task_workers
from phloem.jobs.supervisor import Supervisor

REMEMBER_SECONDS = 30.0
"""How long an answer of the scheduler holds: hundreds of tasks ask for the same few jobs."""

OVER = ("preempted", "walltime", "node lost", "out of memory", "cancelled", "worker lost")
"""What ends a job for certain; everything else, `unknown` first of all, is no end."""

_over: dict[tuple[str, int], str] = {}
"""How lives of jobs ended, by job id and restart count: that does not change any more."""

_known: dict[str, tuple[float, dict[str, str]]] = {}
"""When the controller was last asked about an array, and what it said of its tasks; "" is all that it was silent of."""


def verdict(holder: Holder) -> str:
    """Return how a holder's job ended, as an end's class; empty where it is not known for certain to be over.

    A job that is requeued has the same id in its next life, so what is known of one life says nothing of another. That
    a job is over is only believed of an answer younger than the claim: before that it may have been waiting.
    """
    life = holder.job, holder.restart
    if life not in _over and _ended(_state(holder.job), holder):
        kind = _ended(_state(holder.job, afresh=True), holder)
        if kind:
            _over[life] = _why_put_back(holder) if kind == "put back" else kind
    return _over.get(life, "")


def _ended(state: str, holder: Holder) -> str:
    """Return how a job's life ended; empty where it may go on."""
    kind = end_class(state)
    if kind == "pending" or _earlier_life(holder):
        return "put back"
    return "worker lost" if kind == "completed" else kind if kind in OVER else ""


def _earlier_life(holder: Holder) -> bool:
    """Tell whether a holder is this very job before it was put back into the queue."""
    here = os.environ
    task = here.get("SLURM_ARRAY_TASK_ID")
    job = f"{here.get('SLURM_ARRAY_JOB_ID')}_{task}" if task else here.get("SLURM_JOB_ID")
    return holder.job == job and holder.restart < int(here.get("SLURM_RESTART_COUNT") or 0)


def _why_put_back(holder: Holder) -> str:
    """Return why a job was put back: its node was lost, or, where the node is well, others came first."""
    try:
        return "node lost" if node_is_down(holder.host) else "preempted"
    except EngineError:
        return "node lost"


def _state(job: str, afresh: bool = False) -> str:
    """Return a job's state, UNKNOWN where nobody says it: one question an array, of which hundreds may be asked for."""
    array, now = job.partition("_")[0], time.monotonic()
    lately = {key: states for key, (asked, states) in _known.items() if now - asked < REMEMBER_SECONDS}
    if "" in lately:
        return "UNKNOWN"
    if afresh or array not in lately:
        try:
            lately[array] = queue_states([array])
        except EngineError:
            _known[""] = time.monotonic(), {}
            return "UNKNOWN"
        _known[array] = time.monotonic(), lately[array]
    states = lately[array]
    if job not in states:  # the accounting may know what the controller has forgotten
        states[job] = job_states([job]).get(job, "UNKNOWN")
    return states[job]


def living(jobs: Sequence[str]) -> list[str]:
    """Return the jobs of which a task runs or waits, or is in a state that nobody has heard of.

    A job that the controller has forgotten ended some minutes ago or more (MinJobAge): it is not among them.

    Raises:
        EngineError: the controller does not answer.
    """
    states = queue_states(jobs) if jobs else {}
    live = {task for task, state in states.items() if end_class(state) in ("running", "pending", "unknown")}
    return [job for job in jobs if any(task == job or task.startswith(f"{job}_") for task in live)]


def alive(jobs: Sequence[str]) -> list[str]:
    """Return what `living` does, and all jobs where the controller does not answer: unknown is never over."""
    try:
        return living(jobs)
    except EngineError:
        return list(jobs)


def work(directory: Path, number: int, task: int) -> str:
    """Compute the tiles of one task of a round, then whatever else is free; go on later where the walltime ends.

    Args:
        directory: of the campaign.
        number: of the round.
        task: index of the task.

    Returns:
        What was done, for the job's output.
    """
    flag = StopFlag()
    flag.install()  # a signal that comes before the first tile, or between two, must not end the process
    campaign = open_campaign(directory)
    this = read_round(campaign, number)
    campaign = replace(campaign, configuration=this.configuration)
    job = this_job()
    own = this.tasks[task]
    others = [tile for later in (*this.tasks[task + 1 :], *this.tasks[:task]) for tile in later]
    engine = local_engine(campaign, task_workers(this.configuration))
    engine.flag = flag
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
    """Keep the waiting tasks of a round off nodes that were lost twice."""
    for node in bad_nodes(campaign):
        try:
            count = exclude_node(round_jobs(campaign, number), node)
            say(f"node {node} was lost twice; {count} waiting tasks are kept off it")
        except EngineError as error:
            say(f"node {node} was lost twice; it could not be left out: {error}")
