"""A tile's life in a worker: claim, read, resume, optimise in chunks, commit (DESIGN.md, "A tile's life")."""

from __future__ import annotations

import faulthandler
import json
import os
import time
import traceback
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from phloem.endings import LOST_MACHINES, Ending
from phloem.hpc.tasks import Context, Stopped, device_here
from phloem.io.campaign.attempts import TakenError, attempt_numbers, claim_tile, end_attempt, forget_attempts, holder
from phloem.io.campaign.checkpoints import drop_checkpoint, load_checkpoint, save_checkpoint
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import StaleAttempt, write_tile
from phloem.io.files.journals import append_event
from phloem.jobs.campaign.backend import require_backend
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.campaign.kind_of_work import Arrays, Lane, TileWork
from phloem.jobs.tile.computed_on import computed_on
from phloem.jobs.tile.failures import classify, keep_traceback, tells_of_tile
from phloem.jobs.tile.lost_devices import lost_devices_named
from phloem.jobs.tile.tile_task import TileTask
from phloem.names import STATUS
from phloem.sharding.lanes.first_touch import TOUCH_SECONDS, touch_devices

CHUNK_SECONDS = 2.0
"""A chunk is made as long as this, so that a signal is noticed and a beat given every few seconds."""

BEAT_SECONDS = (15.0, 60.0)
"""Time between two beats in the file that other machines see, at first and later; the parent hears of every chunk. A
hundred thousand workers at 15 s would take all that a metadata server can do (docs/scale.md)."""

FULL_DISK_SECONDS = 15.0
"""How long a tile pauses before it tries a full disk again."""

STOPS = {"SIGUSR1": Ending.WALLTIME, "SIGUSR2": Ending.WALLTIME, "SIGTERM": Ending.PREEMPTED}
"""What a signal means inside a batch job; outside of one every signal is an interruption."""


@lru_cache(maxsize=1)
def _opened(root: str, _stamp: int) -> Campaign:
    return open_campaign(Path(root))


def opened(root: str) -> Campaign:
    """Open a campaign, once a process while its plan stays as it is."""
    try:
        paths = CampaignPaths(Path(root))
        stamp = sum(path.stat().st_mtime_ns for path in (paths.plan, paths.retries) if path.exists())
    except OSError:
        stamp = 0
    return _opened(root, stamp)


