"""`phloem simulate DIR` on Ray, on MPI and on SLURM writes the bytes that it writes in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import succeed, write_campaign
from tests.support.engines.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.engine


def test_engines_write_the_same_file(tmp_path: Path) -> None:
    succeed("run", write_campaign(tmp_path), "--out", "made", folder=tmp_path)
    for engine in ("local", "ray", "mpi"):
        more = ["--engine", engine, "--workers", "2"]
        said = succeed("simulate", "made", "--out", f"{engine}.nc", "--what", "monthly", *more, folder=tmp_path)
        assert said.strip().endswith(f"{engine}.nc")
        assert not list(tmp_path.glob(f"{engine}.nc.*")), "parts are left"
    local = (tmp_path / "local.nc").read_bytes()
    for engine in ("ray", "mpi"):
        assert (tmp_path / f"{engine}.nc").read_bytes() == local, engine


def test_slurm_writes_the_same_file(slurm: SlurmCluster, tmp_path: Path) -> None:
    """Submitted, watched and fetched by the one command, as a user would."""
    succeed("run", write_campaign(tmp_path, engine={"cpus_per_task": 1}), "--out", "made", folder=tmp_path)
    choices = ["--what", "monthly", "--cells", "T002,T000", "--years", "2001"]
    succeed("simulate", "made", "--out", "here.nc", *choices, folder=tmp_path)
    said = succeed("simulate", "made", "--out", "there.nc", *choices, "--engine", "slurm", folder=tmp_path)
    slurm.wait_until_empty()
    assert said.strip().endswith("there.nc")
    assert (tmp_path / "there.nc").read_bytes() == (tmp_path / "here.nc").read_bytes()
    assert not list(tmp_path.glob("there.nc.*")), "parts are left"
