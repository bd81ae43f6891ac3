"""Other programs, run to their end within a bounded time, with their output where they fail."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from phloem.hpc.tasks import EngineError

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
        seconds: after this long the command is killed.
        environment: all of its variables; by default those of this process.

    Raises:
        EngineError: it is not installed, did not end in time, or ended with a status other than 0.
    """
    words = [os.fspath(word) for word in command]
    shown = " ".join(words)
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            env=environment,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except OSError as error:
        raise EngineError(f"`{shown}` could not be started: {error.strerror}; is it on PATH?") from error
    except ValueError as error:
        raise EngineError(f"`{shown!r}` cannot be a command: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"`{shown}` did not answer within {seconds:g} s and was stopped") from error
    if done.returncode:
        output = "\n".join(text for text in (done.stderr.strip(), done.stdout.strip()) if text)
        raise EngineError(
            f"`{shown}` failed with status {done.returncode}: {output or 'it said nothing'}", output, answered=True
        )
    return done.stdout
