"""Months of one cell as files of the public code have them, and by CF names."""

from __future__ import annotations

import numpy as np
import xarray as xr

MONTHS = 26
LATITUDE = 61.85


def published_months(months: int = MONTHS) -> xr.Dataset:
    """Return made-up months with the columns of the public code, none of which has units."""
    number = np.arange(months)
    days = 15.21875 + 30.4375 * number
    season = -np.cos(2 * np.pi * (number + 0.5) / 12)
    columns = {
        "days": days,
        "t_min": 2 + 10 * season,
        "t_max": 9 + 12 * season,
        "shortwave": 10 + 9 * season,
        "co2": 370 + 0.15 * number,
        "doy": days % 365.25,
        "burned_fraction": np.where(number % 12 == 6, 0.02, 0.0),
        "vpd": 4 + 3 * season,
        "precipitation": 2 + season,
        "latitude": np.full(months, LATITUDE),
        "dt": np.full(months, 30.0),
        "mean_temperature": np.full(months, 5.5),
        "mean_precipitation": np.full(months, 2.0),
    }
    return xr.Dataset({name: ("month", values) for name, values in columns.items()})


def cf_months(months: int = MONTHS) -> xr.Dataset:
    """Return the same months by CF names and units, dated by the middle of each month of the calendar."""
    own = published_months(months)
    starts = (np.datetime64("2001-01") + np.arange(months + 1)).astype("datetime64[D]").astype(int)
    edges = np.stack([starts[:-1], starts[1:]], 1) - np.datetime64("2001-01-01").astype("datetime64[D]").astype(int)
    as_cf = {
        "tasmin": (own.t_min + 273.15, "K"),
        "tasmax": (own.t_max + 273.15, "K"),
        "rsds": (own.shortwave / 0.0864, "W m-2"),
        "co2": (own.co2 * 1e-6, "mol mol-1"),
        "vpd": (own.vpd * 100, "Pa"),
        "pr": (own.precipitation / 86400, "kg m-2 s-1"),
        "burned_area": (own.burned_fraction * 100, "%"),
    }
    file = xr.Dataset(
        {name: ("time", one.values, {"units": unit}) for name, (one, unit) in as_cf.items()},
        {"time": ("time", edges.mean(axis=1), {"units": "days since 2001-01-01", "bounds": "time_bnds"})},
    )
    file["time_bnds"] = ("time", "bnds"), edges.astype(float)
    file["lat"] = (), LATITUDE, {"units": "degrees_north"}
    file["mean_temperature"] = (), 278.65, {"units": "K"}
    file["mean_precipitation"] = (), 2.0, {"units": "mm d-1"}
    return file


def months_of_30_days(months: int = MONTHS) -> xr.Dataset:
    """Return them with stamps every 30 days: two of them fall into July 2001."""
    days = 1 + 30.0 * np.arange(months)
    return published_months(months).assign(days=("month", days), doy=("month", days % 365.25))
