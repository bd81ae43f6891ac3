"""`phloem normalise`: right, the same bits however it is spread, and no half work when a process is lost."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from phloem.io.drivers.tower_files import read_tower
from phloem.jobs.campaign.campaign import open_campaign
from phloem.names import FORCING, STREAMS
from tests.support.campaigns.campaigns import PHLOEM, command, end, start, succeed, wait_for, write_campaign
from tests.support.processes import alive

NAMES = (*FORCING, *STREAMS)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planned campaign of three cells; copy it before you change it."""
    folder = tmp_path_factory.mktemp("synthetic")
    succeed("plan", write_campaign(folder), "--out", "made", folder=folder)
    return folder / "made"


@pytest.fixture
def campaign(synthetic: Path, tmp_path: Path) -> Path:
    shutil.copytree(synthetic, tmp_path / "made")
    return tmp_path / "made"


def read(root: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with netCDF4.Dataset(root / "normalisation.nc") as file:
        file.set_auto_mask(False)
        return {name: np.asarray(variable[:]) for name, variable in file.variables.items()}, dict(file.__dict__)


def check(root: Path) -> None:
    """Compare a product with numpy's float64, series by series put together."""
    opened = open_campaign(root)
    cells = [read_tower(root / cell.source, quality=opened.configuration.data.quality) for cell in opened.cells]
    found, attributes = read(root)
    assert found["variable"].tolist() == list(NAMES)
    assert found["variable_units"].tolist()[:4] == ["degC", "degC", "MJ m-2 d-1", "ppm"]
    for row, name in enumerate(NAMES):
        every = np.concatenate([{**cell.forcing, **cell.observations}[name] for cell in cells])
        seen = every[~np.isnan(every)]
        assert found["count"][row] == len(seen) > 0
        assert found["mean"][row] == pytest.approx(np.mean(seen), rel=1e-12)
        assert found["mean"][row] == pytest.approx(math.fsum(seen) / len(seen), rel=3e-16)
        assert found["standard_deviation"][row] == pytest.approx(np.std(seen), rel=1e-11)
        assert (found["minimum"][row], found["maximum"][row]) == (seen.min(), seen.max())
    assert attributes["configuration_hash"] == opened.configuration.fingerprint()
    assert attributes["version"] == opened.version
    assert attributes["cells"] == len(cells)
    assert attributes["Conventions"].startswith("CF-")


def test_one_process_and_one_device(campaign: Path) -> None:
    shown = succeed("normalise", campaign, folder=campaign.parent)
    check(campaign)
    assert [line.split()[0] for line in shown.splitlines()] == ["variable", *NAMES]
    assert sorted(path.name for path in campaign.glob("*.nc*")) == ["normalisation.nc"]


@pytest.mark.engine
def test_real_towers_to_the_bit(data_dir: Path, tmp_path: Path) -> None:
    """11 towers over 2 processes of 4 devices, unevenly, as over one."""
    path = write_campaign(tmp_path, data={"kind": "tower", "path": str(data_dir / "fluxnet_daily")})
    succeed("plan", path, "--out", "made", folder=tmp_path)
    root = tmp_path / "made"
    succeed("normalise", root, folder=tmp_path)
    check(root)
    alone = (root / "normalisation.nc").read_bytes()
    assert (read(root)[0]["count"] > 25_000).all()
    (root / "normalisation.nc").unlink()
    told = json.loads(succeed("normalise", root, "--processes", 2, "--devices", 4, "--json", folder=tmp_path))
    assert (root / "normalisation.nc").read_bytes() == alone
    found, _ = read(root)
    for row, name in enumerate(NAMES):
        assert told["variables"][name]["standard_deviation"] == found["standard_deviation"][row]


@pytest.mark.engine
def test_more_processes_than_cells_and_mpiexec(campaign: Path) -> None:
    succeed("normalise", campaign, "--devices", 2, folder=campaign.parent)
    check(campaign)
    alone = (campaign / "normalisation.nc").read_bytes()
    (campaign / "normalisation.nc").unlink()
    succeed("normalise", campaign, "--processes", 4, folder=campaign.parent)
    assert (campaign / "normalisation.nc").read_bytes() == alone
    mpiexec = Path(sys.executable).with_name("mpiexec")
    if not mpiexec.exists():
        pytest.skip("no mpiexec beside this Python (pip install 'phloem[mpi]'); the rest passed")
    (campaign / "normalisation.nc").unlink()
    done = run_ranks(mpiexec, campaign)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + len(NAMES), "one rank alone prints the table"
    assert (campaign / "normalisation.nc").read_bytes() == alone
    done = run_ranks(mpiexec, campaign, "--processes", "3")
    assert done.returncode == 2
    assert "--processes 3, but this is process" in done.stderr


def run_ranks(mpiexec: Path, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [str(mpiexec), "-n", "2", str(PHLOEM), "normalise", str(root), *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=300)


def damage(root: Path, cells: tuple[int, ...]) -> list[Path]:
    """Change the driver files of some cells; return them."""
    paths = [root / open_campaign(root).cells[cell].source for cell in cells]
    for path in paths:
        path.write_bytes(path.read_bytes()[:-1])
    return paths


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.engine)])
def test_a_bad_cell_is_one_clear_error(campaign: Path, processes: int) -> None:
    """The first of two, whichever process met it; the old product stays."""
    old = campaign / "normalisation.nc"
    old.write_bytes(b"old")
    first, _ = damage(campaign, (1, 2))
    before = sorted(campaign.rglob("*"))
    done = command("normalise", campaign, "--processes", processes, folder=campaign.parent)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("phloem: ")]
    assert len(lines) == 1
    assert str(first) in lines[0]
    assert "Traceback" not in done.stderr
    assert "Check failure" not in done.stderr
    assert old.read_bytes() == b"old"
    assert sorted(campaign.rglob("*")) == before


