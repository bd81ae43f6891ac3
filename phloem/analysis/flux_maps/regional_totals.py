"""Global and regional totals of monthly fluxes, summed block by block.

Each contribution is rounded to a whole gram of carbon or kilogram of water and summed in whole numbers, so totals have
the same bits however the map is cut into blocks, in whatever order these come (a rounding of 1e-13 of a half-degree
cell's month). A year counts where all twelve months came, each with all the land of the region that any month had.
Missing cells are not filled: a total is that of the known ones, beside the share of land area that they lack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from phloem.analysis.benchmark.skill_scores import PETAGRAM
from phloem.analysis.flux_maps.yearly_totals import YearlyTotals, yearly_totals
from phloem.errors import InputError, some


class TotalUnit(NamedTuple):
    """What a flux of a unit adds up to.

    Attributes:
        per_day: g of carbon or kg of water m-2 d-1 of one of the unit.
        total: unit of yearly totals.
        amount: g or kg of one of it.
    """

    per_day: float
    total: str
    amount: float


LATENT_HEAT = 2.45e6
"""Heat of vaporisation lambda_v, J kg-1 (uflux.md section 3)."""

UNITS = {
    "gC m-2 d-1": TotalUnit(1.0, "PgC yr-1", PETAGRAM),
    "W m-2": TotalUnit(86400 / LATENT_HEAT, "km3 yr-1", 1e12),
}
"""Units of fluxes that have totals: carbon, and heat as the water that it evaporates."""

WHOLE_EARTH = "global"
"""Name of the map, and of its one region, that every cell lies in."""

LATITUDE_BANDS = ("90S-60S", "60S-30S", "30S-0", "0-30N", "30N-60N", "60N-90N")
"""Bands of 30 degrees from south to north; a centre on an edge lies in the northern band."""

NOWHERE = -1
"""Label of a cell that lies in no region of a map."""

MOST = 2.0**60
"""Sum of a month of a block, in g or kg, that no flux on Earth comes near and whole numbers of 64 bits still hold."""


def latitude_band(latitude: np.ndarray) -> np.ndarray:
    """Return the position in `LATITUDE_BANDS` of cells, int64 (cells,).

    Args:
        latitude: of the centres, degrees north, (cells,).
    """
    return np.clip((np.asarray(latitude, float) + 90) // 30, 0, 5).astype(np.int64)


@dataclass(frozen=True, eq=False)
class FluxBlock:
    """A part of a map in time and space.

    Attributes:
        first_month: of the block, as datetime64[M].
        area: of the cells, m2, (cells,).
        land: share of each cell that is land, (cells,); where it or the area is missing, there is none.
        labels: by map of regions, position of each cell's region in its names, `NOWHERE` for none, int (cells,).
        fluxes: by name, (months, cells) or (members, months, cells), NaN where missing.
    """

    first_month: np.datetime64
    area: np.ndarray
    land: np.ndarray
    labels: Mapping[str, np.ndarray]
    fluxes: Mapping[str, np.ndarray]


@dataclass(eq=False)
class FluxTotals:
    """Sums over blocks, by flux, region and month.

    Attributes:
        months: consecutive, datetime64[M], (months,).
        units: by flux, "gC m-2 d-1" or "W m-2".
        regions: by map, the names of its regions; that of the whole Earth is added.
        members: number of them; 1 where fluxes have none.
        sums: by flux, g of carbon or kg of water a month, int64 (members, regions, months).
        known: by flux, m2 of land with a value of every member, int64 (regions, months).
        land: m2 of land that came, int64 (regions, months).
    """

    months: np.ndarray
    units: Mapping[str, str]
    regions: Mapping[str, tuple[str, ...]]
    members: int = 1
    sums: dict[str, np.ndarray] = field(init=False)
    known: dict[str, np.ndarray] = field(init=False)
    land: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing.

        Raises:
            InputError: months with gaps, or a unit that has no total.
        """
        self.months = np.asarray(self.months, "datetime64[M]")
        if not len(self.months) or (np.diff(self.months.astype(int)) != 1).any():
            raise InputError("totals: months must be consecutive, one or more")
        for flux, unit in self.units.items():
            if unit not in UNITS:
                raise InputError(f"totals: {flux} in {unit!r} has no total; fluxes in {' and '.join(UNITS)} have one")
        self.regions = {WHOLE_EARTH: (WHOLE_EARTH,), **self.regions}
        shape = (sum(map(len, self.regions.values())), len(self.months))
        self.land = np.zeros(shape, np.int64)
        self.known = {flux: np.zeros(shape, np.int64) for flux in self.units}
        self.sums = {flux: np.zeros((self.members, *shape), np.int64) for flux in self.units}

    def add(self, block: FluxBlock) -> None:
        """Add a block; months and cells of two blocks must not overlap.

        Args:
            block: all fluxes of some months and cells.

        Raises:
            InputError: fluxes, months, shapes or labels that do not fit; then nothing was added.
        """
        columns = self._columns(block)
        area = np.asarray(block.area, float) * np.asarray(block.land, float)
        area = np.where(np.isfinite(area), area, 0.0)
        whole = np.rint(area).astype(np.int64)
        days = self._days()[columns]
        added: dict[str, tuple[np.ndarray, list[np.ndarray]]] = {}
        for flux, unit in self.units.items():
            values = np.asarray(block.fluxes[flux])
            values = values[None] if values.ndim == 2 else values
            known = np.isfinite(values).all(0)
            weight = days[:, None] * area * UNITS[unit].per_day
            added[flux] = known, []
            for member in values:
                amount = np.where(known, member, 0).astype(float) * weight
                if np.abs(amount).sum(1).max(initial=0) >= MOST:
                    raise InputError(f"totals: {flux} has values too large for a flux in {unit}")
                added[flux][1].append(np.rint(amount).astype(np.int64))
        for place, cells in self._members_of_regions(block):
            self.land[place, columns] += whole[cells].sum()
            for flux, (known, amounts) in added.items():
                self.known[flux][place, columns] += (known[:, cells] * whole[cells]).sum(1)
                for member, amount in enumerate(amounts):
                    self.sums[flux][member, place, columns] += amount[:, cells].sum(1)

    def merge(self, other: FluxTotals) -> None:
        """Add the sums of other blocks, such as those of another worker.

        Raises:
            InputError: other months, fluxes, regions or members.
        """
        same = (
            np.array_equal(self.months, other.months)
            and dict(self.units) == dict(other.units)
            and dict(self.regions) == dict(other.regions)
            and self.members == other.members
        )
        if not same:
            raise InputError("totals: sums over other months, fluxes, regions or members cannot be added")
        self.land += other.land
        for flux in self.units:
            self.known[flux] += other.known[flux]
            self.sums[flux] += other.sums[flux]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the sums by name, for a file between workers; months, units and regions are the reader's."""
        arrays = {"land": self.land}
        for flux in self.units:
            arrays |= {f"{flux}_known": self.known[flux], f"{flux}_sums": self.sums[flux]}
        return arrays

    def add_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Add sums that `to_arrays` returned.

        Raises:
            InputError: arrays of other fluxes or shapes; then nothing was added.
        """
        own = self.to_arrays()
        unlike = [name for name in own if name not in arrays or np.shape(arrays[name]) != own[name].shape]
        if unlike:
            raise InputError(f"totals: {some(unlike)} missing or of another shape: sums of another map or period")
        for name, values in own.items():
            values += np.asarray(arrays[name], np.int64)

    def yearly(self, flux: str, map_name: str = WHOLE_EARTH, region: str = WHOLE_EARTH) -> YearlyTotals:
        """Return the yearly totals of a flux in a region, the members' mean where there are several.

        Args:
            flux: one of `units`.
            map_name: of the map of regions.
            region: one of its names.
        """
        place = self._first(map_name) + self.regions[map_name].index(region)
        month_year = self.months.astype("datetime64[Y]").astype(int) + 1970
        years, at, counts = np.unique(month_year, return_inverse=True, return_counts=True)
        land, known, days = self.land[place], self.known[flux][place], self._days()
        all_there = (land == land.max()) & (land > 0) & (known > 0)
        whole = (counts == 12) & (np.bincount(at, all_there) == 12)

        def of_year(values: np.ndarray) -> np.ndarray:
            return np.bincount(at, values, len(years))

        days_known, days_land = of_year(known * days.astype(float)), of_year(land * days.astype(float))
        members = np.stack([of_year(one.astype(float)) for one in self.sums[flux][:, place]])
        with np.errstate(divide="ignore", invalid="ignore"):
            missing = 1 - days_known / days_land
            density = np.where(whole, members.mean(0), np.nan) / days_known
        kind = UNITS[self.units[flux]]
        return yearly_totals(
            kind.total, years, np.where(whole, members, np.nan) / kind.amount, density / kind.per_day, missing
        )

    def to_json(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the yearly totals by flux, map and region."""
        return {
            flux: {
                map_name: {region: self.yearly(flux, map_name, region).to_json() for region in names}
                for map_name, names in self.regions.items()
            }
            for flux in self.units
        }

    def _days(self) -> np.ndarray:
        return ((self.months + 1).astype("datetime64[D]") - self.months.astype("datetime64[D]")).astype(np.int64)

    def _first(self, map_name: str) -> int:
        names = list(self.regions)
        return sum(len(self.regions[name]) for name in names[: names.index(map_name)])

    def _columns(self, block: FluxBlock) -> slice:
        """Return which months a block has, after checking everything about it."""
        cells = np.shape(block.area)
        absent = [flux for flux in self.units if flux not in block.fluxes]
        absent += [name for name in self.regions if name != WHOLE_EARTH and name not in block.labels]
        if absent:
            raise InputError(f"totals: a block lacks {some(absent)}")
        shapes = {np.shape(block.fluxes[flux])[-2:] for flux in self.units}
        counts = {1 if np.ndim(block.fluxes[flux]) == 2 else len(block.fluxes[flux]) for flux in self.units}
        labels = {np.shape(block.labels[name]) for name in self.regions if name != WHOLE_EARTH}
        months = next(iter(shapes))[0]
        if shapes != {(months, *cells)} or counts != {self.members} or not labels | {np.shape(block.land)} <= {cells}:
            raise InputError(
                f"totals: fluxes of shapes {sorted(shapes)} and {sorted(counts)} member(s) over {cells} cells; "
                f"(months, cells) and {self.members} member(s) were due, with land and labels of each cell"
            )
        for name, regions in self.regions.items():
            label = np.zeros(0, int) if name == WHOLE_EARTH else np.asarray(block.labels[name])
            if ((label < NOWHERE) | (label >= len(regions))).any():
                raise InputError(f"totals: a label of {name} is not one of {NOWHERE} to {len(regions) - 1}")
        first = int(np.asarray(block.first_month, "datetime64[M]").astype(int) - self.months[0].astype(int))
        if first < 0 or first + months > len(self.months):
            raise InputError(
                f"totals: {months} months from {block.first_month} lie outside {self.months[0]} to {self.months[-1]}"
            )
        return slice(first, first + months)

    def _members_of_regions(self, block: FluxBlock) -> list[tuple[int, np.ndarray]]:
        """Return the place of each region that has cells in a block, and which cells, (cells,) bool or positions."""
        found = []
        for name in self.regions:
            first = self._first(name)
            if name == WHOLE_EARTH:
                found.append((first, np.arange(np.size(block.area))))
                continue
            label = np.asarray(block.labels[name])
            here = np.unique(label[label != NOWHERE])
            found += [(first + int(region), np.flatnonzero(label == region)) for region in here]
        return found
