"""A discrete-event model of a campaign on a cluster: array tasks, workers, tiles, and what happens to them.

One event an attempt and one a node's session, on a heap. What is aggregated, and why that is sound:
- Checkpoints and beats are no events: between two failures they are periodic, so progress is arithmetic.
- Which tile a supervisor takes, own or stolen, is one common queue: tiles differ in nothing but their history. Stopped
  ones go first, as in a batch whose node comes back; failed ones last, as a supervisor's next pass over its list does.
- The metadata server is one queue of operations served at a fixed rate; imports and claims of a session enter it at
  once. What beats and checkpoints ask of it lengthens every checkpoint by 1 / (1 - load).
- Outages of the file system are drawn beforehand; all work stands still in them, as workers block on their next beat.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any

from benchmarks.cluster.parts import Attempt, Outages, Session, Tile
from benchmarks.cluster.scenarios import HOUR, LOSSES, OPERATIONS, POISONS, YEAR, Failures, Machine, Policy, Work
from phloem.arithmetic import ceil_div


class Simulation:
    """A campaign, from the first submission to its last tile."""

    def __init__(self, work: Work, machine: Machine, failures: Failures, policy: Policy, seed: int = 0) -> None:
        self.work, self.machine, self.failures, self.policy = work, machine, failures, policy
        self.rng = random.Random(seed)
        self.outages = Outages(failures, self.rng)
        self.tiles = [self._tile(cells) for cells in work.sizes()]
        self.pool = deque(self.tiles)
        self.heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.order = itertools.count()
        self.now = self.finished_at = self.server_free = 0.0
        self.leased = self.queued = self.running = self.open = 0
        self.idle_sessions: dict[Session, None] = {}
        self.cost: defaultdict[str, float] = defaultdict(float)
        self.lost: defaultdict[str, float] = defaultdict(float)
        self.events: Counter[str] = Counter()
        self.gave_up: Counter[str] = Counter()
        self.alike: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.burst: Counter[int] = Counter()
        self.done = self.set_aside = self.false_give_ups = self.unfinished_begun = 0
        self.used = 0.0
        self.stops: dict[str, float] = {}
        self.strikes: Counter[int] = Counter()
        self.commits: list[float] = []
        self.isolated = 0
        self.tasks = min(machine.nodes, ceil_div(len(self.tiles), machine.workers))
        load = self.tasks * machine.workers * self.steady() / machine.metadata
        self.interval = 60 * policy.checkpoint
        self.checkpoint = machine.save / max(1 - load, 0.02)

    def steady(self) -> float:
        """Return the metadata operations a second of one worker at work."""
        often = (OPERATIONS["checkpoint"] + OPERATIONS["line"]) / (60 * self.policy.checkpoint)
        return often + OPERATIONS["beat"] / self.policy.beat

    def _tile(self, cells: int) -> Tile:
        rng, failures = self.rng, self.failures
        seconds, extra, poison = self.work.seconds(cells), 0.0, {}
        if failures.redraws and rng.random() < 1 - (1 - failures.redraws) ** (cells * self.work.members):
            extra = min(rng.expovariate(10.0), 1.0)
        for cell in range(cells if failures.poison else 0):
            if rng.random() < failures.poison:
                where = rng.random() * (1e-3 if rng.random() < 0.8 else 1.0)
                poison[cell] = (where, rng.choices(list(POISONS), list(POISONS.values()))[0])
        return Tile(cells, seconds, seconds * (1 + extra), poison)

    def at(self, time: float, action: Callable[..., None], *arguments: Any) -> None:
        """Have something happen."""
        heapq.heappush(self.heap, (time, next(self.order), action, arguments))

    def run(self) -> Simulation:
        """Go on until every tile is committed or given up."""
        for number in range(self.tasks):
            self._submit(number, number if number < self.failures.bad_nodes else None)
        total = len(self.tiles)
        while self.done + self.gave_up.total() < total:
            if not self.heap:
                self.events["resubmitted"] += 1
                self._submit(self.tasks, None)
            self.now, _, action, arguments = heapq.heappop(self.heap)
            action(*arguments)
        return self

    def _submit(self, number: int, bad: int | None) -> None:
        wait = self.machine.queue * HOUR * self.rng.lognormvariate(0, 1) if self.machine.queue else 0.0
        self.queued += 1
        self.at(self.now + wait, self._begin, number, bad)

    def _ask(self, operations: float) -> float:
        """Hand operations to the metadata server; return how long they wait and take."""
        self.burst[int(self.now // 60)] += int(operations)
        self.server_free = max(self.server_free, self.now) + operations / self.machine.metadata
        return self.server_free - self.now

    def _begin(self, number: int, bad: int | None) -> None:
        """A node is there: it imports, and takes tiles."""
        machine, rng = self.machine, self.rng
        self.queued -= 1
        self.events["sessions"] += 1
        imports = 0 if machine.local_packages else OPERATIONS["import first"] - OPERATIONS["import"]
        each = OPERATIONS["claim"] + OPERATIONS["line"] + (0 if machine.local_packages else OPERATIONS["import"])
        waited = self._ask(imports + each * machine.workers)
        self.peak["server minutes"] = max(self.peak["server minutes"], math.ceil(waited / 60))
        speed = rng.lognormvariate(0, machine.spread) if machine.spread else 1.0
        session = Session(number, bad, speed, self.now, self.now + waited, machine.workers, machine.workers)
        self.open += 1
        self.peak["nodes"] = max(self.peak["nodes"], self.open)
        limit, told = machine.walltime * HOUR, rng.random() < self.failures.notice
        ends = [(limit - self.policy.signal if told else limit, "walltime")]
        rates = {"preempted": self.failures.preempted, "node lost": 1 / (self.failures.node_years * YEAR)}
        ends += [(rng.expovariate(rate) * HOUR, cause) for cause, rate in rates.items() if rate]
        if bad is not None and bad % 2:
            ends.append((rng.expovariate(1 / 600), "node lost"))
        after, cause = min(ends)
        clean = cause != "node lost" and told
        self.at(self.now + after, self._end, session, cause, clean)
        self._serve(session)

    def _serve(self, session: Session) -> None:
        """Give an idle node's workers tiles, or let it go."""
        while session.idle and self.pool and not session.over:
            self._start(session, self.pool.popleft())
        if session.over:
            return
        if session.idle:
            self.idle_sessions[session] = None
        else:
            self.idle_sessions.pop(session, None)
        if not session.running and not self.pool and not self.leased:
            self._end(session, "no more tiles", True)

    def _offer(self) -> None:
        """Let idle workers anywhere take what was handed back."""
        for session in list(self.idle_sessions):
            if not self.pool:
                break
            self._serve(session)

    def _start(self, session: Session, tile: Tile) -> None:
        machine, failures, rng = self.machine, self.failures, self.rng
        session.idle -= 1
        overhead = machine.resume
        if session.fresh:
            session.fresh -= 1
            overhead += machine.start + max(0.0, session.ready - self.now)
        self.unfinished_begun += tile.attempts == 0
        tile.attempts += 1
        self.events["attempts"] += 1
        self.running += 1
        remaining = (tile.work - tile.saved) / session.speed
        ends = [(remaining + self.checkpoint * (remaining // self.interval), "done")]
        if session.bad is not None and not session.bad % 2:
            ends.append((rng.expovariate(1 / 60), "worker lost"))
        for cause in ("worker_lost", "out_of_memory", "hang"):
            if rate := getattr(failures, cause):
                ends.append((rng.expovariate(rate / HOUR), cause.replace("_", " ")))
        if tile.poison and not tile.isolated:
            reach = max(0.0, min(tile.poison.values())[0] * tile.plain - tile.saved) / session.speed
            ends.append((reach + self.checkpoint * (reach // self.interval), "poison"))
        begun = self.outages.working(self.now) + overhead
        if failures.errors and rng.random() < failures.errors:
            hit = self.outages.working(self.outages.next(self.now)) - begun
            ends.append((max(hit, 0.0), "i/o error"))
        after, cause = min(ends)
        extra = machine.commit if cause == "done" else self.policy.silence if cause == "hang" else 0.0
        attempt = Attempt(tile, session, self.now, overhead, cause)
        session.running[attempt] = None
        self.at(self.outages.wall(begun + after + extra), self._finish, attempt)
        self._count_files()

    def _count_files(self) -> None:
        """Keep the most files that there were, with a journal and a log for each worker or, rolled up, for each node.

        A tile has its file or two checkpoints and a beat; an attempt has a claim and an end.
        """
        state = self.done + 2 * self.unfinished_begun + self.running + 2 * self.events["attempts"]
        rolled = state + 2 * self.events["sessions"]
        written = state + 2 * self.machine.workers * self.events["sessions"]
        self.peak["files"] = max(self.peak["files"], written)
        self.peak["files rolled up"] = max(self.peak["files rolled up"], rolled)
        self.peak["running"] = max(self.peak["running"], self.running)

    def _close(self, attempt: Attempt, how: str) -> float:
        """Take an attempt out of its worker and book its time.

        Args:
            attempt: which.
            how: `done`; `clean`: stopped with a checkpoint; `dirty`: what came after the last checkpoint is lost.

        Returns:
            Core-seconds that were lost.
        """
        attempt.live = False
        tile, session = attempt.tile, attempt.session
        del session.running[attempt]
        session.idle += 1
        self.running -= 1
        worked = self.outages.working(self.now) - self.outages.working(attempt.begun)
        self.cost["outage"] += self.now - attempt.begun - worked
        started = min(worked, attempt.overhead)
        self.cost["start"] += started
        elapsed, idle = worked - started, 0.0
        remaining = (tile.work - tile.saved) / session.speed
        if how == "done":
            kept = remaining
            self.cost["commit"] += self.machine.commit
            self.cost["checkpoints"] += elapsed - kept - self.machine.commit
        else:
            if attempt.ends == "hang" and how == "dirty":
                idle = min(elapsed, self.policy.silence)
            cycle = self.interval + self.checkpoint
            cycles, rest = divmod(elapsed - idle, cycle)
            kept = min(remaining, cycles * self.interval + (min(rest, self.interval) if how == "clean" else 0.0))
            idle += rest if how == "dirty" else 0.0
            self.cost["checkpoints"] += elapsed - idle - kept
        tile.saved += kept * session.speed
        tile.spent += kept
        if kept:
            session.losses = 0
            for name in LOSSES:
                del tile.counts[name]
        return idle

    def _finish(self, attempt: Attempt) -> None:
        """An attempt ends by itself."""
        if not attempt.live:
            return
        tile, session, cause = attempt.tile, attempt.session, attempt.ends
        if cause == "done":
            self._close(attempt, "done")
            self._commit(tile)
            self._serve(session)
            return
        before = tile.saved
        self.lost[cause] += self._close(attempt, "dirty")
        self.events[cause] += 1
        failure = min(tile.poison.values())[1] if cause == "poison" else cause
        if cause == "i/o error":
            failure = "bug" if self.policy.errors_count else cause
        if failure in ("worker lost", "out of memory", "hang"):
            session.fresh += 1
        session.losses += failure == "worker lost" and tile.saved == before
        if self.policy.breaker and session.losses >= self.policy.breaker:
            self.pool.append(tile)
            self._end(session, "breaker", False)
            return
        self._fail(tile, failure, tile.saved > before)
        self._serve(session)
        self._offer()

    def _commit(self, tile: Tile) -> None:
        fill = self.work.fill(tile.cells)
        spent = tile.spent + tile.elsewhere
        useful = spent * tile.plain / (tile.work + tile.elsewhere)
        self.cost["useful"] += useful * fill
        self.cost["padding"] += useful * (1 - fill)
        self.cost["isolation" if tile.isolated else "redraws"] += spent - useful
        self.set_aside += len(tile.poison)
        self.alike[tile.alike] -= 1
        self.burst[int(self.now // 60)] += OPERATIONS["commit"] + OPERATIONS["claim"] + 2 * OPERATIONS["line"]
        self.done += 1
        self.unfinished_begun -= 1
        self.commits.append(self.now)
        self.finished_at = self.now

    def _fail(self, tile: Tile, failure: str, saved: bool = False) -> None:
        """Count a failure against a tile, and hand it back, apart or whole, or give it up."""
        policy = self.policy
        self.alike[tile.alike] -= 1
        self.alike[failure] += 1
        tile.alike = failure
        if failure in policy.budgets and self.alike[failure] >= max(policy.max_failures, self.done + 1):
            self.stops.setdefault(failure, self.now)
        tile.counts[failure] += not (saved and failure in LOSSES)
        if tile.counts[failure] >= policy.budgets.get(failure, math.inf):
            self.gave_up[failure] += 1
            self.unfinished_begun -= 1
            self.false_give_ups += not tile.poison
            self.cost["given up"] += tile.spent
            self.finished_at = self.now
            return
        if tile.counts[failure] >= policy.isolate.get(failure, math.inf) and not tile.isolated:
            self._take_apart(tile)
        if policy.failed_first:
            self.pool.appendleft(tile)
        else:
            self.pool.append(tile)

    def _take_apart(self, tile: Tile) -> None:
        """Compute the halves of a tile from now on, from their first step."""
        tile.isolated = True
        self.isolated += 1
        self.events["isolated for nothing"] += not tile.poison
        self.lost["taken apart"] += tile.spent
        tile.saved = tile.spent = 0.0
        middle = (tile.cells + 1) // 2
        halves = [half for half in ((0, middle), (middle, tile.cells)) if half[0] < half[1]]
        start, hang = self.machine.start, self.policy.silence / 2
        parts = [self.work.apart(*half, tile.poison, start, hang) for half in halves]
        tile.work = sum(part[0] for part in parts)
        if self.policy.side_by_side:
            last = max(part[1] for part in parts)
            tile.elsewhere, tile.work = tile.work - last, last

    def _end(self, session: Session, cause: str, clean: bool) -> None:
        """A node is given back or lost."""
        if session.over:
            return
        session.over = True
        self.idle_sessions.pop(session, None)
        self.open -= 1
        self.events[f"session: {cause}"] += 1
        drain = self.checkpoint if clean and session.running else 0.0
        self.cost["checkpoints"] += drain * len(session.running)
        for attempt in list(session.running):
            before = attempt.tile.saved
            self.lost[cause] += self._close(attempt, "clean" if clean else "dirty")
            saved = attempt.tile.saved > before
            if clean or cause == "breaker":
                self.pool.appendleft(attempt.tile)
            else:
                self.leased += 1
                self.at(self.now + self.policy.lease, self._expire, attempt.tile, cause, saved)
        self.used += (self.now + drain - session.begun) * self.machine.workers
        failed = cause in ("node lost", "breaker")
        bad = session.bad
        if failed and bad is not None:
            self.strikes[bad] += 1
        if bad is not None and self.strikes[bad] >= self.policy.strikes:
            self.events["nodes excluded"] += 1
            bad = None
        if cause != "no more tiles":
            self._offer()
            if self.pool or self.leased:
                self._submit(session.number, bad)

    def _expire(self, tile: Tile, cause: str, saved: bool) -> None:
        """The lease of a tile that fell silent has run out; a node lost counts against it, other ends do not."""
        self.leased -= 1
        if cause == "node lost":
            self._fail(tile, cause, saved)
        else:
            self.pool.appendleft(tile)
        self._settle()

    def _settle(self) -> None:
        self._offer()
        if not self.leased and not self.pool:
            for session in list(self.idle_sessions):
                self._serve(session)
