"""Questions and orders to SLURM's controller: limits, scripts to run, jobs to cancel or to keep off a node."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phloem.hpc.commands import COMMAND_SECONDS, run_command
from phloem.hpc.tasks import EngineError

ASK_SECONDS = 20.0
"""Bound of a question. With the controller down SLURM's commands give up after 9 s, with it frozen after 10 s."""

WORDS_AT_ONCE = 4000
"""Job ids in one argument: a single argument of a program may hold 128 KiB."""

SCRIPT_VARIABLE = "PHLOEM_JOB_SCRIPT"
"""Set in every job: the script that it was submitted from, which is what a task resubmits."""

VARIABLE_NAMES = {"array": "ARRAY_INX", "mem": "MEM_PER_NODE", "time": "TIMELIMIT"}
"""Options whose `SBATCH_` variable is not called as they are."""

KEPT_VARIABLES = frozenset({"SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT"})
"""SLURM's variables that choose a cluster; all others describe the job that they are set in."""


@dataclass(frozen=True)
class ClusterLimits:
    """Limits of a cluster.

    Attributes:
        max_array_size: tasks that one array may have; 0 or 1 where arrays are switched off.
        requeue: whether jobs may be requeued unless they say otherwise.
        accounting: whether `sacct` answers.
    """

    max_array_size: int
    requeue: bool
    accounting: bool


def limits(seconds: float = ASK_SECONDS) -> ClusterLimits:
    """Ask the controller for the cluster's limits.

    Raises:
        EngineError: it does not answer, or not with these.
    """
    text = run_command(["scontrol", "show", "config"], seconds)
    settings = dict(re.findall(r"^(\w+)\s*= (.*?)\s*$", text, re.M))
    try:
        size, requeue = int(settings["MaxArraySize"]), settings["JobRequeue"] == "1"
    except (KeyError, ValueError) as error:
        raise EngineError(f"`scontrol show config` does not tell MaxArraySize and JobRequeue: {error}", text) from error
    return ClusterLimits(size, requeue, accounting=_accounting_answers(seconds))


def _accounting_answers(seconds: float) -> bool:
    try:
        run_command(["sacct", "-n", "-X", "-j", "1"], seconds)
    except EngineError:
        return False
    return True


def submitting_environment(script: Path) -> dict[str, str]:
    """Return the variables to run sbatch with: those that would change what the script says are left out.

    Variables `SBATCH_...` win over directives; and sbatch hands a new job those of the job that it is called in,
    SLURM_RESTART_COUNT among them.
    """
    text = script.read_text(encoding="utf-8", errors="surrogateescape")
    written = set(re.findall(r"^#SBATCH --([a-z-]+)", text, re.M)) | {"array", "requeue", "no-requeue"}
    spoiling = {f"SBATCH_{VARIABLE_NAMES.get(key, key.upper().replace('-', '_'))}" for key in written}
    inside = "SLURM_JOB_ID" in os.environ
    return {
        key: value
        for key, value in os.environ.items()
        if key in KEPT_VARIABLES or not (key in spoiling or (inside and key.startswith("SLURM_")))
    }


def submit_script(script: Path, *options: str, seconds: float = COMMAND_SECONDS) -> str:
    """Hand a script to sbatch and return the job id.

    Raises:
        EngineError: sbatch refused it or did not answer; in the latter case the job may have been submitted.
    """
    said = run_command(["sbatch", *options, script], seconds, submitting_environment(script))
    found = re.search(r"Submitted batch job (\d+)", said)
    if not found:
        raise EngineError(f"`sbatch {script}` did not name a job: {said.strip()}", said)
    return found[1]


def job_lists(ids: Sequence[str]) -> list[str]:
    """Return the ids of whole jobs among some of jobs and array tasks, joined by commas, in lists of bounded length.

    Raises:
        EngineError: one is neither `123` nor `123_4`.
    """
    strange = [one for one in ids if not re.fullmatch(r"\d+(_\d+)?", one)]
    if strange:
        raise EngineError(f"not a SLURM job id: {strange[0]!r}; ids look like 123 or, for array tasks, 123_4")
    whole = list(dict.fromkeys(one.split("_")[0] for one in ids))
    return [",".join(whole[start : start + WORDS_AT_ONCE]) for start in range(0, len(whole), WORDS_AT_ONCE)]


