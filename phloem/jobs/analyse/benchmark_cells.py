"""Quantities of a campaign's cells (parameters, derived ones, pools, fluxes) against maps, tables and the store's
biomass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.analysis.benchmark.pairs import Pairs
from phloem.analysis.report_data.tower_product import apart
from phloem.errors import InputError
from phloem.io.files.units import convert
from phloem.io.merge.at_bounds import without_bounds
from phloem.io.merge.member_statistics import circular_median_and_rcv, median_and_rcv
from phloem.io.references.growth_curves import CARBON_FRACTION, DRY_MATTER, GRAMS_PER_AREA
from phloem.io.references.maps import read_map, steps_along, time_axis
from phloem.io.references.monthly_series import read_points
from phloem.jobs.analyse.member_runs import late_runs, pools_at
from phloem.jobs.analyse.withheld_years import even_draw
from phloem.jobs.calibration.merged_members import Members
from phloem.jobs.config.benchmark_file import GrowthReference, MapReference, SnapshotReference, TableReference
from phloem.jobs.config.paths import expand_path

_CARBON_MG_HA = 1.0 / GRAMS_PER_AREA
"""Mg ha-1 in a g m-2."""


@dataclass(eq=False)
class BenchmarkCells:
    """A campaign's members, the labels of its cells, and runs that several comparisons share.

    Attributes:
        members: of the campaign.
        strata: labels of the cells by name, (cells,).
        limit: robust CV up to which members agree.
        base: folder from which paths of the benchmark file count.
        most: cells that are simulated at most, evenly drawn.
    """

    members: Members
    strata: Mapping[str, np.ndarray]
    limit: float
    base: Path
    most: int
    _means: dict[tuple[tuple[int, int], ...], dict[str, np.ndarray]] = field(default_factory=dict)
    _pools: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)

    def values(self, quantity: str, years: Sequence[int] = ()) -> tuple[np.ndarray, str, str]:
        """Return every member's value, NaN where it has no result, with unit and meaning.

        Args:
            quantity: name.
            years: of stocks; none: the run's end.

        Returns:
            (cells, members) of parameters and derived quantities, (cells, members, years) of stocks.
        """
        tables = self.members.tables
        for derived in tables.derived.quantities:  # turnover a year and 1 / A, not the parameters of these names
            if derived.name == quantity:
                with np.errstate(all="ignore"):
                    return tables.derived.compute(self.members.parameters)[quantity], derived.unit, derived.meaning
        if quantity in tables.parameter_names:
            parameter = tables.parameter(quantity)
            return self.members.parameters[..., tables.column(quantity)], parameter.unit, parameter.meaning
        stock = next(one for one in tables.stocks if one.name == quantity)
        pools = self._stocks(tuple(years))
        total = sum(pools[..., tables.pool_names.index(pool)].astype(float) for pool in stock.pools)
        return np.asarray(total) * stock.scale, stock.unit, stock.meaning

    def is_daily(self, quantity: str) -> bool:
        """Whether a quantity is a daily output, of which means are compared."""
        return any(one.name == quantity for one in self.members.tables.compared)

    def means(self, quantity: str, periods: Sequence[tuple[int, int]]) -> tuple[np.ndarray, str, str]:
        """Return the means of a daily output over some years, NaN where a member has no result or a year no run.

        Args:
            quantity: name.
            periods: first and last calendar year of each mean.

        Returns:
            (cells, members, periods), unit and meaning.
        """
        output = self.members.tables.compared_output(quantity)
        key = tuple(periods)
        if key not in self._means:
            self._means[key] = self._daily_means(key)
        return self._means[key][quantity], output.unit, f"{output.meaning}, mean"

    def _daily_means(self, periods: tuple[tuple[int, int], ...]) -> dict[str, np.ndarray]:
        """Means of all daily outputs that can be compared, over whole years, the last time that the run meets each."""
        count, width = self.members.good.shape
        names = tuple(one.name for one in self.members.tables.compared)
        found = {name: np.full((count, width, len(periods)), np.nan) for name in names}
        first = min(begin for begin, _ in periods)
        met: set[int] = set()
        for run in late_runs(self.members, even_draw(count, self.most).tolist(), names, first, False):
            for place, (begin, end) in enumerate(periods):
                days = run.last & (run.year >= begin) & (run.year <= end)
                met |= set(np.unique(run.year).tolist())
                if set(range(begin, end + 1)) <= set(run.year[days].tolist()):
                    for name in names:
                        found[name][run.place, :, place] = run.simulated[name][:, days].mean(1, dtype=float)
        for begin, end in periods:
            if not any(np.isfinite(values[..., periods.index((begin, end))]).any() for values in found.values()):
                known = f"{min(met)} to {max(met)}" if met else "none"
                raise InputError(
                    f"{self.members.campaign.paths.root}: no run has all years of {begin} to {end}; from {first} on "
                    f"there are {known}"
                )
        return found

    def _stocks(self, years: tuple[int, ...]) -> np.ndarray:
        if years not in self._pools:
            self._pools[years] = pools_at(self.members, years) if self.members.is_grid else self._at_towers(years)
        return self._pools[years]

    def _at_towers(self, years: tuple[int, ...]) -> np.ndarray:
        """Pools of towers at the ends of years, or of their records."""
        count, width = self.members.good.shape
        names = self.members.tables.pool_names
        found = np.full((count, width, max(1, len(years)), len(names)), np.nan)
        for run in late_runs(self.members, range(count), names, min(years, default=None), False):
            for place, year in enumerate(years or (int(run.year[-1]),)):
                days = np.flatnonzero(run.year == year)
                if len(days):
                    found[run.place, :, place] = np.stack([run.simulated[pool][:, days[-1]] for pool in names], 1)
        return found

    def speak_for_cells(self, values: np.ndarray, quantity: str, screened: bool, statistic: str) -> np.ndarray:
        """Return one value a cell of (cells, members); NaN where members do not agree, if they are screened.

        Screened cells have at least three members, of which no more than half stand at a bound, and a robust CV up to
        the limit.
        """
        tables = self.members.tables
        period = tables.periods.get(quantity, 0.0)
        known = np.isfinite(values)
        if period:
            middle, rcv = circular_median_and_rcv(values, known, period)
            # Counted thrice, one member or two have a circular median as well.
            few, _ = circular_median_and_rcv(np.tile(values, 3), np.tile(known, 3), period)
            spoken = np.where(np.isfinite(middle), middle, few)
        else:
            _, rcv = median_and_rcv(values, known)
            blank = np.where(known.any(1, keepdims=True), values, 0.0)
            spoken = {
                "median": lambda: np.nanmedian(blank, 1),
                "mean": lambda: np.nanmean(blank, 1),
                "p25": lambda: np.nanpercentile(blank, 25, axis=1),
                "p75": lambda: np.nanpercentile(blank, 75, axis=1),
            }[statistic]()
            spoken = np.where(known.any(1), spoken, np.nan)
        if quantity in tables.parameter_names:
            rcv = without_bounds(rcv, values, tables.parameter(quantity))
        return np.where(rcv <= self.limit, spoken, np.nan) if screened else spoken

    def pairs(
        self, reference: np.ndarray, values: np.ndarray, quantity: str, screen: Any, units: str, meaning: str,
        **said: Any,
    ) -> Pairs:  # fmt: skip
        """Return a comparison with one pair a cell.

        Args:
            reference: (cells,).
            values: (cells, members).
            quantity: name.
            screen: the reference's table in the benchmark file.
            units: of both.
            meaning: of the quantity.
            said: further attributes.
        """
        statistic = getattr(screen, "statistic", "median")
        simulated = self.speak_for_cells(values, quantity, screen.screened, statistic)
        if period := self.members.tables.periods.get(quantity):
            base = np.asarray(reference)[:, None]
            values = base + apart(values, base, period)
            simulated = (base + apart(simulated[:, None], base, period))[:, 0]
        hidden = int((np.isfinite(values).any(1) & ~np.isfinite(simulated)).sum())
        notes = (
            [f"{hidden} cells masked: members disagree (rCV > {self.limit:g}), stand at a bound, or are fewer than 3"]
            if hidden
            else []
        )
        notes += [f"{statistic} of the members"] if statistic != "median" else []
        made = Pairs(
            slug=slug_of(f"{screen.name}-{quantity}"),
            name=screen.name,
            quantity=quantity,
            units="" if units == "1" else units,
            long_name=meaning,
            kind=screen.kind,
            cells=self.members.cells,
            latitude=self.members.latitude,
            longitude=self.members.longitude,
            cell=np.arange(len(self.members.cells)),
            reference=np.asarray(reference, float),
            simulated=simulated,
            members=np.asarray(values, float),
            area=self.members.area,
            strata=self.strata,
            notes=(*notes, *said.pop("notes", ())),
            experiment=self.members.name,
            has_zero=not period,
            **said,
        )
        return made


def slug_of(text: str) -> str:
    """Return a text as part of a file name."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return slug if slug[:1].isalpha() else f"x-{slug}"


