"""Texts in which XLA, JAX and the CUDA driver tell of a device's trouble, each with its failure class.

An error of a device reaches Python as one class, `JaxRuntimeError`, so only its text tells what it was. The names of
CUDA errors are those of `CUresult` in cuda.h and of `cudaError_t` in driver_types.h; the sentences are those of XLA's
stream executor and of `jax._src.xla_bridge`.
"""

from __future__ import annotations

import re

from phloem.endings import Ending

DEAD_CONTEXT = (
    "ECC_UNCORRECTABLE", "NVLINK_UNCORRECTABLE", "ILLEGAL_ADDRESS", "LAUNCH_TIMEOUT", "LAUNCH_FAILED", "ASSERT",
    "CONTEXT_IS_DESTROYED", "HARDWARE_STACK_ERROR", "ILLEGAL_INSTRUCTION", "MISALIGNED_ADDRESS",
    "INVALID_ADDRESS_SPACE", "INVALID_PC", "TENSOR_MEMORY_LEAK", "CONTAINED", "EXTERNAL_DEVICE", "UNKNOWN",
    "DEINITIALIZED",
)  # fmt: skip
"""Errors of CUDA that stick: every later call in the process returns the same, so the process must end."""

NO_CONTEXT = (
    "NOT_INITIALIZED", "STUB_LIBRARY", "DEVICE_UNAVAILABLE", "NO_DEVICE", "INVALID_DEVICE", "DEVICE_NOT_LICENSED",
    "INVALID_CONTEXT", "OPERATING_SYSTEM", "NOT_PERMITTED", "SYSTEM_NOT_READY", "SYSTEM_DRIVER_MISMATCH",
    "COMPAT_NOT_SUPPORTED_ON_DEVICE", "UNSUPPORTED_PTX_VERSION", "MPS_CONNECTION_FAILED", "MPS_RPC_FAILURE",
    "MPS_SERVER_NOT_READY", "MPS_MAX_CLIENTS_REACHED", "MPS_MAX_CONNECTIONS_REACHED", "MPS_CLIENT_TERMINATED",
)  # fmt: skip
"""Errors of CUDA where the device, its driver or its mode lets nobody, or not this process, work on it."""

RUNTIME_NAMES = (
    "ECCUncorrectable", "NvlinkUncorrectable", "IllegalAddress", "LaunchTimeout", "LaunchFailure", "Assert",
    "ContextIsDestroyed", "HardwareStackError", "IllegalInstruction", "MisalignedAddress", "InvalidAddressSpace",
    "InvalidPc", "Contained", "ExternalDevice", "Unknown", "CudartUnloading", "InitializationError",
    "DevicesUnavailable", "NoDevice", "InvalidDevice", "DeviceUninitialized", "DeviceNotLicensed",
    "InsufficientDriver", "OperatingSystem", "NotPermitted", "SystemNotReady", "SystemDriverMismatch",
    "CompatNotSupportedOnDevice", "UnsupportedPtxVersion", "StubLibrary", "MpsConnectionFailed", "MpsRpcFailure",
    "MpsServerNotReady", "MpsMaxClientsReached", "MpsMaxConnectionsReached", "MpsClientTerminated",
)  # fmt: skip
"""The same errors as the CUDA runtime names them, after `cudaError`."""

TEXTS: tuple[tuple[str, Ending], ...] = (
    (rf"CUDA_ERROR_({'|'.join((*DEAD_CONTEXT, *NO_CONTEXT))})\b", Ending.DEVICE_LOST),
    (rf"cudaError({'|'.join(RUNTIME_NAMES)})\b", Ending.DEVICE_LOST),
    # A context that finds no memory: another process holds the device, and fewer lanes would not help. Before the
    # patterns of memory, which stand in the same text.
    (r"[Ff]ailed initializing StreamExecutor", Ending.DEVICE_LOST),
    (r"cuDevicePrimaryCtxRetain|cuCtxCreate|cuDevicePrimaryCtxSetFlags", Ending.DEVICE_LOST),
    (r"[Ff]ailed (?:call to|to) (?:cuInit|initialize CUDA|create (?:a )?(?:CUDA )?context)", Ending.DEVICE_LOST),
    (r"Unable to initialize backend '(?:cuda|gpu|rocm)'", Ending.DEVICE_LOST),
    (r"no supported devices found for platform", Ending.DEVICE_LOST),
    (r"No visible (?:GPU|CUDA) devices?", Ending.DEVICE_LOST),
    (r"no platforms that are instances of (?:gpu|cuda|rocm) are present", Ending.DEVICE_LOST),
    (r"CUDA-capable device\(?s?\)? (?:is|are|is/are) (?:busy|detected|unavailable)", Ending.DEVICE_LOST),
    (r"no CUDA-capable device is detected", Ending.DEVICE_LOST),
    (r"CUDA driver version is insufficient|unsupported display driver", Ending.DEVICE_LOST),
    (r"[Dd]river/library version mismatch", Ending.DEVICE_LOST),
    (r"libcuda\.so[.\d]*: cannot open shared object|Unable to load (?:CUDA|cuda)", Ending.DEVICE_LOST),
    (r"NVIDIA driver's library cannot be loaded|NVIDIA driver in .* is too old", Ending.DEVICE_LOST),
    (r"\bNVML\b.*(?:[Uu]ninitialized|[Nn]ot [Ff]ound|[Ff]ailed|[Uu]nknown [Ee]rror)", Ending.DEVICE_LOST),
    (r"[Ff]ailed to initialize NVML", Ending.DEVICE_LOST),
    (r"GPU is lost|fallen off the bus|GPU requires reset|\bXid\b\D*\d", Ending.DEVICE_LOST),
    (r"uncorrectable (?:ECC|NVLink) error|illegal memory access was encountered", Ending.DEVICE_LOST),
    (r"unspecified launch failure|the launch timed out and was terminated|hardware stack error", Ending.DEVICE_LOST),
    (r"RESOURCE_EXHAUSTED", Ending.OUT_OF_MEMORY),
    (r"CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED", Ending.OUT_OF_MEMORY),
    (r"[Ff]ailed to allocate (?:request for )?[\d.]+ ?(?:[KMGT]i?)?[Bb]", Ending.OUT_OF_MEMORY),
    (r"[Oo]ut of memory (?:while )?(?:trying to )?allocat", Ending.OUT_OF_MEMORY),
)
"""Patterns and their classes; the first that is found counts."""

_PATTERNS = tuple((re.compile(pattern), ending) for pattern, ending in TEXTS)


def device_failure(text: str) -> Ending | None:
    """Return the failure class that a text of XLA, JAX or CUDA tells of, None where it tells of no device's trouble.

    Args:
        text: of an exception.

    Returns:
        `DEVICE_LOST` where the device, its driver or its context is gone or cannot be had, `OUT_OF_MEMORY` where
        fewer lanes in flight would help.
    """
    return next((ending for pattern, ending in _PATTERNS if pattern.search(text)), None)
