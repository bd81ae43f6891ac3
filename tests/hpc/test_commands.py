"""Commands end within their time, whatever their processes are stuck in."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from phloem.hpc.commands import run_command
from phloem.hpc.tasks import EngineError

HELD = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
held = os.getpid()
libc.prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)  # PR_SET_PTRACER_ANY
tracer = os.fork()
if tracer == 0:
    os.closerange(0, 3)
    if libc.ptrace(0x4206, held, 0, 0):  # PTRACE_SEIZE: a process that is traced ends for its tracer first
        open(sys.argv[1] + ".refused", "w").close()
    open(sys.argv[1], "w").write(str(os.getpid()))
    time.sleep(30)
    os._exit(0)
time.sleep(60)
"""


def test_a_command_that_ends_gives_its_output_and_one_that_fails_its_words() -> None:
    assert run_command([sys.executable, "-c", "print('here')"]) == "here\n"
    with pytest.raises(EngineError, match="failed with status 3: no such node") as caught:
        run_command([sys.executable, "-c", "import sys; print('no such node'); sys.exit(3)"])
    assert (caught.value.said, caught.value.answered) == ("no such node", True)


def test_a_command_that_hangs_is_killed() -> None:
    begun = time.monotonic()
    with pytest.raises(EngineError, match=r"did not answer within 0\.5 s") as caught:
        run_command(["sleep", "60"], 0.5)
    assert not caught.value.answered
    assert time.monotonic() - begun < 10


def test_a_command_that_even_a_kill_does_not_end_is_left_behind(tmp_path: Path) -> None:
    """A process in a driver's call ends when the call does; here one that is traced ends when its tracer lets it."""
    note = tmp_path / "tracer"
    begun = time.monotonic()
    with pytest.raises(EngineError, match="did not answer within 2 s"):
        run_command([sys.executable, "-c", HELD, str(note)], 2.0)
    took = time.monotonic() - begun
    tracer = int(note.read_text())
    try:
        if Path(f"{note}.refused").exists():
            pytest.skip("this machine does not let a process be traced")
        assert took < 15, "the tracer would have held it for 30 s"
    finally:
        os.kill(tracer, 9)
