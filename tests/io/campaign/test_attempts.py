"""Attempts are claimed once, believed as long as they should be, and end with one word."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.endings import FREE, Ending
from phloem.io.campaign.attempts import (
    LEASE_SECONDS,
    Holder,
    TakenError,
    attempt_numbers,
    claim_tile,
    end_attempt,
    file_system_now,
    forget_attempts,
    forgive,
    holder,
    is_alive,
    keep_floor,
    list_attempts,
    process_exists,
    read_attempt,
    read_beat,
    read_end,
    unforgiven_ends,
)
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import StaleAttempt, TileState, inspect_tile, write_tile
from phloem.io.files.journals import read_events
from tests.support.campaigns.campaign_samples import ATTRIBUTES, SCHEMA, cells_of, commit, tile_arrays
from tests.support.campaigns.claimants import Claimant, can_be_elsewhere
from tests.support.campaigns.claims import claim_next

AWAY = Holder("away", "elsewhere", 4711, 99, "another boot pid:[1]")
"""Somebody on a machine that cannot be looked at."""

SHIFTED_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += SHIFT;
    return status;
}
"""


@pytest.fixture
def paths(tmp_path: Path) -> CampaignPaths:
    return CampaignPaths(tmp_path / "campaign").make()


@pytest.fixture
def started() -> Iterator[list[Claimant]]:
    """Processes that must not outlive the test."""
    claimants: list[Claimant] = []
    yield claimants
    for claimant in claimants:
        claimant.kill()


@contextmanager
def made() -> Iterator[CampaignPaths]:
    """A campaign directory for one example of a property."""
    with tempfile.TemporaryDirectory() as folder:
        yield CampaignPaths(Path(folder)).make()


def claim_as(paths: CampaignPaths, index: int, who: Holder) -> int:
    """Claim a tile in somebody's name."""
    return claim_next(paths, index, who)


def age(path: Path, seconds: float) -> None:
    """Let a file be of so many seconds ago, by the clock of the file system."""
    then = file_system_now(path.parent) - seconds
    os.utime(path, (then, then))


def beat(paths: CampaignPaths, index: int, number: int, **said: object) -> Path:
    path = paths.beat(index, number)
    path.write_text(json.dumps(said))
    return path


def gone() -> Holder:
    """A holder whose process has ended and is reaped."""
    process = subprocess.Popen(["true"])
    process.wait()
    return replace(holder("gone"), pid=process.pid, started=1)


def test_many_processes_at_once(paths: CampaignPaths, started: list[Claimant]) -> None:
    """Each free tile is taken by one of them, whose life keeps it; once they are dead, by one of the next."""
    tiles = range(25)
    for number in (1, 2):
        crowd = [Claimant(paths) for _ in range(6)]
        started += crowd
        for tile in tiles:  # all of them are at the same tile, or near it
            for claimant in crowd:
                claimant.say("take", tile)
        answers = [[claimant.answer() for _ in tiles] for claimant in crowd]
        for tile in tiles:
            got = [told[tile] for told in answers]
            assert got.count(str(number)) == 1
            assert all(told == str(number) or told.startswith("TakenError") for told in got)
        assert sum(any(word.isdecimal() for word in told) for told in answers) > 1, "one process was always first"
        assert {n.newest for n in list_attempts(paths).values()} == {number}
        for claimant in crowd:
            claimant.kill()
    assert {read_end(paths, tile, 1)["class"] for tile in tiles} == {"worker lost"}
    assert all(attempt_numbers(paths, tile).open == 2 for tile in tiles)


