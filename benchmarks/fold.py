"""Times the fold: forward, gradient, and a block of 38 tangents; prints and records them.

    python -m benchmarks.fold --lanes 512 --years 9 --threads 1 --backends xla --json

Every case of one thread count runs in a process that is bound to that many cores; all are measured in one run. The
forcing is made by the weather generator, one cell for all lanes of a block; times are the median of several warm calls
(of as many as fit into 20 s, one at least). Memory is that of the gradient beyond the shared tables: XLA's buffers, and
the scratch of each thread of the cpu backend. Compiling is timed once a backend, with an empty cache and again from it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from phloem.names import PERIOD

BACKENDS = ("xla", "cpu", "gpu")
RECORD = Path(__file__).with_name("fold.json")
FIELDS = (
    "forward_us_per_cell_year",
    "gradient_us_per_cell_year",
    "tangents_us_per_cell_year",
    "bytes_per_lane",
    "compile_seconds",
    "compile_seconds_cached",
)
ENOUGH = 20.0
"""Seconds after which a call is not repeated any more."""


compiled: set[str] = set()
"""Backends whose compiling has been timed in this process."""


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lanes", type=_numbers, default=[512], help="comma-separated")
    parser.add_argument("--years", type=_numbers, default=[9], help="comma-separated")
    parser.add_argument("--threads", type=_numbers, default=[1], help="comma-separated numbers of cores")
    parser.add_argument("--backends", default="xla,cpu", help="comma-separated: xla, cpu, gpu")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--no-tangents", action="store_true", help="skip the forward-mode block")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--record", action="store_true", help=f"also write {RECORD.name}")
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.backends.split(",") if name not in BACKENDS]
    if unknown:
        parser.error(f"backend {unknown[0]!r}: valid are {', '.join(BACKENDS)}")
    return options


def median_seconds(call: Callable[[], Any], repeats: int) -> float:
    import jax

    jax.block_until_ready(call())
    times: list[float] = []
    while len(times) < repeats and sum(times) < ENOUGH:
        begun = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def compile_seconds(program: Any, backend: str) -> tuple[float, float | None]:
    """Return how long a program takes to compile with an empty cache, and from the cache (None: there is none)."""
    import jax

    from phloem.kernels.time_loop.cpu import c_compiler, cpu_backend

    seconds = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["PHLOEM_CACHE"] = cache
        for _ in range(2 if backend == "cpu" else 1):
            cpu_backend._target.cache_clear()
            c_compiler.find_compiler.cache_clear()
            jax.clear_caches()
            begun = time.perf_counter()
            program().compile()
            seconds.append(time.perf_counter() - begun)
        del os.environ["PHLOEM_CACHE"]
        cpu_backend._target.cache_clear()
    return seconds[0], seconds[1] if len(seconds) > 1 else None


def measure(backend: str, lanes: int, years: int, repeats: int, tangents: bool, threads: int) -> dict[str, Any]:
    """Time one case in this process."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from phloem.io.drivers.tower_cell import Cell
    from phloem.jobs.synthetic.weather import boreal_weather
    from phloem.kernels.calibrations.dalec_daily.site import tower_site
    from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
    from phloem.kernels.models.dalec_daily.daily_step import dalec
    from phloem.kernels.models.dalec_daily.mode_switches import switches
    from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
    from phloem.kernels.objective.site import site_data
    from phloem.kernels.time_loop.cpu.cpu_backend import scratch_bytes
    from phloem.names import STREAMS

    forcing = boreal_weather(61.0, years, np.random.default_rng(0))
    time_axis, doy = forcing.pop("time"), forcing.pop("doy")
    rng = np.random.default_rng(1)
    seen = {name: 2 + rng.random(len(doy)) for name in STREAMS}
    fraction = rng.random(len(doy))
    tower = Cell(
        name="fold",
        latitude=61.0,
        longitude=24.0,
        time=time_axis,
        doy=doy,
        forcing=forcing,
        observations=seen,
        evaporative_fraction=fraction,
        training_days=len(doy) // 2,
    )
    cell = tower_site(tower, switches("strict"))
    data = site_data([cell], np.float32)
    objective = SiteObjective(dalec("strict"), backend=backend)
    raw = jnp.asarray(rng.standard_normal((len(UNKNOWNS), lanes)), jnp.float32)
    sharpness, lane_cell = jnp.full(lanes, 30.0, jnp.float32), jnp.zeros(lanes, jnp.int32)

    def loss(raw: Any) -> Any:
        return objective.loss(raw, sharpness, data, lane_cell)

    program = jax.jit(lambda raw: objective.loss_and_gradient(raw, sharpness, data, lane_cell))
    compiling = compile_seconds(lambda: program.lower(raw), backend) if backend not in compiled else (None, None)
    compiled.add(backend)
    gradient = program.lower(raw).compile()
    forward = jax.jit(loss)
    basis = jnp.broadcast_to(jnp.eye(len(UNKNOWNS), dtype=jnp.float32)[:, :, None], (38, 38, lanes))
    block = jax.jit(lambda raw: jax.vmap(lambda t: jax.jvp(loss, (raw,), (t,))[1])(basis))
    cell_years = lanes * len(doy) / PERIOD
    memory = gradient.memory_analysis()
    shared = sum(leaf.nbytes for leaf in jax.tree.leaves(data))
    result: dict[str, Any] = {"backend": backend, "lanes": lanes, "years": years}
    result["forward_us_per_cell_year"] = 1e6 * median_seconds(lambda: forward(raw), repeats) / cell_years
    result["gradient_us_per_cell_year"] = 1e6 * median_seconds(lambda: gradient(raw), repeats) / cell_years
    scratch = threads * scratch_bytes("dalec-strict", np.float32) if backend == "cpu" else 0
    result["bytes_per_lane"] = round((memory.temp_size_in_bytes + scratch) / lanes) if memory else None
    spent = 1e6 * median_seconds(lambda: block(raw), repeats) / cell_years if tangents else None
    result["tangents_us_per_cell_year"] = spent
    result["compile_seconds"], result["compile_seconds_cached"] = compiling
    result["shared_forcing_bytes"] = shared
    return result


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all cases; one process a thread count."""
    cases = []
    for threads in options.threads:
        command = [sys.executable, "-m", "benchmarks.fold", "--inner", "--threads", str(threads)]
        command += ["--lanes", ",".join(map(str, options.lanes)), "--years", ",".join(map(str, options.years))]
        command += ["--backends", options.backends]
        command += ["--repeats", str(options.repeats), *(["--no-tangents"] if options.no_tangents else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        cases += json.loads(done.stdout)
    return {"cases": cases}


def inner(options: argparse.Namespace) -> None:
    """Bind this process to so many cores before JAX starts its threads, and measure."""
    (threads,) = options.threads
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    cases = []
    for years in options.years:
        for lanes in options.lanes:
            for backend in options.backends.split(","):
                print(f"{backend}, {lanes} lanes, {years} years, {threads} threads ...", file=sys.stderr, flush=True)
                tangents = not options.no_tangents and (backend != "xla" or lanes * years <= 1024)
                case = measure(backend, lanes, years, options.repeats, tangents, threads)
                cases.append(case | {"threads": threads})
    print(json.dumps(cases))


def show(results: dict[str, Any]) -> str:
    """Return the cases as a Markdown table."""
    head = ["backend", "lanes", "years", "threads", *FIELDS]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    for case in results["cases"]:
        values = [case[name] for name in head]
        cells = ["-" if v is None else f"{v:.1f}" if isinstance(v, float) else str(v) for v in values]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    options = parse()
    if options.inner:
        inner(options)
        return
    results = run(options)
    print(json.dumps(results, indent=1) if options.json else show(results))
    if options.record:
        machine = {"date": datetime.date.today().isoformat(), "machine": platform.machine(), "cores": os.cpu_count()}
        RECORD.write_text(json.dumps({**machine, **results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
