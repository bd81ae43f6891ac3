"""Tens of faults over whole campaigns through real SLURM, drawn by chance; and limits that SLURM itself enforces."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from phloem.io.campaign.attempts import AttemptRecord
from tests.support.campaigns.campaigns import succeed, wait_for
from tests.support.engines.slurm_campaigns import Planned, Trial, write_trial
from tests.support.engines.slurm_cluster import SlurmCluster

pytestmark = [pytest.mark.engine, pytest.mark.soak]

Record = Callable[[str, object], None]
MANY = 24_000
"""Iterations of tiles that take together more than a minute."""

STRIKES = 5
"""Faults of one campaign, if it lives so long."""


def lose_and_restart(trial: Trial) -> None:
    node, hit = trial.lose_node()
    wait_for("the end of what was on the node", lambda: trial.over(hit), 240)
    trial.cluster.restart_node(node)


def preempt_and_leave(trial: Trial) -> None:
    urgent, hit = trial.preempt()
    wait_for("the end of what was preempted", lambda: trial.over(hit), 240)
    trial.cluster.say("scancel", urgent)


def log_out_and_return(trial: Trial) -> None:
    trial.log_out()
    trial.start()


def cancel_and_go_on(trial: Trial) -> None:
    trial.cancel()
    assert trial.driver is not None
    assert trial.driver.wait(240) == 1, trial.said
    trial.start()


def once(strike: Callable[[Trial], AttemptRecord]) -> Callable[[Trial], None]:
    """Return a strike after which the attempt that it hit is over."""

    def struck(trial: Trial) -> None:
        hit = strike(trial)
        wait_for("the end of the attempt", lambda: trial.over(hit), 240)

    return struck


put_back = once(Trial.requeue)
FAULTS: list[Callable[[Trial], object]] = [
    once(lambda trial: trial.strike_process("worker")),
    once(lambda trial: trial.strike_process("supervisor")),
    once(lambda trial: trial.strike_task("USR2")),
    once(lambda trial: trial.strike_task("TERM")),
    put_back,
    Trial.restart_controller,
    lose_and_restart,
    preempt_and_leave,
    log_out_and_return,
    cancel_and_go_on,
]


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("requeue", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_faults_drawn_by_chance(planned: Planned, record_property: Record, seed: int, requeue: bool) -> None:
    draw = random.Random(f"{seed} {requeue}")
    trial = planned(requeue=requeue)
    trial.start()
    merged = (trial.root / "merged.nc").exists
    for strike in draw.sample(FAULTS, STRIKES):
        if not requeue and strike is put_back:
            continue  # which SLURM then refuses
        wait_for("a tile to hit, or the end", lambda: trial.computing() or merged(), 300)
        if merged():
            break
        strike(trial)
    record_property("faults", trial.finish(900))


@pytest.mark.timeout(2400)
def test_walltimes_that_slurm_enforces(
    machines: SlurmCluster, planned: Planned, tmp_path: Path, record_property: Record
) -> None:
    """A limit of a minute, looked at every 30 s: one task has more to do than fits into it."""
    alone = tmp_path / "alone"
    succeed("run", write_trial(alone, iterations=MANY), "--out", "made", folder=alone)
    trial = planned(iterations=MANY, walltime="00:01:00", signal_seconds=20, tiles_per_task=4)
    trial.undisturbed = alone / "made"
    trial.start()
    assert trial.driver is not None
    assert trial.driver.wait(1800) == 0, trial.said
    stopped = [event for event in trial.journalled("ended") if event["class"] == "walltime"]
    trial.faults["walltime"] += len(stopped)
    trial.cut += len(stopped)
    record_property("faults", trial.finish())
