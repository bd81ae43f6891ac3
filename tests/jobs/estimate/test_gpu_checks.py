"""What doctor says of GPUs: stand-ins answer for the driver and run the kernels, in the processes that ask."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from phloem.hpc.gpu_driver import NO_LIBRARY, Gpu, GpuListing
from phloem.jobs.estimate.gpu_checks import check_gpus, check_gradients, device_files, gpu_names, jax_plugins
from phloem.jobs.estimate.gpu_gradient import check_apart
from tests.support.campaigns.campaigns import command, succeed
from tests.support.gpus.nvml import build_nvml, use_nvml
from tests.support.kernels import stand_in_driver

CARD = Gpu(
    *(0, "NVIDIA H200", "GPU-0", "580.159.03", "13.0", 150 << 30, 149 << 30),
    *(True, 0, False, (), "default", (9, 0), 132, ()),
)
SECOND = replace(CARD, index=1, uuid="GPU-1")
SEEN = ["NVIDIA H200"]


@pytest.fixture(autouse=True)
def _open_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def told(*gpus: Gpu, seen: int | None = None, missing: str = ""):
    count = len(gpus) if seen is None else seen
    return check_gpus(GpuListing(gpus, missing), [f"nvidia{gpu.index}" for gpu in gpus], SEEN * count)


def test_a_machine_without_gpus_says_none_quietly() -> None:
    found = check_gpus(GpuListing((), "NVML: NVML Shared Library Not Found"), [], [])
    assert (found.level, found.text, found.mend) == ("ok", "none (no /dev/nvidia0)", "")


def test_device_files_of_gpus_are_counted_and_those_of_the_driver_are_not(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert device_files(tmp_path) == ["nvidia0", "nvidia1"]


def test_sound_cards_are_one_line_with_what_campaigns_depend_on() -> None:
    found = told(CARD, SECOND)
    assert found.level == "ok", found.text
    assert found.text == "2: 2 x NVIDIA H200, 150 GiB, sm_90, ECC on; driver 580.159.03 for CUDA 13.0"
    assert found.facts["driver"]["gpus"][1]["uuid"] == "GPU-1"
    assert "nvrtc" in found.facts
    json.dumps(found.facts)


@pytest.mark.parametrize(
    ("change", "level", "text", "mend"),
    [
        ({"uncorrected_errors": 2}, "problem", "GPU 0: 2 uncorrected memory errors", "CUDA_VISIBLE_DEVICES=GPU-1"),
        ({"mig": True}, "problem", "GPU 0: MIG mode is on and no MIG device is configured", "nvidia-smi mig -cgi"),
        ({"compute_mode": "prohibited"}, "problem", "GPU 0: its compute mode is prohibited", "nvidia-smi -c DEFAULT"),
        (
            {"compute_mode": "exclusive process", "processes": (77,)},
            *("note", "compute mode exclusive process, and process 77 has it", "end process 77"),
        ),
    ],
)
def test_what_a_card_is_not_fit_for_is_told_with_what_to_do(change: dict, level: str, text: str, mend: str) -> None:
    found = told(replace(CARD, **change), SECOND)
    assert (found.level, text in found.text, mend in found.mend) == (level, True, True), found


def test_a_lost_gpu_is_a_problem_in_the_drivers_words() -> None:
    found = told(CARD, missing="GPU 1: GPU is lost")
    assert found.level == "problem"
    assert "GPU 1: GPU is lost" in found.text


def test_without_nvidia_ml_py_gpus_are_still_counted() -> None:
    found = check_gpus(GpuListing((), NO_LIBRARY), ["nvidia0"], SEEN)
    assert found.level == "note"
    assert found.text.startswith("1: NVIDIA H200 x 1")
    assert "pip install nvidia-ml-py" in found.mend


def test_gpus_that_jax_does_not_see_are_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    if jax_plugins():
        pytest.skip("JAX's plugin for CUDA is installed here")
    found = told(CARD, SECOND, seen=0)
    assert found.level == "note"
    assert "JAX sees 0 of them, its plugin for CUDA is not installed" in found.text
    assert importlib.metadata.version("jax") in found.mend
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "unset CUDA_VISIBLE_DEVICES" in told(CARD, SECOND, seen=0).mend


def test_a_plugin_of_another_jaxlib_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = tmp_path / "jax_cuda12_plugin-0.4.1.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: jax-cuda12-plugin\nVersion: 0.4.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = told(CARD, seen=0)
    jaxlib = importlib.metadata.version("jaxlib")
    assert found.level == "problem"
    assert f"jax-cuda12-plugin 0.4.1 is not of jaxlib {jaxlib}" in found.text
    assert f'"jax-cuda12-plugin=={jaxlib}"' in found.mend


def test_gpus_are_named_as_inherited_else_by_uuid_and_mig_devices_alone() -> None:
    mig = replace(SECOND, mig=True, mig_devices=("MIG-a", "MIG-b"))
    listing = GpuListing((CARD, mig))
    assert gpu_names(listing, [], {}) == ["GPU-0", "MIG-a", "MIG-b"]
    assert gpu_names(listing, [], {"CUDA_VISIBLE_DEVICES": "1, GPU-0"}) == ["1", "GPU-0"]
    assert gpu_names(listing, [], {"CUDA_VISIBLE_DEVICES": ""}) == []
    assert gpu_names(GpuListing((), NO_LIBRARY), ["nvidia0", "nvidia1"], {}) == ["0", "1"]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stand_in_driver.environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("stand_in")
def test_a_gradient_on_the_stand_in_has_the_cpu_backends_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHLOEM_CACHE", str(tmp_path))
    found = check_gradients(["GPU-0"])
    assert found.level == "ok", found.text
    assert found.text.startswith("the cpu backend's bits on 1 x stand-in on cpu")
    assert found.facts["gpus"]["GPU-0"]["compared"] is True
    assert list(json.loads((tmp_path / "checked_cards.json").read_text()).values()) == [""], "for auto to find"


@pytest.mark.usefixtures("stand_in")
def test_a_gradient_that_the_driver_refuses_is_a_problem_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_ERROR", "719")
    found = check_gradients(["GPU-0"])
    assert found.level == "problem"
    assert "CUDA_ERROR_LAUNCH_FAILED (719)" in found.text
    assert found.mend == "nvidia-smi -q"


def test_a_compiler_that_contracts_products_is_found_by_its_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in built so that its compiler fuses products and sums, as CUDA's does unless it is told not to."""
    source = shutil.copytree(stand_in_driver.HERE, tmp_path / "driver")
    text = (source / "driver.cpp").read_text()
    assert "-ffp-contract=off" in text
    (source / "driver.cpp").write_text(text.replace("-ffp-contract=off", "-ffp-contract=fast -mfma"))
    library = tmp_path / "libcuda.so.1"
    flags = ["-std=c++17", "-O1", "-shared", "-fPIC", f'-DHERE="{source}"']
    subprocess.run(["g++", *flags, str(source / "driver.cpp"), "-o", str(library)], check=True)
    for name, value in stand_in_driver.environment(PHLOEM_CUDA_DRIVER=str(library)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PHLOEM_CACHE", str(tmp_path / "cache"))
    found = check_gradients(["GPU-0"])
    assert found.level == "problem", found.text
    assert "differ by" in found.text
    assert "campaigns on it would give other products" in found.mend
    (verdict,) = json.loads((tmp_path / "cache" / "checked_cards.json").read_text()).values()
    assert "differ by" in verdict


def test_a_gpu_that_does_not_answer_costs_its_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no gradient within 0 s" in check_apart("0", 0.2).fault


def test_doctor_tells_gpus_and_their_gradients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pynvml")
    use_nvml(build_nvml(tmp_path), monkeypatch, gpus=1, errors=0)
    environment = stand_in_driver.environment(PHLOEM_CACHE=str(tmp_path / "cache"))
    found = json.loads(command("doctor", "--json", folder=tmp_path, **environment).stdout)
    checks = {check["name"]: check for check in found["checks"]}
    assert checks["gpus"]["facts"]["driver"]["gpus"][0]["name"] == "NVIDIA H200"
    assert checks["gpu gradient"]["level"] == "ok", checks["gpu gradient"]
    assert list(checks["gpu gradient"]["facts"]["gpus"]) == ["GPU-00000"]
    refused = command("doctor", folder=tmp_path, STAND_IN_ERROR="719", **environment)
    assert refused.returncode == 1
    assert "gpu gradient" in refused.stderr


def test_doctor_without_gpus_has_one_quiet_line(tmp_path: Path) -> None:
    said = succeed("doctor", folder=tmp_path)
    (line,) = [line for line in said.splitlines() if " gpus " in line]
    if not device_files():
        assert line.split() == ["ok", "gpus", "none", "(no", "/dev/nvidia0)"]
