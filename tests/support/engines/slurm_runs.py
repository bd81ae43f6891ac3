"""Campaigns of small programs on the SLURM cluster, for its tests."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phloem.hpc.slurm_engine.launcher import SlurmLauncher, SlurmOptions, Submission
from tests.support.engines.slurm_cluster import SlurmCluster

PROGRAM = "tests.support.engines.slurm_tasks"


@dataclass
class Run:
    """One launcher with its folder of scripts, and the folder in which its tasks leave notes."""

    cluster: SlurmCluster
    scripts: Path
    notes: Path
    submitted: list[Submission] = field(default_factory=list)

    @classmethod
    def in_folder(cls, cluster: SlurmCluster, folder: Path) -> Run:
        (folder / "notes").mkdir(parents=True)
        return cls(cluster, folder / "scripts", folder / "notes")

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-m", PROGRAM, str(self.notes), *options]

    def launcher(self, **options: Any) -> SlurmLauncher:
        return SlurmLauncher(self.scripts, "test", SlurmOptions(**options))

    def submit(self, count: int, *words: str, first: int = 0, dependency: str = "", **options: Any) -> list[Submission]:
        done = self.launcher(**options).submit(self.command(*words), count, dependency, first)
        self.submitted += done
        return done

    @property
    def ids(self) -> list[str]:
        """SLURM's ids of all tasks submitted."""
        return [task for one in self.submitted for task in one.tasks.values()]

    def release(self) -> None:
        """Let tasks that hold go on to their end."""
        (self.notes / "release").touch()

    def notes_of(self, task: int | str) -> list[dict[str, Any]]:
        """What a task noted, one record for each time it was started."""
        return list(_records(self.notes / f"{task}.jsonl"))

    def started(self) -> dict[int, dict[str, Any]]:
        """The last note of each task that was started."""
        names = sorted(self.notes.glob("[0-9]*.jsonl"))
        return {int(path.stem): list(_records(path))[-1] for path in names if path.stat().st_size}

    def ended(self) -> list[dict[str, Any]]:
        return list(_records(self.notes / "ended.jsonl"))

    def most_at_once(self) -> int:
        """The most tasks that were running together."""
        changes = sorted(change for one in self.ended() for change in ((one["began"], 1), (one["ended"], -1)))
        now, most = 0, 0
        for _, step in changes:
            now += step
            most = max(most, now)
        return most

    def running(self) -> list[str]:
        states = self.cluster.squeue()
        return [task for task in self.ids if states.get(task) == "RUNNING"]

    def wait_noted(self, task: int | str, times: int = 1) -> dict[str, Any]:
        """Wait until a task has been started so many times; return its last note."""
        self.cluster.wait_for(lambda: len(self.notes_of(task)) >= times, f"start {times} of task {task}")
        return self.notes_of(task)[-1]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines(keepends=True) if path.exists() else []:
        if line.endswith("\n"):
            yield json.loads(line)
