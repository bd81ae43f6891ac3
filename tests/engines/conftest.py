"""Fixtures of the engines' tests: what they bring up is shared and taken down again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.campaigns.campaigns import OFTEN, succeed, write_campaign
from tests.support.campaigns.cards import write_for_gpus
from tests.support.engines.killing import RayNodes
from tests.support.engines.slurm_campaigns import Planned, Trial, write_trial
from tests.support.engines.slurm_cluster import SlurmCluster, entered_cluster
from tests.support.engines.slurm_runs import Run


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmCluster]:
    """A SLURM cluster of 3 nodes with 4 cores each, arrays of at most 11 tasks; SLURM_CONF is set."""
    with entered_cluster(nodes=3, cpus=4, array_size=11) as cluster:
        yield cluster


@pytest.fixture
def slurm_run(slurm: SlurmCluster, tmp_path: Path) -> Iterator[Run]:
    """A run on the cluster; afterwards its tasks are let go or cancelled, and the queue is empty."""
    run = Run.in_folder(slurm, tmp_path)
    yield run
    run.release()
    slurm.say("scancel", "--me")
    slurm.wait_until_empty()


@pytest.fixture(scope="module")
def machines() -> Iterator[SlurmCluster]:
    """A cluster of 3 nodes with 2 cores each, whose processes do not see each other."""
    with entered_cluster(nodes=3, cpus=2, machines=True) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def undisturbed(machines: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same campaign on the local engine, undisturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    succeed("run", write_trial(folder), "--out", "made", folder=folder, afresh=True)
    return folder / "made"


@pytest.fixture
def planned(machines: SlurmCluster, undisturbed: Path, tmp_path: Path) -> Iterator[Planned]:
    """Plans a campaign on the cluster; afterwards nothing of it is left, and all nodes are there."""
    trials = []

    def plan(name: str = "trial", **engine: Any) -> Trial:
        trials.append(Trial.planned(machines, tmp_path / name, undisturbed, **engine))
        return trials[-1]

    yield plan
    machines.start_controller()
    for trial in trials:
        trial.stop()
    machines.say("scancel", "--me")
    machines.wait_until_empty()
    for node, state in machines.node_states().items():
        if state.startswith("drain"):
            machines.say("scontrol", "update", f"NodeName={node}", "State=RESUME")
        elif not state.startswith(("idle", "mixed", "allocated")):
            machines.restart_node(node)


@pytest.fixture(scope="module")
def ray_nodes() -> Iterator[RayNodes]:
    """A Ray cluster of three nodes, of which one computes nothing."""
    nodes = RayNodes()
    yield nodes
    nodes.cluster.shutdown()


@pytest.fixture(scope="session")
def four_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a campaign of 4 tiles, two at a time, each long enough to be hit while it runs."""
    return write_campaign(
        tmp_path_factory.mktemp("four"),
        data={"cells": 4},
        optimiser={"iterations": 8000},
        tiles={"cells": 1, "checkpoint_minutes": OFTEN},
        engine={"workers": 2},
    )


@pytest.fixture(scope="session")
def four(four_file: Path) -> Path:
    """The campaign of 4 tiles, run without a disturbance on the local engine."""
    succeed("run", four_file, "--out", "made", folder=four_file.parent, afresh=True)
    return four_file.parent / "made"


@pytest.fixture
def four_planned(four_file: Path, tmp_path: Path) -> Path:
    """The campaign of 4 tiles, planned and not yet run."""
    succeed("plan", four_file, "--out", tmp_path / "made", folder=tmp_path)
    return tmp_path / "made"


@pytest.fixture(scope="session")
def on_cores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The campaign that the tests run on GPUs, computed by the cpu backend."""
    path = write_for_gpus(tmp_path_factory.mktemp("cores"), workers=2)
    succeed("run", path, "--out", "made", "--set", 'experiment.backend="cpu"', folder=path.parent, afresh=True)
    return path.parent / "made"
