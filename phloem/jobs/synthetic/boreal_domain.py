"""The drivers of a synthetic boreal domain: a stand that grows from near zero for 107 years, and products that see it.

The truth is the model itself, run as the growth-curve experiment runs it. What the products see of its last years has
noise, a bias of each cell, and gaps; the growth curve is fitted to its biomass, as seen every few years.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares

from phloem.io.drivers.grid_cell import GridCell, calendar_days, cell_name
from phloem.io.drivers.store import COLUMNS, OBSERVED, Store, StorePaths, chunk_columns, seal_store, write_chunk
from phloem.io.files.atomic import write_atomically
from phloem.io.products.observations import window_starts
from phloem.io.products.times import days_of
from phloem.io.references.growth_curves import DRY_MATTER, richards_chapman, total_biomass
from phloem.jobs.synthetic.boreal_truth import LAPSE, STEP, DomainCell, places, true_parameters
from phloem.jobs.synthetic.weather import boreal_weather
from phloem.kernels.calibrations.dalec_daily.experiment import GROWTH_YEARS
from phloem.kernels.calibrations.dalec_daily.grid_site import GridSite, grid_site
from phloem.kernels.calibrations.dalec_daily.tables import GRID
from phloem.kernels.calibrations.protocol import RunProtocol
from phloem.kernels.models.dalec_daily.grid_operators import grid_dalec
from phloem.kernels.models.dalec_daily.mode_switches import switches
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS
from phloem.kernels.objective.site import site_data
from phloem.kernels.optimise.lanes import cell_number
from phloem.kernels.time_loop.fold import fold
from phloem.kernels.time_loop.run_days import run_days
from phloem.names import FORCING, STREAMS

FIRST, LAST = 1985, 2020
SEEN = (2001, 2019)
"""Years that the products cover."""

CHUNK = 12
"""Cells a chunk of the store."""

START = {"labile": 40.0, "foliar": 60.0, "root": 50.0, "wood": 80.0, "litter": 300.0, "paw": 200.0, "puw": 300.0}
"""gC m-2 and mm: the stand after the fire; soil carbon is that which its inflow keeps."""

SOM_PASSES = 4
NOISE = {"gpp": (0.10, 0.15), "reco": (0.08, 0.05), "et": (0.12, 0.10), "lai": (0.10, 0.05)}
"""Relative and absolute standard deviation of the errors of each value, by stream."""

BIAS = {"gpp": 0.05, "reco": 0.05, "et": 0.08, "lai": 0.08}
"""Standard deviation of a cell's relative bias, by stream."""

GAPS = {"gpp": 0.15, "reco": 0.0, "et": 0.05, "lai": 0.15}
"""Share of missing values, by stream."""

ROOT_SHOOT = 0.25
CURVE_EVERY = 10
"""Years between two inventories of the stand to which the growth curve is fitted."""

CURVE_NOISE, SNAPSHOT_NOISE = 0.04, 0.10
LCMA_NOISE, CUE_NOISE = 0.10, 0.03


@dataclass(frozen=True)
class Stand:
    """A cell before it is observed.

    Attributes:
        name: of the cell.
        place: where it lies.
        forcing: by name, (days,).
        truth: 30 parameters.
        site: as the kernels read it, with nothing observed.
        rng: source of its chance.
    """

    name: str
    place: DomainCell
    forcing: dict[str, np.ndarray]
    truth: np.ndarray
    site: GridSite
    rng: np.random.Generator


PROTOCOL = RunProtocol((FIRST, LAST), GROWTH_YEARS, (SEEN[0], 2012), (2013, SEEN[1]))


def make_stand(place: DomainCell, seed: int) -> Stand:
    """Make a cell's weather and truth."""
    name = cell_name(place.latitude, place.longitude)
    rng = np.random.default_rng(np.random.SeedSequence([seed, cell_number(name)]))
    weather = boreal_weather(place.latitude, LAST - FIRST + 1, rng, FIRST)
    time, doy = weather.pop("time"), weather.pop("doy")
    year = calendar_days(FIRST, LAST, "standard")[0]
    cooling = LAPSE * place.elevation
    weather["tasmin"], weather["tasmax"] = weather["tasmin"] - cooling, weather["tasmax"] - cooling
    weather["vpd"] = weather["vpd"] * np.exp(-0.06 * cooling)
    since = year - FIRST
    weather["co2"] = 345.7 + 1.3 * since + 0.0165 * since**2
    forcing = {key: np.asarray(weather[key], np.float32) for key in FORCING}
    truth = true_parameters(float((weather["tasmin"] + weather["tasmax"]).mean() / 2), place.needle, rng)
    nothing = np.full(len(time), np.nan)
    windows = window_starts(days_of(FIRST, LAST, "standard"), None)
    blank = GridCell(
        name=name,
        latitude=place.latitude,
        longitude=place.longitude,
        calendar="standard",
        year=year,
        doy=doy,
        forcing=forcing,
        observations=dict.fromkeys(STREAMS, nothing),
        window_start=windows,
        evaporative_fraction=nothing,
        trajectory=np.zeros(0),
        statics={},
    )
    return Stand(name, place, forcing, truth, grid_site(blank, PROTOCOL, switches("strict")), rng)


