"""What is broken in these tests: the operations of phloem.io on a campaign, and which states they may leave behind."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phloem.endings import Ending
from phloem.io.campaign.attempts import (
    TakenError,
    attempt_numbers,
    count_attempts,
    end_attempt,
    holder,
    read_attempt,
    read_end,
    take_tile,
)
from phloem.io.campaign.checkpoints import drop_checkpoint, load_checkpoint, save_checkpoint
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import TileState, diagnose_tile, quarantine, sweep, write_tile
from phloem.io.files.atomic import OnFull, hdf5_image, write_atomically
from phloem.io.files.journals import append_event, read_events, roll_up
from phloem.io.files.sealed_json import read_sealed, write_sealed
from phloem.io.grids.placed_cells import Grid
from phloem.io.merge.write_merged import merge_tiles
from tests.support.campaigns.campaign_samples import ATTRIBUTES, SCHEMA, TABLES, cells_of, commit, tile_arrays
from tests.support.campaigns.claims import claim_next

FINGERPRINT = "same"
BYSTANDER = 7
"""A tile that nothing happens to."""

GLOBAL = {
    "title": "faults",
    "version": "0.1.0",
    "configuration_hash": ATTRIBUTES["configuration_hash"],
    "seed": 7,
}


def state_at(step: int) -> dict[str, np.ndarray]:
    """A checkpoint's arrays: 20 kB that a mix of two steps cannot equal."""
    return {"step": np.array([step]), "state": np.random.default_rng(step).normal(size=5000).astype("f4")}


def save(paths: CampaignPaths, step: int, on_full: OnFull | None = None, index: int = 0) -> None:
    save_checkpoint(paths, index, state_at(step), {"fingerprint": FINGERPRINT}, on_full)


def step_of(paths: CampaignPaths, index: int = 0) -> int | None:
    """The step of the checkpoint, which must be whole."""
    loaded = load_checkpoint(paths, index, FINGERPRINT)
    if loaded is None:
        return None
    step = int(loaded[0]["step"][0])
    assert loaded[0]["state"].tobytes() == state_at(step)["state"].tobytes(), "a mix of two checkpoints"
    return step


def prepare(paths: CampaignPaths, operation: Operation) -> CampaignPaths:
    """A campaign in the old state of an operation, with a tile that nothing is to happen to."""
    commit(paths.make(), BYSTANDER, cells_of(BYSTANDER))
    save(paths, 1, index=BYSTANDER)
    append_event(paths.journal("bystander"), {"event": "made"})
    operation.prepare(paths)
    return paths


def bystanders(paths: CampaignPaths) -> dict[Path, bytes]:
    """Files that no operation here may touch, and their bytes."""
    files = [paths.tile(BYSTANDER), paths.checkpoint(BYSTANDER), paths.journal("bystander"), paths.claim(BYSTANDER, 1)]
    return {path: path.read_bytes() for path in files}


class Operation:
    """One operation.

    Attributes:
        can_wait: takes a callback that waits while the disk is full.
    """

    can_wait = True

    def prepare(self, paths: CampaignPaths) -> None:
        """Make the old state."""

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> Any:
        """Do it."""
        raise NotImplementedError

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        """Return "old" or "new"; anything between them fails here.

        Args:
            paths: the campaign after the fault.
            undisturbed: a campaign in which the operation was done without one.
        """
        raise NotImplementedError

    def repeat(self, paths: CampaignPaths) -> None:
        """Do it again after a fault, undisturbed, as the next attempt would."""
        self.run(paths, None)


class SaveCheckpoint(Operation):
    """The next checkpoint where none, one or two are there; `torn`: and the newest of them is damaged."""

    def __init__(self, generations: int, torn: bool = False) -> None:
        self.generations, self.torn = generations, torn

    def prepare(self, paths: CampaignPaths) -> None:
        for step in range(1, self.generations + 1):
            save(paths, step)
        if self.torn:
            os.truncate(paths.checkpoint(0), 3000)

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> None:
        save(paths, 9, on_full)

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        step = step_of(paths)
        assert step in ((self.generations - self.torn) or None, 9), f"the checkpoint of step {step}"
        return "new" if step == 9 else "old"


