"""What the scheduler knows of other jobs: whether a tile's holder is over, and which jobs of a campaign are alive."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from phloem.endings import Ending
from phloem.hpc.slurm_engine.control import node_is_down
from phloem.hpc.slurm_engine.job_states import end_class, job_states, queue_states
from phloem.hpc.tasks import EngineError
from phloem.io.campaign.attempts import Holder

REMEMBER_SECONDS = 30.0
"""How long an answer of the scheduler holds: hundreds of tasks ask for the same few jobs."""

OVER = (
    Ending.PREEMPTED,
    Ending.WALLTIME,
    Ending.NODE_LOST,
    Ending.OUT_OF_MEMORY,
    Ending.CANCELLED,
    Ending.WORKER_LOST,
)
"""What ends a job for certain; everything else, `unknown` first of all, is no end."""


@dataclass
class SchedulerAnswers:
    """What the scheduler has said of jobs.

    Attributes:
        known: when the controller was last asked about an array, and what it said of its tasks; "" is all that it was
            silent of.
        over: how lives of jobs ended, by job id and restart count: that does not change any more.
    """

    known: dict[str, tuple[float, dict[str, str]]] = field(default_factory=dict)
    over: dict[tuple[str, int], str] = field(default_factory=dict)

    def verdict(self, holder: Holder) -> str:
        """Return how a holder's job ended, as an end's class; empty where it is not known for certain to be over.

        A job that is requeued has the same id in its next life, so what is known of one life says nothing of another.
        That a job is over is only believed of an answer younger than the claim: before that it may have been waiting.
        """
        life = holder.job, holder.restart
        if life not in self.over and _ended(self._state(holder.job), holder):
            kind = _ended(self._state(holder.job, afresh=True), holder)
            if kind:
                self.over[life] = _why_put_back(holder) if kind == "put back" else kind
        return self.over.get(life, "")

    def _state(self, job: str, afresh: bool = False) -> str:
        """Return a job's state, UNKNOWN where nobody says it: one question an array, of which hundreds may be asked."""
        array, now = job.partition("_")[0], time.monotonic()
        lately = {key: states for key, (asked, states) in self.known.items() if now - asked < REMEMBER_SECONDS}
        if "" in lately:
            return "UNKNOWN"
        if afresh or array not in lately:
            try:
                lately[array] = queue_states([array])
            except EngineError:
                self.known[""] = time.monotonic(), {}
                return "UNKNOWN"
            self.known[array] = time.monotonic(), lately[array]
        states = lately[array]
        if job not in states and array not in states:  # the accounting may know what the controller has forgotten
            states |= {array: "UNKNOWN", **job_states([array]), **states}
        return states.get(job, "UNKNOWN")


def _ended(state: str, holder: Holder) -> str:
    """Return how a job's life ended; empty where it may go on."""
    kind = end_class(state)
    if kind == "pending" or _earlier_life(holder):
        return "put back"
    return Ending.WORKER_LOST if kind == "completed" else kind if kind in OVER else ""


def _earlier_life(holder: Holder) -> bool:
    """Tell whether a holder is this very job before it was put back into the queue."""
    here = os.environ
    task = here.get("SLURM_ARRAY_TASK_ID")
    job = f"{here.get('SLURM_ARRAY_JOB_ID')}_{task}" if task else here.get("SLURM_JOB_ID")
    return holder.job == job and holder.restart < int(here.get("SLURM_RESTART_COUNT") or 0)


def _why_put_back(holder: Holder) -> str:
    """Return why a job was put back: its node was lost, or, where the node is well, others came first."""
    try:
        return Ending.NODE_LOST if node_is_down(holder.host) else Ending.PREEMPTED
    except EngineError:
        return Ending.NODE_LOST


ANSWERS = SchedulerAnswers()
"""Those to this process: its supervisors and its looks at a campaign ask for the same jobs."""

verdict = ANSWERS.verdict


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
