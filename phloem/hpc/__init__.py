"""Engines: what executes tasks; knows callables and resources, nothing of carbon."""

from phloem.hpc.commands import EngineError
from phloem.hpc.local_engine import LocalEngine, default_workers
from phloem.hpc.slurm_control import ClusterLimits, cancel_jobs, exclude_node, limits
from phloem.hpc.slurm_engine import SlurmLauncher, SlurmOptions, Submission
from phloem.hpc.slurm_job import JobIdentity, requeue_this_job, resubmit_this_task, this_job
from phloem.hpc.slurm_states import end_class, job_states
from phloem.hpc.tasks import Context, Engine, Outcome, StopFlag, Stopped, Task

__all__ = [
    "ClusterLimits",
    "Context",
    "Engine",
    "EngineError",
    "JobIdentity",
    "LocalEngine",
    "Outcome",
    "SlurmLauncher",
    "SlurmOptions",
    "StopFlag",
    "Stopped",
    "Submission",
    "Task",
    "cancel_jobs",
    "default_workers",
    "end_class",
    "exclude_node",
    "job_states",
    "limits",
    "requeue_this_job",
    "resubmit_this_task",
    "this_job",
]
