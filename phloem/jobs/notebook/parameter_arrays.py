"""Parameters as labelled arrays: read, written, and taken in every form in which somebody may hold them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from phloem.errors import InputError
from phloem.jobs.config import parameters_file
from phloem.jobs.config.experiments import DEFAULT
from phloem.jobs.notebook.named_cells import did_you_mean
from phloem.jobs.single_cell import calibration_named
from phloem.model_tables import ModelTables

FilePath = str | os.PathLike[str]

GivenParameters = FilePath | xr.DataArray | Mapping[str, ArrayLike]
"""A parameters file; an array as `read_parameters` returns it; or values by name, one a member or one for all."""

DIMENSIONS = ("member", "parameter")


def read_parameters(
    path: FilePath, experiment: str = DEFAULT, *, cell: str | None = None, members: str = parameters_file.ALL_MEMBERS
) -> xr.DataArray:
    """Read a parameters file and check it against the bounds of the model.

    Args:
        path: CSV with a header, one row a member, a column for each parameter and `initial_<pool>`; or NetCDF (`.nc`),
            as `write_parameters` makes it; or a campaign's merged.nc.
        experiment: name of the experiment whose model they are of.
        cell: whose parameters are taken of merged.nc; may be left out where it has only one.
        members: `all` (of merged.nc: that have a result), `median` (of merged.nc), or numbers such as `0,2`.

    Returns:
        Physical values, (member, parameter), initial pools last. The coordinates `units`, `long_name`, `lower` and
        `upper` tell of each parameter; members are numbered from 0. Parameters that the model does not read may be left
        out of a file, and stand then at the middle of their bounds. Days of the year are moved by whole years into
        their bounds, which changes nothing.

    Raises:
        InputError: missing file or column, bad number, value outside its bounds, unknown experiment, no such cell or
            member.

    Example:
        >>> import phloem
        >>> truth = phloem.read_parameters("campaigns/transect/drivers/truth.csv")
        >>> truth.dims
        ('member', 'parameter')
        >>> str(truth.units.sel(parameter="lcma").item())
        'g m-2'
    """
    tables = tables_of(experiment)
    return labelled(parameters_file.read_parameters(Path(path).expanduser(), tables, cell, members), tables)


def write_parameters(path: FilePath, parameters: GivenParameters, experiment: str = DEFAULT) -> None:
    """Write a parameters file that `read_parameters` and `phloem simulate --parameters` read.

    Values are written so that reading gives the same bits. Members without any value, such as diverged ones of a
    campaign, are left out.

    Args:
        path: `*.nc` is written as NetCDF with units and long names, everything else as CSV; whole or not at all.
        parameters: an array (member, parameter) as of `read_parameters` or `OpenedCampaign.parameters.sel(cell=...)`;
            or values by name.
        experiment: name of the experiment whose model they are of.

    Raises:
        InputError: missing or unknown parameter, value outside its bounds, or a folder that cannot be written to.

    Example:
        >>> import phloem
        >>> truth = phloem.read_parameters("campaigns/transect/drivers/truth.csv")
        >>> phloem.write_parameters("truth.nc", truth)
        >>> phloem.read_parameters("truth.nc").identical(truth)
        True
    """
    tables = tables_of(experiment)
    values, _ = parameter_values(parameters, tables)
    parameters_file.write_parameters(Path(path).expanduser(), values, tables)


def tables_of(experiment: str) -> ModelTables:
    """Return the tables of an experiment's model.

    Raises:
        InputError: no such experiment, or it calibrates no cells.
    """
    return calibration_named(experiment).tables


def labelled(values: np.ndarray, tables: ModelTables) -> xr.DataArray:
    """Return physical values with all that is known of them.

    Args:
        values: (..., members, unknowns).
        tables: of the model.

    Returns:
        (member, parameter), or with the leading dimension `cell` where there are three.
    """
    unknowns = tables.unknowns
    coordinates: dict[str, Any] = {
        "member": np.arange(values.shape[-2]),
        "parameter": list(tables.unknown_names),
        "units": ("parameter", [one.unit for one in unknowns]),
        "long_name": ("parameter", [one.meaning for one in unknowns]),
        "lower": ("parameter", [one.lower for one in unknowns]),
        "upper": ("parameter", [one.upper for one in unknowns]),
    }
    texts = {"long_name": "physical values of parameters and initial pools", "comment": "units in coordinate units"}
    dimensions = ("cell", *DIMENSIONS) if values.ndim == 3 else DIMENSIONS
    return xr.DataArray(values, coordinates, dimensions, "parameters", texts)


def parameter_values(parameters: GivenParameters, tables: ModelTables) -> tuple[np.ndarray, np.ndarray]:
    """Return given parameters in the model's order.

    Returns:
        Physical values, (members, unknowns), and the numbers of the members, (members,). Members of an array that have
        no value at all are left out.

    Raises:
        InputError: missing or unknown name, bad number, value outside its bounds.
    """
    if isinstance(parameters, (str, os.PathLike)):
        values = parameters_file.read_parameters(Path(parameters).expanduser(), tables)
        return values, np.arange(len(values))
    if isinstance(parameters, xr.DataArray):
        columns, members = _of_array(parameters)
    elif isinstance(parameters, Mapping) or hasattr(parameters, "keys"):
        columns, members = _of_mapping(parameters)
    else:
        raise InputError(
            f"parameters: a {type(parameters).__name__}; give a file, an array (member, parameter), or values by name"
        )
    for name in columns:
        if name not in tables.unknown_names:
            hint = did_you_mean(name, tables.unknown_names)
            raise InputError(f"parameters: unknown {name!r}.{hint} The model has: {', '.join(tables.unknown_names)}")
    return parameters_file.check_parameters(columns, tables, "parameters"), members


def _of_array(given: xr.DataArray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the columns of an array, and the numbers of its members."""
    array = given.squeeze([name for name in given.dims if name not in DIMENSIONS and given.sizes[name] == 1])
    if "member" not in array.dims:
        array = array.expand_dims("member")
    if set(array.dims) != set(DIMENSIONS) or "parameter" not in array.coords:
        more = [str(name) for name in array.dims if name not in DIMENSIONS]
        hint = f"; choose one: .sel({more[0]}=...)" if more else ""
        raise InputError(
            f"parameters: an array of {given.dims}; (member, parameter) is due, with the names along parameter{hint}"
        )
    array = array.transpose(*DIMENSIONS)
    names = [str(name) for name in array["parameter"].values]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"parameters: names that stand twice: {', '.join(repeated)}")
    values = np.asarray(array.values, float)
    known = ~np.isnan(values).all(1)
    if not known.any():
        raise InputError("parameters: no member has a value; those of a campaign that are not calibrated have none")
    labels = array["member"].values if "member" in array.coords else np.arange(len(values))
    return dict(zip(names, values[known].T, strict=True)), labels[known]


def _of_mapping(given: Mapping[str, ArrayLike]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the columns of values by name; what has one value has it in every member."""
    columns = {str(name): np.atleast_1d(np.asarray(given[name])) for name in given.keys()}  # noqa: SIM118
    deep = [f"{name} has the shape {column.shape}" for name, column in columns.items() if column.ndim != 1]
    sizes = {column.size: f"{name} has {column.size}" for name, column in columns.items() if column.size != 1}
    if deep or len(sizes) > 1:
        found = ", ".join(deep or sizes.values())
        raise InputError(f"parameters: one value is due of each, or one a member, as many of each; {found}")
    count = next(iter(sizes), 1)
    return {name: np.broadcast_to(column, (count,)) for name, column in columns.items()}, np.arange(count)