class TestWhoLives:
    def test_a_living_process_keeps_its_tile(self, paths: CampaignPaths, started: list[Claimant]) -> None:
        started.append(Claimant(paths))
        assert started[0].ask("take", 3) == "1"
        age(paths.claim(3, 1), 10 * LEASE_SECONDS)
        with pytest.raises(TakenError, match="claimant"):
            claim_tile(paths, 3, holder("me"))
        assert attempt_numbers(paths, 3).newest == 1

    @pytest.mark.parametrize("reap", [True, False])
    def test_a_dead_process_loses_it_at_once(self, paths: CampaignPaths, started: list[Claimant], reap: bool) -> None:
        """Also one that its parent has not reaped yet."""
        started.append(Claimant(paths))
        assert started[0].ask("take", 3) == "1"
        beat(paths, 3, 1, elapsed=12.5, saved=True)
        started[0].kill(reap)
        assert claim_tile(paths, 3, holder("me")) == 2
        end = read_end(paths, 3, 1)
        assert (end["class"], end["found_by"], end["seconds"], end["saved"]) == ("worker lost", "me", 12.5, True)
        assert str(started[0].process.pid) in end["message"]
        (event,) = read_events(paths.journal("me"))
        assert (event["event"], event["tile"], event["attempt"], event["class"]) == ("ended", 3, 1, "worker lost")

    def test_a_reused_process_id_is_another_process(self, paths: CampaignPaths) -> None:
        before = replace(holder("before"), started=holder("me").started - 1)
        assert before.pid == os.getpid()
        claim_as(paths, 0, before)
        claim_as(paths, 1, holder("myself"))
        assert claim_tile(paths, 0, holder("me")) == 2
        with pytest.raises(TakenError):
            claim_tile(paths, 1, holder("me"))

    def test_one_who_is_quicker_takes_it(self, paths: CampaignPaths) -> None:
        """The tile was committed while a slow worker was starting: it is not computed once more."""
        commit(paths, 0, cells_of(0))
        end_attempt(paths, 0, 1, Ending.COMMITTED)
        with pytest.raises(TakenError, match="committed"):
            claim_tile(paths, 0, holder("slow"))
        assert attempt_numbers(paths, 0).newest == 1

    def test_an_earlier_life_of_a_requeued_job_is_over(self, paths: CampaignPaths) -> None:
        claim_as(paths, 0, replace(AWAY, job="77", restart=1))
        attempt, now = read_attempt(paths, 0, 1), file_system_now(paths.attempts_dir)
        for job, restart, alive in (("77", 1, True), ("77", 0, True), ("78", 9, True), ("", 9, True), ("77", 2, False)):
            me = replace(holder("me"), job=job, restart=restart)
            assert is_alive(paths, attempt, now, me) is alive, (job, restart)
        assert claim_tile(paths, 0, replace(holder("me"), job="77", restart=2)) == 2
        assert read_end(paths, 0, 1)["class"] == "node lost"

    def test_the_batch_system_may_know(self, paths: CampaignPaths) -> None:
        claim_as(paths, 0, replace(AWAY, job="77"))
        with pytest.raises(TakenError):
            claim_tile(paths, 0, holder("me"), verdict=lambda who: "")
        assert claim_tile(paths, 0, holder("me"), verdict=lambda who: "preempted" if who.job == "77" else "") == 2
        assert read_end(paths, 0, 1)["class"] == "preempted"


