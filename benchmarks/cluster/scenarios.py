"""What the model of a cluster is told: the work, the machine, what fails and how often, and what phloem does about it.

Times are seconds, rates are per hour, sizes are cells and lanes. Where a number was measured in this repository the
comment says where; the others come from the published studies named in SOURCES or are assumptions, and say so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from phloem.arithmetic import ceil_div

HOUR = 3600.0
YEAR = 8766.0
"""Hours."""

CPU_LANE_YEAR, XLA_LANE_YEAR = 7.4e-6, 131e-6
"""Core-seconds of one iteration of one lane and year in a full block of 64. cpu: 17.0 ms of processor time an
iteration of a campaign's tile of 12 cells x 5 members x 36 years, padding included (2026-11-21, difference of two
runs); the kernels alone take 5.2 us with one cell in the block. xla, where there is no compiler: the gradient alone.
Calls of 16, 32 and 64 lanes took 309, 304 and 314 us a year: a block costs the same, filled or not."""

SOURCES = """
Node failures: Di Martino et al., "Lessons learned from the analysis of system failures at petascale: the case of Blue
Waters" (DSN 2014): a failure of any kind every 4.2 h on about 27,000 nodes, that is one in 12.9 years of a node; 39
system-wide outages in 261 days, 29 of them by the Lustre file system: one in 9 days. Schroeder and Gibson, "A large-
scale study of failures in high-performance computing systems" (DSN 2006): 20 to 1000 failures a year and system at Los
Alamos, on its largest about one a year and node; Weibull times of decreasing hazard: failures cluster on few nodes.
Metadata servers: published mdtest results of Lustre appliances: 15,000 to 30,000 file creations a second.
""".strip()


@dataclass(frozen=True)
class Work:
    """What is calibrated.

    Attributes:
        cells: cells of the campaign.
        tile: cells a tile.
        members: lanes a cell.
        years: of daily simulation.
        iterations: gradients a lane.
        block: lanes a block; a block that is not full takes as long as one that is.
        lane_year: core-seconds of one gradient of one lane over one year.
    """

    cells: int = 60_000
    tile: int = 12
    members: int = 5
    years: int = 36
    iterations: int = 25_000
    block: int = 64
    lane_year: float = CPU_LANE_YEAR

    def sizes(self) -> list[int]:
        """Return the cells of every tile."""
        whole, rest = divmod(self.cells, self.tile)
        return [self.tile] * whole + ([rest] if rest else [])

    def blocks(self, cells: int) -> int:
        """Return how many blocks a tile of so many cells has."""
        return ceil_div(cells * self.members, self.block)

    def seconds(self, cells: int) -> float:
        """Return the core-seconds of a tile, undisturbed; its blocks run one after another."""
        return self.blocks(cells) * self.block * self.years * self.iterations * self.lane_year

    def fill(self, cells: int) -> float:
        """Return the part of a tile's blocks that is not padding."""
        return cells * self.members / (self.blocks(cells) * self.block)

    def apart(
        self, first: int, stop: int, poison: Mapping[int, tuple[float, str]], start: float, hang: float
    ) -> tuple[float, float]:
        """Say what it takes to compute some cells of a tile in a child process, and in two where that fails, and so on.

        Args:
            first: position of the first cell.
            stop: of the cell after the last.
            poison: by position, at which part of the schedule a cell kills and how.
            start: core-seconds that a child process needs to start.
            hang: seconds after which a child is taken for hung.

        Returns:
            Core-seconds of all children, and the seconds until the last ends where both halves run at once.
        """
        guilty = [poison[cell] for cell in range(first, stop) if cell in poison]
        whole = self.seconds(stop - first)
        if not guilty:
            return start + whole, start + whole
        reach, kind = min(guilty)
        tried = start + reach * whole + (hang if kind == "hang" else 0.0)
        if stop - first == 1:
            tried *= 2 if kind == "worker lost" else 1
            return tried, tried
        middle = (first + stop + 1) // 2
        one, other = (self.apart(*half, poison, start, hang) for half in ((first, middle), (middle, stop)))
        return tried + one[0] + other[0], tried + max(one[1], other[1])


@dataclass(frozen=True)
class Machine:
    """Where it runs.

    Attributes:
        nodes: array tasks that may run at once, one node each.
        workers: workers a node, one core each.
        walltime: of an array task, hours.
        queue: median wait of an array task before it starts (or starts again), hours; log-normal with sigma 1.
        start: of a worker process: imports and the program from the compile cache (3.7 s of it measured).
        resume: of an attempt in a worker that is up: drivers and checkpoint read.
        save: one checkpoint, on a metadata server at rest.
        commit: one commit.
        spread: standard deviation of the logarithm of the nodes' speed.
        metadata: operations a second of the metadata server.
        local_packages: whether Python and its packages lie on the node's own disk (or in an image), not on the
            shared file system.
    """

    nodes: int = 2_000
    workers: int = 56
    walltime: float = 48.0
    queue: float = 1.0
    start: float = 8.0
    resume: float = 1.0
    save: float = 0.3
    commit: float = 0.1
    spread: float = 0.02
    metadata: float = 30_000.0
    local_packages: bool = False


