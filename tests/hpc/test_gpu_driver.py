"""What the driver tells of GPUs, read from a stand-in for its library by processes that load it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from phloem.hpc.gpu_driver import NO_LIBRARY, GpuListing, list_gpus, list_gpus_apart
from tests.support.gpus.nvml import build_nvml, use_nvml

pytest.importorskip("pynvml")


@pytest.fixture(scope="module")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_nvml(tmp_path_factory.mktemp("nvml"))


def test_gpus_are_told_with_all_that_the_driver_knows(nvml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_nvml(nvml, monkeypatch, gpus=2, errors=3, processes=2, mode=3)
    listing = list_gpus_apart()
    assert listing.missing == ""
    first, second = listing.gpus
    assert (first.name, first.uuid, first.driver, first.cuda) == ("NVIDIA H200", "GPU-00000", "580.159.03", "13.0")
    assert (first.memory_total, first.memory_free) == (150754820096, 150000000000)
    assert (first.ecc, first.uncorrected_errors, second.uncorrected_errors) == (True, 0, 3)
    assert (first.mig, first.mig_devices, first.compute_mode) == (False, (), "exclusive process")
    assert (first.capability, first.architecture, first.multiprocessors) == ((9, 0), "sm_90", 132)
    assert first.processes == (4000, 4001)
    assert GpuListing.from_json(listing.to_json()) == listing


def test_mig_devices_are_told_by_uuid(nvml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_nvml(nvml, monkeypatch, gpus=1, mig=3)
    (gpu,) = list_gpus_apart().gpus
    assert (gpu.mig, gpu.mig_devices) == (True, ("MIG-00000", "MIG-00001"))


def test_what_a_card_does_not_know_is_none_and_hides_nothing(nvml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_nvml(nvml, monkeypatch, gpus=1, ecc=-1, mig=-1, attributes=0)
    (gpu,) = list_gpus_apart().gpus
    assert (gpu.ecc, gpu.mig, gpu.multiprocessors) == (None, None, None)
    assert gpu.memory_total == 150754820096


def test_a_lost_gpu_is_named_and_the_others_are_told(nvml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_nvml(nvml, monkeypatch, gpus=3, lost=1)
    listing = list_gpus_apart()
    assert [gpu.index for gpu in listing.gpus] == [0, 2]
    assert listing.missing == "GPU 1: GPU is lost"


def test_a_driver_that_refuses_is_told_with_its_words(nvml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_nvml(nvml, monkeypatch, init=18)
    assert list_gpus_apart() == GpuListing((), "NVML: RM has detected an NVML/RM version mismatch.")


def test_a_driver_that_hangs_is_left_after_the_time_given(nvml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_nvml(nvml, monkeypatch, hang=1)
    begun = time.monotonic()
    listing = list_gpus_apart(2.0)
    assert time.monotonic() - begun < 20
    assert listing.gpus == ()
    assert listing.missing.startswith("the driver does not answer")


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has a driver")
def test_a_machine_without_driver_says_so() -> None:
    listing = list_gpus()
    assert listing.gpus == ()
    assert listing.missing not in ("", NO_LIBRARY)


def test_without_nvidia_ml_py_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert list_gpus() == GpuListing((), NO_LIBRARY)
