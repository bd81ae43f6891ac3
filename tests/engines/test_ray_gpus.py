"""Tasks of Ray on the GPUs that it is told of: it counts them and shows each task its own."""

from __future__ import annotations

from pathlib import Path

import pytest

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
