"""Rounds of a campaign on real SLURM: who submits them, whom the scheduler calls dead, which nodes are left out."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phloem.errors import WorkError
from phloem.hpc.slurm_engine.job_states import queue_states
from phloem.hpc.tasks import EngineError
from phloem.io.campaign.attempts import end_attempt, end_lost, holder, read_attempt, read_end, take_tile
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.run.batch_jobs import ANSWERS, alive, living, verdict
from phloem.jobs.run.slurm.rounds import (
    bad_nodes,
    being_submitted,
    claim_path,
    jobs_path,
    newest_round,
    round_jobs,
    submit_round,
)
from phloem.jobs.run.slurm.watch import describe_jobs, finish, go_on
from phloem.jobs.run.state import read_state, summary
from phloem.jobs.run.status import show
from tests.support.campaigns.campaigns import end, start, succeed, wait_for, write_campaign
from tests.support.engines.slurm_cluster import SlurmCluster
from tests.support.engines.slurm_runs import Run

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planned campaign of 3 tiles, whose tasks end at once and do nothing."""
    folder = tmp_path_factory.mktemp("planned")
    path = write_campaign(folder, engine={"name": "slurm", "tiles_per_task": 1, "setup": ["exit 0"]})
    succeed("plan", path, "--out", "made", "--rate", "10", folder=folder)
    return folder / "made"


@pytest.fixture
def campaign(slurm: SlurmCluster, planned: Path, tmp_path: Path) -> Iterator[Campaign]:
    """A copy of the planned campaign; afterwards nothing of it is in the queue."""
    shutil.copytree(planned, tmp_path / "made")
    yield open_campaign(tmp_path / "made")
    slurm.say("scancel", "--me")
    slurm.wait_until_empty()


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler's answers to other tests are forgotten, and those to this one are not remembered for long."""
    monkeypatch.setattr(ANSWERS, "known", {})
    monkeypatch.setattr(ANSWERS, "over", {})


def asking(campaign: Campaign, **keys: Any) -> Campaign:
    """Return a campaign with other keys in its section `engine`."""
    engine = campaign.configuration.engine.model_copy(update=keys)
    return replace(campaign, configuration=campaign.configuration.model_copy(update={"engine": engine}))


def lose(campaign: Campaign, tile: int, node: str, seconds_ago: float) -> None:
    """Have an attempt at a tile end with the loss of a node, last heard so long ago."""
    number = take_tile(campaign.paths, tile, holder("lost", "999999_1", 0, node))
    claim = campaign.paths.claim(tile, number)
    then = claim.stat().st_mtime - seconds_ago
    os.utime(claim, (then, then))
    assert end_lost(campaign.paths, read_attempt(campaign.paths, tile, number), "finder")
    assert read_end(campaign.paths, tile, number)["class"] == "node lost"


def test_of_many_who_submit_a_round_one_does(campaign: Campaign, slurm: SlurmCluster) -> None:
    state = read_state(campaign)
    found: list[int] = []
    start = threading.Barrier(4)

    def submit() -> None:
        start.wait()
        found.append(submit_round(campaign, state))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 0, 0, 1]
    assert len(queue_states(round_jobs(campaign, 1))) == 4, "3 tasks and the job after them"
    assert len(list(campaign.paths.batches_dir.glob("*.sh"))) == 2
    assert (newest_round(campaign), being_submitted(campaign)) == (1, 0)
    assert submit_round(campaign, state, after=0) == 0, "it was submitted since the caller looked"


def test_a_round_that_is_being_submitted_is_waited_for(campaign: Campaign) -> None:
    """Its tasks are not in the queue yet: that is no sign that it has ended."""
    state = read_state(campaign)
    campaign.paths.batches_dir.mkdir(exist_ok=True)
    claim_path(campaign, 1).touch()
    assert (newest_round(campaign), being_submitted(campaign)) == (0, 1)
    assert submit_round(campaign, state) == 0
    os.utime(claim_path(campaign, 1), (0, 0))
    assert being_submitted(campaign) == 0, "whoever did it is gone"
    assert submit_round(campaign, state) == 2