def grow(stands: Sequence[Stand]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Run some stands for all years.

    Returns:
        Initial pools (stands, 8), and daily series (stands, days) of the streams, biomass and water stress.
    """
    model = grid_dalec("strict")
    data = site_data([stand.site for stand in stands], np.float64)
    cells = jnp.arange(len(stands), dtype=jnp.int32)
    values = model.inputs_of_values(jnp.asarray(np.array([stand.truth for stand in stands]).T))
    pools = np.array([[START.get(pool.name, 9000.0) for pool in POOLS] for _ in stands])
    som = [pool.name for pool in POOLS].index("som")

    def sums(pools: jax.Array) -> jax.Array:
        _, found = fold(model, values, model.first_state(pools.T), data.tables, cells, last=False)
        return jnp.stack([found.som_year_ends, found.wood_litter + found.litter_to_som, found.rh_som])

    run = jax.jit(sums)
    for _ in range(SOM_PASSES):
        ends, inflow, outflow = np.asarray(run(jnp.asarray(pools)))
        mean = (pools[:, som] + ends) / GROWTH_YEARS
        pools[:, som] = np.clip(mean * np.clip(inflow / outflow, 0.3, 3.0), 100.0, 150_000.0)
    names, days = (*STREAMS, "biomass", "beta"), stands[0].site.days
    daily = jax.jit(lambda pools: run_days(model, values, model.first_state(pools.T), data.tables, cells, names)[1])
    outputs = np.asarray(daily(jnp.asarray(pools)))
    return pools, {name: series[:days].T for name, series in zip(names, outputs, strict=True)}


def fit_curve(ages: np.ndarray, above: np.ndarray) -> tuple[float, float, float]:
    """Fit Richards-Chapman's curve, a (1 - exp(-k age))^c, by relative least squares; a, k, c."""

    def miss(logs: np.ndarray) -> np.ndarray:
        a, k, c = np.exp(logs)
        return (richards_chapman(ages, a, k, c) - above) / (0.05 * above.max() + 0.5 * above)

    start = np.log([1.2 * above.max(), 0.02, 1.5])
    bounds = np.log([0.5 * above.max(), 1e-4, 0.3]), np.log([20 * above.max(), 0.5, 10.0])
    a, k, c = np.exp(least_squares(miss, start, bounds=bounds).x)
    return float(a), float(k), float(c)


def observe(stand: Stand, series: dict[str, np.ndarray]) -> GridCell:
    """Return a cell as the products see it.

    Args:
        stand: the cell.
        series: its daily truth, (days,) each.
    """
    rng = stand.rng
    year, doy = calendar_days(FIRST, LAST, "standard")
    start = window_starts(days_of(FIRST, LAST, "standard"), None)
    begin = int(np.argmax(_simulated_years() == PROTOCOL.last_met(SEEN[0])))
    rows = np.flatnonzero((year >= SEEN[0]) & (year <= SEEN[1]))
    seen = {}
    for name in STREAMS:
        clean = series[name][begin : begin + len(rows)]
        kept = np.ones(len(rows), bool)
        if name == "reco":
            starts = np.flatnonzero(start[rows])
            stops = np.append(starts[1:], len(rows))
            means = np.add.reduceat(clean, starts) / (stops - starts)
            kept[:] = False
            kept[stops - 1] = True
            clean = np.where(kept, 0.0, np.nan)
            clean[stops - 1] = means
        elif name == "lai":
            kept = (doy[rows] - 1) % 8 == 0
        relative, absolute = NOISE[name]
        bias = 1 + BIAS[name] * rng.standard_normal()
        noisy = bias * clean * (1 + relative * rng.standard_normal(len(rows)))
        noisy = noisy + absolute * rng.standard_normal(len(rows))
        kept &= rng.random(len(rows)) >= GAPS[name]
        values = np.full(len(year), np.nan, np.float32)
        values[rows] = np.where(kept, np.maximum(noisy, 0) if name == "lai" else noisy, np.nan)
        seen[name] = values
    fraction = np.full(len(year), np.nan, np.float32)
    wet = series["beta"][begin : begin + len(rows)]
    fraction[rows] = np.clip(0.15 + 0.75 * wet + 0.05 * rng.standard_normal(len(rows)), 0, 1)

    to_above = 1 / (DRY_MATTER * (1 + ROOT_SHOOT))
    above = series["biomass"][_year_ends()] * to_above
    ages = np.arange(5, GROWTH_YEARS + 1, CURVE_EVERY)
    inventory = above[ages - 1] * np.exp(CURVE_NOISE * rng.standard_normal(len(ages)))
    a, k, c = fit_curve(ages.astype(float), inventory)
    every = np.arange(1, GROWTH_YEARS + 1)
    curve = total_biomass(richards_chapman(every, a, k, c), ROOT_SHOOT)
    truth = dict(zip((p.name for p in PARAMETERS), stand.truth, strict=True))
    return GridCell(
        name=stand.name,
        latitude=stand.place.latitude,
        longitude=stand.place.longitude,
        calendar="standard",
        year=year,
        doy=doy,
        forcing=stand.forcing,
        observations=seen,
        window_start=start,
        evaporative_fraction=fraction,
        trajectory=curve.astype(np.float32),
        statics={
            "biomass_snapshot": float(series["biomass"][-1] * np.exp(SNAPSHOT_NOISE * rng.standard_normal())),
            "lcma": float(truth["lcma"] * np.exp(LCMA_NOISE * rng.standard_normal())),
            "cue": float(1 - truth["f_auto"] + CUE_NOISE * rng.standard_normal()),
            "root_shoot": ROOT_SHOOT,
            "growth_amax": a,
            "growth_k": k,
            "growth_c": c,
            "elevation": stand.place.elevation,
            **stand.place.fractions,
        },
    )


def make_store(
    root: Path, cells: int, seed: int, data: Path | None, on_progress: Callable[[int], None] | None = None
) -> Store:
    """Write the driver store of a synthetic boreal domain, its truth as truth.csv, and its true biomass by year.

    Args:
        root: folder of the store.
        cells: how many.
        seed: of the campaign.
        data: folder of the real data sets, for land, cover and elevation; None makes them up.
        on_progress: called with the number of cells made.

    Raises:
        InputError: more cells than the domain has.
    """
    paths = StorePaths(root)
    chosen = places(cells, data)
    root.mkdir(parents=True, exist_ok=True)
    columns: dict[str, list[Any]] = {key: [] for key in (*COLUMNS, *OBSERVED)}
    lines = [",".join(["cell", *GRID.unknown_names, *(f"biomass_{age}" for age in range(1, GROWTH_YEARS + 1))])]
    for number, begin in enumerate(range(0, len(chosen), CHUNK)):
        stands = [make_stand(place, seed) for place in chosen[begin : begin + CHUNK]]
        padded = (stands * CHUNK)[:CHUNK]  # one program for all
        pools, series = grow(padded)
        observed = [observe(s, {key: values[n] for key, values in series.items()}) for n, s in enumerate(stands)]
        write_chunk(paths.chunk(number), observed)
        ends = _year_ends()
        for row, stand in enumerate(stands):
            values = (*stand.truth, *pools[row], *series["biomass"][row][ends])
            lines.append(",".join([stand.name, *(repr(float(value)) for value in values)]))
        for key, column in chunk_columns(number, observed).items():
            columns[key] += column
        if on_progress is not None:
            on_progress(begin + len(stands))
    write_atomically(paths.truth, ("\n".join(lines) + "\n").encode())
    facts: dict[str, Any] = {"first_year": FIRST, "last_year": LAST, "calendar": "standard", "step": STEP}
    facts |= {"cells": cells, "seed": seed, "sources": ["synthetic", "static_0p5" if data else "made-up places"]}
    return seal_store(root, facts, columns)


def _simulated_years() -> np.ndarray:
    """Return the number of the simulated year of each day, (days,)."""
    lengths = [365 + calendar.isleap(year) for year in PROTOCOL.years]
    return np.repeat(np.arange(1, GROWTH_YEARS + 1), lengths)


def _year_ends() -> np.ndarray:
    """Return the last day of each simulated year."""
    return np.flatnonzero(np.append(np.diff(_simulated_years()), 1))
