"""Reference maps of any CF file on the cells of a campaign: maps on regular grids, and files of one value a site.

A grid may run either way and count longitudes from 0 or from -180 degrees, be packed, finer, coarser or shifted. With
the method `mean` a cell's value is the area-weighted mean of the pixels that it overlaps, whatever their size, if at
least half of its area has values; with `nearest`, for classes, it is the pixel that holds the cell's centre (on an edge
the one to the north and east). Where latitude and longitude stand along one dimension, each cell takes the entry of its
own name, else the nearest one within half a step in both directions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from phloem.errors import InputError, some
from phloem.io.files.stored_values import StoredValues, stored_values
from phloem.io.files.units import convert
from phloem.io.grids.axis_names import LATITUDE, LONGITUDE, horizontal_word
from phloem.io.products.box_means import TILE, layout_means
from phloem.io.products.catalogue import Choice, layer
from phloem.io.products.layouts import VariableLayout, horizontal, read_layout
from phloem.io.products.levels import Select, labels, resolve, units_of
from phloem.io.products.raw_files import Header, OpenFiles, RawFile, decoded

Method = Literal["mean", "nearest"]

LEAST_AREA = 0.5
"""Share of a cell's area that must have values."""

_POINT = 1e-3
"""Size of the box that finds the pixel under a centre, in steps of the file."""
_AT_ONCE = 1_500_000_000
"""Bytes of a map that is read in one piece; a larger one is read by tiles."""
_LATTICE = 4_000_000
"""Boxes of a lattice, up to which scattered cells are read in one piece."""


@dataclass(frozen=True, eq=False)
class MapValues:
    """A reference at the cells.

    Attributes:
        values: float64 (cells,), NaN where the file has none.
        units: of the values.
        long_name: as the file says; the variable's name where it says nothing.
        regrid: how they came to the cells: `mean`, `nearest`, or `cells` (files of one value a site).
        extent: what the file covers, for messages.
        notes: what was taken as missing though no fill names it.
    """

    values: np.ndarray
    units: str
    long_name: str
    regrid: str
    extent: str
    notes: tuple[str, ...] = ()


def read_map(
    path: Path,
    variable: str,
    latitude: np.ndarray,
    longitude: np.ndarray,
    step: float,
    select: Select | None = None,
    method: Method = "mean",
    units: str = "",
    stated: str = "",
    names: Sequence[str] | None = None,
) -> MapValues:
    """Read a variable at the cells.

    Args:
        path: CF-NetCDF (or HDF4).
        variable: its name there.
        latitude: of the cells' centres, degrees north, (cells,).
        longitude: likewise, degrees east, -180 to 360.
        step: size of a cell in degrees.
        select: value along each further dimension, by its coordinate (its place where there is none): a number, a text,
            or `mean` over all. A time axis is told by `mean`, a year, or the first and last of several years, of which
            the mean over the steps is taken, each counting alike.
        method: `mean` or `nearest`.
        units: that are wanted; empty: as in the file.
        stated: what the values are, where the file's own attribute is missing or wrong.
        names: of the cells, by which those of a file of sites are found.

    Raises:
        InputError: no such file or variable, no regular grid, a dimension that is not told or a level that is not
            there, a unit that is not known; the message names the valid ones.
    """
    with OpenFiles() as files:
        source = open_source(files, path, variable, latitude, longitude, step, method, names)
        levels = resolve(source.file, path, source.header, source.plane, select or {})
        values = level_mean(source.read(level) for level in levels)
        unit = stated or source.header.text("units")
        if units:
            values = convert(values, unit, units, f"{path}: variable {variable}")
        title = source.header.text("long_name") or source.header.text("standard_name") or variable
        return MapValues(values, units or unit, title, source.regrid, source.extent, tuple(source.stored.told()))


def time_axis(path: Path, variable: str) -> str | None:
    """Return the dimension of a variable that tells time: by units such as `days since`, else `time` or `year`.

    Raises:
        InputError: no such file or variable.
    """
    with OpenFiles() as files:
        file, header = _header(files, path, variable)
        dated = [name for name in header.dimensions if " since " in units_of(file, name)]
        return next(iter([*dated, *(name for name in header.dimensions if name in ("time", "year"))]), None)


def steps_along(path: Path, variable: str, dimension: str) -> int:
    """Return the length of a dimension of a variable.

    Raises:
        InputError: no such file or variable.
    """
    with OpenFiles() as files:
        _, header = _header(files, path, variable)
        return int(header.shape[header.dimensions.index(dimension)])


class Source(Protocol):
    """A variable of an open file, ready to be read at the cells, one level after the other."""

    file: RawFile
    header: Header
    plane: frozenset[str]
    extent: str
    stored: StoredValues

    @property
    def regrid(self) -> str:
        """`mean`, `nearest` or `cells`."""

    def read(self, level: Mapping[str, int]) -> np.ndarray:
        """Return values at the cells, float64 (cells,), at an index along each further dimension."""


def open_source(
    files: OpenFiles,
    path: Path,
    variable: str,
    latitude: np.ndarray,
    longitude: np.ndarray,
    step: float,
    method: Method = "mean",
    names: Sequence[str] | None = None,
) -> Source:
    """Find a variable and how it lies; arguments as of `read_map`.

    Raises:
        InputError: no such file or variable, or neither a regular grid nor a list of places.
    """
    file, header = _header(files, path, variable)
    latitude, longitude = np.asarray(latitude, float), (np.asarray(longitude, float) + 180.0) % 360.0 - 180.0
    where = listed_places(file, header)
    if where is not None:
        return _Sites(files, Path(path), variable, where, latitude, longitude, step, names)
    return _Plane(files, Path(path), variable, latitude, longitude, step, method)


