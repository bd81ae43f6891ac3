"""The local engine: worker processes on this machine, each running one task after another."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from phloem.errors import DeviceLost
from phloem.hpc.left_behind import REAP_SECONDS, kill_and_reap, leave_behind
from phloem.hpc.tasks import (
    STOP_SIGNALS,
    Context,
    Device,
    Engine,
    Outcome,
    StopFlag,
    Task,
    Waiting,
    call,
    device_here,
    loss_of_all,
)

POLL_SECONDS = 0.5
GRACE_SECONDS = 30
"""How long a worker may take to end after its pipe was closed."""

ABORT_SECONDS = 3
"""How long a hanging worker may take to write down where it was."""

TRACE_CHARACTERS = 20_000
"""So much of a dying interpreter's last words is kept."""

_HIDING = threading.Lock()
"""Held while the main module is hidden: of two threads, the second would take the first one's stand-in for it."""


def _send_report(pipe: Connection, key: int, message: Any) -> None:
    pipe.send(("report", key, message))


def _worker(pipe: Connection, parent: int, environment: Mapping[str, str], trace: str) -> None:
    """Serve tasks until the pipe closes."""
    os.environ.update(environment)
    # The interpreter writes where it was into this file when a signal such as SIGSEGV or SIGABRT ends it.
    faulthandler.enable(open(trace, "w"))  # noqa: SIM115
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


def _same_signal(flag: StopFlag) -> signal.Signals:
    """Return the signal that set a flag, which tells a task why it is stopped; SIGTERM where it was none."""
    return next((number for number in STOP_SIGNALS if number.name == flag.name), signal.SIGTERM)


def _ignore(_key: int, _message: Any) -> None:
    return None


def _nothing(_slot: int) -> Mapping[str, str]:
    return {}


