"""Cells computed apart from each other, after a tile has failed: the one that does it is found and set aside.

The tile is halved again and again, each part in a process of its own that may crash, hang or run out of memory. What
its neighbours reach is kept in files of the part, so that nothing is computed twice.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from phloem.errors import InputError
from phloem.hpc.local_engine import LocalEngine
from phloem.hpc.tasks import Outcome, Stopped, Task
from phloem.io.campaign.checkpoints import load_part
from phloem.io.files.journals import append_event
from phloem.jobs.calibration.lane_results import Arrays
from phloem.jobs.tile.attempt import Attempt
from phloem.jobs.tile.failures import LOSSES, classify
from phloem.names import STATUS

if TYPE_CHECKING:
    from phloem.jobs.tile.attempt import Attempt

CHANCES = 2
"""A cell that is alone is lost so often, without a checkpoint in between, before it is set aside."""

HANG_SHARE = 0.5
"""Share of the time without a word after which a part is given up: its parent must not be taken for hanging."""

Part = tuple[int, int]
"""First cell of a part and the one after its last, as positions in the tile."""


def part_name(part: Part) -> str:
    """Return how a part is called in file names."""
    return f".part-{part[0]:04d}-{part[1]:04d}"


class Isolation:
    """The search for the cells of one tile that cannot be computed.

    Attributes:
        attempt: of the tile.
        guilty: cells set aside, by position, with class and message.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.names = [cell.name for cell in attempt.campaign.tile_cells(attempt.tile)]
        self.guilty: dict[int, tuple[str, str]] = {}
        self.found: dict[Part, Arrays] = {}
        self.losses: dict[Part, int] = {}
        self.steps: dict[Part, int] = {}
        self.saved: set[Part] = set()

    def search(self) -> None:
        """Compute every part, halving those that fail, until what fails is one cell.

        Raises:
            Stopped: asked to stop; parts keep their checkpoints.
            InputError: a part's input is not what it should be.
        """
        size = len(self.names)
        waiting = deque(_halves((0, size)))
        while waiting:
            part = waiting.popleft()
            kept = load_part(self.attempt.paths, self.attempt.tile, part_name(part), self.attempt.fingerprint)
            if kept is not None:
                self.found[part] = kept
                continue
            outcome = self.compute(part)
            if outcome.kind == "done":
                self.attempt.saved = True
                waiting.appendleft(part)
            elif outcome.kind == "stopped":
                raise Stopped(outcome.message)
            else:
                waiting.extendleft(reversed(self.after(part, outcome)))

    def compute(self, part: Part) -> Outcome:
        """Run one part in a process of its own."""
        arguments = self.attempt.arguments
        given = {**arguments, "attempt": self.attempt.number, "part": part, "isolate": False, "watched": True}
        engine = LocalEngine(
            1,
            on_report=lambda _key, message: self.report(part, message),
            flag=self.attempt.context.flag,
            stopping=self.attempt.context.stopping,
            hang_seconds=HANG_SHARE * float(arguments["hang_seconds"]),
            memory_bytes=int(arguments["memory_bytes"]),
        )
        for outcome in engine.run([Task(0, "phloem.jobs.tile.worker:run_part", given)]):
            return outcome
        # Asked to stop before it could begin, by a signal or by the end of the parent: no failure of the tile.
        return Outcome(0, "stopped", message=f"tile {self.attempt.tile} stopped between two of its parts")

    def report(self, part: Part, message: dict[str, Any]) -> None:
        """Pass on what a part says, as the tile's own progress."""
        if "note" in message:
            self.attempt.context.report(message)
        if "steps" in message:
            self.steps[part] = message["steps"]
            if message["saved"]:
                self.saved.add(part)
                self.attempt.saved = True
            self.attempt.beat(sum(self.steps.values()))

    def after(self, part: Part, outcome: Outcome) -> list[Part]:
        """Return what to try next where a part has failed; alone and hopeless, its cell is set aside."""
        kind = classify(outcome)
        first, stop = part
        cells = self.names[first:stop]
        self.attempt.log("part failed", cells=cells, error=outcome.message, **{"class": kind})
        self.steps.pop(part, None)
        if kind == "bad input":
            raise InputError(outcome.message)
        progressed = part in self.saved
        self.saved.discard(part)
        if kind in LOSSES and progressed:
            return [part]
        self.losses[part] = self.losses.get(part, 0) + 1
        if len(cells) > 1:
            return _halves(part)
        if kind in LOSSES and self.losses[part] < CHANCES:
            return [part]
        self.guilty[first] = (kind, outcome.message)
        note = f"cell {cells[0]} is set aside ({kind}): {outcome.message}"
        self.attempt.context.report({"tile": self.attempt.tile, "note": note})
        return []


def _halves(part: Part) -> list[Part]:
    first, stop = part
    middle = (first + stop + 1) // 2
    return [half for half in ((first, middle), (middle, stop)) if half[0] < half[1]]


def calibrate_apart(attempt: Attempt) -> Arrays:
    """Calibrate the cells of a tile apart from each other; return its arrays, guilty cells marked as set aside.

    Raises:
        RuntimeError: no cell of the tile can be computed: then it is not the cells.
        MemoryError: the same, for want of memory.
    """
    isolation = Isolation(attempt)
    isolation.search()
    if len(isolation.guilty) == len(isolation.names):
        kind, message = next(iter(isolation.guilty.values()))
        text = f"every cell of the tile fails alone too: {kind}: {message}"
        raise MemoryError(text) if kind == "out of memory" else RuntimeError(text)
    arrays = _gather(isolation)
    for position, (kind, message) in sorted(isolation.guilty.items()):
        event = {"event": "set aside", "tile": attempt.tile, "cell": isolation.names[position]}
        event |= {"class": kind, "message": message, "attempt": attempt.number}
        append_event(attempt.paths.journal(attempt.worker), event, attempt.pause)
        attempt.log("set aside", cell=isolation.names[position], error=message, **{"class": kind})
    return arrays


def _gather(isolation: Isolation) -> Arrays:
    """Put the parts together in the order of the cells; a guilty cell has NaN, zeros and its status."""
    attempt = isolation.attempt
    lanes = attempt.campaign.tile_lanes(attempt.tile)
    shared = {"trace_iteration"}
    sample = next(iter(isolation.found.values()))
    arrays: Arrays = {
        name: np.full(
            (len(isolation.names), *values.shape[1:]), np.nan if values.dtype.kind == "f" else 0, values.dtype
        )
        for name, values in sample.items()
        if name not in shared | {"cell"}
    }
    for (first, stop), found in isolation.found.items():
        for name, values in arrays.items():
            values[first:stop] = found[name]
    for position in isolation.guilty:
        cell = attempt.campaign.tile_cells(attempt.tile)[position]
        arrays["status"][position] = STATUS["set_aside"]
        if lanes is not None:
            arrays["status"][position] = STATUS["missing"]
            for member, redraws in [(member, redraws) for place, member, redraws in lanes if place == position]:
                arrays["status"][position, member] = STATUS["set_aside"]
                arrays["redraws"][position, member] = redraws
        arrays["latitude"][position], arrays["longitude"][position] = cell.latitude, cell.longitude
    arrays["cell"] = np.array(isolation.names)
    return arrays | {name: sample[name] for name in shared}
