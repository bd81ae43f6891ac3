"""Made-up files of the layout of DifferLand_Global: few boxes of coarse cells, with everything that its files have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.published.published_layout import PREDICTOR_NAMES
from phloem.names import PERIOD

STEP, SOUTH, WEST = 1.0, -2.0, 0.0
BANDS, STRIPS, MONTHS, RUNS = 2, 3, 24, 3
MISSING = -9999.0

INDEX = np.array([[[2, 0, 3], [np.nan, -1, 1]], [[0, 3, 1], [np.nan, -1, 2]], [[1, 2, 0], [np.nan, -1, 3]]])
"""Number of each box in each run: five patches, one of them held out, one box that is none."""


def published_dataset(seed: int = 0) -> dict[str, xr.Dataset]:
    """Return the datasets by the files' names: maps, masks and the index."""
    rng = np.random.default_rng(seed)
    rows, columns = round(4 * BANDS / STEP), round(5 * STRIPS / STEP)
    north = SOUTH + STEP * (0.5 + np.arange(rows))
    east = WEST + STEP * (0.5 + np.arange(columns))
    still, monthly = (rows, columns), (MONTHS, rows, columns)
    time = np.arange("2001-01", "2003-01", dtype="datetime64[M]").astype("datetime64[ns]")
    season = np.cos(2 * np.pi * np.arange(MONTHS) / 12)[:, None, None]
    cold = 12 + 6 * season + rng.normal(0, 1, monthly)
    warm = cold + 9
    maps = {
        "DAYS": np.broadcast_to((30.4 * np.arange(MONTHS))[:, None, None], monthly),
        "T_min": cold, "T_max": warm, "SOLR": 15 + 5 * season + np.zeros(monthly),
        "DOY": np.broadcast_to((15 + 30.4 * (np.arange(MONTHS) % 12))[:, None, None], monthly),
        "BURNED_AREA": rng.gamma(0.1, 1e-3, monthly),
        "VPD": 1.2 * (saturation_pressure(warm) - saturation_pressure(cold)), "PREC": rng.gamma(2.0, 1.2, monthly),
    }  # fmt: skip
    maps["MAT"], maps["MAP"] = 0.5 * (cold + warm).mean(0), PERIOD * maps["PREC"].mean(0)
    maps["LAT"] = np.broadcast_to(north[:, None], still)
    shares = rng.gamma(0.3, 1.0, (10, *still)) + 1e-3
    for name, share in zip(list(PREDICTOR_NAMES)[:10], 100 * shares / shares.sum(0), strict=True):
        maps[name] = share
    for name in ("elevation", "canopy_height", "tree_age_000_filled", "BULK_DEN", "SAND", "SILT", "CLAY", "GRAVEL"):
        maps[name] = rng.uniform(1, 50, still)
    maps |= {"initial_som": rng.uniform(5e3, 2e4, still), "lat_deg": maps["LAT"], "null": np.zeros(still)}
    for name, mean in {
        "LCSPP": 0.3, "LAI": 2.0, "LAI_COPERNICUS": 2.4, "agb_yan": 3e3, "bgb_yan": 800.0, "IB_AGC": 2e3,
        "IB_BGC": 500.0, "GFED_FIRE_EMISSION": 0.02, "fire_emission": 0.03, "ET": 2.0,
    }.items():  # fmt: skip
        maps[name] = np.where(rng.random(monthly) < 0.1, MISSING, mean * rng.uniform(0.8, 1.2, monthly))
    boxes = rng.normal(0, 1, (MONTHS, BANDS, STRIPS))
    for name in ("NBE", "CAMS_NBE", "LWE_normalized"):
        maps[name] = np.repeat(np.repeat(boxes, round(4 / STEP), 1), round(5 / STEP), 2) + len(name)
    for base in ("gpp", "reco", "et"):
        for mark in ("", "_10percent", "_50percent"):
            values = np.full(monthly, np.nan)
            values[3:9, 1, 1] = 4 + len(mark)
            weights = np.full(monthly, np.nan)
            weights[2:8, 1, 1] = 0.4
            maps |= {f"{base}_fluxnet{mark}": values, f"{base}_fluxnet_weight{mark}": weights}
    maps["SAND"][0, 0] = np.nan
    valid = np.ones(still, bool)
    valid[3, :] = False
    bulk = np.ones(still, bool)
    bulk[:, 5:10] = False
    index = np.repeat(np.repeat(INDEX, round(4 / STEP), 1), round(5 / STEP), 2)
    index[:, 7, 14] = np.nan
    grid = {"lat": north, "lon": east}
    main = {
        name: (("time", "lat", "lon") if values.ndim == 3 else ("lat", "lon"), values.astype(np.float32))
        for name, values in maps.items()
    }
    return {
        "differland_global_driver_v6.nc": xr.Dataset(main, {"time": time, **grid}),
        "era_valid_v6.nc": xr.Dataset({"era_valid": (("lat", "lon"), valid)}, grid),
        "assimilate_bulk_variable_v6.nc": xr.Dataset({"assimilate_bulk_variable": (("lat", "lon"), bulk)}, grid),
        "run_simulation_idx_v6.nc": xr.Dataset({"run_simulation_idx": (("run", "lat", "lon"), index)}, grid),
    }


def write_published(folder: Path, change: Callable[[dict[str, xr.Dataset]], None] | None = None) -> Path:
    """Write the files and return that of the maps; `change` alters the datasets before."""
    files = published_dataset()
    if change is not None:
        change(files)
    folder.mkdir(parents=True, exist_ok=True)
    for name, dataset in files.items():
        dataset.to_netcdf(folder / name)
    months = [f"{2001 + n // 12},{n % 12 + 1},{2001 + n / 12:.3f},{371 + 0.1 * n:.2f}" for n in range(MONTHS)]
    (folder / "co2_mm_gl_01_23.csv").write_text("\n".join(["year,month,decimal,average", *months]) + "\n")
    return folder / "differland_global_driver_v6.nc"


def values_of(path: Path, name: str) -> np.ndarray:
    """Return a variable as it is stored."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        return np.asarray(file[name][:])
