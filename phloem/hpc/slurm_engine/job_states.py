"""States of SLURM jobs, as the controller and the accounting name them, and the meaning of each for the work."""

from __future__ import annotations

import re
from collections.abc import Sequence

from phloem.endings import Ending
from phloem.hpc.commands import run_command
from phloem.hpc.slurm_engine.control import ASK_SECONDS, ask_queue, job_lists
from phloem.hpc.tasks import EngineError

UNKNOWN = "UNKNOWN"

_CLASSES = {
    "completed": ("COMPLETED",),
    "running": ("RUNNING", "COMPLETING", "CONFIGURING", "SIGNALING", "STAGE_OUT", "SUSPENDED", "STOPPED", "RESIZING"),
    "pending": ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
    Ending.PREEMPTED: ("PREEMPTED",),
    Ending.WALLTIME: ("TIMEOUT", "DEADLINE"),
    Ending.NODE_LOST: ("NODE_FAIL", "BOOT_FAIL"),
    Ending.OUT_OF_MEMORY: ("OUT_OF_MEMORY",),
    Ending.CANCELLED: ("CANCELLED", "REVOKED"),
    Ending.WORKER_LOST: ("FAILED",),
}
_CLASS_OF = {state: name for name, states in _CLASSES.items() for state in states}
_MAY_RETURN = (Ending.PREEMPTED, Ending.NODE_LOST)
_NOT_ENDED = ("pending", "running", "unknown")


def end_class(state: str) -> str:
    """Return what a state means for the work in the job.

    Returns:
        An `Ending`; or `completed`, `running`, `pending`, and `unknown` for every state that is not known here.
    """
    return _CLASS_OF.get(state, "unknown")


def queue_states(ids: Sequence[str], seconds: float = ASK_SECONDS) -> dict[str, str]:
    """Return what the controller itself says of jobs and all their tasks; those it has forgotten are not there.

    A job is forgotten some minutes after its end (MinJobAge), so what is not there is over, however it ended.

    Raises:
        EngineError: the controller does not answer, or an id is not one.
    """
    return dict(ask_queue(ids, "%i|%T", "-t", "all", seconds=seconds))


def job_states(ids: Sequence[str], seconds: float = ASK_SECONDS) -> dict[str, str]:
    """Return the states of jobs or array tasks.

    The controller is asked first. A lost or preempted job is in the accounting as ended for some seconds before its
    requeued self appears there (4 s seen), while the controller already has it pending. So the accounting is asked
    only about jobs that the controller has forgotten or cannot speak of, and believed only about ends; in the latter
    case not even about ends that a requeue may follow.

    Args:
        ids: `123` for a job and, if it is an array, for all of its tasks; `123_4` for one task.
        seconds: bound of each of the two questions.

    Returns:
        State by task; `UNKNOWN` for each id of which neither says anything that can be believed.

    Raises:
        EngineError: an id is not one.
    """
    lists = job_lists(ids)
    try:
        live = queue_states(ids, seconds)
        silent = False
    except EngineError:
        live, silent = {}, True
    known = dict(live)
    # an id that is no task's stands for an array, some tasks of which the controller may have forgotten
    if silent or any(one not in live for one in ids):
        doubted = (*_NOT_ENDED, *_MAY_RETURN) if silent else _NOT_ENDED
        for task, state in _accounted(lists, seconds).items():
            if task not in known and end_class(state) not in doubted:
                known[task] = state
    states: dict[str, str] = {}
    for job in ids:
        states |= {task: known[task] for task in _tasks(job, known)} or {job: UNKNOWN}
    return states


def _tasks(one: str, known: dict[str, str]) -> list[str]:
    """Return the tasks among those known that an id stands for."""
    if one in known or "_" in one:
        return [one] if one in known else []
    return [task for task in known if task.startswith(f"{one}_")]


def _accounted(lists: Sequence[str], seconds: float) -> dict[str, str]:
    """Ask sacct; return nothing where accounting is off or does not answer."""
    states: dict[str, str] = {}
    for some in lists:
        try:
            text = run_command(["sacct", "-n", "-X", "-P", "-o", "JobID,State", "-j", some], seconds)
        except EngineError:
            return {}
        for line in text.splitlines():
            job, _, state = line.partition("|")
            for task in expand_tasks(job):
                # "CANCELLED by 1000"
                states[task] = (state.split() or [UNKNOWN])[0]
    return states


def expand_tasks(job: str) -> list[str]:
    """Return the single tasks in an id such as `123_[1-3,7,10-20:5%4]`, which stands for tasks that wait."""
    found = re.fullmatch(r"(\d+)_\[([\d,:-]+)(?:%\d+)?\]", job)
    if not found:
        return [job]
    tasks = []
    for part in found[2].split(","):
        first, _, rest = part.partition("-")
        last, _, step = rest.partition(":")
        tasks += [f"{found[1]}_{index}" for index in range(int(first), int(last or first) + 1, int(step or 1))]
    return tasks
