"""File systems that refuse locks or the loading of libraries: the program does without, and doctor says so."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import netCDF4
import pytest

from tests.support.campaigns.campaigns import command, write_campaign
from tests.support.faults.shim import HERE, build

pytestmark = pytest.mark.engine

DVS = 524
"""ENOTSUPP, which Cray's DVS and some NFS give."""


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> str:
    library = build(tmp_path_factory.mktemp("refusals"), HERE / "refusals.c")
    if library is None:
        pytest.skip("needs Linux and a C compiler")
    return str(library)


@pytest.mark.parametrize("code", [errno.ENOLCK, DVS, errno.EROFS])
def test_hdf5_would_refuse_files_that_cannot_be_locked(refusals: str, tmp_path: Path, code: int) -> None:
    """That locks matter here at all: without the program's switch the library does not open a file."""
    netCDF4.Dataset(tmp_path / "made.nc", "w").close()
    text = "import {}netCDF4; netCDF4.Dataset('made.nc').close()"
    environment = {"LD_PRELOAD": refusals, "REFUSED_LOCK": str(code), "PATH": "/usr/bin:/bin"}
    for before, works in (("", False), ("phloem, ", True)):
        words = [sys.executable, "-c", text.format(before)]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (done.returncode == 0) == works, done.stderr


def test_a_campaign_without_locks(refusals: str, tmp_path: Path) -> None:
    write_campaign(tmp_path, optimiser={"name": "adam", "iterations": 20, "sharpness_iterations": 10})
    refused = {"LD_PRELOAD": refusals, "REFUSED_LOCK": str(errno.ENOLCK)}
    done = command("run", "made.toml", "--out", "made", folder=tmp_path, afresh=True, **refused)
    assert done.returncode == 0, done.stderr
    shown = command("report", "made", "--as-is", folder=tmp_path, afresh=True, **refused)
    assert shown.returncode == 0, shown.stderr
    said = command("doctor", folder=tmp_path, afresh=True, **refused)
    assert "no locks: start one ingest at a time" in said.stdout


def test_a_cache_from_which_nothing_is_loaded(refusals: str, tmp_path: Path) -> None:
    write_campaign(tmp_path, optimiser={"name": "adam", "iterations": 20, "sharpness_iterations": 10})
    cache = tmp_path / "cache"
    refused = {"LD_PRELOAD": refusals, "REFUSED_LOADS": str(cache), "PHLOEM_CACHE": str(cache)}
    done = command("run", "made.toml", "--out", "made", folder=tmp_path, afresh=True, **refused)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made/merged.nc").is_file()
    assert "set PHLOEM_CACHE to a usable folder" in done.stderr + "".join(
        path.read_text() for path in (tmp_path / "made/logs").rglob("*") if path.is_file()
    )