def compare_map(cells: BenchmarkCells, asked: MapReference) -> Pairs:
    """Compare a quantity with a map; of several years all cell-years are pooled.

    Raises:
        InputError: as of `read_map`; forward runs that there are not.
    """
    members, path = cells.members, expand_path(asked.path, cells.base)
    if asked.age:
        runs, _ = forward_biomass(members, asked.age)
        values, units, meaning = (
            runs / DRY_MATTER * CARBON_FRACTION,
            "Mg ha-1",
            f"live biomass at age {asked.age}, carbon",
        )
    elif cells.is_daily(asked.quantity):
        periods = [(asked.mean_years[0], asked.mean_years[1])] if asked.mean_years else []
        values, units, meaning = cells.means(asked.quantity, periods or [(year, year) for year in asked.years or ()])
    else:
        values, units, meaning = cells.values(asked.quantity, asked.years or ())
    levels = []
    axis = time_axis(path, asked.variable) if asked.years or asked.mean_years else None
    if asked.years and len(asked.years) > 1 and axis is None:
        raise InputError(
            f"{path}: years = {asked.years}: variable {asked.variable} has no time axis (a dimension with units such "
            "as 'days since 2001-01-01'); write one reference with one year for each file"
        )
    for place, year in enumerate(asked.years or [None]):
        select = dict(asked.select)
        if year is not None and axis is not None:
            select.setdefault(axis, year)
        if asked.mean_years and axis is not None and steps_along(path, asked.variable, axis) > 1:
            select.setdefault(axis, list(asked.mean_years))
        found = read_map(
            path, asked.variable, members.latitude, members.longitude, members.campaign.step, select, asked.method, "",
            asked.units, members.cells,
        )  # fmt: skip
        reference = _converted(found.values * asked.scale + asked.offset, found.units, units, path, asked.variable)
        each = values[..., place] if values.ndim == 3 else values
        drawn = even_draw(len(values), cells.most)
        few = f"{len(drawn)} of {len(values)} cells, evenly drawn (cells = {cells.most})"
        told = (few,) if cells.is_daily(asked.quantity) and len(drawn) < len(values) else ()
        extra = {"source": path.name, "regrid": found.regrid, "notes": (*found.notes, *told)}
        levels.append(cells.pairs(reference, each, asked.quantity, asked, units, meaning, **extra))
    if len(levels) == 1:
        return levels[0]
    first = levels[0]
    return Pairs(
        **{
            **first.__dict__,
            "notes": tuple(dict.fromkeys(note for pairs in levels for note in pairs.notes)),
            "year": np.repeat(np.array(asked.years), len(first.cell)),
            "strata": {key: np.concatenate([p.strata[key] for p in levels]) for key in first.strata},
            **{
                key: np.concatenate([getattr(p, key) for p in levels])
                for key in ("cell", "reference", "simulated", "members")
            },
        }
    )


