"""State of a campaign's tiles: committed, failed, running, waiting; with its lanes, hours and pace."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from phloem.endings import Ending
from phloem.io.campaign.attempts import Verdict, file_system_now, is_alive, list_attempts, read_attempt, read_beat
from phloem.io.campaign.tiles import Commit, Commits, TileState, commits_in, diagnose_tile, read_commits
from phloem.io.files.journals import read_events
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.run.device_losses import lost_devices
from phloem.jobs.tile.computed_on import sum_up
from phloem.jobs.tile.failures import MENDS, TileFailures, stopped, tile_failures
from phloem.names import STATUS

VERIFY_BYTES = 256 * 2**20
"""Tile files that are smaller in all are read and checked whenever a campaign is looked at."""

READERS = 8
"""Threads that read tile files: a parallel file system answers many as fast as one."""


_STATUS_NAMES = {code: name for name, code in STATUS.items()}


@dataclass
class CampaignState:
    """State of all tiles.

    Attributes:
        done: committed tiles.
        corrupt: tiles whose file does not agree with the journals, with the reason.
        failures: failed attempts by tile.
        beats: what running tiles last said.
        lanes: lanes by what became of them.
        seconds: of all ended attempts, by how they ended.
        set_aside: cells that were set aside: tile, cell, class, message.
        devices: that were lost: host, device, message.
        computed_on: what computed committed tiles, as `phloem.jobs.tile.computed_on.sum_up` gives it.
        verified: whether every byte of the tile files was read.
    """

    done: list[int] = field(default_factory=list)
    corrupt: dict[int, str] = field(default_factory=dict)
    failures: dict[int, TileFailures] = field(default_factory=dict)
    beats: dict[int, dict[str, Any]] = field(default_factory=dict)
    lanes: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    set_aside: list[dict[str, Any]] = field(default_factory=list)
    devices: list[dict[str, str]] = field(default_factory=list)
    computed_on: list[dict[str, Any]] = field(default_factory=list)
    verified: bool = False

    def count_lanes(self, lanes: Mapping[str, int], before: Iterable[str] = ()) -> None:
        """Count the lanes of a committed tile.

        Args:
            lanes: by what became of them.
            before: what had become, in an earlier tile, of each lane that was computed again; it counts there no more.
        """
        for name in before:
            self.lanes[name] -= self.lanes[name] > 0
        for name, count in lanes.items():
            if name != "missing":
                self.lanes[name] += count


def read_state(
    campaign: Campaign,
    verify: bool | None = None,
    verdict: Verdict | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> CampaignState:
    """Look at every tile of a campaign.

    Args:
        campaign: planned.
        verify: read every byte of the tile files; None does so while they are few (`VERIFY_BYTES`). Without, their
            names are compared with the journals: a hundred thousand files are not even opened.
        verdict: tells how a batch job ended.
        on_progress: called with the number of files that were read.
    """
    with _no_collector():
        events = read_events(campaign.paths.journals_dir, leave_out="prepared")
        commits = commits_in(events)
    state = CampaignState(seconds=_seconds(events), devices=lost_devices(events))
    there = _tile_files(campaign)
    present = [tile for tile in campaign.all_tiles if tile in there]
    if any(tile not in commits for tile in present):  # killed between its name and its last line, or not ours
        commits = read_commits(campaign.paths)
    size = sum(next(iter(commits[tile].values())).size for tile in present if tile in commits)
    state.verified = size <= VERIFY_BYTES if verify is None else verify
    if state.verified:
        state.corrupt = _verify(campaign, present, commits, on_progress)
    else:
        state.corrupt = {tile: f"{there[tile]}: no journal knows it" for tile in present if tile not in commits}
    state.done = [tile for tile in present if tile not in state.corrupt] if state.corrupt else present
    _count(campaign, state, {tile: _commit(campaign, tile, commits) for tile in state.done}, events)
    done = set(state.done)
    on = {event["tile"]: event["on"] for event in events if "on" in event and event["tile"] in done}
    state.computed_on = sum_up(on.values())
    _read_attempts(campaign, state, verdict)
    return state


@contextmanager
def _no_collector() -> Iterator[None]:
    """Leave the garbage collector out while millions of objects are made that all stay: it looks at them in vain."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _tile_files(campaign: Campaign) -> dict[int, str]:
    """Return the names of the tile files that are there, by tile."""
    found = {}
    for name in os.listdir(campaign.paths.tiles_dir):
        number = name[5:-3]
        if name.endswith(".h5") and name.startswith("tile_") and number.isdecimal():
            found[int(number)] = name
    return found