class DropCheckpoint(Operation):
    can_wait = False

    def prepare(self, paths: CampaignPaths) -> None:
        save(paths, 1)
        save(paths, 2)

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> None:
        drop_checkpoint(paths, 0)

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        step = step_of(paths)
        assert step in (2, None), "the older generation was left alone"
        return "new" if step is None else "old"


class CommitTile(Operation):
    """A tile's commit; `damaged`: where an older file of the tile is torn."""

    def __init__(self, damaged: bool = False) -> None:
        self.damaged = damaged

    def prepare(self, paths: CampaignPaths) -> None:
        if self.damaged:
            commit(paths, 0, cells_of(0))
            os.truncate(paths.tile(0), 4000)
        claim_next(paths, 0)

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> str:
        attempt = count_attempts(paths, 0)
        return write_tile(paths, 0, attempt, SCHEMA, tile_arrays(cells_of(0)), ATTRIBUTES, on_full, worker="worker")

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        whole = undisturbed.tile(0).read_bytes()
        state, reason = diagnose_tile(paths, 0)
        if self.damaged:
            kept = [path.read_bytes() for path in paths.quarantine_dir.iterdir()]
            kept += [paths.tile(0).read_bytes()] if state is TileState.CORRUPT else []
            assert whole[:4000] in kept, "the damaged file is evidence and stays"
        else:
            assert state is not TileState.CORRUPT, reason
            assert not os.listdir(paths.quarantine_dir)
        if state is TileState.DONE:
            assert paths.tile(0).read_bytes() == whole
            return "new"
        return "old"

    def repeat(self, paths: CampaignPaths) -> None:
        commit(paths, 0, cells_of(0))


class Append(Operation):
    """One more line in a journal, or the first."""

    def __init__(self, lines: int) -> None:
        self.events = [{"event": "made", "number": number, "text": "ä" * number} for number in range(lines)]

    def prepare(self, paths: CampaignPaths) -> None:
        for event in self.events:
            append_event(paths.journal("worker"), event)

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> None:
        append_event(paths.journal("worker"), {"event": "new", "text": "x" * 300}, on_full)

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        found = read_events(paths.journal("worker"))
        count = len(self.events)
        assert found[:count] == self.events, "an older line was lost"
        assert found.skipped <= 1
        # A line that was written, and whose synchronisation failed, is written once more.
        assert all(event["event"] == "new" for event in found[count:])
        return "new" if found[count:] else "old"


class Claim(Operation):
    """The third attempt of a tile."""

    def prepare(self, paths: CampaignPaths) -> None:
        for _ in range(2):
            claim_next(paths, 0)

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> int:
        return claim_next(paths, 0, holder("worker"), on_full)

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        claimed = count_attempts(paths, 0)
        assert claimed >= 2
        assert all(read_attempt(paths, 0, number + 1).holder.worker for number in range(claimed)), "a torn claim"
        return "new" if claimed > 2 else "old"

    def repeat(self, paths: CampaignPaths) -> None:
        before = count_attempts(paths, 0)
        assert claim_next(paths, 0) == before + 1


class Take(Operation):
    """A tile whose holder is gone without a word: that attempt is ended, the next is claimed."""

    def prepare(self, paths: CampaignPaths) -> None:
        claim_next(paths, 0, dataclasses.replace(holder("gone"), started=1))

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> int:
        return take_tile(paths, 0, holder("worker"), on_full)

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        numbers = attempt_numbers(paths, 0)
        assert numbers.claims in ({1}, {1, 2}, {1, 2, 3})
        if numbers.ends:
            assert read_end(paths, 0, 1)["class"] == "worker lost"
        return "old" if numbers.newest == 1 else "new"


class End(Operation):
    """An attempt ends by a failure."""

    def prepare(self, paths: CampaignPaths) -> None:
        claim_next(paths, 0)
        paths.beat(0, 1).touch()

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> bool:
        return end_attempt(paths, 0, 1, "bug", "a message", on_full, paths.journal("worker"))

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        end = read_end(paths, 0, 1)
        assert not end or (end["class"], end["message"]) == ("bug", "a message")
        return "new" if end else "old"


