"""One task of a round inside its batch job: tile after tile until its walltime ends, then continued in a new job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from phloem.hpc.slurm_engine.control import exclude_node
from phloem.hpc.slurm_engine.own_job import JobIdentity, requeue_this_job, resubmit_this_task, this_job
from phloem.hpc.tasks import EngineError, StopFlag
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.progress import say
from phloem.jobs.run.batch_jobs import verdict
from phloem.jobs.run.execute import local_engine
from phloem.jobs.run.slurm.rounds import bad_nodes, read_round, round_jobs, task_workers
from phloem.jobs.run.supervisor import Supervisor


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
    if job is not None and not engine.devices_left:  # tasks that wait would come here next: it ends faster than others
        _shun_bad_nodes(campaign, number)
    left = [tile for tile in own if tile not in supervisor.done]
    progress = f"{len(own) - len(left)} of {len(own)} own tiles are done"
    if engine.flag.name in ("SIGUSR1", "SIGUSR2") and job is not None and len(supervisor.done) < len(own) + len(others):
        progress += "; " + _go_on_later(campaign, number, job)
    return progress


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
    """Keep the waiting tasks of a round off nodes that were lost twice, or whose devices were."""
    for node in bad_nodes(campaign):
        try:
            count = exclude_node(round_jobs(campaign, number), node)
            say(f"node {node} or its GPUs were lost; {count} waiting tasks are kept off it")
        except EngineError as error:
            say(f"node {node} or its GPUs were lost; it could not be left out: {error}")
