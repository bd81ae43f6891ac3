"""Workers of this machine, each on its own one of the GPUs that the run is shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.campaigns.cards import cards_of_workers, differing_numbers, run_on_gpus, write_for_gpus

pytestmark = pytest.mark.engine

HOST = os.uname().nodename


def test_two_workers_compute_on_a_gpu_each_the_numbers_of_cores(on_cores: Path, tmp_path: Path) -> None:
    done = run_on_gpus(write_for_gpus(tmp_path, workers=0, gpus=2), visible="3,GPU-1a")
    assert done.returncode == 0, done.stderr
    found = cards_of_workers(tmp_path / "made")
    assert sorted(found.values(), key=str) == [{f"{HOST}:3"}, {f"{HOST}:GPU-1a"}]
    assert differing_numbers(on_cores, tmp_path / "made") == set()


def test_a_run_that_is_shown_fewer_gpus_than_it_asks_for_is_refused(tmp_path: Path) -> None:
    done = run_on_gpus(write_for_gpus(tmp_path, workers=0, gpus=2), visible="GPU-1a")
    assert done.returncode == 2, done.stderr
    assert f"engine.gpus = 2, and {HOST} shows 1 GPUs (CUDA_VISIBLE_DEVICES=GPU-1a)" in done.stderr
    assert list((tmp_path / "made").glob("tiles/*")) == []
