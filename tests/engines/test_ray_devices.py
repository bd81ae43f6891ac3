"""The Ray engine on nodes whose GPUs are lost. Ray is told of GPUs that are not here: it only counts them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phloem.hpc.ray_engine.engine import RayEngine
from phloem.hpc.tasks import Device
from tests.support.engines.killing import descendants
from tests.support.engines.ray_tasks import run, tasks
from tests.support.processes import until

pytest.importorskip("ray", reason="the ray engine needs the package ray")
pytestmark = pytest.mark.engine

HOST = os.uname().nodename


@pytest.fixture(scope="module")
def gpus() -> Iterator[Any]:
    """A cluster of one node with three GPUs."""
    from ray.cluster_utils import Cluster

    before = signal.getsignal(signal.SIGTERM)
    node = {"num_cpus": 3, "num_gpus": 3, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    yield cluster
    cluster.shutdown()
    signal.signal(signal.SIGTERM, before)


def calls(folder: Path, gpu: int) -> int:
    path = folder / f"calls-{gpu}"
    return path.stat().st_size if path.exists() else 0


def test_a_lost_device_is_given_no_more_tasks_by_ray(gpus: Any, tmp_path: Path) -> None:
    """Ray itself would give it to the next task at once."""
    engine = RayEngine(0, address=gpus.address, gpus_per_task=1)
    found = run(engine, tasks("use_gpu", range(12), folder=str(tmp_path), broken=["1"]))
    lost = [outcome for outcome in found.values() if outcome.kind != "done"]
    assert len(found) == 12
    assert [(outcome.error, outcome.device) for outcome in lost] == [("DeviceLost", Device(HOST, "1"))]
    assert lost[0].message == "GPU 1 fell off the bus"
    assert calls(tmp_path, 1) == 1
    assert calls(tmp_path, 0) + calls(tmp_path, 2) == 11
    assert (engine.devices_left, engine.flag.name) == (True, None)
    processes = [outcome.value[1] for outcome in found.values() if outcome.kind == "done"]
    assert len(set(processes)) == 11, "a process of its own for every task with a GPU: none holds another's memory"
    again = run(
        RayEngine(0, address=gpus.address, gpus_per_task=1), tasks("use_gpu", range(9), folder=str(tmp_path), broken=[])
    )
    assert {outcome.kind for outcome in again.values()} == {"done"}
    assert calls(tmp_path, 1) > 1, "the next run has it again"


def test_the_loss_of_every_device_ends_a_run_on_ray(gpus: Any, tmp_path: Path) -> None:
    engine = RayEngine(0, address=gpus.address, gpus_per_task=1)
    found = run(engine, tasks("use_gpu", range(9), folder=str(tmp_path), broken=["0", "1", "2"]))
    assert {outcome.error for outcome in found.values()} == {"DeviceLost"}
    assert [calls(tmp_path, gpu) for gpu in range(3)] == [1, 1, 1]
    assert not engine.devices_left
    assert engine.flag.name is not None
    assert engine.flag.name.startswith("the loss of every device: GPU ")
    until(lambda: not [line for line in descendants(os.getpid()).values() if "ray::attempt" in line], 20)
