"""Backends of the time loop: the choice between `xla`, `cpu` and `gpu`."""

from __future__ import annotations

import contextlib
import functools
import warnings

import jax

from phloem.kernels.time_loop.cpu.c_compiler import find_compiler
from phloem.kernels.time_loop.cuda.driver import architectures, stand_in
from phloem.kernels.time_loop.cuda.nvrtc import find_nvrtc

BACKENDS = ("auto", "xla", "cpu", "gpu")


class BackendWarning(UserWarning):
    """A slower backend runs than the one that was wanted."""


def resolve(backend: str) -> str:
    """Return the backend that runs: `xla`, `cpu`, `gpu`, or `auto`.

    `auto` is settled when a program is compiled: `gpu` where that is for a GPU, `cpu` elsewhere. Without a C compiler
    it is `xla`, as `cpu` is, with one warning a process.

    Raises:
        ValueError: the name is unknown; the message gives the valid ones.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r}: valid are {', '.join(BACKENDS)}")
    if backend in ("auto", "cpu") and not runs_here("cpu"):
        _warn_once()
        return "xla"
    return backend


def runs_here(backend: str) -> bool:
    """Return whether `xla`, `cpu` or `gpu` can run on this machine."""
    return backend == "xla" or not missing(backend)


def missing(backend: str) -> str:
    """Return what keeps `cpu` or `gpu` from running in this process, empty where nothing does."""
    if (tool := missing_tool(backend)) or backend != "gpu" or stand_in():
        return tool
    return "" if architectures() else "JAX has no GPU in this process: phloem doctor says why"


def missing_tool(backend: str) -> str:
    """Return which compiler `cpu` or `gpu` lacks on this machine; no GPU is looked for."""
    if find_compiler() is None:
        return "no C compiler works here: install gcc or clang, or set CC to one"
    if backend == "gpu" and not stand_in() and not find_nvrtc():
        return "NVRTC, which compiles its kernels, is not installed: pip install 'phloem[gpu]'"
    return ""


def device_of(backend: str) -> contextlib.AbstractContextManager[object]:
    """Return the context in which arrays are made where a backend computes: `cpu` computes on processors everywhere."""
    if backend != "cpu":
        return contextlib.nullcontext()
    return jax.default_device(jax.local_devices(backend="cpu")[0])


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        "no C compiler works here, so that the time loop runs on the xla backend, many times slower; "
        "install gcc or clang, or set CC to one",
        BackendWarning,
        stacklevel=3,
    )