def test_a_refused_round_leaves_nothing(campaign: Campaign, slurm: SlurmCluster) -> None:
    with pytest.raises(EngineError, match="invalid partition"):
        submit_round(asking(campaign, partition="nowhere"), read_state(campaign))
    assert (newest_round(campaign), being_submitted(campaign)) == (0, 0)
    assert submit_round(campaign, read_state(campaign)) == 1


def test_the_last_job_of_a_broken_environment_does_not_go_on(campaign: Campaign, slurm: SlurmCluster) -> None:
    submit_round(campaign, read_state(campaign))
    slurm.wait_until_empty()
    with pytest.raises(WorkError, match=f"see the jobs' output in {campaign.paths.batches_dir}"):
        finish(campaign.paths.root, 1)
    assert newest_round(campaign) == 1


def test_rounds_that_bring_nothing_forward_end(campaign: Campaign, slurm: SlurmCluster) -> None:
    """Walltimes that are too short, or endless preemption: nobody's fault, and no reason to go on for ever."""

    def waste(saved: bool) -> None:
        slurm.wait_until_empty()
        attempt = take_tile(campaign.paths, 0, holder("short"))
        assert end_attempt(campaign.paths, 0, attempt, "walltime", saved=saved)

    submit_round(campaign, read_state(campaign))
    for number in (1, 2):
        waste(saved=False)
        assert go_on(campaign, read_state(campaign), number) == number + 1
    waste(saved=False)
    with pytest.raises(WorkError, match=r"3 rounds in a row .* more engine.walltime"):
        go_on(campaign, read_state(campaign), 3)
    waste(saved=True)
    assert go_on(campaign, read_state(campaign), 3) == 4


def test_a_node_that_was_lost_twice_is_left_out(campaign: Campaign, slurm: SlurmCluster) -> None:
    lose(campaign, 0, "n1", 1000)
    lose(campaign, 1, "n1", 1010)
    assert bad_nodes(campaign) == [], "two attempts went with the node at once"
    lose(campaign, 2, "n1", 10)
    lose(campaign, 0, "n2", 10)
    assert bad_nodes(campaign) == ["n1"]
    submit_round(campaign, read_state(campaign))
    for job in round_jobs(campaign, 1):
        assert "ExcNodeList=n1" in slurm.say("scontrol", "show", "job", job).split()


def test_status_says_what_waits(campaign: Campaign, slurm: SlurmCluster) -> None:
    submit_round(asking(campaign, sbatch={"hold": True}), read_state(campaign))
    queue = describe_jobs(campaign)
    assert queue["tasks"] == {"pending": 4}
    assert "JobHeldUser" in queue["reasons"]
    text = show(campaign, summary(campaign, read_state(campaign)) | {"queue": queue})
    assert "queue  tasks of round 1: pending 4" in text
    assert "phloem run" not in text, "it goes on by itself"
    slurm.stop_controller()
    try:
        silent = describe_jobs(campaign)
    finally:
        slurm.start_controller()
    assert (silent["tasks"], list(silent["reasons"])) == ({"unknown": 2}, ["SLURM does not answer"])
    slurm.say("scancel", "--me")
    slurm.wait_until_empty()
    assert describe_jobs(campaign) == {}
    text = show(campaign, summary(campaign, read_state(campaign)) | {"queue": {}})
    assert "next: phloem run" in text


def test_a_run_says_why_its_tasks_wait(campaign: Campaign, slurm: SlurmCluster, tmp_path: Path) -> None:
    process = start("run", campaign.paths.root, "--set", "engine.sbatch={hold=true}", folder=tmp_path)
    try:
        wait_for("the reason", lambda: "in the queue: JobHeldUser" in (tmp_path / "stderr").read_text())
        slurm.say("scancel", "--me")
        assert process.wait(120) == 1
    finally:
        end(process)
    said = (tmp_path / "stderr").read_text()
    assert "jobs were cancelled" in said
    assert f"phloem run {campaign.paths.root} --engine slurm" in said


