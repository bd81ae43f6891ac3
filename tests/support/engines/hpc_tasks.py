"""Tasks that the tests of the engine send to its workers, and parents to be signalled."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phloem.errors import DeviceLost
from phloem.hpc.local_engine import LocalEngine
from phloem.hpc.tasks import Context, Outcome, Stopped, Task


def double(arguments: Mapping[str, Any], context: Context) -> int:
    context.report(f"doubling {arguments['number']}")
    return 2 * arguments["number"]


def fail(arguments: Mapping[str, Any], context: Context) -> None:
    raise ValueError(f"number {arguments['number']} is not liked")


def run_out(arguments: Mapping[str, Any], context: Context) -> None:
    raise MemoryError


def environment(arguments: Mapping[str, Any], context: Context) -> str | None:
    return os.environ.get(arguments["name"])


def crash(arguments: Mapping[str, Any], context: Context) -> None:
    """Read where nothing is."""
    ctypes.string_at(8)


def hang(arguments: Mapping[str, Any], context: Context) -> None:
    context.report("about to say nothing more")
    while True:
        time.sleep(60)


def use_gpu(arguments: Mapping[str, Any], context: Context) -> tuple[str, int]:
    """Return GPU and process; raise on a GPU that is broken, and leave a mark of every call."""
    gpu = os.environ["CUDA_VISIBLE_DEVICES"]
    with Path(arguments["folder"], f"calls-{gpu}").open("a") as calls:
        calls.write(f"{os.getpid()}\n")
    if gpu in arguments["broken"]:
        raise DeviceLost(f"GPU {gpu} fell off the bus")
    time.sleep(0.05)
    return gpu, os.getpid()


def nap(arguments: Mapping[str, Any], context: Context) -> None:
    time.sleep(arguments["seconds"])


def hold(arguments: Mapping[str, Any], context: Context) -> None:
    """Take more and more memory, and touch it."""
    kept = []
    while True:
        kept.append(bytearray(b"x" * 10_000_000))
        time.sleep(0.02)


def wait(arguments: Mapping[str, Any], context: Context) -> str:
    """Say who one is in a file, and wait to be stopped."""
    Path(arguments["folder"], str(os.getpid())).touch()
    while not context.stopping():
        time.sleep(0.02)
    raise Stopped("state kept")


def tasks(function: str, numbers: range, **arguments: Any) -> list[Task]:
    return [Task(n, f"{__spec__.name}:{function}", {"number": n, **arguments}) for n in numbers]


def run(engine: LocalEngine, given: list[Task]) -> dict[int, Outcome]:
    found = list(engine.run(given))
    assert len({outcome.key for outcome in found}) == len(found)
    return {outcome.key: outcome for outcome in found}


if __name__ == "__main__":
    engine = LocalEngine(2)
    for outcome in engine.run(tasks("wait", range(4), folder=sys.argv[1])):
        print(outcome.kind, outcome.message, flush=True)
    print("flag", engine.flag.name, flush=True)
