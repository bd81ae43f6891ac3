"""Jobs on real SLURM that are given GPUs: files which SLURM takes for devices, and the stand-in for NVIDIA's driver."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phloem.hpc.slurm_engine.gpu_requests import most_gpus
from phloem.hpc.tasks import EngineError
from phloem.io.files.journals import read_events
from tests.support.campaigns.campaigns import command, differing, merged, succeed, write_campaign
from tests.support.engines.slurm_cluster import NoSlurm, SlurmCluster
from tests.support.engines.slurm_runs import Run
from tests.support.kernels import stand_in_driver

pytestmark = pytest.mark.engine

GPUS = 4


@pytest.fixture(scope="module")
def one_node() -> Iterator[SlurmCluster]:
    """A cluster of one node with 16 cores and 4 GPUs."""
    try:
        cluster = SlurmCluster.start(nodes=1, cpus=16, gpus=GPUS)
    except NoSlurm as missing:
        pytest.skip(f"no SLURM here: {missing}")
    cluster.enter()
    yield cluster
    cluster.stop()


@pytest.fixture
def jobs(one_node: SlurmCluster, tmp_path: Path) -> Iterator[Run]:
    run = Run.in_folder(one_node, tmp_path)
    yield run
    run.release()
    one_node.say("scancel", "--me")
    one_node.wait_until_empty()


def write_on_gpus(folder: Path, setup: tuple[str, ...] = (), **engine: Any) -> Path:
    """Write a campaign of 6 cells for SLURM whose workers have the stand-in for their driver."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in stand_in_driver.environment().items()]
    table = {"name": "slurm", "workers": 0, "lanes": 64, "walltime": "00:30:00", "setup": [*exports, *setup], **engine}
    return write_campaign(folder, data={"cells": 6}, optimiser={"iterations": 6}, engine=table)


def cards(root: Path) -> list[str]:
    """Return the GPU of each committed tile, as journals tell it."""
    events = [event for event in read_events(root / "journals") if event["event"] == "committed"]
    return [card for event in events for card in event["on"]["cards"]]


@pytest.mark.parametrize(
    "asked", [{"gres": "gpu:2"}, {"gres": "gpu:h200:2"}, {"sbatch": {"gpus-per-task": 2}}, {"sbatch": {"gpus": 2}}]
)
def test_two_jobs_on_one_node_see_different_gpus(jobs: Run, asked: dict[str, Any]) -> None:
    jobs.submit(2, "--hold", **asked)
    seen = [jobs.wait_noted(task)["gpus"] for task in range(2)]
    assert [len(gpus) for gpus in seen] == [2, 2]
    assert {*seen[0], *seen[1]} == {"0", "1", "2", "3"}


def test_a_step_of_srun_sees_the_gpus_of_its_job(jobs: Run) -> None:
    jobs.submit(2, "--hold", gres="gpu:2", use_srun=True)
    seen = [jobs.wait_noted(task)["gpus"] for task in range(2)]
    assert {*seen[0], *seen[1]} == {"0", "1", "2", "3"}


def test_a_job_without_gpus_sees_none_of_the_node(jobs: Run) -> None:
    jobs.submit(1, "--hold")
    assert jobs.wait_noted(0)["gpus"] == []


def test_workers_of_a_campaign_have_a_gpu_each_and_its_last_job_none(one_node: SlurmCluster, tmp_path: Path) -> None:
    path = write_on_gpus(tmp_path, gpus=2, tiles_per_task=3)
    driver = stand_in_driver.environment()
    succeed("run", path, "--out", "made", folder=tmp_path, **driver)
    root = tmp_path / "made"
    used = {card.partition(":")[2] for card in cards(root)}
    assert len(cards(root)) == 6, "one GPU a tile"
    assert len(used) >= 2
    assert used <= {"0", "1", "2", "3"}
    task = (root / "batches/phloem-made-1.sh").read_text()
    assert "--gres=gpu:2" in task
    assert "--cpus-per-task=8" in task
    last = (root / "batches/phloem-made-merge-1.sh").read_text()
    assert "gpu" not in "".join(line for line in last.splitlines() if line.startswith("#SBATCH"))
    alone = tmp_path / "alone"
    alone.mkdir()
    succeed("run", write_campaign(alone, data={"cells": 6}, optimiser={"iterations": 6}), "--out", "made", folder=alone)
    assert differing(merged(alone / "made"), merged(root)) <= {"attributes"}, "the bits of the cpu backend"


def test_uuids_that_a_node_sets_reach_the_workers(one_node: SlurmCluster, tmp_path: Path) -> None:
    """A prolog or a site's `setup` may name GPUs or MIG instances by UUID."""
    shown = "GPU-5c89852c-d268,MIG-8a2c11e0-77f1"
    path = write_on_gpus(tmp_path, (f"export CUDA_VISIBLE_DEVICES={shown}",), gpus=2, tiles_per_task=6)
    succeed("run", path, "--out", "made", folder=tmp_path, **stand_in_driver.environment())
    assert {card.partition(":")[2] for card in cards(tmp_path / "made")} == set(shown.split(","))


def test_more_gpus_than_a_node_has_are_refused_before_anything_is_submitted(
    one_node: SlurmCluster, tmp_path: Path
) -> None:
    path = write_on_gpus(tmp_path, gpus=8)
    before = one_node.squeue()
    done = command("run", path, "--out", "made", folder=tmp_path, **stand_in_driver.environment())
    assert done.returncode == 2
    assert "engine.gpus = 8 asks SLURM for 8 GPUs a task, and the node of this cluster with most GPUs has 4" in done.stderr
    assert one_node.squeue() == before
    assert not list((tmp_path / "made").glob("batches/round-*"))


def test_nodes_that_show_fewer_gpus_than_asked_for_end_the_task_with_numbers(
    one_node: SlurmCluster, tmp_path: Path
) -> None:
    path = write_on_gpus(tmp_path, ("export CUDA_VISIBLE_DEVICES=3",), gpus=2, tiles_per_task=6)
    done = command("run", path, "--out", "made", folder=tmp_path, **stand_in_driver.environment())
    assert done.returncode == 1
    assert "ended without computing anything" in done.stderr
    said = "".join(log.read_text() for log in (tmp_path / "made/batches").glob("slurm-*.log"))
    assert "worker 1 would have GPUs 1 to 1 of 1 (CUDA_VISIBLE_DEVICES=3)" in said


def test_gpus_of_nodes_are_asked_of_the_controller(one_node: SlurmCluster) -> None:
    assert most_gpus() == most_gpus("main") == most_gpus("main,urgent") == GPUS
    with pytest.raises(EngineError):
        most_gpus("nowhere")
