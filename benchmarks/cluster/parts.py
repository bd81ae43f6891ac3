"""What the simulated cluster is made of: tiles, sessions of nodes, attempts, and the outages of the file system."""

from __future__ import annotations

import itertools
import math
import random
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.cluster.scenarios import HOUR, FailureRates

HORIZON = 24.0 * 3650
"""Hours for which outages are drawn."""


@dataclass(slots=True, eq=False)
class Tile:
    """A tile and its history.

    Attributes:
        cells: how many.
        plain: core-seconds at nominal speed, undisturbed.
        work: the same with lanes that start anew, or of its cells apart from each other.
        poison: by position of a cell, at which part of the schedule it kills, and how.
        saved: of `work`, what checkpoints hold.
        spent: core-seconds that went into `saved`.
        elsewhere: core-seconds of its parts on other workers.
        alike: class of the last failure.
    """

    cells: int
    plain: float
    work: float
    poison: dict[int, tuple[float, str]]
    saved: float = 0.0
    spent: float = 0.0
    elsewhere: float = 0.0
    alike: str = ""
    attempts: int = 0
    isolated: bool = False
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, eq=False)
class Session:
    """An array task on one node, from its start to its end."""

    number: int
    bad: int | None
    speed: float
    begun: float
    ready: float
    fresh: int
    idle: int
    running: dict[SimulatedAttempt, None] = field(default_factory=dict)
    losses: int = 0
    over: bool = False


@dataclass(slots=True, eq=False)
class SimulatedAttempt:
    """A tile in a worker: when it began, how long it starts before it works, and what ends it."""

    tile: Tile
    session: Session
    begun: float
    overhead: float
    ends: str
    live: bool = True


class Outages:
    """Time without the hours in which the file system stands still."""

    def __init__(self, failures: FailureRates, rng: random.Random) -> None:
        self.starts, self.lengths, self.before = [math.inf], [0.0], [0.0]
        if failures.outage:
            time, starts, lengths = 0.0, [], []
            while time < HORIZON * HOUR:
                time += rng.expovariate(failures.outage) * HOUR
                lengths.append(60 * failures.outage_minutes * rng.lognormvariate(0, 1))
                starts.append(time)
                time += lengths[-1]
            self.starts, self.lengths = starts, lengths
            self.before = [0.0, *itertools.accumulate(lengths)][:-1]
        self.at = [start - lost for start, lost in zip(self.starts, self.before, strict=True)]

    def working(self, time: float) -> float:
        """Return how much of the time up to `time` was no outage."""
        last = bisect_right(self.starts, time) - 1
        if last < 0:
            return time
        return max(self.at[last], time - self.before[last] - self.lengths[last])

    def wall(self, working: float) -> float:
        """Return when so much working time has gone by."""
        last = bisect_right(self.at, working) - 1
        return working if last < 0 else working + self.before[last] + self.lengths[last]

    def next(self, time: float) -> float:
        """Return when the next outage begins."""
        after = bisect_right(self.starts, time)
        return self.starts[after] if after < len(self.starts) else math.inf
