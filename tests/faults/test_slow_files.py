"""A slow file system, and many processes at once: every write and rename waits 20 to 50 ms."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from phloem.io.campaign.attempts import attempt_numbers, read_attempt
from phloem.io.campaign.checkpoints import load_checkpoint
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import TileState, diagnose_tile, load_tile, sweep
from phloem.io.files.atomic import checksum
from phloem.io.files.journals import read_events
from tests.support.campaigns.campaign_samples import SCHEMA, cells_of, commit
from tests.support.faults.field import Tally
from tests.support.faults.operations import EACH
from tests.support.faults.shim import Call, Driver, Fault

SLOW = Fault("delay", last=1 << 40, broken=("write", "rename", "link"), low=20, high=50)
CROWD = 50
LAG = 25
"""Milliseconds by which the second process is later in each round; a commit takes about 250."""


@pytest.fixture
def paths(tmp_path: Path) -> CampaignPaths:
    return CampaignPaths(tmp_path / "campaign").make()


def turns(calls: tuple[Call, ...]) -> int:
    """How often the calls of one process are followed by those of another."""
    return sum(one.pid != two.pid for one, two in itertools.pairwise(calls))


@pytest.mark.parametrize("bytes_of_second", ["commit", "commit other bytes"])
def test_two_processes_commit_one_tile(
    driver: Driver, tmp_path: Path, record_property: Callable, bytes_of_second: str
) -> None:
    """The second comes a little later in each round: the older attempt is refused, or committed, or proved equal."""
    tally = Tally(f"two at once on a slow file system: commit, {bytes_of_second}")
    overlaps = 0
    for lag in range(0, 12 * LAG, LAG):
        paths = CampaignPaths(tmp_path / str(lag)).make()
        outcomes = driver.run_together(["commit after 0", f"{bytes_of_second} after {lag + 1}"], paths.root, SLOW)
        assert [outcome.signal for outcome in outcomes] == [0, 0]
        assert {outcome.error for outcome in outcomes} <= {"", "StaleAttempt"}
        committed = {outcome.value for outcome in outcomes if not outcome.error}
        assert committed == {checksum(paths.tile(0).read_bytes())}, "one set of bytes, and somebody committed it"
        arrays, _, attempt = load_tile(paths, 0, SCHEMA)
        assert arrays["cell"].tolist() == cells_of(0)
        assert attempt in (1, 2)
        assert [path.name for path in paths.tiles_dir.iterdir()] == ["tile_00000.h5"]
        assert not list(paths.quarantine_dir.iterdir())
        overlaps += turns(outcomes[0].calls) > 1
        tally.injected += len(outcomes[0].faults)
        tally.ends.update(outcome.error or "committed" for outcome in outcomes)
    assert overlaps, "they never overlapped"
    record_property("faults", str(tally))


def test_fifty_start_at_once(driver: Driver, paths: CampaignPaths, record_property: Callable) -> None:
    """Each claims attempts of one tile, appends to its own journal, and saves a checkpoint of a tile of its own."""
    outcomes = driver.run_together([f"start {number}" for number in range(CROWD)], paths.root, SLOW)
    assert {(outcome.signal, outcome.error) for outcome in outcomes} == {(0, "")}, outcomes[0].message
    assert turns(outcomes[0].calls) > 10 * CROWD, "they did not overlap"
    claimed = [number for outcome in outcomes for number in outcome.value]
    assert len(claimed) == EACH * CROWD
    assert sorted(claimed) == list(range(1, EACH * CROWD + 1)), "a number twice, or one lost"
    assert attempt_numbers(paths, 0).claims == set(claimed)
    for number, outcome in enumerate(outcomes):
        holders = {read_attempt(paths, 0, attempt).holder.worker for attempt in outcome.value}
        assert holders == {f"worker{number}"}
        own = read_events(paths.journal(f"worker{number}"))
        assert (own.skipped, [event["attempt"] for event in own]) == (0, outcome.value)
        loaded = load_checkpoint(paths, 100 + number, f"worker{number}")
        assert loaded is not None
        assert loaded[0]["claimed"].tolist() == outcome.value
    assert sweep(paths) == []
    commit(paths, 0, cells_of(0))
    assert diagnose_tile(paths, 0)[0] is TileState.DONE
    tally = Tally(f"{CROWD} processes at once on a slow file system", len(outcomes[0].faults))
    tally.ends["numbers claimed, all distinct"] = len(claimed)
    record_property("faults", str(tally))
