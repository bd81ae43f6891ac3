"""One call in a process of its own, so that whatever ends that process can be told: libraries in C may end it."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from phloem.hpc.local_engine import without_main

OnReport = Callable[[Any], None]


class ProcessEnded(RuntimeError):  # noqa: N818
    """The process was ended before it had an answer; the message says by what."""


def run_apart(
    function: str, argument: Any, on_report: OnReport, on_start: Callable[[int], Any] = lambda _number: None
) -> Any:
    """Call a function in a process of its own, and return what it returns.

    The process ends with this one, however that ends. Control-C is this one's to hear.

    Args:
        function: where it is, `package.module:name`; it is called as `function(argument, report)`.
        argument: what it is called with; must pickle.
        on_report: called with what the function reports.
        on_start: called with the number of the process, which is killed where this one is interrupted: what it leaves
            is the caller's to remove.

    Raises:
        ProcessEnded: a signal has ended the process, or it left without an answer.
        Exception: whatever the function raises.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function, argument))
    with without_main():
        process.start()
    theirs.close()
    try:
        on_start(process.pid or 0)
        while True:
            kind, content = ours.recv()
            if kind == "value":
                return content
            if kind == "error":
                raise content
            on_report(content)
    except EOFError:
        process.join()
        code = process.exitcode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        raise ProcessEnded(f"the process that wrote it {how}") from None
    finally:
        process.kill()
        process.join()
        ours.close()


def _serve(pipe: Connection, function: str, argument: Any) -> None:
    """Make the call and send what comes of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
    module, _, attribute = function.partition(":")
    try:
        value = getattr(importlib.import_module(module), attribute)(argument, lambda said: pipe.send(("report", said)))
        pipe.send(("value", value))
    except Exception as error:
        pipe.send(("error", _that_travels(error)))


def _end_with_parent(pipe: Connection) -> None:
    with contextlib.suppress(OSError, EOFError):
        pipe.recv()  # nothing is ever sent: this ends when the other side is gone
    os._exit(1)


def _that_travels(error: Exception) -> Exception:
    """Return an exception, or one that says the same where it cannot be sent."""
    trace = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(trace)
    return error