def _never() -> bool:
    return False


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Hide the main module from a worker that is started: it would import that first, as `__mp_main__`.

    A task is named, so no worker needs it; and a script that calls us without `if __name__ == "__main__"` would begin
    anew in every worker. It also spared each worker 1 to 2 s here: the import of the command line.
    """
    with _HIDING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@dataclass
class _Slot:
    """One worker process, what it is doing, when it was last heard, and why and when it was killed if it was."""

    process: BaseProcess
    pipe: Connection
    trace: Path
    place: int
    device: Device
    task: Task | None = None
    heard: float = 0.0
    served: bool = False
    verdict: str = ""
    killed: float = 0.0


@dataclass
class LocalEngine(Engine):
    """Runs tasks in `workers` processes of this machine.

    Signals to the parent (SIGTERM, SIGINT, SIGUSR1, SIGUSR2) are passed on: running tasks keep their state and stop,
    waiting ones do not start. A worker that dies takes down its own task only, and is replaced. One whose device is
    lost is ended, and its place gets no more work: others go on. When no place is left the flag is set.

    Attributes:
        workers: number of processes.
        environment: variables set in each worker before it imports anything.
        of_slot: more of them, by the number of the worker's place (0, 1, ...).
        on_report: called in the parent with (task key, message) for each report of a task.
        flag: set by a stop signal.
        stopping: asked now and then; true stops as a signal does.
        hang_seconds: a busy worker that says nothing for so long is killed; 0 waits for ever.
        memory_bytes: a worker that holds more memory is killed; 0 sets no limit.
        shunned: devices that were lost, by the place of their workers.
        left_behind: processes that did not end when they were killed.
    """

    workers: int
    environment: Mapping[str, str] = field(default_factory=dict)
    of_slot: Callable[[int], Mapping[str, str]] = field(default_factory=lambda: _nothing)
    on_report: Callable[[int, Any], None] = field(default_factory=lambda: _ignore)
    flag: StopFlag = field(default_factory=StopFlag)
    stopping: Callable[[], bool] = field(default_factory=lambda: _never)
    hang_seconds: float = 0.0
    memory_bytes: int = 0
    shunned: dict[int, Device] = field(default_factory=dict, init=False)
    left_behind: list[int] = field(default_factory=list, init=False)

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Run the tasks, in order as workers come free, and yield each outcome as it comes.

        A task is asked for when a worker is there to take it.
        """
        waiting = Waiting(tasks)
        slots: list[_Slot] = []
        before = self.flag.install()
        folder = Path(tempfile.mkdtemp(prefix="phloem-"))
        try:
            yield from self._serve(slots, waiting, folder)
        finally:
            for slot in slots:
                slot.pipe.close()
            until = time.monotonic() + GRACE_SECONDS
            for slot in slots:
                slot.process.join(max(0.0, until - time.monotonic()))
                if slot.process.is_alive():
                    self._kill(slot)
            shutil.rmtree(folder, ignore_errors=True)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self, trace: Path, place: int) -> _Slot:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        variables = {**self.environment, **self.of_slot(place)}
        arguments = (theirs, os.getpid(), variables, str(trace))
        process = context.Process(target=_worker, args=arguments)
        # A worker is born with the stop signals blocked: before it has its handlers they would kill it. The resource
        # tracker must run before that, since starting it unblocks two of them (Python 3.11).
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            with without_main():
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return _Slot(process, ours, trace, place, device_here({**os.environ, **variables}))

    def _kill(self, slot: _Slot) -> bool:
        """Kill a worker; return whether it has ended, and is not left behind."""
        if kill_and_reap(slot.process):
            return True
        self.left_behind.append(slot.process.pid or 0)
        return False

    def _serve(self, slots: list[_Slot], waiting: Waiting, folder: Path) -> Iterator[Outcome]:
        signalled = False
        kills = _out_of_memory_kills()
        while True:
            if self.stopping():
                self.flag.name = self.flag.name or "parent gone"
            if self.flag and not signalled:
                signalled = True
                for slot in slots:
                    if slot.process.is_alive() and slot.process.pid:
                        os.kill(slot.process.pid, _same_signal(self.flag))
            if not self.flag:
                self._assign(slots, waiting, folder)
            if not any(slot.task for slot in slots) and (self.flag or not waiting):
                return
            wait([slot.pipe for slot in slots] + [slot.process.sentinel for slot in slots], POLL_SECONDS)
            for slot in list(slots):
                alive = slot.process.is_alive()
                outcome = self._drain(slot)
                if not alive:
                    before, kills = kills, _out_of_memory_kills()
                    outcome = outcome or self._loss(slot, kills > before)
                    slots.remove(slot)
                    slot.pipe.close()
                elif slot.task is not None:
                    outcome = self._watch(slot)
                    if outcome is not None:
                        slots.remove(slot)
                        slot.pipe.close()
                if outcome is not None:
                    yield self._shun(slots, slot, outcome) if outcome.device_lost else outcome

    def _assign(self, slots: list[_Slot], waiting: Waiting, folder: Path) -> None:
        """Give waiting tasks to idle workers, starting as many as are missing."""
        idle = [slot for slot in slots if slot.task is None]
        while (idle or len(slots) < self.workers - len(self.shunned)) and waiting:
            if not idle:
                place = min(set(range(self.workers)) - {slot.place for slot in slots} - set(self.shunned))
                slots.append(self._start(folder / f"{place}-{time.monotonic_ns()}", place))
                idle.append(slots[-1])
            slot = idle.pop()
            task = waiting.pop()
            if task.fresh and slot.served:
                slot = self._renew(slots, slot, folder)
            try:
                slot.pipe.send(task)
                slot.task, slot.heard, slot.served = task, time.monotonic(), True
            except OSError:
                waiting.put_back(task)
                return

    def _renew(self, slots: list[_Slot], slot: _Slot, folder: Path) -> _Slot:
        """Put a new worker in the place of an idle one."""
        slots.remove(slot)
        slot.pipe.close()
        slot.process.join(ABORT_SECONDS)
        if slot.process.is_alive():
            self._kill(slot)
        slots.append(self._start(folder / f"{slot.place}-{time.monotonic_ns()}", slot.place))
        return slots[-1]

    def _shun(self, slots: list[_Slot], slot: _Slot, outcome: Outcome) -> Outcome:
        """End a worker whose device is lost and give its place no more work; return the outcome of its task."""
        if slot in slots:
            slots.remove(slot)
            slot.pipe.close()
            if not self._kill(slot):
                outcome = replace(outcome, message=f"{outcome.message}; {_left(slot)}")
        self.shunned[slot.place] = outcome.device or slot.device
        if len(self.shunned) >= self.workers:
            self.devices_left = False
            self.flag.name = self.flag.name or loss_of_all(list(self.shunned.values()))
        return replace(outcome, device=self.shunned[slot.place])

    def _watch(self, slot: _Slot) -> Outcome | None:
        """Kill a worker that hangs or holds too much memory; its death is seen in the next round.

        Returns:
            The outcome of its task, where it was killed and does not die.
        """
        if slot.process.pid is None:
            return None
        if slot.verdict:
            return self._unkillable(slot) if time.monotonic() - slot.killed > REAP_SECONDS else None
        silent = time.monotonic() - slot.heard
        if self.memory_bytes and (used := _resident_bytes(slot.process.pid)) > self.memory_bytes:
            limit = self.memory_bytes / 2**30
            slot.verdict = f"MemoryError:it held {used / 2**30:.2f} GiB, more than the {limit:.2f} GiB a worker may"
            slot.process.kill()
            slot.killed = time.monotonic()
        elif self.hang_seconds and silent > self.hang_seconds:
            slot.verdict = f"Hang:it said nothing for {silent:.0f} s"
            os.kill(slot.process.pid, signal.SIGABRT)  # the interpreter says where it was
            slot.process.join(ABORT_SECONDS)
            slot.process.kill()
            slot.killed = time.monotonic()
        return None

    def _unkillable(self, slot: _Slot) -> Outcome | None:
        """Leave a killed worker behind that does not die: it waits in a driver, that of its device where it has one."""
        leave_behind(slot.process)
        self.left_behind.append(slot.process.pid or 0)
        outcome = self._loss(slot, False)
        if outcome is None:
            return None
        error = DeviceLost.__name__ if slot.device.names else outcome.error
        return replace(outcome, error=error, message=f"{outcome.message}; {_left(slot)}")

    def _drain(self, slot: _Slot) -> Outcome | None:
        """Read what a busy worker has sent; return its task's outcome if it is among it."""
        try:
            while slot.task is not None and slot.pipe.poll():
                kind, key, content = slot.pipe.recv()
                slot.heard = time.monotonic()
                if kind == "report":
                    self.on_report(key, content)
                else:
                    slot.task = None
                    return content
        except (EOFError, OSError):
            pass
        return None

    def _loss(self, slot: _Slot, out_of_memory: bool) -> Outcome | None:
        """Return the outcome of a task whose worker died under it."""
        if slot.task is None:
            return None
        key, slot.task = slot.task.key, None
        code = slot.process.exitcode or 0
        name = f"worker process {slot.process.pid}"
        where = _where(slot.trace)
        if slot.verdict:
            error, _, why = slot.verdict.partition(":")
            return Outcome(key, "lost", where, error, f"{name} was killed: {why}")
        if code == -signal.SIGKILL and out_of_memory:
            return Outcome(key, "lost", where, "MemoryError", f"{name} was killed by the system: out of memory")
        cause = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        return Outcome(key, "lost", where, "WorkerLost", f"{name} was {cause}")


def _left(slot: _Slot) -> str:
    """Return what is to be told of a process that does not end."""
    return f"process {slot.process.pid} does not end, not even by SIGKILL, and is left behind"


def _where(trace: Path) -> str:
    """Return what a dying interpreter wrote of where it was."""
    try:
        return trace.read_text(errors="replace")[-TRACE_CHARACTERS:]
    except OSError:
        return ""


def _resident_bytes(pid: int) -> int:
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0


def _out_of_memory_kills() -> int:
    """Return how many processes the system has killed for want of memory, where it says so."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
