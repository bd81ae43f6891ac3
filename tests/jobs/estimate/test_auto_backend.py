"""`auto` on a GPU: only what was compared with the cpu backend is picked; a stand-in runs the kernels for real."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import jax
import pytest

from phloem.jobs.estimate import auto_backend
from phloem.jobs.estimate.auto_backend import choose, settle_backend
from phloem.kernels.time_loop.backends import BackendWarning
from phloem.kernels.time_loop.checked_cards import card_of, driver_version, keep_verdict, verdict_on
from phloem.kernels.time_loop.cuda import driver


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHLOEM_CACHE", str(tmp_path))
    if driver.stand_in() is None:
        pytest.skip("the process has begun without the stand-in for the driver")
    return tmp_path


def test_auto_without_a_gpu_and_every_backend_that_was_chosen_stay_as_they_are() -> None:
    assert settle_backend("auto", "float32") == "auto"
    assert [settle_backend(name, "float32") for name in ("xla", "cpu", "gpu")] == ["xla", "cpu", "gpu"]


def test_the_first_use_of_a_card_compares_and_the_next_remembers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = jax.devices("cpu")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose(device, "float32") == "gpu"
        kept = (cache / "checked_cards.json").read_text()
        assert list(json.loads(kept).values()) == [""]
        monkeypatch.setattr(auto_backend, "check_here", None)  # a second comparison would call it
        assert choose(device, "float32") == "gpu"
    assert (cache / "checked_cards.json").read_text() == kept


def test_a_card_whose_bits_differ_is_not_picked_and_one_line_says_why() -> None:
    device = jax.devices("cpu")[0]
    keep_verdict(card_of(device), "float64", "sums differ by 1.2e-07 of the largest")
    with pytest.warns(BackendWarning, match="the GPU is not used: .* differ by 1.2e-07 .*; phloem doctor") as caught:
        assert choose(device, "float64") == "cpu"
    assert "\n" not in str(caught[0].message)


def test_a_card_that_fails_is_not_picked_and_nothing_is_remembered(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_ERROR", "719")
    with pytest.warns(BackendWarning, match="CUDA_ERROR_LAUNCH_FAILED"):
        assert choose(jax.devices("cpu")[0], "float32") == "cpu"
    assert not (cache / "checked_cards.json").exists()


def test_a_verdict_holds_for_one_card_driver_and_precision_alone(cache: Path) -> None:
    from dataclasses import replace

    card = card_of(jax.devices("cpu")[0])
    keep_verdict(card, "float32", "")
    assert verdict_on(card, "float32") == ""
    assert verdict_on(card, "float64") is None
    for other in (
        replace(card, device="NVIDIA A100"), replace(card, driver="580.1"), replace(card, compiler="NVRTC 13.0"),
        replace(card, jaxlib="0.1"),
    ):  # fmt: skip
        assert verdict_on(other, "float32") is None
    (cache / "checked_cards.json").write_text("torn")
    assert verdict_on(card, "float32") is None


def test_the_version_of_the_driver_is_read_where_the_kernel_module_tells_it(tmp_path: Path) -> None:
    alone, line = tmp_path / "alone", tmp_path / "line"
    alone.write_text("580.159.03\n")
    line.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.03  Release Build\nGCC version: 12.2.0\n"
    )
    assert driver_version((alone, line)) == driver_version((tmp_path / "absent", line)) == "580.159.03"
    assert driver_version((tmp_path / "absent",)) == ""
