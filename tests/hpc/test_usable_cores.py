"""Cores that a process may use: those of the machine, of its binding and of its batch job, whichever are fewest."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from phloem.hpc.usable_cores import ALLOCATIONS, usable_cores

ASK = "from phloem.hpc.usable_cores import usable_cores; print(usable_cores())"


@pytest.fixture(autouse=True)
def _outside_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for pair in ALLOCATIONS:
        for name in pair:
            monkeypatch.delenv(name, raising=False)


def test_as_many_as_the_process_is_bound_to() -> None:
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))
    one = min(os.sched_getaffinity(0))
    done = subprocess.run(["taskset", "-c", str(one), sys.executable, "-c", ASK], capture_output=True, text=True)
    assert done.stdout.strip() == "1", done.stderr


@pytest.mark.parametrize(("name", "job"), ALLOCATIONS)
def test_not_more_than_the_job_has(name: str, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    free = usable_cores()
    monkeypatch.setenv(name, "1")
    assert usable_cores() == free, "there is no job"
    monkeypatch.setenv(job, "42")
    assert usable_cores() == 1
    monkeypatch.setenv(name, "1000")
    assert usable_cores() == free
    for text in ("", "2(x3)", "0"):
        monkeypatch.setenv(name, text)
        assert usable_cores() == free
