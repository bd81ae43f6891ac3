"""Networks trained on Ray and on MPI are those that are trained by local workers, to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import succeed
from tests.support.campaigns.network_campaigns import networks, write_training

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
