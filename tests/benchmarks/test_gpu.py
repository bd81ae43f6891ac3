"""The kernels of the gpu backend, compiled with no GPU: registers, spills, shared memory, occupancy."""

import json

import numpy as np
import pytest

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.compiled_kernels import KERNELS, SHARED_BYTES, compile_kernel, resident_warps

LIMITS = {"value": (128, 0, 16), "adjoint": (168, 64, 12), "tangents": (232, 0, 8), "trajectory": (128, 0, 16)}
"""Most registers, most bytes spilled, fewest warps of a multiprocessor; measured with NVRTC 12.9."""


@pytest.mark.parametrize("arch", SHARED_BYTES)
@pytest.mark.parametrize("kind", ["site", "grid"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_of_float32_keeps_within_its_registers(kernel, kind, arch):
    registers, spilled, warps = LIMITS[kernel]
    found = compile_kernel(kernel, arch, kind)
    assert found.registers <= registers
    assert found.spill_bytes <= spilled
    assert found.warps >= warps
    assert found.image[:4] == b"\x7fELF"


def test_adjoint_of_towers_spills_nothing_on_hopper():
    assert compile_kernel("adjoint", "sm_90").spill_bytes == 0


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_of_float64_compiles_and_fits_its_shared_memory(kernel):
    found = compile_kernel(kernel, "sm_90", "grid", np.float64)
    assert found.shared_bytes <= 48 * 1024
    assert found.warps >= 8


def test_resident_warps_are_those_of_cudas_table():
    assert resident_warps(255, 0, 32, "sm_90") == 8
    assert resident_warps(32, 0, 128, "sm_90") == 64
    assert resident_warps(32, 100 * 1024, 128, "sm_80") == 4  # shared memory is what runs out


def test_json_has_the_kernels_that_scripts_ask_for(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks.gpu", "--compile", "--json"])
    main()
    rows = json.loads(capsys.readouterr().out)["kernels"]
    assert [row["kernel"] for row in rows] == ["value", "adjoint", "tangents", "trajectory"]
    assert {tuple(row) for row in rows} == {("kernel", "arch", "registers", "spill_bytes", "seconds")}
    assert {row["arch"] for row in rows} == {"sm_90"}
