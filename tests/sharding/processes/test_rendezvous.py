"""Which processes make up a job, and how they meet; no JAX."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from phloem.errors import InputError, WorkError
from phloem.sharding.processes.rendezvous import Processes, find_processes, meet

STEP = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4"}
MPICH = {"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALNRANKS": "2"}
OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3", "OMPI_COMM_WORLD_LOCAL_SIZE": "3"}
OURS = {"PHLOEM_PROCESS_RANK": "1", "PHLOEM_PROCESS_COUNT": "3", "PHLOEM_COORDINATOR": "127.0.0.1:21000"}


@pytest.mark.parametrize(
    ("environment", "rank", "count"),
    [(STEP | {"SLURM_STEP_NUM_NODES": "1"}, 1, 4), (MPICH, 1, 2), (OPEN_MPI, 2, 3), (OURS, 1, 3)],
    ids=["srun", "mpich", "openmpi", "ours"],
)
def test_found_and_kept_on_this_machine(environment: dict[str, str], rank: int, count: int) -> None:
    found = find_processes(environment)
    assert (found.rank, found.count) == (rank, count)
    assert found.is_loopback
    assert found.address.startswith("127.0.0.1:")
    assert find_processes(environment).address == found.address, "all ranks find the same port"


def test_jobs_of_one_node_use_different_ports() -> None:
    steps = [STEP | {"SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_ID": str(step)} for step in range(5)]
    assert len({find_processes(step).address for step in steps}) == 5


def test_mpiexec_inside_a_batch_script() -> None:
    """What a batch script leaves in the environment says nothing of the ranks that it starts."""
    found = find_processes(MPICH | {"SLURM_PROCID": "0", "SLURM_NTASKS": "9", "SLURM_JOB_ID": "7"})
    assert (found.rank, found.count) == (1, 2)


@pytest.mark.parametrize(
    "environment",
    [{}, {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, {"PMI_RANK": "0", "PMI_SIZE": "1"}],
    ids=["nothing", "batch script", "one rank"],
)
def test_alone(environment: dict[str, str]) -> None:
    assert find_processes(environment) == Processes()


@pytest.mark.parametrize(
    "environment",
    [
        STEP | {"SLURM_STEP_NUM_NODES": "2"},
        MPICH | {"MPI_LOCALNRANKS": "1"},
        {key: text for key, text in OURS.items() if key != "PHLOEM_COORDINATOR"},
    ],
    ids=["srun", "mpich", "ours"],
)
def test_no_port_to_other_hosts_unless_named(environment: dict[str, str]) -> None:
    with pytest.raises(InputError, match="PHLOEM_COORDINATOR=HOST:PORT"):
        find_processes(environment)
    found = find_processes(environment | {"PHLOEM_COORDINATOR": "node1:21000"})
    assert (found.address, found.is_loopback) == ("node1:21000", False)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"PHLOEM_PROCESS_RANK": "3"}, "process 3 of 3"),
        ({"PHLOEM_PROCESS_COUNT": "many"}, "PHLOEM_PROCESS_COUNT is 'many'"),
        ({"PHLOEM_COORDINATOR": "node1"}, "'node1'.*HOST:PORT is due"),
        ({"PHLOEM_COORDINATOR": "node1:99999"}, "HOST:PORT is due"),
    ],
)
def test_wrong_variables(change: dict[str, str], part: str) -> None:
    with pytest.raises(InputError, match=part):
        find_processes(OURS | change)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def together(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run calls at once; return what each returned or raised."""
    results: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        try:
            results[place] = calls[place]()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_all_meet_whatever_else_connects() -> None:
    address = f"127.0.0.1:{free_port()}"

    def stranger() -> None:
        for text in (b"GET / HTTP/1.0\r\n\r\n", b"phloem 1 9\n", b"phloem 0 4\n", b""):
            with socket.create_connection(("127.0.0.1", int(address.split(":")[1])), 10) as connection:
                connection.sendall(text)
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(100) == b"", "strangers are told nothing"

    first = threading.Thread(target=lambda: results.extend(together([lambda: meet(Processes(4, 0, address), 30)])))
    results: list[Any] = []
    first.start()
    while True:
        try:
            stranger()
            break
        except ConnectionRefusedError:
            continue
    others = together([lambda rank=rank: meet(Processes(4, rank, address), 30) for rank in (3, 1, 2)])
    first.join(60)
    assert {found.address for found in [*results, *others]} == {results[0].address}
    reservation = results[0].reservation
    with reservation, pytest.raises(OSError, match="in use"):
        socket.create_server(reservation.getsockname())


def test_one_that_never_comes_is_named_to_all() -> None:
    address = f"127.0.0.1:{free_port()}"
    present = [lambda rank=rank: meet(Processes(5, rank, address, "test"), 2) for rank in (0, 1, 3)]
    for error in together(present):
        assert isinstance(error, WorkError)
        assert f"these did not come to {address} within 2 s: 2, 4" in str(error)


def test_process_0_never_comes() -> None:
    with pytest.raises(WorkError, match="process 1 of 2 waited 1 s in vain for process 0"):
        meet(Processes(2, 1, f"127.0.0.1:{free_port()}"), 1)


def test_one_that_comes_and_dies() -> None:
    port = free_port()

    def short_lived() -> None:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    connection.sendall(b"phloem 2 3\n")
                return
            except ConnectionRefusedError:
                continue

    error, _ = together([lambda: meet(Processes(3, 0, f"127.0.0.1:{port}"), 30), short_lived])
    assert isinstance(error, WorkError)
    assert "process 2 of 3 came, and ended too early" in str(error)


def test_two_with_one_rank() -> None:
    address = f"127.0.0.1:{free_port()}"
    found = together([lambda rank=rank: meet(Processes(3, rank, address), 30) for rank in (0, 1, 1)])
    assert all(isinstance(error, WorkError) for error in found)
    assert "two processes came as process 1 of 3" in str(found[0])


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(WorkError, match=f"cannot listen at {address}.*PHLOEM_COORDINATOR"):
            meet(Processes(2, 0, address), 5)
