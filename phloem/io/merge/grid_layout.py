"""Layout of merged.nc for campaigns on a grid: (lat, lon, ...) in the place of (cell, ...)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import netCDF4
import numpy as np

from phloem.io.campaign.tile_schema import TileSchema
from phloem.io.files.netcdf import FILL
from phloem.io.grids.placed_cells import EARTH_RADIUS, PlacedCells
from phloem.io.merge.by_name import named_variables
from phloem.io.merge.cell_layout import COMMENTS, EXTRA, describe_product, name_all_flags, name_flags, put_labels
from phloem.io.merge.member_statistics import LEAST_MEMBERS
from phloem.model_tables import ModelTables
from phloem.names import CELL_STATUS

PLACE = ("lat", "lon")
BUFFER_BYTES = 96 * 2**20
"""Bytes of cells that are held in memory before their rows of the grid are written."""

CHUNK_PLACES = 1024
"""Places of the grid in a chunk: some tens of kB for five members of one parameter, so that a map of a parameter and
all that is known of one place are both read in a few milliseconds."""

CHUNK_BYTES = 512 * 2**10
SMALL_CHUNK_BYTES = 40 * 2**10
MAX_ROWS = 16

_NUMBERS: dict[str, tuple[tuple[str, ...], str, dict[str, str]]] = {
    "status_map": (
        PLACE,
        "i1",
        {
            "long_name": "what became of the members of the cell",
            "standard_name": "status_flag",
            "comment": f"too_few_calibrated: not all members and fewer than the {LEAST_MEMBERS} that a median needs; "
            "missing: a hole that was asked for; the fill value: no cell here",
        },
    ),
    "members_calibrated": (
        PLACE,
        "i4",
        {"long_name": "number of members that are calibrated and count in the statistics", "units": "1"},
    ),
}
"""What only products on a grid have of each cell."""

_AXES: dict[str, tuple[tuple[str, ...], str, dict[str, str]]] = {
    "lat": (
        ("lat",),
        "f8",
        {
            "standard_name": "latitude",
            "long_name": "latitude of the centre",
            "units": "degrees_north",
            "axis": "Y",
            "bounds": "lat_bnds",
        },
    ),
    "lon": (
        ("lon",),
        "f8",
        {
            "standard_name": "longitude",
            "long_name": "longitude of the centre",
            "units": "degrees_east",
            "axis": "X",
            "bounds": "lon_bnds",
        },
    ),
    "lat_bnds": (("lat", "bnds"), "f8", {}),
    "lon_bnds": (("lon", "bnds"), "f8", {}),
    "cell_area": (
        PLACE,
        "f8",
        {
            "standard_name": "cell_area",
            "long_name": "area of the place, land and water",
            "units": "m2",
            "comment": f"on a sphere with the surface of the WGS84 ellipsoid, radius {EARTH_RADIUS} m",
        },
    ),
}

_STANDARD_NAMES = {"member": "realization", "status": "status_flag"}
_ANCILLARY = {
    **dict.fromkeys(("parameters", "initial_pools", "loss", "nnse", "nnse_validation"), "status"),
    **dict.fromkeys(
        (name for name in EXTRA if name.startswith(("parameters_", "initial_pools_")) and "cell" in EXTRA[name][0]),
        "status_map members_calibrated",
    ),
}


def cell_bytes(schema: TileSchema, lengths: Mapping[str, int]) -> int:
    """Return the bytes that one tile's cell brings to the product."""
    numbers = [one for one in map(schema.variables.__getitem__, schema.per_cell) if one.dtypes != ("str",)]
    return sum(
        np.dtype(variable.dtypes[0]).itemsize * int(np.prod([lengths[d] for d in variable.dimensions[1:]]))
        for variable in numbers
    )


def block_shape(columns: int, schema: TileSchema, lengths: Mapping[str, int]) -> tuple[int, int]:
    """Return rows and columns of the blocks in which a grid is written, whole chunks each.

    Args:
        columns: of the grid.
        schema: what a tile holds.
        lengths: of the dimensions of a tile.
    """
    rows = MAX_ROWS
    while rows > 1 and rows * columns * cell_bytes(schema, lengths) > BUFFER_BYTES:
        rows //= 2
    return rows, CHUNK_PLACES // rows


