"""The SLURM job that this process runs in: its identity, its requeue, its continuation in a new job."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from phloem.hpc.commands import COMMAND_SECONDS, run_command
from phloem.hpc.slurm_engine.control import ASK_SECONDS, SCRIPT_VARIABLE, submit_script
from phloem.hpc.tasks import EngineError

_PROTECTED = 'trap "" TERM INT HUP USR1 USR2; exec "$@"'
"""Shell that starts a command with the signals ignored that a requeue sends to every process of the job."""


@dataclass(frozen=True)
class JobIdentity:
    """The SLURM job that this process is in.

    Attributes:
        job: SLURM's id of this job alone.
        array_job: id of its array; empty for a job that is none.
        array_task: its index in the array; None for a job that is none.
        restarts: how often SLURM has put it back into the queue.
        node: name of the node.
        ends_at: end of its walltime, in seconds since 1970 by the cluster's clock; None where it is not known.
        script: what it was submitted from, if by this package.
    """

    job: str
    array_job: str
    array_task: int | None
    restarts: int
    node: str
    ends_at: float | None
    script: Path | None

    @property
    def id(self) -> str:
        """The id that means this job alone: `123_4` in an array (`123` may be both an array and one of its tasks)."""
        return self.job if self.array_task is None else f"{self.array_job}_{self.array_task}"


def this_job(seconds: float = ASK_SECONDS) -> JobIdentity | None:
    """Return the job that this process is in, or None outside of SLURM.

    SLURM 22.05 does not tell a job when it ends (SLURM_JOB_END_TIME), so the controller is asked once; if it does not
    answer, the end is not known.
    """
    here = os.environ
    if not here.get("SLURM_JOB_ID"):
        return None
    task = here.get("SLURM_ARRAY_TASK_ID", "")
    script = here.get(SCRIPT_VARIABLE, "")
    return JobIdentity(
        job=here["SLURM_JOB_ID"],
        array_job=here.get("SLURM_ARRAY_JOB_ID", ""),
        array_task=int(task) if task else None,
        restarts=int(here.get("SLURM_RESTART_COUNT") or 0),
        node=here.get("SLURMD_NODENAME") or os.uname().nodename,
        ends_at=_end_of_walltime(here["SLURM_JOB_ID"], seconds),
        script=Path(script) if script else None,
    )


def _end_of_walltime(job: str, seconds: float) -> float | None:
    told = os.environ.get("SLURM_JOB_END_TIME", "")
    if told.isdigit():
        return float(told)
    try:
        epoch = {**os.environ, "SLURM_TIME_FORMAT": "%s"}
        text = run_command(["squeue", "-h", "-j", job, "-o", "%A|%e"], seconds, epoch)
    except EngineError:
        return None
    found = re.search(rf"^\s*{job}\|(\d+)\s*$", text, re.M)
    return float(found[1]) if found else None


def requeue_this_job(seconds: float = COMMAND_SECONDS) -> None:
    """Have SLURM put this job back into the queue, with its restart count one higher.

    SLURM ends the job at once (SIGTERM, then SIGKILL), so whatever must be kept has to be kept before. The command
    that asks for it is a child of this job too: it ignores the SIGTERM that it causes, which would otherwise make a
    requeue that worked look like one that failed.

    Raises:
        EngineError: this is no SLURM job, or it may not be requeued, or the controller does not answer.
    """
    job = _this_job_id("requeued")
    run_command(["sh", "-c", _PROTECTED, "requeue", "scontrol", "requeue", job], seconds)


def resubmit_this_task(script: Path | None = None, dependency: str = "", seconds: float = COMMAND_SECONDS) -> str:
    """Submit this task anew, for clusters that do not requeue: same script, same options, same index.

    The new job starts once this one has ended, so that the two never run together.

    Args:
        script: what this job was submitted from; by default the job knows it.
        dependency: what must come first as well, as sbatch writes it.
        seconds: bound of the command.

    Returns:
        The id of the new task: `456_4` in an array.

    Raises:
        EngineError: this is no SLURM job, its script is not known, or sbatch refused it or did not answer.
    """
    job = _this_job_id("submitted anew")
    script = script or Path(os.environ.get(SCRIPT_VARIABLE, ""))
    if not script.is_file():
        raise EngineError(f"job {job} cannot be submitted anew: its script is not known or is gone ({script})")
    _, _, task = job.partition("_")
    before = ",".join(filter(None, [f"afterany:{job}", dependency]))
    options = [f"--dependency={before}", *([f"--array={task}"] if task else [])]
    new = submit_script(script, *options, seconds=seconds)
    return f"{new}_{task}" if task else new


def _this_job_id(wish: str) -> str:
    """Return the id that means this job alone."""
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    job = os.environ.get("SLURM_ARRAY_JOB_ID") if task else os.environ.get("SLURM_JOB_ID")
    if not job:
        raise EngineError(f"this process is in no SLURM job, so nothing can be {wish}")
    return f"{job}_{task}" if task else job
