"""A synthetic boreal transect: weather, a known truth, and observations made by the model, as tower files."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from phloem.io.drivers.tower_cell import Cell, count_training_days
from phloem.io.drivers.tower_files import read_tower, write_tower
from phloem.io.files.atomic import write_atomically
from phloem.jobs.synthetic.weather import boreal_weather
from phloem.kernels.calibrations.dalec_daily.site import tower_site
from phloem.kernels.calibrations.dalec_daily.tables import TOWERS
from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.mode_switches import switches
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS
from phloem.kernels.models.dalec_daily.records import Observed, Outputs, State
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.time_loop.day_tables import series
from phloem.names import PERIOD

SOUTH, NORTH = 47.0, 68.0
"""Ends of the transect, degrees north."""

LONGITUDE = 25.0
SPIN_UP_PASSES = 12
NOISE = {"gpp": (0.10, 0.15), "reco": (0.10, 0.10), "et": (0.12, 0.10), "lai": (0.08, 0.02)}
"""Relative and absolute standard deviation of the observation errors, by stream."""

GAP_SHARE = 0.25
"""About this share of the days of each stream is missing, in spells of GAP_DAYS."""

GAP_DAYS = 12


EVERYWHERE = {
    "paw_drainage_capacity": 20_000.0,
    "wilting_point_fraction": 0.12,
    "combustion_foliar": 0.5,
    "combustion_ligneous": 0.5,
    "combustion_dom": 0.5,
    "fire_resilience": 0.5,
    "moisture_sensitivity": 0.12,
    "paw_to_puw_fraction": 0.3,
    "puw_drainage_capacity": 2500.0,
    "radiation_et_coefficient": 0.045,
}
"""Parameters of the truth that are the same in all cells."""


def true_parameters(mean_temperature: float) -> np.ndarray:
    """Return parameters that vary smoothly with the mean annual temperature, (30,) in physical units.

    Colder: longer-lived leaves, later buds, earlier leaf fall, slower wood and soil, lower efficiency.
    """
    cold = float(np.clip((8.0 - mean_temperature) / 14.0, 0, 1))
    truth = {
        **EVERYWHERE,
        "decomposition_rate": 1.2e-3,
        "f_auto": 0.48 + 0.04 * cold,
        "f_foliar": 0.08 + 0.02 * cold,
        "f_root": 0.34 + 0.08 * cold,
        "leaf_lifespan": 1.35 + 1.8 * cold,
        "turnover_wood": 9e-5 - 3e-5 * cold,
        "turnover_root": 2.6e-3 - 8e-4 * cold,
        "turnover_litter": 3.2e-3 - 1e-3 * cold,
        "turnover_som": 4.5e-5 - 2e-5 * cold,
        "temperature_sensitivity": 0.045 + 0.012 * cold,
        "canopy_efficiency": 17.5 - 9.5 * cold,
        "bud_burst_day": PERIOD + 118.0 + 28.0 * cold,
        "f_labile": 0.14,
        "labile_release_period": 42.0 - 8.0 * cold,
        "leaf_fall_day": PERIOD + 284.0 - 18.0 * cold,
        "leaf_fall_period": 62.0,
        "lcma": 55.0 + 45.0 * cold,
        "uwue": 11.0 - 2.0 * cold,
        "field_capacity": 125.0 - 30.0 * cold,
        "labile_lifespan": 1.12 + 0.1 * cold,
    }
    return np.array([truth[parameter.name] for parameter in PARAMETERS])


def _near_equilibrium(run_once: Callable[[np.ndarray], Outputs], start: np.ndarray) -> np.ndarray:
    """Return pools near equilibrium, (8,): run after run for the fast ones, wood and SOM scaled by in over out."""
    pools = start.copy()
    wood, som = (list(State._fields).index(name) for name in ("wood", "som"))
    for _ in range(SPIN_UP_PASSES):
        run = run_once(pools)
        slow = {
            wood: (run.wood_production.sum(), run.wood_litter.sum(), run.wood.mean()),
            som: ((run.wood_litter + run.litter_to_som).sum(), run.rh_som.sum(), run.som.mean()),
        }
        pools = np.array([getattr(run, pool.name)[-1] for pool in POOLS])
        for row, (inflow, outflow, mean) in slow.items():
            pools[row] = mean * np.clip(inflow / outflow, 0.2, 5.0)
        pools = np.clip(pools, [1.01 * p.lower for p in POOLS], [0.99 * p.upper for p in POOLS])
    return pools


def _gaps(days: int, rng: np.random.Generator) -> np.ndarray:
    """Return where a stream is missing, in spells, (days,) bool."""
    missing = np.zeros(days, bool)
    for first in rng.integers(0, days, max(1, round(-np.log(1 - GAP_SHARE) * days / GAP_DAYS))):
        missing[first : first + GAP_DAYS] = True
    return missing


def make_cell(name: str, latitude: float, years: int, seed: int) -> tuple[Cell, np.ndarray]:
    """Make one cell: weather, truth, and observations with noise and gaps.

    Args:
        name: cell id.
        latitude: degrees north.
        years: calendar years from 2001.
        seed: of this cell.

    Returns:
        The cell, and the true 30 parameters and 8 initial pools, (38,).
    """
    rng = np.random.default_rng(seed)
    made = boreal_weather(latitude, years, rng)
    time, doy = made.pop("time"), made.pop("doy")
    days, window = len(time), count_training_days(time)
    truth = true_parameters(float((made["tasmin"] + made["tasmax"]).mean() / 2))
    unseen = Cell(
        name=name,
        latitude=latitude,
        longitude=LONGITUDE,
        time=time,
        doy=doy,
        forcing=made,
        observations={stream: np.full(days, np.nan) for stream in NOISE},
        evaporative_fraction=np.full(days, np.nan),
        training_days=window,
    )
    blank = tower_site(unseen, switches("strict"))
    unobserved = np.zeros(days)
    model = dalec("strict")
    table = series([blank.weather], [Observed(*[unobserved] * len(Observed._fields))], np.float64)

    def run_once(pools: np.ndarray) -> Outputs:
        values = trajectory(
            model,
            model.inputs_of_values(jnp.asarray(truth)[:, None]),
            model.first_state(jnp.asarray(pools)[:, None]),
            table,
            jnp.zeros(1, int),
        )
        return Outputs(*(np.asarray(field)[:days, 0] for field in values))

    pools = _near_equilibrium(run_once, np.array([60.0, 90.0, 100.0, 6000.0, 200.0, 9000.0, 200.0, 300.0]))
    outputs = run_once(pools)
    observations = {}
    for stream, (relative, absolute) in NOISE.items():
        clean = np.asarray(getattr(outputs, stream))
        noisy = clean * (1 + relative * rng.standard_normal(days)) + absolute * rng.standard_normal(days)
        observations[stream] = np.where(_gaps(days, rng), np.nan, np.maximum(noisy, 0) if stream == "lai" else noisy)
    fraction = np.clip(0.15 + 0.75 * np.asarray(outputs.beta) + 0.05 * rng.standard_normal(days), 0, 1)
    cell = replace(unseen, observations=observations, evaporative_fraction=fraction)
    return cell, np.concatenate([truth, pools])


def make_transect(
    folder: Path, cells: int, years: int, seed: int, on_progress: Callable[[int], None] | None = None
) -> list[Cell]:
    """Write a transect from south to north as tower files, and its truth as truth.csv.

    Args:
        folder: where the files go.
        cells: number of cells.
        years: calendar years.
        seed: of the campaign; cell i draws from (seed, i).
        on_progress: called with the number of cells made.

    Returns:
        The cells as read back, the files checked like any other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, made = [], []
    for number, latitude in enumerate(np.linspace(SOUTH, NORTH, cells).round(2)):
        name = f"T{number:03d}"
        cell, truth = make_cell(
            name, float(latitude), years, int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        )
        write_tower(folder / f"{name}.nc", cell)
        made.append(read_tower(folder / f"{name}.nc"))
        rows.append([name, *(repr(float(value)) for value in truth)])
        if on_progress is not None:
            on_progress(len(made))
    lines = [",".join(["cell", *TOWERS.unknown_names]), *(",".join(row) for row in rows)]
    write_atomically(folder / "truth.csv", ("\n".join(lines) + "\n").encode())
    return made


def read_truth(folder: Path) -> dict[str, dict[str, float]] | None:
    """Return the true parameters by cell and name, or None where a campaign has no known truth."""
    path = folder / "truth.csv"
    if not path.is_file():
        return None
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["cell"]: {parameter.name: float(row[parameter.name]) for parameter in PARAMETERS} for row in rows}
