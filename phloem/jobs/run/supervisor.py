"""The supervisor: hands free tiles to an engine, and records the ends of attempts that died without one.

One supervisor serves one engine: a laptop has one, an MPI world one a rank, a SLURM campaign one an array task. They
share nothing but the campaign's files.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from phloem.endings import LOSSES, LOST_MACHINES
from phloem.hpc.local_engine import LocalEngine
from phloem.hpc.tasks import Engine, Outcome, Task
from phloem.io.campaign.attempts import (
    TakenError,
    Verdict,
    attempt_numbers,
    claim_tile,
    end_attempt,
    end_lost,
    file_system_now,
    holder,
    is_alive,
    read_attempt,
)
from phloem.io.files.journals import append_event, roll_up
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.progress import ProgressBar, duration
from phloem.jobs.run.device_losses import LOST, NONE_LEFT
from phloem.jobs.tile.failures import (
    TileFailures,
    classify,
    keep_traceback,
    stop_if_alike,
    stopped,
    tells_of_tile,
    tile_failures,
)
from phloem.jobs.tile.tile_task import TileTask

COMPILING = "workers start and compile their programs first, up to a minute"
"""What happens before the first steps."""

MANY_LOSSES = 8
"""So many tiles lost one after another, and none finished, speak against the machine. One bad node otherwise uses up
the budgets of hundreds of healthy tiles (docs/scale.md)."""


@dataclass
class Watch:
    """Follows running tiles and shows how far they are.

    Attributes:
        bar: where it is shown; None shows nothing.
        steps: taken, by tile.
    """

    bar: ProgressBar | None = None
    steps: dict[int, int] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Say something beside the bar."""
        if self.bar is not None:
            self.bar.note(text)

    def show(self) -> None:
        """Show the sum."""
        if self.bar is not None:
            self.bar.update(sum(self.steps.values()))


