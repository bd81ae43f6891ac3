"""A call in a process of its own: what it returns, says and raises, and what is told where it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from phloem.errors import InputError
from phloem.hpc.apart import ProcessEnded, run_apart

HERE = "tests.hpc.test_apart"


def count(argument: int, report: Callable[[int], None]) -> tuple[int, int]:
    for number in range(argument):
        report(number)
    return argument, os.getpid()


def refuse(argument: str, _report: Callable[[int], None]) -> None:
    raise InputError(argument)


class Untransportable(Exception):  # noqa: N818
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def raise_what_does_not_travel(_argument: None, _report: Callable[[int], None]) -> None:
    raise Untransportable("cannot", "travel")


def end_by(number: int, _report: Callable[[int], None]) -> None:
    os.kill(os.getpid(), number)


def leave(status: int, _report: Callable[[int], None]) -> None:
    os._exit(status)


def stay(path: str, _report: Callable[[int], None]) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def test_what_it_returns_and_reports() -> None:
    heard: list[int] = []
    value, process = run_apart(f"{HERE}:count", 3, heard.append)
    assert (value, heard) == (3, [0, 1, 2])
    assert process != os.getpid()


def test_what_it_raises_keeps_its_class_and_says_where() -> None:
    with pytest.raises(InputError, match="no such cell") as raised:
        run_apart(f"{HERE}:refuse", "no such cell", print)
    assert any("in refuse" in note for note in raised.value.__notes__)
    with pytest.raises(RuntimeError, match="Untransportable: cannot travel"):
        run_apart(f"{HERE}:raise_what_does_not_travel", None, print)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_signal_that_ends_it_is_told(number: signal.Signals) -> None:
    started: list[int] = []
    with pytest.raises(ProcessEnded, match=f"was ended by {number.name}"):
        run_apart(f"{HERE}:end_by", number, print, started.append)
    assert len(started) == 1
    assert not is_alive(started[0])


def test_an_end_without_an_answer_is_told() -> None:
    with pytest.raises(ProcessEnded, match="ended with status 3"):
        run_apart(f"{HERE}:leave", 3, print)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    script = (
        f"from phloem.hpc.apart import run_apart\nrun_apart({HERE + ':stay'!r}, {str(tmp_path / 'pid')!r}, print)\n"
    )
    (tmp_path / "script.py").write_text(script)  # without a guard around its main part
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "script.py"],
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # not deaf, as in the background
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int((tmp_path / "pid").read_text())
    assert is_alive(child)
    parent.send_signal(number)
    parent.wait(30)
    deadline = time.monotonic() + 30
    while is_alive(child):
        assert time.monotonic() < deadline, "the process outlives its parent"
        time.sleep(0.05)