def _converted(values: np.ndarray, given: str, wanted: str, path: Path, variable: str) -> np.ndarray:
    """Values in the unit of ours; a share needs no unit."""
    if not given and wanted in ("", "1"):
        return values
    return convert(values, given, wanted, f"{path}: variable {variable}")


def compare_table(cells: BenchmarkCells, asked: TableReference) -> list[Pairs]:
    """Compare quantities with the columns of a table.

    Raises:
        InputError: as of `read_points`.
    """
    members, path = cells.members, expand_path(asked.path, cells.base)
    points = read_points(
        path, asked.columns, members.cells, members.latitude, members.longitude, members.campaign.step, asked.cell,
        (asked.latitude, asked.longitude), asked.renormalise, asked.where,
    )  # fmt: skip
    compared = []
    for quantity, column in asked.columns.items():
        values, units, meaning = cells.values(quantity)
        values = values[..., 0] if values.ndim == 3 else values
        reference = points.values[quantity] * asked.scale + asked.offset
        if asked.units:
            reference = convert(reference, asked.units, units, f"{path}: column {column}")
        notes = (f"{points.used} of {points.total} rows of the table lie in cells of the campaign",)
        refused = (
            "" if points.used else f"no row of {path.name} ({points.extent}) lies in one of the {len(values)} cells"
        )
        extra = {"source": path.name, "regrid": "points", "notes": notes, "refused": refused}
        compared.append(cells.pairs(reference, values, quantity, asked, units, meaning, **extra))
    return compared


