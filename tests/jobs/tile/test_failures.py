"""What failed attempts mean: what counts, against which budget, and when a campaign stops."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.endings import FREE, Ending
from phloem.errors import DeviceLost, InputError
from phloem.hpc.local_engine import LocalEngine
from phloem.hpc.tasks import Engine, Outcome, StopFlag, Task
from phloem.io.campaign.attempts import Numbers, attempt_numbers, holder, read_end
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.files.journals import read_events
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.config.engine import FailuresSection
from phloem.jobs.run.execute import describe_set_aside, forgive
from phloem.jobs.run.state import CampaignState
from phloem.jobs.run.supervisor import Supervisor
from phloem.jobs.tile.failures import (
    ISOLATE_AFTER,
    LOSSES,
    MENDS,
    TileFailures,
    classify,
    describe_classes,
    failing_alike,
    keep_traceback,
    signature,
    stop_if_alike,
    stopped,
    tile_failures,
)
from tests.support.campaigns.campaigns import (
    count,
    differing,
    end,
    failures,
    merged,
    start,
    succeed,
    wait_for,
    write_campaign,
)
from tests.support.campaigns.claims import claim_next

End = tuple[str, bool]
"""How an attempt ended, and whether it had written a checkpoint."""

BUDGETS = FailuresSection()
CLASSES = st.sampled_from(list(MENDS))
ENDS = st.lists(st.tuples(st.sampled_from([*MENDS, *FREE]), st.booleans()), max_size=20)
QUICK = settings(deadline=None, max_examples=80)


@contextmanager
def made() -> Iterator[CampaignPaths]:
    """A campaign directory for one example of a property."""
    with tempfile.TemporaryDirectory() as folder:
        yield CampaignPaths(Path(folder)).make()


def after(ends: Sequence[End], forgiven: Sequence[int] = ()) -> TileFailures:
    """Return what is known of a tile whose attempts ended so; `forgiven` are attempts, counted from 1."""
    with made() as paths:
        numbers = Numbers(set(range(1, len(ends) + 1)), set(range(1, len(ends) + 1)), set(), set(forgiven))
        paths.attempt_folder(0).mkdir()
        for number, (kind, saved) in enumerate(ends, 1):
            body = {"class": kind, "message": f"message {number}", "seconds": 1.5, "saved": saved, "host": f"n{number}"}
            paths.end(0, number).write_text(json.dumps(body))
        return tile_failures(paths, 0, numbers)


@QUICK
@given(ENDS)
def test_what_counts(ends: list[End]) -> None:
    """A loss until something was saved after it; every other failure until it is forgiven; the free ones never."""
    found = after(ends)
    last_saved = max((number for number, (_, saved) in enumerate(ends) if saved), default=-1)
    expected = Counter(
        kind
        for number, (kind, _) in enumerate(ends)
        if kind not in FREE and (kind not in LOSSES or number > last_saved)
    )
    assert +found.classes == expected
    assert found.seconds == 1.5 * len(ends)
    assert found.hosts == tuple(f"n{number}" for number, (kind, _) in enumerate(ends, 1) if kind in LOSSES)
    assert found.halvings == expected["out of memory"]
    assert found.isolate is any(expected[kind] >= often for kind, often in ISOLATE_AFTER.items())
    assert found.exhausted(BUDGETS) is any(expected[kind] >= BUDGETS.budget(kind) for kind in expected)


@QUICK
@given(ENDS, st.sampled_from([*FREE, Ending.COMMITTED]), st.integers(0, 20))
def test_an_end_that_is_nobodys_fault_changes_nothing(ends: list[End], kind: str, place: int) -> None:
    one, two = after(ends), after([*ends[:place], (kind, False), *ends[place:]])
    assert (+one.classes, one.hosts and len(one.hosts)) == (+two.classes, two.hosts and len(two.hosts))
    assert one.exhausted(BUDGETS) is two.exhausted(BUDGETS)


@QUICK
@given(ENDS, st.data())
def test_forgiven_is_as_never_failed(ends: list[End], data: st.DataObject) -> None:
    upto = data.draw(st.integers(0, len(ends)))
    found = after(ends, [number for number in (upto,) if number])
    assert +found.classes == +after(ends[upto:]).classes
    assert not after(ends, [len(ends) or 1]).exhausted(BUDGETS)


@QUICK
@given(st.lists(st.sampled_from(FREE), max_size=60), st.sampled_from(LOSSES), st.integers(1, 60))
def test_what_progresses_is_never_given_up(free: list[str], loss: str, losses: int) -> None:
    assert not after([(kind, False) for kind in free]).exhausted(BUDGETS)
    assert not after([(loss, True)] * losses).exhausted(BUDGETS)
    assert after([(loss, False)] * losses).exhausted(BUDGETS) is (losses >= BUDGETS.budget(loss))


def test_budgets_by_class() -> None:
    few = FailuresSection(worker_lost=1, node_lost=2, out_of_memory=3, file_system=4, hang=5, bug=6, device_lost=7)
    budgets = {"worker lost": 1, "node lost": 2, "out of memory": 3, "file system": 4, "hang": 5, "bug": 6}
    budgets["device lost"] = 7
    assert {kind: few.budget(kind) for kind in MENDS} == {**budgets, "bad input": 1}
    assert after([("bad input", False)]).exhausted(few.model_copy(update={"bug": 99}))


def test_a_class_that_nobody_knows_is_a_lost_workers() -> None:
    """Small files have no checksum: a flipped bit must neither free a tile of its budget nor spoil `status`."""
    assert after([("buf", False), ("preemptee", False)]).classes == {"worker lost": 2}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InputError("no such variable"), "bad input"),
        (MemoryError(), "out of memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes"), "out of memory"),
        (ValueError("wrong"), "bug"),
        (Outcome(0, "failed", error="InputError", message="x"), "bad input"),
        (Outcome(0, "lost", error="WorkerLost", message="x"), "worker lost"),
        (Outcome(0, "lost", error="NodeLost", message="x"), "node lost"),
        (Outcome(0, "lost", error="DeviceLost", message="x"), "device lost"),
        (DeviceLost("GPU 0 of n1 did not answer within 180 s"), "device lost"),
        (Outcome(0, "lost", error="WorkerLost", message="CUDA_ERROR_UNKNOWN stood in its log"), "worker lost"),
        (Outcome(0, "lost", error="Hang", message="x"), "hang"),
        (Outcome(0, "lost", error="MemoryError", message="x"), "out of memory"),
        (Outcome(0, "failed", error="KeyError", message="x"), "bug"),
    ],
)
def test_classes(error: BaseException | Outcome, kind: str) -> None:
    assert classify(error) == kind
    assert kind in MENDS


WORDS = st.text("abcdefgh XYZ-", max_size=12)


@QUICK
@given(WORDS, WORDS, st.integers(0, 10**9), st.integers(0, 10**9), WORDS)
def test_numbers_quoted_names_and_further_lines_make_no_difference(
    one: str, two: str, n: int, m: int, more: str
) -> None:
    assert signature("bug", f"cell '{one}' at step {n}") == signature("bug", f"cell '{two}' at step {m}\n{more}")
    assert signature("bug", f'cell "{one}"') != signature("hang", f'cell "{one}"')
    assert "\n" not in signature("bug", f"{more}\n{one}\n{two}")
    assert signature("bug", "x" * 500) == "bug: " + "x" * 120


@QUICK
@given(
    st.lists(st.tuples(CLASSES, st.sampled_from(["cell 'a' is odd", "tile 7 broke", "no room"])), max_size=12),
    st.integers(1, 6),
    st.integers(0, 8),
)
def test_a_campaign_stops_where_many_fail_alike(tiles: list[tuple[str, str]], most: int, done: int) -> None:
    with made() as paths:
        for tile, (kind, message) in enumerate(tiles):
            keep_traceback(paths, tile, "hang", "an earlier failure of the same tile", "")
            keep_traceback(paths, tile, kind, message.replace("7", str(tile)), "Traceback")
        counts = Counter(tiles)
        alike = max(counts.values(), default=0)
        why = stop_if_alike(paths, FailuresSection(max_failures=most), done)
        assert bool(why) is (alike >= most and alike > done)
        assert stopped(paths) == why
        if why:
            assert why.startswith(f"{alike} tiles failed alike (")
            assert any(signature(*key) in why for key, number in counts.items() if number == alike)


def test_what_is_said_to_people() -> None:
    assert describe_classes(Counter({"bug": 2, "hang": 1})) == "bug 2x, hang 1x"
    assert describe_set_aside(CampaignState(), Path("here")) == ""
    aside = [{"cell": "FI-Hyy", "tile": 3, "class": "hang", "message": "it said nothing for 9 s"}]
    said = describe_set_aside(CampaignState(set_aside=aside), Path("here"))
    assert "FI-Hyy (tile 3): hang: it said nothing for 9 s" in said
    assert "phloem retry here --lanes" in said


@dataclass
class Ahead(Engine):
    """Takes every task there is before it begins any, as Ray does with few of them, and loses the worker of each."""

    flag: StopFlag = field(default_factory=StopFlag)
    on_report: Callable[[int, Any], None] = lambda key, message: None
    taken: Counter[int] = field(default_factory=Counter)

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        keys = [task.key for task in tasks]
        assert len(set(keys)) == len(keys), "a tile is out twice"
        self.taken.update(keys)
        for key in keys:
            yield Outcome(key, "lost", error="WorkerLost", message="worker process 1 was killed by SIGKILL")


class TestTheSupervisor:
    @pytest.fixture
    def supervisor(self, tmp_path: Path) -> Supervisor:
        succeed("plan", write_campaign(tmp_path), "--out", "made", folder=tmp_path)
        return Supervisor(open_campaign(tmp_path / "made"), LocalEngine(1))

    def lose(self, supervisor: Supervisor) -> dict[str, Any]:
        """Let the worker that has tile 0 be lost; return how attempt 1 ended."""
        supervisor.fail(Outcome(0, "lost", error="WorkerLost", message="worker process 1 was killed by SIGKILL"))
        return read_end(supervisor.paths, 0, 1)

    def test_it_ends_the_attempt_of_its_own_worker(self, supervisor: Supervisor) -> None:
        assert supervisor.failures_if_free(0) is not None
        claim_next(supervisor.paths, 0, holder(f"{supervisor.name}.worker"))
        supervisor.report(0, {"steps": 5, "elapsed": 7.0, "saved": False})
        ended = self.lose(supervisor)
        assert (ended["class"], ended["seconds"], ended["saved"]) == ("worker lost", 7.0, False)
        assert failing_alike(supervisor.paths) == ("worker lost: worker process # was killed by SIGKILL", 1)
        forgive(supervisor.campaign)
        assert failing_alike(supervisor.paths) == ("", 0)
        failures = supervisor.failures_if_free(0)
        assert failures is not None
        assert failures.classes == {}

    def test_a_loss_after_a_checkpoint_is_none_that_stops_a_campaign(self, supervisor: Supervisor) -> None:
        """All workers of a machine may be killed at once, and every tile have progressed."""
        assert supervisor.failures_if_free(0) is not None
        claim_next(supervisor.paths, 0, holder(f"{supervisor.name}.worker"))
        supervisor.report(0, {"steps": 5, "elapsed": 7.0, "saved": True})
        assert self.lose(supervisor)["saved"]
        assert failing_alike(supervisor.paths) == ("", 0)
        keep_traceback(supervisor.paths, 0, "worker lost", "an earlier one, before the checkpoint", "")
        forgive(supervisor.campaign)
        assert failing_alike(supervisor.paths) == ("", 0)

    def test_a_tile_is_out_once(self, supervisor: Supervisor) -> None:
        """Engines may take tasks long before they begin them; Ray was given one twice."""
        supervisor.engine = engine = Ahead()
        supervisor.run()
        budget = supervisor.campaign.configuration.failures.worker_lost
        assert engine.taken == dict.fromkeys(supervisor.campaign.all_tiles, budget)

    def test_it_counts_a_worker_that_died_before_its_claim(self, supervisor: Supervisor) -> None:
        assert supervisor.failures_if_free(0) is not None
        assert self.lose(supervisor)["class"] == "worker lost"
        failures = supervisor.failures_if_free(0)
        assert failures is not None
        assert failures.classes == {"worker lost": 1}

    def test_it_does_not_end_the_attempt_of_another_run(self, supervisor: Supervisor) -> None:
        """That run was quicker, and its worker lives: two would compute the tile otherwise."""
        assert supervisor.failures_if_free(0) is not None
        claim_next(supervisor.paths, 0, holder("another.worker"))
        assert self.lose(supervisor) == {}
        assert attempt_numbers(supervisor.paths, 0).open == 1
        assert supervisor.failures_if_free(0) is None


@pytest.mark.engine
def test_an_attempt_that_is_overtaken_has_not_failed(finished: Path, tmp_path: Path) -> None:
    """Its commit is refused, and that counts against nobody."""
    succeed("plan", write_campaign(tmp_path), "--out", "made", folder=tmp_path)
    paths = CampaignPaths(tmp_path / "made")
    dead = subprocess.Popen(["true"])
    dead.wait()
    process = start("run", paths.root, folder=tmp_path)
    try:
        wait_for("the first attempt", lambda: attempt_numbers(paths, 0).newest)
        assert claim_next(paths, 0, replace(holder("overtaker"), pid=dead.pid, started=1)) == 2
        assert process.wait(300) == 0, (tmp_path / "stderr").read_text()
    finally:
        end(process)
    assert count(paths.root, "stale") == 1
    ends = [event for event in read_events(paths.journals_dir) if event["event"] == "ended"]
    assert {event["class"] for event in ends if event["attempt"] == 1} == {"interrupted"}
    assert [event["class"] for event in failures(paths.root)] == ["worker lost"], "that of the overtaker alone"
    assert os.listdir(paths.failures_dir) == []
    assert differing(merged(finished), merged(paths.root)) == set()
