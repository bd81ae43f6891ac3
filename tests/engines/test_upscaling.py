"""Models of fluxes that are fitted and applied on Ray, MPI and SLURM are those of local workers, to the bit."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
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


@pytest.fixture(scope="module")
def applied(local: Path) -> Path:
    out = local.parent / "local.nc"
    succeed("apply", local, "--drivers", local / "towers.nc", "--out", out, folder=local.parent)
    return out


def _fluxes(path: Path) -> dict[str, bytes]:
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        return {name: np.asarray(variable[...]).tobytes() for name, variable in file.variables.items()}


@pytest.mark.parametrize("engine", ["ray", "mpi"])
def test_maps_have_the_bits_of_local_ones(local: Path, applied: Path, tmp_path: Path, engine: str) -> None:
    words = [
        "apply",
        local,
        "--drivers",
        local / "towers.nc",
        "--out",
        "fluxes.nc",
        "--engine",
        engine,
        "--workers",
        "2",
    ]
    succeed(*words, folder=tmp_path)
    assert _fluxes(tmp_path / "fluxes.nc") == _fluxes(applied)


def test_maps_of_slurm_have_the_bits_of_local_ones(
    local: Path, applied: Path, slurm: SlurmCluster, tmp_path: Path
) -> None:
    drivers = ["--drivers", local / "towers.nc", "--out", "fluxes.nc", "--engine", "slurm"]
    succeed("apply", local, *drivers, "--set", "engine.cpus_per_task=1", folder=tmp_path)
    slurm.wait_until_empty()
    assert _fluxes(tmp_path / "fluxes.nc") == _fluxes(applied)


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
