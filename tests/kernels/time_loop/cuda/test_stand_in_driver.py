"""The stand-in driver under the handler: geometry of launches, contexts, faults where and when they are asked for."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.errors import JaxRuntimeError

from phloem.kernels.time_loop.fold import fold
from tests.support.kernels import stand_in_driver
from tests.support.kernels.pond_on_gpu import LANES, pond_case, pond_gradient
from tests.support.kernels.small_model import POND
from tests.support.processes import environment


def pond_in_process(runs: int = 1, **faults: str) -> list[str]:
    """Return what a fresh process prints."""
    command = [sys.executable, "-m", "tests.support.kernels.pond_on_gpu", str(runs)]
    variables = environment(**stand_in_driver.environment(), **faults)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def lines(log: Path) -> list[list[str]]:
    return [line.split()[1:] for line in log.read_text().splitlines()]


def test_a_launch_has_a_thread_a_lane_and_a_row_of_blocks_a_tangent(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    inputs, state, data, cells = pond_case()

    def sums(leak):
        return fold(POND, inputs._replace(leak=leak), state, data, cells, segment=7, backend="gpu")[1].error

    jax.block_until_ready(jax.vmap(lambda dot: jax.jvp(sums, (inputs.leak,), (dot,))[1])(np.ones((3, LANES), "f4")))
    launches = [line for line in lines(tmp_path / "log") if line[0] == "launch"]
    assert ["launch", "2", "3", "128"] in launches  # 200 lanes, three tangents
    assert ["launch", "2", "1", "128"] in launches


def test_every_context_loads_the_kernel_once(tmp_path, monkeypatch):
    case = pond_case()
    wanted = pond_gradient(case, "gpu")
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("STAND_IN_CONTEXTS", "thread")
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: pond_gradient(case, "gpu"), range(12)):
            assert all(a.tobytes() == b.tobytes() for a, b in zip(found, wanted, strict=True))
    done = [line[0] for line in lines(tmp_path / "log")]
    assert done.count("launch") == 24
    assert 2 <= done.count("load") < 24


def test_out_of_memory_leaves_later_launches_as_they_were(monkeypatch):
    case = pond_case()
    wanted = pond_gradient(case, "gpu")
    monkeypatch.setenv("STAND_IN_ERROR", "2")
    with pytest.raises(JaxRuntimeError, match=r"RESOURCE_EXHAUSTED.*: phloem: launching the kernel failed"):
        pond_gradient(case, "gpu")
    monkeypatch.delenv("STAND_IN_ERROR")
    for a, b in zip(pond_gradient(case, "gpu"), wanted, strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_lost_context_is_told_before_the_launch(monkeypatch):
    monkeypatch.setenv("STAND_IN_CONTEXT_ERROR", "46")
    with pytest.raises(JaxRuntimeError, match=r"asking for the context failed: CUDA_ERROR_DEVICE_UNAVAILABLE \(46\)"):
        pond_gradient(pond_case(), "gpu")


def test_faults_come_at_the_launch_they_were_asked_for():
    """Two launches a run: value and adjoint."""
    good = pond_in_process(1)[0]
    third = pond_in_process(3, STAND_IN_ERROR="719:3")
    assert third[0] == good
    assert all("CUDA_ERROR_LAUNCH_FAILED (719)" in line for line in third[1:])
    alone = pond_in_process(3, STAND_IN_ERROR="2:3:3")
    assert [alone[0], alone[2]] == [good, good]
    assert "RESOURCE_EXHAUSTED" in alone[1]


def test_a_fault_strikes_one_process_or_one_gpu_where_asked(tmp_path):
    once = {"STAND_IN_ERROR": "700", "STAND_IN_ONCE": str(tmp_path / "struck")}
    assert "CUDA_ERROR_ILLEGAL_ADDRESS (700)" in pond_in_process(1, **once)[0]
    good = pond_in_process(1, **once)[0]
    assert len(good) == 64
    second = {"STAND_IN_ERROR": "214", "STAND_IN_GPU": "1"}
    assert pond_in_process(1, **second, CUDA_VISIBLE_DEVICES="0") == [good]
    assert "CUDA_ERROR_ECC_UNCORRECTABLE (214)" in pond_in_process(1, **second, CUDA_VISIBLE_DEVICES="1")[0]


def test_a_driver_older_than_the_kernel_says_what_to_do():
    said = pond_in_process(1, STAND_IN_LOAD_ERROR="209")[0]
    assert "loading the kernel failed: CUDA_ERROR_NO_BINARY_FOR_GPU (209)" in said
    assert said.endswith("the driver runs CUDA 13.0: install a newer one, or an NVRTC that is no newer than it")


def test_two_processes_at_once_give_the_same_bits():
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(pond_in_process, (1, 1))
    assert first == second == pond_in_process()
