"""Files of one place as CARDAMOM has them (`.cbf.nc`), brought to the form of all monthly files.

What they do otherwise: the time axis may lie along a dimension of another name (`time_dim`), be called `TIME_INDEX`,
or have no units; latitude and longitude are single numbers (`LAT`, `LON`), and nothing names the place but the file;
numbers of the place (`PEQ_LCMA`, `Mean_ABGB`, ...) have no dimension. They bring uncertainties and prior values, which
this program's loss has no term for: they are read, and told.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from phloem.errors import InputError
from phloem.io.drivers.tower_files import COORDINATES, PRIORS, place_of, said_of_priors
from phloem.io.files.stored_dataset import decoded_values, storage
from phloem.io.files.stored_values import UNDECLARED
from phloem.io.grids.axis_names import LATITUDE, LONGITUDE, horizontal_word

SINCE_2001 = "days since 2001-01-01"
"""What a time axis without units counts in such a file."""

TIME_INDEX = "TIME_INDEX"

UNITS = {"PEQ_LCMA": "g m-2", "PEQ_CUE": "1", "PEQ_iniSOM": "gC m-2", "Mean_ABGB": "gC m-2", "Mean_Biomass": "gC m-2"}
"""Of numbers of the place, where the file does not say."""

_KEPT_FOR_ITSELF = ("ID", "EDC", "EDCDIAG", "EDC_EQF", "MCMCID", "MCMC_ID", "nodays", "nomet", "noobs", "dt", "deltat")
"""Numbers by which CARDAMOM is told what to do."""

_EDGES = ("bnds", "bounds", "nv", "bound", "bnd")
"""Dimensions of two: of the bounds of time."""

_UNCERTAINTIES = ("single_unc", "single_monthly_unc", "single_annual_unc", "single_mean_unc", "structural_unc", "unc")
_OF_EACH_VALUE = "unc"


def with_time_axis(file: xr.Dataset, notes: list[str]) -> xr.Dataset:
    """Return a file whose axis of months is a coordinate along a dimension of its name.

    Args:
        file: as `open_stored` gives it.
        notes: takes what was taken for granted.
    """
    if "time" not in file.variables and TIME_INDEX in file.variables and file[TIME_INDEX].ndim == 1:
        index = decoded_values(file[[TIME_INDEX]], storage(file, Path(TIME_INDEX), {TIME_INDEX}))[TIME_INDEX]
        file = file.drop_vars(TIME_INDEX).assign(time=(index.dims, index.values, index.attrs))
    if "time" not in file.variables or file["time"].ndim != 1:
        return file
    (along,) = file["time"].dims
    if along != "time" and "time" not in file.sizes:
        file = file.set_coords("time").swap_dims({along: "time"})
    if is_one_place(file) and not str(file["time"].attrs.get("units", "")).strip():
        file = file.assign_coords(time=file["time"].assign_attrs(units=SINCE_2001))
        notes.append(f"time: no units attribute; taken as {SINCE_2001}")
    return file


def is_one_place(file: xr.Dataset) -> bool:
    """Return whether a file is of one place: its months lie along time alone, or along dimensions of one.

    Args:
        file: as `with_time_axis` leaves it.
    """
    months = [one for one in file.data_vars.values() if "time" in one.dims and one.dims[-1] not in _EDGES]
    named = any(one.dtype.kind in "OUS" and one.ndim == 1 for one in file.variables.values())
    along = {file[name].dims for word in (LATITUDE, LONGITUDE) for name in _coordinates(file, word)}
    gridded = len(along - {()}) > 1
    return bool(months) and not named and not gridded and all(one.size == file.sizes["time"] for one in months)


def _coordinates(file: xr.Dataset, word: str) -> list[str]:
    """Names of the variables that are latitudes or longitudes."""
    said = {str(name): one.attrs for name, one in file.variables.items()}
    return [
        name
        for name, attributes in said.items()
        if horizontal_word(name, *(str(attributes.get(key, "")) for key in ("standard_name", "units"))) == word
    ]


def as_places(file: xr.Dataset, path: Path, notes: list[str]) -> xr.Dataset:
    """Return a file of one place as one of places along `site`, of which there is one: named as the file.

    Args:
        file: as `open_stored` gives it; only its coordinates are decoded.
        path: of the file.
        notes: takes what was read and is not used.

    Raises:
        InputError: no latitude or longitude in the file or in `site_coords.csv` beside it, or one that cannot be.
    """
    name = path.name.removesuffix(".nc").removesuffix(".cbf")
    north, east = (_number(file, word) for word in (LATITUDE, LONGITUDE))
    (north, east), said = place_of(north, east, path, name)
    notes += said
    if not np.isfinite(east):
        raise InputError(f"{path}: variable LON: no longitude in the file or in {COORDINATES} beside it")
    _tell_uncertainties(file, notes)
    _tell_priors(file, path, notes)
    made, apart = {}, {*_KEPT_FOR_ITSELF, *PRIORS, *_coordinates(file, LATITUDE), *_coordinates(file, LONGITUDE)}
    for key, one in ((str(key), one) for key, one in file.data_vars.items()):
        if one.ndim == 2 and one.dims[0] == "time" and one.dims[1] in _EDGES:
            made[key] = one.variable
        elif key not in apart and ("time" in one.dims or one.size == 1):
            made[key] = _of_site(one, key, notes)
    places = {"site": ("site", [name]), "lat": ("site", [north]), "lon": ("site", [east])}
    return xr.Dataset(made, {"time": file["time"], **places})


def _of_site(one: xr.DataArray, key: str, notes: list[str]) -> xr.Variable:
    """A variable of the place, (site,) or (site, time)."""
    values = one.squeeze([name for name in one.dims if name != "time"]).variable.copy(deep=False)
    unit = str(values.attrs.get("units", "")).strip()
    if not values.ndim and key in UNITS and unit in ("", str(int(UNDECLARED))):
        values.attrs = {**values.attrs, "units": UNITS[key]}
        notes.append(f"{key}: no units attribute; taken as {UNITS[key]}")
    encoding = one.variable.encoding
    placed = values.set_dims({"site": 1, **dict(zip(values.dims, values.shape, strict=True))})
    placed.encoding = encoding
    return placed


def _number(file: xr.Dataset, word: str) -> float:
    for name in _coordinates(file, word):
        if file[name].size == 1:
            value = float(file[name].values.reshape(-1)[0])
            return value if value != UNDECLARED else np.nan
    return float("nan")


def _tell_uncertainties(file: xr.Dataset, notes: list[str]) -> None:
    """Note the uncertainties of observations: what they are, and that the loss has no term for them."""
    for name, one in file.data_vars.items():
        given = {key: _attribute(one.attrs, key) for key in _UNCERTAINTIES if key in one.attrs}
        said = [f"{key} = {value:g}" for key, value in given.items() if np.isfinite(value)]
        each = f"{name}{_OF_EACH_VALUE}"
        if each in file.variables and file[each].dtype.kind in "iuf":
            values = file[each].values.astype(float).reshape(-1)
            known = values[np.isfinite(values) & (values != UNDECLARED)]
            said += [f"{each} with a median of {np.median(known):g}"] if len(known) else []
        if said:
            notes.append(f"{name}: uncertainties ({', '.join(said)}) are not used: the loss has no term for them")


def _tell_priors(file: xr.Dataset, path: Path, notes: list[str]) -> None:
    """Note prior values of parameters and other quantities."""
    for name in PRIORS:
        if name not in file.variables or file[name].dtype.kind not in "iuf":
            continue
        values = decoded_values(file[[name]], storage(file[[name]], path))[name].values.reshape(-1)
        if said := said_of_priors(values):
            notes.append(f"{name}: {said}")


def _attribute(attributes: Mapping[str, object], key: str) -> float:
    try:
        value = float(np.asarray(attributes[key]).reshape(-1)[0])
    except (TypeError, ValueError, IndexError):
        return float("nan")
    return value if value != UNDECLARED else float("nan")
