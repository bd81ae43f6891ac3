"""Other programs, run to their end within a bounded time, with their output where they fail."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence

from phloem.hpc.tasks import EngineError

LEFT_BEHIND_SECONDS = 2.0
"""How long a killed command is waited for: one that sits in a driver's call ends when that call does, or never."""

COMMAND_SECONDS = 60.0
"""How long a command of a batch system may take: its own timeouts are around 10 s (measured, SLURM 22.05)."""


def run_command(
    command: Sequence[str | os.PathLike[str]],
    seconds: float = COMMAND_SECONDS,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a command and return what it printed on standard output.

    Args:
        command: program and arguments; no shell reads them.
        seconds: after this long the command is killed, and left behind where even that does not end it.
        environment: all of its variables; by default those of this process.

    Raises:
        EngineError: it is not installed, did not end in time, or ended with a status other than 0.
    """
    words = [os.fspath(word) for word in command]
    shown = " ".join(words)
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except OSError as error:
        raise EngineError(f"`{shown}` could not be started: {error.strerror}; is it on PATH?") from error
    except ValueError as error:
        raise EngineError(f"`{shown!r}` cannot be a command: {error}") from error
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"`{shown}` did not answer within {seconds:g} s and was stopped") from error
    finally:
        _end(process)
    if process.returncode:
        output = "\n".join(text for text in (stderr.strip(), stdout.strip()) if text)
        raise EngineError(
            f"`{shown}` failed with status {process.returncode}: {output or 'it said nothing'}", output, answered=True
        )
    return stdout


def last_line(said: str) -> str:
    """Return the last line of what a program said, where the cause stands; empty where it said nothing."""
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a process that has not ended, wait for it a little, and close its pipes."""
    if process.poll() is None:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LEFT_BEHIND_SECONDS)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