class TileAttempt:
    """One execution of a tile, or of a part of one that is computed alone.

    Attributes:
        task: what was asked.
        campaign: whose tile it is.
        tile: its number.
        planned: its units.
        number: of the attempt.
        part: names the part; empty for the whole.
        saved: whether it wrote a checkpoint.
    """

    def __init__(self, task: TileTask, context: Context, part: str = "") -> None:
        self.task, self.context, self.part = task, context, part
        self.campaign = opened(task.root)
        self.tile, self.number = task.tile, task.attempt
        self.planned = self.campaign.tile_cells(self.tile)
        self.paths = self.campaign.paths
        self.configuration = self.campaign.configuration
        self.fingerprint = self.campaign.fingerprint(self.tile)
        self.node = task.node or os.uname().nodename
        self.worker = f"{task.supervisor}.{context.worker}"
        self.started = self.saved_at = time.monotonic()
        self.beaten_at = -np.inf
        self.saved = False
        self.chunk = 1
        self.first = self.total = 0
        self.ready: tuple[float, int] | None = None

    def run(self, compute: Callable[[TileAttempt], Arrays]) -> dict[str, Any]:
        """Claim the tile, go through its life, and write down how the attempt ended.

        Args:
            compute: returns the arrays of the tile.

        Raises:
            DeviceLost: the device of this process is lost, and the process with it.
        """
        require_backend(self.configuration)
        me = holder(self.worker, self.task.job, self.task.restart, self.node)
        self.number = claim_tile(self.paths, self.tile, me, self.pause)
        try:
            if self.paths.tile(self.tile).exists():  # committed between the supervisor's look and this claim
                raise TakenError(f"tile {self.tile} has been committed already")
            with lost_devices_named():
                counts = self.live(compute)
        except TakenError as taken:
            self.end(Ending.INTERRUPTED, str(taken))
            raise
        except Stopped as stop:
            self.end(self.why_stopped(), str(stop))
            raise
        except StaleAttempt as stale:
            self.log("stale", error=str(stale))
            self.end(Ending.INTERRUPTED, str(stale))
            raise
        except Exception as error:
            kind = classify(error)
            if kind == Ending.FILE_SYSTEM:
                self.rest()
            trace = "".join(traceback.format_exception(error))
            message = str(error) or type(error).__name__
            unkept = {"trace": trace} if kind in LOST_MACHINES else {}
            self.log("failed", error=message, **{"class": kind}, **unkept)
            self.end(kind, message)
            if tells_of_tile(kind, self.saved):
                keep_traceback(self.paths, self.tile, kind, message, trace)
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
        forget_attempts(self.paths, self.tile, attempt_numbers(self.paths, self.tile), keep=self.number)
        self.paths.traceback(self.tile).unlink(missing_ok=True)
        return counts

    def touch_devices(self) -> None:
        """Have the GPUs of this process answer, before time is spent on a tile that they cannot compute.

        Raises:
            DeviceLost: they do not.
        """
        if self.task.gpus:
            touch_devices(str(device_here()), min(TOUCH_SECONDS, 0.5 * self.task.hang_seconds))

    def live(self, compute: Callable[[TileAttempt], Arrays]) -> dict[str, Any]:
        """Compute the tile's units, and commit."""
        self.log("started", cells=[unit.name for unit in self.planned])
        self.total = self.campaign.count_steps(self.tile)
        self.beat(0)
        arrays = compute(self)
        attributes = {
            "version": self.campaign.version,
            "configuration_hash": self.configuration.fingerprint(),
            "fingerprint": self.fingerprint,
            "seed": self.configuration.campaign.seed,
            "whole": self.campaign.tile_lanes(self.tile) is None,
        }
        write_tile(
            self.paths,
            self.tile,
            self.number,
            self.campaign.schema,
            arrays,
            attributes,
            on_full=self.pause,
            worker=self.worker,
            facts={
                "seconds": round(time.monotonic() - self.started, 1),
                "on": computed_on(self.configuration.experiment.time_loop, self.task.devices, self.node),
            },
        )
        drop_checkpoint(self.paths, self.tile)
        counts = self.counts(arrays)
        self.log("finished", **counts)
        return counts

    def compute(self, units: Sequence[Any], lanes: Sequence[Lane] | None) -> Arrays:
        """Take every lane of some units, or those given, to its end, from the newest checkpoint or from the start.

        Raises:
            Stopped: asked to stop; a checkpoint was written.
            MemoryError: not even one lane fits.
        """
        near = self.campaign.kind.read_near(self.campaign, units, lanes) if lanes else None
        work = self.campaign.kind.begin(self.configuration, units, lanes, self.task.devices, near)
        for _ in range(self.task.halvings):
            work.halve()
        self.total = work.total_steps
        resumed = self.resume(work)
        self.first = work.steps_taken
        self.log("resumed" if resumed else "fresh", steps=self.first)
        while work.running:
            if self.context.stopping():
                self.stop(work)
            begun, stage = time.monotonic(), work.stage
            try:
                steps = work.advance(self.chunk)
            except Exception as error:
                if classify(error) != Ending.OUT_OF_MEMORY or not work.halve():
                    raise
                self.log("halved", lanes=work.in_flight, error=str(error))
                self.context.report({"tile": self.tile, "note": f"out of memory: {work.in_flight} lanes at once now"})
                self.chunk = 1
                continue
            self.adapt(steps, time.monotonic() - begun)
            if work.stage != stage:  # its steps may take many times as long
                self.chunk = 1
            self.ready = self.ready or (time.monotonic(), work.steps_taken)
            if time.monotonic() - self.saved_at > 60 * self.task.checkpoint_minutes:
                self.checkpoint(work)
            self.beat(work.steps_taken)
        return work.arrays()

    def stop(self, work: TileWork) -> NoReturn:
        """Keep where the tile stands, and end the attempt."""
        steps = work.steps_taken
        if steps > self.first:
            self.checkpoint(work)
        self.log("stopped", steps=steps)
        raise Stopped(f"tile {self.tile} stopped at {steps / self.total:.1%}; checkpoint kept")

    def why_stopped(self) -> Ending:
        """Return what a stop was: what the signal means inside a batch job, an interruption outside of one."""
        meant = STOPS.get(self.context.flag.name or "", Ending.INTERRUPTED)
        return meant if self.task.job else Ending.INTERRUPTED

    def adapt(self, steps: int, seconds: float) -> None:
        """Aim the next chunk at CHUNK_SECONDS; the first call's time holds the compilation and counts for little."""
        wanted = steps * CHUNK_SECONDS / max(seconds, 1e-3)
        self.chunk = int(np.clip(wanted, 1, min(4 * self.chunk, 10_000)))

    def counts(self, arrays: Arrays) -> dict[str, Any]:
        """Return what the log tells of a finished tile."""
        redraws = arrays.get("redraws")
        return {
            "attempt": self.number,
            "seconds": round(time.monotonic() - self.started, 1),
            "lanes": int((arrays["status"] != STATUS["missing"]).sum()),
            "redraws": 0 if redraws is None else int(redraws.sum()),
            "diverged": int((arrays["status"] == STATUS["diverged"]).sum()),
            "set_aside": int((arrays["status"] == STATUS["set_aside"]).sum()),
        }

    def checkpoint(self, work: TileWork) -> None:
        """Write down where all lanes stand."""
        steps = work.steps_taken
        attributes = {"fingerprint": self.fingerprint, "steps": steps, "attempt": self.number}
        save_checkpoint(self.paths, self.tile, work.saved(), attributes, on_full=self.pause, part=self.part)
        self.saved_at = time.monotonic()
        self.saved = True
        self.beaten_at = -np.inf
        self.log("checkpoint", steps=steps)

    def resume(self, work: TileWork) -> bool:
        """Go on from the newest valid checkpoint, if there is one."""
        found = load_checkpoint(self.paths, self.tile, self.fingerprint, self.part)
        if found is None:
            return False
        work.restore(found[0])
        return True

    def beat(self, steps: int) -> None:
        """Say where the tile stands: to the parent, and now and then through a small file that others see."""
        elapsed = round(time.monotonic() - self.started, 1)
        since, before = self.ready or (time.monotonic(), steps)
        state = {
            "tile": self.tile,
            "attempt": self.number,
            "worker": self.worker,
            "host": self.node,
            "steps": steps,
            "first": self.first,
            "total": self.total,
            "elapsed": elapsed,
            "pace": round((steps - before) / max(time.monotonic() - since, 1e-3), 3),
            "saved": self.saved,
        }
        self.context.report(state)
        self.be_watched()
        first, later = BEAT_SECONDS
        if self.part or time.monotonic() - self.beaten_at < max(first, min(later, elapsed / 10)):
            return
        self.beaten_at = time.monotonic()
        path = self.paths.beat(self.tile, self.number)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(state))
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)

    def be_watched(self) -> None:
        """Restart the watchdog where no supervisor sees this process hang; it prints a traceback and exits."""
        if not self.task.watched:
            faulthandler.dump_traceback_later(self.task.hang_seconds, exit=True)

    def end(self, kind: Ending, message: str = "") -> None:
        """Write down how the attempt ended; a full disk is waited for, another trouble left to who comes next."""
        facts: dict[str, Any] = {
            "seconds": round(time.monotonic() - self.started, 1),
            "saved": self.saved,
            "worker": self.worker,
            "host": self.node,
            "job": self.task.job,
        }
        if kind in LOST_MACHINES:
            facts["last"] = time.time()
        try:
            journal = self.paths.journal(self.worker)
            end_attempt(self.paths, self.tile, self.number, kind, message, self.pause, journal, **facts)
        except (OSError, Stopped) as error:
            self.context.report({"tile": self.tile, "note": f"the end of attempt {self.number} is not kept: {error}"})

    def log(self, event: str, **facts: Any) -> None:
        """Append one event to this worker's log; a full disk costs the line, not the tile."""
        line = {"event": event, "tile": self.tile, "attempt": self.number, "time": time.time(), **facts}
        line["worker"] = self.worker
        if self.part:
            line["part"] = self.part
        try:
            append_event(self.paths.log(self.worker), line)
        except OSError:
            self.context.report({"tile": self.tile, "note": f"log line lost: {event}"})

    def rest(self) -> None:
        """Wait a little for a disk or a file system, unless asked to stop."""
        self.be_watched()
        until = time.monotonic() + FULL_DISK_SECONDS
        while time.monotonic() < until and not self.context.stopping():
            time.sleep(0.2)

    def pause(self, path: Path) -> None:
        """Wait while the disk is full.

        Raises:
            Stopped: asked to stop while waiting.
        """
        self.context.report({"tile": self.tile, "note": f"disk full at {path.parent}: paused, free some space"})
        self.rest()
        if self.context.stopping():
            raise Stopped(f"tile {self.tile} stopped while the disk was full; the last checkpoint stands")
        beat = self.paths.beat(self.tile, self.number)
        if self.number and beat.exists():
            beat.touch()
