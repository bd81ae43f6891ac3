"""The local engine: worker processes on this machine, each running one task after another."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from phloem.hpc.tasks import STOP_SIGNALS, Context, Outcome, StopFlag, Task, call

POLL_SECONDS = 0.5
GRACE_SECONDS = 30
"""How long a worker may take to end after its pipe was closed."""


def _send_report(pipe: Connection, key: int, message: Any) -> None:
    pipe.send(("report", key, message))


def _worker(pipe: Connection, parent: int, environment: Mapping[str, str]) -> None:
    """Serve tasks until the pipe closes."""
    os.environ.update(environment)
    flag = StopFlag()
    flag.install()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    name = f"{os.uname().nodename}-{os.getpid()}"
    while True:
        try:
            if not pipe.poll(POLL_SECONDS):
                if flag or os.getppid() != parent:
                    return
                continue
            task = pipe.recv()
        except (EOFError, OSError):
            return
        context = Context(name, flag, parent, partial(_send_report, pipe, task.key))
        outcome = call(task, context)
        try:
            pipe.send(("outcome", task.key, outcome))
        except OSError:
            return


@dataclass
class _Slot:
    """One worker process and what it is doing."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None


@dataclass
class LocalEngine:
    """Runs tasks in `workers` processes of this machine.

    Signals to the parent (SIGTERM, SIGINT, SIGUSR1, SIGUSR2) are passed on: running tasks keep their state and stop,
    waiting ones do not start. A worker that dies takes down its own task only, and is replaced.

    Attributes:
        workers: number of processes.
        environment: variables set in each worker before it imports anything.
        on_report: called in the parent with (task key, message) for each report of a task.
        flag: set by a stop signal.
    """

    workers: int
    environment: Mapping[str, str] = field(default_factory=dict)
    on_report: Callable[[int, Any], None] = lambda key, message: None
    flag: StopFlag = field(default_factory=StopFlag)

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Run the tasks, in order as workers come free, and yield each outcome as it comes."""
        waiting = deque(tasks)
        slots: list[_Slot] = []
        before = self.flag.install()
        try:
            yield from self._serve(slots, waiting)
        finally:
            for slot in slots:
                slot.pipe.close()
            for slot in slots:
                slot.process.join(GRACE_SECONDS)
                if slot.process.is_alive():
                    slot.process.kill()
                    slot.process.join()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self) -> _Slot:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_worker, args=(theirs, os.getpid(), dict(self.environment)), daemon=True)
        # A worker is born with the stop signals blocked: before it has its handlers they would kill it. The resource
        # tracker must run before that, since starting it unblocks two of them (Python 3.11).
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return _Slot(process, ours)

    def _serve(self, slots: list[_Slot], waiting: deque[Task]) -> Iterator[Outcome]:
        told = False
        while True:
            if self.flag and not told:
                told = True
                for slot in slots:
                    if slot.process.is_alive() and slot.process.pid:
                        os.kill(slot.process.pid, signal.SIGTERM)
            if not self.flag:
                self._assign(slots, waiting)
            if not any(slot.task for slot in slots) and (not waiting or self.flag):
                return
            wait([slot.pipe for slot in slots] + [slot.process.sentinel for slot in slots], POLL_SECONDS)
            for slot in list(slots):
                alive = slot.process.is_alive()
                outcome = self._drain(slot)
                if not alive:
                    outcome = outcome or self._loss(slot)
                    slots.remove(slot)
                    slot.pipe.close()
                if outcome is not None:
                    yield outcome

    def _assign(self, slots: list[_Slot], waiting: deque[Task]) -> None:
        """Give waiting tasks to idle workers, starting as many as are missing."""
        idle = [slot for slot in slots if slot.task is None]
        while waiting and (idle or len(slots) < self.workers):
            if not idle:
                slots.append(self._start())
                idle.append(slots[-1])
            slot = idle.pop()
            task = waiting.popleft()
            try:
                slot.pipe.send(task)
                slot.task = task
            except OSError:
                waiting.appendleft(task)
                return

    def _drain(self, slot: _Slot) -> Outcome | None:
        """Read what a busy worker has sent; return its task's outcome if it is among it."""
        try:
            while slot.task is not None and slot.pipe.poll():
                kind, key, content = slot.pipe.recv()
                if kind == "report":
                    self.on_report(key, content)
                else:
                    slot.task = None
                    return content
        except (EOFError, OSError):
            pass
        return None

    def _loss(self, slot: _Slot) -> Outcome | None:
        """Return the outcome of a task whose worker died under it."""
        if slot.task is None:
            return None
        key, slot.task = slot.task.key, None
        code = slot.process.exitcode or 0
        cause = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        hint = " (the system does this when memory runs out)" if code == -signal.SIGKILL else ""
        return Outcome(key, "lost", error="WorkerLost", message=f"worker process {slot.process.pid} was {cause}{hint}")


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
