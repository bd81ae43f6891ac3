"""Networks trained on SLURM are those that are trained by local workers, to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import succeed
from tests.support.campaigns.network_campaigns import networks, write_training
from tests.support.engines.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.engine


def test_networks_have_the_bits_of_local_ones(slurm: SlurmCluster, tmp_path: Path) -> None:
    succeed("run", write_training(tmp_path / "local"), "--out", "made", folder=tmp_path / "local")
    path = write_training(tmp_path / "slurm", engine={"cpus_per_task": 1, "workers": 0})
    succeed("run", path, "--out", "made", "--engine", "slurm", folder=tmp_path / "slurm")
    slurm.wait_until_empty()
    assert networks(tmp_path / "slurm" / "made") == networks(tmp_path / "local" / "made")
