"""GPUs of a machine as its batch system left them, and the share of each worker."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from phloem.hpc.gpu_driver import GpuListing
from phloem.hpc.tasks import EngineError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Which GPUs a process may use: SLURM, Ray, containers and people set it; CUDA obeys."""

FORMS = "numbers (0,1), UUIDs (GPU-3f0d...) or MIG instances (MIG-8a2c...)"

_NONE = ("", "-1", "NoDevFiles", "none", "void")
"""Texts that show no GPU."""

_ONE = re.compile(r"\d+|GPU-[0-9A-Fa-f-]+|MIG-[0-9A-Za-z/-]+")


def visible_gpus(environment: Mapping[str, str] | None = None, devices: Path = Path("/dev")) -> list[str]:
    """Return the GPUs that this process may use, in the words of CUDA_VISIBLE_DEVICES.

    Args:
        environment: the process's variables; by default this one's.
        devices: folder of device files, which count where the variable is not set.

    Raises:
        EngineError: the variable names no GPUs, or one twice; the message gives the valid forms.
    """
    given = (os.environ if environment is None else environment).get(VISIBLE)
    if given is None:
        return [str(number) for number, _ in enumerate(devices.glob("nvidia[0-9]*"))]
    if given.strip() in _NONE:
        return []
    found = [word.strip() for word in given.split(",")]
    if wrong := [word for word in found if not _ONE.fullmatch(word)]:
        raise EngineError(f"{VISIBLE}={given}: {wrong[0]!r} names no GPU; valid are {FORMS}")
    if len(set(found)) < len(found):
        raise EngineError(f"{VISIBLE}={given}: a GPU is named twice")
    return found


def gpus_of_slot(visible: Sequence[str], devices: int, slot: int) -> list[str]:
    """Return the GPUs of a worker.

    Args:
        visible: those of all workers.
        devices: GPUs of each.
        slot: number of the worker's place, from 0.

    Raises:
        EngineError: there are not so many, or a worker would have two MIG instances.
    """
    _require_one_instance(visible, devices)
    mine = list(visible[slot * devices : (slot + 1) * devices])
    if len(mine) < devices:
        raise EngineError(
            f"worker {slot} would have GPUs {slot * devices} to {(slot + 1) * devices - 1} of {len(visible)} "
            f"({VISIBLE}={','.join(visible)}): fewer engine.workers, or fewer engine.devices a worker"
        )
    return mine


def gpus_of_rank(neighbours: Sequence[Sequence[str]], place: int, each: int) -> list[str]:
    """Return the GPUs of one of the ranks of a machine.

    A launcher that binds ranks to GPUs shows each rank its own; any other shows all of them to all. Where each rank is
    shown its own as number 0, as SLURM does in device cgroups, they must be named by `by_uuid` first.

    Args:
        neighbours: what each rank of this machine sees, by their place on it.
        place: of this rank.
        each: GPUs of a rank.

    Raises:
        EngineError: the ranks need more GPUs than there are, or a rank would have two MIG instances.
    """
    _require_one_instance(neighbours[place], each)
    mine = list(neighbours[place])
    others = {gpu for number, seen in enumerate(neighbours) for gpu in seen if number != place}
    if len(mine) >= each and not others & set(mine):
        return mine[:each]
    first = place * each
    if len(mine) < each * len(neighbours) or any(list(seen) != mine for seen in neighbours):
        shown = "; ".join(",".join(seen) or "none" for seen in neighbours)
        raise EngineError(
            f"{len(neighbours)} ranks of {each} GPUs on {os.uname().nodename}, which shows them {shown}: start as many "
            "ranks a node as it has GPUs, or set engine.devices"
        )
    return mine[first : first + each]


def shares_suffice(neighbours: Sequence[Sequence[str]], each: int) -> bool:
    """Return whether each rank of a machine can have GPUs of its own; arguments as of `gpus_of_rank`."""
    try:
        for place in range(len(neighbours)):
            gpus_of_rank(neighbours, place, each)
    except EngineError:
        return False
    return True


def by_uuid(visible: Sequence[str], listing: GpuListing) -> list[str]:
    """Return GPUs by their UUIDs, which mean the same in every process; one that the driver does not tell stays.

    Args:
        visible: as CUDA_VISIBLE_DEVICES names them; numbers count the GPUs that this process may open.
        listing: what the driver tells this process.
    """
    uuids = {str(gpu.index): gpu.uuid for gpu in listing.gpus}
    return [uuids.get(word, word) for word in visible]


def _require_one_instance(visible: Sequence[str], devices: int) -> None:
    """Refuse several MIG instances in one process: CUDA uses the first and does not see the others."""
    if devices > 1 and any(word.startswith("MIG-") for word in visible):
        raise EngineError(
            f"{VISIBLE}={','.join(visible)}: a process can use one MIG instance, and engine.devices = {devices}: "
            "set it to 1, or turn MIG off"
        )
