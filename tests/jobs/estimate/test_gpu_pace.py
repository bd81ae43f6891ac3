"""The pace of a GPU in plans: measured by a process of its own, else modelled and said to be so."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.estimate import gpu_pace
from phloem.jobs.estimate.gpu_checks import device_files
from phloem.jobs.estimate.gpu_pace import MODELLED, GradientPace, measure_apart, pace_of
from phloem.jobs.estimate.projection import describe, project
from tests.support.campaigns.campaigns import succeed, write_campaign
from tests.support.gpus.nvml import build_nvml, use_nvml
from tests.support.kernels import stand_in_driver


@pytest.fixture
def with_gpus(finished: Path) -> Campaign:
    """A campaign that asks for two GPUs and the gpu backend."""
    campaign = open_campaign(finished)
    plain = campaign.configuration
    changed = {
        "engine": plain.engine.model_copy(update={"gpus": 2}),
        "experiment": plain.experiment.model_copy(update={"backend": "gpu"}),
    }
    return replace(campaign, configuration=plain.model_copy(update=changed))


def test_without_a_gpu_the_pace_is_modelled_and_the_plan_says_so(
    with_gpus: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    if device_files():
        pytest.skip("this machine has GPUs")
    pace = pace_of(with_gpus)
    assert pace == GradientPace(MODELLED, "NVIDIA H200", "modelled")
    assert "this machine has no GPU: the pace is modelled for one NVIDIA H200, not measured" in capsys.readouterr().err
    lines = describe(with_gpus, project(with_gpus, pace.microseconds), device=pace.in_words())
    (line,) = [line for line in lines if "GPU-hours" in line]
    assert "at 0.03 microseconds a gradient of a year (NVIDIA H200, modelled, not measured)" in line


def test_a_stated_rate_is_taken_without_a_look_at_the_machine(
    with_gpus: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_pace, "list_gpus_apart", None)  # a look would call it
    assert pace_of(with_gpus, 0.02) == GradientPace(0.02, "GPU", "stated")


def test_the_pace_is_measured_by_a_process_that_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stand_in_driver.environment(PHLOEM_CACHE=str(tmp_path)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    keys = ("--set", "engine.gpus=1", "--set", "engine.lanes=128")
    succeed("plan", write_campaign(tmp_path), "--out", "made", "--rate", 1, *keys, folder=tmp_path)
    campaign = open_campaign(tmp_path / "made")
    assert campaign.configuration.experiment.time_loop == "gpu"
    found, why = measure_apart(campaign, "GPU-0")
    assert why == ""
    assert found is not None
    assert (found.device, found.source) == ("stand-in on cpu", "measured")
    assert found.microseconds > 0
    known = json.loads((tmp_path / "pace.json").read_text())
    assert list(known.values()) == [found.microseconds], "a second plan on this card measures nothing"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"


def test_a_gpu_that_gives_no_pace_is_named_and_the_plan_goes_on(
    with_gpus: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pynvml")
    use_nvml(build_nvml(tmp_path), monkeypatch, gpus=1)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpu_pace, "SECONDS", 0.2)
    monkeypatch.setattr(measure_apart, "__defaults__", (0.2,))
    assert pace_of(with_gpus).source == "modelled"
    assert "GPU GPU-00000 gave no pace within 0 s" in capsys.readouterr().err
