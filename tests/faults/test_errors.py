"""System calls that fail: a full disk is waited for, anything else is told with the path; the state is old or new."""

from __future__ import annotations

import errno
import itertools
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from field import Field, Tally
from operations import OPERATIONS, bystanders, prepare
from shim import FOREVER, GROWTH, KINDS, NAMING, Call, Fault

from phloem.io.paths import CampaignPaths

FULL = (errno.ENOSPC, errno.EDQUOT)
EVERYTHING = tuple(OPERATIONS)
WAITING = tuple(name for name in OPERATIONS if OPERATIONS[name].can_wait)
SAMPLE = 12
"""Of the hundreds of calls of a merge, so many are tried in an ordinary run, by each kind of error."""

BREAKS = {
    errno.EIO: KINDS,
    errno.EROFS: NAMING[1:],
    errno.EACCES: NAMING,
}
"""Which kinds of calls an error can come from."""


def name_of(code: int) -> str:
    return errno.errorcode[code]


def some(operation: str, calls: list[Call], is_soak: bool) -> list[Call]:
    if is_soak or len(calls) <= 90:
        return calls
    return sorted(random.Random(operation).sample(calls[:-8], SAMPLE), key=lambda call: call.number) + calls[-8:]


def faults_at(call: Call, code: int, broken: tuple[str, ...], counted: tuple[str, ...] = KINDS) -> Iterator[Fault]:
    """Once, from then on, and, for a write, after a half of it."""
    modes = ["fail"] * 2 + ["short"] * (call.kind == "write" and code in FULL)
    for mode, last in zip(modes, (call.number, FOREVER, FOREVER), strict=False):
        yield Fault(mode, call.number, last, code, broken, counted)


@pytest.mark.parametrize("code", FULL, ids=name_of)
@pytest.mark.parametrize("operation", WAITING)
def test_full_disk_is_waited_for(faults: Field, record_property: Callable, operation: str, code: int) -> None:
    tally = Tally(f"{operation}, {name_of(code)}, then space")
    for call in faults.calls(operation, GROWTH, KINDS):
        for fault in faults_at(call, code, GROWTH):
            frees = 2 if fault.last == FOREVER and fault.mode == "fail" else 1
            outcome = faults.strike(operation, call, fault, tally, frees)
            assert (outcome.signal, outcome.error) == (0, ""), f"{fault} at {call}: {outcome.error} {outcome.message}"
            assert outcome.waits == frees, f"{fault} at {call}: waited {outcome.waits} times"
    assert tally.states == {"new": tally.injected}
    record_property("faults", str(tally))


@pytest.mark.parametrize("is_soak", [False, pytest.param(True, marks=pytest.mark.soak)])
@pytest.mark.parametrize("code", [*FULL, *BREAKS], ids=name_of)
@pytest.mark.parametrize("operation", EVERYTHING)
def test_errors_name_the_path(
    faults: Field, record_property: Callable, operation: str, code: int, is_soak: bool
) -> None:
    tally = Tally(f"{operation}, {name_of(code)}")
    broken = BREAKS.get(code, GROWTH)
    for call in some(operation, faults.calls(operation, broken, KINDS), is_soak):
        for fault in faults_at(call, code, broken):
            outcome = faults.strike(operation, call, fault, tally)
            assert outcome.signal == 0
            if outcome.error:
                assert str(faults.folder) in outcome.message, f"{fault} at {call}: {outcome.error} {outcome.message}"
            else:
                assert tally.ends["completed"], f"{call}: the error was swallowed"
    record_property("faults", str(tally))
    assert tally.injected
