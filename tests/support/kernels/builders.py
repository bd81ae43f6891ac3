"""Parameters, forcing and cells that the tests of kernels, gradients and regressions share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from phloem.kernels.calibrations.dalec_daily.site import DalecSite, tower_site
from phloem.kernels.models.dalec_daily.forcing_terms import Weather, weather
from phloem.kernels.models.dalec_daily.mode_switches import COMPAT, Switches
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS
from phloem.kernels.models.dalec_daily.records import Observed
from phloem.kernels.time_loop.day_tables import DayTables, day_tables

NAMES = [p.name for p in PARAMETERS]
POOL_NAMES = [p.name for p in POOLS]

G = np.array(
    [
        *(4e-4, 0.45, 0.12, 0.35, 1.6, 8e-5, 2e-3, 3e-3, 3e-5, 0.045, 18, 480, 0.2, 45, 640, 60, 60, 6, 900, 180, 0.15),
        *(0.1, 0.1, 0.1, 0.1, 1.05, 0.3, 0.4, 3000, 0.03),
    ]
)
"""Reference parameters, of docs/science.md#a-day-to-check-against."""

STATE = np.array([150.0, 90, 120, 4000, 300, 9000, 140, 300])
"""The reference state of the same day."""

G_WET = G.copy()
G_WET[NAMES.index("paw_drainage_capacity")] = 4000
G_WET[NAMES.index("field_capacity")] = 60
"""The parameters of the trajectory test: no clamp is hit."""


def golden_forcing(days: int = 1461) -> dict[str, np.ndarray]:
    """Return time, doy and forcing of the trajectory test."""
    n = np.arange(days)
    om = 2 * np.pi / 365.25
    mean = 2 + 14 * np.sin(om * (n - 110))
    return {
        "time": 365 + n,
        "doy": n % 365 + 1,
        "tasmin": mean - 5,
        "tasmax": mean + 5,
        "rsds": 11 + 9.5 * np.sin(om * (n - 80)),
        "co2": 390 + 0.005 * n,
        "vpd": 4 + 3.5 * np.sin(om * (n - 110)),
        "pr": np.where(n % 5 == 0, 6.0, 0.4),
    }


def golden_weather(switches: Switches = COMPAT) -> Weather:
    """Return the weather of the trajectory test, with its stated reference climate."""
    f = golden_forcing()
    terms = weather(f["time"], f["doy"], 60.0, f, 1461, switches)
    return terms._replace(warmth=0.5 * (f["tasmin"] + f["tasmax"]) - 2, wetness=f["pr"] / 1.52 - 1)


def unobserved(days: int) -> Observed:
    """Return a table without observations."""
    return Observed(*[np.zeros(days)] * len(Observed._fields))


def plain_series(terms: Weather, dtype: Any = np.float64) -> DayTables:
    """Return the tables of one cell without observations."""
    return day_tables([terms], [unobserved(len(terms.co2))], dtype)


def lanes_of(values: np.ndarray, dtype: Any = np.float64) -> jax.Array:
    """Return one column of values as (n, 1), or (n, lanes) as it is."""
    return jnp.asarray(np.asarray(values, dtype).reshape(len(values), -1))


def made_forcing(days: int, seed: int, first_day: int = 0, wet: float = 1.0) -> dict[str, np.ndarray]:
    """Return deterministic daily weather with noise, seasons and dry spells; 365.25 days a year."""
    rng = np.random.default_rng(seed)
    n = first_day + np.arange(days)
    season = np.sin(2 * np.pi / 365.25 * (n - 105))
    mean = 6 + 11 * season + rng.normal(0, 3, days)
    half = rng.uniform(2.5, 7, days)
    rain = np.where(rng.random(days) < 0.35, rng.gamma(0.8, 6.0, days), 0.0) * wet
    return {
        "time": n,
        "doy": n % 365 + 1,
        "tasmin": mean - half,
        "tasmax": mean + half,
        "rsds": np.maximum(11 + 9 * season + rng.normal(0, 2, days), 0.3),
        "co2": 385 + 0.006 * n,
        "vpd": np.maximum(5 + 4 * season + rng.normal(0, 1, days), 0.2),
        "pr": rain,
    }


def made_site(
    days: int,
    seed: int,
    switches: Switches,
    *,
    training_days: int | None = None,
    missing: float = 0.3,
    first_day: int = 0,
    wet: float = 1.0,
) -> DalecSite:
    """Return a cell with made weather and noisy seasonal observations, a share of them missing."""
    f = made_forcing(days, seed, first_day, wet)
    rng = np.random.default_rng(seed + 1)
    season = 1 + np.sin(2 * np.pi / 365.25 * (f["time"] - 105))
    seen = {}
    for name, size in {"gpp": 4.0, "reco": 2.5, "et": 1.2, "lai": 1.5}.items():
        values = size * (0.2 + season) * rng.uniform(0.8, 1.2, days)
        values[rng.random(days) < missing] = np.nan
        seen[name] = values
    fraction = rng.uniform(0.1, 1.0, days)
    training = days if training_days is None else training_days
    return Tower(f["time"], f["doy"], 58.0, f, seen, fraction, training).site(switches)


@dataclass(frozen=True)
class Tower:
    """A tower's file in the words of the kernels."""

    time: np.ndarray
    doy: np.ndarray
    latitude: float
    forcing: dict[str, np.ndarray]
    observations: dict[str, np.ndarray]
    evaporative_fraction: np.ndarray
    training_days: int

    def site(self, switches: Switches) -> DalecSite:
        """Prepare the cell."""
        return tower_site(self, switches)


def tower(data_dir: Path, name: str) -> Tower:
    """Read a tower by plain xarray, apart from the package's own reader; the first half of its years trains."""
    with xr.open_dataset(data_dir / "fluxnet_daily" / f"{name}.nc", decode_times=False) as d:
        columns = {"tasmin": "T2M_MIN", "tasmax": "T2M_MAX", "rsds": "SSRD", "co2": "CO2", "vpd": "VPD"}
        forcing = {key: d[column].values.astype(float) for key, column in columns.items()}
        forcing["pr"] = d["TOTAL_PREC"].values.astype(float)
        days = np.datetime64("2001-01-01") + d["time"].values.astype("timedelta64[D]")
        years = days.astype("datetime64[Y]").astype(int)
        half = -(-round(len(years) / 365.25) // 2)
        return Tower(
            time=d["time"].values,
            doy=d["DOY"].values,
            latitude=float(d["LAT"]),
            forcing=forcing,
            observations={key: d[key.upper()].values.astype(float) for key in ("gpp", "reco", "et", "lai")},
            evaporative_fraction=d["EF"].values.astype(float),
            training_days=int((years < years[0] + half).sum()),
        )
