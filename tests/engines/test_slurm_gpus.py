"""Batch jobs on nodes with GPUs: SLURM is told of files that stand for them, and shows each job its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.campaigns.cards import cards_of_workers, differing_numbers, run_on_gpus, write_for_gpus
from tests.support.engines.slurm_cluster import SlurmCluster, entered_cluster

pytestmark = pytest.mark.engine

EACH = 4
"""GPUs of a node."""

BATCH = {"name": "slurm", "workers": 0, "tiles_per_task": 3, "walltime": "00:20:00"}


@pytest.fixture(scope="module")
def gpu_nodes() -> Iterator[SlurmCluster]:
    """A cluster of one node with 16 cores and 4 GPUs."""
    with entered_cluster(nodes=1, cpus=16, gpus=EACH) as cluster:
        yield cluster


def test_two_jobs_on_a_node_are_shown_different_gpus(gpu_nodes: SlurmCluster, tmp_path: Path) -> None:
    for name in ("one", "two"):
        words = ["--gres=gpu:2", "--cpus-per-task=1", f"--output={tmp_path / name}", "--parsable"]
        wait = f"until [ -e {tmp_path}/one ] && [ -e {tmp_path}/two ]; do sleep 0.1; done"
        gpu_nodes.say("sbatch", *words, f"--wrap=echo $CUDA_VISIBLE_DEVICES; {wait}")
    gpu_nodes.wait_until_empty()
    assert {(tmp_path / name).read_text() for name in ("one", "two")} == {"0,1\n", "2,3\n"}


def test_each_worker_of_a_job_computes_on_its_own_gpu(gpu_nodes: SlurmCluster, on_cores: Path, tmp_path: Path) -> None:
    done = run_on_gpus(write_for_gpus(tmp_path, **BATCH, gpus=2), visible="")
    assert done.returncode == 0, done.stderr
    root = tmp_path / "made"
    found = cards_of_workers(root)
    assert all(len(cards) == 1 for cards in found.values()), found
    assert set.union(*found.values()) <= {f"n1:{gpu}" for gpu in range(EACH)}
    assert len(set.union(*found.values())) >= 2, found
    assert differing_numbers(on_cores, root) == set()


def test_a_job_has_four_cores_a_worker(gpu_nodes: SlurmCluster, tmp_path: Path) -> None:
    path = write_for_gpus(tmp_path, **BATCH, gpus=2)
    done = run_on_gpus(path, "--detach", visible="")
    try:
        assert done.returncode == 0, done.stderr
        asked = gpu_nodes.say("squeue", "-h", "-t", "all", "-n", "phloem-made", "-o", "%C %b").splitlines()
        assert "8 gres:gpu:2" in asked, asked
    finally:
        gpu_nodes.say("scancel", "--me")
        gpu_nodes.wait_until_empty()


def test_more_gpus_than_a_node_has_are_refused_at_submission(gpu_nodes: SlurmCluster, tmp_path: Path) -> None:
    done = run_on_gpus(write_for_gpus(tmp_path, **BATCH, gpus=2 * EACH, cpus_per_task=2), visible="")
    assert done.returncode != 0
    assert "tasks are of one node each" in done.stderr
    assert "8" in done.stderr
    assert "4 (sinfo -o %G)" in done.stderr
    assert "engine.gpus" in done.stderr
    assert "Traceback" not in done.stderr
    assert not {"PENDING", "RUNNING"} & set(gpu_nodes.squeue().values()), "nothing waits for ever"
    assert not list((tmp_path / "made").glob("batches/round-*.claim"))
