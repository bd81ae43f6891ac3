"""What is known of a campaign's tiles: committed, failed, running, waiting."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phloem.io import TileState, diagnose_tile, load_tile, read_commits, read_events
from phloem.jobs.campaign import Campaign
from phloem.jobs.tile import beat_path
from phloem.names import STATUS

ALIVE_SECONDS = 120.0
"""A tile whose last beat is younger than this is running; clocks of hosts may differ by less than that."""

FINAL = ("bad input",)
"""Failure classes that another attempt cannot mend."""


@dataclass(frozen=True)
class Failure:
    """Failed attempts of one tile since they were last forgiven.

    Attributes:
        classes: how often by class.
        message: of the last one.
    """

    classes: Counter[str]
    message: str

    def exhausted(self, budget: int) -> bool:
        """Tell whether the tile is to be left alone until `phloem retry`."""
        return any(name in FINAL for name in self.classes) or self.classes.total() >= budget


@dataclass
class CampaignState:
    """State of all tiles.

    Attributes:
        done: committed tiles.
        corrupt: tiles whose file does not agree with the journals, with the reason.
        failures: failed attempts by tile.
        beats: what running tiles last said.
        lanes: lanes by what became of them.
    """

    done: list[int] = field(default_factory=list)
    corrupt: dict[int, str] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)
    beats: dict[int, dict[str, Any]] = field(default_factory=dict)
    lanes: Counter[str] = field(default_factory=Counter)


def read_failures(campaign: Campaign) -> dict[int, Failure]:
    """Return the failed attempts by tile since `phloem retry` last forgave them."""
    failures: dict[int, Failure] = {}
    for event in read_events(campaign.paths.journal("campaign")) if campaign.paths.journal("campaign").exists() else []:
        if event["event"] == "failed":
            before = failures.get(event["tile"], Failure(Counter(), ""))
            failures[event["tile"]] = Failure(before.classes + Counter([event["class"]]), event["message"])
        elif event["event"] == "forgiven":
            failures.pop(event["tile"], None)
    return failures


def read_beats(campaign: Campaign) -> dict[int, dict[str, Any]]:
    """Return what running tiles last said: lately, and by a worker that exists where that can be seen."""
    beats = {}
    for tile in range(len(campaign.tiles)):
        path = beat_path(campaign.paths, tile)
        try:
            age = time.time() - path.stat().st_mtime
            beat = json.loads(path.read_text())
            here = beat["host"] == os.uname().nodename
            alive = age < ALIVE_SECONDS and (not here or _exists(beat["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if alive:
            beats[tile] = beat
    return beats


def _exists(pid: int) -> bool:
    """Tell whether a process of this host is there; one that is dead and not yet reaped is not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def read_state(campaign: Campaign) -> CampaignState:
    """Look at every tile of a campaign."""
    state = CampaignState(failures=read_failures(campaign), beats=read_beats(campaign))
    commits = read_commits(campaign.paths)
    names = {code: name for name, code in STATUS.items()}
    for tile in range(len(campaign.tiles)):
        found, reason = diagnose_tile(campaign.paths, tile, commits)
        if found is TileState.DONE:
            state.done.append(tile)
            arrays, _, _ = load_tile(campaign.paths, tile, commits)
            state.lanes.update(names[int(code)] for code in arrays["status"].flat)
        elif found is TileState.CORRUPT:
            state.corrupt[tile] = reason
    for tile in state.done:
        state.failures.pop(tile, None)
        state.beats.pop(tile, None)
    return state


def summary(campaign: Campaign, state: CampaignState) -> dict[str, Any]:
    """Return the JSON object of `phloem status`."""
    budget = campaign.configuration.engine.max_attempts
    members = campaign.configuration.campaign.members
    failed = [tile for tile, failure in state.failures.items() if failure.exhausted(budget)]
    running = [tile for tile in state.beats if tile not in failed]
    pending = len(campaign.tiles) - len(state.done) - len(failed) - len(running)
    lanes = dict.fromkeys(("calibrated", "calibrated_after_redraw", "diverged"), 0) | dict(state.lanes)
    lanes["running"] = members * sum(len(campaign.tiles[tile]) for tile in running)
    lanes["failed"] = members * sum(len(campaign.tiles[tile]) for tile in failed)
    lanes["pending"] = members * len(campaign.cells) - sum(lanes.values())
    return {
        "tiles": {
            "done": len(state.done),
            "running": len(running),
            "failed": len(failed),
            "pending": pending,
        },
        "lanes": lanes,
        "eta_seconds": _eta(campaign, state, failed),
        "failures": {
            str(tile): {
                "classes": dict(failure.classes),
                "message": failure.message,
                "exhausted": tile in failed,
            }
            for tile, failure in sorted(state.failures.items())
        },
        "corrupt": {str(tile): reason for tile, reason in state.corrupt.items()},
    }


def _eta(campaign: Campaign, state: CampaignState, failed: list[int]) -> float | None:
    """Return the seconds left at the pace of the running tiles; None when nothing runs, 0 when all is done."""
    left = 0.0
    for tile in range(len(campaign.tiles)):
        if tile not in state.done and tile not in failed:
            left += total_steps(campaign, tile) - state.beats.get(tile, {}).get("steps", 0)
    if not left:
        return 0.0
    pace = sum(rate(beat) for beat in state.beats.values())
    return round(left / pace, 1) if pace > 0 else None


def total_steps(campaign: Campaign, tile: int) -> int:
    """Return the steps of all lanes of a tile."""
    configuration = campaign.configuration
    return len(campaign.tiles[tile]) * configuration.campaign.members * configuration.optimiser.iterations


def rate(beat: Mapping[str, Any]) -> float:
    """Return the steps a second of a running tile since its attempt began."""
    return (beat["steps"] - beat.get("first", 0)) / max(beat["elapsed"], 1e-3)
