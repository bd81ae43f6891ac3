"""Campaigns on the SLURM cluster that are broken on purpose, and what must hold of them in the end.

    trial = Trial.planned(cluster, folder, undisturbed, requeue=False)
    trial.start()                        # phloem run, in the background
    trial.strike_task("USR2")            # waits for a tile that has a checkpoint, then hits the task that computes it
    trial.finish()                       # waits for the driver, compares, counts

Every strike counts itself and the attempts that it may have cut short; `finish` refuses a trial without a strike.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phloem.io.campaign.attempts import AttemptRecord, attempt_numbers, list_attempts, read_attempt
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.files.journals import read_events
from tests.support.campaigns.campaigns import (
    OFTEN,
    command,
    count,
    differing,
    end,
    merged,
    start,
    succeed,
    wait_for,
    write_campaign,
)
from tests.support.engines.slurm_cluster import SlurmCluster

Planned = Callable[..., "Trial"]
"""Plans a campaign: a name, and keys of the section `engine`."""

CELLS, ITERATIONS = 4, 10_000
TILES_PER_TASK = 2


def write_trial(folder: Path, iterations: int = ITERATIONS, **engine: Any) -> Path:
    """Write the campaign of four tiles, each of which takes some seconds and writes checkpoints every second or so."""
    folder.mkdir(parents=True, exist_ok=True)
    tiles = {"cells": 1, "checkpoint_minutes": OFTEN}
    return write_campaign(
        folder, data={"cells": CELLS}, optimiser={"iterations": iterations}, tiles=tiles, engine=engine
    )


@dataclass
class Trial:
    """One campaign on the cluster, what was done to it, and the attempts that this may have cut short."""

    cluster: SlurmCluster
    root: Path
    undisturbed: Path
    faults: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    driver: subprocess.Popen[str] | None = None

    @classmethod
    def planned(
        cls, cluster: SlurmCluster, folder: Path, undisturbed: Path, iterations: int = ITERATIONS, **engine: Any
    ) -> Trial:
        asked = {
            "name": "slurm",
            "cpus_per_task": 1,
            "tiles_per_task": TILES_PER_TASK,
            "walltime": "00:20:00",
            **engine,
        }
        path = write_trial(folder, iterations, **asked)
        succeed("plan", path, "--out", "made", "--rate", "10", folder=folder)
        return cls(cluster, folder / "made", undisturbed)

    @property
    def paths(self) -> CampaignPaths:
        return CampaignPaths(self.root)

    @property
    def said(self) -> str:
        """What the driver has said on its standard error."""
        return (self.root.parent / "stderr").read_text()

    def start(self, *options: str) -> None:
        self.driver = start("run", self.root, *options, folder=self.root.parent)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        return command("run", self.root, *options, folder=self.root.parent)

    def stop(self) -> None:
        """Leave nothing of it behind, whatever happened."""
        if self.driver is not None:
            end(self.driver)

    # ------------------------------------------------------------------ what it does at this moment
    def events(self, *names: str) -> list[dict[str, Any]]:
        """Return the events of these names in all logs."""
        logs = [event for log in self.root.glob("logs/*.log") for event in read_events(log)]
        return [event for event in logs if event["event"] in names]

    def journalled(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a name in all journals."""
        return [event for event in read_events(self.root / "journals") if event["event"] == name]

    def held(self) -> list[AttemptRecord]:
        """Return the attempts that somebody holds at tiles without result."""
        numbers = list_attempts(self.paths).items()
        held = [read_attempt(self.paths, tile, found.open) for tile, found in numbers if found.open]
        return [attempt for attempt in held if not self.paths.tile(attempt.tile).exists() and not attempt.end]

    def computing(self) -> list[AttemptRecord]:
        """Return the held attempts that have written a checkpoint, on tasks that SLURM says are running."""
        saved = {(event["tile"], event["attempt"]) for event in self.events("checkpoint")}
        running = {task for task, state in self.cluster.squeue().items() if state == "RUNNING"}
        return [one for one in self.held() if (one.tile, one.number) in saved and one.holder.job in running]

    def victim(self) -> AttemptRecord:
        """Wait for an attempt that has written a checkpoint, and return it."""
        found: list[AttemptRecord] = wait_for(f"a tile with a checkpoint in {self.root}", self.computing, 240)
        return found[0]

    def rounds(self) -> int:
        return len(list((self.root / "batches").glob("round-*.claim")))

    # ------------------------------------------------------------------ strikes
    def _strike(self, name: str, cut: list[AttemptRecord]) -> None:
        assert cut, f"{name}: nobody is hit"
        self.faults[name] += 1
        self.cut += len(cut)

    def on(self, task: str) -> list[AttemptRecord]:
        return [one for one in self.held() if one.holder.job == task]

    def _process(self, what: str, hit: AttemptRecord) -> int:
        """Return the process id of the `worker` or the `supervisor` of the task that holds an attempt."""
        marks = {"worker": "spawn_main", "supervisor": "phloem work"}
        found = self.cluster.task_processes(hit.holder.job)
        pids = [pid for pid, words in found.items() if marks[what] in words]
        assert len(pids) == 1, found
        return pids[0]

    def strike_process(self, what: str) -> AttemptRecord:
        """SIGKILL the `worker` or the `supervisor` of a task that computes."""
        hit = self.victim()
        pid = self._process(what, hit)
        self._strike(f"{what} killed", self.on(hit.holder.job))
        os.kill(pid, signal.SIGKILL)
        return hit

    @contextmanager
    def frozen_worker(self) -> Iterator[AttemptRecord]:
        """Stop the worker of a task that computes, for as long as the block lasts."""
        hit = self.victim()
        pid = self._process("worker", hit)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield hit
        finally:
            os.kill(pid, signal.SIGCONT)

    def strike_task(self, name: str) -> AttemptRecord:
        """Send a signal to the batch shell of a task that computes, as SLURM does before the walltime."""
        hit = self.victim()
        self._strike(name, self.on(hit.holder.job))
        self.cluster.send(hit.holder.job, name)
        return hit

    def requeue(self) -> AttemptRecord:
        """Have the administrator put a task that computes back into the queue."""
        hit = self.victim()
        self._strike("requeued", self.on(hit.holder.job))
        self.cluster.say("scontrol", "requeue", hit.holder.job)
        return hit

    def _on_node(self, node: str) -> list[AttemptRecord]:
        return [one for one in self.held() if one.holder.host == node]

    def lose_node(self) -> tuple[str, AttemptRecord]:
        """Pull the plug of a node that computes; return it and one of the attempts that were on it."""
        hit = self.victim()
        self._strike("node lost", self._on_node(hit.holder.host))
        assert self.cluster.lose_node(hit.holder.host)
        return hit.holder.host, hit

    def preempt(self) -> tuple[str, AttemptRecord]:
        """Have a job of the partition `urgent` take a node that computes; return that job and an attempt."""
        hit = self.victim()
        self._strike("preempted", self._on_node(hit.holder.host))
        return self.cluster.preempt(hit.holder.host), hit

    def cancel(self) -> None:
        """Cancel all jobs, as a user does."""
        self.victim()
        self._strike("cancelled", self.held())
        self.cluster.say("scancel", "--me")
        self.cluster.wait_until_empty()

    def restart_controller(self) -> AttemptRecord:
        """End the controller while a tile is computed, and start it again from what it has saved.

        It is not killed: one that had not saved yet that it had started a job starts it twice and drains the node, and
        the job then waits for an administrator (SLURM 22.05).
        """
        hit = self.victim()
        self.cluster.stop_controller()
        self.faults["controller restarted"] += 1
        self.cluster.start_controller()
        return hit

    def log_out(self) -> AttemptRecord:
        """Kill the driver while a tile is computed."""
        hit = self.victim()
        assert self.driver is not None
        assert self.driver.poll() is None
        self.stop()
        self.driver = None
        self.faults["driver killed"] += 1
        return hit

    # ------------------------------------------------------------------ the end
    def over(self, hit: AttemptRecord) -> bool:
        """Tell whether an attempt has ended, or its tile is done."""
        newest = attempt_numbers(self.paths, hit.tile).newest
        return newest != hit.number or not self.on(hit.holder.job) or self.paths.tile(hit.tile).exists()

    def wait_merged(self, seconds: float = 300) -> None:
        """Wait until the campaign's own last job has merged it."""
        wait_for("the merged product", (self.root / "merged.nc").exists, seconds)
        self.cluster.wait_until_empty(seconds)

    def finish(self, seconds: float = 400) -> str:
        """Wait for the driver, if one runs, and see what came of it; return a line for a table."""
        if self.driver is not None:
            assert self.driver.wait(seconds) == 0, self.said
        assert self.faults, "nothing was broken"
        assert differing(merged(self.undisturbed), merged(self.root)) == set()
        commits = Counter(event["tile"] for event in self.journalled("committed"))
        assert commits == dict.fromkeys(range(CELLS), 1)
        begun = count(self.root, "fresh") + count(self.root, "resumed")
        assert begun <= CELLS + self.cut, f"{begun} attempts at {CELLS} tiles; {dict(self.faults)} cut {self.cut}"
        assert not self.held()
        done = ", ".join(f"{name} {number}" for name, number in self.faults.items())
        return (
            f"slurm campaign: {done}; attempts cut {self.cut}, computed {begun} times for {CELLS} tiles, "
            f"{count(self.root, 'resumed')} resumed, {self.rounds()} rounds; bits equal"
        )
