"""Parameters files: one row a member, a column for each parameter and initial pool; CSV, NetCDF, or merged.nc."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.errors import InputError, some
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.files.atomic import write_atomically
from phloem.io.files.csv_table import Table
from phloem.io.files.netcdf import CONVENTIONS, write_netcdf
from phloem.io.merge.read_cells import list_cells, read_merged
from phloem.model_tables import ModelTables

BOUND_SLACK = 1e-6
"""A value written in single precision may stand this much, relatively, outside a bound."""

NETCDF = ".nc"
"""Files of this ending are NetCDF, all others CSV."""


ALL_MEMBERS, MEDIAN = "all", "median"
"""Choices of members beside numbers; a median is of the members that have a result, parameter by parameter."""


def read_parameters(path: Path, tables: ModelTables, cell: str | None = None, members: str = ALL_MEMBERS) -> np.ndarray:
    """Read a parameters file (one row a member) and check it against the bounds.

    Args:
        path: CSV with a header; columns are the parameters, and the initial pools as `initial_<pool>`. Or NetCDF, as
            `write_parameters` makes it. Or a campaign's merged.nc.
        tables: of the model.
        cell: whose parameters are taken of a merged product; may be left out where it has only one.
        members: `all` (of a merged product: that have a result), `median` (of a merged product), or numbers with
            commas between them.

    Returns:
        Physical values, (members, unknowns); parameters that the model does not read may be left out, and stand then at
        the middle of their bounds. Days of the year are moved by whole years into their bounds, which changes nothing.

    Raises:
        InputError: missing file or column, bad number, value outside its bounds, no such cell or member.
    """
    where = f"parameters file {path}"
    if path.suffix == NETCDF and _is_product(path):
        return check_parameters(_of_product(path, tables, cell, members), tables, f"{where}, cell {cell}")
    values = check_parameters(read_columns(path), tables, where)
    return values[choose_members(members, range(len(values)), where)]


def read_columns(path: Path) -> dict[str, Sequence[Any]]:
    """Read the columns of a list of members, CSV or as `write_parameters` makes it, as they stand there.

    Raises:
        InputError: a file that is neither.
    """
    return _read_netcdf(path) if path.suffix == NETCDF else _read_csv(path)


def member_numbers(members: str) -> list[int]:
    """Return the numbers of members in a text, with commas between them.

    Raises:
        InputError: something else stands there.
    """
    try:
        return [int(number) for number in members.split(",")]
    except ValueError:
        raise InputError(f"--members {members!r}: {ALL_MEMBERS}, {MEDIAN}, or numbers such as 0,2 are due") from None


def choose_members(members: str, known: Sequence[int], where: str) -> list[int]:
    """Return the places of the chosen among the known members.

    Args:
        members: `all`, or numbers with commas between them.
        known: numbers of the members that there are.
        where: what to call them in messages.

    Raises:
        InputError: no number, or none of theirs.
    """
    if members == ALL_MEMBERS:
        return list(range(len(known)))
    if members == MEDIAN:
        raise InputError(f"--members {MEDIAN} goes with a merged product; {where} is a list of members")
    chosen = member_numbers(members)
    if absent := [number for number in chosen if number not in known]:
        raise InputError(f"{where}: no member {absent[0]}; those with a result are {', '.join(map(str, known))}")
    return [list(known).index(number) for number in chosen]


def _is_product(path: Path) -> bool:
    """Tell whether a file is a campaign's merged product."""
    try:
        with netCDF4.Dataset(str(path)) as file:
            return "status" in file.variables and "initial_pools" in file.variables
    except (OSError, RuntimeError) as error:
        raise InputError(f"parameters file {path}: {error}") from error


def _of_product(path: Path, tables: ModelTables, cell: str | None, members: str) -> dict[str, np.ndarray]:
    """Return the columns of a cell of a merged product.

    Raises:
        InputError: no such cell or member, or one without a result.
    """
    cells = list_cells(path)
    if len(cells) == 1 and cell not in cells:
        cell = cells[0]
    if cell not in cells:
        raise InputError(f"{path}: no cell {cell!r}; choose one with --cell: {some(cells)}")
    suffix = f"_{MEDIAN}" if members == MEDIAN else ""
    found = read_merged(path, ("status", f"parameters{suffix}", f"initial_pools{suffix}"), [cell])
    rows = np.concatenate([np.atleast_2d(found[f"{kind}{suffix}"][0]) for kind in ("parameters", "initial_pools")], 1)
    if members == MEDIAN:
        if not np.isfinite(rows).all():
            raise InputError(f"{path}: cell {cell} has no median: too few of its members have a result")
    else:
        known = np.flatnonzero(good_lanes(found["status"][0])).tolist()
        if not known:
            raise InputError(f"{path}: cell {cell}: no member has a result")
        rows = rows[[known[place] for place in choose_members(members, known, f"{path}, cell {cell}")]]
    return dict(zip(tables.unknown_names, rows.T, strict=True))


def _read_csv(path: Path) -> dict[str, Sequence[Any]]:
    """Return the columns of a file as texts.

    Raises:
        InputError: a file that is no table, or a line with more or fewer fields than the header.
    """
    try:
        table = Table(path)
        rows = list(table.rows())
    except InputError as error:
        raise InputError(f"parameters file {error}") from error
    return {name: [row.values[name] for row in rows] for name in table.columns}


def _read_netcdf(path: Path) -> dict[str, Sequence[Any]]:
    """Return the columns of a file of `write_parameters`."""
    try:
        with netCDF4.Dataset(str(path)) as file:
            if "parameters" not in file.variables or file["parameters"].dimensions != ("member", "parameter"):
                raise InputError(
                    f"parameters file {path}: has no parameters(member, parameter), as write_parameters makes them; "
                    "nor is it a merged product"
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
            if limits.period and math.isfinite(value) and not limits.lower <= value <= limits.upper:
                value = limits.lower + (value - limits.lower) % limits.period
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
