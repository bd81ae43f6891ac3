"""The devices of a worker, and the environment that gives it as many as it should have.

JAX is imported by the functions that need it: a process that only plans, or starts workers, does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phloem.endings import Ending
from phloem.errors import WorkError
from phloem.sharding.lanes.device_texts import device_failure

if TYPE_CHECKING:
    import jax


def device_environment(devices: int) -> dict[str, str]:
    """Return the variables that give a worker so many virtual CPU devices, each with a thread of its own.

    They count when JAX is imported. JAX_NUM_CPU_DEVICES outweighs a count in XLA_FLAGS, whose other flags stay as they
    are. Without NPROC each device would start a thread for every core of the machine.

    Args:
        devices: how many, 1 or more.

    Raises:
        ValueError: fewer than one device.
    """
    if devices < 1:
        raise ValueError(f"a worker needs at least one device, not {devices}")
    return {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "NPROC": str(devices),
        "OMP_NUM_THREADS": "1",
    }


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out: of a device, or of the process that builds its tables.

    Memory that runs out while XLA compiles ends the process instead; no error tells of that.
    """
    return isinstance(error, MemoryError) or device_failure(str(error)) == Ending.OUT_OF_MEMORY


def local_devices(count: int, platform: str | None = None) -> list[jax.Device]:
    """Return the first devices of this process.

    Args:
        count: how many are wanted.
        platform: `cpu` or `gpu`; JAX's own choice without it.

    Raises:
        WorkError: this process has fewer; the message says how to give it more.
    """
    import jax

    present = jax.local_devices(backend=platform)
    if not 1 <= count <= len(present):
        kind = present[0].platform
        remedy = (
            f"start the worker with JAX_NUM_CPU_DEVICES={count}"
            if kind == "cpu"
            else "ask the engine for more of them, or for fewer devices a worker"
        )
        raise WorkError(f"{count} {kind} devices were asked for, this process has {len(present)}: {remedy}")
    return present[:count]
