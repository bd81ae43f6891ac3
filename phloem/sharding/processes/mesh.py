"""A mesh over the devices of all processes of a job, for work that needs a reduction.

Tiles are independent and never need this. What does (campaign-wide statistics, training) opens `process_mesh`, lays
its own rows on it, and reduces. Every process must call the same reductions in the same order.

When a process dies, the others end too, in bounded time: those in a reduction with a WorkError, as soon as the
connection breaks; those elsewhere are aborted (SIGABRT, not a Python exception) by JAX's runtime when the dead one's
heartbeat has been missing for `HEARTBEAT_SECONDS`, or at once when it was process 0.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from phloem.arithmetic import ceil_div
from phloem.errors import WorkError
from phloem.sharding.processes.rendezvous import LOOPBACK, Processes, find_processes, meet

AXES = ("process", "device")
START_SECONDS = 120
HEARTBEAT_SECONDS = 20
"""A process that was silent for so long is dead; JAX's own default is 100."""

SHUTDOWN_SECONDS = 60
MESSAGE_BYTES = 4096

_REDUCTIONS: dict[str, tuple[Callable[..., jax.Array], Callable[..., jax.Array]]] = {
    "sum": (jnp.sum, jax.lax.psum),
    "min": (jnp.min, jax.lax.pmin),
    "max": (jnp.max, jax.lax.pmax),
}


@contextmanager
def process_mesh(
    processes: Processes | None = None,
    *,
    devices: int | None = None,
    platform: str | None = None,
    start_seconds: float = START_SECONDS,
    heartbeat_seconds: int = HEARTBEAT_SECONDS,
) -> Iterator[Mesh]:
    """Join the processes of a job; with one process, no coordinator is started and no port opened.

    A process takes all GPUs that CUDA_VISIBLE_DEVICES shows it: who starts several on a machine shows each its own.
    Must come before anything else asks JAX for a device, once a process. Leaving the block waits for all processes.
    Leaving it by an exception does not: the others find out as if the process had died.

    Args:
        processes: the job; by default what `find_processes` finds.
        devices: devices of each process; on the CPU that many virtual ones are made. By default all there are.
        platform: "cpu" keeps JAX off other devices; by default JAX chooses.
        start_seconds: how long to wait for a process that does not come.
        heartbeat_seconds: after how long without a sign of life a process is taken for dead.

    Yields:
        Mesh of shape (processes, devices) with axes ("process", "device").

    Raises:
        WorkError: a process did not come, or they have different numbers of devices.
    """
    processes = find_processes() if processes is None else processes
    if platform is not None:
        jax.config.update("jax_platforms", platform)
    if devices is not None:
        # Too late when a backend lives already, which then has to have enough of them.
        with suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", devices)
    if processes.count > 1:
        _join(processes, start_seconds, heartbeat_seconds)
    try:
        with _quiet_output():
            mesh = _make_mesh(processes, devices)
            _first_reduction(mesh)
        yield mesh
    except BaseException:
        _abandon()
        raise
    if processes.count > 1:
        jax.distributed.shutdown()


def _join(processes: Processes, start_seconds: float, heartbeat_seconds: int) -> None:
    address, reservation = meet(processes, start_seconds)
    if processes.is_loopback:
        _keep_collectives_on_loopback()
    try:
        jax.distributed.initialize(
            address,
            processes.count,
            processes.rank,
            cluster_detection_method="deactivate",
            initialization_timeout=int(start_seconds),
            heartbeat_timeout_seconds=heartbeat_seconds,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
            coordinator_bind_address=address,
        )
    except RuntimeError as error:
        who = f"process {processes.rank} of {processes.count}"
        raise WorkError(f"{who} could not join at {address}: {error}") from error
    finally:
        if reservation is not None:
            reservation.close()


def _keep_collectives_on_loopback() -> None:
    """Have gloo listen at 127.0.0.1: left to itself it opens a port at the address of the host's name (jax 0.10.2)."""
    from jax._src import distributed, xla_bridge
    from jax._src.lib import _jax
    from jax.extend.backend import register_backend_factory

    def make_client() -> Any:
        client = distributed.global_state.client
        return xla_bridge.make_cpu_client(_jax.make_gloo_tcp_collectives(distributed_client=client, hostname=LOOPBACK))

    register_backend_factory("cpu", make_client, priority=0, fail_quietly=False)
    os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")


def _make_mesh(processes: Processes, devices: int | None) -> Mesh:
    own = [[d for d in jax.devices() if d.process_index == rank] for rank in range(processes.count)]
    width = devices or len(own[0])
    for rank, held in enumerate(own):
        if len(held) < width or (devices is None and len(held) != width):
            raise WorkError(f"process {rank} of {processes.count} has {len(held)} devices, {width} are due in each")
    return Mesh(np.array([held[:width] for held in own]), AXES)


def _first_reduction(mesh: Mesh) -> None:
    """Connect every device with every other now, and see that they add up."""
    width = mesh.shape["device"]
    total = int(reduce_rows(mesh, *global_rows(mesh, np.ones(width, np.int32), width)))
    if total != mesh.size:
        raise WorkError(f"a sum over the mesh found {total} devices, it has {mesh.size}")


