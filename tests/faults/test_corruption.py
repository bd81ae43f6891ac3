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

from phloem.errors import WorkError
from phloem.io.campaign.attempts import holder
from phloem.io.campaign.checkpoints import load_checkpoint, save_checkpoint
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import TileState, diagnose_tile, quarantine, read_commits, write_tile
from phloem.io.files.journals import read_events
from phloem.io.merge.write_merged import merge_tiles
from tests.support.campaigns.campaign_samples import ATTRIBUTES, SCHEMA, TABLES, cells_of, tile_arrays
from tests.support.campaigns.claims import claim_next
from tests.support.faults.damages import DAMAGES, Damage, appended, flipped, neighbours, swapped
from tests.support.faults.operations import GLOBAL

TILES, STEPS = 6, 8
PLAN = [cells_of(index) for index in range(TILES)]


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
    attempt = claim_next(paths, index, worker)
    for now in range(step, STEPS - 2):
        state = step_on(state, 1)
        arrays = {"state": state, "step": np.array(now + 1)}
        save_checkpoint(paths, index, arrays, {"fingerprint": fingerprint(seed, index)})
    state = step_on(state, STEPS - max(step, STEPS - 2))
    arrays = tile_arrays(PLAN[index], salt=seed)
    arrays["loss_terms"] = state[: arrays["loss_terms"].size].reshape(arrays["loss_terms"].shape)
    return write_tile(paths, index, attempt, SCHEMA, arrays, {**ATTRIBUTES, "seed": seed}, worker=worker.worker), step


def merged(paths: CampaignPaths) -> dict[str, Any]:
    """All arrays of the product, apart from which attempt they come from."""
    with netCDF4.Dataset(merge_tiles(paths, PLAN, TABLES, GLOBAL)) as file:
        file.set_auto_mask(False)
        arrays = {name: np.asarray(variable[...]) for name, variable in file.variables.items() if name != "attempt"}
    return {name: a.tolist() if a.dtype.kind in "OUS" else a.tobytes() for name, a in arrays.items()}


def campaign(root: Path, seed: int = 0) -> CampaignPaths:
    """A campaign whose tiles are committed, and whose checkpoints are still there."""
    paths = CampaignPaths(root).make()
    for index in range(TILES):
        finish(paths, index, seed)
    return paths


class Campaigns:
    """The undisturbed campaign, one of another seed, and one to damage."""

    def __init__(self, folder: Path) -> None:
        self.whole, self.other = campaign(folder / "whole"), campaign(folder / "other", seed=1)
        self.expected = merged(self.whole)
        self.broken = CampaignPaths(folder / "broken")
        self.bytes = {index: self.whole.tile(index).read_bytes() for index in range(TILES)}

    def twin(self, path: Path) -> Path:
        """The same file of the other campaign."""
        return self.other.root / path.relative_to(self.broken.root)

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
                merge_tiles(paths, PLAN, TABLES, GLOBAL)
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
    what = damage(rng, path, made.twin(path))
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
    generations = [paths.checkpoint(index), paths.checkpoint_previous(index)]
    files = [generations[:1], generations[1:], generations][int(rng.integers(3))]
    before = {file: file.read_bytes() for file in files}
    what = [damage(rng, file, made.twin(file)) for file in files]
    assert damage is swapped or all(file.read_bytes() != data for file, data in before.items())
    todo, steps = made.mend()
    assert todo == [index]
    told = {newest: "passed over for the newest", newest - 1: "found, resumed from the other", 0: "found, begun anew"}
    where = f"{[file.name for file in files]} {what}"
    assert steps[0] in told, f"{where}: resumed at step {steps[0]}"
    if files == generations[1:]:
        assert steps[0] == newest or damage is swapped, where
    elif damage not in (swapped, neighbours):
        assert steps[0] == (newest - 1 if len(files) == 1 else 0), f"{where}: resumed at step {steps[0]}"
    return where, told[steps[0]]


def journal_case(made: Campaigns, damage: Damage, rng: np.random.Generator) -> tuple[str, str]:
    paths = made.restore()
    path = pick(rng, sorted(paths.journals_dir.iterdir()))
    lines = Counter(map(str, read_events(paths.journals_dir)))
    before = read_events(path)
    what = damage(rng, path, made.twin(path))
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


KINDS = {"tile files": tile_case, "checkpoints": checkpoint_case, "journals": journal_case}


@pytest.mark.parametrize("rounds", [6, pytest.param(40, marks=pytest.mark.soak)])
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
            except (AssertionError, WorkError) as error:
                raise AssertionError(f"{where}: {error}") from error
            assert what
            outcomes[f"{damage.__name__}: {outcome}"] += 1
    assert outcomes.total() == rounds * len(DAMAGES)
    for outcome, count in sorted(outcomes.items()):
        record_property("faults", f"{kind}, {outcome}: {count}")
