"""Drivers of a driver store: its days averaged to months."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.store import open_store
from phloem.io.drivers.variables import VARIABLES
from phloem.io.files.atomic import checksum
from phloem.io.files.units import conversion
from phloem.io.flux_drivers.driver_places import DriverPlaces, grid_places
from phloem.io.flux_drivers.driver_recipes import STATICS
from phloem.io.flux_drivers.driver_source import BandInTheMaking, DriverBand
from phloem.io.flux_drivers.plausible_values import plausible
from phloem.io.flux_drivers.static_layers import StaticLayers
from phloem.io.grids.placed_cells import place_cells

FROM_FORCING = {"SWIN": ("rsds", "W m-2"), "VPD": ("vpd", "hPa"), "P": ("pr", "mm d-1"), "CO2": ("co2", "ppm")}
"""Drivers that are forcing of the store, in which unit; the mean temperature is that of the lowest and the highest."""


class StoreDrivers:
    """A driver store; see `DriverSource`.

    Attributes:
        places, months, notes: as of `DriverSource`.
    """

    def __init__(self, root: Path, layers: StaticLayers | None = None) -> None:
        """Open a store; arguments and errors as of `open_drivers`."""
        self.store, self.layers = open_store(root), layers
        self.notes: list[str] = []
        columns, facts = self.store.columns, self.store.facts
        first, last = int(facts["first_year"]), int(facts["last_year"])
        self.months = np.arange(f"{first:04d}-01", f"{last + 1:04d}-01", dtype="datetime64[M]")
        north, east = np.array(columns["latitude"], float), np.array(columns["longitude"], float)
        if self.store.step is None:
            self.places = DriverPlaces(north, east, tuple(self.store.names))
            self.position = np.arange(len(north))[:, None]
        else:
            grid = place_cells(self.store.names, north.tolist(), east.tolist(), self.store.step).grid
            self.places = grid_places(grid.latitude, grid.longitude, str(root), *grid.bounds())
            rows, across = grid.find(north, east)
            self.position = np.full(grid.shape, -1, np.int64)
            self.position[rows, across] = np.arange(len(north))
        first_cell = self.store.read([0])[0]
        self._statics = [name for name in STATICS if name in first_cell.statics]

    def has(self, name: str) -> bool:
        """Return whether a driver or a number of a place is there."""
        beside = self.layers is not None and self.layers.has(name)
        return name in ("TA", "LAI", *FROM_FORCING, *self._statics) or (name in STATICS and beside)

    def there(self) -> str:
        """Return what is there, in words."""
        beside = f"; {self.layers.path} has {self.layers.there()}" if self.layers else ""
        return f"{self.store.paths.root} has {', '.join(('TA', 'LAI', *FROM_FORCING, *self._statics))}{beside}"

    def identity(self) -> str:
        """Return a text that changes where any input does: the checksums of all cells."""
        beside = checksum(self.layers.path.read_bytes()) if self.layers else ""
        return checksum("\n".join([*self.store.columns["checksum"], beside]).encode())

    def known(self, name: str) -> np.ndarray:
        """Return how many cells each row has."""
        counts: np.ndarray = (self.position >= 0).sum(axis=1)
        return counts

    def survey(self, names: Collection[str]) -> list[str]:
        """Say nothing: what ingests a store looks at its values."""
        return []

    def number(self, name: str, rows: slice) -> np.ndarray:
        """Return a number of all places of some rows; see `DriverSource`."""
        if name not in self._statics:
            assert self.layers is not None
            return plausible(name, self.layers.read(name, self.places, rows))[0]
        position = self.position[rows].reshape(-1)
        found = np.full(len(position), np.nan)
        there = np.flatnonzero(position >= 0)
        found[there] = [float(cell.statics[name]) for cell in self.store.read(position[there].tolist())]
        return found

    def read(self, rows: slice, names: Sequence[str], needed: Sequence[str]) -> DriverBand:
        """Return the drivers of some rows; see `DriverSource`."""
        position = self.position[rows].reshape(-1)
        band = BandInTheMaking(len(position), len(self.months))
        timed = [name for name in names if name not in STATICS]
        values = {name: np.full((len(position), len(self.months)), np.nan, np.float32) for name in timed}
        numbers = {name: np.full(len(position), np.nan) for name in self._statics}
        there = np.flatnonzero(position >= 0)
        for place, at in zip(there.tolist(), position[there].tolist(), strict=True):
            (cell,) = self.store.read([at])
            for name, series in self._months_of(cell, timed).items():
                values[name][place] = series
            for name in self._statics:
                numbers[name][place] = float(cell.statics[name])
        for name in (one for one in names if one in STATICS):
            if name in numbers:
                found = numbers[name]
            else:
                assert self.layers is not None
                found = self.layers.read(name, self.places, rows)
            band.put(name, plausible(name, found)[0][band.place], name in needed)
        for name in timed:
            band.put(name, plausible(name, values[name])[0][band.place], name in needed)
        return band.made()

    def _months_of(self, cell: GridCell, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Means over months of the days that a cell has, float64 (months,)."""
        month = self._month_of_day(cell)
        days = np.bincount(month, minlength=len(self.months))
        made = {}
        for name in names:
            if name == "LAI":
                series = np.asarray(cell.observations["lai"], float)
            elif name == "TA":
                series = 0.5 * (np.asarray(cell.forcing["tasmin"], float) + cell.forcing["tasmax"])
            else:
                key, unit = FROM_FORCING[name]
                factor, offset = conversion(VARIABLES[key].unit, unit) or (1.0, 0.0)
                series = np.asarray(cell.forcing[key], float) * factor + offset
            known = np.isfinite(series)
            count = np.bincount(month[known], minlength=len(self.months))
            total = np.bincount(month[known], series[known], minlength=len(self.months))
            enough = count > 0 if name == "LAI" else (count == days) & (days > 0)
            made[name] = np.divide(total, count, out=np.full(len(days), np.nan), where=enough)
        return made

    def _month_of_day(self, cell: GridCell) -> np.ndarray:
        year = np.asarray(cell.year, np.int64)
        day = np.asarray(cell.doy, np.int64) - 1
        # Years of 365 days have the months of 2001.
        dated = year if cell.calendar == "standard" else np.full_like(year, 2001)
        first = (dated - 1970).astype("datetime64[Y]").astype("datetime64[D]")
        inside = (first + day).astype("datetime64[M]").astype(np.int64) % 12
        found: np.ndarray = 12 * (year - 1970) + inside - self.months[0].astype(np.int64)
        return found
