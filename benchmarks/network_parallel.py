"""Times a step of training on several patches: on one core, on devices of one process, in processes; prints JSON.

    python -m benchmarks.network_parallel

    {"alone_ms": .., "devices_ms": .., "processes_ms": .., "devices_ratio": .., "processes_ratio": ..,
     "devices_work_ratio": .., "processes_work_ratio": .., "place_ms": .., "slopes_ms": .., "load": .., ..}

A step is the slopes of all patches, their sum and Adam's move, until the losses are read; patches of 320 cells and
276 months, float32, lie on their devices. `alone` is one device on one core; the others have as many cores as devices.
All three are started at first and take turns of several steps; of a turn the first step is left out. Ratios are of
medians. The work ratio is that of the processor time alone to that of each core of the others: what the ratio would be
on cores that nobody else wants, waiting left out. Beside them, on one core: copying a step's patches to the device, and
the slopes without sum and move.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from phloem.arithmetic import ceil_div
from phloem.sharding.lanes.devices import device_environment
from phloem.sharding.processes.rendezvous import COORDINATOR, COUNT, LOOPBACK, RANK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--patches", type=int, default=4, help="patches of a step (default: 4)")
    parser.add_argument("--set-ups", type=int, default=15, help="networks side by side, 1 to 15 (default: 15)")
    parser.add_argument("--devices", type=int, default=2, help="devices, or processes of one device (default: 2)")
    parser.add_argument("--repeats", type=int, default=20, help="steps that are timed of each (default: 20)")
    parser.add_argument("--turn", type=int, default=5, help="steps of a turn (default: 5)")
    parser.add_argument("--worker", choices=("alone", "devices", "processes"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
    else:
        print(json.dumps(measure(options)))


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Return medians in milliseconds, and how many times as fast as alone the others are."""
    groups = {name: start(name, options) for name in ("alone", "devices", "processes")}
    times: dict[str, list[float]] = {name: [] for name in groups}
    work: dict[str, list[float]] = {name: [] for name in groups}
    load = [os.getloadavg()[0]]
    try:
        beside = {name: answers(group)[0] for name, group in groups.items()}["alone"]
        for _ in range(ceil_div(options.repeats, options.turn)):
            for name, group in groups.items():
                for process in group:
                    print("turn", file=process.stdin, flush=True)
                found = answers(group)
                times[name] += found[0]["seconds"]
                work[name].append(sum(one["work"] for one in found) / (1 if name == "alone" else options.devices))
            load.append(os.getloadavg()[0])
    finally:
        end([process for group in groups.values() for process in group])
    taken, worked = ({name: statistics.median(of[name]) for name in of} for of in (times, work))
    results = {f"{name}_ms": 1e3 * seconds for name, seconds in taken.items()}
    for name in ("devices", "processes"):
        results[f"{name}_ratio"] = taken["alone"] / taken[name]
        results[f"{name}_work_ratio"] = worked["alone"] / worked[name]
    results |= beside | {"load": max(load), "patches": options.patches, "set_ups": options.set_ups}
    return {name: round(value, 3) for name, value in results.items()}


def start(name: str, options: argparse.Namespace) -> list[subprocess.Popen[str]]:
    """Start the processes of a case."""
    processes = options.devices if name == "processes" else 1
    with socket.create_server((LOOPBACK, 0)) as server:
        job = {COUNT: str(processes), COORDINATOR: f"{LOOPBACK}:{server.getsockname()[1]}"}
    given = ["--patches", options.patches, "--set-ups", options.set_ups, "--devices", options.devices]
    words = [sys.executable, "-m", "benchmarks.network_parallel", "--worker", name, "--turn", options.turn, *given]
    devices = device_environment(options.devices if name == "devices" else 1)
    return [
        subprocess.Popen(
            list(map(str, words)), env={**os.environ, **devices, **job, RANK: str(rank)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for rank in range(processes)
    ]  # fmt: skip


def end(processes: list[subprocess.Popen[str]]) -> None:
    """Have processes end by themselves, or end them."""
    for process in processes:
        if process.stdin:
            process.stdin.close()
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(group: list[subprocess.Popen[str]]) -> list[Any]:
    """Wait for all processes of a case, and return what they say."""
    lines = [process.stdout.readline() if process.stdout else "" for process in group]
    if not all(lines):
        raise RuntimeError("a process of the benchmark has ended; its error is above")
    return [json.loads(line) for line in lines]


def work(options: argparse.Namespace) -> None:
    """Take turns of steps when told to, as one process of a case."""
    cores = sorted(os.sched_getaffinity(0))
    rank = int(os.environ[RANK])
    wanted = cores[: options.devices] if options.worker == "devices" else [cores[rank % len(cores)]]
    os.sched_setaffinity(0, wanted)
    import jax
    import numpy as np

    from benchmarks.network import made_patch
    from phloem.kernels.network.set_ups import all_set_ups
    from phloem.kernels.network.training_loss import TrainingLoss
    from phloem.kernels.network.training_step import Trainer
    from phloem.sharding.processes.mesh import process_mesh
    from phloem.sharding.training.data_parallel import DataParallel

    def host_patch(number: int) -> Any:
        return jax.device_get(made_patch(np.random.default_rng(number)))

    set_ups = tuple(all_set_ups()[-options.set_ups :])
    trainer = Trainer(TrainingLoss(backend="cpu"), set_ups, 5e-4, "constant")
    with process_mesh(devices=options.devices if options.worker == "devices" else 1, platform="cpu") as mesh:
        parallel = DataParallel(trainer, mesh, options.patches)
        networks = parallel.to_devices(trainer.first(list(jax.random.split(jax.random.key(0), len(set_ups)))))
        [step] = parallel.batches.steps(np.arange(options.patches))
        placed, all_walk = parallel.place(step, host_patch), np.ones(len(set_ups), bool)

        def take() -> None:
            nonlocal networks
            networks, losses = parallel.step(networks, placed, all_walk)
            parallel.to_host([losses, [network.finite for network in networks[0]]])

        seconds_of(take, 2)
        beside = {}
        if options.worker == "alone":
            patches = {number: host_patch(number) for number in step.patches}
            beside["place_ms"] = 1e3 * statistics.median(
                seconds_of(lambda: jax.block_until_ready(parallel.place(step, patches.__getitem__).rounds), 7)
            )
            beside["slopes_ms"] = 1e3 * statistics.median(
                seconds_of(
                    lambda: jax.block_until_ready(
                        [trainer.slopes(networks[0], patch) for [patch] in placed.rounds if patch is not None]
                    ),
                    7,
                )
            )
        print(json.dumps(beside), flush=True)
        while sys.stdin.readline():
            begun = time.process_time()
            seconds = seconds_of(take, options.turn)
            print(json.dumps({"seconds": seconds, "work": time.process_time() - begun}), flush=True)


def seconds_of(call: Callable[[], Any], repeats: int) -> list[float]:
    """Return the seconds of some calls behind a first one."""
    found = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        call()
        found.append(time.perf_counter() - begun)
    return found[1:]


if __name__ == "__main__":
    main()
