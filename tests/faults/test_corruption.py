"""Damage to the files of a campaign: found and mended, or refused; never merged."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from campaign_samples import ATTRIBUTES, cells_of, tile_arrays
from operations import GLOBAL

from phloem.errors import InputError, WorkError
from phloem.io.attempts import claim_attempt, holder
from phloem.io.checkpoints import load_checkpoint, save_checkpoint
from phloem.io.journals import read_events
from phloem.io.merge import merge_tiles
from phloem.io.paths import CampaignPaths
from phloem.io.sealed import copy_of, read_sealed, write_sealed
from phloem.io.tiles import TileState, diagnose_tile, quarantine, read_commits, write_tile

TILES, STEPS = 6, 8
PLAN = [cells_of(index) for index in range(TILES)]

Damage = Callable[[np.random.Generator, Path, Path], str]


def fingerprint(seed: int, index: int) -> str:
    return f"seed {seed}, tile {index}"


def step_on(state: np.ndarray, count: int) -> np.ndarray:
    """The work of some steps, whose end tells which steps were taken, and from where."""
    for _ in range(count):
        state = np.modf(state * 3.7 + 0.1)[0]
    return state


def finish(paths: CampaignPaths, index: int, seed: int = 0) -> tuple[str, int]:
    """Compute a tile from its checkpoint or from the start; returns the checksum and the step it began at."""
    found = load_checkpoint(paths, index, fingerprint(seed, index))
    rng = np.random.default_rng([seed, index])
    state, step = (rng.random(400), 0) if found is None else (found[0]["state"], int(found[0]["step"]))
    worker = holder(f"worker{index % 3}")
    attempt = claim_attempt(paths, index, worker)
    for now in range(step, STEPS - 2):
        state = step_on(state, 1)
        arrays = {"state": state, "step": np.array(now + 1)}
        save_checkpoint(paths, index, arrays, {"fingerprint": fingerprint(seed, index)})
    state = step_on(state, STEPS - max(step, STEPS - 2))
    arrays = tile_arrays(PLAN[index], salt=seed)
    arrays["loss_terms"] = state[: arrays["loss_terms"].size].reshape(arrays["loss_terms"].shape)
    return write_tile(paths, index, attempt, arrays, {**ATTRIBUTES, "seed": seed}, worker=worker.worker), step


def merged(paths: CampaignPaths) -> dict[str, Any]:
    """All arrays of the product, apart from which attempt they come from."""
    with netCDF4.Dataset(merge_tiles(paths, PLAN, GLOBAL)) as file:
        file.set_auto_mask(False)
        arrays = {name: np.asarray(variable[...]) for name, variable in file.variables.items() if name != "attempt"}
    return {name: a.tolist() if a.dtype.kind in "OUS" else a.tobytes() for name, a in arrays.items()}


def campaign(root: Path, seed: int = 0) -> CampaignPaths:
    """A campaign whose tiles are committed, and whose checkpoints are still there."""
    paths = CampaignPaths(root).make()
    write_sealed(paths.plan, {"seed": seed, "tiles": PLAN})
    for index in range(TILES):
        finish(paths, index, seed)
    return paths


def truncated(rng: np.random.Generator, path: Path, other: Path) -> str:
    size = path.stat().st_size
    length = int(rng.integers(1, size))
    path.write_bytes(path.read_bytes()[:length])
    return f"to {length} of {size} bytes"


def emptied(rng: np.random.Generator, path: Path, other: Path) -> str:
    path.write_bytes(b"")
    return "to no bytes"


def flipped(rng: np.random.Generator, path: Path, other: Path) -> str:
    data = bytearray(path.read_bytes())
    bit = int(rng.integers(len(data) * 8))
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    return f"bit {bit}"


def appended(rng: np.random.Generator, path: Path, other: Path) -> str:
    garbage = rng.bytes(int(rng.integers(1, 600)))
    path.write_bytes(path.read_bytes() + garbage)
    return f"{len(garbage)} bytes of garbage"


def zeroed(rng: np.random.Generator, path: Path, other: Path) -> str:
    """As a disk that lost a block."""
    data = bytearray(path.read_bytes())
    first = int(rng.integers(len(data)))
    length = min(len(data) - first, 512)
    data[first : first + length] = bytes(length) if any(data[first : first + length]) else b"\xff" * length
    path.write_bytes(data)
    return f"bytes {first} to {first + length}"


def neighbours(rng: np.random.Generator, path: Path, other: Path) -> str:
    """Another file of the same kind in its place."""
    others = [file for file in sorted(path.parent.iterdir()) if file != path and file.suffix == path.suffix]
    chosen = others[int(rng.integers(len(others)))]
    shutil.copyfile(chosen, path)
    return f"by {chosen.name}"


def swapped(rng: np.random.Generator, path: Path, other: Path) -> str:
    others = [file for file in sorted(path.parent.iterdir()) if file != path and file.suffix == path.suffix]
    chosen = others[int(rng.integers(len(others)))]
    mine, its = path.read_bytes(), chosen.read_bytes()
    path.write_bytes(its)
    chosen.write_bytes(mine)
    return f"with {chosen.name}"


def stale(rng: np.random.Generator, path: Path, other: Path) -> str:
    """The same file of a campaign of another seed."""
    shutil.copyfile(other / path.relative_to(path.parents[1]), path)
    return "of another campaign"


DAMAGES: tuple[Damage, ...] = (truncated, flipped, emptied, appended, zeroed, neighbours, swapped, stale)


class Campaigns:
    """The undisturbed campaign, one of another seed, and one to damage."""

    def __init__(self, folder: Path) -> None:
        self.whole, self.other = campaign(folder / "whole"), campaign(folder / "other", seed=1)
        self.expected = merged(self.whole)
        self.broken = CampaignPaths(folder / "broken")
        self.bytes = {index: self.whole.tile(index).read_bytes() for index in range(TILES)}

    def restore(self) -> CampaignPaths:
        if self.broken.root.exists():
            shutil.rmtree(self.broken.root)
        shutil.copytree(self.whole.root, self.broken.root)
        return self.broken

    def mend(self) -> tuple[list[int], list[int]]:
        """What `run` does: quarantine what does not agree, compute what is missing.

        Returns:
            Tiles that were quarantined or missing, and the step at which each was resumed.
        """
        paths, commits = self.broken, read_commits(self.broken)
        states = {index: diagnose_tile(paths, index, commits) for index in range(TILES)}
        todo = [index for index, (state, _) in states.items() if state is not TileState.DONE]
        if todo:
            with pytest.raises(WorkError, match="cannot be merged"):
                merge_tiles(paths, PLAN, GLOBAL)
        for index in todo:
            if states[index][0] is TileState.CORRUPT:
                assert quarantine(paths, paths.tile(index), states[index][1]) is not None
        return todo, [finish(paths, index)[1] for index in todo]

    def check(self) -> None:
        """After mending, everything is as if nothing had happened."""
        assert {index: self.broken.tile(index).read_bytes() for index in range(TILES)} == self.bytes
        assert merged(self.broken) == self.expected, "merged arrays differ from the undamaged ones"


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory: pytest.TempPathFactory) -> Campaigns:
    return Campaigns(tmp_path_factory.mktemp("campaigns"))


def pick(rng: np.random.Generator, files: list[Path]) -> Path:
    return files[int(rng.integers(len(files)))]


def tile_case(made: Campaigns, damage: Damage, rng: np.random.Generator) -> tuple[str, str]:
    paths = made.restore()
    path = paths.tile(int(rng.integers(TILES)))
    what = damage(rng, path, made.other.root)
    todo, _ = made.mend()
    assert todo, f"{path.name}, {what}: not detected"
    assert len(list(paths.quarantine_dir.iterdir())) == len(todo)
    return f"{path.name} {what}", "found, quarantined, computed again"


def checkpoint_case(made: Campaigns, damage: Damage, rng: np.random.Generator) -> tuple[str, str]:
    """The tile is not committed yet and goes on from what its checkpoints say."""
    paths = made.restore()
    index = int(rng.integers(TILES))
    paths.tile(index).unlink()
    newest = STEPS - 2
    path = pick(rng, [paths.checkpoint(index), paths.checkpoint_previous(index)])
    before = {file: file.read_bytes() for file in paths.checkpoints_dir.iterdir()}
    what = damage(rng, path, made.other.root)
    assert path.read_bytes() != before[path]
    todo, steps = made.mend()
    assert todo == [index]
    assert steps[0] in (newest, newest - 1, 0), f"{path.name} {what}: resumed at step {steps[0]}"
    if path == paths.checkpoint(index):
        assert steps[0] < newest, f"{path.name} {what}: not detected"
    told = {newest: "passed over for the newest", newest - 1: "found, resumed from the other", 0: "found, begun anew"}
    return f"{path.name} {what}", told[steps[0]]


def journal_case(made: Campaigns, damage: Damage, rng: np.random.Generator) -> tuple[str, str]:
    paths = made.restore()
    path = pick(rng, sorted(paths.journals_dir.iterdir()))
    lines = Counter(map(str, read_events(paths.journals_dir)))
    before = read_events(path)
    what = damage(rng, path, made.other.root)
    after = read_events(paths.journals_dir)
    lost = lines - Counter(map(str, after))
    if damage is flipped:
        assert lost.total() <= 1
    if damage in (appended, swapped):
        assert lost.total() == 0, "whole lines were lost"
    assert len(before) >= lost.total()
    todo, _ = made.mend()
    if todo:
        return f"{path.name} {what}", "lines lost, tiles quarantined and computed again"
    return f"{path.name} {what}", "lines lost, no tile in doubt" if lost else "no line lost"


def plan_case(made: Campaigns, damage: Damage, rng: np.random.Generator) -> tuple[str, str]:
    """The tile table and its copy: one damaged is read from the other, both damaged are refused."""
    paths = made.restore()
    whole = read_sealed(paths.plan)
    both = [paths.plan, copy_of(paths.plan)]
    chosen = both if rng.random() < 0.5 else [pick(rng, both)]
    what = []
    for path in chosen:
        if damage in (neighbours, swapped, stale):
            # Its only neighbour is its copy. One of another campaign is whole: the configuration's hash refuses it.
            what.append(truncated(rng, path, path))
        else:
            what.append(damage(rng, path, path))
    if len(chosen) == 2:
        with pytest.raises(WorkError, match=r"plan.*\.json: its checksum"):
            read_sealed(paths.plan)
        write_sealed(paths.plan, whole)
        outcome = "both damaged: refused"
    else:
        outcome = "one damaged: the other is read"
    assert read_sealed(paths.plan) == whole
    return f"{' and '.join(path.name for path in chosen)} {what}", outcome


KINDS = {"tile files": tile_case, "checkpoints": checkpoint_case, "journals": journal_case, "plan": plan_case}


@pytest.mark.parametrize("rounds", [5, pytest.param(32, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", KINDS)
def test_damage(campaigns: Campaigns, record_property: Callable, kind: str, rounds: int) -> None:
    """Each damage in several rounds; a case's seed is in the message of its failure."""
    outcomes: Counter[str] = Counter()
    for damage in DAMAGES:
        for number in range(rounds):
            seed = [list(KINDS).index(kind), DAMAGES.index(damage), number]
            where = f"{kind}, {damage.__name__}, seed {seed}"
            try:
                what, outcome = KINDS[kind](campaigns, damage, np.random.default_rng(seed))
                campaigns.check()
            except (AssertionError, WorkError, InputError) as error:
                raise AssertionError(f"{where}: {error}") from error
            assert what
            outcomes[f"{damage.__name__}: {outcome}"] += 1
    assert outcomes.total() == rounds * len(DAMAGES)
    for outcome, count in sorted(outcomes.items()):
        record_property("faults", f"{kind}, {outcome}: {count}")
