"""Which processes make up this job, and how they find one another before JAX joins them.

JAX's own start ends a process that waits in vain by SIGABRT and names nobody. So the processes meet here first: each
of the others says its rank to process 0, which answers when all have come, or tells all which ones have not.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import psutil

from phloem.errors import InputError, WorkError

COORDINATOR, COUNT, RANK = "PHLOEM_COORDINATOR", "PHLOEM_PROCESS_COUNT", "PHLOEM_PROCESS_RANK"
"""Environment variables that say where process 0 listens (HOST:PORT), of how many processes, and which one this is."""

LISTENER = "PHLOEM_LISTENER_FD"
"""Environment variable with the number of a listening socket that process 0 inherits from who started it."""

LOOPBACK = "127.0.0.1"
FIRST_PORT, PORTS = 20_000, 12_000
"""Ports that jobs of SLURM and MPI on one node choose from: below those that Linux hands out by itself (32768 up)."""

RETRY_SECONDS = 0.1
HELLO_SECONDS = 5.0
"""How long one that connects may take to say its rank."""

GO, MISSING = "go", "missing"


@dataclass(frozen=True)
class Processes:
    """This process among those of its job.

    Attributes:
        count: processes of the job.
        rank: this one, from 0.
        address: HOST:PORT where process 0 listens; unused with one process.
        origin: what said so, for messages.
    """

    count: int = 1
    rank: int = 0
    address: str = ""
    origin: str = "this process alone"

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.count:
            raise InputError(f"process {self.rank} of {self.count} ({self.origin}): ranks go from 0 to count - 1")
        if self.count > 1:
            split_address(self.address, self.origin)

    @property
    def is_loopback(self) -> bool:
        """Whether the job keeps to this machine."""
        return self.count == 1 or is_loopback(split_address(self.address, self.origin)[0])


def split_address(address: str, origin: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT.

    Raises:
        InputError: anything else.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"coordinator address {address!r} ({origin}): HOST:PORT is due, such as {LOOPBACK}:21000")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Tell whether nothing outside this machine can reach a host's address."""
    return host in ("localhost", "::1") or host.startswith("127.")


