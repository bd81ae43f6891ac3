"""The gpu backend's programs as XLA compiles them for H200s, on a machine without one (`make gpu-compiler`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jaxlib
import pytest

from phloem.jobs.calibration.tile_calibration import block_bytes
from phloem.jobs.config.campaign_file import CampaignSection, Configuration, Data
from phloem.jobs.config.optimiser import FastSection
from phloem.kernels.calibrations.dalec_daily.experiment import DalecExperiment
from tests.support.processes import environment

FOLDER = Path(__file__).parents[4] / ".gpu-compiler"
PROGRAMS = ("value", "adjoint", "tangents", "gradient", "advance:1", "advance:4", "advance:8")


def lacking() -> str:
    """Return why these programs cannot be compiled here; empty where they can."""
    (found,) = [p.name for p in FOLDER.glob("jax_cuda12_pjrt-*.dist-info")] or [""]
    if not found:
        return "XLA's compiler for GPUs: `make gpu-compiler` installs it, no GPU is needed"
    version = found.removeprefix("jax_cuda12_pjrt-").removesuffix(".dist-info")
    return "" if version == jaxlib.__version__ else f"the compiler for GPUs is {version}, jaxlib {jaxlib.__version__}"


pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())


def run_there(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where it finds the compiler, and no stand-in for the driver."""
    variables = environment(TF_CPP_MIN_LOG_LEVEL="3", JAX_PLATFORMS="cpu")
    variables.pop("PHLOEM_CUDA_DRIVER", None)
    variables.pop("JAX_COMPILATION_CACHE_DIR", None)  # a program from there would leave no dump
    variables["PYTHONPATH"] = os.pathsep.join([str(FOLDER), variables["PYTHONPATH"]])
    return subprocess.run([sys.executable, *arguments], env=variables, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def compiled() -> dict[str, dict[str, Any]]:
    done = run_there("-m", "tests.support.kernels.gpu_compiler.compiled_for_h200", *PROGRAMS)
    assert done.returncode == 0, done.stderr[-3000:]
    found = dict(zip(PROGRAMS, map(json.loads, done.stdout.splitlines()), strict=True))
    for name, facts in found.items():
        total = facts["argument_bytes"] + facts["output_bytes"] + facts["temporary_bytes"]
        print(f"{name}: {facts['seconds']} s, {total / 1e9:.2f} GB a device, {facts['operations']}")
    return found


@pytest.mark.parametrize("name", ["value", "adjoint", "tangents"])
def test_a_fold_is_one_launch_and_a_survey_of_the_tables(compiled, name):
    facts = compiled[name]
    assert facts["launches"] == 1
    assert sum(facts["operations"]["entry"].values()) <= 10


def test_a_gradient_is_two_launches(compiled):
    assert compiled["gradient"]["launches"] == 2
    assert sum(compiled["gradient"]["operations"]["entry"].values()) <= 50


@pytest.mark.parametrize("devices", [1, 4, 8])
def test_the_optimiser_on_several_gpus_talks_to_none_of_them(compiled, devices):
    facts = compiled[f"advance:{devices}"]
    assert facts["devices"] == devices
    assert facts["collectives"] == []


@pytest.mark.parametrize("devices", [4, 8])
def test_a_gpu_among_several_does_and_holds_what_one_alone_does(compiled, devices):
    alone, among = compiled["advance:1"], compiled[f"advance:{devices}"]
    for name in ("operations", "launches", "argument_bytes", "output_bytes", "temporary_bytes"):
        assert among[name] == alone[name], name


def test_a_step_of_the_optimiser_starts_some_sixty_operations_on_the_device(compiled):
    """The checkpointed scan started 91 for each simulated day."""
    (loop,) = [where for where in compiled["advance:1"]["operations"] if where.count("/") == 1 and "body" in where]
    step = compiled["advance:1"]["operations"][loop]
    assert step["CustomCall"] == 2
    assert sum(step.values()) <= 70


def test_memory_of_a_round_on_an_h200_is_within_the_projection(compiled):
    """36 years of 10,138 cells and 50,688 lanes: what XLA plans, against what a campaign's plan allows for."""
    facts = compiled["advance:4"]
    needed = facts["argument_bytes"] + facts["output_bytes"] + facts["temporary_bytes"]
    settings = Configuration(
        campaign=CampaignSection(name="wide", members=5),
        data=Data(kind="synthetic"),
        engine={"gpus": 4},
        experiment=DalecExperiment(backend="gpu"),
        optimiser=FastSection(),
    )
    projected = block_bytes(settings, facts["days"], facts["cells"], facts["lanes"])
    assert needed <= projected <= 1.25 * needed, (needed, projected)


def test_lanes_take_little_beside_the_tables(compiled):
    """Checkpoints, a segment's states and where the optimiser stands, before and after."""
    facts = compiled["advance:1"]
    tables = 4 * facts["days"] * facts["cells"] * 21
    lanes = facts["argument_bytes"] - tables + facts["output_bytes"] + facts["temporary_bytes"]
    assert 0 < lanes / facts["lanes"] < 90_000
    assert facts["temporary_bytes"] / facts["lanes"] < 30_000


def test_the_cpu_backend_is_refused_where_the_arrays_lie_on_a_gpu():
    program = """
import jax, jax.numpy as jnp
from tests.support.kernels.gpu_compiler.compiled_for_h200 import h200s, REPLICATED, on_mesh
from tests.support.kernels.pond_on_gpu import pond_case, pond_gradient
from phloem.kernels.time_loop import backends
from phloem.kernels.time_loop.fold import fold
from tests.support.kernels.small_model import POND
case, mesh = pond_case(), h200s(1)
def total(inputs, backend):
    return fold(POND, inputs, *case[1:], segment=7, backend=backend)[1].error
there = jax.tree.map(lambda a: on_mesh(mesh, REPLICATED, a.shape, a.dtype), case[0])
for backend in ("gpu", "auto"):
    text = jax.jit(total, static_argnums=1).lower(there, backend).as_text()
    print(backend, "phloem_launch" in text, "phloem_fold" in text)
try:
    jax.jit(total, static_argnums=1).lower(there, "cpu")
except Exception as error:
    print(type(error).__name__, str(error).splitlines()[0])
with backends.device_of("cpu"):
    print(len(pond_gradient(case, "cpu")))
"""
    done = run_there("-c", program)
    assert done.returncode == 0, done.stderr[-3000:]
    gpu, auto, refused, elsewhere = done.stdout.splitlines()
    assert gpu == "gpu True False"
    assert auto == "auto True False"
    assert refused.startswith("PlatformError the cpu backend was asked for in a program of JAX's platform cuda")
    assert elsewhere == "7"
