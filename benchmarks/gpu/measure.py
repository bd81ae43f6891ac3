"""One step of the measurements on a GPU; run.sh takes all of them, each with a time limit of its own.

    python -m benchmarks.gpu.measure STEP --out FOLDER [--stand-in] [--lanes 4096,16896] [--years 9]

Steps: who, bits, times, small (a small gradient, for a memory checker or a profiler to watch), faults, table. What a
step finds is kept in FOLDER/gpu.json under its name; `table` prints all. Nothing is reset or set on the card.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from phloem.io.files.atomic import write_atomically
from phloem.names import PERIOD

LANES = "4096,16896,50688,65536,202752,512000"
"""From a sixteenth of what fills an H200 once (132 multiprocessors x 3 blocks x 128 lanes) to ten times that."""

ISSUED = 317 + 573
"""Instructions a lane-day of value and adjoint, float32, compiled for sm_90."""

CLOCK_HZ = 1.98e9
"""Highest clock of the multiprocessors of an H200, where nvidia-smi does not tell."""

DAY = ("value_day_shared_seen", "adjoint_day_shared_seen", "again_day_shared")
"""Functions of the printed text that a lane goes through on a day with observations; their operators are counted."""

REPEATS = 5
STEPS_TIMED = 10


def main() -> None:
    """Read the command line, take one step, and keep what it finds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=sorted(MEASUREMENTS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stand-in", action="store_true", help="a stand-in for the driver runs the kernels here")
    parser.add_argument("--lanes", default=LANES)
    parser.add_argument("--years", type=int, default=9)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    found = MEASUREMENTS[given.step](given)
    if found is not None:
        keep(given.out, given.step, {**found, "seconds": round(time.monotonic() - begun, 1)})


def keep(out: Path, step: str, found: dict[str, Any]) -> None:
    """Put what a step has found into gpu.json, beside what others have, and print it."""
    path = out / "gpu.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    write_atomically(path, json.dumps({**known, step: found}, indent=1).encode())
    print(json.dumps(found, indent=1), flush=True)


def who(given: argparse.Namespace) -> dict[str, Any]:
    """Return the card, its driver, and the versions of what computes."""
    import jax

    from phloem.hpc.gpu_driver import list_gpus_apart
    from phloem.kernels.time_loop.checked_cards import card_of

    device = jax.local_devices()[0]
    query = "name,driver_version,clocks.max.sm,clocks.sm,power.limit,ecc.mode.current,mig.mode.current,compute_mode"
    return {
        "card": asdict(card_of(device)),
        "platform": device.platform,
        "jax": jax.__version__,
        "multiprocessors": getattr(device, "core_count", None),
        "driver": list_gpus_apart().to_json(),
        "nvidia_smi": _said(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]),
        "stand_in": given.stand_in,
        "date": datetime.date.today().isoformat(),
    }


def bits(given: argparse.Namespace) -> dict[str, Any]:
    """Compare bits with the cpu backend, and numbers with the xla backend in float64."""
    import jax
    import numpy as np

    from benchmarks.gpu.case import gradient_program, make_case, widen
    from phloem.jobs.estimate.gpu_gradient import check_here

    device, cpu = jax.local_devices()[0], jax.local_devices(backend="cpu")[0]
    found: dict[str, Any] = {"float32": asdict(check_here(device)), "float64": asdict(check_here(device, "float64"))}
    lanes = 256
    errors: dict[str, list[np.ndarray]] = {}
    for name, dtype, backend, where in (("gpu", np.float32, "gpu", device), ("exact", np.float64, "cpu", cpu)):
        with jax.default_device(where):
            case = make_case(1, dtype, backend)
            data, lane_cell, _, numbers, first = widen(case, lanes)
            sums, bars = gradient_program(case, backend)(numbers, first, data.tables, lane_cell)
            errors[name] = [np.asarray(one, np.float64) for one in (sums, *bars)]
    names = ("sums", "gradient_by_constants", "gradient_by_first_states")
    found["norm_of_error_against_float64"] = {
        name: float(np.linalg.norm(mine - exact) / np.linalg.norm(exact))
        for name, mine, exact in zip(names, errors["gpu"], errors["exact"], strict=True)
    }
    found["xla"] = _against_xla(lanes)
    return found


