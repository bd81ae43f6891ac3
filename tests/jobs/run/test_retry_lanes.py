"""Lanes that diverged are packed from many tiles into one batch, go on with new draws, and take their place."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import load_tile
from phloem.jobs.calibration.better_lanes import read_better_lanes
from phloem.jobs.calibration.tile_calibration import MAX_EARLIER_REDRAWS, TileCalibration
from phloem.jobs.campaign.campaign import add_retries, open_campaign
from phloem.jobs.campaign.kind_of_work import Lane
from phloem.jobs.run.retry_lanes import failed_lanes, retry_lanes
from phloem.kernels.optimise.lanes import MAX_REDRAWS
from phloem.names import STATUS
from tests.support.campaigns.campaign_samples import SCHEMA
from tests.support.campaigns.campaigns import count, differing, end, merged, start, succeed, wait_for, write_campaign
from tests.support.campaigns.poison import Poison, lanes, rows, status
from tests.support.processes import children

pytestmark = pytest.mark.engine

DIVERGED = ("--lanes", "--only", "diverged")

SPOILT = [("T000", 0), ("T001", 1), ("T002", 0), ("T002", 1)]
"""Lanes that diverge, in all three tiles; one cell with all its members."""


def poison(folder: Path, below: int) -> Poison:
    """Return what makes the lanes diverge until they have used so many draws."""
    faults = [{"kind": "diverge", "cell": cell, "member": member, "below": below} for cell, member in SPOILT]
    return Poison(folder, faults)


def diverged(folder: Path, below: int = 1, **sections: Any) -> tuple[Path, Poison]:
    """Run a campaign of three tiles in which some lanes diverge."""
    poisoned = poison(folder / "marks", below)
    path = write_campaign(folder, **sections)
    said = succeed("run", path, "--out", "made", folder=folder, **poisoned.environment)
    assert poisoned.done()["diverge"] == len(SPOILT)
    assert f"lanes not to rely on: {len(SPOILT)} diverged" in said
    return folder / "made", poisoned


def alone(root: Path, wanted: list[Lane]) -> dict[str, dict[str, np.ndarray]]:
    """Calibrate some lanes cell by cell, in a process of their own; return the arrays by cell."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(calibrate, root, wanted).result()


