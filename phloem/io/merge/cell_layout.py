"""Layout of merged.nc: its dimensions, variables and CF attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import netCDF4
import numpy as np

from phloem.io.campaign.tile_schema import MEDIANS_RULE, TileSchema
from phloem.io.files.netcdf import CONVENTIONS, FILL, UNSTRUCTURED, create_texts, put_texts
from phloem.io.merge.at_bounds import AT_BOUND
from phloem.io.merge.by_name import NAMED, named_variables
from phloem.io.merge.member_statistics import LEAST_MEMBERS, SCREENING_RCV
from phloem.model_tables import ModelTables
from phloem.names import NEAR_BOUND, PERIOD, STATUS, STOP

BLOCK_CELLS = 256
"""Cells of one chunk on disk and of one block in memory."""

EXTRA: dict[str, tuple[tuple[str, ...], Any, dict[str, str]]] = {
    "member": (("member",), "i4", {"long_name": "random restart", "units": "1"}),
    "parameter": (("parameter",), str, {"long_name": "parameter of the model"}),
    "pool": (("pool",), str, {"long_name": "pool of the model"}),
    "stream": (("stream",), str, {"long_name": "observed stream"}),
    "term": (("term",), str, {"long_name": "part of the loss"}),
    "parameter_units": (("parameter",), str, {"long_name": "units of the parameters"}),
    "pool_units": (("pool",), str, {"long_name": "units of the pools (mass of carbon, depth of water)"}),
    "tile": (("cell",), "i4", {"long_name": "tile that computed the cell", "units": "1"}),
    "attempt": (
        ("cell",),
        "i4",
        {"long_name": "attempt of the tile that was committed, 0 where the cell is missing", "units": "1"},
    ),
    "retried": (
        ("cell", "member"),
        "i4",
        {"long_name": "tile in which the failed lane was calibrated again, -1 where it was not", "units": "1"},
    ),
    "parameters_median": (
        ("cell", "parameter"),
        "f8",
        {
            "long_name": "median of the parameters over the members",
            "cell_methods": "member: median",
            "comment": f"circular median (period {PERIOD} days) for days of the year; "
            f"missing where fewer than {LEAST_MEMBERS} members are calibrated; units in parameter_units",
        },
    ),
    "parameters_rcv": (
        ("cell", "parameter"),
        "f8",
        {
            "long_name": "robust coefficient of variation of the parameters over the members",
            "units": "1",
            "comment": "1.4826 median(|x - median|) / |median|; for days of the year 1.4826 times the median "
            "circular distance, in radians; missing where more than half of the members stand at a bound, which is no "
            "agreement (at_bound)",
        },
    ),
    "parameters_screened": (
        ("cell", "parameter"),
        "f8",
        {
            "long_name": f"median of the parameters where their rCV is at most {SCREENING_RCV}",
            "cell_methods": "member: median",
            "comment": "units in parameter_units",
        },
    ),
    "initial_pools_median": (
        ("cell", "pool"),
        "f8",
        {
            "long_name": "median of the initial pools over the members",
            "cell_methods": "member: median",
            "comment": "units in pool_units",
        },
    ),
    "initial_pools_rcv": (
        ("cell", "pool"),
        "f8",
        {
            "long_name": "robust coefficient of variation of the initial pools over the members",
            "units": "1",
            "comment": "missing where more than half of the members stand at a bound (at_bound_pools)",
        },
    ),
    "at_bound": (
        ("cell", "member", "parameter"),
        "i1",
        {
            "long_name": "whether the parameter stands at a bound",
            "comment": f"within {100 * NEAR_BOUND:g} % of a bound, on the scale of logarithms",
        },
    ),
    "at_bound_pools": (
        ("cell", "member", "pool"),
        "i1",
        {
            "long_name": "whether the initial pool stands at a bound",
            "comment": f"within {100 * NEAR_BOUND:g} % of a bound, on the scale of logarithms",
        },
    ),
}
"""Variables that are not of the schema: dimensions, type and texts of each."""

COMMENTS = {"parameters": "units in parameter_units", "initial_pools": "units in pool_units"}
_COORDINATES = ("cell", "latitude", "longitude", "trace_iteration", *(n for n in EXTRA if n in EXTRA[n][0]))


def define(
    file: netCDF4.Dataset,
    schema: TileSchema,
    lengths: Mapping[str, int],
    attributes: Mapping[str, Any],
    tables: ModelTables,
    width: int,
) -> None:
    """Create the dimensions, variables and attributes of an empty file, and write what is the same for all cells.

    Args:
        file: open for writing.
        schema: what a tile holds.
        lengths: of all dimensions of the schema.
        attributes: global attributes.
        tables: of the model.
        width: bytes of the longest cell's name.
    """
    for name in ("cell", "member", "parameter", "pool", "stream", "term", "trace"):
        file.createDimension(name, lengths[name])
    for name, variable in schema.variables.items():
        if variable.merged:
            texts = {"long_name": variable.long_name, "units": variable.units}
            if variable.dtypes == ("str",):
                create_texts(file, name, variable.dimensions[0], width, texts)
                continue
            if name in ("latitude", "longitude"):
                texts["standard_name"] = name
            if name in COMMENTS:
                texts["comment"] = COMMENTS[name]
            _create(file, name, variable.dimensions, variable.dtypes[0], texts)
    for name, (dimensions, kind, texts) in EXTRA.items():
        if kind is not str:
            _create(file, name, dimensions, kind, texts)
    put_labels(file, tables)
    for name, texts in named_variables(tables).items():
        _create(file, name, NAMED, "f8", texts)
    name_all_flags(file)
    describe_product(file, attributes)


def name_all_flags(file: netCDF4.Dataset) -> None:
    """Give every variable of flags its meanings."""
    name_flags(file["status"], STATUS)
    name_flags(file["stop"], STOP)
    for name in ("at_bound", "at_bound_pools"):
        name_flags(file[name], AT_BOUND)


def name_flags(variable: netCDF4.Variable, flags: Mapping[str, int]) -> None:
    """Give a variable of one byte its flag_values and flag_meanings."""
    variable.flag_values = np.array(list(flags.values()), dtype=np.int8)
    variable.flag_meanings = " ".join(flags)


def describe_product(file: netCDF4.Dataset, attributes: Mapping[str, Any]) -> None:
    """Write the global attributes."""
    file.Conventions = CONVENTIONS
    file.medians_rule = MEDIANS_RULE
    for key in sorted(set(attributes) - {"Conventions"}):
        value = attributes[key]
        # The classic model has whole numbers of four bytes alone.
        file.setncattr(key, np.int32(value) if isinstance(value, int) and abs(value) < 2**31 else value)


def _create(file: netCDF4.Dataset, name: str, dimensions: tuple[str, ...], kind: Any, texts: Mapping[str, Any]) -> None:
    options: dict[str, Any] = {}
    lengths = [len(file.dimensions[dimension]) for dimension in dimensions]
    if all(lengths):
        chunk = [
            min(BLOCK_CELLS, length) if name == "cell" else length
            for name, length in zip(dimensions, lengths, strict=True)
        ]
        options = {"chunksizes": chunk, "zlib": True, "complevel": 1, "shuffle": True}
        options["fletcher32"] = True
    if np.dtype(kind).kind == "f" and name not in _COORDINATES:
        options["fill_value"] = FILL
    created = file.createVariable(name, kind, dimensions, **options)
    for key, text in texts.items():
        if not isinstance(text, str) or text:
            created.setncattr(key, text)
    if "cell" in dimensions and name not in _COORDINATES:
        trace = " trace_iteration" if "trace" in dimensions else ""
        created.coordinates = "latitude longitude" + trace
        if dimensions[-1] == "cell":
            created.CDI_grid_type = UNSTRUCTURED


def put_labels(file: netCDF4.Dataset, tables: ModelTables) -> None:
    """Write the names along the dimensions of the model, and the units of parameters and pools."""
    texts = {
        "parameter": tables.parameter_names,
        "pool": tables.pool_names,
        "stream": tables.streams,
        "term": tables.terms,
        "parameter_units": [parameter.unit for parameter in tables.parameters],
        "pool_units": [pool.unit for pool in tables.pools],
    }
    for name, labels in texts.items():
        dimensions, _, attributes = EXTRA[name]
        put_texts(file, name, dimensions[0], list(labels), attributes)