def _against_xla(lanes: int) -> dict[str, float]:
    """Return how far losses and gradients of the gpu backend are from those of xla in float64."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from benchmarks.gpu.case import make_case, widen

    found = {}
    for name, dtype, backend in (("gpu", np.float32, "gpu"), ("xla", np.float64, "xla")):
        case = make_case(1, dtype, backend)
        cpu = jax.local_devices(backend="cpu")[0]
        with jax.default_device(jax.local_devices()[0] if backend == "gpu" else cpu):
            data, lane_cell, walking, _, _ = widen(case, lanes)
            raw = jnp.asarray(np.random.default_rng(8).standard_normal(walking.raw.T.shape), dtype)
            sharpness = jnp.full(lanes, 30.0, dtype)
            loss, slope = jax.jit(case.objective.loss_and_gradient)(raw, sharpness, data, lane_cell)[:2]
            found[name] = [np.asarray(part, np.float64) for part in (loss, slope)]
    return {
        what: float(np.linalg.norm(mine - exact) / np.linalg.norm(exact))
        for what, mine, exact in zip(("loss", "gradient"), found["gpu"], found["xla"], strict=True)
    }


def times(given: argparse.Namespace) -> dict[str, Any]:
    """Time a gradient and a step of Adam at each number of lanes, with the floors of the card beside them."""
    import jax
    import jax.numpy as jnp

    from benchmarks.gpu.case import gradient_program, make_case, widen
    from phloem.kernels.optimise.optimiser import advance

    case = make_case(given.years)
    gradient = gradient_program(case, "gpu")
    program = jax.jit(advance, static_argnums=(0, 1))
    rows: list[dict[str, Any]] = []
    for lanes in map(int, given.lanes.split(",")):
        try:
            data, lane_cell, walking, numbers, first = widen(case, lanes)
            years = lanes * case.days / PERIOD
            took = _median(lambda: gradient(numbers, first, data.tables, lane_cell))  # noqa: B023
            steps = jnp.asarray(STEPS_TIMED, jnp.int32)
            step = _median(lambda: program(case.objective, case.optimiser, data, lane_cell, walking, steps))  # noqa: B023
            row: dict[str, Any] = {
                "lanes": lanes,
                "years": given.years,
                "gradient_us": 1e6 * took / years,
                "step_us": 1e6 * step / STEPS_TIMED / years,
            }
            row["optimiser_us"] = row["step_us"] - row["gradient_us"]
        except Exception as error:  # out of memory: the smaller ones count
            row = {"lanes": lanes, "failed": f"{type(error).__name__}: {str(error)[:300]}"}
        rows.append(row)
        print(json.dumps(row), flush=True)
        keep(given.out, "times", {"rows": rows, **floors(case)})
    return {"rows": rows, **floors(case)}


def floors(case: Any) -> dict[str, Any]:
    """Return the least microseconds a gradient can take on this card: by issue, and by arithmetic in float32."""
    import jax
    import numpy as np

    from phloem.kernels.time_loop.cuda.cuda_text import source

    multiprocessors = getattr(jax.local_devices()[0], "core_count", None)
    texts = [source(kernel, case.text, np.float32).text for kernel in ("VALUE", "ADJOINT")]
    if not all(any(f" {name}(" in text for text in texts) for name in DAY):
        raise ValueError(f"the text has other functions than {', '.join(DAY)}")
    bodies = [body for text in texts for body in text.split("static INLINE void ")[1:] if body.split("(")[0] in DAY]
    operations = sum(len(re.findall(r" [-+*/] ", body)) for body in bodies)
    told = _said(["nvidia-smi", "--query-gpu=clocks.max.sm", "--format=csv,noheader,nounits"])
    clock = 1e6 * float(told.split()[0]) if re.match(r"\d", told) else CLOCK_HZ
    found: dict[str, Any] = {"operations_a_lane_day": operations, "issued_a_lane_day": ISSUED, "clock_hz": clock}
    if multiprocessors:
        # a multiprocessor issues four warps' instructions, and does 128 operations of float32, a clock
        lanes = 128 * multiprocessors * clock
        found["issue_floor_us"] = 1e6 * ISSUED * PERIOD / lanes
        found["fp32_floor_us"] = 1e6 * operations * PERIOD / lanes
    return found


def small(given: argparse.Namespace) -> None:
    """Run gradients of the first number of lanes, for a memory checker or a profiler to watch."""
    import jax

    from benchmarks.gpu.case import gradient_program, make_case, widen

    case = make_case(given.years)
    data, lane_cell, _, numbers, first = widen(case, int(given.lanes.split(",")[0]))
    gradient = gradient_program(case, "gpu")
    for _ in range(2):
        jax.block_until_ready(gradient(numbers, first, data.tables, lane_cell))
    print(f"{len(lane_cell)} lanes, {case.days} days: done")


def faults(given: argparse.Namespace) -> dict[str, Any]:
    """Return the texts of real faults."""
    from benchmarks.gpu.faults import texts

    return {"texts": texts(given.stand_in)}


def table(given: argparse.Namespace) -> None:
    """Print what all steps have found."""
    found = json.loads((given.out / "gpu.json").read_text())
    card, seen = found.get("who", {}).get("card", {}), found.get("bits", {})
    print(f"{card.get('device')}, driver {card.get('driver')}, {card.get('compiler')}, jaxlib {card.get('jaxlib')}")
    for precision in ("float32", "float64"):
        check = seen.get(precision, {})
        verdict = check.get("fault") or ("the cpu backend's" if check.get("compared") else "not compared")
        print(f"bits, {precision}: {verdict}")
    print(f"error against xla in float64: {seen.get('xla')}")
    timed = found.get("times", {})
    print(f"floors: issue {timed.get('issue_floor_us')} us, float32 {timed.get('fp32_floor_us')} us a cell-year\n")
    print("| lanes | gradient, us a cell-year | step of Adam | optimiser alone |\n| --- | --- | --- | --- |")
    for row in timed.get("rows", []):
        if "failed" in row:
            print(f"| {row['lanes']:,} | {row['failed']} | | |")
        else:
            figures = " | ".join(f"{row[name]:.4f}" for name in ("gradient_us", "step_us", "optimiser_us"))
            print(f"| {row['lanes']:,} | {figures} |")
    for name, fault in found.get("faults", {}).get("texts", {}).items():
        print(f"fault, {name} (status {fault['status']}): {' '.join(str(fault['said']).split())[-300:]}")


def _median(call: Callable[[], Any]) -> float:
    """Return the median seconds of some warm calls."""
    import jax

    jax.block_until_ready(call())
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def _said(command: list[str]) -> str:
    """Return what a program says; why it cannot be asked, where it cannot."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], dict[str, Any] | None]] = {
    "who": who,
    "bits": bits,
    "times": times,
    "small": small,
    "faults": faults,
    "table": table,
}

if __name__ == "__main__":
    main()
