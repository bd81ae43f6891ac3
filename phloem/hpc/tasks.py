"""Messages between engines and workers: tasks, outcomes, and the flag that asks a task to stop."""

from __future__ import annotations

import importlib
import os
import signal
import threading
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from phloem.errors import DeviceLost, some

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True)
class Task:
    """One call to make in a worker.

    Attributes:
        key: name of the task.
        function: where the callable is, `package.module:name`; it is called as `function(argument, context)`.
        argument: what it is called with; must pickle.
        fresh: whether in a process that has made no call yet, and so holds no memory of a device.
    """

    key: int
    function: str
    argument: Any
    fresh: bool = False


@dataclass(frozen=True)
class Outcome:
    """End of a task.

    Attributes:
        key: name of the task.
        kind: `done`, `stopped` (asked to stop, kept its state), `failed` (raised) or `lost` (its process died).
        value: what the function returned when done; the traceback when failed.
        error: class name of the exception when failed; else empty.
        message: what went wrong, for people.
        device: that was lost (`DeviceLost`); empty where none was.
    """

    key: int
    kind: str
    value: Any = None
    error: str = ""
    message: str = ""
    device: Device | None = None

    @property
    def device_lost(self) -> bool:
        """Whether the task's device is to be given no more work."""
        return self.error == DeviceLost.__name__


@dataclass(frozen=True)
class Device:
    """The devices that one worker computes on, as CUDA_VISIBLE_DEVICES words them, and their machine."""

    host: str
    names: str

    def __str__(self) -> str:
        return f"GPU {self.names} of {self.host}" if self.names else f"the device of {self.host}"


def device_here(environment: Mapping[str, str] | None = None) -> Device:
    """Return what a worker of this machine computes on.

    Args:
        environment: of the worker; this process's by default.
    """
    names = (os.environ if environment is None else environment).get("CUDA_VISIBLE_DEVICES", "")
    return Device(os.uname().nodename, names)


def loss_of_all(devices: Sequence[Device]) -> str:
    """Return what stopped a run whose devices were all lost."""
    return f"the loss of every device: {some(list(map(str, devices)))}"


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
        name, message = type(error).__name__, str(error) or type(error).__name__
        device = device_here() if isinstance(error, DeviceLost) else None
        return Outcome(task.key, "failed", trace, name, message, device)


class Engine(ABC):
    """Whatever runs tasks.

    Attributes:
        on_report: called with (task key, message) for each report of a task.
        flag: set by a stop signal, by whoever wants the run to end, or when no device is left.
        devices_left: whether there is any to give work to: those that were lost are given none.
        left_behind: processes that do not end, not even by SIGKILL: nobody waits for them.
    """

    on_report: Callable[[int, Any], None]
    flag: StopFlag
    devices_left: bool = True
    left_behind: Sequence[int] = ()

    @abstractmethod
    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Run the tasks and yield each outcome as it comes; each task has exactly one."""