class TestAnotherMachine:
    @pytest.fixture
    def away(self, paths: CampaignPaths) -> Iterator[Claimant]:
        """A process in a namespace of its own, which holds tile 0."""
        if not can_be_elsewhere():
            pytest.skip("no right to unshare process namespaces here")
        claimant = Claimant(paths, elsewhere=True)
        assert claimant.ask("take", 0) == "1"
        assert read_attempt(paths, 0, 1).holder.pid == 1, "it should be the first of its namespace"
        yield claimant
        claimant.kill()

    def test_its_beats_are_believed_until_the_lease_ends(self, paths: CampaignPaths, away: Claimant) -> None:
        me = holder("me")
        assert read_attempt(paths, 0, 1).holder.place != me.place
        age(paths.claim(0, 1), 2 * LEASE_SECONDS)
        said = beat(paths, 0, 1, elapsed=700.0, saved=False)
        away.kill()
        for seconds in (0, LEASE_SECONDS - 60):
            age(said, seconds)
            with pytest.raises(TakenError, match="claimant"):
                claim_tile(paths, 0, me)
        age(said, LEASE_SECONDS + 5)
        assert claim_tile(paths, 0, me) == 2
        end = read_end(paths, 0, 1)
        assert (end["class"], end["seconds"], end["saved"]) == ("node lost", 700.0, False)
        assert not said.exists()

    def test_before_its_first_beat_the_claim_counts(self, paths: CampaignPaths, away: Claimant) -> None:
        age(paths.claim(0, 1), LEASE_SECONDS - 60)
        with pytest.raises(TakenError):
            claim_tile(paths, 0, holder("me"))
        age(paths.claim(0, 1), LEASE_SECONDS + 5)
        assert claim_tile(paths, 0, holder("me")) == 2

    @pytest.mark.parametrize("same", [True, False])
    def test_a_zombie_commits_nothing_new(self, paths: CampaignPaths, away: Claimant, same: bool) -> None:
        """It was given up, but lives: what it brings is refused, or proved equal to what is committed."""
        age(paths.claim(0, 1), LEASE_SECONDS + 5)
        assert claim_tile(paths, 0, holder("me")) == 2
        assert away.ask("commit", 0, 1, 0).startswith("StaleAttempt: tile 0: attempt 1 is stale")
        assert inspect_tile(paths, 0) is TileState.MISSING
        committed = write_tile(paths, 0, 2, SCHEMA, tile_arrays(cells_of(0)), ATTRIBUTES)
        told = away.ask("commit", 0, 1, 0 if same else 1)
        assert (told == committed) if same else told.startswith("StaleAttempt")
        assert away.ask("end", 0, 1, Ending.COMMITTED) == "False"
        assert read_end(paths, 0, 1)["class"] == "node lost"
        assert inspect_tile(paths, 0) is TileState.DONE
        with pytest.raises(StaleAttempt):
            write_tile(paths, 0, 1, SCHEMA, tile_arrays(cells_of(0), salt=2), ATTRIBUTES)

    @pytest.mark.parametrize("days", [-400, 400])
    def test_a_wrong_clock_of_a_host_does_not_matter(self, paths: CampaignPaths, started: list, days: int) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("no C compiler to shift the clock with")
        source, library = paths.root / "clock.c", paths.root / "clock.so"
        source.write_text(SHIFTED_CLOCK)
        shift = f"-DSHIFT=({days * 86400}L)"
        subprocess.run([compiler, "-shared", "-fPIC", shift, "-o", library, source, "-ldl"], check=True)
        started.append(Claimant(paths, LD_PRELOAD=str(library)))
        its_own, of_the_files = map(float, started[0].ask("now").split())
        assert abs(its_own - of_the_files) > 300 * 86400, "the clock was not shifted"
        assert abs(of_the_files - file_system_now(paths.attempts_dir)) < 60
        for tile, seconds, told in ((0, LEASE_SECONDS - 60, "TakenError"), (1, LEASE_SECONDS + 5, "2")):
            claim_as(paths, tile, AWAY)
            age(paths.claim(tile, 1), seconds)
            assert started[0].ask("take", tile).startswith(told)

    def test_where_nothing_can_be_written_this_clock_must_do(self, tmp_path: Path) -> None:
        assert abs(file_system_now(tmp_path / "nowhere") - time.time()) < 60


