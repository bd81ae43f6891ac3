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
from phloem.io.drivers.tower_files import COORDINATES, PRIORS, coordinates_in
from phloem.io.files.stored_dataset import decoded_values, storage
from phloem.io.grids.axis_names import LATITUDE, LONGITUDE, horizontal_word

SINCE_2001 = "days since 2001-01-01"
"""What a time axis without units counts."""

TIME_INDEX = "TIME_INDEX"

NUMBERS = {
    "PEQ_LCMA": "lcma",
    "PEQ_CUE": "cue",
    "PEQ_iniSOM": "csom0",
    "Mean_ABGB": "mean_abgb",
    "Mean_Biomass": "mean_abgb",
}
"""Numbers of a place that are read, and what they are called here."""

UNITS = {"lcma": "g m-2", "cue": "1", "csom0": "gC m-2", "mean_abgb": "gC m-2"}
"""Of these, where the file does not say."""

_UNCERTAINTIES = ("single_unc", "single_monthly_unc", "single_annual_unc", "single_mean_unc", "structural_unc", "unc")
_OF_EACH_VALUE = "unc"
_MISSING = -9999.0


def with_time_axis(file: xr.Dataset, notes: list[str]) -> xr.Dataset:
    """Return a file whose axis of months is a coordinate along a dimension of its name.

    Args:
        file: as `open_stored` gives it.
        notes: takes what was taken for granted.
    """
    if "time" not in file.variables and TIME_INDEX in file.variables and file[TIME_INDEX].ndim == 1:
        index = decoded_values(file[[TIME_INDEX]], storage(file, Path(TIME_INDEX), {TIME_INDEX}))[TIME_INDEX]
        file = file.drop_vars(TIME_INDEX).assign(time=(index.dims, index.values, {"units": SINCE_2001}))
        notes.append(f"{TIME_INDEX}: taken as {SINCE_2001}")
    if "time" not in file.variables or file["time"].ndim != 1:
        return file
    (along,) = file["time"].dims
    if along != "time" and "time" not in file.sizes:
        file = file.set_coords("time").swap_dims({along: "time"})
    if not str(file["time"].attrs.get("units", "")).strip():
        file = file.assign_coords(time=file["time"].assign_attrs(units=SINCE_2001))
        notes.append(f"time: no units attribute; taken as {SINCE_2001}")
    return file


def is_one_place(file: xr.Dataset) -> bool:
    """Return whether a file's latitude is a single number, along no dimension."""
    return any(file[name].ndim == 0 for name in _coordinates(file, LATITUDE))


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
        InputError: no longitude in the file or in `site_coords.csv` beside it.
    """
    name = path.name.removesuffix(".nc").removesuffix(".cbf")
    north, east = (_number(file, word) for word in (LATITUDE, LONGITUDE))
    if not np.isfinite(east):
        beside = path.with_name(COORDINATES)
        east = coordinates_in(beside, name).get("lon", np.nan) if beside.is_file() else np.nan
        if not np.isfinite(east):
            raise InputError(f"{path}: variable LON: no longitude in the file or in {beside.name} beside it")
    _tell_uncertainties(file, notes)
    _tell_priors(file, path, notes)
    series = {str(key): one for key, one in file.data_vars.items() if one.dims == ("time",)}
    made = xr.Dataset({key: one.expand_dims("site") for key, one in series.items()}, {"time": file["time"]})
    for key, here in NUMBERS.items():
        if key in file.variables and file[key].ndim == 0 and here not in made:
            number = file[key].variable.copy(deep=False)
            number.attrs = {"units": UNITS[here], **number.attrs}
            made[here] = number.set_dims({"site": 1})
    for bounds in (str(key) for key, one in file.variables.items() if one.ndim == 2 and one.dims[0] == "time"):
        made[bounds] = file[bounds]
    places = {"site": ("site", [name]), "lat": ("site", [north]), "lon": ("site", [east])}
    for key, one in series.items():
        made[key].encoding = dict(one.encoding)
    return made.assign_coords(places)


def _number(file: xr.Dataset, word: str) -> float:
    for name in _coordinates(file, word):
        if file[name].size == 1:
            value = float(file[name].values.reshape(-1)[0])
            return value if value != _MISSING else np.nan
    return float("nan")


def _tell_uncertainties(file: xr.Dataset, notes: list[str]) -> None:
    """Note the uncertainties of observations: what they are, and that the loss has no term for them."""
    for name, one in file.data_vars.items():
        given = {key: _attribute(one.attrs, key) for key in _UNCERTAINTIES if key in one.attrs}
        said = [f"{key} = {value:g}" for key, value in given.items() if np.isfinite(value)]
        each = f"{name}{_OF_EACH_VALUE}"
        if each in file.variables and file[each].dtype.kind in "iuf":
            values = file[each].values.astype(float).reshape(-1)
            known = values[np.isfinite(values) & (values != _MISSING)]
            said += [f"{each} with a median of {np.median(known):g}"] if len(known) else []
        if said:
            notes.append(f"{name}: uncertainties ({', '.join(said)}) are not used: the loss has no term for them")


def _tell_priors(file: xr.Dataset, path: Path, notes: list[str]) -> None:
    """Note prior values of parameters and other quantities."""
    for name in PRIORS:
        if name not in file.variables or file[name].dtype.kind not in "iuf":
            continue
        values = decoded_values(file[[name]], storage(file[[name]], path))[name].values.reshape(-1)
        known = values[np.isfinite(values)]
        if len(known):
            listed = ", ".join(f"{value:g}" for value in known[:5]) + (", ..." if len(known) > 5 else "")
            notes.append(f"{name}: {len(known)} prior values ({listed}) are not used: the loss has no term for them")


def _attribute(attributes: Mapping[str, object], key: str) -> float:
    try:
        value = float(np.asarray(attributes[key]).reshape(-1)[0])
    except (TypeError, ValueError, IndexError):
        return float("nan")
    return value if value != _MISSING else float("nan")