@contextmanager
def _quiet_output() -> Iterator[None]:
    """Keep gloo's greetings ("[Gloo] Rank 1 is connected to ...") out of standard output, which they would spoil."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _abandon() -> None:
    """Let this process end at once.

    JAX's exit handler and the client's destructor would wait for the others to leave, then abort with a stack trace.
    So nobody may find the client again, and nothing may destroy it.
    """
    from jax._src.distributed import global_state

    for name in ("client", "service", "preemption_sync_manager"):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(getattr(global_state, name)))
        setattr(global_state, name, None)


def local_mesh(devices: Sequence[jax.Device]) -> Mesh:
    """Return the mesh of some devices of this process alone, with the axes that `process_mesh` has."""
    return Mesh(np.array([devices]), AXES)


def rank(mesh: Mesh) -> int:
    """Return the rank of this process in the mesh."""
    return int(jax.process_index()) if mesh.shape["process"] > 1 else 0


def global_rows(mesh: Mesh, own: np.ndarray, capacity: int | None = None) -> tuple[jax.Array, jax.Array]:
    """Lay rows on the mesh; each process gives its own, as many as it has.

    64-bit numbers stay so only inside `jax.enable_x64(True)`.

    Args:
        mesh: from `process_mesh`.
        own: (own rows, ...), the same in all but the first dimension in every process.
        capacity: places for rows in each process, the same in all and a multiple of its devices; by default
            what the fullest process needs, which costs a collective.

    Returns:
        rows (processes * capacity, ...), sharded over the mesh, padded with zeros, and mask (processes * capacity,),
        False where a row is padding.

    Raises:
        ValueError: more rows than `capacity`, or a capacity that is no multiple of the devices.
    """
    width = mesh.shape["device"]
    if capacity is None:
        most = int(gather(mesh, np.asarray(len(own), np.int32)).max())
        capacity = max(ceil_div(most, width), 1) * width
    if len(own) > capacity or capacity % width:
        raise ValueError(f"{len(own)} rows, capacity {capacity}, {width} devices")
    padded = np.zeros((capacity, *own.shape[1:]), own.dtype)
    padded[: len(own)] = own
    sharding = NamedSharding(mesh, PartitionSpec(AXES))
    place = jax.make_array_from_process_local_data
    return place(sharding, padded), place(sharding, np.arange(capacity) < len(own))


def reduce_rows(mesh: Mesh, rows: jax.Array, mask: jax.Array, how: str = "sum") -> np.ndarray:
    """Reduce rows over the whole mesh: on each device, then by psum, pmin or pmax over devices and processes.

    Args:
        mesh: from `process_mesh`.
        rows: (rows, ...) from `global_rows`.
        mask: (rows,), False where a row does not count.
        how: sum, min or max.

    Returns:
        (...), the same in every process; without any row 0, or the dtype's largest or smallest value.

    Raises:
        WorkError: a process was lost.
    """
    local, collective = _REDUCTIONS[how]
    neutral = _neutral(np.dtype(rows.dtype), how)

    def reduce(rows: jax.Array, mask: jax.Array) -> jax.Array:
        shape = (-1, *(1,) * (rows.ndim - 1))
        kept = jnp.where(mask.reshape(shape), rows, jnp.asarray(neutral, rows.dtype))
        return collective(local(kept, axis=0, **({"dtype": rows.dtype} if how == "sum" else {})), AXES)

    sharded = PartitionSpec(AXES)
    function = jax.shard_map(reduce, mesh=mesh, in_specs=(sharded, sharded), out_specs=PartitionSpec())
    with broken_connections():
        return np.asarray(jax.jit(function)(rows, mask))


def _neutral(dtype: np.dtype, how: str) -> Any:
    if how == "sum":
        return 0
    if dtype.kind == "f":
        return np.inf if how == "min" else -np.inf
    return np.iinfo(dtype).max if how == "min" else np.iinfo(dtype).min


def gather(mesh: Mesh, own: np.ndarray) -> np.ndarray:
    """Return (processes, ...): what each process gave, by rank; all give the same shape (...).

    64-bit numbers stay so only inside `jax.enable_x64(True)`.

    Raises:
        WorkError: a process was lost.
    """
    # All devices take part, each with a copy: gloo connects every group of devices anew, and this one is connected.
    width = mesh.shape["device"]
    copies = np.repeat(np.asarray(own)[None], width, axis=0)
    rows = jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec(AXES)), copies)
    function = jax.shard_map(
        lambda row: jax.lax.all_gather(row, AXES, tiled=True),
        mesh=mesh,
        in_specs=PartitionSpec(AXES),
        out_specs=PartitionSpec(),
        check_vma=False,
    )
    with broken_connections():
        return np.asarray(jax.jit(function)(rows))[::width]


def gather_messages(mesh: Mesh, own: str) -> list[str]:
    """Return the message of each process, by rank; longer ones than `MESSAGE_BYTES` are cut.

    So processes agree on what to do about an error that one of them met.
    """
    data = own.encode()[:MESSAGE_BYTES]
    table = gather(mesh, np.frombuffer(data.ljust(MESSAGE_BYTES, b"\0"), np.uint8))
    return [bytes(row).rstrip(b"\0").decode(errors="ignore") for row in table.astype(np.uint8)]


@contextmanager
def broken_connections() -> Iterator[None]:
    """Say in our words what gloo or NCCL say of a broken connection, when a result of a reduction is waited for.

    Raises:
        WorkError: a process was lost.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).splitlines()[0]
        raise WorkError(f"another process of this job was lost: {reason}") from error
