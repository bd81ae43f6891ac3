"""Ends of worker processes within a bounded time; one that does not end is left behind.

A process that waits in a driver (state D) hears no signal, not even SIGKILL, until the driver returns. A GPU that fell
off its bus may keep one for hours.
"""

from __future__ import annotations

import multiprocessing.process
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any

REAP_SECONDS = 5.0
"""How long a killed process may take to end: the kernel first frees its memory."""


def kill_and_reap(process: BaseProcess) -> bool:
    """Kill a process and wait for its end; leave it behind where that does not come.

    Returns:
        Whether it has ended.
    """
    process.kill()
    process.join(REAP_SECONDS)
    if process.is_alive():
        leave_behind(process)
        return False
    return True


def leave_behind(process: BaseProcess) -> None:
    """Wait for a process no more, also not when this interpreter ends.

    At its end `multiprocessing` joins every child it knows, without a bound; and newer ones than Python 3.11 then wait
    for the resource tracker, which lives as long as any process has its pipe.
    """
    library: Any = multiprocessing.process
    library._children.discard(process)
    tracker: Any = resource_tracker._resource_tracker
    tracker._fd = tracker._pid = None