def test_a_damaged_list_of_jobs_is_read_from_its_copy(campaign: Campaign) -> None:
    submit_round(campaign, read_state(campaign))
    jobs = round_jobs(campaign, 1)
    jobs_path(campaign, 1).write_bytes(b"{}")
    assert round_jobs(campaign, 1) == jobs


# ---------------------------------------------------------------------- whom the scheduler calls dead
def test_a_forgotten_job_is_not_alive_but_nobody_says_how_it_ended(slurm: SlurmCluster) -> None:
    assert queue_states(["999998", "999999_3"]) == {}
    assert living(["999998"]) == []
    assert verdict(holder("long ago", "999999_3")) == ""


def test_while_the_controller_is_away_all_are_alive(slurm: SlurmCluster, slurm_run: Run) -> None:
    slurm_run.submit(2, "--hold")
    slurm_run.wait_noted(0)
    slurm.stop_controller()
    try:
        assert alive(["999998"]) == ["999998"]
        assert verdict(holder("somebody", slurm_run.ids[0])) == ""
    finally:
        slurm.start_controller()
    assert living([slurm_run.submitted[0].job]) == [slurm_run.submitted[0].job]


def test_lives_of_a_job_are_judged_apart(slurm: SlurmCluster, slurm_run: Run) -> None:
    """What is known of the life before a requeue says nothing of the one after it, nor does an older answer."""
    slurm_run.submit(1, "--hold")
    (task,) = slurm_run.ids
    first, second = holder("first", task, 0, "n1"), holder("second", task, 1, "n1")
    node = slurm_run.wait_noted(0)["node"]
    assert verdict(first) == ""
    slurm.say("scontrol", "requeuehold", task)
    slurm.wait_for(lambda: slurm.squeue()[task] == "PENDING", "the requeue")
    ANSWERS.known.clear()
    assert verdict(first) == "preempted", f"{node} is well"
    slurm.say("scontrol", "release", task)
    assert slurm_run.wait_noted(0, times=2)["restarts"] == 1
    # the last answer, a few seconds old, was that the job waits
    assert verdict(second) == ""
    assert verdict(first) == "preempted"


def test_a_task_that_waited_when_last_asked_is_not_dead(slurm: SlurmCluster, slurm_run: Run) -> None:
    slurm_run.submit(2, "--hold", throttle=1)
    one, other = slurm_run.ids
    slurm_run.wait_noted(0)
    assert verdict(holder("one", one)) == ""
    assert ANSWERS.known[one.partition("_")[0]][1][other] == "PENDING"
    slurm_run.release()
    slurm_run.wait_noted(1)
    assert verdict(holder("other", other)) in ("", "worker lost"), "it runs, or has ended by now"
    slurm.wait_until_empty()


def test_preempted_where_nothing_is_requeued(slurm: SlurmCluster, slurm_run: Run) -> None:
    """SLURM ends such a job instead of putting it back: that is no user's wish to stop."""
    slurm_run.submit(1, "--hold", requeue=False)
    (task,) = slurm_run.ids
    urgent = slurm.preempt(slurm_run.wait_noted(0)["node"])
    slurm.wait_for(lambda: slurm.squeue()[task] not in ("RUNNING", "COMPLETING"), "the end of the task")
    assert verdict(holder("preempted", task)) == "preempted"
    slurm.say("scancel", urgent)


def test_ends_of_jobs_are_told(slurm: SlurmCluster, slurm_run: Run) -> None:
    slurm_run.submit(2, "--hold")
    slurm_run.wait_noted(0)
    slurm_run.wait_noted(1)
    one, other = slurm_run.ids
    slurm.say("scancel", one)
    slurm_run.release()
    slurm.wait_until_empty()
    ANSWERS.known.clear()
    assert verdict(holder("one", one)) == "cancelled"
    assert verdict(holder("other", other)) == "worker lost"
