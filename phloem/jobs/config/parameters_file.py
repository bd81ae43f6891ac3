"""Parameters files: one row a member, a column for each parameter and initial pool; CSV or NetCDF."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.files.atomic import write_atomically
from phloem.io.files.netcdf import CONVENTIONS, write_netcdf
from phloem.model_tables import ModelTables

BOUND_SLACK = 1e-6
"""A value written in single precision may stand this much, relatively, outside a bound."""

NETCDF = ".nc"
"""Files of this ending are NetCDF, all others CSV."""


def read_parameters(path: Path, tables: ModelTables) -> np.ndarray:
    """Read a parameters file (one row a member) and check it against the bounds.

    Args:
        path: CSV with a header; columns are the parameters, and the initial pools as `initial_<pool>`. Or NetCDF, as
            `write_parameters` makes it.
        tables: of the model.

    Returns:
        Physical values, (members, unknowns); parameters that the model does not read may be left out, and stand then at
        the middle of their bounds.

    Raises:
        InputError: missing file or column, bad number, value outside its bounds.
    """
    columns = _read_netcdf(path) if path.suffix == NETCDF else _read_csv(path)
    return check_parameters(columns, tables, f"parameters file {path}")


def _read_csv(path: Path) -> dict[str, Sequence[Any]]:
    """Return the columns of a file as texts; None where a row is too short."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            reader.fieldnames = columns = [name.strip() for name in reader.fieldnames or []]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"parameters file {path}: {error}") from error
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise InputError(f"parameters file {path}: columns that stand twice: {', '.join(repeated)}")
    return {name: [row.get(name) for row in rows] for name in columns}


def _read_netcdf(path: Path) -> dict[str, Sequence[Any]]:
    """Return the columns of a file of `write_parameters`."""
    try:
        with netCDF4.Dataset(str(path)) as file:
            if "parameters" not in file.variables or file["parameters"].dimensions != ("member", "parameter"):
                raise InputError(
                    f"parameters file {path}: has no parameters(member, parameter), as write_parameters makes them; "
                    "of a merged product, take those of one cell: "
                    f'phloem.open_campaign("{path.parent}").parameters.sel(cell=NAME)'
                )
            names = [str(name) for name in file["parameter"][...]]
            values = np.ma.filled(file["parameters"][...].astype(float), np.nan)
    except (OSError, RuntimeError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"parameters file {path}: {error}") from error
    return dict(zip(names, values.T, strict=True))


def check_parameters(columns: Mapping[str, Sequence[Any] | np.ndarray], tables: ModelTables, where: str) -> np.ndarray:
    """Put columns into the model's order and check them against the bounds.

    Args:
        columns: by name, numbers or texts, (members,) each; what is none of the model's is not looked at.
        tables: of the model.
        where: what to call them in messages.

    Returns:
        Physical values as of `read_parameters`.

    Raises:
        InputError: missing column, no member, bad number, value outside its bounds.
    """
    unknowns = dict(zip(tables.unknown_names, tables.unknowns, strict=True))
    missing = [name for name, unknown in unknowns.items() if name not in columns and unknown.read]
    if missing:
        raise InputError(f"{where}: missing columns: {', '.join(missing)}; it has: {', '.join(columns)}")
    count = max((len(column) for column in columns.values()), default=0)
    if not count:
        raise InputError(f"{where}: no row; one row a member is expected")
    values = np.empty((count, len(unknowns)))
    for place, (name, limits) in enumerate(unknowns.items()):
        column = columns.get(name, [0.5 * (limits.lower + limits.upper)] * count)
        for member, given in enumerate(column):
            try:
                value = float("" if given is None else given)
            except (ValueError, TypeError):
                raise InputError(f"{where}: member {member}, {name}: {given!r} is not a number") from None
            if not limits.lower * (1 - BOUND_SLACK) <= value <= limits.upper * (1 + BOUND_SLACK):
                raise InputError(
                    f"{where}: member {member}, {name} = {value:g} is outside its bounds "
                    f"[{limits.lower:g}, {limits.upper:g}] {limits.unit}"
                )
            values[member, place] = value
    return values


def write_parameters(path: Path, values: np.ndarray, tables: ModelTables) -> None:
    """Write a parameters file, whole or not at all: `read_parameters` of it gives identical values.

    Args:
        path: `*.nc` is written as NetCDF with units and long names, everything else as CSV.
        values: physical values, (members, unknowns).
        tables: of the model.

    Raises:
        InputError: the folder does not exist or cannot be written to.
    """
    try:
        if path.suffix == NETCDF:
            write_netcdf(path, lambda file: _fill(file, values, tables))
            return
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([tables.unknown_names, *values.tolist()])
        write_atomically(path, text.getvalue().encode())
    except OSError as error:
        raise InputError(f"parameters file {path}: cannot be written ({error.strerror})") from error


def _fill(file: netCDF4.Dataset, values: np.ndarray, tables: ModelTables) -> None:
    file.setncatts({"Conventions": CONVENTIONS, "title": "parameters and initial pools"})
    file.createDimension("member", len(values))
    file.createDimension("parameter", len(tables.unknowns))
    texts = {
        "parameter": (tables.unknown_names, "parameter or initial pool of the model"),
        "parameter_units": ([one.unit for one in tables.unknowns], "units of the parameters"),
        "parameter_long_name": ([one.meaning for one in tables.unknowns], "what the parameters are"),
    }
    for name, (column, meaning) in texts.items():
        # Characters, as texts of any length crash the library where the file is open twice (io/merge/lazy_product.py).
        letters = np.array([text.encode() for text in column])
        file.createDimension(f"{name}_letters", letters.dtype.itemsize)
        variable = file.createVariable(name, "S1", ("parameter", f"{name}_letters"))
        variable.setncatts({"long_name": meaning, "_Encoding": "utf-8"})
        variable.set_auto_chartostring(False)
        variable[...] = letters.view("S1").reshape(len(letters), -1)
    variable = file.createVariable("parameters", "f8", ("member", "parameter"))
    variable.setncatts({"long_name": "physical values", "comment": "units in parameter_units"})
    variable[...] = values
