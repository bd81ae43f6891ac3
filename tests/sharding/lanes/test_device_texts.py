"""Failure classes of the texts in which XLA, JAX and CUDA tell of a device's trouble."""

from __future__ import annotations

import re

import pytest
from jax.errors import JaxRuntimeError

from phloem.endings import Ending
from phloem.hpc.tasks import Outcome
from phloem.jobs.tile.failures import ISOLATE_AFTER, classify
from phloem.sharding.lanes.device_texts import TEXTS, device_failure

LOST = {
    "uncorrectable ECC (Xid 48, 63, 94)": "INTERNAL: CUDA error: Failed to synchronize: CUDA_ERROR_ECC_UNCORRECTABLE: "
    "uncorrectable ECC error encountered",
    "uncorrectable NVLink": "INTERNAL: CUDA_ERROR_NVLINK_UNCORRECTABLE: uncorrectable NVLink error detected",
    "fell off the bus (Xid 79)": "INTERNAL: CUDA error: : CUDA_ERROR_UNKNOWN: unknown error",
    "hardware stack": "INTERNAL: CUDA_ERROR_HARDWARE_STACK_ERROR: hardware stack error",
    "busy": "INTERNAL: CUDA_ERROR_DEVICE_UNAVAILABLE: CUDA-capable device(s) is/are busy or unavailable",
    "illegal address": "INTERNAL: CUDA error: Could not synchronize CUDA stream: CUDA_ERROR_ILLEGAL_ADDRESS: an "
    "illegal memory access was encountered",
    "illegal address, older": "INTERNAL: Failed to execute XLA Runtime executable: run time error: custom call "
    "'xla.gpu.func.launch' failed: Failed to launch CUDA kernel: fusion_1560 with block dimensions: 160x1x1: "
    "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered.",
    "allocation in a dead context": "INTERNAL: Failed to allocate 75497472 bytes: CUDA_ERROR_ILLEGAL_ADDRESS",
    "launch failed": "INTERNAL: CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure",
    "launch timed out": "INTERNAL: CUDA_ERROR_LAUNCH_TIMEOUT: the launch timed out and was terminated",
    "context destroyed": "INTERNAL: CUDA_ERROR_CONTEXT_IS_DESTROYED: context is destroyed",
    "misaligned": "INTERNAL: CUDA_ERROR_MISALIGNED_ADDRESS: misaligned address",
    "illegal instruction": "INTERNAL: CUDA_ERROR_ILLEGAL_INSTRUCTION: an illegal instruction was encountered",
    "program counter": "INTERNAL: CUDA_ERROR_INVALID_PC: invalid program counter",
    "no visible device": "FAILED_PRECONDITION: No visible GPU devices.",
    "no device": "INTERNAL: failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
    "wrong ordinal": "INTERNAL: CUDA_ERROR_INVALID_DEVICE: invalid device ordinal",
    "driver too old": "INTERNAL: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported display driver / cuda "
    "driver combination",
    "driver too old, runtime": "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA "
    "runtime version",
    "driver older than the PTX": "INTERNAL: CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the provided PTX was compiled with an "
    "unsupported toolchain.",
    "fabric manager": "INTERNAL: CUDA_ERROR_SYSTEM_NOT_READY: system not yet initialized",
    "not permitted": "INTERNAL: CUDA_ERROR_NOT_PERMITTED: operation not permitted",
    "not initialised": "INTERNAL: CUDA_ERROR_NOT_INITIALIZED: initialization error",
    "context held by another process": "INTERNAL: failed initializing StreamExecutor for CUDA device ordinal 0: "
    "INTERNAL: failed call to cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY: out of memory; total memory reported",
    "backend": "Unable to initialize backend 'cuda': INTERNAL: no supported devices found for platform CUDA (set "
    "JAX_PLATFORMS='' to automatically choose an available backend)",
    "no platform": "Unknown backend: 'gpu' requested, but no platforms that are instances of gpu are present. "
    "Platforms present are: cpu",
    "driver absent": "libcuda.so.1: cannot open shared object file: No such file or directory",
    "driver replaced under way": "Failed to initialize NVML: Driver/library version mismatch",
    "NVML": "NVML: Failed to get the number of devices: NVML_ERROR_UNINITIALIZED: Uninitialized",
    "lost": "Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost. Reboot the system to recover",
    "runtime names": "cudaErrorDevicesUnavailable",
    "runtime ECC": "cudaErrorECCUncorrectable: uncorrectable ECC error encountered",
    "the handler's words": "INTERNAL: phloem: launching the kernel failed: CUDA_ERROR_ECC_UNCORRECTABLE (214): "
    "uncorrectable ECC error encountered",
    "no driver": "the NVIDIA driver's library cannot be loaded: libcuda.so.1: cannot open shared object file",
    "old driver": "the NVIDIA driver in libcuda.so.1 is too old: it has no cuLaunchKernel",
    "MPS": "INTERNAL: CUDA_ERROR_MPS_CONNECTION_FAILED: MPS client failed to connect to the MPS control daemon",
}

MEMORY = {
    "the handler's words": "RESOURCE_EXHAUSTED: phloem: launching the kernel failed: CUDA_ERROR_OUT_OF_MEMORY (2): out "
    "of memory",
    "XLA's allocator": "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes.",
    "the driver": "INTERNAL: Failed to allocate 75497472 bytes: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    "older words": "INTERNAL: Failed to allocate request for 13.50GiB (14495514624B) on device ordinal 0",
    "the runtime": "cudaErrorMemoryAllocation: out of memory",
    "cuBLAS": "INTERNAL: CUBLAS_STATUS_ALLOC_FAILED",
}

MORE_LOST = ("failed to create a CUDA context", "INTERNAL: Failed to initialize CUDA")

NEITHER = (
    "INTERNAL: CUDA_ERROR_INVALID_VALUE: invalid argument",
    "INTERNAL: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: too many resources requested for launch",
    "INTERNAL: CUDA_ERROR_INVALID_PTX: a PTX JIT compilation failed",
    "INVALID_ARGUMENT: CpuCallback error: cell 'Xid' has no solution",
    "phloem: the device has no such lane",
    "",
)


@pytest.mark.parametrize("text", LOST.values(), ids=list(LOST))
def test_texts_of_a_lost_device_are_no_bug_and_take_no_tile_apart(text: str) -> None:
    assert device_failure(text) == Ending.DEVICE_LOST
    assert classify(JaxRuntimeError(text)) == Ending.DEVICE_LOST
    assert classify(Outcome(0, "failed", error="JaxRuntimeError", message=text)) == Ending.DEVICE_LOST
    assert Ending.DEVICE_LOST not in ISOLATE_AFTER


@pytest.mark.parametrize("text", MEMORY.values(), ids=list(MEMORY))
def test_texts_of_exhausted_memory_halve(text: str) -> None:
    assert classify(JaxRuntimeError(text)) == Ending.OUT_OF_MEMORY


@pytest.mark.parametrize("text", NEITHER)
def test_texts_of_a_wrong_call_are_bugs(text: str) -> None:
    assert classify(JaxRuntimeError(text)) == Ending.BUG


def test_every_pattern_is_met_by_a_text() -> None:
    """A pattern that no text here meets is one that nobody has checked."""
    texts = [*LOST.values(), *MEMORY.values(), *MORE_LOST]
    assert [pattern for pattern, _ in TEXTS if not any(re.search(pattern, text) for text in texts)] == []
