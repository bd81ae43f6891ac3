"""Whole campaigns through real SLURM, broken on purpose: merged bits as undisturbed, and no tile computed in vain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from campaigns import start, succeed, wait_for
from slurm_campaigns import Trial, write_trial
from slurm_cluster import NoSlurm, SlurmCluster

from phloem.io import attempt_numbers, read_attempt

pytestmark = pytest.mark.engine

Planned = Callable[..., Trial]
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A cluster of 3 nodes with 2 cores each, whose processes do not see each other; what is compiled is kept."""
    try:
        cluster = SlurmCluster.start(nodes=3, cpus=2, machines=True)
    except NoSlurm as missing:
        pytest.skip(f"no SLURM here: {missing}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        cluster.enter()
        yield cluster
        cluster.stop()


@pytest.fixture(scope="module")
def undisturbed(machines: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same campaign on the local engine, undisturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    succeed("run", write_trial(folder), "--out", "made", folder=folder)
    return folder / "made"


@pytest.fixture
def planned(machines: SlurmCluster, undisturbed: Path, tmp_path: Path) -> Iterator[Planned]:
    """Plans a campaign on the cluster; afterwards nothing of it is left, and all nodes are there."""
    trials = []

    def plan(name: str = "trial", **engine: object) -> Trial:
        trials.append(Trial.planned(machines, tmp_path / name, undisturbed, **engine))
        return trials[-1]

    yield plan
    machines.start_controller()
    for trial in trials:
        trial.stop()
    machines.say("scancel", "--me")
    machines.wait_until_empty()
    for node, state in machines.node_states().items():
        if not state.startswith(("idle", "mixed", "allocated")):
            machines.restart_node(node)


def test_killed_processes_and_a_user_who_logs_out(planned: Planned, record_property: Record) -> None:
    trial = planned('a folder\'s "name"\nwith a line break')
    trial.start()
    trial.victim()
    trial.stop()
    trial.driver = None
    trial.faults["driver killed"] += 1
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
    assert trial.rounds() == 2


def test_the_controller_away_then_a_user_who_cancels(planned: Planned, record_property: Record) -> None:
    trial = planned()
    trial.start()
    trial.victim()
    trial.cluster.stop_controller()
    trial.faults["controller down 20 s"] += 1
    done = len(list(trial.paths.tiles_dir.glob("*.h5")))
    until = time.monotonic() + 20
    wait_for("20 s", lambda: time.monotonic() > until)
    assert trial.driver is not None
    assert trial.driver.poll() is None, trial.said
    assert trial.rounds() == 1, "unknown is not over"
    trial.cluster.start_controller()
    if len(list(trial.paths.tiles_dir.glob("*.h5"))) < 4:
        trial.cancel()
        assert trial.driver.wait(120) == 1
        assert "jobs were cancelled" in trial.said
        assert "phloem run" in trial.said
        assert not (trial.root / "merged.nc").exists()
        trial.start()
    record_property("faults", f"{trial.finish()}; {done} tiles were done when the controller went")


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