class TestDamage:
    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"worker": "me"}', b"null"])
    def test_a_claim_that_cannot_be_read_is_believed_for_a_lease(self, paths: CampaignPaths, content: bytes) -> None:
        claim_as(paths, 0, gone())
        paths.claim(0, 1).write_bytes(content)
        assert read_attempt(paths, 0, 1).holder == Holder("")
        with pytest.raises(TakenError):
            claim_tile(paths, 0, holder("me"))
        age(paths.claim(0, 1), LEASE_SECONDS + 5)
        assert claim_tile(paths, 0, holder("me")) == 2

    @pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"class": 3}', b'["bug"]'])
    def test_an_end_that_cannot_be_read_is_a_lost_workers(self, paths: CampaignPaths, content: bytes) -> None:
        claim_as(paths, 0, holder("me"))
        end_attempt(paths, 0, 1, "bug")
        paths.end(0, 1).write_bytes(content)
        assert read_end(paths, 0, 1)["class"] == "worker lost"
        assert attempt_numbers(paths, 0).open == 0
        assert not end_attempt(paths, 0, 1, Ending.COMMITTED)
        assert claim_tile(paths, 0, holder("me")) == 2

    @pytest.mark.parametrize("content", [b"", b"{", b"\0\0\0"])
    def test_a_beat_that_cannot_be_read_is_a_beat(self, paths: CampaignPaths, content: bytes) -> None:
        claim_as(paths, 0, AWAY)
        age(paths.claim(0, 1), 2 * LEASE_SECONDS)
        paths.beat(0, 1).write_bytes(content)
        assert read_beat(paths, 0, 1) == {}
        with pytest.raises(TakenError):
            claim_tile(paths, 0, holder("me"))
        age(paths.beat(0, 1), LEASE_SECONDS + 5)
        assert claim_tile(paths, 0, holder("me")) == 2
        assert read_end(paths, 0, 1)["seconds"] == 0.0

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_flipped_bits_never_give_a_number_twice(self, data: st.DataObject) -> None:
        with made() as paths:
            claim_as(paths, 0, data.draw(st.sampled_from([AWAY, holder("me"), gone()])))
            path = paths.claim(0, 1)
            content = bytearray(path.read_bytes())
            for _ in range(data.draw(st.integers(1, 3))):
                content[int(data.draw(st.floats(0, 0.999)) * len(content))] ^= 1 << data.draw(st.integers(0, 7))
            path.write_bytes(bytes(content[: round(data.draw(st.floats(0, 1)) * len(content))]))
            age(path, data.draw(st.sampled_from([0.0, 2 * LEASE_SECONDS])))
            try:
                assert claim_tile(paths, 0, holder("next")) == 2
            except TakenError:
                assert attempt_numbers(paths, 0).open == 1

    def test_what_is_no_file_of_an_attempt_is_left_alone(self, paths: CampaignPaths) -> None:
        claim_as(paths, 0, AWAY)
        folder = paths.attempt_folder(0)
        names = ("backup.0009.claim", "tile_.0009.claim", "tile_00000.copy.claim", "tile_00000.0009.claim~", "notes")
        for name in names:
            (folder / name).touch()
        assert list(list_attempts(paths)) == [0]
        assert attempt_numbers(paths, 0).newest == 1


