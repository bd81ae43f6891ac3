"""Progress on standard error: a bar with an ETA on a terminal and in a notebook, a line now and then elsewhere."""

from __future__ import annotations

import html
import signal
import sys
import time
from collections import deque
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


STARTING = "starting"
"""What a bar says before the first advance, where nothing more is known."""

PACE_SECONDS = 120.0
"""The pace is that of this time: steps of different windows take differently long."""

TELLING_SECONDS = 3.0
"""So long must work have gone on before its pace is told."""


class Pace:
    """The pace of some work, from its first advance on: what goes before, such as compilation, says nothing of it.

    Attributes:
        total: amount of work.
    """

    def __init__(self, total: float) -> None:
        self.total = total
        self.seen: deque[tuple[float, float]] = deque()
        self.last: float | None = None

    def see(self, done: float, now: float) -> None:
        """Take notice of how much is done at a time, in seconds."""
        if self.last is None or done < self.last:
            self.seen.clear()
            self.last = done
        elif done > self.last:
            self.last = done
            self.seen.append((now, done))
            while len(self.seen) > 2 and now - self.seen[0][0] > PACE_SECONDS:
                self.seen.popleft()

    @property
    def left(self) -> float | None:
        """Seconds that are left at the pace of the last minutes; None while there is no telling."""
        if self.last is not None and self.last >= self.total:
            return 0.0
        if len(self.seen) < 2 or self.seen[-1][0] - self.seen[0][0] < TELLING_SECONDS:
            return None
        took, made = (self.seen[-1][place] - self.seen[0][place] for place in (0, 1))
        return (self.total - self.seen[-1][1]) * took / made


class ProgressBar:
    """Work done of a known total, with an ETA; a context manager. Every update looks for interrupts.

    Attributes:
        title: what is going on.
        total: amount of work.
    """

    def __init__(self, title: str, total: float, done: float = 0, before: str = STARTING) -> None:
        """Begin.

        Args:
            title: what is going on.
            total: amount of work.
            done: of it, already.
            before: what happens until the first advance.
        """
        self.title, self.total, self.before = title, max(total, 1), before
        self.pace = Pace(self.total)
        self.begun = self.told = time.monotonic()
        self.bar: Progress | None = None
        self.notebook = _NotebookBar(title) if notebook_shell() is not None else None
        self.share = done / self.total
        if sys.stderr is not None and sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
            times = (TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
            self.bar = Progress(*columns, *times, console=Console(stderr=True))
            self.task = self.bar.add_task(title, total=self.total, completed=round(done), left=before)

    def __enter__(self) -> ProgressBar:
        if self.bar:
            self.bar.start()
        elif self.notebook is None and self.before != STARTING:
            say(f"{self.title}: {self.before}")
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
        now = time.monotonic()
        self.pace.see(done, now)
        seconds = self.pace.left
        left = (
            f"ETA {duration(seconds)}"
            if seconds is not None
            else "pace not known yet"
            if self.pace.seen
            else self.before
        )
        if self.bar:
            self.bar.update(self.task, completed=done, description=f"{self.title} {note}".strip(), left=left)
            return
        if self.notebook is None and now - self.told < QUIET_SECONDS:
            return
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
