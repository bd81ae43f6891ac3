"""The NVIDIA driver as the gpu backend meets it: its library, and the platform on which JAX runs the kernels."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

import jax

from phloem.errors import WorkError
from phloem.kernels.time_loop.cpu.c_compiler import load

VARIABLE = "PHLOEM_CUDA_DRIVER"
"""Names another library than the driver's own, such as a stand-in for machines without a GPU."""

LIBRARY = "libcuda.so.1"

STAND_IN = "phloem_compile"
"""Function by which a library says that it stands in for a driver: it compiles CUDA text for the host itself, and JAX
runs its kernels on processors."""

HERE = Path(__file__).parent


class DriverError(WorkError):
    """The driver's library is not there, or is no driver's."""


def driver_path() -> str:
    """Return the library that is opened as the driver."""
    return os.environ.get(VARIABLE) or LIBRARY


@functools.cache
def stand_in() -> ctypes.CDLL | None:
    """Return the library that stands in for a driver; None where it is the driver's own.

    Raises:
        DriverError: PHLOEM_CUDA_DRIVER names something that cannot be loaded.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise DriverError(f"{VARIABLE}={path}: {error}") from error
    return library if hasattr(library, STAND_IN) else None


def platform() -> str:
    """Return JAX's platform for the gpu backend: `cuda`, or `cpu` where a library stands in for the driver."""
    return "cpu" if stand_in() else "cuda"


@functools.cache
def handler() -> ctypes.CDLL:
    """Build and load the handler that launches kernels; `open_driver` opens the driver for it.

    Raises:
        CompileError: no C compiler works.
    """
    include = Path(jax.ffi.include_dir())
    headers = [include / "xla/ffi/api/c_api.h"]
    _, library = load((HERE / "launch.c").read_text(), "launch", headers=headers, includes=[str(include)])
    library.phloem_open_driver.restype = ctypes.c_char_p
    library.phloem_open_driver.argtypes = [ctypes.c_char_p]
    library.phloem_declare.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.phloem_provide.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
    return library


def open_driver() -> None:
    """Open the driver's library for the handler.

    Raises:
        CompileError: as of `handler`.
        DriverError: it cannot be opened, or is too old.
    """
    if wrong := handler().phloem_open_driver(driver_path().encode()).decode(errors="replace"):
        raise DriverError(wrong)


def architectures() -> list[int]:
    """Return the architectures of the GPUs that JAX has in this process: 90 for compute capability 9.0."""
    if platform() == "cpu":
        return []
    try:
        devices = jax.local_devices(backend="cuda")
    except RuntimeError:
        return []
    return sorted({int(str(device.compute_capability).replace(".", "")) for device in devices})
