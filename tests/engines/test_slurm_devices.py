"""A campaign on real SLURM that meets a node whose device is lost: its worker raises what JAX would."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from phloem.io.files.journals import read_events
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.run.slurm.rounds import bad_nodes
from tests.support.campaigns.campaigns import failures, succeed, write_campaign
from tests.support.campaigns.poison import Poison
from tests.support.engines.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.engine

ECC = "INTERNAL: CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered"


def test_a_node_whose_devices_are_lost_is_left_out_by_tasks_that_wait(slurm: SlurmCluster, tmp_path: Path) -> None:
    """Its task ends at once: without that every task that waits would come there next."""
    bad = sorted(slurm.node_states())[0]
    poison = Poison(tmp_path / "marks", [{"kind": "device", "node": bad, "after": 0, "text": ECC}])
    exports = [f"export {name}={shlex.quote(value)}" for name, value in poison.environment.items()]
    engine = {"name": "slurm", "cpus_per_task": 4, "workers": 1, "tiles_per_task": 1, "setup": exports}
    path = write_campaign(tmp_path, data={"cells": 8}, engine=engine)
    succeed("plan", path, "--out", "made", "--rate", "10", folder=tmp_path)
    root = tmp_path / "made"
    succeed("run", root, folder=tmp_path)
    ended = failures(root)
    assert {(event["class"], event["host"]) for event in ended} == {("device lost", bad)}
    assert len(ended) == 1, "no other task came to the node"
    none_left = [event for event in read_events(root / "journals") if event["event"] == "no device left"]
    assert [event["host"] for event in none_left] == [bad]
    assert bad_nodes(open_campaign(root)) == [bad]
    said = "".join(path.read_text() for path in (root / "batches").glob("slurm-*.log"))
    assert f"node {bad} or its GPUs were lost" in said
