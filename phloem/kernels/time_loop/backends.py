"""Backends of the time loop: the choice between `xla`, `cpu` and `gpu`."""

from __future__ import annotations

import functools
import warnings

import jax

from phloem.kernels.time_loop.cpu.c_compiler import find_compiler

BACKENDS = ("auto", "xla", "cpu", "gpu")


class BackendWarning(UserWarning):
    """A slower backend runs than the one that was wanted."""


def resolve(backend: str) -> str:
    """Return the backend that runs: `xla`, `cpu` or `gpu`.

    `auto` is `gpu` where JAX computes on a GPU and `cpu` elsewhere; `cpu` without a C compiler is `xla`, with one
    warning a process.

    Raises:
        ValueError: the name is unknown; the message gives the valid ones.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r}: valid are {', '.join(BACKENDS)}")
    if backend == "auto":
        backend = "gpu" if runs_here("gpu") else "cpu"
    if backend == "cpu" and not runs_here("cpu"):
        _warn_once()
        return "xla"
    return backend


def runs_here(backend: str) -> bool:
    """Return whether `xla`, `cpu` or `gpu` can run on this machine."""
    if backend == "gpu":
        return jax.default_backend() == "gpu"
    return backend == "xla" or find_compiler() is not None


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        "no C compiler works here, so that the time loop runs on the xla backend, many times slower; "
        "install gcc or clang, or set CC to one",
        BackendWarning,
        stacklevel=3,
    )