def calibrate(root: Path, wanted: list[Lane]) -> dict[str, dict[str, np.ndarray]]:
    campaign, found = open_campaign(root), {}
    for position, planned in enumerate(campaign.cells):
        taken = [lane._replace(unit=0) for lane in wanted if lane.unit == position]
        if taken:
            cells = [campaign.read_unit(planned)]
            near = read_better_lanes(campaign, [planned.name] * len(taken), taken)
            work = TileCalibration(campaign.configuration, cells, taken, near=near)
            while work.running:
                work.advance(1000)
            found[planned.name] = work.arrays()
    return found


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished campaign with diverged lanes; copy it before you change it."""
    return diverged(tmp_path_factory.mktemp("spoilt"))[0]


@pytest.fixture
def copy(spoilt: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(spoilt, tmp_path / "made"))


def test_they_are_mended_in_one_batch(spoilt: Path, copy: Path, finished: Path) -> None:
    before = lanes(copy, "status")
    assert {lane for lane, value in before.items() if value == STATUS["diverged"]} == set(SPOILT)
    assert {lanes(copy, "redraws")[lane] for lane in SPOILT} == {MAX_REDRAWS}
    assert status(copy)["lanes"]["diverged"] == len(SPOILT)

    expected = alone(copy, failed_lanes(open_campaign(copy), [STATUS["diverged"]]))
    said = succeed("retry", copy, *DIVERGED, folder=copy.parent)
    assert f"{len(SPOILT)} lanes are calibrated again" in said
    assert "diverged" not in said
    paths = CampaignPaths(copy)
    assert [path.name for path in sorted(paths.tiles_dir.iterdir())] == [f"tile_{n:05d}.h5" for n in range(4)]
    arrays, _, _ = load_tile(paths, 3, SCHEMA)
    assert arrays["cell"].tolist() == ["T000", "T001", "T002"]
    assert np.count_nonzero(arrays["status"] != STATUS["missing"]) == len(SPOILT)

    retried, redraws = lanes(copy, "retried"), lanes(copy, "redraws")
    assert {lane for lane, tile in retried.items() if tile == 3} == set(SPOILT)
    assert {tile for lane, tile in retried.items() if lane not in SPOILT} == {-1}
    assert all(redraws[lane] > MAX_REDRAWS for lane in SPOILT)
    assert not {lanes(copy, "status")[lane] for lane in SPOILT} & {STATUS["diverged"], STATUS["calibrated"]}
    counted = status(copy)["lanes"]
    assert counted["diverged"] == 0
    assert sum(counted.values()) == 6

    for name in ("loss", "best_loss", "parameters", "nnse", "iterations"):
        now, then = lanes(copy, name), lanes(finished, name)
        for lane in now:
            assert (now[lane].tobytes() == then[lane].tobytes()) is (lane not in SPOILT or name == "iterations"), name
    for name in ("loss", "parameters", "nnse", "redraws"):
        now = lanes(copy, name)
        for cell, member in SPOILT:
            assert now[cell, member].tobytes() == expected[cell][name][0, member].tobytes(), name


def test_with_nothing_failed_there_is_nothing_to_do(copy: Path) -> None:
    assert "lanes are calibrated again" in succeed("retry", copy, *DIVERGED, folder=copy.parent)
    product, tiles = merged(copy), sorted((copy / "tiles").iterdir())
    finished = count(copy, "finished")
    said = succeed("retry", copy, *DIVERGED, folder=copy.parent)
    assert "no lane is left" in said
    assert count(copy, "finished") == finished
    assert sorted((copy / "tiles").iterdir()) == tiles
    assert differing(product, merged(copy), set()) == set()
    assert retry_lanes(open_campaign(copy), [STATUS["diverged"]])[1] == 0


def test_a_second_retry_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    """What diverges again is tried with the draws after those; the results do not depend on how often that was."""
    root, poisoned = diverged(tmp_path, below=2 * (MAX_REDRAWS + 1))
    said = succeed("retry", root, *DIVERGED, folder=tmp_path, **poisoned.environment)
    assert f"{len(SPOILT)} lanes are calibrated again" in said
    assert f"lanes not to rely on: {len(SPOILT)} diverged" in said
    assert poisoned.done()["diverge"] == 2 * len(SPOILT)
    assert status(root)["lanes"]["diverged"] == len(SPOILT)
    used = 2 * MAX_REDRAWS + 1
    assert {lanes(root, "redraws")[lane] for lane in SPOILT} == {used}
    assert {lanes(root, "status")[lane] for lane in SPOILT} == {STATUS["diverged"]}
    expected = alone(root, failed_lanes(open_campaign(root), [STATUS["diverged"]]))
    succeed("retry", root, *DIVERGED, folder=tmp_path)
    assert {lanes(root, "retried")[lane] for lane in SPOILT} == {4}
    assert not {lanes(root, "status")[lane] for lane in SPOILT} & {STATUS["diverged"], STATUS["calibrated"]}
    assert status(root)["lanes"]["diverged"] == 0
    now = lanes(root, "loss")
    assert all(now[cell, member] == expected[cell]["loss"][0, member] for cell, member in SPOILT)


def test_killed_in_the_middle_of_a_batch(tmp_path: Path) -> None:
    """The batch goes on from its checkpoint, with the same lanes, whoever starts it."""
    roots = {}
    for name in ("plain", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        sections = {"optimiser": {"iterations": 3000}, "tiles": {"cells": 3, "checkpoint_minutes": 0.02}}
        roots[name], _ = diverged(folder, **sections)
    succeed("retry", roots["plain"], *DIVERGED, folder=tmp_path)

    root, kills = roots["killed"], 0
    for again in (["retry", root, *DIVERGED], ["run", root], ["retry", root, *DIVERGED]):
        before = count(root, "checkpoint")
        process = start(*again, folder=root.parent)
        try:
            wait_for("a checkpoint of the batch", partial(exceeds, root, before, process))
            if process.poll() is None and not CampaignPaths(root).tile(1).exists():
                for child in children(process.pid):
                    os.kill(child, signal.SIGKILL)
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
        finally:
            end(process)
    assert kills
    assert "no lane is left" in succeed("retry", root, *DIVERGED, folder=tmp_path)
    assert count(root, "resumed") >= kills
    assert len(open_campaign(root).retries) == 1, "a lane stands in one open batch"
    assert differing(merged(roots["plain"]), merged(root)) == set()


def exceeds(root: Path, before: int, process: Any) -> bool:
    return count(root, "checkpoint") > before or process.poll() is not None


def test_out_of_memory_in_jax_halves_the_lanes(tmp_path: Path, finished: Path) -> None:
    """Halved until they fit, the lanes of the tile end with the same bits."""
    poisoned = Poison(tmp_path / "marks", [{"kind": "exhausted", "lanes": 1}])
    path = write_campaign(tmp_path, tiles={"cells": 3})
    succeed("run", path, "--out", "made", folder=tmp_path, **poisoned.environment)
    root = tmp_path / "made"
    assert poisoned.done()["exhausted"] >= 2
    assert count(root, "halved") == poisoned.done()["exhausted"]
    assert differing(merged(finished), merged(root)) == set()


def test_lanes_that_have_used_up_all_draws_stay_as_they_are(copy: Path) -> None:
    """A tile file counts redraws in a byte: a batch that could not be computed would never be done."""
    campaign = open_campaign(copy)
    spent = [lane._replace(redraws=MAX_EARLIER_REDRAWS) for lane in failed_lanes(campaign, [STATUS["diverged"]])]
    assert len(spent) == len(SPOILT)
    add_retries(campaign, [spent])
    below = poison(copy.parent / "marks", MAX_EARLIER_REDRAWS + 1)
    succeed("run", copy, folder=copy.parent, **below.environment)
    assert below.done()["diverge"] == len(SPOILT)
    assert {lane.redraws for lane in failed_lanes(open_campaign(copy), [STATUS["diverged"]])} == {
        MAX_EARLIER_REDRAWS + MAX_REDRAWS + 1
    }
    kept = rows(copy)
    assert "no lane is left" in succeed("retry", copy, *DIVERGED, folder=copy.parent)
    assert rows(copy) == kept
    assert len(open_campaign(copy).retries) == 1
