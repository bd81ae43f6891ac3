"""The [engine] and [failures] tables of the campaign file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from phloem.endings import Ending
from phloem.typed_tables import Positive, Section


class FailuresSection(Section):
    """Failures that a tile may have, by class, before it is left to `phloem retry`; and those that stop the campaign.

    Losses and errors of the file system count while no checkpoint was written between them. Preemption, walltime and
    interruption never count; bad input is never tried again. `max_failures` tiles that failed alike, and more than were
    done, and more than a twentieth of those begun, stop the campaign; lost nodes and lost devices do not.
    """

    worker_lost: Positive = 3
    node_lost: Positive = 10
    device_lost: Positive = 10
    out_of_memory: Positive = 6
    file_system: Positive = 20
    hang: Positive = 2
    bug: Positive = 2
    max_failures: Positive = 20

    def budget(self, kind: Ending) -> int:
        """Return how often a tile may fail in a way."""
        return 1 if kind == Ending.BAD_INPUT else int(getattr(self, kind.replace(" ", "_")))


CORES_A_GPU = 4
"""Cores of a worker on a GPU, where `cpus_per_task` is left at 1: it prepares cells and compiles programs."""


class EngineSection(Section):
    """Engine that executes tiles, with its resources.

    `workers` are processes (`local`: in all, `mpi`: ranks, `slurm`: a task, `ray`: tasks at once); 0 is one a core that
    the batch job or the container has. `devices` are what each of them lays its lanes over; with `gpus` (of this
    machine, or of a task) they are GPUs, each of which computes `lanes` at once (0: as many as fill it). What follows
    `address` (of a Ray cluster) is for `slurm`; empty texts and zeros leave the cluster's own defaults.
    """

    name: Literal["local", "ray", "mpi", "slurm"] = "local"
    workers: Annotated[int, Field(ge=0)] = 0
    devices: Annotated[int, Field(gt=0, le=64)] = 1
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    lanes: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    memory_gb: Annotated[float, Field(ge=0)] = 0.0
    hang_minutes: Annotated[float, Field(gt=0)] = 30.0
    address: str = ""
    partition: str = ""
    account: str = ""
    qos: str = ""
    gres: str = ""
    constraint: str = ""
    walltime: Annotated[str, Field(pattern=r"^(\d+-)?\d{1,3}:\d{2}:\d{2}$")] = "24:00:00"
    cpus_per_task: Annotated[int, Field(ge=0)] = 1
    memory: str = ""
    exclude: list[str] = Field(default_factory=list)
    throttle: Annotated[int, Field(ge=0)] = 0
    tiles_per_task: Annotated[int, Field(ge=0)] = 0
    signal_seconds: Annotated[int, Field(gt=0)] = 120
    requeue: bool = True
    arrays: bool = True
    setup: list[str] = Field(default_factory=list)
    sbatch: dict[str, str | int | bool] = Field(default_factory=dict)
    use_srun: bool = False

    def workers_of(self, cores: int) -> int:
        """Return the workers of a machine, or of a batch task, of so many cores.

        As configured, else one for every `devices` of its GPUs, where `gpus` asks for some, or of its cores.
        """
        return self.workers or max(1, (self.gpus or cores) // self.devices)

    def ranks_of(self, cores: int) -> int:
        """Return the MPI ranks of a machine: as configured, else one for every `devices` of its GPUs, or one a core."""
        return self.workers_of(cores) if self.gpus else self.workers or cores

    @property
    def task_cores(self) -> int:
        """Cores that a batch task asks for: as configured, but enough for workers that each feed a GPU."""
        if not self.gpus or self.cpus_per_task != 1:
            return self.cpus_per_task
        return CORES_A_GPU * self.workers_of(1)

    @property
    def walltime_minutes(self) -> int:
        """Walltime of a batch job, from [days-]hours:minutes:seconds; at least a minute."""
        days, _, rest = self.walltime.rpartition("-")
        hours, minutes, seconds = (int(part) for part in rest.split(":"))
        return max(1, 1440 * int(days or 0) + 60 * hours + minutes + seconds // 60)
