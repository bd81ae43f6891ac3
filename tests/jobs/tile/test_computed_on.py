"""What computed tiles: in the journals beside times and hosts, summed up for status and report, never in a product."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import jaxlib
import pytest

from phloem.io.campaign.paths import CampaignPaths
from phloem.io.files.journals import read_events
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.run.status import show, status_json
from phloem.jobs.tile.computed_on import computed_on, in_words, sum_up
from phloem.kernels.time_loop.cuda import driver
from tests.support.campaigns.campaigns import succeed

H200 = {"backend": "gpu", "device": "NVIDIA H200", "driver": "580.1", "compiler": "NVRTC 12.9", "jaxlib": "0.10.2"}
CORE = {"backend": "cpu", "device": "cpu", "compiler": "gcc 12.2", "jaxlib": "0.10.2"}


def test_tiles_of_several_cards_and_cores_are_summed_up_by_what_may_change_bits() -> None:
    tiles = [{**H200, "cards": [f"node{number % 2}:{number % 4}"]} for number in range(120)]
    entries = sum_up([CORE, CORE, *tiles, {**H200, "driver": "590.2", "cards": ["node7:0"]}])
    assert in_words(json.loads(json.dumps(entries))) == (
        "NVIDIA H200 x 4, gpu backend, driver 580.1, NVRTC 12.9, jaxlib 0.10.2, 120 tiles; "
        "cpu backend, gcc 12.2, 2 tiles; "
        "NVIDIA H200 x 1, gpu backend, driver 590.2, NVRTC 12.9, jaxlib 0.10.2, 1 tile"
    )


def test_nothing_is_said_where_no_gpu_computed() -> None:
    assert in_words(sum_up([CORE, CORE])) == in_words(sum_up([])) == ""


def test_a_worker_tells_the_cards_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    if driver.stand_in() is None:
        pytest.skip("the process has begun without the stand-in for the driver")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-ab,GPU-cd")
    facts = computed_on("gpu", 2, "node3")
    assert facts["cards"] == ["node3:GPU-ab", "node3:GPU-cd"]
    assert (facts["backend"], facts["jaxlib"]) == ("gpu", jaxlib.__version__)
    assert {"device", "driver", "compiler"} <= set(facts)
    assert "cards" not in computed_on("cpu", 2, "node3")


def test_every_committed_tile_of_a_campaign_has_them_and_its_file_has_not(finished: Path) -> None:
    events = [event for event in read_events(CampaignPaths(finished).journals_dir) if event["event"] == "committed"]
    assert len(events) == 3
    assert all(event["on"]["backend"] == "cpu" and event["on"]["jaxlib"] == jaxlib.__version__ for event in events)
    with h5py.File(finished / "tiles" / "tile_00000.h5") as file:
        assert {"on", "device", "driver", "jaxlib"}.isdisjoint(file.attrs)
    found = json.loads(succeed("status", finished, "--json", folder=finished.parent))["computed_on"]
    assert [(entry["backend"], entry["tiles"], entry["cards"]) for entry in found] == [("cpu", 3, 0)]


def test_status_has_a_line_where_gpus_computed(finished: Path) -> None:
    campaign = open_campaign(finished)
    document = status_json(campaign)
    assert "computed on" not in show(campaign, document)
    document["computed_on"] = sum_up([{**H200, "cards": ["node:0"]}])
    assert "computed on: NVIDIA H200 x 1, gpu backend, driver 580.1" in show(campaign, document)
