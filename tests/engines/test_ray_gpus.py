"""Tasks of Ray on the GPUs that it is told of: it counts them and shows each task its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from phloem.hpc.ray_engine.engine import RayEngine
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.run.execute import choose_engine
from tests.support.campaigns.cards import cards_of_workers, differing_numbers, run_on_gpus, write_for_gpus

pytest.importorskip("ray", reason="the ray engine needs the package ray")
pytestmark = pytest.mark.engine


def test_ray_shows_each_task_a_gpu_and_the_numbers_are_those_of_cores(on_cores: Path, tmp_path: Path) -> None:
    path = write_for_gpus(tmp_path, name="ray", workers=0, gpus=2)
    done = run_on_gpus(path, visible="3,GPU-1a")
    assert done.returncode == 0, done.stderr
    found = cards_of_workers(tmp_path / "made").values()
    assert {card.partition(":")[2] for cards in found for card in cards} == {"3", "GPU-1a"}
    assert all(len(cards) == 1 for cards in found)
    assert differing_numbers(on_cores, tmp_path / "made") == set()


def test_a_ray_of_its_own_with_too_few_gpus_is_refused_before_it_starts(tmp_path: Path) -> None:
    done = run_on_gpus(write_for_gpus(tmp_path, name="ray", workers=0, gpus=2), visible="3")
    assert done.returncode == 2, done.stderr
    assert "engine.gpus = 2, and " in done.stderr
    assert list((tmp_path / "made").glob("tiles/*")) == []


def test_a_worker_a_gpu_is_asked_of_ray_however_few_the_cores(tmp_path: Path) -> None:
    path = write_for_gpus(tmp_path, name="ray", workers=0, gpus=64, devices=2)
    engine = choose_engine(open_or_plan(path, tmp_path / "made", []), 0)
    assert isinstance(engine, RayEngine)
    assert (engine.workers, engine.gpus_per_task) == (32, 2)
