"""Progress on standard error: a bar with an ETA on a terminal and in a notebook, a line now and then elsewhere."""

from __future__ import annotations

import html
import signal
import sys
import time
from importlib import import_module
from types import FrameType, TracebackType
from typing import Any

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

DRAWN_SECONDS = 0.25
"""Time between two pictures of a bar in a notebook."""


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


class Interrupts:
    """Control-C, remembered: raised where it strikes, and once more where the work looks for it.

    An exception raised while a garbage collector's callback runs (JAX has one) is printed and dropped by Python. Of
    a hundred interrupts during a plan some five were lost so.
    """

    def __init__(self) -> None:
        self.heard = False

    def hear(self) -> None:
        """Take over SIGINT, unless it is ignored (as it is in the background of a shell script)."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)

    def check(self) -> None:
        """Raise what was heard and dropped.

        Raises:
            KeyboardInterrupt: SIGINT came since `hear`.
        """
        if self.heard:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.heard = True
        signal.default_int_handler(number, frame)


INTERRUPTS = Interrupts()
"""Of this process; the command line lets it hear."""


def notebook_shell() -> Any:
    """Return the shell of the notebook kernel that this process is, None where it is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if hasattr(shell, "kernel") else None


class _NotebookBar:
    """A bar below the cell that runs, drawn anew in its place; it needs no widgets."""

    def __init__(self, title: str) -> None:
        self.drawn, self.notes = 0.0, list[str]()
        display = import_module("IPython.display").display
        self.handle = display(self._picture(title, 0.0), raw=True, display_id=True)

    def show(self, text: str, share: float, at_once: bool = False) -> None:
        """Draw it anew; not more often than an eye can follow, unless at once."""
        now = time.monotonic()
        if at_once or now - self.drawn >= DRAWN_SECONDS:
            self.drawn = now
            self.handle.update(self._picture(text, share), raw=True)

    def _picture(self, text: str, share: float) -> dict[str, str]:
        notes = "".join(f"<br><small>{html.escape(note)}</small>" for note in self.notes)
        bar = f'<progress value="{share:.4f}" max="1"></progress> {share:.0%} {html.escape(text)}{notes}'
        return {"text/plain": "\n".join([f"{share:.0%} {text}", *self.notes]), "text/html": bar}


class ProgressBar:
    """Work done of a known total, with an ETA; a context manager. Every update looks for interrupts.

    Attributes:
        title: what is going on.
        total: amount of work.
    """

    def __init__(self, title: str, total: float, done: float = 0) -> None:
        self.title, self.total = title, max(total, 1)
        self.first: float | None = None
        self.begun = self.started = self.told = time.monotonic()
        self.bar: Progress | None = None
        self.notebook = _NotebookBar(title) if notebook_shell() is not None else None
        self.share = done / self.total
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
        if self.notebook:
            took = duration(time.monotonic() - self.begun)
            self.notebook.show(f"{self.title}: {'stopped after' if kind else 'took'} {took}", self.share, at_once=True)

    def update(self, done: float, note: str = "") -> None:
        """Show how much is done.

        Raises:
            KeyboardInterrupt: one was heard and dropped before.
        """
        INTERRUPTS.check()
        if self.bar:
            self.bar.update(self.task, completed=done, description=f"{self.title} {note}".strip())
            return
        now = time.monotonic()
        if self.first is None or done <= self.first:  # imports and compilation say nothing of the pace
            self.first, self.started = done, now
        if self.notebook is None and now - self.told < QUIET_SECONDS:
            return
        rate = (done - self.first) / max(now - self.started, 1e-3)
        left = f"ETA {duration((self.total - done) / rate)}" if rate > 0 else "starting"
        if self.notebook:
            self.share = done / self.total
            self.notebook.show(f"{self.title} {note} {left}".replace("  ", " "), self.share)
            return
        self.told = now
        say(f"{self.title}: {done / self.total:.1%} {note} {left}".replace("  ", " "))

    def note(self, text: str) -> None:
        """Say something beside the bar."""
        if self.bar:
            self.bar.console.print(text, highlight=False, markup=False)
        elif self.notebook:
            self.notebook.notes.append(text)
        else:
            say(text)
