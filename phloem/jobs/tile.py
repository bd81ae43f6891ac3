"""A tile's life in a worker: read, resume, optimise in chunks, commit (DESIGN.md, "A tile's life")."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from phloem.hpc import Context, Stopped
from phloem.io import (
    CampaignPaths,
    append_event,
    claim_attempt,
    drop_checkpoint,
    load_checkpoint,
    save_checkpoint,
    write_atomically,
    write_tile,
)
from phloem.jobs.backend import require_backend
from phloem.jobs.calibration import TileCalibration
from phloem.jobs.campaign import Campaign, open_campaign
from phloem.jobs.lane_results import Arrays
from phloem.names import STATUS

CHUNK_SECONDS = 2.0
"""A chunk is made as long as this, so that a signal is noticed and a beat given every few seconds."""

FULL_DISK_SECONDS = 15.0
"""How long a tile pauses before it tries a full disk again."""


def run_tile(arguments: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Execute one attempt of a tile and commit it.

    Args:
        arguments: `root` (campaign directory), `tile` (its number), `checkpoint_minutes`.
        context: of the worker.

    Returns:
        Counts for the log: attempt, lanes by status, redraws, seconds.

    Raises:
        Stopped: asked to stop; a checkpoint was written.
        InputError: the tile's input is not what it should be.
    """
    campaign = open_campaign(Path(arguments["root"]))
    return Attempt(campaign, int(arguments["tile"]), 60 * arguments["checkpoint_minutes"], context).run()


class Attempt:
    """One execution of a tile."""

    def __init__(self, campaign: Campaign, tile: int, checkpoint_seconds: float, context: Context) -> None:
        self.campaign, self.tile, self.context = campaign, tile, context
        self.checkpoint_seconds = checkpoint_seconds
        self.paths = campaign.paths
        self.configuration = campaign.configuration
        self.fingerprint = campaign.fingerprint(tile)
        self.started = time.monotonic()
        self.saved_at = time.monotonic()
        self.chunk = 1
        self.first = self.total = 0

    def run(self) -> dict[str, Any]:
        """Go through the tile's life."""
        require_backend(self.configuration)
        cells = [self.campaign.read_cell(cell) for cell in self.campaign.tile_cells(self.tile)]
        self.attempt = claim_attempt(self.paths, self.tile, on_full=self.pause)
        self.log("started", cells=[cell.name for cell in cells])
        self.beat(None)
        lanes = TileCalibration(self.configuration, cells)
        self.total = lanes.total_steps
        resumed = self.resume(lanes)
        self.first = lanes.steps_taken
        self.log("resumed" if resumed else "fresh", steps=lanes.steps_taken)
        while lanes.running:
            if self.context.stopping():
                self.stop(lanes)
            begun = time.monotonic()
            lanes.advance(self.chunk)
            self.adapt(time.monotonic() - begun)
            self.beat(lanes)
            if time.monotonic() - self.saved_at > self.checkpoint_seconds:
                self.checkpoint(lanes)
        arrays = lanes.arrays()
        attributes = {
            "version": self.campaign.version,
            "configuration_hash": self.configuration.fingerprint(),
            "fingerprint": self.fingerprint,
            "seed": self.configuration.campaign.seed,
        }
        write_tile(
            self.paths,
            self.tile,
            self.attempt,
            arrays,
            attributes,
            on_full=self.pause,
            worker=self.context.worker,
        )
        drop_checkpoint(self.paths, self.tile)
        counts = self.counts(arrays)
        self.log("finished", **counts)
        return counts

    def stop(self, lanes: TileCalibration) -> NoReturn:
        """Keep where the tile stands, and end the attempt."""
        if lanes.steps_taken > self.first:
            self.checkpoint(lanes)
        self.log("stopped", steps=lanes.steps_taken)
        raise Stopped(f"tile {self.tile} stopped at {lanes.steps_taken / self.total:.1%}; checkpoint kept")

    def adapt(self, seconds: float) -> None:
        """Aim the next chunk at CHUNK_SECONDS; the first call's time holds the compilation and counts for little."""
        wanted = self.chunk * CHUNK_SECONDS / max(seconds, 1e-3)
        self.chunk = int(np.clip(wanted, 1, min(4 * self.chunk, 10_000)))

    def counts(self, arrays: Arrays) -> dict[str, Any]:
        """Return what the log tells of a finished tile."""
        return {
            "attempt": self.attempt,
            "seconds": round(time.monotonic() - self.started, 1),
            "lanes": int(arrays["status"].size),
            "redraws": int(arrays["redraws"].sum()),
            "diverged": int((arrays["status"] == STATUS["diverged"]).sum()),
        }

    def checkpoint(self, lanes: TileCalibration) -> None:
        """Write down where all lanes stand."""
        attributes = {"fingerprint": self.fingerprint, "steps": lanes.steps_taken, "attempt": self.attempt}
        save_checkpoint(self.paths, self.tile, lanes.saved(), attributes, on_full=self.pause)
        self.saved_at = time.monotonic()
        self.log("checkpoint", steps=lanes.steps_taken)

    def resume(self, lanes: TileCalibration) -> bool:
        """Go on from the newest valid checkpoint, if there is one."""
        found = load_checkpoint(self.paths, self.tile, self.fingerprint)
        if found is None:
            return False
        lanes.restore(found[0])
        return True

    def beat(self, lanes: TileCalibration | None) -> None:
        """Say where the tile stands: to the parent, and to `phloem status` through a small file."""
        state = {
            "tile": self.tile,
            "attempt": self.attempt,
            "worker": self.context.worker,
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "steps": lanes.steps_taken if lanes else 0,
            "first": self.first,
            "total": self.total,
            "elapsed": round(time.monotonic() - self.started, 1),
        }
        self.context.report(state)
        path = beat_path(self.paths, self.tile)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(state))
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)

    def log(self, event: str, **facts: Any) -> None:
        """Append one event to this worker's log; a full disk costs the line, not the tile."""
        line = {"event": event, "tile": self.tile, "attempt": self.attempt, "time": time.time(), **facts}
        try:
            append_event(self.paths.log(self.context.worker), line)
        except OSError:
            self.context.report({"tile": self.tile, "note": f"log line lost: {event}"})

    def pause(self, path: Path) -> None:
        """Wait while the disk is full.

        Raises:
            Stopped: asked to stop while waiting.
        """
        self.context.report({"tile": self.tile, "note": f"disk full at {path.parent}: paused, free some space"})
        until = time.monotonic() + FULL_DISK_SECONDS
        while time.monotonic() < until:
            if self.context.stopping():
                raise Stopped(f"tile {self.tile} stopped while the disk was full; the last checkpoint stands")
            time.sleep(0.2)
        with contextlib.suppress(OSError):
            beat_path(self.paths, self.tile).touch()


def beat_path(paths: CampaignPaths, tile: int) -> Path:
    """Return the file in which a running tile says where it stands."""
    return paths.logs_dir / f"beat_{tile:05d}.json"


def record_failure(paths: CampaignPaths, tile: int, failure: str, message: str, trace: str | None) -> None:
    """Journal a failed attempt, and keep its traceback beside."""
    event = {"event": "failed", "tile": tile, "class": failure, "message": message, "time": time.time()}
    append_event(paths.journal("campaign"), event)
    if trace:
        write_atomically(paths.failures_dir / f"tile_{tile:05d}.txt", trace.encode())
