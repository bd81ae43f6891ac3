"""Models of fluxes that are fitted on Ray, MPI and SLURM are those that local workers fit, to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import succeed
from tests.support.campaigns.upscaling_campaigns import upscaled, write_upscaling
from tests.support.engines.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    succeed("run", write_upscaling(folder), "--out", "made", folder=folder)
    return folder / "made"


@pytest.mark.parametrize("engine", ["ray", "mpi"])
def test_models_have_the_bits_of_local_ones(local: Path, tmp_path: Path, engine: str) -> None:
    path = write_upscaling(tmp_path, tiles={"cells": 9}, engine={"workers": 2})
    succeed("run", path, "--out", "made", "--engine", engine, folder=tmp_path)
    assert upscaled(tmp_path / "made") == upscaled(local)


def test_models_of_slurm_have_the_bits_of_local_ones(local: Path, slurm: SlurmCluster, tmp_path: Path) -> None:
    path = write_upscaling(tmp_path, engine={"cpus_per_task": 1, "workers": 0})
    succeed("run", path, "--out", "made", "--engine", "slurm", folder=tmp_path)
    slurm.wait_until_empty()
    assert upscaled(tmp_path / "made") == upscaled(local)
