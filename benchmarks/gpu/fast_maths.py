"""Bound the error of the fast-maths text without a GPU: `python -m benchmarks.gpu.fast_maths [--years N]`.

A stand-in for the driver (PHLOEM_CUDA_DRIVER, from tests/support/kernels/stand_in_driver) runs the text three ways:
exact in float32; so with each exponential, reciprocal and root moved at random by up to the error that the CUDA guide
states (2 + |1.173 x| ulp, 1 ulp, 1 ulp); and in float64, which is the truth. Subnormal numbers are flushed in none.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.case import FoldCase, make_case, widen
from phloem.kernels.time_loop.cuda import gpu_backend
from phloem.kernels.time_loop.cuda.cuda_text import CudaSource, source

MOVED = """
#include <cmath>
#include <cstdint>
static float moved(float x, float ulps) {  /* by a share of ulps that the bits of x draw */
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  bits ^= bits >> 16, bits *= 0x7feb352du, bits ^= bits >> 15, bits *= 0x846ca68bu, bits ^= bits >> 16;
  if (!std::isfinite(x) || x == 0) return x;
  const float ulp = std::nextafter(std::fabs(x), INFINITY) - std::fabs(x);
  return x + std::lrint(ulps * ((float)bits / 2147483648.0f - 1)) * ulp;
}
static float moved_exp(float x) { return moved(std::exp(x), 2 + std::fabs(1.173f * x)); }
static float moved_reciprocal(float x) { return moved(1 / x, 1); }
static float moved_root(float x) { return moved(std::sqrt(x), 1); }
"""


def worst_case(kernel: CudaSource) -> CudaSource:
    """Return the text with every fast operation replaced by one that errs as much as the guide allows."""
    text, count = re.subn(r"\(real\)1 / ([^;]+);", r"moved_reciprocal(\1);", kernel.text)
    parts = (("  return __expf(x);", "  return moved_exp(x);"), ("FAST ? sqrtf(x)", "FAST ? moved_root(x)"))
    for old, new in parts:
        if old not in text:
            raise ValueError(f"the text of {kernel.kernel} has no {old.strip()!r}")
        text = text.replace(old, new)
    if not count:
        raise ValueError(f"the text of {kernel.kernel} has no reciprocal")
    return replace(kernel, text=MOVED + text)


def gradient(case: FoldCase, fast: bool) -> list[np.ndarray]:
    """Return the sums and their gradient by the constants, the text fast or exact."""
    data, lane_cell, _, numbers, first = widen(case, case.numbers.shape[1])
    exact = gpu_backend.source

    def chosen(kernel: str, text: Any, dtype: Any, *, last: bool = True) -> CudaSource:
        return worst_case(source(kernel, text, dtype, last=last, fast=True))

    gpu_backend.source = chosen if fast else exact  # type: ignore[assignment]
    try:
        _, sums, checkpoints = gpu_backend.value(case.text, numbers, first, data.tables, lane_cell)
        ones = jnp.ones_like(sums)
        bar, _ = gpu_backend.adjoint(case.text, numbers, checkpoints, data.tables, lane_cell, None, ones)
    finally:
        gpu_backend.source = exact
    return [np.asarray(sums, np.float64), np.asarray(bar, np.float64)]


def main() -> None:
    """Print the relative errors of sums and gradients, exact and fast, against float64."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=3)
    years = parser.parse_args().years
    jax.config.update("jax_enable_x64", True)
    single, double = (make_case(years, dtype) for dtype in (np.float32, np.float64))
    double = replace(double, numbers=single.numbers.astype(float), first=single.first.astype(float))
    truth = gradient(double, False)
    print("| text | numbers | median | 99 % | largest |\n| --- | --- | --- | --- | --- |")
    for fast in (False, True):
        for name, found, true in zip(("sums", "gradient"), gradient(single, fast), truth, strict=True):
            # of a lane's largest number: small ones of a sum with cancellation have no digits of their own
            error = np.abs(found - true) / np.maximum(np.abs(true), 1e-3 * np.abs(true).max(0))
            error = error[np.isfinite(error)]
            middle, high = np.quantile(error, [0.5, 0.99])
            print(f"| {'fast' if fast else 'exact'} | {name} | {middle:.1e} | {high:.1e} | {error.max():.1e} |")


if __name__ == "__main__":
    main()
