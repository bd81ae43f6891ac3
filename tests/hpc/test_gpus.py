"""GPUs that a worker is given: those that its machine, job or launcher shows, each to one worker."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.hpc.gpu_driver import Gpu, GpuListing
from phloem.hpc.gpus import by_uuid, gpus_of_rank, gpus_of_slot, shares_suffice, visible_gpus
from phloem.hpc.tasks import EngineError

NUMBERS = st.lists(st.integers(0, 15).map(str), unique=True, min_size=1)
UUIDS = st.lists(st.uuids().map(lambda one: f"GPU-{one}"), unique=True, min_size=1)
INSTANCES = st.lists(st.uuids().map(lambda one: f"MIG-{one}"), unique=True, min_size=1)


@given(NUMBERS | UUIDS | INSTANCES)
def test_gpus_that_are_shown_keep_their_words_and_order(shown: list[str]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ",".join(shown)}) == shown
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": " , ".join(shown)}) == shown


@pytest.mark.parametrize("text", ["", " ", "-1", "NoDevFiles", "void"])
def test_variable_that_shows_none_gives_none(text: str) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": text}) == []


def test_instance_in_the_older_words_is_taken() -> None:
    one = "MIG-GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f/7/0"
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": one}) == [one]


@pytest.mark.parametrize("text", ["gpu0", "0;1", "0,,1", "cuda:0", "0 1", "GPU_1"])
def test_text_that_names_no_gpu_is_refused_with_the_valid_forms(text: str) -> None:
    with pytest.raises(EngineError, match=r"names no GPU; valid are numbers .* UUIDs .* MIG"):
        visible_gpus({"CUDA_VISIBLE_DEVICES": text})


def test_gpu_that_is_named_twice_is_refused() -> None:
    with pytest.raises(EngineError, match="twice"):
        visible_gpus({"CUDA_VISIBLE_DEVICES": "1,1"})


def test_without_the_variable_device_files_count(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert visible_gpus({}, tmp_path) == ["0", "1", "2"]
    assert visible_gpus({}, tmp_path / "nowhere") == []


@given(NUMBERS | UUIDS, st.integers(1, 4))
def test_each_gpu_belongs_to_one_worker(shown: list[str], devices: int) -> None:
    workers = len(shown) // devices
    given_out = [gpu for slot in range(workers) for gpu in gpus_of_slot(shown, devices, slot)]
    assert given_out == shown[: workers * devices]
    with pytest.raises(EngineError, match=r"fewer engine\.workers"):
        gpus_of_slot(shown, devices, workers)


@given(st.integers(1, 8), st.integers(1, 3), st.booleans())
def test_ranks_of_a_machine_share_its_gpus_or_keep_those_they_are_bound_to(ranks: int, each: int, bound: bool) -> None:
    every = [str(number) for number in range(ranks * each)]
    shown = [every[n * each : (n + 1) * each] for n in range(ranks)] if bound else [every] * ranks
    found = [gpus_of_rank(shown, place, each) for place in range(ranks)]
    assert [gpu for one in found for gpu in one] == every


@pytest.mark.parametrize("shown", [[["0"], ["0"]], [["0", "1"], ["0"]], [[], []]])
def test_ranks_that_would_share_a_gpu_are_refused(shown: list[list[str]]) -> None:
    with pytest.raises(EngineError, match=r"2 ranks of 1 GPUs on .*: start as many ranks a node as it has GPUs"):
        gpus_of_rank(shown, 1, 1)


@given(INSTANCES, st.integers(2, 4))
def test_several_instances_in_one_worker_are_refused(shown: list[str], devices: int) -> None:
    """CUDA would use the first and say nothing of the others."""
    with pytest.raises(EngineError, match=rf"one MIG instance, and engine\.devices = {devices}"):
        gpus_of_slot(shown, devices, 0)
    with pytest.raises(EngineError, match="one MIG instance"):
        gpus_of_rank([shown], 0, devices)
    assert gpus_of_slot(shown, 1, len(shown) - 1) == [shown[-1]]


def listing(*uuids: str) -> GpuListing:
    facts = dict.fromkeys(list(Gpu.__dataclass_fields__)[3:])
    facts |= {"mig_devices": (), "processes": ()}
    return GpuListing(tuple(Gpu(index, "NVIDIA H200", uuid, **facts) for index, uuid in enumerate(uuids)))


@given(st.integers(2, 8))
def test_ranks_that_each_see_their_own_gpu_as_number_0_are_told_apart_by_uuid(ranks: int) -> None:
    """So device cgroups of SLURM show them."""
    shown = [["0"]] * ranks
    assert not shares_suffice(shown, 1)
    named = [by_uuid(seen, listing(f"GPU-{rank:x}")) for rank, seen in enumerate(shown)]
    assert shares_suffice(named, 1)
    assert [gpus_of_rank(named, rank, 1) for rank in range(ranks)] == named


def test_ranks_on_the_same_gpu_stay_refused_by_uuid() -> None:
    named = [by_uuid(["0"], listing("GPU-a")) for _ in range(2)]
    assert named == [["GPU-a"], ["GPU-a"]]
    with pytest.raises(EngineError, match="2 ranks of 1 GPUs"):
        gpus_of_rank(named, 0, 1)


def test_gpus_that_the_driver_does_not_tell_keep_their_words() -> None:
    assert by_uuid(["1", "MIG-7", "4"], listing("GPU-a", "GPU-b")) == ["GPU-b", "MIG-7", "4"]
    assert by_uuid(["0"], GpuListing((), "NVML: no driver")) == ["0"]
