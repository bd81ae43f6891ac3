"""Axes of a file of drivers: its months and places, and along which dimensions they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError, some
from phloem.io.drivers.grid_cell import place_name
from phloem.io.files.time_axis import STAMPED_AT_FIRSTS, StampsAt
from phloem.io.flux_drivers.driver_places import DriverPlaces, grid_places
from phloem.io.grids.axis_names import LATITUDE, LONGITUDE
from phloem.io.monthly.variable_names import NAMES
from phloem.io.products.layouts import horizontal
from phloem.io.products.levels import labels, texts_of
from phloem.io.products.raw_files import Header, RawFile, decoded
from phloem.io.products.times import read_stamps


@dataclass(frozen=True, eq=False)
class FileFrame:
    """Axes of one file.

    Attributes:
        path: the file.
        time: dimension of its months, empty where it has none.
        months: datetime64[M], (steps,).
        places: None where it has none.
        along: dimension of its sites, or of its rows and its columns.
        note: what was taken for granted of its months; else empty.
    """

    path: Path
    time: str
    months: np.ndarray
    places: DriverPlaces | None
    along: tuple[str, ...]
    note: str = ""

    def order(self, name: str, header: Header) -> tuple[int, ...] | None:
        """Return the places of the dimensions (of places, then of time) of a variable; None where it is no driver.

        A variable may lack time, or places, or both but one; further dimensions have a length of one, or are the
        characters of texts.
        """
        text = header.kind.kind == "S" and len(header.shape) > 1
        wanted = [place for place in (*self.along, self.time) if place]
        found = [header.dimensions.index(one) for one in wanted if one in header.dimensions]
        further = range(len(header.dimensions) - text)
        rest = [n for n in further if n not in found and header.shape[n] != 1]
        spatial = sum(one in header.dimensions for one in self.along)
        if rest or not found or spatial not in (0, len(self.along)):
            return None
        return tuple(found)


def read_frame(file: RawFile, path: Path, stamps: StampsAt) -> FileFrame:
    """Read the axes of a file.

    Args:
        file: open.
        path: of it.
        stamps: where stamps stand in their months if it has no time bounds.

    Raises:
        InputError: months that stand twice, curvilinear coordinates, or an axis that is none.
    """
    time, months, note = _months(file, path, stamps)
    places, along = _places(file, path)
    return FileFrame(path, time, months, places, along, note)


def _months(file: RawFile, path: Path, stamps: StampsAt) -> tuple[str, np.ndarray, str]:
    heads = {name: file.header(name) for name in file.names()}
    dated = [n for n, one in heads.items() if " since " in one.text("units") and len(one.shape) == 1]
    dated = [n for n in dated if n == heads[n].dimensions[0]] or dated
    if not dated:
        return "", np.array([], "datetime64[M]"), ""
    if len(dated) > 1:
        raise InputError(f"{path}: one axis of time is due; there are {', '.join(dated)}")
    (name,) = dated
    found = read_stamps(file, path, name, heads[name].shape[0], "", "")
    months = found.days_within(stamps).astype("datetime64[M]")
    if len(months) and not (np.diff(months).astype(int) > 0).all():
        place = int(np.argmin(np.diff(months).astype(int)))
        raise InputError(
            f"{path}: variable {name}: one step a month is due, later after earlier; after {months[place]} comes "
            f"{months[place + 1]}"
        )
    note = f"{path}: {STAMPED_AT_FIRSTS}" if stamps == "begin" and found.leaves_month_open else ""
    return heads[name].dimensions[0], months, note


def _places(file: RawFile, path: Path) -> tuple[DriverPlaces | None, tuple[str, ...]]:
    words: dict[str, list[str]] = {LATITUDE: [], LONGITUDE: []}
    for name in file.names():
        if word := horizontal(file, name):
            words[word].append(name)
    chosen = []
    for word, names in words.items():
        flat = [name for name in names if len(file.header(name).shape) == 1]
        if names and not flat and len(file.header(names[0]).shape) > 1:
            raise InputError(
                f"{path}: variable {names[0]}: {word} along one dimension is due, not along "
                f"{', '.join(file.header(names[0]).dimensions)}; regrid curvilinear grids before"
            )
        own = [name for name in flat if file.header(name).dimensions == (name,)]
        chosen.append((own or flat or [""])[0])
    if not all(chosen):
        return None, ()
    values = [decoded(file, path, name) for name in chosen]
    dimensions = [file.header(name).dimensions[0] for name in chosen]
    if dimensions[0] != dimensions[1]:
        edges = [_bounds(file, path, name, len(one)) for name, one in zip(chosen, values, strict=True)]
        return grid_places(values[0], values[1], str(path), *edges), (dimensions[0], dimensions[1])
    wrong = ~(np.isfinite(values[0]) & (np.abs(values[0]) <= 90.0) & np.isfinite(values[1]))
    if wrong.any():
        raise InputError(f"{path}: {int(wrong.sum())} sites are on no place of Earth, the first at {wrong.argmax()}")
    names = _names(file, path, dimensions[0], values)
    return DriverPlaces(values[0], values[1], tuple(names)), (dimensions[0],)


def _bounds(file: RawFile, path: Path, name: str, length: int) -> np.ndarray | None:
    bounds = file.header(name).text("bounds")
    if not bounds or bounds not in file.names() or file.header(bounds).shape != (length, 2):
        return None
    return decoded(file, path, bounds)


def _names(file: RawFile, path: Path, dimension: str, values: list[np.ndarray]) -> list[str]:
    found = labels(file, dimension)
    for name in NAMES:
        if not found and name in file.names() and file.header(name).dimensions[:1] == (dimension,):
            found = texts_of(file, name)
    if not found:
        found = [place_name(*at) for at in zip(*(one.tolist() for one in values), strict=True)]
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice or not all(found):
        raise InputError(f"{path}: each site needs a name of its own; {some(twice) or 'one has none'}")
    return found
