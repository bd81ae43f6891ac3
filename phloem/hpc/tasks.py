"""Messages between engines and workers: tasks, outcomes, and the flag that asks a task to stop."""

from __future__ import annotations

import importlib
import os
import signal
import threading
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True)
class Task:
    """One call to make in a worker.

    Attributes:
        key: name of the task.
        function: where the callable is, `package.module:name`; it is called as `function(argument, context)`.
        argument: what it is called with; must pickle.
    """

    key: int
    function: str
    argument: Any


@dataclass(frozen=True)
class Outcome:
    """End of a task.

    Attributes:
        key: name of the task.
        kind: `done`, `stopped` (asked to stop, kept its state), `failed` (raised) or `lost` (its process died).
        value: what the function returned when done; the traceback when failed.
        error: class name of the exception when failed; else empty.
        message: what went wrong, for people.
    """

    key: int
    kind: str
    value: Any = None
    error: str = ""
    message: str = ""


class EngineError(RuntimeError):
    """An engine cannot do what it was asked: the message names the command that failed and what it said.

    Attributes:
        said: what the command printed, for callers that must tell one failure from another; else empty.
        answered: whether the command ended by itself; false where it is missing or was stopped after its time.
    """

    def __init__(self, message: str, said: str = "", answered: bool = False) -> None:
        super().__init__(message)
        self.said = said
        self.answered = answered


class Stopped(Exception):  # noqa: N818
    """Raised by a task that was asked to stop and has kept its state."""


class Waiting:
    """Tasks that are asked for one by one; true while there is another.

    What has no more now may have more later: it is asked anew each time.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.tasks, self.ahead = iter(tasks), deque[Task]()

    def __bool__(self) -> bool:
        if not self.ahead:
            self.ahead.extend(islice(self.tasks, 1))
        return bool(self.ahead)

    def pop(self) -> Task:
        """Return the next task."""
        return self.ahead.popleft()

    def put_back(self, task: Task) -> None:
        """Put a task back in front."""
        self.ahead.appendleft(task)


class StopFlag:
    """A flag that signals set; polled, never raised."""

    def __init__(self) -> None:
        self.name: str | None = None

    def set(self, number: int, _frame: object = None) -> None:
        """Record the name of a signal."""
        self.name = signal.Signals(number).name

    def __bool__(self) -> bool:
        return self.name is not None

    def install(self) -> dict[signal.Signals, Any]:
        """Handle the stop signals with this flag; return the handlers that were there.

        Only the main thread may do that. In another one, such as those in which some notebooks run their cells, nobody
        can ask to stop by a signal.
        """
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self.set) for number in STOP_SIGNALS}


@dataclass
class Context:
    """Surroundings of a running task.

    Attributes:
        worker: name of the worker process.
        stopping: true once the task should keep its state and raise `Stopped`; also when the parent is gone.
        report: sends a small message to the parent.
    """

    worker: str
    flag: StopFlag
    parent: int
    send: Callable[[Any], None]

    def stopping(self) -> bool:
        """Tell whether to stop."""
        return bool(self.flag) or os.getppid() != self.parent

    def report(self, message: Any) -> None:
        """Send a message to the parent; a parent that is gone is noticed by `stopping`."""
        try:
            self.send(message)
        except OSError:
            self.flag.name = self.flag.name or "parent gone"


def call(task: Task, context: Context) -> Outcome:
    """Import a task's function, call it, and return how that ended: done, stopped or failed; nothing is raised."""
    try:
        module, _, attribute = task.function.partition(":")
        return Outcome(task.key, "done", getattr(importlib.import_module(module), attribute)(task.argument, context))
    except Stopped as stopped:
        return Outcome(task.key, "stopped", message=str(stopped))
    except MemoryError as error:
        return Outcome(task.key, "failed", error="MemoryError", message=str(error) or "out of memory")
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        return Outcome(task.key, "failed", value=trace, error=type(error).__name__, message=str(error))


class Engine(ABC):
    """Whatever runs tasks.

    Attributes:
        on_report: called with (task key, message) for each report of a task.
        flag: set by a stop signal, or by whoever wants the run to end.
    """

    on_report: Callable[[int, Any], None]
    flag: StopFlag

    @abstractmethod
    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Run the tasks and yield each outcome as it comes; each task has exactly one."""