def _header(files: OpenFiles, path: Path, variable: str) -> tuple[RawFile, Header]:
    """An open file and the header of a variable, or an InputError that names those there are."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    file = files.get(Path(path))
    if variable not in file.names():
        there = [name for name in file.names() if len(file.header(name).shape) > 0]
        raise InputError(f"{path}: no variable {variable}; the file has {some(sorted(there), most=40) or 'none'}")
    return file, file.header(variable)


class _Plane:
    """A variable on a regular grid."""

    def __init__(
        self, files: OpenFiles, path: Path, variable: str, latitude: np.ndarray, longitude: np.ndarray, step: float,
        method: Method,
    ) -> None:  # fmt: skip
        self.files, self.file = files, files.get(path)
        self.header, self.regrid = self.file.header(variable), str(method)
        along = {name: horizontal(self.file, name) for name in self.header.dimensions}
        self.plane = frozenset(name for name, word in along.items() if word)
        first = {name: 0 for name in self.header.dimensions if name not in self.plane}
        product = layer(variable, variable)
        choice = Choice(variable, product, (str(path),))
        self.layout: VariableLayout = read_layout(
            self.file, path, variable, variable, product.fields[variable], choice, None, first
        )
        grid, self.stored = self.layout.grid, self.layout.packing.stored
        self.extent = f"{grid}, {grid.extent}"
        self.known = np.isfinite(latitude) & np.isfinite(longitude)
        latitude, longitude = np.where(self.known, latitude, 0.0), np.where(self.known, longitude, 0.0)
        if method == "nearest":
            self.west = longitude
            self.size = _POINT * min(grid.latitude.step, grid.longitude.step)
            self.south = np.minimum(latitude, 90.0 - self.size)
            self.least = 0.0
        else:
            self.south, self.west, self.size = latitude - 0.5 * step, longitude - 0.5 * step, step
            self.least = LEAST_AREA
        pixels = grid.latitude.length * grid.longitude.length * self.layout.itemsize
        boxes = len(np.unique(np.round(self.south, 9))) * len(np.unique(np.round(self.west, 9)))
        self.tile = 360.0 if pixels <= _AT_ONCE and boxes <= _LATTICE else max(TILE, self.size)

    def read(self, level: Mapping[str, int]) -> np.ndarray:
        """Return values at the cells."""
        fixed = {place: level.get(self.header.dimensions[place], 0) for place in self.layout.fixed}
        layout = replace(self.layout, fixed=fixed)
        values = layout_means(layout, self.files, self.south, self.west, self.size, self.tile, self.least)
        return np.where(self.known, values, np.nan)


class _Sites:
    """A variable with one value a site."""

    regrid: str = "cells"

    def __init__(
        self, files: OpenFiles, path: Path, variable: str, where: tuple[str, str, str], latitude: np.ndarray,
        longitude: np.ndarray, step: float, names: Sequence[str] | None,
    ) -> None:  # fmt: skip
        dimension, north, east = where
        self.files, self.path, self.variable = files, path, variable
        self.file = files.get(path)
        self.header, self.plane = self.file.header(variable), frozenset([dimension])
        self.stored = stored_values(self.header.attributes, self.header.kind, f"{path}: variable {variable}")
        lat, lon = (decoded(self.file, path, name) for name in (north, east))
        lon = (lon + 180.0) % 360.0 - 180.0
        self.extent = (
            f"{len(lat)} places along {dimension}, latitude {np.nanmin(lat):.6g} to {np.nanmax(lat):.6g}, longitude "
            f"{np.nanmin(lon):.6g} to {np.nanmax(lon):.6g}"
        )
        ids = {name: place for place, name in enumerate(labels(self.file, dimension))}
        self.place = np.array([ids.get(name, -1) for name in names] if names else [-1] * len(latitude), int)
        for cell in np.flatnonzero(self.place < 0):
            away = np.maximum(np.abs(lat - latitude[cell]), np.abs((lon - longitude[cell] + 180.0) % 360.0 - 180.0))
            away = np.where(np.isfinite(away), away, np.inf)
            if len(away) and away.min() <= 0.5 * step + 1e-9:
                self.place[cell] = int(np.argmin(away))

    def read(self, level: Mapping[str, int]) -> np.ndarray:
        """Return values at the cells."""
        index = tuple(slice(None) if name in self.plane else level.get(name, 0) for name in self.header.dimensions)
        raw = self.files.read(self.path, self.variable, index)
        values = self.stored.decode(np.atleast_1d(raw))
        return np.where(self.place >= 0, values[np.maximum(self.place, 0)], np.nan)


def listed_places(file: RawFile, header: Header) -> tuple[str, str, str] | None:
    """Return the dimension along which places are listed, their latitudes and longitudes; None where there is none."""
    names = file.names()
    found = []
    words = {n: horizontal_word(n, *(file.header(n).text(key) for key in ("standard_name", "units"))) for n in names}
    for wanted in (LATITUDE, LONGITUDE):
        said = [n for n in names if words[n] == wanted]
        fits = {n: file.header(n).dimensions for n in said if len(file.header(n).dimensions) == 1}
        found.append({dims[0]: n for n, dims in fits.items() if dims[0] in header.dimensions and dims[0] != n})
    both = [dimension for dimension in found[0] if dimension in found[1]]
    return (both[0], found[0][both[0]], found[1][both[0]]) if both else None


def level_mean(levels: Iterator[np.ndarray]) -> np.ndarray:
    """Return the mean of what is there, level by level; of one level that level, to the bit."""
    total = next(levels)
    count = np.isfinite(total).astype(float)
    total = np.where(count > 0, total, 0.0)
    for values in levels:
        known = np.isfinite(values)
        total += np.where(known, values, 0.0)
        count += known
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