def define_grid(
    file: netCDF4.Dataset,
    schema: TileSchema,
    lengths: Mapping[str, int],
    attributes: Mapping[str, Any],
    placed: PlacedCells,
    tables: ModelTables,
) -> None:
    """Create the dimensions, variables and attributes of an empty file, and write what the grid alone tells.

    Args:
        file: open for writing.
        schema: what a tile holds.
        lengths: of all dimensions of the schema.
        attributes: global attributes.
        placed: the cells and their grid.
        tables: of the model.
    """
    grid = placed.grid
    block = block_shape(grid.shape[1], schema, lengths)
    text = max(len(cell.encode()) for cell in placed.slots)
    sizes = {"lat": grid.shape[0], "lon": grid.shape[1], "bnds": 2, **lengths, "cell_characters": text}
    for name in (*PLACE, "bnds", "member", "parameter", "pool", "stream", "term", "trace", "cell_characters"):
        file.createDimension(name, sizes[name])
    for name, (dimensions, kind, texts) in _AXES.items():
        _create(file, name, dimensions, kind, texts, block)
    _create(file, "cell", (*PLACE, "cell_characters"), "S1", {"long_name": schema.variables["cell"].long_name}, block)
    # What xarray and netCDF4 go by to read characters as text.
    file["cell"].setncattr("_Encoding", "utf-8")
    put_labels(file, tables)
    for name, (dimensions, kind, texts) in {**_from_schema(schema), **EXTRA, **_NUMBERS}.items():
        if kind is str:
            continue
        dimensions = (*PLACE, *dimensions[1:]) if dimensions[0] == "cell" else dimensions
        _create(file, name, dimensions, kind, _texts(name, dimensions, texts), block)
    for name, texts in named_variables(tables).items():
        _create(
            file, name, ("member", *PLACE), "f8", {**_texts(name, PLACE, texts), "ancillary_variables": "status"}, block
        )
    name_all_flags(file)
    name_flags(file["status_map"], CELL_STATUS)
    # No date: the same campaign gives the same bytes.
    describe_product(file, {"history": f"phloem merge, version {attributes.get('version')}", **attributes})
    file["lat"][:], file["lon"][:] = grid.latitude, grid.longitude
    file["lat_bnds"][:], file["lon_bnds"][:] = grid.bounds()
    file["cell_area"][:] = np.broadcast_to(grid.areas()[:, None], grid.shape)


def _from_schema(schema: TileSchema) -> dict[str, tuple[tuple[str, ...], Any, dict[str, str]]]:
    """Dimensions, type and texts of what comes from the tiles as it is; a cell's coordinates are those of its place."""
    return {
        name: (variable.dimensions, variable.dtypes[0], {"long_name": variable.long_name, "units": variable.units})
        for name, variable in schema.variables.items()
        if variable.merged and name not in ("cell", "latitude", "longitude")
    }


def _texts(name: str, dimensions: tuple[str, ...], texts: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a variable: its own, and those that tie it to the grid."""
    texts = {"standard_name": _STANDARD_NAMES.get(name, ""), **texts, "comment": texts.get("comment", "")}
    texts["comment"] = texts["comment"] or COMMENTS.get(name, "")
    if "cell_methods" in texts:
        # CF lets a method name a dimension that is gone by its standard name.
        texts["cell_methods"] = texts["cell_methods"].replace("member:", f"{_STANDARD_NAMES['member']}:")
    if dimensions[0] == "lat":
        texts["coordinates"] = "trace_iteration" if "trace" in dimensions else ""
        texts["cell_measures"] = "area: cell_area"
        texts["ancillary_variables"] = _ANCILLARY.get(name, "")
    return {key: text for key, text in texts.items() if not isinstance(text, str) or text}


def _create(
    file: netCDF4.Dataset,
    name: str,
    dimensions: tuple[str, ...],
    kind: Any,
    texts: Mapping[str, Any],
    block: tuple[int, int],
) -> None:
    options: dict[str, Any] = {}
    lengths = [len(file.dimensions[dimension]) for dimension in dimensions]
    placed = PLACE in (dimensions[:2], dimensions[1:])
    if all(lengths):
        chunk = lengths
        if dimensions[:2] == PLACE:
            chunk = _chunk(dimensions, lengths, np.dtype(kind).itemsize, block)
        elif placed:
            chunk = [1, *_chunk(PLACE, lengths[1:], np.dtype(kind).itemsize, block)]
        options = {"chunksizes": chunk, "compression": "zlib", "complevel": 1, "shuffle": True, "fletcher32": True}
        # Whole chunks are written, once each: a cache of them is memory for nothing.
        options["chunk_cache"] = CHUNK_BYTES
    if placed and np.dtype(kind).kind in "fi" and name not in _AXES:
        fill = FILL if np.dtype(kind).kind == "f" else netCDF4.default_fillvals[np.dtype(kind).str[1:]]
        options["fill_value"] = fill
    created = file.createVariable(name, kind, dimensions, **options)
    created.set_auto_maskandscale(False)
    created.setncatts(dict(texts))


def _chunk(dimensions: tuple[str, ...], lengths: list[int], itemsize: int, block: tuple[int, int]) -> list[int]:
    """A block of places, one label or a few of them; fewer columns where what lies behind a place is long."""
    rows, columns = block
    rest = lengths[2:]
    for axis, dimension in enumerate(dimensions[2:]):
        if dimension in ("parameter", "pool", "stream", "term"):
            behind = int(np.prod(rest)) // rest[axis]
            rest[axis] = min(rest[axis], max(1, SMALL_CHUNK_BYTES // (rows * columns * behind * itemsize)))
    while columns > 1 and rows * columns * int(np.prod(rest)) * itemsize > CHUNK_BYTES:
        columns //= 2
    return [min(rows, lengths[0]), min(columns, lengths[1]), *rest]
