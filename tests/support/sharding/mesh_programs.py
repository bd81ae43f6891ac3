"""What the tests of the mesh run in each process: `python mesh_programs.py CASE [DEVICES] [FOLDER]`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import jax
import numpy as np

from phloem.errors import InputError, WorkError
from phloem.sharding.processes.launch import end_with_parent
from phloem.sharding.processes.mesh import gather, gather_messages, global_rows, process_mesh, reduce_rows
from phloem.sharding.processes.rendezvous import find_processes

FOLDER = Path(os.environ.get("MESH_FOLDER", "."))
HEARTBEAT = 10


def numbers(rank: int) -> np.ndarray:
    """Rows of a process: 5 of the first, 2 of the second, none of the third; too large for float64 or int32."""
    return np.arange(3 * (5, 2, 0)[rank], dtype=np.int64).reshape(-1, 3) + 2**60 + 1000 * rank


def reductions(devices: int) -> None:
    job = find_processes()
    with process_mesh(job, devices=devices, platform="cpu") as mesh, jax.enable_x64(True):
        rows, mask = global_rows(mesh, numbers(job.rank))
        found = {how: reduce_rows(mesh, rows, mask, how).tolist() for how in ("sum", "min", "max")}
        halves, of_halves = global_rows(mesh, -0.5 - numbers(job.rank) / 2**60, capacity=8 * devices)
        found |= {f"{how} of floats": reduce_rows(mesh, halves, of_halves, how).tolist() for how in ("min", "max")}
        none, of_none = global_rows(mesh, np.zeros((0, 2)))
        found |= {f"{how} of none": reduce_rows(mesh, none, of_none, how).tolist() for how in ("sum", "min", "max")}
        found["shape"] = dict(mesh.shape)
        found["rows"] = [list(rows.shape), int(np.asarray(gather(mesh, np.asarray(len(numbers(job.rank))))).sum())]
        found["own devices"] = len(jax.local_devices())
        found["messages"] = gather_messages(mesh, f"from {job.rank}: é" if job.rank else "")
    (FOLDER / f"{job.rank}.json").write_text(json.dumps(found))


def listen(devices: int) -> None:
    job = find_processes()
    with process_mesh(job, devices=devices, platform="cpu") as mesh:
        (FOLDER / f"{job.rank}.pid").write_text(str(os.getpid()))
        while not (FOLDER / "seen").exists():
            time.sleep(0.05)
        gather(mesh, np.zeros(1, np.int32))


def die(devices: int, how: str) -> None:
    """The last process dies when the others are in a reduction, or elsewhere."""
    job = find_processes()
    with process_mesh(job, devices=devices, platform="cpu", heartbeat_seconds=HEARTBEAT) as mesh:
        (FOLDER / f"{job.rank}.pid").write_text(str(os.getpid()))
        if job.rank == job.count - 1:
            if how == "raise":
                raise InputError("this process alone is unhappy")
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "elsewhere":
            time.sleep(600)
        gather(mesh, np.zeros(1, np.int32))


def main() -> None:
    end_with_parent()
    case, devices = sys.argv[1], int(sys.argv[2])
    try:
        if case == "reductions":
            reductions(devices)
        elif case == "listen":
            listen(devices)
        else:
            die(devices, case)
    except (InputError, WorkError) as error:
        print(f"said: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)


if __name__ == "__main__":
    main()
