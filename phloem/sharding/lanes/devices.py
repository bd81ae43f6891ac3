"""The devices of a worker, and the environment that gives it as many as it should have.

JAX is imported by the functions that need it: a process that only plans, or starts workers, does without.
"""

from __future__ import annotations

from collections.abc import Mapping
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


XLA_OF_GPUS = ("--xla_gpu_deterministic_ops=true", "--xla_gpu_autotune_level=0")
"""Without them XLA takes another code for an operation from process to process, whichever it finds faster, and adds in
another order: other last bits."""


def gpu_environment(present: Mapping[str, str]) -> dict[str, str]:
    """Return the variables under which a worker computes on its GPUs.

    Memory is taken as it is needed: a process that dies leaves another one room, and kernels are loaded beside JAX's
    pool. JAX computes on processors where it is not told otherwise: what a lane begins with, and what is made of its
    end, has the bits that it has on a machine without a GPU. A library that stands in for the driver has its kernels on
    processors.

    Args:
        present: variables of the process that starts it, which are kept.
    """
    from phloem.kernels.time_loop.cuda.driver import platform

    flags = present.get("XLA_FLAGS", "").split()
    flags += [flag for flag in XLA_OF_GPUS if not any(one.startswith(flag.partition("=")[0]) for one in flags)]
    return {
        "JAX_PLATFORMS": ",".join(dict.fromkeys(("cpu", platform()))),
        "XLA_FLAGS": " ".join(flags),
        "XLA_PYTHON_CLIENT_PREALLOCATE": present.get("XLA_PYTHON_CLIENT_PREALLOCATE", "false"),
    }


def keep_off_gpus() -> None:
    """Keep JAX in this process on processors: who starts workers holds no memory of their GPUs."""
    import jax

    jax.config.update("jax_platforms", "cpu")


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
