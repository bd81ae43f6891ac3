"""Tasks that the tests of the Ray engine send to its workers, and a campaign's process to be signalled."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phloem.errors import DeviceLost
from phloem.hpc.ray_engine.engine import RayEngine
from phloem.hpc.tasks import Context, Outcome, Stopped, Task


def double(arguments: Mapping[str, Any], context: Context) -> int:
    context.report(f"doubling {arguments['number']}")
    return 2 * arguments["number"]


def fail(arguments: Mapping[str, Any], context: Context) -> None:
    raise ValueError(f"number {arguments['number']} is not liked")


def run_out(arguments: Mapping[str, Any], context: Context) -> None:
    raise MemoryError


def cannot_be_sent(arguments: Mapping[str, Any], context: Context) -> Any:
    return threading.Lock()


def environment(arguments: Mapping[str, Any], context: Context) -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in arguments["names"]}


def mark(folder: str, name: str) -> int:
    """Add a mark to a file; return how many it has."""
    with Path(folder, name).open("a") as file:
        file.write("x")
        return file.tell()


def die(arguments: Mapping[str, Any], context: Context) -> int:
    """Die by SIGKILL as often as told; return the number of the attempt that did not."""
    attempt = mark(arguments["folder"], f"attempts-{arguments['number']}")
    if attempt <= arguments["deaths"]:
        mark(arguments["folder"], f"deaths-{arguments['number']}")
        os.kill(os.getpid(), signal.SIGKILL)
    return attempt


def swell(arguments: Mapping[str, Any], context: Context) -> int:
    """Take 8 GiB, slowly enough for Ray's memory monitor to see it."""
    mark(arguments["folder"], f"attempts-{arguments['number']}")
    held = []
    for _ in range(128):
        held.append(b"x" * (64 * 2**20))
        time.sleep(0.05)
    return len(held)


def meet(arguments: Mapping[str, Any], context: Context) -> int:
    """Return how many tasks run at this moment, this one included."""
    here = Path(arguments["folder"], f"here-{arguments['number']}")
    here.touch()
    time.sleep(0.5)
    met = len(list(here.parent.glob("here-*")))
    here.unlink()
    return met


def use_gpu(arguments: Mapping[str, Any], context: Context) -> tuple[str, int]:
    """Return the GPU that Ray has given, and the process; raise on one that is broken."""
    gpu = os.environ["CUDA_VISIBLE_DEVICES"]
    mark(arguments["folder"], f"calls-{gpu}")
    if gpu in arguments["broken"]:
        raise DeviceLost(f"GPU {gpu} fell off the bus")
    time.sleep(0.3)
    return gpu, os.getpid()


def wait(arguments: Mapping[str, Any], context: Context) -> str:
    """Say who one is in a file, wait to be stopped, keep one's state in another."""
    Path(arguments["folder"], f"running-{os.getpid()}").touch()
    while not context.stopping():
        time.sleep(0.02)
    Path(arguments["folder"], f"kept-{os.getpid()}").touch()
    raise Stopped("state kept")


def work(arguments: Mapping[str, Any], context: Context) -> str:
    """Work for some seconds; say on which node before, and return it after."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    mark(arguments["folder"], f"begun-{arguments['number']}-{node}")
    until = time.monotonic() + arguments["seconds"]
    while time.monotonic() < until:
        time.sleep(0.05)
    return node


def tasks(function: str, numbers: range, **arguments: Any) -> list[Task]:
    return [Task(n, f"{__spec__.name}:{function}", {"number": n, **arguments}) for n in numbers]


def run(engine: RayEngine, given: list[Task]) -> dict[int, Outcome]:
    found = list(engine.run(given))
    assert len({outcome.key for outcome in found}) == len(found)
    return {outcome.key: outcome for outcome in found}


if __name__ == "__main__":
    engine = RayEngine(2, address=sys.argv[2] if len(sys.argv) > 2 else "")
    for outcome in engine.run(tasks("wait", range(6), folder=sys.argv[1])):
        print(outcome.kind, outcome.message, flush=True)
    print("flag", engine.flag.name, flush=True)
    print("handlers", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)
