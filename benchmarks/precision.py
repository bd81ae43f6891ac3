"""How far float32 is from float64 after 9, 36 and 107 years: every output, last state, sum and gradient.

    python -m benchmarks.precision --years 9,36,107 --backends xla,cpu

Forcing is made by the weather generator; 107 years run over 36 through the index tables. The observations are a
float64 run with other parameters, with noise and gaps. All precisions start from the same float32 numbers.
An error is the largest difference from float64 over lanes (and days), as a share of the largest magnitude there.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phloem.arithmetic import ceil_div
from phloem.io.drivers.tower_cell import Cell
from phloem.jobs.synthetic.weather import boreal_weather
from phloem.kernels.calibrations.dalec_daily.site import tower_site
from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.mode_switches import switches
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS, UNKNOWNS
from phloem.kernels.objective.bounded_log import physical
from phloem.kernels.objective.objective import SiteData
from phloem.kernels.objective.site import site_data
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.time_loop.fold import fold
from phloem.names import PERIOD, STREAMS

ROWS_YEARS = 36
RECORD = Path(__file__).with_name("precision.md")
Errors = dict[str, float]


def unknowns(lanes: int) -> np.ndarray:
    """Return raw values of lanes that live: scattered around the middle of the bounds, with much wood and SOM."""
    raw = np.random.default_rng(2).normal(0, 0.3, (len(UNKNOWNS), lanes))
    rows = {p.name: row for row, p in enumerate(UNKNOWNS)}
    for name, shift in {"wood": 2.0, "som": 2.0, "paw": 1.0, "turnover_wood": -1.0, "turnover_som": -1.0}.items():
        raw[rows[name]] += shift
    return raw.astype(np.float32)


def cell(years: int, raw: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return a site of so many years, and the row of its tables that each simulated day reads."""
    made = boreal_weather(61.0, min(years, ROWS_YEARS), np.random.default_rng(0))
    time, doy = made.pop("time"), made.pop("doy")
    nothing = {name: np.full(len(doy), np.nan) for name in STREAMS}
    unseen = Cell("precision", 61.0, 24.0, time, doy, made, nothing, np.full(len(doy), np.nan), len(doy))
    bare = tower_site(unseen, switches("strict"))
    truth = outputs(site_data([bare], np.float64), raw[:, :1], np.float64)
    rng = np.random.default_rng(1)
    seen = {}
    for name in STREAMS:
        values = truth[name][: len(doy), 0]
        seen[name] = np.where(
            rng.random(len(doy)) < 0.3, np.nan, values + 0.2 * values.std() * rng.standard_normal(len(doy))
        )
    days = np.arange(round(PERIOD * years)) % len(doy)
    return tower_site(replace(unseen, observations=seen), switches("strict")), days


def tables(one: Any, rows: np.ndarray, dtype: Any) -> SiteData:
    """Return the cell's tables, cycled over the rows."""
    data = site_data([one, one], dtype)
    cycled = data.series
    days = ceil_div(len(rows), 64) * 64
    index = jnp.asarray(np.pad(rows, (0, days - len(rows)), "edge"), jnp.int32)
    live = jnp.asarray((np.arange(days) < len(rows))[:, None].repeat(2, 1), dtype)
    return data._replace(
        series=cycled._replace(weather_row=index, observed_row=index, live=live),
        days=jnp.full_like(data.days, len(rows)),
    )


def values(raw: np.ndarray, dtype: Any) -> tuple[Any, Any]:
    """Return inputs and first state: the same float32 numbers in either precision."""
    found = np.asarray(physical(jnp.asarray(raw, jnp.float64), UNKNOWNS)).astype(np.float32).astype(dtype)
    return inputs(jnp.asarray(found[: len(PARAMETERS)])), state(jnp.asarray(found[len(PARAMETERS) :]))


def outputs(data: SiteData, raw: np.ndarray, dtype: Any) -> dict[str, np.ndarray]:
    """Return every output of every live day, (days, lanes)."""
    p, first = values(raw, dtype)
    alive = int(np.asarray(data.series.live)[:, 0].sum())
    lanes = jnp.zeros(raw.shape[1], jnp.int32)
    found = trajectory(dalec("strict"), p, first, data.series, lanes)
    return {name: np.asarray(array[:alive], float) for name, array in found._asdict().items()}


def reduced(data: SiteData, raw: np.ndarray, dtype: Any, backend: str) -> dict[str, np.ndarray]:
    """Return last state, sums, loss and gradient of a backend."""
    p, first = values(raw, dtype)
    lanes = jnp.zeros(raw.shape[1], jnp.int32)
    last, sums = jax.jit(lambda p, s: fold(dalec("strict"), p, s, data.series, lanes, backend=backend))(p, first)
    objective = SiteObjective(dalec("strict"), backend=backend)
    sharpness = jnp.full(raw.shape[1], 30.0, dtype)
    loss, gradient = jax.jit(lambda raw: objective.loss_and_gradient(raw, sharpness, data, lanes))(
        jnp.asarray(raw, dtype)
    )
    found = {f"last {name}": array for name, array in last._asdict().items() if not name.endswith("rest")}
    found |= {f"sum {name}": array for name, array in sums._asdict().items()} | {"loss": loss}
    found |= {f"gradient {p.name}": row for p, row in zip((*PARAMETERS, *POOLS), gradient, strict=True)}
    return {name: np.asarray(array, float) for name, array in found.items()}


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference as a share of the largest magnitude; 0 where all is 0."""
    largest = np.abs(wanted).max()
    return float(np.abs(found - wanted).max() / largest) if largest > 0 else float(np.abs(found).max())


def measure(years: int, backends: list[str], lanes: int) -> dict[str, dict[str, float]]:
    """Return the errors of one length of simulation, by quantity and backend."""
    raw = unknowns(lanes)
    one, rows = cell(years, raw)
    single, double = (tables(one, rows, dtype) for dtype in (np.float32, np.float64))
    found: dict[str, dict[str, float]] = {}
    wanted, got = outputs(double, raw, np.float64), outputs(single, raw, np.float32)
    for name, exact in wanted.items():
        found[f"output {name}"] = {backend: error(got[name], exact) for backend in backends[:1]}
    exact_sums = reduced(double, raw, np.float64, backends[-1])
    for backend in backends:
        for name, near in reduced(single, raw, np.float32, backend).items():
            found.setdefault(name, {})[backend] = error(near, exact_sums[name])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--years", default="9,36,107", help="comma-separated")
    parser.add_argument("--backends", default="xla,cpu", help="comma-separated; outputs are those of the first")
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--record", action="store_true", help=f"also write {RECORD.name}")
    options = parser.parse_args()
    years, backends = [int(y) for y in options.years.split(",")], options.backends.split(",")
    all_found = {}
    for number in years:
        print(f"{number} years ...", file=sys.stderr, flush=True)
        all_found[number] = measure(number, backends, options.lanes)
    lines = ["| quantity | " + " | ".join(f"{b}, {y} years" for b in backends for y in years) + " |"]
    lines.append("| --- |" + " --- |" * len(backends) * len(years))
    for name in all_found[years[0]]:
        cells = [all_found[y][name].get(b) for b in backends for y in years]
        lines.append(f"| {name} | " + " | ".join("" if e is None else f"{e:.1e}" for e in cells) + " |")
    print("\n".join(lines))
    if options.record:
        RECORD.write_text("\n".join(["# float32 against float64", "", *_explanation(), "", *lines, ""]))


def _explanation() -> list[str]:
    return (__doc__ or "").strip().splitlines()[2:]


if __name__ == "__main__":
    main()
