"""Drivers in CF files: one or several, by variable or by year, of sites or of a grid; read in slabs of months."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError, some
from phloem.io.files.own_variables import AS_USUAL, OwnVariables
from phloem.io.files.stored_values import StoredValues, stored_values
from phloem.io.files.time_axis import StampsAt
from phloem.io.files.units import convert, of_month, of_steps
from phloem.io.flux_drivers.driver_places import DriverPlaces
from phloem.io.flux_drivers.driver_recipes import DRIVERS, STATICS, Part, Recipe, find_recipe, unit_of
from phloem.io.flux_drivers.driver_source import SLAB, BandInTheMaking, DriverBand
from phloem.io.flux_drivers.file_frame import FileFrame, read_frame
from phloem.io.flux_drivers.plausible_values import ENOUGH, Plausibility, plausible
from phloem.io.flux_drivers.static_layers import StaticLayers, checked_class, checked_share
from phloem.io.flux_towers.tower_quantities import IGBP, QUANTITIES
from phloem.io.products.levels import texts_of
from phloem.io.products.raw_files import OpenFiles

LOOKED_AT = 10 * SLAB
"""Values of a driver up to which all are looked at before the work; of more, three months."""

KINDS = (".nc", ".nc4", ".cdf")
"""Ends of the names of files that are read of a folder."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A variable in one file.

    Attributes:
        frame: axes of the file.
        name: of the variable.
        order: places of its dimensions, of places first and then of time.
        placed: whether it lies along the places.
        timed: whether it lies along the months.
        stored: how its values are stored.
        unit: as the file or the user says; empty where neither does.
    """

    frame: FileFrame
    name: str
    order: tuple[int, ...]
    placed: bool
    timed: bool
    stored: StoredValues
    unit: str


class CfDrivers:
    """CF files of drivers; see `DriverSource`.

    Attributes:
        places, months, notes: as of `DriverSource`.
    """

    def __init__(
        self, paths: Sequence[Path], stamps: StampsAt, own: OwnVariables, layers: StaticLayers | None,
        needed: Collection[str],
    ) -> None:  # fmt: skip
        """Read the axes and headers of some files; arguments and errors as of `open_drivers`."""
        self.paths, self.own, self.layers = list(paths), own, layers
        self.notes: list[str] = []
        self.pieces: dict[str, list[Piece]] = {}
        frames = []
        with OpenFiles() as files:
            for path in self.paths:
                file = files.get(path)
                frames.append(read_frame(file, path, stamps))
                for name in file.names():
                    self._note_piece(frames[-1], name, files)
        self.notes += [frame.note for frame in frames if frame.note]
        self.places = _common_places(frames)
        self.ways = {name: found for name in (*DRIVERS, *STATICS) if (found := self._way(name))}
        self.months = self._common_months(needed)

    def _note_piece(self, frame: FileFrame, name: str, files: OpenFiles) -> None:
        header = files.get(frame.path).header(name)
        order = frame.order(name, header)
        if order is None or name in (*frame.along, frame.time) or header.kind.kind not in "iufOSU":
            return
        placed = all(one in header.dimensions for one in frame.along) and bool(frame.along)
        timed = bool(frame.time) and frame.time in header.dimensions
        where = f"{frame.path}: variable {name}"
        numbers = header.kind.kind in "iuf"
        stored = stored_values(header.attributes, header.kind if numbers else np.dtype("f8"), where)
        piece = Piece(frame, name, order, placed, timed, stored, header.text("units"))
        self.pieces.setdefault(name, []).append(piece)

    def _way(self, driver: str) -> tuple[Recipe, tuple[str, ...]] | None:
        """How a driver comes from variables that lie as they must."""
        timed = driver in QUANTITIES
        have = {name for name, pieces in self.pieces.items() if all(one.timed == timed for one in pieces)}
        own = self.own.get(driver, AS_USUAL).name
        if own:
            if own not in self.pieces:
                said = f"there is no {own!r} (variables.{driver})"
                raise InputError(f"{self.paths[0]}: variable {driver}: {said}; {self.there()}")
            return (Recipe((Part((own,), unit_of(driver)),)), (own,)) if own in have else None
        found = find_recipe(driver, have)
        if found is not None and timed and not any(piece.placed for name in found[1] for piece in self.pieces[name]):
            return found if driver == "CO2" else None
        return found

    def _common_months(self, needed: Collection[str]) -> np.ndarray:
        """Months that all drivers with time have that are needed."""
        each = []
        for name in sorted(self.ways.keys() & set(QUANTITIES) & (set(needed) or set(QUANTITIES))):
            for variable in self.ways[name][1]:
                months = np.concatenate([piece.frame.months for piece in self.pieces[variable]])
                unique, counts = np.unique(months, return_counts=True)
                if (counts > 1).any():
                    month = unique[counts > 1][0]
                    twice = [str(p.frame.path) for p in self.pieces[variable] if month in p.frame.months]
                    raise InputError(f"variable {variable}: month {month} is in {' and in '.join(twice)}")
                each.append(unique)
        if not each:
            raise InputError(f"{self.paths[0]}: no driver with months; {self.there()}")
        common = each[0]
        for months in each[1:]:
            common = np.intersect1d(common, months)
        longest = np.unique(np.concatenate(each))
        if len(common) < len(longest):
            self.notes.append(f"{len(longest) - len(common)} months that not all drivers have are left out")
        if not len(common):
            raise InputError(f"{self.paths[0]}: there is no month that all drivers have")
        return common

    def has(self, name: str) -> bool:
        """Return whether a driver or a number of a place is there."""
        return name in self.ways or (name in STATICS and self.layers is not None and self.layers.has(name))

    def there(self) -> str:
        """Return what is there, in words."""
        beside = f"; {self.layers.path} has {self.layers.there()}" if self.layers else ""
        named = self.paths[0].parent if len(self.paths) > 1 else self.paths[0]
        return f"{named} has {some(sorted(self.pieces), most=40) or 'none'}{beside}"

    def identity(self) -> str:
        """Return a text that changes where any input does: sizes and times of change of all files."""
        paths = [*self.paths, *([self.layers.path] if self.layers else [])]
        facts = [f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths]
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()

    def known(self, name: str) -> np.ndarray:
        """Return how many places of each row seem to have a driver, by three of its months."""
        counts = np.zeros(self.places.rows, np.int64)
        chosen = np.unique([0, len(self.months) // 2, len(self.months) - 1])
        step = max(1, SLAB // self.places.columns)
        with OpenFiles() as files:
            for first in range(0, self.places.rows, step):
                rows = slice(first, min(first + step, self.places.rows))
                seen = np.zeros((rows.stop - rows.start) * self.places.columns, bool)
                for month in chosen.tolist():
                    seen |= np.isfinite(self._driver(files, name, rows, slice(month, month + 1)))[:, 0]
                counts[rows] = seen.reshape(-1, self.places.columns).sum(axis=1)
        return counts

    def number(self, name: str, rows: slice) -> np.ndarray:
        """Return a number of all places of some rows; see `DriverSource`."""
        with OpenFiles() as files:
            return plausible(name, self._static(files, name, rows))[0]

    def survey(self, names: Collection[str]) -> list[str]:
        """Say which drivers have impossible values; see `DriverSource`."""
        length, rows = len(self.months), slice(0, self.places.rows)
        step = max(1, SLAB // self.places.columns)
        several = max(1, SLAB // max(1, min(step, self.places.rows) * self.places.columns))
        slabs = [slice(first, min(first + several, length)) for first in range(0, length, several)]
        if not self._all_looked_at:
            slabs = [slice(month, month + 1) for month in np.unique([0, length // 2, length - 1]).tolist()]
        said = []
        with OpenFiles() as files:
            for name in names:
                seen = self._nothing_seen(name)
                if name in STATICS:
                    number = self._static(files, name, rows)
                    seen.add(number, plausible(name, number)[1])
                for first in range(0, self.places.rows, step) if name not in STATICS else ():
                    some_rows = slice(first, min(first + step, self.places.rows))
                    for slab in slabs:
                        values = self._driver(files, name, some_rows, slab)
                        seen.add(values, plausible(name, values)[1])
                seen.refuse_most()
                said += [f"{seen.words}; they count as missing"] if seen.outside else []
        return said

    @property
    def _all_looked_at(self) -> bool:
        """Whether a survey looks at all values: so many that all are read twice in seconds."""
        return self.places.rows * self.places.columns * len(self.months) <= LOOKED_AT

    def _nothing_seen(self, name: str) -> Plausibility:
        if name not in self.ways:
            assert self.layers is not None
            return Plausibility(name, f"{self.layers.path}: variable {self.layers.names[name]}", told=False)
        variables = self.ways[name][1]
        return Plausibility(name, f"{self.pieces[variables[0]][0].frame.path}: variable {' with '.join(variables)}")

    def read(self, rows: slice, names: Sequence[str], needed: Sequence[str]) -> DriverBand:
        """Return the drivers of some rows; see `DriverSource`."""
        count = (rows.stop - rows.start) * self.places.columns
        band = BandInTheMaking(count, len(self.months))
        step = max(1, SLAB // max(1, count))
        order = sorted(names, key=lambda name: (name not in needed, name not in STATICS))
        with OpenFiles() as files:
            for name in order:
                if name in STATICS:
                    number = plausible(name, self._static(files, name, rows))[0]
                    band.put(name, number[band.place], name in needed)
                    continue
                values = np.empty((len(band.place), len(self.months)), np.float32)
                seen = self._nothing_seen(name)
                for first in range(0, len(self.months), step):
                    slab = slice(first, min(first + step, len(self.months)))
                    found = self._driver(files, name, rows, slab)[band.place]
                    values[:, slab], outside = plausible(name, found)
                    seen.add(found, outside)
                if not self._all_looked_at:
                    seen.refuse_most(ENOUGH)
                band.put(name, values, name in needed)
        return band.made()

    def _driver(self, files: OpenFiles, name: str, rows: slice, months: slice) -> np.ndarray:
        """A driver of all places of some rows, float64 (places, months)."""
        recipe, variables = self.ways[name]
        parts = [
            self._months_of(files, name, variable, part.unit, rows, months)
            for variable, part in zip(variables, recipe.parts, strict=True)
        ]
        return recipe.combine(*parts)

    def _months_of(
        self, files: OpenFiles, driver: str, variable: str, unit: str, rows: slice, months: slice
    ) -> np.ndarray:
        wanted = self.months[months]
        count = (rows.stop - rows.start) * self.places.columns
        found = np.full((count, len(wanted)), np.nan)
        for piece in self.pieces[variable]:
            steps = np.searchsorted(piece.frame.months, wanted)
            inside = steps < len(piece.frame.months)
            inside[inside] = piece.frame.months[steps[inside]] == wanted[inside]
            if not inside.any():
                continue
            steps = steps[inside]
            values = self._values(files, piece, rows, slice(int(steps[0]), int(steps[-1]) + 1))
            values = values[:, steps - steps[0]]
            found[:, inside] = self._in_unit(piece, driver, values, unit, wanted[inside])
        return found

    def _in_unit(self, piece: Piece, driver: str, values: np.ndarray, unit: str, months: np.ndarray) -> np.ndarray:
        where = f"{piece.frame.path}: variable {piece.name}"
        said = self.own.get(driver, AS_USUAL)
        given = of_steps(said.units or piece.unit, "month-1")
        if not given and unit != "1" and piece.name != driver:
            raise InputError(f"{where}: no units attribute; {unit} is due, or say what the values are")
        if unit.endswith("d-1") and (a_day := of_month(given)) is not None:
            days = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
            values, given = values / days.astype(float), a_day
        return said.sign * convert(values, given or unit, unit, where)

    def _values(self, files: OpenFiles, piece: Piece, rows: slice, steps: slice) -> np.ndarray:
        """Decoded values of all places of some rows, (places, steps) or, without time, (places, 1)."""
        header = files.get(piece.frame.path).header(piece.name)
        index: list[slice | int] = [0] * len(header.shape)
        lengths: list[slice] = []
        if piece.placed:
            lengths += [rows, slice(0, self.places.columns)][: len(piece.frame.along)]
        if piece.timed:
            lengths.append(steps)
        for place, wanted in zip(piece.order, lengths, strict=True):
            index[place] = wanted
        raw = files.read(piece.frame.path, piece.name, tuple(index))
        kept = sorted(piece.order)
        arranged = np.transpose(raw, [kept.index(place) for place in piece.order])
        values = piece.stored.decode(np.ascontiguousarray(arranged))
        count = (rows.stop - rows.start) * self.places.columns
        if not piece.placed:
            return np.broadcast_to(values.reshape(1, -1), (count, values.size))
        return values.reshape(count, -1)

    def _static(self, files: OpenFiles, name: str, rows: slice) -> np.ndarray:
        """A number of all places of some rows, float64 (places,)."""
        if name not in self.ways:
            assert self.layers is not None
            return self.layers.read(name, self.places, rows)
        _, (variable,) = self.ways[name]
        piece = self.pieces[variable][0]
        if files.get(piece.frame.path).header(variable).kind.kind not in "iuf":
            return self._classes(files, piece)[rows]
        values = self._values(files, piece, rows, slice(0, 1))[:, 0]
        where = f"{piece.frame.path}: variable {variable}"
        if name in ("igbp", "koppen"):
            return checked_class(name, values, where)
        unit = self.own.get(name, AS_USUAL).units or piece.unit or unit_of(name)
        return checked_share(name, convert(values, unit, unit_of(name), where), where)

    def _classes(self, files: OpenFiles, piece: Piece) -> np.ndarray:
        """Numbers of plant classes that a file of sites has as texts."""
        texts = texts_of(files.get(piece.frame.path), piece.name)
        if len(texts) != self.places.rows or self.places.gridded:
            raise InputError(f"{piece.frame.path}: variable {piece.name}: one class a site is due, or numbers")
        number = {name: float(place) for place, name in enumerate(IGBP, 1)}
        return np.array([number.get(text.strip(), np.nan) for text in texts])


def _common_places(frames: Sequence[FileFrame]) -> DriverPlaces:
    """The one set of places of all files.

    Raises:
        InputError: none has any, or two have different ones.
    """
    placed = [frame for frame in frames if frame.places is not None]
    if not placed:
        raise InputError(
            f"{frames[0].path}: no places: latitude and longitude are due, along dimensions of their own or of sites"
        )
    first = placed[0]
    assert first.places is not None
    for frame in placed[1:]:
        assert frame.places is not None
        if not frame.places.is_same(first.places):
            raise InputError(f"{frame.path} has other places than {first.path}; bring them to one grid before")
    return first.places


def driver_files(path: Path) -> list[Path]:
    """Return the files of drivers that a path means: itself, or the NetCDF files of a folder.

    Raises:
        InputError: nothing there.
    """
    if not path.is_dir():
        if not path.is_file():
            raise InputError(f"--drivers {path}: not there")
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix in KINDS and not one.name.startswith("."))
    if not found:
        raise InputError(f"--drivers {path}: no NetCDF file in this folder ({', '.join(KINDS)})")
    return found