class RollUp(Operation):
    """Journals whose writers are gone are put into one."""

    can_wait = False

    def prepare(self, paths: CampaignPaths) -> None:
        for worker in ("rolled", "b", "c"):
            for number in range(3):
                append_event(paths.journal(worker), {"event": "made", "worker": worker, "number": number})

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> None:
        sources = [paths.journal(worker) for worker in ("b", "c") if paths.journal(worker).exists()]
        roll_up(sources, paths.journal("rolled"))

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        events = read_events(paths.journals_dir)
        made = sorted((e["worker"], e["number"]) for e in events if "worker" in e)
        assert made == [(worker, number) for worker in ("b", "c", "rolled") for number in range(3)]
        return "old" if paths.journal("b").exists() or paths.journal("c").exists() else "new"


class Plan(Operation):
    """The tile table is written anew."""

    can_wait = False

    def prepare(self, paths: CampaignPaths) -> None:
        write_sealed(paths.plan, {"tiles": "old"})

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> None:
        write_sealed(paths.plan, {"tiles": "new"})

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        return str(read_sealed(paths.plan)["tiles"])


class Quarantine(Operation):
    """A damaged tile file is set aside."""

    def prepare(self, paths: CampaignPaths) -> None:
        commit(paths, 0, cells_of(0))
        os.truncate(paths.tile(0), 4000)

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> None:
        quarantine(paths, paths.tile(0), "torn", on_full, worker="worker")

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        state, _ = diagnose_tile(paths, 0)
        sizes = sorted(path.stat().st_size for path in paths.quarantine_dir.iterdir())
        # An empty file holds the name; a kill can leave it behind.
        assert [size for size in sizes if size] == ([] if state is TileState.CORRUPT else [4000])
        return "old" if state is TileState.CORRUPT else "new"


class Merge(Operation):
    """The merge of three tiles; `again`: where an older product is there, of another seed.

    Where it is on a grid, each tile is a row of it.
    """

    can_wait = False
    plan = [cells_of(index) for index in range(3)]  # noqa: RUF012

    def __init__(self, again: bool, on_grid: bool = False) -> None:
        self.again = again
        self.grid = None
        if on_grid:
            latitudes, longitudes = np.repeat([60.25, 60.75, 61.25], 3), np.tile([24.25, 24.75, 25.25], 3)
            names = [cell for cells in self.plan for cell in cells]
            self.grid = Grid.around(latitudes, longitudes, 0.5).place(names, latitudes, longitudes)

    def prepare(self, paths: CampaignPaths) -> None:
        for index, cells in enumerate(self.plan):
            arrays = tile_arrays(cells)
            if self.grid is not None:
                arrays["latitude"] = np.full(3, self.grid.grid.latitude[index])
                arrays["longitude"] = self.grid.grid.longitude
            write_tile(paths, index, claim_next(paths, index), SCHEMA, arrays, ATTRIBUTES)
        if self.again:
            merge_tiles(paths, self.plan, TABLES, {**GLOBAL, "seed": 6}, grid=self.grid)
            os.link(paths.merged, paths.logs_dir / "merged before")

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> None:
        merge_tiles(paths, self.plan, TABLES, GLOBAL, grid=self.grid)

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        if self.again:
            found = paths.merged.read_bytes()
            if found == (paths.logs_dir / "merged before").read_bytes():
                return "old"
        elif not paths.merged.exists():
            return "old"
        assert paths.merged.read_bytes() == undisturbed.merged.read_bytes(), "neither the old nor the new product"
        return "new"


class WriteFile(Operation):
    """A file replaced atomically, or made where none may be."""

    def __init__(self, exclusive: bool) -> None:
        self.exclusive = exclusive
        self.old, self.new = b"old" * 1000, hdf5_image({"x": np.arange(5000.0)}, {})

    def prepare(self, paths: CampaignPaths) -> None:
        if not self.exclusive:
            write_atomically(paths.report, self.old)

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> None:
        write_atomically(paths.report, self.new, on_full=on_full, exclusive=self.exclusive)

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        if self.exclusive and not paths.report.exists():
            return "old"
        found = paths.report.read_bytes()
        assert found == self.new or (found == self.old and not self.exclusive)
        return "new" if found == self.new else "old"

    def repeat(self, paths: CampaignPaths) -> None:
        with contextlib.suppress(FileExistsError):
            self.run(paths, None)


