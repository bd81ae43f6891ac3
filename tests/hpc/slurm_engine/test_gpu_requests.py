"""GPUs in generic resources and options of sbatch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.hpc.slurm_engine.gpu_requests import asked_gpus, gpus_in, with_gpus, without_gpus

KINDS = st.sampled_from(["gpu", "gpu:h200", "gpu:nvidia_a100-sxm4-80gb", "gres/gpu"])


@given(st.lists(st.tuples(KINDS, st.integers(1, 64)), min_size=1, max_size=3), st.booleans())
def test_gpus_of_all_kinds_are_added_up(asked: list[tuple[str, int]], other: bool) -> None:
    words = [f"{kind}:{count}" for kind, count in asked] + ["lscratch:100"] * other
    assert gpus_in(",".join(words)) == sum(count for _, count in asked)


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [("gpu", 1), ("gpu:h200", 1), ("", None), ("lscratch:9", None), ("gpumem:8", None), ("gpu:h200:4(S:0-1)", 4)],
)
def test_words_of_generic_resources_are_read(gres: str, gpus: int | None) -> None:
    assert gpus_in(gres) == gpus


@pytest.mark.parametrize(
    ("sbatch", "gpus"),
    [
        ({"gpus-per-task": 4}, 4),
        ({"gpus_per_node": "h200:2"}, 2),
        ({"--gpus": "a100:1,v100:2"}, 3),
        ({"gpus": "h200"}, 1),
        ({"mem-per-gpu": "8G"}, None),
        ({"comment": "gpus"}, None),
    ],
)
def test_options_of_sbatch_ask_for_gpus_too(sbatch: dict[str, str | int], gpus: int | None) -> None:
    assert asked_gpus("", sbatch) == gpus
    assert with_gpus("", sbatch, 2) == ("" if gpus else "gpu:2")


def test_gpus_are_added_to_other_resources_and_only_where_none_are_asked_for() -> None:
    assert with_gpus("lscratch:100", {}, 4) == "lscratch:100,gpu:4"
    assert with_gpus("gpu:h200:4", {}, 4) == "gpu:h200:4"
    assert with_gpus("lscratch:100", {}, 0) == "lscratch:100"


def test_a_job_without_gpus_drops_all_that_concerns_them() -> None:
    given_words = {"gpus-per-task": 4, "gpu_bind": "none", "mem-per-gpu": "8G", "cpus-per-gpu": 4, "comment": "gpu"}
    assert without_gpus(given_words) == {"comment": "gpu"}
