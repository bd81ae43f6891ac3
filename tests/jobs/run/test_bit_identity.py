"""The merged arrays do not depend on how the cells were cut into tiles, nor on the number of workers."""

import shutil
from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import command, differing, merged, succeed, write_campaign

CELLS = 11


def run_in_tiles(folder: Path, cells: int, workers: int = 1) -> Path:
    path = write_campaign(folder, data={"cells": CELLS}, tiles={"cells": cells}, engine={"workers": workers})
    succeed("run", path, "--out", "made", folder=folder, afresh=True)
    root = folder / "made"
    assert len(list((root / "tiles").iterdir())) == -(-CELLS // cells)
    return root


@pytest.fixture(scope="module")
def one_tile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_in_tiles(tmp_path_factory.mktemp("one"), CELLS)


@pytest.mark.parametrize(("cells", "workers"), [(1, 2), (2, 1)])
def test_tiling_and_workers_do_not_matter(one_tile: Path, tmp_path: Path, cells: int, workers: int) -> None:
    cut = run_in_tiles(tmp_path, cells, workers)
    assert differing(merged(one_tile), merged(cut)) == set()
    assert merged(one_tile)["tile"] != merged(cut)["tile"]


def test_another_seed_gives_other_arrays(finished: Path, tmp_path: Path) -> None:
    """The comparison sees what differs."""
    path = write_campaign(tmp_path, campaign={"seed": 1})
    succeed("run", path, "--out", "made", folder=tmp_path)
    assert {"parameters", "loss", "nnse", "loss_trace"} <= differing(merged(finished), merged(tmp_path / "made"))


def test_a_finished_campaign_is_left_as_it_is(finished: Path, tmp_path: Path) -> None:
    finished = Path(shutil.copytree(finished, tmp_path / "made"))
    before = {path: path.stat().st_mtime_ns for path in (finished / "tiles").iterdir()}
    attempts = sorted((finished / "attempts").iterdir())
    product = (finished / "merged.nc").read_bytes()
    done = command("run", finished, folder=finished.parent)
    assert done.returncode == 0
    assert "all 3 tiles are done" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in (finished / "tiles").iterdir()} == before
    assert sorted((finished / "attempts").iterdir()) == attempts
    assert (finished / "merged.nc").read_bytes() == product
