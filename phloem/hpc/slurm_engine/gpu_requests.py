"""GPUs in what a batch job asks for: generic resources and options of sbatch, and what nodes have."""

from __future__ import annotations

import re
from collections.abc import Mapping

from phloem.hpc.commands import run_command
from phloem.hpc.slurm_engine.control import ASK_SECONDS
from phloem.hpc.slurm_engine.launcher import option_name
from phloem.hpc.tasks import EngineError

COUNTING = ("gpus", "gpus-per-node", "gpus-per-task")
"""Options of sbatch with the GPUs of a job of one task; `gpus-per-socket` is none, since sockets differ."""

_GPUS = re.compile(r"gpu(?![\w-])(?::[A-Za-z_][\w.-]*)?(?::(\d+))?")
"""`gpu`, `gpu:2`, `gpu:h200:2`, as in `--gres` and in what `sinfo` says of nodes, such as `gpu:h200:4(S:0-1)`."""


def gpus_in(gres: str) -> int | None:
    """Return how many GPUs a list of generic resources has; None where it names none.

    Args:
        gres: as in `--gres`, such as `lscratch:100,gpu:h200:2`.
    """
    found = [_GPUS.match(word.strip().removeprefix("gres/").removeprefix("gres:")) for word in gres.split(",")]
    counts = [int(one[1] or 1) for one in found if one]
    return sum(counts) if counts else None


def asked_gpus(gres: str, sbatch: Mapping[str, str | int | float | bool]) -> int | None:
    """Return how many GPUs a task's own words ask for; None where they ask for none.

    Args:
        gres: generic resources.
        sbatch: other options, as the user wrote them.
    """
    found = [gpus_in(gres)]
    for key, value in sbatch.items():
        if option_name(key) in COUNTING:
            kinds = [word.rpartition(":")[2] for word in str(value).split(",")]
            found.append(sum(int(count) if count.isdecimal() else 1 for count in kinds))
    counts = [count for count in found if count is not None]
    return max(counts) if counts else None


def with_gpus(gres: str, sbatch: Mapping[str, str | int | float | bool], gpus: int) -> str:
    """Return generic resources that hold a task's GPUs: as given where GPUs are asked for already, else with them."""
    if not gpus or asked_gpus(gres, sbatch) is not None:
        return gres
    return ",".join(filter(None, [gres, f"gpu:{gpus}"]))


def without_gpus(sbatch: Mapping[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
    """Return the options of sbatch that do not concern GPUs (`gpus...`, `gpu-bind`, `mem-per-gpu`)."""
    return {
        key: value
        for key, value in sbatch.items()
        if not option_name(key).startswith("gpu") and not option_name(key).endswith("-per-gpu")
    }


def most_gpus(partition: str = "", seconds: float = ASK_SECONDS) -> int:
    """Return how many GPUs the node with most of them has.

    Args:
        partition: some, with commas between; empty: all of the cluster.
        seconds: bound of the question.

    Raises:
        EngineError: the controller does not answer, or knows no node there.
    """
    words = ["sinfo", "-h", "-N", "-o", "%G", *(["-p", partition] if partition else [])]
    nodes = [re.sub(r"\(.*?\)", "", line) for line in run_command(words, seconds).splitlines() if line.strip()]
    if not nodes:
        raise EngineError(f"SLURM knows no node of the partition {partition!r}")
    return max(gpus_in(node) or 0 for node in nodes)