def ask_queue(ids: Sequence[str], layout: str, *options: str, seconds: float = ASK_SECONDS) -> list[list[str]]:
    """Ask squeue about jobs and all their tasks; return the fields of each line.

    Args:
        ids: jobs or array tasks; of a task the whole array is listed. Those that the controller has forgotten are not.
        layout: squeue's format, fields separated by `|`.
        options: further options of squeue.
        seconds: bound of each question.

    Raises:
        EngineError: the controller does not answer.
    """
    lines: list[str] = []
    for some in job_lists(ids):
        try:
            lines += run_command(["squeue", "-h", "-r", *options, "-j", some, "-o", layout], seconds).splitlines()
        except EngineError as error:
            # said of one job alone; of several, the unknown ones are passed over in silence
            if "Invalid job id" not in error.said:
                raise
    return [line.strip().split("|") for line in lines if line.strip()]


def cancel_jobs(ids: Sequence[str], seconds: float = COMMAND_SECONDS) -> None:
    """Cancel jobs or array tasks; those that have ended are passed over.

    Raises:
        EngineError: the controller refuses or does not answer.
    """
    for start in range(0, len(ids), WORDS_AT_ONCE):
        run_command(["scancel", "--quiet", *ids[start : start + WORDS_AT_ONCE]], seconds)


def exclude_node(ids: Sequence[str], node: str, seconds: float = COMMAND_SECONDS) -> int:
    """Keep the pending tasks of some jobs off a node, beside the nodes that they already avoid.

    Running tasks stay where they are, and if they are requeued they may come back to the node.

    Args:
        ids: jobs or array tasks.
        node: name of the node.
        seconds: bound of each command.

    Returns:
        How many pending tasks now avoid the node.

    Raises:
        EngineError: the controller does not answer, or a task that is still pending could not be changed.
    """
    failure = ""
    for job, waiting in _pending(ids, seconds).items():
        avoided = {host for hosts in set(waiting.values()) for host in _hosts(hosts, seconds)}
        every = ",".join(sorted({*avoided, node}))
        try:
            run_command(["scontrol", "update", f"JobId={job}", f"ExcNodeList={every}"], seconds)
        except EngineError as error:
            # an array of which some tasks run: these are refused, the pending ones are changed all the same
            failure = str(error)
    changed = 0
    for waiting in _pending(ids, seconds).values():
        avoiding = {hosts for hosts in set(waiting.values()) if node in _hosts(hosts, seconds)}
        for task, hosts in waiting.items():
            if hosts not in avoiding:
                raise EngineError(f"task {task} is pending and does not avoid node {node}: {failure}")
        changed += len(waiting)
    return changed


def waiting_reasons(ids: Sequence[str], seconds: float = ASK_SECONDS) -> dict[str, int]:
    """Return why the pending tasks of jobs wait, in SLURM's words (`Resources`, `JobHeldUser`), and how many each.

    Raises:
        EngineError: the controller does not answer, or an id is not one.
    """
    return dict(Counter(reason for (reason,) in ask_queue(ids, "%r", "-t", "PD", seconds=seconds)))


def node_is_down(node: str, seconds: float = ASK_SECONDS) -> bool:
    """Tell whether the controller has given up a node, or does not hear it.

    Raises:
        EngineError: it does not know the node, or does not answer.
    """
    states = run_command(["sinfo", "-h", "-N", "-n", node, "-o", "%T"], seconds).split()
    if not states:
        raise EngineError(f"SLURM knows no node {node!r}")
    return any(state.startswith(("down", "fail")) or state.endswith("*") for state in states)


def _pending(ids: Sequence[str], seconds: float) -> dict[str, dict[str, str]]:
    """Return, for each id that has any, its pending tasks and the list of nodes that each avoids."""
    rows = ask_queue(ids, "%i|%x", "-t", "PD", seconds=seconds)
    found: dict[str, dict[str, str]] = {}
    for task, hosts in rows:
        for one in (task, task.split("_")[0]):
            if one in ids:
                found.setdefault(one, {})[task] = hosts
                break
    return found


def _hosts(text: str, seconds: float) -> list[str]:
    """Return the single names in a node list such as `n[1-3],m7`."""
    if "[" not in text:
        return [name for name in text.split(",") if name]
    return run_command(["scontrol", "show", "hostnames", text], seconds).split()
