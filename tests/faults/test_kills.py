"""Killed at every system call: afterwards the state is the old or the new one."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

import pytest

from tests.support.faults.field import Field, Tally
from tests.support.faults.operations import OPERATIONS
from tests.support.faults.shim import CHANGES, Fault

MODES = ("before", "after", "half")
MERGES = ("merge", "merge again", "merge on a grid")
SAMPLE = 25
"""Of the hundreds of calls of a merge, so many are tried in an ordinary run, by each kind of kill."""


def kill_everywhere(faults: Field, operation: str, mode: str, sample: int | None, record: Callable) -> Tally:
    calls = faults.calls(operation, ["write"] if mode == "half" else CHANGES)
    if sample is not None:
        # The last calls are those of the commit; all of them are tried.
        calls = sorted(random.Random(mode).sample(calls[:-10], sample), key=lambda call: call.number) + calls[-10:]
    tally = Tally(f"{operation}, killed {mode}")
    for call in calls:
        outcome = faults.strike(operation, call, Fault(mode, call.number), tally)
        assert outcome.signal == signal.SIGKILL, f"{operation} outlived its kill at {call}"
        assert len(outcome.faults) == 1
    assert tally.injected == len(calls) > 0
    record("faults", str(tally))
    return tally


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name not in MERGES])
def test_killed_at_every_call(faults: Field, record_property: Callable, operation: str, mode: str) -> None:
    if not faults.calls(operation, ["write"] if mode == "half" else CHANGES):
        pytest.skip("the operation writes nothing")
    tally = kill_everywhere(faults, operation, mode, None, record_property)
    # Together the kills fall on both sides of the commit.
    assert mode == "half" or tally.states["old" if mode == "before" else "new"]


@pytest.mark.parametrize("sample", [SAMPLE, pytest.param(None, marks=pytest.mark.soak)])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("operation", MERGES)
def test_merge_killed(faults: Field, record_property: Callable, operation: str, mode: str, sample: int | None) -> None:
    tally = kill_everywhere(faults, operation, mode, sample, record_property)
    assert tally.states["old"]
    assert mode == "half" or tally.states["new"], "the kills must fall on both sides of the commit"
