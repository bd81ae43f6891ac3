"""An interrupt that a callback of Python's garbage collector drops is raised where the work looks for it."""

from __future__ import annotations

import gc
import signal

import pytest

from phloem.jobs.progress import Interrupts, Pace


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


def test_the_pace_is_that_of_the_work_and_not_of_what_goes_before() -> None:
    """Half a minute of compilation, then ten units a second: the ETA never knows of the half minute."""
    pace = Pace(1000)
    for second in range(30):
        pace.see(0, float(second))
        assert pace.left is None
    told = []
    for second in range(30, 60):
        pace.see(10.0 * (second - 29), float(second))
        if pace.left is not None:
            told.append(pace.left / ((1000 - 10.0 * (second - 29)) / 10))
    assert len(told) > 20
    assert told == pytest.approx([1.0] * len(told))
    pace.see(1000, 99.0)
    assert pace.left == 0


def test_a_slower_window_is_told_soon() -> None:
    pace = Pace(10_000)
    for second in range(100):
        pace.see(50.0 * second, float(second))
    for second in range(100, 400):
        pace.see(5000 + 5.0 * (second - 100), float(second))
    assert pace.left == pytest.approx((5000 - 5.0 * 299) / 5, rel=0.05)
