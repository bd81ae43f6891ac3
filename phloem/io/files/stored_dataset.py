"""NetCDF files as xarray datasets whose values are decoded by this program's one decoder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from phloem.errors import InputError
from phloem.io.files.own_variables import OwnVariables, found_names
from phloem.io.files.stored_values import FILLS, RANGES, SCALING, StoredValues, stored_values
from phloem.io.files.time_axis import bounds_name

_PLACES = ("lat", "lon", "latitude", "longitude")
_SIGN = "phloem_sign"
_OF_STORAGE = {*FILLS, *RANGES, *SCALING, "_Unsigned"}


def open_stored(path: Path) -> xr.Dataset:
    """Open a file; coordinates are decoded, other values stay as they are stored until `decoded_values`.

    Raises:
        InputError: not a readable file, or a wrong attribute of a coordinate.
    """
    try:
        file = xr.open_dataset(path, decode_times=False, mask_and_scale=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable NetCDF file ({error})") from error
    edges = _bounds_of(file)
    small = {name for name in map(str, file.variables) if name in edges or _is_coordinate(file, name)}
    return decoded_values(file, storage(file, path, small))


def _is_coordinate(file: xr.Dataset, name: str) -> bool:
    """Whether a variable is an axis, a latitude or a longitude."""
    one = file[name]
    return name in file.sizes or name.lower() in _PLACES or one.attrs.get("standard_name") in ("time", *_PLACES)


def _bounds_of(file: xr.Dataset) -> set[str]:
    """Variables that hold the bounds of others: those that attributes name, and those of the usual names."""
    stated = {str(one.attrs.get(key, "")) for one in file.variables.values() for key in ("bounds", "climatology")}
    names = {str(name) for name in file.variables}
    return {bounds_name("", str(axis), names) for axis in file.sizes} | (stated & names)


def storage(file: xr.Dataset, path: Path, only: set[str] | None = None) -> dict[str, StoredValues]:
    """Return how the values of a file are stored, by variable, but for what is decoded already and texts.

    Args:
        file: as `open_stored` gives it.
        path: of the file, for messages.
        only: variables that are coordinates; None: all others.

    Raises:
        InputError: an attribute that is no number where one is due.
    """
    return {
        name: stored_values(
            one.attrs,
            one.dtype,
            f"{path}: variable {name}",
            coordinate=only is not None,
            sign=one.encoding.get(_SIGN, 1),
        )
        for name, one in ((str(key), value) for key, value in file.variables.items())
        if one.dtype.kind in "iuf" and (name in only if only is not None else not _is_decoded(one))
    }


def as_the_user_says(
    file: xr.Dataset,
    path: Path,
    own: OwnVariables,
    usual: Callable[[str], Sequence[str]],
    valid: Collection[str],
    absent: Collection[str] = (),
) -> xr.Dataset:
    """Return a dataset whose variables have the names, units and signs that the user says they have.

    Args:
        file: as `open_stored` gives it.
        path: of the file, for messages.
        own: what the user says.
        usual: what files may call a variable.
        valid: names that there are here.
        absent: names here of variables that the file need not have.

    Raises:
        InputError: as of `found_names`; or a variable that is no numbers, or a coordinate.
    """
    have = [str(name) for name in file.variables]
    names = found_names(own, usual, valid, have, path, ", ".join(have), absent)
    said = {}
    for key, name in names.items():
        one = file[name].variable.copy(deep=False)
        if one.dtype.kind not in "iuf" or _is_decoded(one):
            raise InputError(f"{path}: variable {name}: cannot be {key} (variables.{key}): {_what(one)}")
        one.attrs = {**one.attrs, **({"units": own[key].units} if own[key].units else {})}
        one.encoding = {**one.encoding, _SIGN: own[key].sign}
        said[key] = one
    gone = {name for key, name in names.items() if name != key} - said.keys()
    # What a file lacks though the user names it has no usual one in its stead.
    gone |= {name for key, one in own.items() if one.name and key not in names for name in usual(key) if name in have}
    return file.drop_vars(gone).assign(said)


def _what(variable: xr.Variable) -> str:
    return "it is a coordinate" if variable.dtype.kind in "iuf" else f"numbers are due, not {variable.dtype}"


def _is_decoded(variable: xr.Variable) -> bool:
    return bool(variable.encoding.get("phloem_decoded"))


def decoded_values(file: xr.Dataset, stored: Mapping[str, StoredValues]) -> xr.Dataset:
    """Return a dataset, or a part of one, with values in the file's units, float64, NaN where missing.

    Args:
        file: with values as they are stored; what is not in `stored` stays as it is.
        stored: how, by variable.
    """
    found = {}
    for name, how in stored.items():
        one = file[name].variable
        attributes = {key: value for key, value in one.attrs.items() if key not in _OF_STORAGE}
        values = how.decode(np.asarray(one.values))
        found[name] = xr.Variable(one.dims, values, attributes, {"phloem_decoded": True})
    return file.assign({name: one for name, one in found.items() if name not in file.coords}).assign_coords(
        {name: one for name, one in found.items() if name in file.coords}
    )