@dataclass(frozen=True)
class Failures:
    """What goes wrong, and how often.

    Attributes:
        node_years: mean time between failures of a node, years; exponential.
        preempted: times an hour that a node is taken away.
        notice: part of the preemptions (and walltime ends) whose signal arrives in time.
        worker_lost: times a core-hour that a worker process dies for no reason of its own.
        out_of_memory: times a core-hour, by neighbours on the node.
        hang: times a core-hour.
        poison: part of the cells that crash, hang or exhaust whatever computes them.
        redraws: part of the lanes that diverge and start anew; the step is exponential with a mean of a tenth of all.
        outage: times an hour that the file system stands still.
        outage_minutes: median of how long; log-normal with sigma 1.
        errors: part of the attempts to which an outage is an I/O error instead of a pause.
        bad_nodes: nodes that the campaign meets and that kill what they get: every second one the workers, one a
            minute each, the others themselves, within ten minutes. The scheduler gives them out again until excluded.
    """

    node_years: float = math.inf
    preempted: float = 0.0
    notice: float = 1.0
    worker_lost: float = 0.0
    out_of_memory: float = 0.0
    hang: float = 0.0
    poison: float = 0.0
    redraws: float = 0.0
    outage: float = 0.0
    outage_minutes: float = 10.0
    errors: float = 0.0
    bad_nodes: int = 0


@dataclass(frozen=True)
class Policy:
    """What phloem does.

    Attributes:
        checkpoint: minutes between checkpoints of a tile.
        lease: seconds of silence after which another node takes a tile over.
        budgets: by class, the failures after which a tile is given up; other classes never count. Losses count only
            while no checkpoint is written between them.
        isolate: by class, the failures after which a tile's cells run in child processes, halved again and again; it
            begins anew.
        max_failures: tiles that failed alike, and more than were done, that stop a campaign (noted, not acted upon).
        strikes: failures after which a node is excluded.
        breaker: workers lost on one node since an attempt there last ended with progress, after which the supervisor
            hands its tiles back and ends as a failed node. 0: never.
        errors_count: whether an I/O error of the file system is a bug (else the attempt is repeated for free).
        failed_first: whether a failed tile is tried again before those that wait, not after them (on another node, if
            the breaker has ended its own).
        side_by_side: whether the parts of a tile that is taken apart run at once, on workers that would be idle.
        signal: seconds before walltime at which the scheduler sends USR2.
        silence: seconds without progress after which a worker is taken for hung; a child process after half of it.
        beat: seconds between beats.
    """

    checkpoint: float = 5.0
    lease: float = 600.0
    budgets: Mapping[str, int] = field(
        default_factory=lambda: {"node lost": 10, "worker lost": 3, "out of memory": 6, "hang": 2, "bug": 2}
    )
    isolate: Mapping[str, int] = field(
        default_factory=lambda: {"worker lost": 2, "out of memory": 2, "hang": 1, "bug": 1}
    )
    max_failures: int = 20
    strikes: int = 2
    breaker: int = 0
    errors_count: bool = True
    failed_first: bool = False
    side_by_side: bool = False
    signal: float = 120.0
    silence: float = 1800.0
    beat: float = 15.0


LOSSES = ("worker lost", "node lost")

OPERATIONS = {"claim": 6, "beat": 4, "line": 4, "checkpoint": 14, "commit": 27, "import first": 3700, "import": 1000}
"""Calls by name on the shared file system, counted with strace on this code: an attempt claimed, a beat, a log line,
a checkpoint with its second generation; a commit (not counted but read from the code) is a file written and
checked, two journal lines, two checkpoints removed. Importing a worker's modules made 3,728 calls under site-packages,
1,035 of them opens: the first import on a node asks the server for all of them, the others for what is an open."""

POISONS = {"bug": 0.4, "worker lost": 0.3, "hang": 0.15, "out of memory": 0.15}
"""What a poison cell does; an assumption. Four of five do it in the first thousandth of the schedule."""

SCENARIOS = {
    "none": (Machine(queue=0.0, spread=0.0), Failures()),
    "calm": (
        Machine(queue=0.2, save=0.05),
        Failures(node_years=50.0, notice=0.99, worker_lost=1e-6, poison=1e-4, redraws=1e-4, outage=1 / (30 * 24)),
    ),
    "typical": (
        Machine(),
        Failures(
            node_years=12.9,
            preempted=1 / (30 * 24),
            notice=0.98,
            worker_lost=1e-5,
            out_of_memory=2e-6,
            hang=1e-6,
            poison=3e-4,
            redraws=1e-3,
            outage=1 / (9 * 24),
            errors=0.02,
            bad_nodes=1,
        ),
    ),
    "bad": (
        Machine(queue=4.0, save=1.0, commit=0.2, start=10.0, spread=0.05, metadata=20_000.0),
        Failures(
            node_years=1.0,
            preempted=1 / 6,
            notice=0.9,
            worker_lost=1e-4,
            out_of_memory=2e-5,
            hang=1e-5,
            poison=1e-3,
            redraws=5e-3,
            outage=1 / (3 * 24),
            outage_minutes=20.0,
            errors=0.1,
            bad_nodes=4,
        ),
    ),
}
"""Rates of worker_lost, out_of_memory, hang, redraws, notice, preemption and errors are assumptions."""


def young(cost: float, mean_time: float) -> float:
    """Return Young's interval between checkpoints, seconds: sqrt(2 x cost x mean time between failures)."""
    return math.sqrt(2 * cost * mean_time)


def daly(work: float, interval: float, cost: float, mean_time: float) -> float:
    """Return the expected time for `work` seconds under memoryless failures with free restarts (Daly 2006, eq. 13)."""
    return mean_time * math.expm1((interval + cost) / mean_time) * work / interval
