"""Progress on standard error: a bar with an ETA on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

QUIET_SECONDS = 30.0
"""Time between two lines where there is no terminal."""


def duration(seconds: float | None) -> str:
    """Return a time for people: 42 s, 3 min 20 s, 5 h 07 min."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def say(text: str) -> None:
    """Write one line to standard error."""
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)


class ProgressBar:
    """Work done of a known total, with an ETA; a context manager.

    Attributes:
        title: what is going on.
        total: amount of work.
    """

    def __init__(self, title: str, total: float, done: float = 0) -> None:
        self.title, self.total = title, max(total, 1)
        self.first: float | None = None
        self.started = self.told = time.monotonic()
        self.bar: Progress | None = None
        if sys.stderr is not None and sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
            times = (TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(elapsed_when_finished=True))
            self.bar = Progress(*columns, *times, console=Console(stderr=True))
            self.task = self.bar.add_task(title, total=self.total, completed=round(done))

    def __enter__(self) -> ProgressBar:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()

    def update(self, done: float, note: str = "") -> None:
        """Show how much is done."""
        if self.bar:
            self.bar.update(self.task, completed=done, description=f"{self.title} {note}".strip())
            return
        now = time.monotonic()
        if self.first is None or done <= self.first:  # imports and compilation say nothing of the pace
            self.first, self.started = done, now
        if now - self.told < QUIET_SECONDS:
            return
        self.told = now
        rate = (done - self.first) / max(now - self.started, 1e-3)
        left = f"ETA {duration((self.total - done) / rate)}" if rate > 0 else "starting"
        say(f"{self.title}: {done / self.total:.1%} {note} {left}".replace("  ", " "))

    def note(self, text: str) -> None:
        """Say something beside the bar."""
        if self.bar:
            self.bar.console.print(text, highlight=False, markup=False)
        else:
            say(text)
