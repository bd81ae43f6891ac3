"""An interrupt that a callback of Python's garbage collector drops is raised where the work looks for it."""

from __future__ import annotations

import gc
import signal

import pytest

from phloem.jobs.progress import Interrupts


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_dropped_by_a_callback_is_raised_later() -> None:
    interrupts = Interrupts()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(phase: str, _details: dict[str, int]) -> None:
        if phase == "start" and not interrupts.heard:
            signal.raise_signal(signal.SIGINT)

    try:
        interrupts.hear()
        interrupts.check()
        gc.callbacks.append(interrupt)
        gc.collect()  # Python prints the interrupt and goes on
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    finally:
        if interrupt in gc.callbacks:
            gc.callbacks.remove(interrupt)
        signal.signal(signal.SIGINT, before)


def test_an_ignored_interrupt_stays_ignored() -> None:
    interrupts = Interrupts()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        interrupts.hear()
        signal.raise_signal(signal.SIGINT)
        interrupts.check()
    finally:
        signal.signal(signal.SIGINT, before)
