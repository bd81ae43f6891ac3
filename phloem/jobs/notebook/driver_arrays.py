"""Drivers in the form in which somebody holds them: a tower file, an xarray Dataset, arrays by name."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import xarray as xr

from phloem.errors import InputError
from phloem.io.drivers.tower_arrays import TIME_UNITS, TowerArrays, tower_of_arrays
from phloem.io.drivers.tower_cell import Cell
from phloem.io.drivers.tower_files import read_tower
from phloem.io.drivers.variables import EPOCH, EVAPORATIVE_FRACTION, DriverVariables

GivenDrivers = str | os.PathLike[str] | xr.Dataset | Mapping[str, Any]
"""A tower file, or forcing by CF/CMIP name with `time` and `latitude`."""

PLACE = {"latitude": ("latitude", "lat", "LAT"), "longitude": ("longitude", "lon", "LON")}


def read_drivers(drivers: GivenDrivers, variables: DriverVariables, site: str, quality: str, compared: bool) -> Cell:
    """Return the drivers of one site, checked; what was mended, or looks wrong, is warned of.

    Args:
        drivers: a tower file; or a Dataset or mapping, as `phloem.simulate` takes them.
        variables: what the model needs.
        site: name of a site that is not in a file.
        quality: as of `read_tower`.
        compared: whether observations will be compared with.

    Raises:
        InputError: a file, variable or value that cannot be accepted.
    """
    if isinstance(drivers, (str, os.PathLike)):
        cell = read_tower(Path(drivers).expanduser(), quality=quality, variables=variables, compared=compared)
    elif isinstance(drivers, Mapping):
        given = _tower_arrays(drivers, variables, site)
        cell = tower_of_arrays(given, quality=quality, compared=compared, variables=variables)
    else:
        raise InputError(
            f"drivers: a {type(drivers).__name__}; give a tower file, an xarray Dataset, or arrays by name"
        )
    for finding in cell.findings:
        if finding.severity != "note":
            warnings.warn(f"{cell.name}: {finding.variable}: {finding.message}", UserWarning, stacklevel=3)
    return cell


def _tower_arrays(drivers: xr.Dataset | Mapping[str, Any], variables: DriverVariables, site: str) -> TowerArrays:
    given = {str(name): drivers[name] for name in _names(drivers)}
    if "time" not in given:
        raise InputError(f"drivers: cell {site}: variable time: is missing; given are {', '.join(sorted(given))}")
    stamps, units, calendar = _stamps(given["time"], site)
    known = {name for one in (*variables.all, EVAPORATIVE_FRACTION) for name in (one.name, one.layout)}
    latitude, longitude = (_number(given, names) for names in PLACE.values())
    if latitude is None:
        raise InputError(
            f"drivers: cell {site}: variable latitude: one number in degrees north is due; given are "
            f"{', '.join(sorted(given))}"
        )
    return TowerArrays(
        name=site,
        latitude=latitude,
        longitude=float("nan") if longitude is None else longitude,
        stamps=stamps,
        time_units=units,
        calendar=calendar,
        values={name: _series(name, given[name], site) for name in sorted(known & set(given))},
        units={name: text for name in known & set(given) if (text := _text(given[name], "units"))},
        others=tuple(sorted(set(given) - known)),
    )


def _names(drivers: xr.Dataset | Mapping[str, Any]) -> list[Any]:
    """Return the names of all that is given; of a Dataset, coordinates too."""
    return list(drivers.variables) if isinstance(drivers, xr.Dataset) else list(drivers)


def _text(value: Any, attribute: str) -> str:
    """Return a text attribute of an array that has attributes; empty where there is none."""
    text = getattr(value, "attrs", {}).get(attribute, "")
    return text.strip() if isinstance(text, str) and text.strip() != "-9999" else ""


def _series(name: str, value: Any, site: str) -> np.ndarray:
    """Return numbers by day, float64, NaN where missing; dimensions of one place are dropped."""
    try:
        masked = np.ma.asarray(value.values if isinstance(value, xr.DataArray) else value).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"drivers: cell {site}: variable {name}: numbers are due ({error})") from error
    numbers = np.ma.filled(masked, np.nan)
    return numbers.squeeze() if numbers.ndim > 1 else numbers


def _number(given: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    """Return the first of some scalars that is given, None where none is."""
    for name in names:
        if name in given and np.size(given[name]) == 1:
            return float(np.asarray(given[name]).reshape(-1)[0])
    return None


def _stamps(time: Any, site: str) -> tuple[np.ndarray, str, str]:
    """Return a time axis as numbers, with their units and calendar."""
    values = np.asarray(time)
    try:
        if values.dtype.kind == "O" and values.size and hasattr(values.flat[0], "calendar"):
            calendar = str(values.flat[0].calendar)
            return np.asarray(cftime.date2num(values, TIME_UNITS, calendar), float), TIME_UNITS, calendar
        if values.dtype.kind == "O":
            values = values.astype("datetime64[us]")
        if values.dtype.kind == "M":
            days = (values - EPOCH.astype(values.dtype)) / np.timedelta64(1, "D")
            return np.round(days.astype(float), 6), TIME_UNITS, ""
        return values.astype(float), _text(time, "units"), _text(time, "calendar")
    except (TypeError, ValueError) as error:
        raise InputError(f"drivers: cell {site}: variable time: dates are due ({error})") from error
