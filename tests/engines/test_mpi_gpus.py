"""Ranks of an MPI world on the GPUs of their machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.campaigns.cards import cards_of_workers, differing_numbers, run_on_gpus, write_for_gpus

pytest.importorskip("mpi4py", reason="the mpi engine needs the package mpi4py")
pytestmark = pytest.mark.engine

HOST = os.uname().nodename


def test_each_rank_computes_on_its_own_gpu(on_cores: Path, tmp_path: Path) -> None:
    path = write_for_gpus(tmp_path, name="mpi", workers=2, gpus=2)
    done = run_on_gpus(path, visible="0,1")
    assert done.returncode == 0, done.stderr
    assert sorted(cards_of_workers(tmp_path / "made").values(), key=str) == [{f"{HOST}:0"}, {f"{HOST}:1"}]
    assert differing_numbers(on_cores, tmp_path / "made") == set()


def test_two_ranks_that_are_shown_one_gpu_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    path = write_for_gpus(tmp_path, name="mpi", workers=2, gpus=1)
    done = run_on_gpus(path, visible="0")
    assert done.returncode == 2, done.stderr
    assert f"2 ranks of 1 GPUs on {HOST}, which shows them 0; 0: start as many ranks a node as it has" in done.stderr
    assert done.stderr.count("phloem: ") == 1
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "made").glob("tiles/*")) == list((tmp_path / "made").glob("attempts/*")) == []
