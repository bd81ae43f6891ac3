"""Campaigns of many tiles: what is left on disk is bounded, and nothing is forgotten when it is rolled up."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.scale import commit, plan
from phloem.io.campaign.attempts import LEASE_SECONDS, attempt_numbers, claim_tile, end_attempt, holder
from phloem.io.campaign.tiles import load_tile, read_commits
from phloem.io.files.journals import append_event, read_events, roll_up
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.estimate.projection import describe, project
from phloem.jobs.run.execute import prepare
from phloem.jobs.run.housekeeping import tidy
from phloem.jobs.run.state import read_state, summary
from tests.support.campaigns.campaign_samples import SCHEMA
from tests.support.campaigns.campaigns import command, succeed

TILES = 60


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    made = plan(tmp_path / "made", TILES)
    for tile in range(TILES):
        claim_tile(made.paths, tile, holder("worker-1-0000"))
    commit(made)
    return made


def files(campaign: Campaign) -> int:
    return sum(path.is_file() for path in campaign.paths.root.rglob("*"))


def test_status_judges_by_name_and_on_demand_by_every_byte(campaign: Campaign) -> None:
    path = campaign.paths.tile(7)
    image = bytearray(path.read_bytes())
    image[-1] ^= 1
    path.write_bytes(image)
    assert len(read_state(campaign, False).done) == TILES, "names cannot tell"
    assert set(read_state(campaign, True).corrupt) == {7}
    assert set(read_state(campaign).corrupt) == {7}, "where they are few, every byte is read"
    campaign.paths.tile(7).rename(campaign.paths.tile(TILES))
    found = read_state(campaign, False)
    assert len(found.done) == TILES - 1, "a file of no tile counts for nothing"


def test_a_tidied_campaign_has_lost_nothing_but_files(campaign: Campaign) -> None:
    before = summary(campaign, read_state(campaign))
    commits = read_commits(campaign.paths)
    count = files(campaign)
    assert tidy(campaign, read_state(campaign), least=10_000) == 0, "few files are left alone"
    long_ago = time.time() - 2 * LEASE_SECONDS
    for path in campaign.paths.journals_dir.iterdir():  # of another host: they are left alone until they are old
        os.utime(path, (long_ago, long_ago))
    assert tidy(campaign, read_state(campaign), least=1) > TILES
    assert files(campaign) < count - TILES
    assert summary(campaign, read_state(campaign)) == before
    assert read_commits(campaign.paths) == commits
    assert attempt_numbers(campaign.paths, 3).newest == 0


def test_after_tidying_the_next_attempt_has_a_higher_number(campaign: Campaign) -> None:
    for _ in range(2):
        number = attempt_numbers(campaign.paths, 5).newest
        end_attempt(campaign.paths, 5, number, "interrupted")
        campaign.paths.tile(5).rename(campaign.paths.root / "kept")
        claim_tile(campaign.paths, 5, holder("worker-1-0000"))
        (campaign.paths.root / "kept").rename(campaign.paths.tile(5))
    assert attempt_numbers(campaign.paths, 5).newest == 3
    tidy(campaign, read_state(campaign), least=1)
    campaign.paths.tile(5).write_bytes(b"bad")
    state = prepare(campaign)
    assert list(state.corrupt) == [5]
    assert claim_tile(campaign.paths, 5, holder("later")) > 3


def test_a_roll_up_killed_half_way_counts_nothing_twice(tmp_path: Path) -> None:
    sources = [tmp_path / f"{name}.jsonl" for name in "abc"]
    for number, path in enumerate(sources):
        append_event(path, {"event": "ended", "tile": number})
    copies = [path.read_bytes() for path in sources]
    roll_up(sources, tmp_path / "rolled.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["rolled.jsonl"]
    for path, data in zip(sources[:2], copies, strict=False):  # as a kill before the removal leaves them
        path.write_bytes(data)
    assert sorted(event["tile"] for event in read_events(tmp_path)) == [0, 1, 2]


def test_the_merge_streams_and_refuses_a_gap(campaign: Campaign) -> None:
    root = campaign.paths.root
    succeed("merge", root, folder=root.parent)
    campaign.paths.tile(TILES - 1).unlink()
    refused = command("merge", root, folder=root.parent)
    assert refused.returncode == 1
    assert f"cell{TILES - 1:06d}" in refused.stderr


def test_plan_counts_and_warns(campaign: Campaign) -> None:
    found = project(campaign, 5.0)
    assert (found.tiles, found.lanes, found.rate) == (TILES, TILES, 5.0)
    # One lane a tile: each of its blocks costs as if it held 64.
    years = 13149 / 365.25  # all of the record is simulated
    assert found.core_hours == pytest.approx(TILES * 64 * 10 * years * 5e-6 / 3600, rel=0.02, abs=1e-3)
    assert found.filled == pytest.approx(1 / 64, abs=1e-3)
    assert any("tiles.cells = 64" in text for text in found.warnings)
    said = json.loads(succeed("plan", campaign.paths.root, "--rate", 5, "--json", folder=campaign.paths.root.parent))
    assert said["core_hours"] == found.core_hours
    assert said["warnings"]


def test_a_long_tile_on_a_short_queue_is_warned_of(campaign: Campaign) -> None:
    root = campaign.paths.root
    keys = ("--set", 'engine.name="slurm"', "--set", 'engine.walltime="00:01:00"')
    said = json.loads(succeed("plan", root, "--rate", 1e6, "--json", *keys, folder=root.parent))
    assert said["tasks"] == TILES
    assert any("engine.walltime" in text for text in said["warnings"])


def test_gpus_are_projected_in_their_hours(campaign: Campaign) -> None:
    """Each device of a worker takes its share of a tile; the hours are all devices' together."""
    plain = campaign.configuration
    engine = plain.engine.model_copy(update={"gpus": 4, "devices": 2})
    with_gpus = replace(campaign, configuration=plain.model_copy(update={"engine": engine}))
    one, two = project(campaign, 5.0), project(with_gpus, 5.0)
    assert two.core_hours == one.core_hours
    assert two.workers == 2
    assert two.longest_tile_seconds == pytest.approx(one.longest_tile_seconds / 2, abs=0.1)
    assert any("GPU-hours" in line for line in describe(with_gpus, two))
    assert not any("GPU" in line for line in describe(campaign, one))


def test_a_tile_that_is_gone_from_disk_is_pending_again(campaign: Campaign) -> None:
    campaign.paths.tile(1).unlink()
    found = load_tile(campaign.paths, 2, SCHEMA)
    assert found[2] == 1
    state = summary(open_campaign(campaign.paths.root), read_state(campaign))
    assert state["tiles"]["done"] == TILES - 1
    assert state["tiles"]["pending"] + state["tiles"]["running"] == 1
