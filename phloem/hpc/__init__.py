"""Engines: what executes tasks; knows callables and resources, nothing of carbon."""

from phloem.hpc.local_engine import LocalEngine, default_workers
from phloem.hpc.mpi_engine import World, inside_world, launch, world
from phloem.hpc.ray_engine import RayEngine
from phloem.hpc.slurm_control import ClusterLimits, cancel_jobs, exclude_node, limits, node_is_down, waiting_reasons
from phloem.hpc.slurm_engine import SlurmLauncher, SlurmOptions, Submission
from phloem.hpc.slurm_job import JobIdentity, requeue_this_job, resubmit_this_task, this_job
from phloem.hpc.slurm_states import end_class, job_states, queue_states
from phloem.hpc.tasks import Context, Engine, EngineError, Outcome, StopFlag, Stopped, Task

__all__ = [
    "ClusterLimits",
    "Context",
    "Engine",
    "EngineError",
    "JobIdentity",
    "LocalEngine",
    "Outcome",
    "RayEngine",
    "SlurmLauncher",
    "SlurmOptions",
    "StopFlag",
    "Stopped",
    "Submission",
    "Task",
    "World",
    "cancel_jobs",
    "default_workers",
    "end_class",
    "exclude_node",
    "inside_world",
    "job_states",
    "launch",
    "limits",
    "node_is_down",
    "queue_states",
    "requeue_this_job",
    "resubmit_this_task",
    "this_job",
    "waiting_reasons",
    "world",
]