def find_processes(environment: Mapping[str, str] | None = None) -> Processes:
    """Find out from the environment which processes make up this job.

    Looked for in this order: our own variables, those of mpiexec (MPICH, Open MPI), those of srun. Ranks that are all
    on one node meet on the loopback interface, at a port made from what they share. Ranks on several nodes need a
    port that other hosts can reach: none is opened unless `PHLOEM_COORDINATOR` names it.

    Args:
        environment: variables; by default this process's.

    Raises:
        InputError: variables that contradict one another, or ranks on several nodes without an address.
    """
    env = os.environ if environment is None else environment
    for origin, count, rank, local in (
        ("environment", COUNT, RANK, COUNT),
        ("mpiexec of MPICH", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS"),
        ("mpiexec of Open MPI", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
        # SLURM_NTASKS is set in a batch script too, where there is one process: only a step's own count tells.
        ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", ""),
    ):
        if count not in env or rank not in env:
            continue
        size, number = _integer(env, count), _integer(env, rank)
        if size <= 1:
            return Processes()
        address = env.get(COORDINATOR, "")
        if not address:
            nodes = _integer(env, "SLURM_STEP_NUM_NODES") if origin == "srun" else 1
            together = nodes == 1 if origin == "srun" else _integer(env, local) == size
            if origin == "environment" or not together:
                raise InputError(
                    f"{size} processes ({origin}) that do not all share one node, or of which that is not known: no "
                    f"port is opened to other hosts by default; set {COORDINATOR}=HOST:PORT, HOST being the node of "
                    "process 0, to open one there"
                )
            address = f"{LOOPBACK}:{FIRST_PORT + zlib.crc32(_shared(env, origin, rank).encode()) % PORTS}"
        return Processes(size, number, address, origin)
    return Processes()


def _integer(env: Mapping[str, str], name: str) -> int:
    text = env.get(name, "")
    if not text.isdecimal():
        raise InputError(f"environment variable {name} is {text!r}; a number is due")
    return int(text)


def _shared(env: Mapping[str, str], origin: str, rank: str) -> str:
    """A text that all ranks of a job on this node have in common, and no other job."""
    if origin == "srun":
        return f"srun {env.get('SLURM_JOB_ID')}.{env.get('SLURM_STEP_ID')}"
    # The nearest ancestor that has no rank is what started the ranks, whatever shells stand between.
    starter = psutil.Process()
    for starter in psutil.Process().parents():
        try:
            if rank not in starter.environ():
                break
        except psutil.AccessDenied:
            break
    return f"{origin} {starter.pid}"


class Meeting(NamedTuple):
    """What came of `meet`.

    Attributes:
        address: HOST:PORT where process 0 is to start JAX's coordinator.
        reservation: in process 0 a socket that keeps the port from others until it is closed; JAX's server may
            listen there all the same, as both ask for SO_REUSEPORT.
    """

    address: str
    reservation: socket.socket | None


def meet(processes: Processes, seconds: float) -> Meeting:
    """Wait until every process of the job has come.

    Args:
        processes: this one among them, `count` above 1.
        seconds: how long to wait.

    Raises:
        WorkError: some did not come; the message says which. All that came get the same.
    """
    host, port = split_address(processes.address, processes.origin)
    if processes.rank == 0:
        return _receive(processes, host, port, seconds)
    return Meeting(_report(processes, host, port, seconds), None)


def _listen(processes: Processes, host: str, port: int) -> socket.socket:
    inherited = os.environ.pop(LISTENER, "")
    if inherited:
        return socket.socket(fileno=int(inherited))
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=max(processes.count, 128))
    except OSError as error:
        raise WorkError(
            f"process 0 cannot listen at {processes.address} ({error.strerror or error}): set {COORDINATOR}=HOST:PORT "
            "to an address of this node and a free port, in all processes"
        ) from error


def _receive(processes: Processes, host: str, port: int, seconds: float) -> Meeting:
    """Process 0: take note of who comes, then answer all."""
    until = time.monotonic() + seconds
    present: dict[int, socket.socket] = {}
    with _listen(processes, host, port) as server, selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        try:
            while len(present) < processes.count - 1:
                left = until - time.monotonic()
                if left <= 0:
                    absent = sorted(set(range(1, processes.count)) - set(present))
                    _answer(present, f"{MISSING} {','.join(map(str, absent))}")
                    raise WorkError(_who_is_missing(processes, absent, seconds))
                for key, _ in selector.select(left):
                    if key.fileobj is server:
                        connection, rank = _greet(server, processes)
                        if rank in present:
                            raise WorkError(f"two processes came as process {rank} of {processes.count}")
                        if connection is not None:
                            present[rank] = connection
                            selector.register(connection, selectors.EVENT_READ, rank)
                    else:
                        # They have nothing more to say: what can be read is their end.
                        raise WorkError(f"process {key.data} of {processes.count} came, and ended too early")
            reservation = socket.socket(server.family)
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reservation.bind((host, 0))
            address = f"{_bracket(host)}:{reservation.getsockname()[1]}"
            _answer(present, f"{GO} {address}")
            return Meeting(address, reservation)
        finally:
            for connection in present.values():
                connection.close()


def _greet(server: socket.socket, processes: Processes) -> tuple[socket.socket | None, int]:
    """Accept one connection; return it and its rank, or None if it is not one of ours."""
    connection, _ = server.accept()
    connection.settimeout(HELLO_SECONDS)
    try:
        words = connection.makefile("r", encoding="ascii", errors="replace").readline(80).split()
    except OSError:
        words = []
    if len(words) == 3 and words[0] == "phloem" and words[1].isdecimal() and words[2] == str(processes.count):
        rank = int(words[1])
        if 0 < rank < processes.count:
            return connection, rank
    connection.close()
    return None, -1


def _answer(present: Mapping[int, socket.socket], text: str) -> None:
    for connection in present.values():
        try:
            connection.sendall(f"{text}\n".encode())
        except OSError:
            continue


def _report(processes: Processes, host: str, port: int, seconds: float) -> str:
    """The others: tell process 0 that they are there, and wait for its answer."""
    until = time.monotonic() + seconds
    while True:
        try:
            connection = socket.create_connection((host, port), timeout=max(until - time.monotonic(), RETRY_SECONDS))
            break
        except OSError as error:
            if time.monotonic() > until:
                raise WorkError(
                    f"process {processes.rank} of {processes.count} waited {seconds:g} s in vain for process 0 at "
                    f"{processes.address} ({error})"
                ) from error
            time.sleep(RETRY_SECONDS)
    with connection:
        # Process 0 may have begun to wait just now, and has the last word on who is missing.
        connection.settimeout(seconds + HELLO_SECONDS)
        try:
            connection.sendall(f"phloem {processes.rank} {processes.count}\n".encode())
            words = connection.makefile("r", encoding="ascii", errors="replace").readline().split()
        except OSError:
            words = []
    if len(words) == 2 and words[0] == GO:
        return words[1]
    if len(words) == 2 and words[0] == MISSING:
        raise WorkError(_who_is_missing(processes, words[1].split(","), seconds))
    raise WorkError(f"process 0 at {processes.address} ended, or refused process {processes.rank} of {processes.count}")


def _who_is_missing(processes: Processes, ranks: Iterable[int | str], seconds: float) -> str:
    names = ", ".join(map(str, ranks))
    return (
        f"of {processes.count} processes ({processes.origin}) these did not come to {processes.address} within "
        f"{seconds:g} s: {names}"
    )


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host
