"""What befalls SLURM jobs, made to happen on a real cluster: signals, lost nodes, a controller that is away."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from phloem.hpc.slurm_engine.control import cancel_jobs, exclude_node, limits
from phloem.hpc.slurm_engine.job_states import end_class, job_states
from phloem.hpc.slurm_engine.own_job import this_job
from phloem.hpc.tasks import EngineError
from tests.support.engines.slurm_cluster import NoSlurm, SlurmCluster
from tests.support.engines.slurm_runs import Run

pytestmark = pytest.mark.engine


def watch(run: Run, until: int, task: int) -> set[str]:
    """Collect what the states of all tasks mean until a task has been started so often."""
    seen: set[str] = set()

    def look() -> bool:
        seen.update(end_class(state) for state in job_states(run.ids).values())
        return len(run.notes_of(task)) >= until

    run.cluster.wait_for(look, f"start {until} of task {task}")
    return seen


SLOW_ANSWER = """#!/bin/sh
PATH={path} scontrol "$@"
status=$?
[ "$1" = requeue ] && touch {asked} && sleep 1.5
exit $status
"""


def test_usr2_and_a_requeue(slurm_run: Run, tmp_path: Path) -> None:
    # the SIGTERM of the requeue reaches the command that asked for it before it has its answer
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin/scontrol"
    shim.write_text(SLOW_ANSWER.format(path=os.environ["PATH"], asked=tmp_path / "asked"))
    shim.chmod(0o755)
    (one,) = slurm_run.submit(3, "--hold", "--on-usr2", "requeue", setup=(f'PATH={shim.parent}:"$PATH"',))
    notes = [slurm_run.wait_noted(task) for task in range(3)]
    # the last task that starts has the array's own job id, so that `scontrol requeue` of it would take all tasks
    assert one.job in {note["job"] for note in notes}
    victim = next(note["task"] for note in notes if note["job"] == one.job)
    slurm_run.cluster.send(one.tasks[victim], "USR2")
    seen = watch(slurm_run, 2, victim)
    assert seen == {"running", "pending"}
    again = slurm_run.notes_of(victim)[-1]
    assert [note["restarts"] for note in slurm_run.notes_of(victim)] == [0, 1]
    assert again["id"] == one.tasks[victim]
    assert (tmp_path / "asked").exists(), "the fault was there"
    assert (slurm_run.notes / f"{victim}.requeued").exists(), "the request outlived the signals that it caused"
    assert [len(slurm_run.notes_of(task)) for task in range(3)] == [2 if task == victim else 1 for task in range(3)]
    slurm_run.release()
    slurm_run.cluster.wait_until_empty()
    assert set(job_states([one.job]).values()) == {"COMPLETED"}
    log = (slurm_run.scripts / f"slurm-{again['id']}.log").read_text()
    assert log.count(f"task {victim} of job {again['id']}\n") == 2, "the log of the first start is kept"


def test_where_requeue_is_refused_a_task_submits_itself_anew(slurm_run: Run) -> None:
    (one,) = slurm_run.submit(2, "--hold", "--on-usr2", "either", first=40, requeue=False, cpus_per_task=2)
    slurm_run.wait_noted(41)
    slurm_run.cluster.send(one.tasks[41], "USR2")
    again = slurm_run.wait_noted(41, times=2)
    refused = (slurm_run.notes / "41.refused").read_text()
    assert "`sh -c" in refused
    assert "disabled" in refused
    assert (slurm_run.notes / "41.resubmitted").read_text() == again["id"]
    assert again["array_job"] != one.job
    assert (again["array_task"], again["task"], again["restarts"]) == (1, 41, 0)
    assert again["variables"]["SLURM_CPUS_ON_NODE"] == "2", "the same options"
    assert again["script"] == str(one.script)
    assert len(slurm_run.cluster.squeue("-j", again["array_job"])) == 1, "of the array, this task alone"
    slurm_run.release()
    slurm_run.cluster.wait_until_empty()
    assert job_states([again["id"]]) == {again["id"]: "COMPLETED"}


def test_a_requeued_job_that_submits_itself_hands_nothing_on(slurm_run: Run) -> None:
    one = slurm_run.launcher().submit_one(slurm_run.command("--hold", "--on-usr2", "resubmit"))
    slurm_run.wait_noted("one")
    slurm_run.cluster.say("scontrol", "requeue", one.job)
    assert slurm_run.wait_noted("one", times=2)["restarts"] == 1
    slurm_run.cluster.send(one.job, "USR2")
    again = slurm_run.wait_noted("one", times=3)
    assert again["restarts"] == 0
    assert again["id"] == (slurm_run.notes / "None.resubmitted").read_text() != one.job
    assert "SLURM_RESTART_COUNT" not in again["variables"]


def test_a_lost_node(slurm_run: Run) -> None:
    slurm = slurm_run.cluster
    slurm_run.submit(1, "--hold")
    node = slurm_run.wait_noted(0)["node"]
    slurm_run.submit(1, "--hold", first=1, requeue=False, sbatch={"nodelist": node})
    assert slurm_run.wait_noted(1)["node"] == node
    comes_back, stays_away = slurm_run.ids
    try:
        killed = slurm.lose_node(node)
        assert {slurm_run.notes_of(task)[0]["pid"] for task in (0, 1)} <= killed, "the fault was there"
        seen = watch(slurm_run, 2, 0)
        assert "completed" not in seen
        again = slurm_run.notes_of(0)[-1]
        assert (again["id"], again["restarts"]) == (comes_back, 1)
        assert again["node"] != node
        states = job_states(slurm_run.ids)
        assert {task: end_class(state) for task, state in states.items()} == {
            comes_back: "running",
            stays_away: "node lost",
        }
        slurm_run.release()
        slurm.wait_until_empty()
        assert job_states(slurm_run.ids) == {comes_back: "COMPLETED", stays_away: "NODE_FAIL"}
    finally:
        slurm.restart_node(node)


def test_preemption(slurm_run: Run) -> None:
    (one,) = slurm_run.submit(1, "--hold")
    first = slurm_run.wait_noted(0)
    other = slurm_run.cluster.preempt(first["node"])
    seen = watch(slurm_run, 2, 0)
    assert seen == {"running", "pending"}
    again = slurm_run.notes_of(0)[-1]
    assert (again["id"], again["restarts"]) == (one.tasks[0], 1)
    assert again["node"] != first["node"], "the node is still taken"
    cancel_jobs([other])


def test_the_signal_before_the_walltime(slurm_run: Run) -> None:
    # the controller looks at limits every 30 s, and sends the signal early rather than late
    (one,) = slurm_run.submit(1, "--hold", "--on-usr2", "requeue", walltime_minutes=1, signal_seconds=59)
    assert slurm_run.wait_noted(0, times=2)["restarts"] == 1
    assert (slurm_run.notes / "0.signalled").exists()
    assert slurm_run.notes_of(0)[-1]["id"] == one.tasks[0]


@pytest.mark.soak
def test_walltime(slurm_run: Run) -> None:
    slurm_run.submit(1, "--hold", walltime_minutes=1, signal_seconds=1)
    slurm_run.cluster.wait_until_empty(seconds=180)
    (state,) = job_states(slurm_run.ids).values()
    assert (state, end_class(state)) == ("TIMEOUT", "walltime")


def test_cancelled_killed_and_failed_tasks(slurm_run: Run) -> None:
    (one,) = slurm_run.submit(4, "--hold", cpus_per_task=4)
    notes = [slurm_run.wait_noted(task) for task in range(3)]
    cancel_jobs([one.tasks[0], one.tasks[3]])
    os.kill(notes[1]["pid"], signal.SIGKILL)
    slurm_run.cluster.wait_for(lambda: len(slurm_run.running()) == 1, "one running task")
    slurm_run.release()
    slurm_run.cluster.wait_until_empty()
    found = {index: end_class(job_states([task])[task]) for index, task in one.tasks.items()}
    assert found == {0: "cancelled", 1: "worker lost", 2: "completed", 3: "cancelled"}
    cancel_jobs(list(one.tasks.values()))
    assert {index: end_class(job_states([task])[task]) for index, task in one.tasks.items()} == found


@pytest.fixture
def controller_away(slurm_run: Run) -> Iterator[Run]:
    """A run with a finished task 0 and a running task 1, whose states SLURM cannot tell."""
    slurm_run.submit(1)
    slurm_run.cluster.wait_until_empty()
    slurm_run.submit(1, "--hold", first=1)
    slurm_run.wait_noted(1)
    assert list(job_states(slurm_run.ids).values()) == ["COMPLETED", "RUNNING"]
    slurm_run.cluster.stop_controller()
    try:
        yield slurm_run
    finally:
        slurm_run.cluster.start_controller()


def test_with_the_controller_down_nothing_is_known(controller_away: Run) -> None:
    run = controller_away
    assert job_states(run.ids, seconds=3) == dict.fromkeys(run.ids, "UNKNOWN")
    assert {end_class(state) for state in job_states(run.ids, seconds=30).values()} == {"unknown"}
    with pytest.raises(EngineError, match="`scontrol show config` did not answer within 1 s"):
        limits(seconds=1)
    with pytest.raises(EngineError, match=r"`scontrol show config` failed .*contact slurm controller"):
        run.submit(1)
    with pytest.raises(EngineError, match=r"`squeue .*"):
        exclude_node(run.ids, "n1", seconds=1)
    run.cluster.start_controller()
    assert list(job_states(run.ids).values()) == ["COMPLETED", "RUNNING"]
    run.release()
    run.cluster.wait_until_empty()
    assert list(job_states(run.ids).values()) == ["COMPLETED", "COMPLETED"]
    assert len(run.notes_of(1)) == 1, "the task did not notice"
    run.cluster.stop_controller(signal.SIGKILL)


def test_a_frozen_controller_is_not_waited_for(slurm_run: Run) -> None:
    slurm_run.submit(1)
    slurm_run.cluster.wait_until_empty()
    with slurm_run.cluster.frozen_controller():
        assert job_states(slurm_run.ids, seconds=1) == {slurm_run.ids[0]: "UNKNOWN"}
    assert job_states(slurm_run.ids) == {slurm_run.ids[0]: "COMPLETED"}


def test_forgotten_jobs_are_unknown(slurm: SlurmCluster) -> None:
    assert job_states(["999998", "999999_3"]) == {"999998": "UNKNOWN", "999999_3": "UNKNOWN"}
    assert job_states(["999999"]) == {"999999": "UNKNOWN"}
    assert job_states([]) == {}
    with pytest.raises(EngineError, match="not a SLURM job id: '12; ls'"):
        job_states(["3", "12; ls"])


def test_outside_of_slurm_there_is_no_job(slurm: SlurmCluster) -> None:
    assert this_job() is None


@pytest.fixture
def accounted(slurm: SlurmCluster, tmp_path: Path) -> Iterator[Run]:
    """A run on a second cluster, with accounting."""
    try:
        cluster = SlurmCluster.start(nodes=2, cpus=4, accounting=True)
    except NoSlurm as missing:
        pytest.skip(f"no SLURM accounting here: {missing}")
    cluster.enter()
    try:
        yield Run.in_folder(cluster, tmp_path)
    finally:
        cluster.stop()


def test_accounting_speaks_of_ends_while_the_controller_is_away(accounted: Run) -> None:
    slurm = accounted.cluster
    assert limits().accounting
    accounted.submit(2)
    slurm.wait_until_empty()
    accounted.submit(1, "--hold", first=2)
    node = accounted.wait_noted(2)["node"]
    accounted.submit(1, "--hold", first=3, requeue=False, sbatch={"nodelist": node})
    accounted.wait_noted(3)
    done, held, lost = accounted.ids[:2], *accounted.ids[2:]
    assert slurm.lose_node(node)
    seen = watch(accounted, 2, 2)
    assert seen <= {"completed", "running", "pending", "node lost"}
    assert job_states([held, lost]) == {held: "RUNNING", lost: "NODE_FAIL"}

    def accounted_for() -> bool:
        text = slurm.say("sacct", "-n", "-X", "-P", "-o", "JobID,State")
        return {f"{done[0]}|COMPLETED", f"{done[1]}|COMPLETED", f"{lost}|NODE_FAIL"} <= set(text.split())

    slurm.wait_for(accounted_for, "the accounting")
    slurm.stop_controller()
    found = job_states(accounted.ids, seconds=3)
    # a task that ran may have ended since, and a lost one may have been requeued: that is for the controller to say
    assert found == {done[0]: "COMPLETED", done[1]: "COMPLETED", held: "UNKNOWN", lost: "UNKNOWN"}
    assert job_states([done[0].split("_")[0]], seconds=3) == dict.fromkeys(done, "COMPLETED")
    slurm.start_controller()
    assert job_states([held, lost]) == {held: "RUNNING", lost: "NODE_FAIL"}
    accounted.release()
