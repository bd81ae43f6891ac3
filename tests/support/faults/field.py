"""Where operations are broken: a fresh campaign for each case, and what must be true of it afterwards."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import sweep
from tests.support.faults.operations import OPERATIONS, bystanders, prepare
from tests.support.faults.shim import CHANGES, Call, Driver, Fault, Outcome


@dataclass
class Tally:
    """What a test injected and what came of it.

    Attributes:
        what: the operation and the fault.
        injected: cases whose fault happened.
        states: of the campaign after the faults.
        ends: how the operation ended for its caller.
    """

    what: str
    injected: int = 0
    states: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        parts = [f"{count} {name}" for counts in (self.states, self.ends) for name, count in sorted(counts.items())]
        return f"{self.what}: {self.injected} faults: {', '.join(parts)}"


class Field:
    """Campaigns to break things in."""

    def __init__(self, driver: Driver, folder: Path) -> None:
        self.driver, self.folder = driver, folder
        self._fresh: dict[str, CampaignPaths] = {}
        self._done: dict[tuple[str, tuple[str, ...]], tuple[CampaignPaths, tuple[Call, ...]]] = {}
        self._numbers = itertools.count()

    def _copy(self, operation: str) -> CampaignPaths:
        if operation not in self._fresh:
            root = self.folder / f"fresh {next(self._numbers)}"
            self._fresh[operation] = prepare(CampaignPaths(root), OPERATIONS[operation])
        root = self.folder / f"case {next(self._numbers)}"
        shutil.copytree(self._fresh[operation].root, root)
        return CampaignPaths(root)

    def undisturbed(self, operation: str, counted: tuple[str, ...] = CHANGES) -> tuple[CampaignPaths, tuple[Call, ...]]:
        """Return the campaign in which an operation met no fault, and the calls that it made."""
        key = operation, counted
        if key not in self._done:
            paths = self._copy(operation)
            outcome = self.driver.run(operation, paths.root, Fault(counted=counted))
            assert (outcome.signal, outcome.error) == (0, ""), outcome.message
            assert len(outcome.calls) > 3
            assert OPERATIONS[operation].look(paths, paths) == "new"
            self._done[key] = paths, outcome.calls
        return self._done[key]

    def calls(self, operation: str, kinds: Iterable[str], counted: tuple[str, ...] = CHANGES) -> list[Call]:
        """Return the calls of some kinds that an undisturbed operation makes."""
        wanted = set(kinds)
        return [call for call in self.undisturbed(operation, counted)[1] if call.kind in wanted]

    def strike(self, operation: str, call: Call, fault: Fault, tally: Tally, frees: int = 0) -> Outcome:
        """Break one call of an operation, and check all that must be true afterwards.

        The state is the old or the new one, what belongs to others is untouched, temporaries are swept, and the
        operation done once more leads to the new state.

        Args:
            operation: its name.
            call: the first call that breaks, as the undisturbed operation made it.
            fault: what happens to it.
            tally: to be counted in.
            frees: see `Driver.run`.
        """
        paths = self._copy(operation)
        others = bystanders(paths)
        outcome = self.driver.run(operation, paths.root, fault, frees)
        where = f"{operation}, {fault.mode} {fault.code or ''} at {call}"
        assert outcome.faults, f"{where}: no fault was injected"
        assert (outcome.faults[0].number, outcome.faults[0].kind) == (call.number, call.kind), where
        try:
            tally.states[self._settle(operation, paths, others)] += 1
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}; it ended with {outcome.error} {outcome.message}") from error
        tally.injected += 1
        tally.ends[self._end(outcome)] += 1
        shutil.rmtree(paths.root)
        return outcome

    @staticmethod
    def _end(outcome: Outcome) -> str:
        if outcome.signal:
            return signal.Signals(outcome.signal).name
        return outcome.error or ("completed after a pause" if outcome.waits else "completed")

    def _settle(self, operation: str, paths: CampaignPaths, others: dict[Path, bytes]) -> str:
        undisturbed = self.undisturbed(operation)[0]
        work = OPERATIONS[operation]
        state = work.look(paths, undisturbed)
        assert {path: path.read_bytes() for path in others} == others, "what belongs to another was touched"
        strays = {path for path in paths.root.rglob("*") if path.name.endswith(".tmp")}
        assert set(sweep(paths)) == strays
        assert not any(path.name.endswith(".tmp") for path in paths.root.rglob("*")), "a temporary outlived the sweep"
        if operation != "sweep":
            assert work.look(paths, undisturbed) == state, "the sweep changed the state"
        work.repeat(paths)
        assert work.look(paths, undisturbed) == "new", "the operation cannot be repeated"
        assert not os.listdir(paths.failures_dir)
        return state
