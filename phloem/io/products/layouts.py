"""Layout of a variable in a file: its dimensions, the packing of its values, its unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phloem.errors import InputError
from phloem.io.files.stored_values import StoredValues, stored_values
from phloem.io.files.units import of_steps
from phloem.io.grids.axis_names import horizontal_word
from phloem.io.grids.file_grid import Axis, FileGrid, GridError, read_axis
from phloem.io.products.catalogue import DAY, SIX_HOURS, STATIC, Choice, Field, any_layer
from phloem.io.products.levels import labels
from phloem.io.products.raw_files import Header, RawFile

_PER_STEP = {SIX_HOURS: "6h-1", DAY: "d-1"}
"""One over the time step, as units spell it."""


@dataclass(frozen=True, eq=False)
class Packing:
    """From stored values to the unit here.

    Attributes:
        stored: how they are stored.
        factor, shift: unit conversion, after unpacking.
    """

    stored: StoredValues
    factor: float = 1.0
    shift: float = 0.0

    def unpack(self, raw: np.ndarray) -> np.ndarray:
        """Return values in the unit here, float64, NaN where missing."""
        values = self.stored.decode(raw)
        if (self.factor, self.shift) != (1.0, 0.0):
            values = values * self.factor + self.shift
        return values


@dataclass(frozen=True, eq=False)
class VariableLayout:
    """One variable in one file.

    Attributes:
        path, name: file, and the variable's own name.
        grid: its axes.
        order: places of (time, latitude, longitude) among the dimensions; time is -1 where there is none.
        time: name of the time dimension, empty where there is none.
        steps: along time, 1 where there is none.
        fixed: index along each further dimension, by place.
        packing: of its values.
        unit: as it stands in the file, or is stated.
        itemsize, chunk, chunk_bytes: bytes of a stored value, steps in a storage chunk and all its bytes.
    """

    path: Path
    name: str
    grid: FileGrid
    order: tuple[int, int, int]
    time: str
    steps: int
    fixed: Mapping[int, int]
    packing: Packing
    unit: str
    itemsize: int
    chunk: int
    chunk_bytes: int

    def piece(self, steps: slice, window: tuple[slice, slice]) -> tuple[Any, ...]:
        """Return the index of some steps and a window of rows and columns, as the file orders its dimensions."""
        wanted: dict[int, Any] = {self.order[1]: window[0], self.order[2]: window[1], **self.fixed}
        if self.order[0] >= 0:
            wanted[self.order[0]] = steps
        return tuple(wanted[place] for place in range(len(wanted)))

    def arrange(self, raw: np.ndarray) -> np.ndarray:
        """Return stored values as (time, latitude, longitude)."""
        left = [place for place in range(len(self.fixed) + 2 + (self.order[0] >= 0)) if place not in self.fixed]
        order = [left.index(place) for place in self.order if place >= 0]
        arranged = np.transpose(raw, order)
        return arranged if self.order[0] >= 0 else arranged[None]


def find_variable(file: RawFile, field: Field, override: str) -> str | None:
    """Return the file's name of a variable: as overridden, by its names, by its standard name, or None."""
    names = file.names()
    if override:
        return override if override in names else None
    for name in field.names:
        if name in names:
            return name
    found = []
    for name in names:
        header = file.header(name)
        if header.text("standard_name") in field.standard_names and len(header.shape) >= 2:
            methods = header.text("cell_methods").replace(" ", "")
            if not field.method or f"time:{field.method}" in methods:
                found.append(name)
    return found[0] if len(found) == 1 else None


def read_layout(
    file: RawFile,
    path: Path,
    name: str,
    key: str,
    field: Field,
    choice: Choice,
    layer: float | str | None = None,
    chosen: Mapping[str, int] | None = None,
) -> VariableLayout:
    """Read the layout of a variable of a file.

    Args:
        file: open.
        path: of the file.
        name: of the variable.
        key: its name here.
        field: what it is.
        choice: the product.
        layer: coordinate or name along a further dimension, for static layers.
        chosen: index along further dimensions, by their names.

    Raises:
        InputError: no regular grid, dimensions that have no meaning here, or a unit that is not known.
    """
    header = file.header(name)
    row, latitude = _axis(file, path, header, False, choice)
    column, longitude = _axis(file, path, header, True, choice)
    time, fixed = -1, {}
    if layer is not None:
        _check_layered(file, path, name, header, {row, column}, layer)
    for place, (dimension, length) in enumerate(zip(header.dimensions, header.shape, strict=True)):
        if place in (row, column):
            continue
        if chosen and dimension in chosen:
            fixed[place] = chosen[dimension]
        elif layer is not None and length > 1:
            fixed[place] = _layer_index(file, path, dimension, length, layer)
        elif choice.product.step != STATIC and time < 0 and (length > 1 or place == 0):
            time = place
        elif length == 1:
            fixed[place] = 0
        else:
            raise InputError(
                f"{path}: variable {name}: dimension {dimension} of {length} is neither latitude, longitude nor time"
            )
    packing, unit = _packing(path, name, key, header, field, choice)
    steps = header.shape[time] if time >= 0 else 1
    chunk = header.chunks[time] if time >= 0 else 1
    where = header.dimensions[time] if time >= 0 else ""
    return VariableLayout(
        path,
        name,
        FileGrid(latitude, longitude),
        (time, row, column),
        where,
        steps,
        fixed,
        packing,
        unit,
        header.itemsize,
        chunk,
        int(np.prod(header.chunks)) * header.itemsize,
    )


