"""A made CF-NetCDF grid of daily drivers: three years, two rows of three cells, one of them sea."""

from __future__ import annotations

import numpy as np
import xarray as xr

from phloem.io.drivers.grid_cell import calendar_days
from phloem.jobs.synthetic.weather import boreal_weather

YEARS = (2003, 2005)


def dataset(calendar: str = "standard", by_cell: bool = False) -> xr.Dataset:
    """Return a made grid of 2 x 3 cells, one of them sea, in CMIP units."""
    year, _ = calendar_days(*YEARS, calendar)
    weather = boreal_weather(61.0, 3, np.random.default_rng(3), YEARS[0])
    days, shape = len(year), (2, 3)
    sea = np.zeros(shape, bool)
    sea[1, 2] = True

    def spread(values: np.ndarray) -> np.ndarray:
        grown = values[:days, None, None] * (1 + 0.01 * np.arange(6).reshape(shape))
        return np.where(sea, np.nan, grown)

    fields = {
        "tasmin": (spread(weather["tasmin"]) + 273.15, "K"),
        "tasmax": (spread(weather["tasmax"]) + 273.15, "K"),
        "rsds": (spread(weather["rsds"]) / 0.0864, "W m-2"),
        "pr": (spread(weather["pr"]) / 86400, "kg m-2 s-1"),
        "vpd": (spread(weather["vpd"]) * 100, "Pa"),
        "gpp": (spread(np.arange(days) / 1e3) / 8.64e7, "kg m-2 s-1"),
        "reco": (spread(np.arange(days) % 7.0 + 1), "gC m-2 d-1"),
        "lai": (spread(1 + np.arange(days) / days), "1"),
    }
    made = xr.Dataset(
        {name: (("time", "lat", "lon"), values, {"units": unit}) for name, (values, unit) in fields.items()},
        coords={
            "time": ("time", np.arange(days), {"units": f"days since {YEARS[0]}-01-01", "calendar": calendar}),
            "lat": ("lat", [61.75, 61.25], {"standard_name": "latitude"}),
            "lon": ("lon", [359.25, 359.75, 0.25], {"standard_name": "longitude"}),
        },
    )
    made["co2"] = ("time", np.full(days, 380.0), {"units": "1e-6"})
    for name, value, unit in (("growth_amax", 200.0, "Mg ha-1"), ("growth_k", 0.03, "yr-1"), ("growth_c", 1.5, "1")):
        made[name] = (("lat", "lon"), np.full(shape, value), {"units": unit})
    made["root_shoot"] = ((), 0.25, {"units": "1"})
    if by_cell:
        made = made.stack(cell=("lat", "lon"), create_index=False).transpose("time", "cell")
    return made