@dataclass
class Supervisor:
    """Computes what is free of a campaign, tile after tile, on one engine.

    Attributes:
        campaign: planned.
        engine: local or ray.
        watch: follows the tiles.
        order: tiles in the order in which they are looked at; all, by default.
        done: tiles that are known to be committed.
        job: id of the batch job this runs in.
        restart: how often that job was requeued.
        node: name of this machine to the batch system, which may differ from its own.
        verdict: tells how another holder's batch job ended.
        name: of this supervisor, in journals and logs.
        lost: tiles whose workers were lost here, no checkpoint written, since one was finished here.
        out: tiles that were handed out in this pass and have not come back: not every engine begins them at once.
    """

    campaign: Campaign
    engine: Engine
    watch: Watch = field(default_factory=Watch)
    order: Sequence[int] | None = None
    done: set[int] = field(default_factory=set)
    job: str = ""
    restart: int = 0
    node: str = ""
    verdict: Verdict | None = None
    name: str = field(default_factory=lambda: f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(2)}")

    lost: set[int] = field(default_factory=set)
    out: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.paths = self.campaign.paths
        self.me = holder(self.name, self.job, self.restart, self.node)
        self.engine.on_report = self.report
        self.handed: dict[int, int] = {}
        self.lately: dict[int, dict[str, Any]] = {}
        self.failed: list[int] = []
        self.told_left = 0

    def run(self) -> None:
        """Compute until nothing is free any more, or a stop is asked for."""
        try:
            while not self.engine.flag:
                before = len(self.handed), sum(self.handed.values())
                self.out.clear()
                self.failed.clear()  # the pass looks at them, as at all others
                tiles = self.campaign.all_tiles if self.order is None else self.order
                for outcome in self.engine.run(_Free(self, self.tasks(tiles))):
                    self.record_outcome(outcome)
                if (len(self.handed), sum(self.handed.values())) == before:
                    return
        finally:
            self.say_what_is_left()
            self.roll_up()

    def tasks(self, tiles: Iterable[int]) -> Iterator[Task]:
        """Yield a task for each tile that is free at the moment when a worker asks for one."""
        for tile in tiles:
            if self.engine.flag or stopped(self.paths):
                return
            failures = None if tile in self.out else self.failures_if_free(tile)
            if failures is not None:
                self.out.add(tile)
                yield self.task(tile, failures)

    def failures_if_free(self, tile: int) -> TileFailures | None:
        """Return the failures so far of a tile that may be tried, None for one that may not."""
        if tile in self.done:
            return None
        if self.paths.tile(tile).exists():
            self.done.add(tile)
            self.watch.steps[tile] = self.campaign.count_steps(tile)
            return None
        numbers = attempt_numbers(self.paths, tile)
        if numbers.open:
            attempt = read_attempt(self.paths, tile, numbers.open)
            if is_alive(self.paths, attempt, file_system_now(self.paths.attempts_dir), self.me, self.verdict):
                return None
            if self.verdict is not None:  # a worker cannot ask the batch system, and would wait for the lease to pass
                with suppress(OSError):
                    end_lost(self.paths, attempt, self.name, verdict=self.verdict)
                numbers = attempt_numbers(self.paths, tile)
        failures = tile_failures(self.paths, tile, numbers)
        if failures.exhausted(self.campaign.configuration.failures):
            return None
        self.handed[tile] = numbers.newest
        return failures

    def task(self, tile: int, failures: TileFailures) -> Task:
        """Return the call that computes a tile; keys that no result depends on come from this run's configuration."""
        configuration = self.campaign.configuration
        engine = configuration.engine
        asked = TileTask(
            root=str(self.paths.root.resolve()),
            tile=tile,
            supervisor=self.name,
            devices=engine.devices,
            checkpoint_minutes=configuration.tiles.checkpoint_minutes,
            hang_seconds=60 * engine.hang_minutes,
            watched=isinstance(self.engine, LocalEngine),
            memory_bytes=int(engine.memory_gb * 2**30),
            halvings=failures.halvings,
            isolate=failures.isolate,
            gpus=engine.gpus > 0,
            job=self.job,
            restart=self.restart,
            node=self.node,
        )
        # The parts of a tile have processes of their own: one that has computed before holds their memory of the GPU.
        fresh = asked.gpus and asked.isolate
        return Task(tile, "phloem.jobs.tile.worker:run_tile", asked, fresh)

    def report(self, tile: int, message: dict[str, Any]) -> None:
        """Record a report of a tile: its note, and how many steps it has taken."""
        if "note" in message:
            self.watch.note(f"tile {tile}: {message['note']}")
        if "steps" in message:
            self.lately[tile] = message
            self.watch.steps[tile] = int(message["steps"])
            self.watch.show()

    def record_outcome(self, outcome: Outcome) -> None:
        """Record the outcome of a task: progress, failure budget, whether to stop the campaign."""
        tile = outcome.key
        self.out.discard(tile)
        if outcome.kind == "done":
            self.done.add(tile)
            self.lost.clear()
            self.watch.steps[tile] = self.campaign.count_steps(tile)
            self.watch.show()
            took = duration(outcome.value["seconds"])
            self.watch.note(f"tile {tile} committed: {outcome.value['lanes']} lanes in {took}")
        elif outcome.kind == "stopped":
            self.watch.note(outcome.message)
        elif outcome.error in ("TakenError", "StaleAttempt"):
            self.watch.note(f"tile {tile}: another run has it: {outcome.message}")
        else:
            self.fail(outcome)
        self.lately.pop(tile, None)

    def fail(self, outcome: Outcome) -> None:
        """Write down a failure that the attempt itself could not, and stop where everything fails alike."""
        tile, kind = outcome.key, classify(outcome)
        numbers = attempt_numbers(self.paths, tile)
        report = self.lately.get(tile, {})
        number = numbers.open
        if numbers.newest == self.handed.get(tile, 0):  # it died before it could claim an attempt
            with suppress(TakenError):
                number = claim_tile(self.paths, tile, self.me, verdict=self.verdict)
        elif number and not read_attempt(self.paths, tile, number).holder.worker.startswith(f"{self.name}."):
            number = 0  # another run's worker was quicker, and its attempt is not ours to end
        if number:
            facts: dict[str, Any] = {
                "seconds": report.get("elapsed", 0.0),
                "saved": bool(report.get("saved")),
                "host": self._host(outcome),
            }
            if kind in LOST_MACHINES:
                facts["last"] = time.time()
            facts |= {"worker": self.name, "job": self.job, "journal": self.paths.journal(self.name)}
            end_attempt(self.paths, tile, number, kind, outcome.message, **facts)
            if tells_of_tile(kind, facts["saved"]):
                trace = outcome.value if isinstance(outcome.value, str) else ""
                keep_traceback(self.paths, tile, kind, outcome.message, trace)
        self.watch.note(f"tile {tile} failed ({kind}): {outcome.message}")
        self.failed.append(tile)
        if outcome.device_lost:
            self.lose_device(outcome)
        elif kind in LOSSES and not report.get("saved"):
            self.lost.add(tile)
        if len(self.lost) >= MANY_LOSSES:
            self.watch.note(
                f"{len(self.lost)} tiles lost their workers on {self.me.host}, one after another: no more here"
            )
            self.engine.flag.name = self.engine.flag.name or f"losses on {self.me.host}"
        why = stop_if_alike(self.paths, self.campaign.configuration.failures, len(self.done))
        if why:
            self.watch.note(f"the campaign stops: {why}")
            self.engine.flag.name = self.engine.flag.name or "max_failures"

    def lose_device(self, outcome: Outcome) -> None:
        """Say and write down that the engine gives a device no more work."""
        device = outcome.device
        names, host = device.names if device is not None else "", self._host(outcome)
        event = {"event": LOST, "host": host, "device": names, "message": outcome.message}
        append_event(self.paths.journal(self.name), event | {"job": self.job, "time": round(time.time(), 1)})
        self.watch.note(f"{device} is given no more work")

    def _host(self, outcome: Outcome) -> str:
        """Return the machine that a task ran on, by the batch system's name for it where it is this one."""
        host = outcome.device.host if outcome.device is not None else ""
        return self.me.host if host in ("", os.uname().nodename) else host

    def say_what_is_left(self) -> None:
        """Say why there is no device left to give work to, and which processes are left behind."""
        if not self.engine.devices_left:
            event = {"event": NONE_LEFT, "host": self.me.host, "job": self.job, "time": round(time.time(), 1)}
            append_event(self.paths.journal(self.name), event)
            self.watch.note(f"no device is left to this run: {self.engine.flag.name}")
        left = self.engine.left_behind[self.told_left :]
        self.told_left += len(left)
        if left:
            numbers = ", ".join(map(str, left))
            self.watch.note(f"processes that do not end are left behind on {self.me.host}: {numbers}")

    def roll_up(self) -> None:
        """Put the journals and logs of this supervisor's workers, which have ended, into one each."""
        for folder, target in (
            (self.paths.journals_dir, self.paths.journal(self.name)),
            (self.paths.logs_dir, self.paths.log(self.name)),
        ):
            roll_up(sorted(folder.glob(f"{self.name}.*{target.suffix}")), target)


@dataclass
class _Free(Iterator[Task]):
    """The free tiles, and after them those that have failed meanwhile: an idle worker does not wait for a long tile.

    An iterator that has ended may go on when it is asked again.
    """

    supervisor: Supervisor
    first: Iterator[Task]

    def __next__(self) -> Task:
        task = next(self.first, None)
        while task is None and self.supervisor.failed:
            again, self.supervisor.failed = self.supervisor.failed, []
            self.first = self.supervisor.tasks(again)
            task = next(self.first, None)
        if task is None:
            raise StopIteration
        return task
