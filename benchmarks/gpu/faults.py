"""The words in which a GPU complains, each in a process of its own: what failures of tiles are classed by."""

from __future__ import annotations

import os
import subprocess
import sys

from phloem.jobs.estimate.gpu_gradient import gpu_environment

SECONDS = 60.0

ILLEGAL = """
import ctypes, jax, jax.numpy as jnp
from phloem.kernels.time_loop.cuda.nvrtc import require_nvrtc
jax.block_until_ready(jnp.ones(8))
capability = str(jax.local_devices()[0].compute_capability).replace(".", "")
text = 'extern "C" __global__ void bad(int *p) { *p = 1; }'
image = require_nvrtc().compile(text, "sm_" + capability).image
cuda, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p()
cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
cuda.cuCtxPushCurrent_v2(context)
module, kernel, at = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint64(8)
cuda.cuModuleLoadData(ctypes.byref(module), image)
cuda.cuModuleGetFunction(ctypes.byref(kernel), module, b"bad")
given = (ctypes.c_void_p * 1)(ctypes.cast(ctypes.byref(at), ctypes.c_void_p))
print("launch", cuda.cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, None, given, None))
for turn in range(2):
    try:
        print(jnp.ones(8).sum() + turn)
    except Exception as error:
        print("turn", turn, type(error).__name__, str(error)[:300])
"""

CASES: dict[str, tuple[str, dict[str, str]]] = {
    "out of memory": (
        "import jax, jax.numpy as jnp\n"
        "a = [jnp.zeros((1 << 33,), jnp.float32) + i for i in range(8)]\njax.block_until_ready(a)",
        {},
    ),
    "no visible device": ("import jax; jax.devices()", {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cuda"}),
    "wrong ordinal": ("import jax; jax.devices()", {"CUDA_VISIBLE_DEVICES": "7", "JAX_PLATFORMS": "cuda"}),
    "illegal address, then the same process goes on": (ILLEGAL, {}),
}
"""By name: what is run, and under which variables."""

STAND_IN_CASES = {
    f"launches end with {code}": (
        "from phloem.jobs.estimate.gpu_gradient import main; main()",
        {"STAND_IN_ERROR": str(code)},
    )
    for code in (2, 214, 700, 719)
}
"""The same on a stand-in for the driver, which ends launches with a code."""


def texts(stand_in: bool) -> dict[str, dict[str, object]]:
    """Return by name: the status and the last words of each process."""
    found: dict[str, dict[str, object]] = {}
    for name, (program, variables) in (STAND_IN_CASES if stand_in else CASES).items():
        environment = {**gpu_environment(), **variables}
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=environment, cwd=os.getcwd(),
        )  # fmt: skip
        try:
            said, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            said = f"did not end within {SECONDS:g} s"
        found[name] = {"status": process.poll(), "said": said.strip()[-600:]}
    return found
