"""Checks of the engines: their packages are imported and their commands run, each in a bounded time."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys

from phloem.hpc.commands import last_line, run_command
from phloem.hpc.mpi_engine import AS_ROOT, find_launcher
from phloem.hpc.slurm_engine.control import limits
from phloem.hpc.tasks import EngineError
from phloem.jobs.estimate.check import CheckFinding

SECONDS = 60.0
"""How long an import or a world of two ranks may take: on a parallel file system packages are read file by file."""

SLURM_SECONDS = 10.0
"""How long SLURM's controller may take to answer; its commands give up after 9 s where it is down."""

SLURM_COMMANDS = ("sbatch", "scontrol", "squeue", "scancel")

_WORLD = """
from mpi4py import MPI
ranks = MPI.COMM_WORLD.allreduce(1)
if MPI.COMM_WORLD.rank == 0:
    library = MPI.Get_library_version().splitlines()[0].replace(chr(0), "")
    print(f"world of {ranks}: {' '.join(library.split())}")
"""


def check_ray() -> CheckFinding:
    """Look for Ray."""
    missing = _package("ray", "ray", "engine ray")
    if missing is not None:
        return missing
    version = importlib.metadata.version("ray")
    return CheckFinding("ok", f"ray {version}", facts={"version": version})


def check_mpi() -> CheckFinding:
    """Look for mpi4py and mpiexec, and start a world of two ranks."""
    missing = _package("mpi4py", "mpi", "engine mpi")
    if missing is not None:
        return missing
    version = importlib.metadata.version("mpi4py")
    try:
        launcher = find_launcher()
    except EngineError:
        text = f"mpi4py {version}, and no mpiexec or mpirun on PATH: engine mpi cannot be used"
        mend = "pip install 'phloem[mpi]', or load your cluster's MPI module"
        return CheckFinding("note", text, mend, {"version": version, "launcher": None})
    facts = {"version": version, "launcher": launcher}
    build = "pip install --force-reinstall --no-binary mpi4py mpi4py, with the MPI of that mpiexec loaded"
    try:
        output = run_command([launcher, "-n", "2", sys.executable, "-c", _WORLD], SECONDS, {**AS_ROOT, **os.environ})
    except EngineError as error:
        text = f"mpi4py {version}, {launcher}: a world of two ranks does not start: {_last(error)}"
        return CheckFinding("note", text, build, facts)
    worlds = re.findall(r"world of (\d+): (.*)", output)
    if [size for size, _ in worlds] != ["2"]:
        text = f"mpi4py {version} is not of the MPI of {launcher}: a world of two ranks is two worlds of one"
        return CheckFinding("note", text, build, facts)
    library = worlds[0][1]
    return CheckFinding("ok", f"mpi4py {version}, {library}, {launcher}", facts={**facts, "library": library})


def check_slurm() -> CheckFinding:
    """Look for submitit and SLURM's commands, and ask the controller for its limits."""
    absent = [name for name in SLURM_COMMANDS if shutil.which(name) is None]
    if absent:
        return CheckFinding(
            "note",
            f"no {', '.join(absent)} on PATH: this machine is not of a SLURM cluster",
            "run phloem on a login node of the cluster",
            {"commands": [name for name in SLURM_COMMANDS if name not in absent]},
        )
    missing = _package("submitit", "slurm", "engine slurm")
    if missing is not None:
        return missing
    version = importlib.metadata.version("submitit")
    facts = {"version": version, "commands": list(SLURM_COMMANDS)}
    try:
        cluster = limits(SLURM_SECONDS)
    except EngineError as error:
        text = f"submitit {version}, SLURM's commands are here, and its controller does not answer: {_last(error)}"
        return CheckFinding("note", text, "scontrol ping", facts)
    kinds = [
        f"arrays of {cluster.max_array_size} tasks" if cluster.max_array_size > 1 else "no arrays",
        "jobs are requeued" if cluster.requeue else "jobs are not requeued",
        "accounting" if cluster.accounting else "no accounting",
    ]
    return CheckFinding(
        "ok", f"submitit {version}, {', '.join(kinds)}", facts={**facts, "arrays": cluster.max_array_size}
    )


def _package(name: str, extra: str, what: str) -> CheckFinding | None:
    """Return what keeps a package from being used; None where nothing does."""
    mend = f"pip install 'phloem[{extra}]'"
    if importlib.util.find_spec(name) is None:
        return CheckFinding("note", f"{name} is not installed: {what} cannot be used", mend)
    try:
        # Elsewhere: a broken one may crash, and a whole one takes a while and leaves threads.
        run_command([sys.executable, "-c", f"import {name}"], SECONDS)
    except EngineError as error:
        text = f"{name} {_version(name)} is installed and cannot be imported: {_last(error)}"
        return CheckFinding("note", text, f"{mend} --force-reinstall")
    return None


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _last(error: EngineError) -> str:
    """The last line of what a program said, where the cause stands; else what kept it from running."""
    return last_line(error.said or str(error))
