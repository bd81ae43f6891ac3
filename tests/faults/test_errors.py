"""System calls that fail: a full disk is waited for, anything else is told with the path; the state is old or new."""

from __future__ import annotations

import errno
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phloem.io.campaign.paths import CampaignPaths
from tests.support.faults.field import Field, Tally
from tests.support.faults.operations import OPERATIONS, bystanders, prepare
from tests.support.faults.shim import FOREVER, GROWTH, KINDS, NAMING, Call, Fault

FULL = (errno.ENOSPC, errno.EDQUOT)
BREAKS = {
    errno.ENOSPC: GROWTH,
    errno.EDQUOT: GROWTH,
    errno.EIO: KINDS,
    errno.EROFS: NAMING[1:],
    errno.EACCES: NAMING,
}
"""Which kinds of calls an error can come from."""

WAITING = tuple(name for name in OPERATIONS if OPERATIONS[name].can_wait)
SOME = 3
"""So many calls of an operation fail in an ordinary run, by each error; all of them in a soak."""


def name_of(code: int) -> str:
    return errno.errorcode[code]


def faults_at(call: Call, code: int) -> Iterator[Fault]:
    """Once, from then on, and, where a disk fills during a write, after a half of it."""
    broken = BREAKS[code]
    yield Fault("fail", call.number, call.number, code, broken, KINDS)
    yield Fault("fail", call.number, FOREVER, code, broken, KINDS)
    if call.kind == "write" and code in FULL:
        yield Fault("short", call.number, FOREVER, code, broken, KINDS)


@pytest.mark.parametrize("code", [errno.ENOSPC, pytest.param(errno.EDQUOT, marks=pytest.mark.soak)], ids=name_of)
@pytest.mark.parametrize("operation", WAITING)
def test_full_disk_is_waited_for(faults: Field, record_property: Callable, operation: str, code: int) -> None:
    tally = Tally(f"{operation}, {name_of(code)}, then space")
    for call in faults.calls(operation, GROWTH, KINDS):
        for fault in faults_at(call, code):
            frees = 2 if fault.last == FOREVER and fault.mode == "fail" else 1
            outcome = faults.strike(operation, call, fault, tally, frees)
            assert (outcome.signal, outcome.error) == (0, ""), f"{fault} at {call}: {outcome.error} {outcome.message}"
            # A folder that is there already need not be made; a clock that cannot be read is done without.
            needless = call.kind == "mkdir" or ".clock." in call.path
            assert outcome.waits == frees or needless, f"{fault} at {call}: waited {outcome.waits} times"
    assert tally.states == {"new": tally.injected}
    record_property("faults", str(tally))


def crashes(operation: str, faults: Field) -> set[int]:
    """Calls that may end the process: netCDF-C 4.10.1 crashes where its very last write or its close(2) fails."""
    if "merge" not in operation:
        return set()
    return {faults.calls(operation, [kind], KINDS)[-1].number for kind in ("write", "close")}


@pytest.mark.parametrize("is_soak", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["some", "all"])
@pytest.mark.parametrize("code", BREAKS, ids=name_of)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_errors_name_the_path(
    faults: Field, record_property: Callable, operation: str, code: int, is_soak: bool
) -> None:
    calls = faults.calls(operation, BREAKS[code], KINDS)
    if not calls:
        pytest.skip(f"no call of this operation can fail by {name_of(code)}")
    if not is_soak:
        calls = random.Random(f"{operation} {code}").sample(calls, min(SOME, len(calls)))
    tally = Tally(f"{operation}, {name_of(code)}")
    fatal = crashes(operation, faults)
    for call in calls:
        for fault in faults_at(call, code):
            outcome = faults.strike(operation, call, fault, tally)
            if outcome.signal:
                assert (outcome.signal, call.number in fatal) == (signal.SIGSEGV, True), f"{fault} at {call}"
            elif outcome.error == "TakenError":
                assert "tile 0 is held by" in outcome.message, "whose claim cannot be read is left alone"
            elif outcome.error:
                assert str(faults.folder) in outcome.message, f"{fault} at {call}: {outcome.error} {outcome.message}"
    assert tally.injected >= 2 * len(calls)
    record_property("faults", str(tally))


@pytest.fixture
def removable(tmp_path: Path) -> Iterator[Path]:
    """A file system that can be made read-only."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("a read-only file system needs the mount command")
    if done.returncode:
        pytest.skip(f"a read-only file system needs the right to mount one: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_read_only_file_system(removable: Path, record_property: Callable) -> None:
    tally = Tally("every operation, mounted read-only")
    campaigns = {}
    for name, operation in OPERATIONS.items():
        campaigns[name] = prepare(CampaignPaths(removable / name), operation)
    subprocess.run(["mount", "-o", "remount,ro", str(removable)], check=True)
    try:
        for name, operation in OPERATIONS.items():
            before = {path: path.read_bytes() for path in campaigns[name].root.rglob("*") if path.is_file()}
            assert set(bystanders(campaigns[name])) <= set(before)
            with pytest.raises(Exception, match=str(campaigns[name].root)) as caught:
                operation.run(campaigns[name], None)
            tally.injected += 1
            tally.ends[type(caught.value).__name__] += 1
            assert {path: path.read_bytes() for path in before} == before
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(removable)], check=True)
    for name, operation in OPERATIONS.items():
        operation.run(campaigns[name], None)
        undisturbed = prepare(CampaignPaths(removable / f"{name}, undisturbed"), operation)
        operation.run(undisturbed, None)
        assert operation.look(campaigns[name], undisturbed) == "new"
        tally.states["old, then new"] += 1
    assert tally.injected == len(OPERATIONS)
    record_property("faults", str(tally))
