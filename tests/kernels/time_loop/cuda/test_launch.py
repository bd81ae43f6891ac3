"""The handler through XLA: what the driver refuses is said in its words, and several devices launch at once."""

import os
import subprocess
import sys

import pytest

from phloem.kernels.time_loop.cuda import driver
from tests.support.kernels import stand_in_driver

SCRIPT = """
import jax, jax.numpy as jnp, numpy as np
from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.day_tables import day_tables
from phloem.kernels.time_loop.fold import fold
from tests.support.kernels.small_model import POND, Inputs, Observed, Pond, Weather
rng = np.random.default_rng(1)
rain, heat, seen, weight = rng.random((4, 32))
data = day_tables([Weather(rain, heat)], [Observed(seen, weight)], np.float32, segment=16)
lanes = 300
inputs, state = Inputs(jnp.linspace(.1, .9, lanes), jnp.linspace(1., 4., lanes)), Pond(jnp.ones(lanes), jnp.ones(lanes))
cells = jnp.zeros(lanes, jnp.int32)
def total(inputs, backend):
    return sum(x.sum() for x in fold(POND, inputs, state, data, cells, segment=16, backend=backend)[1])
"""


def run(script, **environment):
    given = {**os.environ, **stand_in_driver.environment(), **environment}
    return subprocess.run([sys.executable, "-c", SCRIPT + script], env=given, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("2", "RESOURCE_EXHAUSTED: phloem: launching the kernel failed: CUDA_ERROR_OUT_OF_MEMORY (2): out of memory"),
        ("214", "INTERNAL: phloem: launching the kernel failed: CUDA_ERROR_ECC_UNCORRECTABLE (214): uncorrectable ECC"),
        ("700", "CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access"),
        ("719", "CUDA_ERROR_LAUNCH_FAILED (719): unspecified launch failure"),
    ],
)
def test_error_of_a_launch_has_the_drivers_name_and_number(code, words):
    done = run("print(total(inputs, 'gpu'))", STAND_IN_ERROR=code)
    assert done.returncode
    assert words in done.stderr


def test_error_of_the_context_comes_before_any_kernel_is_loaded():
    done = run("print(total(inputs, 'gpu'))", STAND_IN_CONTEXT_ERROR="100")
    assert "asking for the context failed: CUDA_ERROR_NO_DEVICE (100)" in done.stderr


def test_error_of_a_later_launch_leaves_the_earlier_results():
    done = run(
        "first = total(inputs, 'gpu'); print(float(first) == float(total(inputs, 'cpu')))\nprint(total(inputs, 'gpu'))",
        STAND_IN_ERROR="719:2",
    )
    assert done.stdout.splitlines() == ["True"]
    assert "CUDA_ERROR_LAUNCH_FAILED" in done.stderr


def test_driver_that_is_not_there_is_named():
    done = run("print(total(inputs, 'gpu'))", PHLOEM_CUDA_DRIVER="/nowhere/libcuda.so.1")
    assert "DriverError: PHLOEM_CUDA_DRIVER=/nowhere/libcuda.so.1" in done.stderr


def test_gpu_backend_without_a_gpu_is_refused_with_where_to_look():
    done = run("print(total(inputs, 'gpu'))", PHLOEM_CUDA_DRIVER="")
    assert "PlatformError: the gpu backend was asked for in a program of JAX's platform cpu" in done.stderr
    assert "phloem doctor" in done.stderr


def test_library_that_is_no_driver_is_too_old():
    assert driver.handler().phloem_open_driver(driver.driver_path().encode()) == b""  # open already: nothing changes
    done = run(
        "from phloem.kernels.time_loop.cuda import driver\n"
        "print(driver.handler().phloem_open_driver(b'libm.so.6').decode())"
    )
    assert "too old: it has no cuDriverGetVersion" in done.stdout


def test_devices_of_one_process_launch_at_once_with_the_bits_of_one():
    """Four virtual devices call the handler from threads of their own."""
    done = run(
        "from jax.sharding import Mesh, PartitionSpec as P\n"
        "def found(backend, devices):\n"
        "    mesh = Mesh(np.array(jax.devices()[:devices]), ('lanes',))\n"
        "    def part(leak, area):\n"
        "        state = Pond(jnp.ones_like(leak), jnp.ones_like(leak))\n"
        "        cell = jnp.zeros(leak.shape, jnp.int32)\n"
        "        def f(a, b):\n"
        "            return jnp.stack(fold(POND, Inputs(a, b), state, data, cell, segment=16, backend=backend)[1])\n"
        "        value, pull = jax.vjp(f, leak, area)\n"
        "        return value, *pull(jnp.ones_like(value))\n"
        "    specs = (P('lanes'), P('lanes'))\n"
        "    out = (P(None, 'lanes'), P('lanes'), P('lanes'))\n"
        "    program = jax.jit(jax.shard_map(part, mesh=mesh, in_specs=specs, out_specs=out, check_vma=False))\n"
        "    return [np.asarray(a).tobytes() for a in program(*inputs)]\n"
        "wanted = found('cpu', 1)\n"
        "print([found('gpu', n) == wanted for n in (1, 2, 4) for _ in range(3)])",
        JAX_NUM_CPU_DEVICES="4",
    )
    assert done.stdout.strip() == str([True] * 9), done.stderr


def test_program_for_another_platform_is_refused_when_it_is_compiled():
    from phloem.kernels.time_loop.fold_primitives import PlatformError, _backend

    with pytest.raises(PlatformError, match="default_device"):
        _backend("cpu", "cuda")
    assert _backend("auto", "cpu").__name__.endswith("cpu_backend")


def test_platform_without_generated_folds_is_refused_and_told_which_backend_runs():
    import jax

    from phloem.kernels.time_loop.fold_primitives import PlatformError
    from tests.support.kernels.pond_on_gpu import pond_case, pond_sums

    traced = jax.jit(pond_sums, static_argnums=1).trace(pond_case(), "auto")
    with pytest.raises(PlatformError, match=r"auto backend .* platform tpu: .* cpu and cuda alone; the xla backend"):
        traced.lower(lowering_platforms=("tpu",))
