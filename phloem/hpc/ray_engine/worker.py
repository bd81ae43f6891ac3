"""The Ray side of a task: one attempt in a Ray worker, and the mailbox through which it talks to the driver."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from typing import Any

from phloem.hpc.tasks import STOP_SIGNALS, Context, Outcome, StopFlag, Task, call

SILENCE_SECONDS = 10.0
"""A driver that has not answered for so long is taken for gone: the task keeps its state and stops."""

HOLD_SECONDS = 60.0
"""Between two turns of a worker that keeps a lost device."""

HERE, REPORT, LOST = "here", "report", "lost"


class Mailbox:
    """A Ray actor between the driver and its workers: letters go one way, the wish to stop goes the other."""

    def __init__(self) -> None:
        self._letters: list[tuple[str, int, Any]] = []
        self._stopping = False
        self._over: set[str] = set()

    def tell(self, letters: list[tuple[str, int, Any]], task: str = "") -> bool:
        """Take the letters of a task; return whether it should stop.

        A task that has said that its device is lost is over: where its worker is killed then, Ray tries it again.
        """
        self._letters += letters
        if any(kind == LOST for kind, _, _ in letters):
            self._over.add(task)
        return self._stopping or task in self._over

    def collect(self, stopping: bool) -> list[tuple[str, int, Any]]:
        """Hand the driver what came since it last asked; `stopping` is what workers are told from now on."""
        self._stopping = stopping
        letters, self._letters = self._letters, []
        return letters


class Line:
    """A running task's line to the mailbox: a thread that sends letters and sets the flag when it should stop.

    All waiting for Ray is done in this thread: a task that waits for Ray in its main thread gives back its cores while
    it waits, and Ray then starts one task too many.

    Attributes:
        flag: set when the driver asks to stop, or is gone.
    """

    def __init__(self, mailbox: Any, key: int, task: str, period: float, flag: StopFlag) -> None:
        self.flag = flag
        self._mailbox = mailbox
        self._key = key
        self._task = task
        self._period = period
        self._letters: deque[tuple[str, int, Any]] = deque([(HERE, key, None)])
        self._heard = time.monotonic()
        self._answered = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def open(self) -> None:
        """Start; return when the driver has answered for the first time, or cannot."""
        self._thread.start()
        self._answered.wait()

    def send(self, message: Any, kind: str = REPORT) -> None:
        """Put a report on its way, or the outcome of a task whose device is lost."""
        self._letters.append((kind, self._key, message))

    def close(self) -> None:
        """Send what is left, and end."""
        self._end.set()
        self._thread.join()

    def _serve(self) -> None:
        last = False
        while not last:
            last = self._end.is_set()
            self._exchange()
            self._answered.set()
            if not last:
                self._end.wait(self._period)

    def _exchange(self) -> None:
        import ray

        letters = [self._letters.popleft() for _ in range(len(self._letters))]
        try:
            if ray.get(self._mailbox.tell.remote(letters, self._task), timeout=SILENCE_SECONDS):
                self._stop("the driver")
                self._letters.append((HERE, self._key, None))
            self._heard = time.monotonic()
        except ray.exceptions.ActorDiedError:
            self._stop("driver gone")
        except (ray.exceptions.RayError, TimeoutError):
            if time.monotonic() - self._heard > SILENCE_SECONDS:
                self._stop("driver silent")

    def _stop(self, reason: str) -> None:
        self.flag.name = self.flag.name or reason


def attempt(task: Task, mailbox: Any, period: float) -> Outcome | None:
    """Make a task's call in this Ray worker.

    Where the device is lost this does not return: Ray would give the device to the next task. The outcome goes through
    the mailbox, and the worker, which computes nothing any more, keeps the device until the driver is gone.

    Args:
        task: what to call.
        mailbox: handle of the driver's `Mailbox`.
        period: seconds between two exchanges with it.

    Returns:
        The outcome; nothing if the driver was stopping before the call was made.
    """
    import ray

    flag = StopFlag()
    before = flag.install()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    name = ray.get_runtime_context().get_task_id() or ""
    line = Line(mailbox, task.key, name, period, flag)
    line.open()
    try:
        if flag:
            return None
        outcome = call(task, Context(f"{os.uname().nodename}-{os.getpid()}", flag, os.getppid(), line.send))
        if outcome.device_lost:
            line.send(outcome, LOST)
    finally:
        line.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    while outcome.device_lost:
        time.sleep(HOLD_SECONDS)
    return outcome
