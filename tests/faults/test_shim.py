"""The shim itself: it sees the calls, breaks the one it is told to, and nothing beside the folder."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.faults.field import Field
from tests.support.faults.shim import KINDS, Fault, read_log

SCRIPT = """
import os, sys
os.chdir(sys.argv[1])
os.mkdir('sub')
file = os.open('sub/a', os.O_WRONLY | os.O_CREAT, 0o666)
os.write(file, b'0123456789')
os.fsync(file)
os.ftruncate(file, 8)
os.close(file)
os.rename('sub/a', os.path.abspath('b'))
os.link('b', 'c')
folder = os.open('.', os.O_RDONLY)
os.fsync(folder)
os.unlink('b', dir_fd=folder)
os.close(folder)
with open('c', 'rb', buffering=0) as file: file.read(100)
with open(sys.argv[2], 'wb') as elsewhere: elsewhere.write(b'untouched')
"""
EXPECTED = (
    *("mkdir sub", "create sub/a", "write sub/a", "sync sub/a", "truncate sub/a", "close sub/a"),
    *("rename b", "link c", "look .", "folder .", "unlink b", "release .", "look c", "read c", "release c"),
)


def run_script(shim: Path, tmp_path: Path, fault: Fault) -> tuple[Path, subprocess.CompletedProcess[str], tuple, tuple]:
    """Run the script in a process that is under the shim by its environment alone."""
    root, log = tmp_path / "a root", tmp_path / "log"
    root.mkdir()
    variables = {**os.environ, "LD_PRELOAD": str(shim), **fault.environment(root, log)}
    command = [sys.executable, "-c", SCRIPT, str(root), str(tmp_path / "elsewhere")]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    calls, faults = read_log(log)
    return root, done, calls, faults


def test_every_call_is_seen_and_nothing_elsewhere(shim: Path, tmp_path: Path) -> None:
    root, done, calls, faults = run_script(shim, tmp_path, Fault(counted=KINDS))
    assert done.returncode == 0, done.stderr
    assert tuple(f"{call.kind} {call.path}" for call in calls) == EXPECTED
    assert [call.number for call in calls] == list(range(1, len(EXPECTED) + 1))
    assert faults == ()
    assert (root / "c").read_bytes() == b"01234567"
    assert (tmp_path / "elsewhere").read_bytes() == b"untouched"


@pytest.mark.parametrize(("mode", "size"), [("before", 0), ("half", 5), ("after", 10)])
def test_killed_around_a_write(shim: Path, tmp_path: Path, mode: str, size: int) -> None:
    root, done, calls, faults = run_script(shim, tmp_path, Fault(mode, 3, counted=KINDS))
    assert done.returncode == -signal.SIGKILL
    assert (len(calls), [str(fault) for fault in faults]) == (3, ["call 3 (write sub/a)"])
    assert (root / "sub/a").stat().st_size == size


@pytest.mark.parametrize("number", range(1, len(EXPECTED) + 1))
def test_any_call_can_fail(shim: Path, tmp_path: Path, number: int) -> None:
    _, done, _, faults = run_script(shim, tmp_path, Fault("fail", number, code=errno.EDQUOT, counted=KINDS))
    assert done.returncode == 1
    assert os.strerror(errno.EDQUOT) in done.stderr
    assert [f"{fault.kind} {fault.path}" for fault in faults] == [EXPECTED[number - 1]]


def test_half_a_write_and_then_no_room(shim: Path, tmp_path: Path) -> None:
    fault = Fault("short", 3, 99, errno.ENOSPC, ("write", "sync"), KINDS)
    root, done, _, faults = run_script(shim, tmp_path, fault)
    assert os.strerror(errno.ENOSPC) in done.stderr
    assert [fault.kind for fault in faults] == ["write", "sync"]
    assert (root / "sub/a").stat().st_size == 5


def test_a_shim_without_orders_refuses_to_start(shim: Path, tmp_path: Path) -> None:
    variables = {**os.environ, "LD_PRELOAD": str(shim), "SHIM_ROOT": "relative"}
    done = subprocess.run([sys.executable, "-c", ""], env=variables, capture_output=True, text=True)
    assert done.returncode == 97
    assert "SHIM_ROOT" in done.stderr


def test_calls_of_the_netcdf_library_are_seen(faults: Field) -> None:
    kinds = {call.kind for call in faults.calls("merge", KINDS) if call.path.startswith("merged.nc")}
    assert kinds >= {"create", "write", "truncate", "sync", "close", "rename"}
    assert len(faults.calls("merge", ["write"])) > 50
