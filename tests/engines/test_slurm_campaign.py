"""Whole campaigns through real SLURM, broken on purpose: merged bits as undisturbed, and no tile computed in vain."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from phloem.io.campaign.attempts import attempt_numbers, read_attempt
from tests.support.campaigns.campaigns import start, wait_for
from tests.support.engines.slurm_campaigns import Planned, Trial

pytestmark = pytest.mark.engine

Record = Callable[[str, object], None]


def test_killed_processes_and_a_user_who_logs_out(planned: Planned, record_property: Record) -> None:
    trial = planned('a folder\'s "name"\nwith a line break')
    trial.start()
    trial.log_out()
    hit = trial.strike_process("worker")
    wait_for("the next attempt", lambda: any(one.number > hit.number for one in trial.held() if one.tile == hit.tile))
    hit = trial.strike_process("supervisor")
    trial.cluster.wait_for(lambda: trial.cluster.squeue().get(hit.holder.job) == "FAILED", "the end of the task")
    trial.wait_merged()
    record_property("faults", trial.finish())


def test_tasks_that_are_put_back(planned: Planned, record_property: Record) -> None:
    trial = planned()
    trial.start()
    hit = trial.strike_task("USR2")
    sent = time.time()
    wait_for("the next life", lambda: _restarts(trial, hit.tile) == 1)
    (stopped,) = [event for event in trial.events("stopped") if event["tile"] == hit.tile]
    urgent, _ = trial.preempt()
    trial.cluster.say("scancel", urgent)
    trial.requeue()
    line = trial.finish()
    ends = [event["class"] for event in trial.journalled("ended")]
    assert ends.count("walltime") == 1
    assert set(ends) <= {"walltime", "preempted"}, "none of this counts against a tile"
    assert trial.rounds() == 1
    record_property("faults", f"{line}; a checkpoint {stopped['time'] - sent:.1f} s after the signal")


def _restarts(trial: Trial, tile: int) -> int:
    """Return how often the job had been put back that holds, or last held, a tile."""
    return read_attempt(trial.paths, tile, attempt_numbers(trial.paths, tile).newest).holder.restart


def test_lost_nodes(planned: Planned, record_property: Record) -> None:
    trial = planned()
    trial.start()
    node, hit = trial.lose_node()
    wait_for("the next life", lambda: _restarts(trial, hit.tile) == 1 or trial.paths.tile(hit.tile).exists())
    trial.cluster.restart_node(node)
    record_property("faults", trial.finish())
    assert trial.rounds() == 1
    assert {event["class"] for event in trial.journalled("ended")} == {"node lost"}


def test_where_nothing_is_requeued(planned: Planned, record_property: Record) -> None:
    trial = planned(requeue=False)
    trial.start()
    hit = trial.strike_task("USR2")
    batches = trial.root / "batches"
    (again,) = wait_for("the task submitted anew", lambda: list(batches.glob("round-0001.again-*")))
    assert again.name.partition("again-")[2] != hit.holder.job
    node, _ = trial.lose_node()
    record_property("faults", trial.finish())
    trial.cluster.restart_node(node)
    ends = [event["class"] for event in trial.journalled("ended")]
    assert ends.count("walltime") == 1
    assert "node lost" in ends, "found by another task, on another machine, long before the lease has passed"


def test_the_controller_away_then_a_user_who_cancels(planned: Planned, record_property: Record) -> None:
    trial = planned()
    trial.start()
    with trial.frozen_worker() as hit:  # what it computes is not done in the meantime, however fast this machine is
        trial.cluster.stop_controller()
        trial.faults["controller down 20 s"] += 1
        until = time.monotonic() + 20
        wait_for("20 s", lambda: time.monotonic() > until)
        assert trial.driver is not None
        assert trial.driver.poll() is None, trial.said
        assert trial.rounds() == 1, "unknown is not over"
        trial.cluster.start_controller()
        assert hit in trial.computing(), "its task did not notice"
    trial.cancel()
    assert trial.driver.wait(120) == 1
    assert "jobs were cancelled" in trial.said
    assert "phloem run" in trial.said
    assert not (trial.root / "merged.nc").exists()
    trial.start()
    record_property("faults", trial.finish())


def test_two_runs_at_once(planned: Planned, record_property: Record) -> None:
    trial = planned()
    trial.start()
    other = start("run", trial.root, folder=trial.undisturbed)
    trial.faults["second run"] += 1
    try:
        line = trial.finish()
        assert other.wait(200) == 0, (trial.undisturbed / "stderr").read_text()
    finally:
        other.kill()
    assert trial.rounds() == 1
    record_property("faults", line)


def test_a_task_environment_that_is_broken(planned: Planned, record_property: Record) -> None:
    trial = planned(setup=["exit 1"])
    done = trial.run()
    assert done.returncode == 1
    assert f"see the jobs' output in {trial.root / 'batches'}" in done.stderr
    assert trial.rounds() == 1, "it is not submitted again and again"
    assert not trial.held()
    record_property("faults", "slurm campaign: broken task environment 1; 1 round, error names the folder")