def _verify(
    campaign: Campaign, tiles: Iterable[int], commits: Commits, on_progress: Callable[[int], None] | None
) -> dict[int, str]:
    """Return the tiles whose file, journal and checksum do not agree, and why."""

    def diagnose(tile: int) -> tuple[int, TileState, str]:
        return tile, *diagnose_tile(campaign.paths, tile, commits)

    corrupt = {}
    with ThreadPoolExecutor(READERS) as pool:
        for count, (tile, tile_state, reason) in enumerate(pool.map(diagnose, tiles)):
            if tile_state is TileState.CORRUPT:
                corrupt[tile] = reason
            if on_progress is not None:
                on_progress(count + 1)
    return corrupt


def _commit(campaign: Campaign, tile: int, commits: Commits) -> Commit:
    """Return the commit of a tile that is done; where journals tell of several, that of the file's size."""
    known = commits[tile]
    if len(known) > 1:
        size = campaign.paths.tile(tile).stat().st_size
        known = {sha256: commit for sha256, commit in known.items() if commit.size == size} or known
    return next(iter(known.values()))


def _seconds(events: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return the seconds of all attempts that ended, by class."""
    seconds: Counter[str] = Counter()
    for event in events:
        if event["event"] in (Ending.COMMITTED, "ended"):
            seconds[event.get("class", Ending.COMMITTED)] += event.get("seconds", 0.0)
    return seconds


def _count(
    campaign: Campaign, state: CampaignState, commits: Mapping[int, Commit], events: Iterable[dict[str, Any]]
) -> None:
    """Count the lanes of committed tiles, and name the cells whose lanes are set aside in the newest of them.

    Args:
        campaign: planned.
        state: to be filled in.
        commits: of the committed tiles.
        events: of all journals; what an attempt said that has not committed its tile does not count.
    """
    events_by_tile: dict[int, dict[str, dict[str, Any]]] = {}
    for event in events:
        commit = commits.get(event["tile"]) if event["event"] == "set aside" else None
        if commit is not None and commit.attempt == event["attempt"]:
            events_by_tile.setdefault(event["tile"], {})[event["cell"]] = event
    aside: dict[tuple[str, int], dict[str, Any]] = {}
    for tile in sorted(commits):
        events_by_cell = events_by_tile.get(tile, {})
        if tile < len(campaign.tiles):
            state.count_lanes(commits[tile].lanes)
            if events_by_cell:
                members = range(campaign.kind.lanes_of_unit(campaign.configuration))
                aside |= {(cell, member): event for cell, event in events_by_cell.items() for member in members}
            continue
        cells = campaign.tile_cells(tile)
        lanes = {(cells[lane.unit].name, lane.member): lane.was for lane in campaign.tile_lanes(tile) or ()}
        state.count_lanes(
            commits[tile].lanes, ["set_aside" if lane in aside else _STATUS_NAMES[was] for lane, was in lanes.items()]
        )
        for cell, member in lanes:
            aside.pop((cell, member), None)
            if cell in events_by_cell:
                aside[cell, member] = events_by_cell[cell]
    state.set_aside = list({(event["tile"], cell): event for (cell, _), event in sorted(aside.items())}.values())


def _read_attempts(campaign: Campaign, state: CampaignState, verdict: Verdict | None) -> None:
    """Fill in what runs and what failed among the tiles without result."""
    done, paths = set(state.done), campaign.paths
    now = file_system_now(paths.attempts_dir)
    for tile, numbers in list_attempts(paths).items():
        if tile in done:
            continue
        if numbers.open:
            attempt = read_attempt(paths, tile, numbers.open)
            if is_alive(paths, attempt, now, verdict=verdict):
                nothing = {"worker": attempt.holder.worker, "steps": 0, "first": 0, "elapsed": 0.0}
                state.beats[tile] = {**nothing, **read_beat(paths, tile, numbers.open)}
        failures = tile_failures(paths, tile, numbers)
        if failures.classes:
            state.failures[tile] = failures


def summary(campaign: Campaign, state: CampaignState) -> dict[str, Any]:
    """Return the JSON object of `phloem status`."""
    budgets = campaign.configuration.failures
    failed = [tile for tile, failure in state.failures.items() if failure.exhausted(budgets)]
    running = [tile for tile in state.beats if tile not in failed]
    pending = len(campaign.all_tiles) - len(state.done) - len(failed) - len(running)
    lanes = dict.fromkeys((name for name in STATUS if name != "missing"), 0) | dict(state.lanes)
    planned = range(len(campaign.tiles))
    lanes["running"] = sum(campaign.count_lanes(tile) for tile in running if tile in planned)
    lanes["failed"] = sum(campaign.count_lanes(tile) for tile in failed if tile in planned)
    lanes["pending"] = sum(map(campaign.count_lanes, planned)) - sum(lanes.values())
    pace = sum(rate(beat) for beat in state.beats.values())
    running_seconds = sum(beat["elapsed"] for beat in state.beats.values())
    return {
        "tiles": {"done": len(state.done), "running": len(running), "failed": len(failed), "pending": pending},
        "lanes": lanes,
        "eta_seconds": _eta(campaign, state, failed, pace),
        "steps_per_second": round(pace, 1),
        "hours": {name: round(seconds / 3600, 3) for name, seconds in sorted(state.seconds.items())}
        | {"running": round(running_seconds / 3600, 3)},
        "failures": {
            str(tile): {
                "classes": dict(failure.classes),
                "message": failure.message,
                "exhausted": tile in failed,
                "cells": [cell.name for cell in campaign.tile_cells(tile)],
            }
            for tile, failure in sorted(state.failures.items())
        },
        "failures_by_class": by_class(campaign, state),
        "set_aside": [{key: event[key] for key in ("tile", "cell", "class", "message")} for event in state.set_aside],
        "devices_lost": state.devices,
        "corrupt": {str(tile): reason for tile, reason in state.corrupt.items()},
        "computed_on": state.computed_on,
        "stopped": stopped(campaign.paths),
        "verified": state.verified,
    }


def by_class(campaign: Campaign, state: CampaignState) -> dict[str, dict[str, Any]]:
    """Return, for each failure class, its attempts and tiles and the command that mends it."""
    attempts: Counter[Ending] = Counter()
    tiles: Counter[Ending] = Counter()
    for failure in state.failures.values():
        attempts.update(failure.classes)
        tiles.update(failure.classes.keys())
    root = campaign.paths.root
    return {
        name: {"attempts": attempts[name], "tiles": tiles[name], "mend": MENDS[name].format(root=root)}
        for name in sorted(attempts)
    }


def _eta(campaign: Campaign, state: CampaignState, failed: list[int], pace: float) -> float | None:
    """Return the seconds left at the pace of the running tiles; None when nothing runs, 0 when all is done."""
    out = set(state.done) | set(failed)
    left = sum(
        campaign.count_steps(tile) - state.beats.get(tile, {}).get("steps", 0)
        for tile in campaign.all_tiles
        if tile not in out
    )
    if not left:
        return 0.0
    return round(left / pace, 1) if pace > 0 else None


def rate(beat: Mapping[str, Any]) -> float:
    """Return the steps a second of a running tile, what it needed to start left out where more is known."""
    return beat.get("pace") or (beat["steps"] - beat.get("first", 0)) / max(beat["elapsed"], 1e-3)
