"""Cores that this process may use: of the machine, as far as a batch system or a container has given them."""

from __future__ import annotations

import os

ALLOCATIONS = (
    ("SLURM_CPUS_ON_NODE", "SLURM_JOB_ID"),
    ("PBS_NCPUS", "PBS_JOBID"),
    ("NCPUS", "PBS_JOBID"),
    ("NSLOTS", "JOB_ID"),
    ("LSB_DJOB_NUMPROC", "LSB_JOBID"),
)
"""Variables in which SLURM, PBS, Grid Engine and LSF say how many cores a job has on this machine, and those that tell
that there is a job. Not all of them bind a job to its cores."""


def allocated() -> tuple[str, int] | None:
    """Return the variable that says how many cores the job has, and the number; None outside of a job."""
    for name, job in ALLOCATIONS:
        text = os.environ.get(name, "").strip()
        if os.environ.get(job) and text.isdecimal() and int(text) > 0:
            return name, int(text)
    return None


def usable_cores() -> int:
    """Return the number of cores that this process may use.

    The least of the machine's, those that the process is bound to, the share of a container (all by joblib), and those
    of the batch job on this machine, whatever its number of tasks.
    """
    import joblib

    job = allocated()
    cores = int(joblib.cpu_count())
    return max(1, cores if job is None else min(cores, job[1]))