class Sweep(Operation):
    """Start-up: temporaries are swept, one of them a second name of a committed tile."""

    can_wait = False

    def prepare(self, paths: CampaignPaths) -> None:
        commit(paths, 0, cells_of(0))
        os.link(paths.tile(0), paths.tile_temporary(0, 1))
        for folder in (paths.root, paths.checkpoints_dir, paths.tiles_dir):
            (folder / "torn.tmp").write_bytes(b"torn")

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> None:
        sweep(paths)

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        assert diagnose_tile(paths, 0)[0] is TileState.DONE
        return "old" if list(paths.root.rglob("*.tmp")) else "new"


class Life(Operation):
    """A tile's whole life: taken, two checkpoints, commit, checkpoints dropped, attempt ended."""

    def run(self, paths: CampaignPaths, on_full: OnFull | None) -> None:
        attempt = take_tile(paths, 0, holder("worker"), on_full)
        first = (step_of(paths) or 0) + 1
        for step in (first, first + 1):
            save(paths, step, on_full)
        write_tile(paths, 0, attempt, SCHEMA, tile_arrays(cells_of(0)), ATTRIBUTES, on_full, worker="worker")
        drop_checkpoint(paths, 0)
        end_attempt(paths, 0, attempt, Ending.COMMITTED, on_full=on_full)

    def look(self, paths: CampaignPaths, undisturbed: CampaignPaths) -> str:
        state, reason = diagnose_tile(paths, 0)
        assert state is not TileState.CORRUPT, reason
        assert step_of(paths) in (None, 1, 2, 3, 4)
        if state is TileState.MISSING:
            return "old"
        assert paths.tile(0).read_bytes() == undisturbed.tile(0).read_bytes()
        return "new"

    def repeat(self, paths: CampaignPaths) -> None:
        is_done = diagnose_tile(paths, 0)[0] is TileState.DONE
        with pytest.raises(TakenError, match="is committed") if is_done else contextlib.nullcontext():
            self.run(paths, None)


EACH = 3
"""So many attempts does each of a crowd of processes claim."""


def race(paths: CampaignPaths, milliseconds: int, salt: int) -> str:
    """Claim and commit tile 0 a while after the others; returns the checksum of the bytes that are committed."""
    time.sleep(milliseconds / 1000)
    worker = f"after{milliseconds}"
    attempt = claim_next(paths, 0, holder(worker))
    return write_tile(paths, 0, attempt, SCHEMA, tile_arrays(cells_of(0), salt=salt), ATTRIBUTES, worker=worker)


def start(paths: CampaignPaths, number: int) -> list[int]:
    """What one of many processes does that start at once; returns the numbers of its attempts."""
    worker = f"worker{number}"
    claimed = []
    for _ in range(EACH):
        claimed.append(claim_next(paths, 0, holder(worker)))
        append_event(paths.journal(worker), {"event": "claimed", "attempt": claimed[-1]})
    save_checkpoint(paths, 100 + number, {"claimed": np.array(claimed)}, {"fingerprint": worker})
    return claimed


def perform(name: str, paths: CampaignPaths, on_full: OnFull | None) -> Any:
    """Do what a case names: an operation, or one of what processes do at the same time."""
    if name in OPERATIONS:
        return OPERATIONS[name].run(paths, on_full)
    word, number = name.rsplit(" ", 1)
    if word == "start":
        return start(paths, int(number))
    assert word in ("commit after", "commit other bytes after")
    return race(paths, int(number), salt=int("other" in word))


OPERATIONS: dict[str, Operation] = {
    "checkpoint, none yet": SaveCheckpoint(0),
    "checkpoint, one there": SaveCheckpoint(1),
    "checkpoint, two there": SaveCheckpoint(2),
    "checkpoint, newest torn": SaveCheckpoint(2, torn=True),
    "drop checkpoint": DropCheckpoint(),
    "commit": CommitTile(),
    "commit over a damaged tile": CommitTile(damaged=True),
    "journal, first line": Append(0),
    "journal, next line": Append(5),
    "journals rolled up": RollUp(),
    "claim": Claim(),
    "take a lost tile": Take(),
    "end an attempt": End(),
    "plan": Plan(),
    "quarantine": Quarantine(),
    "replace a file": WriteFile(exclusive=False),
    "make a file": WriteFile(exclusive=True),
    "sweep": Sweep(),
    "life of a tile": Life(),
    "merge": Merge(again=False),
    "merge again": Merge(again=True),
    "merge on a grid": Merge(again=True, on_grid=True),
}
