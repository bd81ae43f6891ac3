"""Cores that this process may use: of the machine, as far as a batch system or a container has given them."""

from __future__ import annotations

import os

ALLOCATIONS = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "PBS_NCPUS", "NCPUS", "NSLOTS", "LSB_DJOB_NUMPROC")
"""Variables in which SLURM, PBS, Grid Engine and LSF say how many cores a job has; not all of them bind it to these."""


def allocated() -> tuple[str, int] | None:
    """Return the variable that says how many cores the job has, and the number; None outside of a job."""
    for name in ALLOCATIONS:
        text = os.environ.get(name, "").strip()
        if text.isdecimal() and int(text) > 0:
            return name, int(text)
    return None


def usable_cores() -> int:
    """Return the number of cores that this process may use.

    The least of the machine's, those that the process is bound to, the share of a container (all by joblib), and those
    of the batch job.
    """
    import joblib

    job = allocated()
    cores = int(joblib.cpu_count())
    return max(1, cores if job is None else min(cores, job[1]))
