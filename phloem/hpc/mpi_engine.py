"""The MPI engine: a world of equal ranks. Each supervises workers of its own, so a crash in a tile ends no world.

Ranks share nothing but the campaign's files; MPI starts them, hands them what rank 0 planned, and waits for all. A
rank that dies ends the world: the next run goes on.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phloem.hpc.tasks import STOP_SIGNALS, EngineError

RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")
"""Variables that say which rank a process is (mpich, PMIx, Open MPI)."""

FORWARDED = {signal.SIGUSR2: signal.SIGUSR1}
"""What is sent to mpiexec in place of a signal: mpich's passes on SIGTERM, SIGINT and SIGUSR1, and dies of SIGUSR2."""

PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""

AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
"""Open MPI refuses root without these; mpich does not look at them."""


def inside_world() -> bool:
    """Tell whether an MPI launcher has started this process as `python -m mpi4py -m ...`.

    The variables alone do not tell: SLURM's srun sets them for every program.
    """
    return "mpi4py" in sys.modules and any(name in os.environ for name in RANKS)


@dataclass(frozen=True)
class World:
    """The ranks of this run, as this process sees them.

    Attributes:
        rank: of this process.
        size: number of ranks.
        communicator: of mpi4py.
    """

    rank: int
    size: int
    communicator: Any

    def from_first(self, value: Any) -> Any:
        """Return what rank 0 gives; the others' values count for nothing."""
        return self.communicator.bcast(value, root=0)

    def of_machine(self, value: Any) -> tuple[int, list[Any]]:
        """Return this rank's place among those of its machine, and what each of them gives."""
        from mpi4py import MPI

        here = self.communicator.Split_type(MPI.COMM_TYPE_SHARED)
        try:
            return here.rank, here.allgather(value)
        finally:
            here.Free()

    def meet(self) -> None:
        """Wait until every rank has come here."""
        self.communicator.Barrier()


def world() -> World:
    """Join the world that this process was started in.

    Raises:
        EngineError: mpi4py does not work here; the message says why.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise EngineError(f"engine mpi needs mpi4py and an MPI library: {error}") from error
    return World(MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size, MPI.COMM_WORLD)


def find_launcher() -> str:
    """Return mpiexec: the one beside this Python, as pip installs it, else the one on PATH.

    Raises:
        EngineError: there is none.
    """
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec") or shutil.which("mpirun")
    if not found:
        raise EngineError("engine mpi needs mpiexec: pip install mpich, or load your cluster's MPI module")
    return found


def launch(ranks: int, module: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a module in a new world and wait for its end; stop signals are passed on.

    Args:
        ranks: how many.
        module: run as `python -m mpi4py -m module`, so that an exception on one rank ends the others.
        arguments: of the module.
        environment: more variables.

    Returns:
        The exit status; 128 and the signal's number where mpiexec was killed.
    """
    command = [find_launcher(), "-n", str(ranks), sys.executable, "-m", "mpi4py", "-m", module, *arguments]
    # A session of its own: Ctrl-C on the terminal would reach mpiexec twice, which then kills its ranks.
    process = subprocess.Popen(
        command,
        env={**AS_ROOT, **os.environ, **(environment or {})},
        start_new_session=True,
        preexec_fn=_stop_with_parent if sys.platform == "linux" else None,
    )

    def forward(number: int, _frame: object) -> None:
        process.send_signal(FORWARDED.get(signal.Signals(number), signal.Signals(number)))

    before = {number: signal.signal(number, forward) for number in STOP_SIGNALS}
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status


def _stop_with_parent() -> None:
    """Have the system send SIGTERM when the process that launched is gone, even by SIGKILL: mpiexec passes it on."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