def compare_growth(cells: BenchmarkCells, asked: GrowthReference) -> Pairs:
    """Compare biomass at an age with the store's growth curves, Mg ha-1 of dry matter (docs/science.md#forward-runs).

    Raises:
        InputError: a campaign of towers, or no forward runs and no growth-curve campaign.
    """
    members, experiment = cells.members, cells.members.campaign.configuration.calibration
    if not members.is_grid:
        raise InputError(f"{members.campaign.paths.root}: towers have no growth curves")
    meaning = f"live biomass at age {asked.age}, dry matter"
    if forward_file(members) is not None:
        values, target = forward_biomass(members, asked.age)
        source = "forward.nc"
    elif experiment.name == "growth-curve" and asked.age <= experiment.protocol.simulated:
        year = int(experiment.protocol.years[asked.age - 1])
        if experiment.protocol.last_met(year) != asked.age:
            raise InputError(f"age = {asked.age}: forward runs reach it; the run itself meets that year later again")
        values = cells.values("biomass", [year])[0][..., 0] / _CARBON_MG_HA
        target = _of_store(members, lambda cell: _at(cell.trajectory, asked.age))
        source = "the run itself"
    else:
        raise InputError(
            f"{members.campaign.paths.root}: no forward.nc beside it with this experiment; run `phloem forward` or "
            "`phloem experiments`"
        )
    extra = {"source": source, "regrid": "cells"}
    return cells.pairs(target / DRY_MATTER, values / DRY_MATTER, "biomass", asked, "Mg ha-1", meaning, **extra)


def compare_snapshot(cells: BenchmarkCells, asked: SnapshotReference) -> Pairs:
    """Compare biomass at the run's end with the mature forest's, in Mg ha-1 of dry matter.

    Raises:
        InputError: a campaign of towers.
    """
    if not cells.members.is_grid:
        raise InputError(f"{cells.members.campaign.paths.root}: towers have no biomass of a mature forest")
    values = cells.values("biomass")[0][..., 0] / _CARBON_MG_HA
    target = _of_store(cells.members, lambda cell: float(cell.statics.get("biomass_snapshot", np.nan)))
    meaning = "live biomass at the run's end, dry matter"
    extra = {"source": "driver store", "regrid": "cells"}
    return cells.pairs(target / DRY_MATTER, values / DRY_MATTER, "biomass", asked, "Mg ha-1", meaning, **extra)


def _at(curve: np.ndarray, age: int) -> float:
    return float(curve[age - 1]) if age <= len(curve) else float("nan")


def _of_store(members: Members, number: Any) -> np.ndarray:
    """A number of each cell of the driver store, (cells,)."""
    planned = {cell.name: cell for cell in members.campaign.cells}
    return np.array([number(members.campaign.read_unit(planned[name])) for name in members.cells])


def forward_file(members: Members) -> Path | None:
    """Return the forward runs of an experiment, beside or above its campaign; None where there are none with it."""
    root = members.campaign.paths.root.resolve()
    for path in (root / "forward.nc", root.parent / "forward.nc"):
        if path.is_file():
            with netCDF4.Dataset(str(path)) as file:
                if members.name in [str(name) for name in file["experiment"][:]]:
                    return path
    return None


def greatest_age(members: Members, wanted: int) -> int | None:
    """Return an age, or the greatest below it at which biomass can be compared with growth curves; None: at none.

    Forward runs keep all their years; the growth-curve run itself the last that it meets of each calendar year.
    """
    path = forward_file(members)
    if path is not None:
        with netCDF4.Dataset(str(path)) as file:
            return min(wanted, len(file.dimensions["year"]))
    campaign = members.campaign
    if members.name != "growth-curve":
        return None
    protocol = campaign.configuration.calibration.protocol
    years = protocol.years.tolist()
    curve = campaign.read_unit(campaign.cells[0]).trajectory
    reached = range(min(wanted, len(years), len(curve)), 0, -1)
    return next((age for age in reached if protocol.last_met(int(years[age - 1])) == age), None)


def forward_biomass(members: Members, age: int) -> tuple[np.ndarray, np.ndarray]:
    """Return live biomass at an age, gC m-2: of the forward runs (cells, members) and of the growth curves (cells,).

    Raises:
        InputError: no forward runs, or shorter ones.
    """
    path = forward_file(members)
    if path is None:
        raise InputError(
            f"{members.campaign.paths.root}: no forward.nc beside it with this experiment; run `phloem forward`"
        )
    with netCDF4.Dataset(str(path)) as file:
        if age > len(file.dimensions["year"]):
            raise InputError(f"age = {age}: {path} has {len(file.dimensions['year'])} years")
        row = [str(name) for name in file["experiment"][:]].index(members.name)
        places = {str(name): place for place, name in enumerate(file["cell"][:])}
        biomass = np.ma.filled(file["biomass"][row, :, :, age - 1].astype(float), np.nan)
        target = np.ma.filled(file["biomass_target"][:, age - 1].astype(float), np.nan)
    index = np.array([places.get(name, -1) for name in members.cells])
    own = np.where((index >= 0)[:, None], biomass[index], np.nan)
    return own, np.where(index >= 0, target[index], np.nan)
