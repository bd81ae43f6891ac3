"""CUDA text of the fold's kernels: the bodies that the printer writes for the cpu backend, inside loops of one lane.

The bodies are the same text, so that a lane's bits are those of the cpu backend, as long as nothing is contracted and
divisions and roots are rounded as IEEE 754 says: EXACT.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phloem.kernels.time_loop.cpu.c_printer import adjoint_bodies, tangent_bodies, value_bodies
from phloem.kernels.time_loop.cpu.cpu_backend import SHARED
from phloem.kernels.time_loop.flat_day import Text

ENTRY = "phloem_fold"
"""Name of the kernel in every text."""

THREADS = {np.dtype(np.float32): 128, np.dtype(np.float64): 64}
"""Lanes a block. A warp is 32, and four of them keep the four schedulers of a multiprocessor alike; numbers of twice
the size have half as many, so that their totals fit the shared memory."""

BLOCKS_AN_SM = {"VALUE": 4, "ADJOINT": 3, "TANGENT": 2}
"""Blocks of float32 that a multiprocessor must hold: what bounds the registers of a thread, 65,536 / blocks / THREADS.
More of them spilled (benchmarks/RESULTS.md, "GPU kernels, compiled")."""

TOGETHER = 1
"""Tangents that a thread carries. Two share one run of the primal and take more registers than there are."""

SHARED_BYTES = 48 * 1024
"""Shared memory that a block may have without asking for more."""

EXACT = ("--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true", "--std=c++17")
"""Options of the compiler under which bits are the cpu backend's."""

FAST = ("--fmad=false", "--ftz=true", "--prec-div=false", "--prec-sqrt=false", "--std=c++17")
"""Options for divisions and roots within 2 ulp, and numbers too small for float32's full precision taken as 0."""

HERE = Path(__file__).parent


@dataclass(frozen=True)
class CudaSource:
    """One kernel as CUDA text.

    Attributes:
        kernel: `VALUE`, `ADJOINT` or `TANGENT`.
        text: what the compiler reads.
        options: of the compiler, beside the architecture.
        threads: lanes a block.
        together: tangents that a thread carries, 1 of other kernels.
        scratch: numbers of device memory a lane, the last result of the call; 0 for none.
    """

    kernel: str
    text: str
    options: tuple[str, ...]
    threads: int
    together: int
    scratch: int


@functools.lru_cache(maxsize=64)
def source(kernel: str, text: Text, dtype: Any, *, last: bool = True, fast: bool = False) -> CudaSource:
    """Print a kernel.

    Args:
        kernel: `VALUE`, `ADJOINT` or `TANGENT`.
        text: the model text.
        dtype: float32 or float64.
        last: whether the adjoint starts from the last state too.
        fast: whether exponentials, divisions and roots of float32 may differ in their last bits from the cpu backend's.

    Raises:
        TypeError: another number type.
    """
    dtype = np.dtype(dtype)
    if dtype not in THREADS:
        raise TypeError(f"the gpu backend folds float32 and float64, not {dtype}")
    if kernel == "VALUE":
        printed, totals = value_bodies(text, dtype), text.sums
    elif kernel == "ADJOINT":
        printed, totals = adjoint_bodies(text, dtype, last), text.constants
    else:
        printed, totals = tangent_bodies(text, dtype), text.sums * TOGETHER
    threads = THREADS[dtype]
    macros: dict[str, int | str] = {
        "SEGMENT": text.segment,
        "DOUBLE": int(dtype == np.float64),
        "FAST": int(fast),
        "LAST": int(last),
        "KEPT": int(bool(text.kept)),
        "KERNEL": kernel,
        "THREADS": threads,
        "BLOCKS_AN_SM": BLOCKS_AN_SM[kernel],
        "TOTALS_SHARED": int(2 * totals * threads * dtype.itemsize <= SHARED_BYTES),
        "TOGETHER": TOGETHER,
    }
    sizes = "".join(f"#define {name} {size}\n" for name, size in (macros | dict(printed.sizes)).items())
    parts = (HERE / "fold_cuda_head.cu", SHARED, HERE / "fold_cuda.cu")
    head, shared, loops = (path.read_text() for path in parts)
    return CudaSource(
        kernel,
        f"/* {text.model.name}, {kernel.lower()}, {dtype} */\n{sizes}\n{head}\n{shared}\n{printed.text}\n{loops}",
        FAST if fast else EXACT,
        threads,
        TOGETHER if kernel == "TANGENT" else 1,
        text.segment * text.states if kernel == "ADJOINT" else 0,
    )