class TestEnds:
    def test_the_first_word_stands(self, paths: CampaignPaths, started: list[Claimant]) -> None:
        started += [Claimant(paths) for _ in range(5)]
        tiles = range(20)
        for tile in tiles:
            claim_as(paths, tile, AWAY)
            beat(paths, tile, 1)
        for claimant in started:
            for tile in tiles:
                claimant.say("end", tile, 1, "bug")
        answers = [[claimant.answer() for _ in tiles] for claimant in started]
        for tile in tiles:
            said = [told[tile] for told in answers]
            assert sorted(said) == ["False"] * 4 + ["True"]
            winner = started[said.index("True")]
            assert read_end(paths, tile, 1)["message"] == f"by {winner.process.pid}"
            assert not end_attempt(paths, tile, 1, Ending.COMMITTED)
            assert read_end(paths, tile, 1)["class"] == "bug"
            assert not paths.beat(tile, 1).exists()

    def test_an_end_is_journalled_unless_it_is_a_commit(self, paths: CampaignPaths) -> None:
        journal = paths.journal("me")
        for tile, kind in enumerate(("bug", Ending.COMMITTED, "preempted")):
            claim_as(paths, tile, holder("me"))
            assert end_attempt(paths, tile, 1, kind, "why", journal=journal, seconds=2.0)
            assert not end_attempt(paths, tile, 1, "hang", journal=journal)
        assert [(event["tile"], event["class"]) for event in read_events(journal)] == [(0, "bug"), (2, "preempted")]

    def test_forgiven_ends_count_no_more(self, paths: CampaignPaths) -> None:
        for number, kind in enumerate(("bug", "hang", "bug"), 1):
            assert claim_as(paths, 0, holder("me")) == number
            end_attempt(paths, 0, number, kind)
            if number == 2:
                forgive(paths, 0, attempt_numbers(paths, 0))
        ends = list(unforgiven_ends(paths, 0, attempt_numbers(paths, 0)))
        assert [(end["attempt"], end["class"]) for end in ends] == [(3, "bug")]
        forgive(paths, 0, attempt_numbers(paths, 0))
        assert list(unforgiven_ends(paths, 0, attempt_numbers(paths, 0))) == []

    def test_a_floor_keeps_numbers_growing(self, paths: CampaignPaths) -> None:
        claim_as(paths, 0, holder("me"))
        for floor, newest in ((1, 2), (7, 8), (7, 9)):
            keep_floor(paths, 0, floor)
            numbers = attempt_numbers(paths, 0)
            assert (numbers.newest, numbers.open) == (newest, 0), "above the floor and all others, and closed"
        assert claim_tile(paths, 0, holder("me")) == 10

    def test_forgotten_attempts_leave_no_file(self, paths: CampaignPaths) -> None:
        for _ in range(3):
            beat(paths, 0, claim_as(paths, 0, holder("me")))
        end_attempt(paths, 0, 2, "bug")
        forgive(paths, 0, attempt_numbers(paths, 0))
        claim_as(paths, 1, holder("me"))
        forget_attempts(paths, 0, attempt_numbers(paths, 0))
        assert os.listdir(paths.attempt_folder(0)) == [paths.claim(1, 1).name]


STEPS = st.lists(
    st.sampled_from(["take", "lose", "forgive", "floor", Ending.COMMITTED, "bug", "hang", *FREE]),
    min_size=1,
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_whatever_happens_numbers_grow_and_the_open_attempt_is_held(steps: list[str]) -> None:
    """A model in a few numbers says the same as the files."""
    with made() as paths:
        newest, is_open, forgiven, counted = 0, False, 0, []
        for step in steps:
            if step == "take":
                try:
                    assert claim_tile(paths, 0, holder("me")) == newest + 1
                    assert not is_open
                    newest, is_open = newest + 1, True
                except TakenError:
                    assert is_open
            elif step == "lose" and is_open:
                paths.claim(0, newest).write_text(json.dumps(asdict(gone())))
                assert claim_tile(paths, 0, holder("me")) == newest + 1
                counted.append((newest, "worker lost"))
                newest += 1
            elif step == "forgive" and newest:
                forgive(paths, 0, attempt_numbers(paths, 0))
                forgiven = newest
            elif step == "floor":
                keep_floor(paths, 0, newest + 2)
                newest, is_open = newest + 3, False
                counted.append((newest, Ending.COMMITTED))
            elif step not in ("lose", "forgive") and newest:
                assert end_attempt(paths, 0, newest, step) is is_open
                counted += [(newest, step)] if is_open else []
                is_open = False
            numbers = attempt_numbers(paths, 0)
            assert (numbers.newest, bool(numbers.open)) == (newest, is_open)
            found = [(end["attempt"], end["class"]) for end in unforgiven_ends(paths, 0, numbers)]
            assert found == [end for end in counted if end[0] > forgiven], "also what ends after it was forgiven"


def test_a_process_exists_until_it_is_reaped() -> None:
    child = subprocess.Popen(["sleep", "60"])
    assert process_exists(str(child.pid))
    child.kill()
    end = time.monotonic() + 20
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        assert time.monotonic() < end
    assert process_exists(str(child.pid)), "as long as its number cannot be another's"
    child.wait()
    assert not process_exists(str(child.pid))
    for name in ("", "x", "-1", "12a", "9" * 9, "9" * 30):
        assert not process_exists(name), name
