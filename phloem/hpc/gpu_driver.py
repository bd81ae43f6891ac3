"""GPUs as the driver tells them: memory, ECC, MIG, compute mode, processes.

They are read over NVML by nvidia-ml-py, which makes no CUDA context and holds no GPU memory. `python -m
phloem.hpc.gpu_driver` prints them as JSON: a driver that hangs hangs that process alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from phloem.hpc.commands import run_command
from phloem.hpc.tasks import EngineError

DRIVER_SECONDS = 30.0
"""How long the driver may take to tell its GPUs: without persistence mode it wakes each card first, 1 to 3 s."""

NO_LIBRARY = "nvidia-ml-py is not installed"

COMPUTE_MODES = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}
"""Names of `nvmlComputeMode_t`."""


@dataclass(frozen=True)
class Gpu:
    """One GPU of this machine; None stands for what the driver does not tell.

    Attributes:
        index: in the driver's order.
        name: of the card, as "NVIDIA H200".
        uuid: as CUDA_VISIBLE_DEVICES takes it.
        driver: version of the driver.
        cuda: newest CUDA version that the driver runs, as "13.0".
        memory_total: bytes.
        memory_free: bytes.
        ecc: whether error correction is on.
        uncorrected_errors: memory errors since the driver was loaded that were not corrected.
        mig: whether MIG mode is on.
        mig_devices: UUIDs of its MIG devices.
        compute_mode: `default`, `exclusive process`, `prohibited`.
        capability: major and minor number of the architecture.
        multiprocessors: their number.
        processes: numbers of the processes that compute on it.
    """

    index: int
    name: str
    uuid: str
    driver: str | None
    cuda: str | None
    memory_total: int | None
    memory_free: int | None
    ecc: bool | None
    uncorrected_errors: int | None
    mig: bool | None
    mig_devices: tuple[str, ...]
    compute_mode: str | None
    capability: tuple[int, int] | None
    multiprocessors: int | None
    processes: tuple[int, ...]

    @property
    def architecture(self) -> str | None:
        """Name of the architecture for compilers, as "sm_90"."""
        return None if self.capability is None else "sm_{}{}".format(*self.capability)


@dataclass(frozen=True)
class GpuListing:
    """What the driver tells.

    Attributes:
        gpus: of this machine.
        missing: why there are none, or not all; empty where all is told.
    """

    gpus: tuple[Gpu, ...]
    missing: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the listing as a JSON object."""
        return {"gpus": [asdict(gpu) for gpu in self.gpus], "missing": self.missing}

    @staticmethod
    def from_json(document: dict[str, Any]) -> GpuListing:
        """Return the listing of a JSON object."""
        gpus = []
        for entry in document["gpus"]:
            capability = None if entry["capability"] is None else tuple(entry["capability"])
            tuples = {name: tuple(entry[name]) for name in ("mig_devices", "processes")}
            gpus.append(Gpu(**{**entry, **tuples, "capability": capability}))
        return GpuListing(tuple(gpus), document["missing"])


def list_gpus() -> GpuListing:
    """Ask the driver for its GPUs, in this process; never raises, but waits for a driver that hangs."""
    try:
        import pynvml
    except ImportError:
        return GpuListing((), NO_LIBRARY)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return GpuListing((), f"NVML: {error}")
    gpus, missing = [], []
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                gpus.append(_describe(pynvml, index))
            except pynvml.NVMLError as error:  # one that has fallen off the bus does not hide the others
                missing.append(f"GPU {index}: {error}")
    except pynvml.NVMLError as error:
        missing.append(f"NVML: {error}")
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    return GpuListing(tuple(gpus), "; ".join(missing))


def list_gpus_apart(seconds: float = DRIVER_SECONDS) -> GpuListing:
    """Ask the driver for its GPUs in a process of its own; never raises, and never waits longer than `seconds`."""
    try:
        answer = run_command([sys.executable, "-m", "phloem.hpc.gpu_driver"], seconds)
        return GpuListing.from_json(json.loads(answer))
    except EngineError as error:
        why = "the driver does not answer" if not error.answered else "the driver ended the process that asked it"
        return GpuListing((), f"{why}: {error}")
    except (ValueError, KeyError, TypeError) as error:
        return GpuListing((), f"the driver's answer cannot be read: {error}")


def _describe(pynvml: Any, index: int) -> Gpu:
    """Return what the driver tells of one GPU."""
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)

    def ask(question: Callable[[], Any]) -> Any:
        """None where this card or this driver does not know."""
        try:
            return question()
        except pynvml.NVMLError:
            return None

    cuda = ask(pynvml.nvmlSystemGetCudaDriverVersion)
    memory = ask(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    ecc = ask(lambda: pynvml.nvmlDeviceGetEccMode(handle)[0])
    uncorrected = ask(
        lambda: pynvml.nvmlDeviceGetTotalEccErrors(
            handle, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC
        )
    )
    mig = ask(lambda: pynvml.nvmlDeviceGetMigMode(handle)[0])
    mode = ask(lambda: pynvml.nvmlDeviceGetComputeMode(handle))
    multiprocessors = ask(lambda: pynvml.nvmlDeviceGetAttributes(handle).multiprocessorCount)
    processes = ask(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
    return Gpu(
        index=index,
        name=pynvml.nvmlDeviceGetName(handle),
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        driver=ask(pynvml.nvmlSystemGetDriverVersion),
        cuda=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        memory_total=None if memory is None else int(memory.total),
        memory_free=None if memory is None else int(memory.free),
        ecc=None if ecc is None else bool(ecc),
        uncorrected_errors=uncorrected,
        mig=None if mig is None else bool(mig),
        mig_devices=_mig_devices(pynvml, handle) if mig else (),
        compute_mode=None if mode is None else COMPUTE_MODES.get(mode, f"mode {mode}"),
        capability=ask(lambda: pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
        multiprocessors=multiprocessors,
        processes=tuple(int(process.pid) for process in processes),
    )


def _mig_devices(pynvml: Any, handle: Any) -> tuple[str, ...]:
    found = []
    with suppress(pynvml.NVMLError):
        for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            with suppress(pynvml.NVMLError):  # places that hold no device
                found.append(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)))
    return tuple(found)


if __name__ == "__main__":
    print(json.dumps(list_gpus().to_json()))
