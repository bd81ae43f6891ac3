"""The merged arrays are the same bits whatever computed them: engine, workers, devices, tile size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from phloem.hpc.mpi_engine import find_launcher
from tests.support.campaigns.campaigns import differing, merged, read_events, succeed, write_campaign

pytestmark = pytest.mark.engine

CELLS, MEMBERS = 7, 2
XLA = 'experiment.backend="xla"'


def write(folder: Path, tile: int = 2, **engine: object) -> Path:
    folder.mkdir(exist_ok=True)
    data, campaign = {"cells": CELLS}, {"members": MEMBERS}
    return write_campaign(folder, data=data, campaign=campaign, tiles={"cells": tile}, engine=engine)


def supervisors(root: Path) -> set[str]:
    """Return who has handed out tiles that were committed."""
    names = {json.loads(path.read_bytes())["worker"] for path in root.glob("attempts/*/*.claim")}
    return {name.rpartition(".")[0] for name in names}


def workers(root: Path) -> set[str]:
    """Return who has computed tiles that were committed."""
    return {json.loads(path.read_bytes())["worker"] for path in root.glob("attempts/*/*.claim")}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The campaign as one tile in one local worker."""
    folder = tmp_path_factory.mktemp("plain")
    succeed("run", write(folder, CELLS), "--out", "made", folder=folder)
    assert len(list((folder / "made/tiles").iterdir())) == 1
    return folder / "made"


def check(plain: Path, root: Path, tiles: int) -> None:
    assert len(list((root / "tiles").iterdir())) == tiles
    assert differing(merged(plain), merged(root)) == set()
    assert not [event for event in read_events(root / "journals") if event["event"] == "ended"]


@pytest.mark.parametrize(("tile", "number"), [(1, 2), (2, 1)])
def test_local(plain: Path, tmp_path: Path, tile: int, number: int) -> None:
    succeed("run", write(tmp_path, tile, workers=number), "--out", "made", folder=tmp_path)
    check(plain, tmp_path / "made", -(-CELLS // tile))
    assert len(workers(tmp_path / "made")) == number


@pytest.fixture(scope="module")
def one_device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The campaign on one device; xla, since the generated C knows no devices."""
    folder = tmp_path_factory.mktemp("one")
    succeed("run", write(folder, CELLS), "--set", XLA, "--out", "made", folder=folder)
    return folder / "made"


@pytest.mark.parametrize("devices", [2, 4])
def test_virtual_devices(one_device: Path, tmp_path: Path, devices: int) -> None:
    """14 lanes on 4 devices: they are padded."""
    succeed("run", write(tmp_path, CELLS, devices=devices), "--set", XLA, "--out", "made", folder=tmp_path)
    check(one_device, tmp_path / "made", 1)


def test_ray(plain: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the ray engine needs the package ray")
    succeed("run", write(tmp_path, workers=2), "--engine", "ray", "--out", "made", folder=tmp_path)
    check(plain, tmp_path / "made", 4)


def by_phloem(path: Path, folder: Path) -> None:
    succeed("run", path, "--engine", "mpi", "--workers", "2", "--out", "made", folder=folder)


def by_mpiexec(path: Path, folder: Path) -> None:
    words = [find_launcher(), "-n", "2", sys.executable, "-m", "mpi4py", "-m", "phloem", "run", path, "--out", "made"]
    done = subprocess.run(words, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("all 4 tiles are done") == 1, "one rank speaks for all"


@pytest.mark.parametrize("way", [by_phloem, by_mpiexec])
def test_mpi(plain: Path, tmp_path: Path, way: Callable[[Path, Path], None]) -> None:
    pytest.importorskip("mpi4py", reason="the mpi engine needs the package mpi4py")
    way(write(tmp_path), tmp_path)
    check(plain, tmp_path / "made", 4)
    assert len(supervisors(tmp_path / "made")) == 2, "both ranks have computed"


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_tiles_of_64_cells(tmp_path: Path) -> None:
    found = {}
    for tile in (1, 7, 64):
        folder = tmp_path / str(tile)
        folder.mkdir()
        sections = {"data": {"cells": 64}, "campaign": {"members": 1}, "optimiser": {"iterations": 5}}
        path = write_campaign(folder, tiles={"cells": tile}, engine={"workers": 2}, **sections)
        succeed("run", path, "--out", "made", folder=folder)
        assert len(list((folder / "made/tiles").iterdir())) == -(-64 // tile)
        found[tile] = merged(folder / "made")
    assert differing(found[1], found[7]) == differing(found[1], found[64]) == set()
