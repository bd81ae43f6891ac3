"""The processes of one job on this machine: their start, their first failure, and the end of all of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from phloem.errors import WorkError
from phloem.sharding.processes.rendezvous import COORDINATOR, COUNT, LISTENER, LOOPBACK, RANK

STARTED_HERE = "PHLOEM_ENDS_WITH_STANDARD_INPUT"
POLL_SECONDS = 0.05
GRACE_SECONDS = 5.0
"""How long the others may take to end by themselves when one has failed and said why."""

REPORTED = (1, 2)
"""Exit statuses of a process that has printed its error itself."""

_HINTS: dict[int, str] = {
    signal.SIGKILL: " (the system does this when memory runs out)",
    signal.SIGABRT: " (JAX's runtime does this when another process of the job is silent for too long)",
}


@dataclass
class _Child:
    """A process of the job; the standard error of all but process 0 goes to a file."""

    rank: int
    process: subprocess.Popen[bytes]
    errors: IO[bytes] | None


def run_processes(command: Sequence[str], count: int, environment: Mapping[str, str] | None = None) -> int:
    """Run a command in several processes that form one job, on the loopback interface.

    Process 0 inherits standard output and standard error. When one process fails, the others are ended. None outlives
    this one, if the command calls `end_with_parent`.

    Args:
        command: program and arguments, the same for all; it opens `process_mesh`.
        count: processes, at least 1.
        environment: variables beside this process's.

    Returns:
        0, or the exit status of a process that has said its error on standard error itself.

    Raises:
        WorkError: a process was killed, or ended with another status; or a stop signal came.
    """
    children: list[_Child] = []
    with _stop_signals():
        try:
            with socket.create_server((LOOPBACK, 0), backlog=max(count, 128)) as server:
                variables = {
                    **os.environ,
                    **(environment or {}),
                    STARTED_HERE: "1",
                    COUNT: str(count),
                    COORDINATOR: f"{LOOPBACK}:{server.getsockname()[1]}",
                }
                for rank in range(count):
                    children.append(_start(command, rank, variables, server))
            return _wait(children)
        finally:
            _end(children)


def _start(command: Sequence[str], rank: int, variables: Mapping[str, str], server: socket.socket) -> _Child:
    own = {**variables, RANK: str(rank)}
    passed: tuple[int, ...] = ()
    errors = None
    if rank > 0:
        errors = tempfile.TemporaryFile()  # noqa: SIM115
    elif variables[COUNT] != "1":
        # A listening socket that is handed over, not a free port that somebody else might take meanwhile.
        passed, own[LISTENER] = (server.fileno(),), str(server.fileno())
    process = subprocess.Popen(
        list(command),
        env=own,
        stdin=subprocess.PIPE,
        stdout=None if rank == 0 else subprocess.DEVNULL,
        stderr=errors,
        pass_fds=passed,
        process_group=0,
    )
    return _Child(rank, process, errors)


def _wait(children: Sequence[_Child]) -> int:
    """Wait for all, or for the first failure and what follows from it.

    A kill is a cause. An error that a process has said, or an abort by JAX's runtime, may be a consequence, so the
    others get some time to show it.
    """
    until = float("inf")
    while True:
        codes = {child.rank: child.process.poll() for child in children}
        failed = [child for child in children if codes[child.rank]]
        killed = [child for child in failed if codes[child.rank] not in (*REPORTED, -signal.SIGABRT)]
        if killed:
            raise WorkError(_describe(killed[0], children))
        if failed:
            until = min(until, time.monotonic() + GRACE_SECONDS)
        if None not in codes.values() or time.monotonic() > until:
            reported = [child for child in failed if codes[child.rank] in REPORTED]
            if failed and not reported:
                raise WorkError(_describe(failed[0], children))
            for child in reported:
                _repeat_errors(child)
            return max((child.process.returncode for child in reported), default=0)
        time.sleep(POLL_SECONDS)


def _describe(child: _Child, children: Sequence[_Child]) -> str:
    _repeat_errors(child)
    code = child.process.returncode
    how = f"ended with status {code}"
    if code < 0:
        how = f"was killed by {signal.Signals(-code).name}{_HINTS.get(-code, '')}"
    alive = ", ".join(str(other.rank) for other in children if other.process.poll() is None)
    rest = f"; process {alive} did not answer or was still at work, and was ended" if alive else ""
    return f"process {child.rank} of {len(children)} (pid {child.process.pid}) {how}{rest}"


def _repeat_errors(child: _Child) -> None:
    """Show what a failed process wrote to its standard error."""
    if child.errors is not None:
        child.errors.seek(0)
        sys.stderr.write(child.errors.read().decode(errors="replace"))
        sys.stderr.flush()


def _end(children: Sequence[_Child]) -> None:
    for child in children:
        if child.process.poll() is None:
            child.process.kill()
    for child in children:
        child.process.wait()
        if child.process.stdin is not None:
            child.process.stdin.close()
        if child.errors is not None:
            child.errors.close()


@contextmanager
def _stop_signals() -> Iterator[None]:
    """Turn signals that would end this process at once into an error, so that the others are ended before."""

    def stop(number: int, _frame: object) -> None:
        raise WorkError(f"stopped by {signal.Signals(number).name}; all processes were ended")

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_parent() -> None:
    """In a process that `run_processes` started: end when that has ended, even by SIGKILL. Elsewhere nothing."""
    if os.environ.get(STARTED_HERE):
        threading.Thread(target=_end_with_standard_input, daemon=True).start()


def _end_with_standard_input() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)
