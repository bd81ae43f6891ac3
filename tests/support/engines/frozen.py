"""Processes that do not end by SIGKILL: frozen in a control group, state D, as one is that waits in a driver."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.processes import state_of, until

FREEZER = Path("/sys/fs/cgroup/freezer")
"""Control groups of version 1: only these keep a frozen process from dying."""


class Freezer:
    """A control group whose processes can be frozen.

    Attributes:
        group: its folder.
    """

    def __init__(self, group: Path) -> None:
        self.group = group

    def freeze(self, pid: int) -> None:
        """Freeze a process; from now on it hears no signal."""
        (self.group / "cgroup.procs").write_text(str(pid))
        (self.group / "freezer.state").write_text("FROZEN")
        until(lambda: state_of(pid) == "D", 10, "a process in state D")

    def thaw(self) -> None:
        """Let the processes go on."""
        (self.group / "freezer.state").write_text("THAWED")


@contextmanager
def freezer() -> Iterator[Freezer | None]:
    """Make a control group for one test; None where this machine lets nobody, or not this user."""
    group = FREEZER / f"test-{secrets.token_hex(6)}"
    try:
        group.mkdir()
        (group / "freezer.state").read_text()
    except OSError:
        yield None
        return
    made = Freezer(group)
    try:
        yield made
    finally:
        made.thaw()
        for _ in range(100):
            with suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)