def test_wrong_use(tmp_path: Path, campaign: Path) -> None:
    for arguments, part in (
        ((tmp_path / "nothing",), "no campaign here"),
        ((campaign, "--processes", 0), "--processes"),
        ((campaign, "--devices", 0), "--devices"),
    ):
        done = command("normalise", *arguments, folder=tmp_path)
        assert done.returncode == 2
        assert part in done.stderr
        assert "Traceback" not in done.stderr


class Held:
    """A campaign whose second cell cannot be read to its end: its process is caught in the middle of its work."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fifo = root / open_campaign(root).cells[1].source
        self.fifo.unlink()
        os.mkfifo(self.fifo)
        self.writer: int | None = None

    def caught(self) -> bool:
        """Whether a process reads the cell; from then on it waits for what never comes."""
        try:
            self.writer = os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        return True

    def ranks(self, parent: int) -> dict[int, int]:
        """Process ids of the job's processes, by rank."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    variables = dict(
                        text.partition("=")[::2] for text in (entry / "environ").read_text().split("\0") if text
                    )
                    found[int(variables["PHLOEM_PROCESS_RANK"])] = int(entry.name)
            except (OSError, ValueError, KeyError, IndexError):
                continue
        return found


@pytest.fixture
def held(campaign: Path) -> Iterator[Held]:
    holding = Held(campaign)
    yield holding
    if holding.writer is not None:
        os.close(holding.writer)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("whom", "number"),
    [(1, signal.SIGKILL), (0, signal.SIGKILL), (None, signal.SIGKILL), (None, signal.SIGTERM), (None, signal.SIGINT)],
    ids=["reader", "process 0", "parent", "parent TERM", "parent INT"],
)
def test_killed_in_the_middle(held: Held, whom: int | None, number: signal.Signals) -> None:
    """The command fails and says so, leaves no file, and no process."""
    folder = held.root.parent
    before = sorted(held.root.rglob("*"))
    process = start("normalise", held.root, "--processes", 2, "--devices", 4, folder=folder)
    hits = 0
    try:
        wait_for("process 1 in the middle of a cell", held.caught)
        ranks = held.ranks(process.pid)
        assert sorted(ranks) == [0, 1]
        assert all(map(alive, ranks.values()))
        os.kill(process.pid if whom is None else ranks[whom], number)
        hits += 1
        status = process.wait(120)
    finally:
        end(process)
    wait_for("the end of all processes", lambda: not any(map(alive, ranks.values())), 20)
    said = (folder / "stderr").read_text()
    assert hits == 1
    if whom is None and number == signal.SIGKILL:
        assert status == -signal.SIGKILL
    else:
        assert status == 1
        told = f"stopped by {number.name}" if whom is None else f"process {whom} of 2"
        assert told in said
        assert number.name in said
    assert "Traceback" not in said
    assert sorted(held.root.rglob("*")) == before
