"""Runs of a simulation: a cell's forcing and dates, and its members' parameters, as they are planned and read again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from phloem.errors import InputError, WorkError, some
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.store import Store, open_store
from phloem.io.drivers.tower_cell import Cell
from phloem.io.drivers.tower_files import list_towers, read_tower
from phloem.io.drivers.variables import driver_variables
from phloem.io.ingest.cf_grid_file import read_cf_grid
from phloem.io.merge.lazy_product import file_state
from phloem.io.merge.read_cells import read_merged
from phloem.jobs.calibration.run_dates import RunDates, run_dates, simulated_days
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.campaign.unit_table import PlannedUnit
from phloem.jobs.config.own_variables import own_variables
from phloem.jobs.config.parameters_file import check_parameters
from phloem.jobs.simulation.table import SimulationTable
from phloem.names import STATUS


@dataclass(frozen=True, eq=False)
class CellRun:
    """What one cell is run with.

    Attributes:
        name: of the cell.
        latitude, longitude: degrees.
        dates: of its days.
        weather: what the forward model reads, a NamedTuple of (rows,).
        row: row of the weather of each day, int (days,).
        values: physical parameters and initial pools, (runs, unknowns); NaN for a member that does not count.
        status: what became of each member, of `names.STATUS`, (runs,).
        checksum: of all that, hexadecimal.
    """

    name: str
    latitude: float
    longitude: float
    dates: RunDates
    weather: Any
    row: np.ndarray
    values: np.ndarray
    status: np.ndarray
    checksum: str

    @property
    def runs(self) -> list[int]:
        """The runs that there are: of members that count."""
        return np.flatnonzero(np.isfinite(self.values).all(axis=1)).tolist()


class SimulatedCampaign:
    """The campaign that is simulated, with its parameters and the drivers of the simulation.

    Attributes:
        campaign: merged.
        table: of the simulation.
    """

    def __init__(self, table: SimulationTable) -> None:
        """Open all that is read.

        Raises:
            InputError: no campaign there, a cell or member that it does not have, or no such drivers.
            WorkError: it is not merged.
        """
        self.table = table
        self.campaign = open_campaign(Path(table.campaign))
        merged = self.campaign.paths.merged
        if not merged.is_file():
            raise WorkError(f"{merged} is not there yet: phloem run {self.campaign.paths.root}")
        every = {cell: place for place, cell in enumerate(self.campaign.cells.names)}
        self.names = list(every) if table.cells is None else list(table.cells)
        if absent := [name for name in self.names if name not in every]:
            raise InputError(f"{self.campaign.paths.root}: no cell {absent[0]!r}; it has {some(list(every))}")
        members = self.campaign.configuration.campaign.members
        if wrong := [number for number in table.numbers or () if not 0 <= number < members]:
            raise InputError(f"{self.campaign.paths.root}: no member {wrong[0]}; it has 0 to {members - 1}")
        self._planned = {name: self.campaign.cells[every[name]] for name in self.names}
        self._arrays: Mapping[str, np.ndarray] | None = None
        self._drivers = None if table.drivers is None else _Drivers(Path(table.drivers), table, self.campaign)

    def planned(self, name: str) -> PlannedUnit:
        """Return a cell as the campaign has planned it."""
        return self._planned[name]

    def read(self, name: str) -> CellRun:
        """Read a cell's drivers and parameters.

        Raises:
            InputError: drivers that are not what they were, or that there are none of in the scenario.
        """
        experiment = self.campaign.configuration.calibration
        cell = self.campaign.read_unit(self._planned[name])
        proof = cell.checksum
        if self._drivers is None:
            site = experiment.site(cell)
            weather, year, doy = experiment.forward_weather(site), *simulated_days(cell, experiment, site)
            row = np.arange(len(year)) if site.weather_row is None else np.asarray(site.weather_row)
            calendar = cell.calendar if isinstance(cell, GridCell) else "standard"
        else:
            drivers = self._drivers.read(name)
            proof += drivers.checksum
            weather = experiment.scenario_weather(cell, drivers)
            if isinstance(drivers, Cell):
                year = drivers.dates.astype("datetime64[Y]").astype(int) + 1970
            else:
                year = np.asarray(drivers.year)
            doy, row = np.asarray(drivers.doy), np.arange(len(drivers.doy))
            calendar = drivers.calendar if isinstance(drivers, GridCell) else "standard"
        values, status = self._values(name)
        sha = hashlib.sha256(proof.encode() + np.ascontiguousarray(values).tobytes())
        dates = run_dates(calendar, year, doy)
        return CellRun(
            name, float(cell.latitude), float(cell.longitude), dates, weather, row, values, status, sha.hexdigest()
        )

    def _values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return parameters and initial pools of a cell's runs, and what became of their members."""
        tables = self.campaign.configuration.calibration.tables
        if self._arrays is None:
            suffix = "_median" if self.table.numbers is None else ""
            wanted = ("status", f"parameters{suffix}", f"initial_pools{suffix}")
            found = read_merged(self.campaign.paths.merged, wanted, self.names)
            joined = np.concatenate([found[wanted[1]], found[wanted[2]]], axis=-1)
            self._arrays = {"status": found["status"], "values": joined}
            self._place = {cell: place for place, cell in enumerate(self.names)}
        place = self._place[name]
        values, status = self._arrays["values"][place], self._arrays["status"][place]
        if self.table.numbers is None:
            code = "calibrated" if np.isfinite(values).all() else "set_aside"
            if code == "calibrated":
                columns = dict(zip(tables.unknown_names, values[:, None], strict=True))
                values = check_parameters(columns, tables, f"{self.campaign.paths.merged}, cell {name}, median")[0]
            return values[None], np.array([STATUS[code]], np.int8)
        values, status = values[self.table.numbers], status[self.table.numbers].astype(np.int8)
        return np.where(good_lanes(status)[:, None], values, np.nan), status


