"""What the CUDA compiler makes of a kernel: registers, spills, shared memory, and warps a multiprocessor."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phloem.arithmetic import ceil_div
from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.grid_operators import grid_dalec
from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.cuda.cuda_text import CudaSource, source
from phloem.kernels.time_loop.cuda.nvrtc import require_nvrtc
from phloem.kernels.time_loop.day_tables import SEGMENT
from phloem.kernels.time_loop.flat_day import Text

MODELS: dict[str, Callable[[str], Model]] = {"site": dalec, "grid": grid_dalec}
"""Model texts by the kind of their cells."""

KERNELS = {"value": "VALUE", "adjoint": "ADJOINT", "tangents": "TANGENT", "trajectory": "VALUE"}
"""Kernels by the names under which they are reported; a trajectory keeps outputs of every day."""

KEPT = ("gpp", "nee", "et", "lai")
"""Outputs of a trajectory."""

REGISTERS, WARP, GRANULE = 65_536, 32, 256
"""Registers of a multiprocessor, threads of a warp, and the registers by which a warp is given more; the same from
sm_80 to sm_100 (CUDA's table of compute capabilities)."""

SHARED_BYTES = {"sm_80": 164 * 1024, "sm_90": 228 * 1024, "sm_100": 228 * 1024}
"""Shared memory of a multiprocessor; 1 kB of it goes to the system for each block."""

MOST_WARPS = 64


@dataclass(frozen=True)
class CompiledKernel:
    """A kernel, compiled.

    Attributes:
        kernel: its name here.
        arch: such as sm_90.
        registers: of a thread.
        spill_bytes: of a thread, stored and loaded.
        shared_bytes: of a block.
        warps: that are at work on a multiprocessor at once, as far as registers and shared memory allow.
        seconds: that the compiler took.
        image: the machine code.
    """

    kernel: str
    arch: str
    registers: int
    spill_bytes: int
    shared_bytes: int
    warps: int
    seconds: float
    image: bytes


def text_of(model: Model, **more: Any) -> Text:
    """Return the flat text of a model as campaigns read it."""
    logs = jax.ShapeDtypeStruct((len(model.parameters), 1), jnp.float32)
    constants = jax.eval_shape(lambda x: model.prepare(model.inputs_of_logs(x)), logs)
    return Text(model, jax.tree.structure(constants), SEGMENT, last=False, **more)


def kernel_source(kernel: str, kind: str = "site", dtype: Any = np.float32, mode: str = "strict") -> CudaSource:
    """Return the text of a kernel by its name here."""
    more = {"kept": KEPT} if kernel == "trajectory" else {}
    return source(KERNELS[kernel], text_of(MODELS[kind](mode), **more), dtype, last=False)


def compile_kernel(kernel: str, arch: str, kind: str = "site", dtype: Any = np.float32) -> CompiledKernel:
    """Compile a kernel for an architecture; no GPU and no driver are needed.

    Raises:
        NvrtcError: there is no compiler, or it refused the text.
    """
    text, compiler = kernel_source(kernel, kind, dtype), require_nvrtc()
    begun = time.perf_counter()
    found = compiler.compile(text.text, arch, (*text.options, "--ptxas-options=-v"))
    seconds = time.perf_counter() - begun
    registers = int(_number(r"Used (\d+) registers", found.log))
    shared = int(_number(r"(\d+) bytes smem", found.log, "0"))
    spilled = sum(int(_number(rf"(\d+) bytes spill {what}", found.log)) for what in ("stores", "loads"))
    warps = resident_warps(registers, shared, text.threads, arch)
    return CompiledKernel(kernel, arch, registers, spilled, shared, warps, seconds, found.image)


def resident_warps(registers: int, shared: int, threads: int, arch: str) -> int:
    """Return how many warps of blocks of so many threads a multiprocessor holds."""
    each = ceil_div(registers * WARP, GRANULE) * GRANULE
    by_registers = REGISTERS // each // (threads // WARP)
    by_shared = SHARED_BYTES[arch] // (shared + 1024)
    return min(MOST_WARPS, min(by_registers, by_shared) * (threads // WARP))


def _number(pattern: str, log: str, default: str | None = None) -> str:
    found = re.search(pattern, log)
    if found is None and default is None:
        raise ValueError(f"the compiler's report has no {pattern!r}:\n{log}")
    return found[1] if found else str(default)