def horizontal(file: RawFile, dimension: str) -> str:
    """Return whether a dimension is `latitude` or `longitude` by its coordinate variable; empty where it is neither."""
    if dimension not in file.names():
        return ""
    coordinate = file.header(dimension)
    return horizontal_word(dimension, coordinate.text("standard_name"), coordinate.text("units"))


def _axis(file: RawFile, path: Path, header: Header, circular: bool, choice: Choice) -> tuple[int, Axis]:
    word = "longitude" if circular else "latitude"
    have = file.names()
    for place, dimension in enumerate(header.dimensions):
        if horizontal(file, dimension) != word:
            continue
        bounds = file.header(dimension).text("bounds")
        try:
            edges = file.read(bounds, (slice(None), slice(None))) if bounds in have and bounds else None
            return place, read_axis(file.read(dimension, (slice(None),)), circular, edges)
        except GridError as error:
            raise InputError(f"{path}: {error}") from error
    if choice.product.degrees and len(header.shape) >= 2:
        step = choice.product.degrees
        due = round((360.0 if circular else 180.0) / step)
        alike = [place for place, length in enumerate(header.shape) if length == due]
        place = alike[0] if len(alike) == 1 else len(header.shape) - (1 if circular else 2)
        if header.shape[place] != due:
            raise InputError(f"{path}: {header.shape[place]} cells of {word}; a grid of {step:g} degrees has {due}")
        return place, Axis(round(360.0 / step), 0.0, 0, due, circular, circular)
    unit = "degrees_east" if circular else "degrees_north"
    given = [f"{name} in {file.header(name).text('units')!r}" for name in header.dimensions if name in have]
    raise InputError(
        f"{path}: no {word} along the dimensions ({', '.join(header.dimensions)}): a one-dimensional coordinate "
        f"variable with units {unit} is due ({', '.join(given) or 'they have none'}); curvilinear and "
        "projected grids must be regridded before"
    )


def _check_layered(file: RawFile, path: Path, name: str, header: Header, plane: set[int], layer: float | str) -> None:
    """Refuse a layer of a map that has none: without a further dimension but for one of this very coordinate."""
    further = [place for place in range(len(header.shape)) if place not in plane]
    if any(header.shape[place] > 1 for place in further):
        return
    named = [header.dimensions[place] for place in further if header.dimensions[place] in file.names()]
    if any(np.asarray(file.read(one, (slice(None),))).reshape(-1)[0] == layer for one in named):
        return
    shown = layer if isinstance(layer, str) else f"{layer:g}"
    raise InputError(
        f"{path}: variable {name} has no further dimension ({', '.join(header.dimensions)}), so no layer {shown}; "
        "leave out layers = ..."
    )


def _layer_index(file: RawFile, path: Path, dimension: str, length: int, layer: float | str) -> int:
    if isinstance(layer, str):
        names = labels(file, dimension)
        if layer not in names:
            raise InputError(f"{path}: {dimension} has no {layer!r}; it has {', '.join(names) or 'no names'}")
        return names.index(layer)
    values = np.arange(length) if dimension not in file.names() else file.read(dimension, (slice(None),))
    found = np.flatnonzero(np.asarray(values, np.float64) == layer)
    if not len(found):
        listed = ", ".join(f"{value:g}" for value in np.asarray(values, np.float64)[:20])
        raise InputError(f"{path}: {dimension} has no {layer:g}; it has {listed}")
    return int(found[0])


def said_units(choice: Choice, key: str) -> str:
    """Return the line of an ingest file that says what a variable's values are."""
    return 'units = "..."' if len(choice.product.fields) == 1 else f'variables.{key} = {{ units = "..." }}'


def _packing(path: Path, name: str, key: str, header: Header, field: Field, choice: Choice) -> tuple[Packing, str]:
    unit = choice.units.get(key) or header.text("units") or field.unit
    unit = of_steps(unit, _PER_STEP[choice.product.step]) if choice.product.step in _PER_STEP else unit
    quantity = field.quantity
    if quantity.conversions is any_layer("").conversions:
        factor, shift = 1.0, 0.0
    elif not unit:
        raise InputError(
            f"{path}: variable {name}: no units attribute; say what they are with {said_units(choice, key)} in "
            f"[products.{choice.name}]: {quantity.accepted}"
        )
    else:
        zero, one = (quantity.convert(np.array([value]), unit) for value in (0.0, 1.0))
        if zero is None or one is None:
            raise InputError(
                f"{path}: variable {name}: unit {unit!r}; due is {quantity.unit}, accepted are {quantity.accepted}"
            )
        factor, shift = float(one[0] - zero[0]), float(zero[0])
        if shift:
            factor = 1.0
    product = choice.product
    where = f"{path}: variable {name}"
    return Packing(
        stored_values(
            header.attributes, header.kind, where, product.fills, product.scale, sign=choice.signs.get(key, 1)
        ),
        factor,
        shift,
    ), unit