class _Drivers:
    """Drivers of a scenario by cell: towers by their names, cells of a store or a CF grid file by their ids."""

    def __init__(self, path: Path, table: SimulationTable, campaign: Campaign) -> None:
        self.path, self.table = path, table
        self.variables = driver_variables(campaign.configuration.calibration.tables)
        data = campaign.configuration.data
        self.own = own_variables(data.variables)
        self.store: Store | None = None
        self.cells: dict[str, GridCell] = {}
        self.towers: dict[str, Path] = {}
        if data.is_store:
            if path.is_file():
                self.cells = {
                    cell.name: cell for cell in read_cf_grid(path, None, self.own, data.stamps, compared=False)
                }
            else:
                self.store = open_store(path)
                self.places = {name: place for place, name in enumerate(self.store.names)}
        elif path.is_file():
            self.towers = {path.stem: path}
        else:
            self.towers = list_towers(path)

    def read(self, name: str) -> Cell | GridCell:
        """Read the drivers of a cell.

        Raises:
            InputError: there are none of it.
        """
        known: Sequence[str] = list(self.places if self.store is not None else self.cells or self.towers)
        if name not in known:
            raise InputError(f"--drivers {self.path}: has no drivers of cell {name}; it has {some(list(known))}")
        if self.store is not None:
            return self.store.read([self.places[name]])[0]
        if self.cells:
            return self.cells[name]
        quality = self.table.quality
        return read_tower(self.towers[name], quality=quality, compared=False, variables=self.variables, own=self.own)


def open_source(table: SimulationTable) -> SimulatedCampaign:
    """Open a simulation's source, once a process while its product stays as it is.

    Raises:
        InputError, WorkError: as of `SimulatedCampaign`.
    """
    merged = Path(table.campaign) / "merged.nc"
    return _opened(table.model_dump_json(), file_state(merged) if merged.is_file() else None)


@lru_cache(maxsize=1)
def _opened(document: str, _state: object) -> SimulatedCampaign:
    return SimulatedCampaign(SimulationTable.model_validate_json(document))


def say_what_lacks(table: SimulationTable, lacking: Mapping[str, int], cells: int) -> str:
    """Return in words which runs there cannot be.

    Args:
        table: of the simulation.
        lacking: by cell, how many of its runs.
        cells: that are simulated.

    Raises:
        InputError: there is none at all.
    """
    each = 1 if table.numbers is None else len(table.numbers)
    names = some(list(lacking))
    if sum(lacking.values()) == cells * each:
        if table.numbers is None:
            raise InputError(f"--members median: no cell has one, for which three members must count: {names}")
        chosen = ", ".join(map(str, table.numbers))
        raise InputError(f"--members {chosen}: of no cell does any of them count: {names}; see phloem report")
    if table.numbers is None:
        return f"{len(lacking)} of {cells} cells have no median, for which three members must count: {names}; missing"
    return f"{sum(lacking.values())} of {cells * each} members do not count and are missing, of {names}"


def planned_run(run: CellRun, planned: PlannedUnit) -> PlannedUnit:
    """Return a run as a unit of a simulation's plan."""
    return replace(planned, checksum=run.checksum, days=len(run.dates), findings=())
