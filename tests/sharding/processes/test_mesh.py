"""The mesh over real processes: reductions, ports, deaths."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from phloem.errors import WorkError
from phloem.sharding.processes.launch import run_processes
from tests.support.processes import alive, until
from tests.support.sharding.mesh_programs import numbers

pytestmark = pytest.mark.engine

PROGRAM = "tests.support.sharding.mesh_programs"
NO_RUNTIME_TRACE = "Check failure stack trace"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MESH_FOLDER", str(tmp_path))
    return tmp_path


def program(case: str, devices: int) -> list[str]:
    return [sys.executable, "-m", PROGRAM, case, str(devices)]


def launcher(case: str, devices: int, processes: int) -> str:
    run = f"run_processes({program(case, devices)}, {processes})"
    return f"from phloem.sharding.processes.launch import run_processes; {run}"


def pids(folder: Path) -> dict[int, int]:
    """Process ids by rank, of those that are in the mesh."""
    return {int(path.stem): int(text) for path in folder.glob("*.pid") if (text := path.read_text())}


@pytest.mark.parametrize(("processes", "devices"), [(2, 4), (3, 2), (1, 2)])
def test_reductions_of_uneven_rows(folder: Path, processes: int, devices: int) -> None:
    assert run_processes(program("reductions", devices), processes) == 0
    rows = np.concatenate([numbers(rank) for rank in range(processes)])
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]
    assert all(other == found[0] for other in found), "the same in every process"
    assert found[0]["sum"] == rows.sum(0).tolist()
    assert found[0]["min"] == rows.min(0).tolist()
    assert found[0]["max"] == rows.max(0).tolist()
    assert found[0]["min of floats"] == (-0.5 - rows / 2**60).min(0).tolist()
    assert found[0]["max of floats"] == (-0.5 - rows / 2**60).max(0).tolist(), "padding is no zero"
    assert found[0]["sum of none"] == [0.0, 0.0]
    assert found[0]["min of none"] == [np.inf, np.inf]
    assert found[0]["max of none"] == [-np.inf, -np.inf]
    assert found[0]["shape"] == {"process": processes, "device": devices}
    capacity = -(-5 // devices) * devices
    assert found[0]["rows"] == [[processes * capacity, 3], len(rows)]
    assert found[0]["own devices"] == devices
    assert found[0]["messages"] == ["", *(f"from {rank}: é" for rank in range(1, processes))]


def listeners(owners: set[int]) -> list[str]:
    """Local addresses at which some processes accept connections."""
    lines = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split()[3] for line in lines if any(f"pid={pid}," in line for pid in owners)]


def foreign_address() -> str | None:
    """An address of this machine that other hosts could reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
            found = str(probe.getsockname()[0])
        except OSError:
            return None
    return None if found.startswith("127.") else found


@pytest.mark.skipif(shutil.which("ss") is None, reason="needs ss (iproute2)")
@pytest.mark.parametrize("processes", [1, 2])
def test_no_port_is_open_to_other_hosts(folder: Path, processes: int) -> None:
    """Also where the host's name leads to an address that others reach, which gloo prefers if nobody objects."""
    words = [sys.executable, "-c", launcher("listen", 2, processes)]
    named = foreign_address()
    if named and shutil.which("unshare") and os.geteuid() == 0:
        words = ["unshare", "--uts", "sh", "-c", f'hostname {named}; exec "$@"', "sh", *words]
    process = subprocess.Popen(words)
    try:
        until(lambda: len(pids(folder)) == processes or process.poll() is not None, 120)
        owners = set(pids(folder).values())
        assert len(owners) == processes
        found = listeners(owners)
        assert len(found) >= processes + 1 if processes > 1 else not found
        assert [at for at in found if not at.startswith(("127.", "[::ffff:127.", "[::1]"))] == []
        (folder / "seen").touch()
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("case", ["collective", "elsewhere"])
def test_a_killed_process_is_named_and_the_others_end(folder: Path, case: str, capfd: pytest.CaptureFixture) -> None:
    with pytest.raises(WorkError, match=r"process 1 of 2 \(pid \d+\) was killed by SIGKILL"):
        run_processes(program(case, 2), 2)
    assert len(pids(folder)) == 2, "both were in the mesh"
    assert not any(map(alive, pids(folder).values()))
    assert NO_RUNTIME_TRACE not in capfd.readouterr().err


def test_an_error_of_one_process_is_told(folder: Path, capfd: pytest.CaptureFixture) -> None:
    assert run_processes(program("raise", 2), 2) == 2
    said = capfd.readouterr().err
    assert "said: this process alone is unhappy" in said
    assert "said: another process of this job was lost" in said
    assert NO_RUNTIME_TRACE not in said
    assert len(pids(folder)) == 2


@pytest.fixture
def unattended(folder: Path) -> Iterator[Callable[[str], list[subprocess.Popen[str]]]]:
    """Starts two processes of a job with nobody who watches them."""
    started: list[subprocess.Popen[str]] = []

    def start(case: str) -> list[subprocess.Popen[str]]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
        for rank in range(2):
            job = {"PHLOEM_PROCESS_COUNT": "2", "PHLOEM_PROCESS_RANK": str(rank), "PHLOEM_COORDINATOR": address}
            words = program(case, 2)
            started.append(
                subprocess.Popen(words, env={**os.environ, **job}, text=True, stderr=subprocess.PIPE),
            )
        return started

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_a_lost_process_ends_the_others_without_anybody_who_watches(unattended: Callable) -> None:
    """In a reduction by an error, elsewhere by the runtime, which waits for the heartbeat."""
    first, second = unattended("collective")
    assert second.wait(120) == -signal.SIGKILL
    assert first.wait(120) == 1
    assert "said: another process of this job was lost" in first.communicate()[1]


def test_the_runtime_ends_what_is_not_in_a_reduction(unattended: Callable) -> None:
    first, second = unattended("elsewhere")
    assert second.wait(120) == -signal.SIGKILL
    assert first.wait(120) == -signal.SIGABRT
    assert "stopped sending heartbeats" in first.communicate()[1]


def test_processes_end_with_a_killed_parent(folder: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", launcher("listen", 1, 2)])
    try:
        until(lambda: len(pids(folder)) == 2, 120)
    finally:
        parent.kill()
        parent.wait()
    assert len(pids(folder)) == 2
    until(lambda: not any(map(alive, pids(folder).values())), 20)


def test_another_status_is_a_failure() -> None:
    with pytest.raises(WorkError, match=r"process 0 of 1 \(pid \d+\) ended with status 7"):
        run_processes([sys.executable, "-c", "raise SystemExit(7)"], 1)
