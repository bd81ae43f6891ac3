"""Units computed apart from each other after a tile has failed, to find the failing one and set it aside.

The tile is halved again and again, each part in a process of its own that may crash, hang or run out of memory. What
its neighbours reach is kept in files of the part, so that nothing is computed twice.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np

from phloem.endings import LOSSES, Ending
from phloem.errors import DeviceLost, InputError
from phloem.hpc.local_engine import LocalEngine
from phloem.hpc.tasks import Outcome, Stopped, Task
from phloem.io.campaign.checkpoints import load_part
from phloem.io.files.journals import append_event
from phloem.jobs.campaign.kind_of_work import Arrays
from phloem.jobs.tile.attempt import TileAttempt
from phloem.jobs.tile.failures import classify
from phloem.jobs.tile.tile_task import Part
from phloem.names import STATUS

TRIES_ALONE = 2
"""A unit that is alone is lost so often, without a checkpoint in between, before it is set aside."""

HANG_SHARE = 0.5
"""Share of the time without a word after which a part is given up: its parent must not be taken for hanging."""


def part_name(part: Part) -> str:
    """Return how a part is called in file names."""
    return f".part-{part[0]:04d}-{part[1]:04d}"


class Isolation:
    """The search for the units of one tile that cannot be computed.

    Attributes:
        attempt: of the tile.
        names: of its units.
        set_aside: units that cannot be computed, by position, with class and message.
        computed: arrays of the parts that are done.
        losses: how often a part was lost since its last checkpoint.
        steps: taken, by part.
        saved: parts that wrote a checkpoint since they were last tried.
    """

    def __init__(self, attempt: TileAttempt) -> None:
        self.attempt = attempt
        self.names = [unit.name for unit in attempt.planned]
        self.set_aside: dict[int, tuple[Ending, str]] = {}
        self.computed: dict[Part, Arrays] = {}
        self.losses: dict[Part, int] = {}
        self.steps: dict[Part, int] = {}
        self.saved: set[Part] = set()

    def search(self) -> None:
        """Compute every part, halving those that fail, until what fails is one unit.

        Raises:
            Stopped: asked to stop; parts keep their checkpoints.
            InputError: a part's input is not what it should be.
            DeviceLost: the device is lost, which is no unit's fault; parts keep their checkpoints.
        """
        size = len(self.names)
        waiting = deque(_halves((0, size)))
        while waiting:
            part = waiting.popleft()
            kept = load_part(self.attempt.paths, self.attempt.tile, part_name(part), self.attempt.fingerprint)
            if kept is not None:
                self.computed[part] = kept
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
        tile_task = self.attempt.task
        task = replace(tile_task, attempt=self.attempt.number, part=part, isolate=False, watched=True)
        engine = LocalEngine(
            1,
            on_report=lambda _key, message: self.report(part, message),
            flag=self.attempt.context.flag,
            stopping=self.attempt.context.stopping,
            hang_seconds=HANG_SHARE * tile_task.hang_seconds,
            memory_bytes=tile_task.memory_bytes,
        )
        for outcome in engine.run([Task(0, "phloem.jobs.tile.worker:run_part", task)]):
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
        """Return what to try next where a part has failed; alone and hopeless, its unit is set aside."""
        kind = classify(outcome)
        first, stop = part
        names = self.names[first:stop]
        self.attempt.log("part failed", cells=names, error=outcome.message, **{"class": kind})
        self.steps.pop(part, None)
        if kind == Ending.BAD_INPUT:
            raise InputError(outcome.message)
        if kind == Ending.DEVICE_LOST:
            raise DeviceLost(outcome.message)
        progressed = part in self.saved
        self.saved.discard(part)
        if kind in LOSSES and progressed:
            return [part]
        self.losses[part] = self.losses.get(part, 0) + 1
        if len(names) > 1:
            return _halves(part)
        if kind in LOSSES and self.losses[part] < TRIES_ALONE:
            return [part]
        self.set_aside[first] = (kind, outcome.message)
        note = f"cell {names[0]} is set aside ({kind}): {outcome.message}"
        self.attempt.context.report({"tile": self.attempt.tile, "note": note})
        return []


def _halves(part: Part) -> list[Part]:
    first, stop = part
    middle = (first + stop + 1) // 2
    return [half for half in ((first, middle), (middle, stop)) if half[0] < half[1]]


def compute_apart(attempt: TileAttempt) -> Arrays:
    """Compute the units of a tile apart from each other; return its arrays, what cannot be computed marked.

    Raises:
        RuntimeError: no unit of the tile can be computed: then it is not the units.
        MemoryError: the same, for want of memory.
    """
    isolation = Isolation(attempt)
    isolation.search()
    if len(isolation.set_aside) == len(isolation.names):
        kind, message = next(iter(isolation.set_aside.values()))
        text = f"every cell of the tile fails alone too: {kind}: {message}"
        raise MemoryError(text) if kind == Ending.OUT_OF_MEMORY else RuntimeError(text)
    arrays = _gather(isolation)
    for position, (kind, message) in sorted(isolation.set_aside.items()):
        event = {"event": "set aside", "tile": attempt.tile, "cell": isolation.names[position]}
        event |= {"class": kind, "message": message, "attempt": attempt.number}
        append_event(attempt.paths.journal(attempt.worker), event, attempt.pause)
        attempt.log("set aside", cell=isolation.names[position], error=message, **{"class": kind})
    return arrays


def _gather(isolation: Isolation) -> Arrays:
    """Put the parts together in the order of the units; a unit set aside has NaN, zeros and its status."""
    attempt = isolation.attempt
    schema = attempt.campaign.schema
    sample = next(iter(isolation.computed.values()))
    arrays: Arrays = {}
    for name, values in sample.items():
        if schema.variables[name].dimensions[0] != "cell":
            arrays[name] = values
        elif name != "cell":
            nothing = np.nan if values.dtype.kind == "f" else 0
            arrays[name] = np.full((len(isolation.names), *values.shape[1:]), nothing, values.dtype)
            for (first, stop), part in isolation.computed.items():
                arrays[name][first:stop] = part[name]
    arrays["cell"] = np.array(isolation.names)
    for position in isolation.set_aside:
        _mark(attempt, arrays, position)
    return arrays


def _mark(attempt: TileAttempt, arrays: Arrays, position: int) -> None:
    """Mark the lanes of a unit as set aside; what the plan knows of it stands in its columns."""
    lanes = attempt.campaign.tile_lanes(attempt.tile)
    arrays["status"][position] = STATUS["set_aside" if lanes is None else "missing"]
    for lane in lanes or ():
        if lane.unit == position:
            arrays["status"][position, lane.member] = STATUS["set_aside"]
            arrays["redraws"][position, lane.member] = lane.redraws
    for name in ("latitude", "longitude"):
        if name in arrays:
            arrays[name][position] = getattr(attempt.planned[position], name)
