"""Networks trained on Ray, on MPI and on SLURM are those that are trained in this process, to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import succeed
from tests.support.campaigns.network_campaigns import networks, write_training
from tests.support.engines.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    succeed("run", write_training(folder), "--out", "made", folder=folder)
    return folder / "made"


@pytest.mark.parametrize("engine", ["ray", "mpi"])
def test_networks_have_the_bits_of_local_ones(local: Path, tmp_path: Path, engine: str) -> None:
    path = write_training(tmp_path, tiles={"cells": 2}, engine={"workers": 2})
    succeed("run", path, "--out", "made", "--engine", engine, folder=tmp_path)
    assert networks(tmp_path / "made") == networks(local)


def test_networks_of_slurm_have_the_bits_of_local_ones(slurm: SlurmCluster, local: Path, tmp_path: Path) -> None:
    path = write_training(tmp_path, engine={"cpus_per_task": 1, "workers": 0})
    succeed("run", path, "--out", "made", "--engine", "slurm", folder=tmp_path)
    slurm.wait_until_empty()
    assert networks(tmp_path / "made") == networks(local)
