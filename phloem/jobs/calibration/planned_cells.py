"""The cells of a calibration as a campaign plans them and reads them again: towers, a driver store, made-up ones."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from phloem.errors import InputError, some
from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.store import Store, open_store
from phloem.io.drivers.tower_cell import Cell, in_years
from phloem.io.drivers.tower_files import PRIORS, list_towers, read_tower
from phloem.io.drivers.variables import driver_variables
from phloem.io.files.atomic import write_atomically
from phloem.io.grids.placed_cells import DEFAULT_STEP
from phloem.jobs.calibration.store_cells import plan_columns, read_planned, store_of_file
from phloem.jobs.campaign.campaign import Campaign, relative_to_campaign
from phloem.jobs.campaign.kind_of_work import CheckedInput, Units
from phloem.jobs.campaign.unit_table import PlannedUnit, UnitTable
from phloem.jobs.config.campaign_file import Configuration
from phloem.jobs.config.own_variables import own_variables
from phloem.jobs.config.paths import data_root, expand_path
from phloem.jobs.progress import ProgressBar, say

MOST_TOLD = 50
"""Cells whose reasons a refusal tells, at most."""


def check_cells(configuration: Configuration, base: Path) -> CheckedInput:
    """Read and check all drivers; see `KindOfWork.check`."""
    if configuration.data.kind == "synthetic":
        return MadeUp(configuration)
    return (_check_store if configuration.data.kind == "grid" else _check_towers)(configuration, base)


def _with_path(configuration: Configuration, path: Path) -> Configuration:
    data = configuration.data.model_copy(update={"path": str(path)})
    return configuration.model_copy(update={"data": data})


@dataclass(frozen=True)
class Towers:
    """A folder of towers, each of them read.

    Attributes:
        configuration: of the campaign.
        cells: that can be used.
        dropped: why the others were left out, by name.
    """

    configuration: Configuration
    cells: Sequence[Cell]
    dropped: Mapping[str, str] = field(default_factory=dict)

    def units(self, root: Path) -> Units:
        """Return the towers; what was left out stands in the campaign's dropped.csv."""
        write_dropped(root, self.dropped)
        return _units_of(self.cells, root)


def _check_towers(configuration: Configuration, base: Path) -> Towers:
    data = configuration.data
    folder = expand_path(str(data.path), base)
    sources = list_towers(folder, data.sites)
    reference = expand_path(data.reference, base) if data.reference else None
    variables, own = driver_variables(configuration.calibration.tables), own_variables(data.variables)
    cells, bad = [], {}
    with ProgressBar("checking drivers", len(sources)) as bar:
        for count, (name, path) in enumerate(sources.items(), 1):
            try:
                cell = read_tower(path, quality=data.quality, reference=reference, variables=variables, own=own)
                cells.append(in_years(cell, configuration.calibration.tower_years))
            except InputError as error:
                bad[name] = str(error)
            bar.update(count, name)
    refuse_or_drop(bad, len(sources), configuration, "towers")
    with_priors = [cell.name for cell in cells if any(finding.variable in PRIORS for finding in cell.findings)]
    if with_priors:
        say(f"note: {len(with_priors)} files bring prior values ({', '.join(PRIORS)}), which are not used")
    return Towers(_with_path(configuration, folder), cells, bad)


def refuse_or_drop(bad: Mapping[str, str], of: int, configuration: Configuration, what: str) -> None:
    """Say which cells cannot be used, all of them at once: refuse, or leave them out as `data.on_bad` says.

    Args:
        bad: why, by name.
        of: number of all cells.
        configuration: of the campaign.
        what: the cells are called in messages.

    Raises:
        InputError: they are to be refused, or none is left.
    """
    if not bad:
        return
    if configuration.data.on_bad == "drop" and len(bad) < of:
        say(f"{len(bad)} of {of} {what} are left out (data.on_bad): {some(list(bad))}; dropped.csv says why")
        return
    told = list(bad.values())
    reasons = "\n".join(told[:MOST_TOLD]) + (f"\nand {len(bad) - MOST_TOLD} more" if len(bad) > MOST_TOLD else "")
    if of == 1:
        raise InputError(reasons)
    mend = "no other is left" if len(bad) == of else 'mend them, or leave them out with data.on_bad = "drop"'
    raise InputError(f"{reasons}\n{len(bad)} of {of} {what} cannot be used: {mend}")


def write_dropped(root: Path, dropped: Mapping[str, str]) -> None:
    """Write which cells a campaign has left out, and why; nothing where none was."""
    if dropped:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("cell", "reason"), *dropped.items()])
        write_atomically(root / "dropped.csv", text.getvalue().encode())


def _units_of(cells: Sequence[Cell], root: Path) -> Units:
    planned = [
        PlannedUnit(
            name=cell.name,
            source=relative_to_campaign(Path(cell.source), root),
            checksum=cell.checksum,
            days=len(cell.time),
            training_days=cell.training_days,
            latitude=float(cell.latitude),
            longitude=float(cell.longitude),
            findings=tuple(f"{f.variable}: {f.message} [{f.severity}]" for f in cell.findings),
        )
        for cell in cells
    ]
    return Units(UnitTable.of(planned))


@dataclass(frozen=True)
class StoreCells:
    """A driver store, or one CF-NetCDF file of which a store is made inside the campaign."""

    configuration: Configuration
    store: Store | None

    def units(self, root: Path) -> Units:
        """Return the cells that the configuration chooses."""
        store = self.store
        if store is None:
            path = Path(str(self.configuration.data.path))
            say(f"making a driver store of {path}")
            data = self.configuration.data
            store = store_of_file(path, root / "drivers", own_variables(data.variables), data.stamps)
            size = f"{store.step:g} degrees wide" if store.step else "on no grid of squares: merged.nc will list them"
            say(f"its {len(store)} cells are {size}")
        return _units_in(store, self.configuration, root)


def _check_store(configuration: Configuration, base: Path) -> StoreCells:
    path = expand_path(str(configuration.data.path), base)
    store = None if path.is_file() else open_store(path)
    if store is not None:
        if configuration.data.variables or configuration.data.stamps != "begin":
            raise InputError(
                f"data.path: {path} is a driver store, whose variables are known; data.variables and data.stamps go "
                "with a CF-NetCDF file"
            )
        plan_columns(store, configuration.data.sites, configuration.calibration, configuration.data.on_bad)
    return StoreCells(_with_path(configuration, path), store)


def _units_in(store: Store, configuration: Configuration, root: Path) -> Units:
    columns = plan_columns(store, configuration.data.sites, configuration.calibration, configuration.data.on_bad)
    _tell_dropped(store, configuration, columns["name"], root)
    columns["source"] = [_relative_row(source, root) for source in columns["source"]]
    return Units(UnitTable(columns, {}), _facts(store.places, store.step or DEFAULT_STEP))


def _tell_dropped(store: Store, configuration: Configuration, kept: Sequence[str], root: Path) -> None:
    """Say which of the cells that were chosen are left out; their names stand in the campaign's dropped.csv."""
    names, taken = configuration.data.sites or store.names, set(kept)
    dropped = {name: "lacks what the experiment fits" for name in names if name not in taken}
    if dropped:
        told = f"{len(dropped)} of {len(names)} cells are left out (data.on_bad): {some(list(dropped))}"
        say(f"{told}; dropped.csv says why")
    write_dropped(root, dropped)


def _facts(places: bool, step: float) -> dict[str, Any]:
    return {**({"places": True} if places else {}), **({"step": step} if step != DEFAULT_STEP else {})}


def _relative_row(source: str, root: Path) -> str:
    file, _, row = source.rpartition("#")
    return f"{relative_to_campaign(Path(file), root)}#{row}"


@dataclass(frozen=True)
class MadeUp:
    """Cells whose drivers are made inside the campaign: a transect of towers, or a boreal domain."""

    configuration: Configuration

    def units(self, root: Path) -> Units:
        """Make the drivers, and return the cells."""
        data, seed = self.configuration.data, self.configuration.campaign.seed
        with ProgressBar("making drivers", data.cells) as bar:
            if data.is_store:
                from phloem.jobs.synthetic.boreal_domain import make_store

                store = make_store(root / "drivers", data.cells, seed, data_root(), bar.update)
                return _units_in(store, self.configuration, root)
            from phloem.jobs.synthetic.transect import make_transect

            return _units_of(make_transect(root / "drivers", data.cells, data.years, seed, bar.update), root)


def moved_cells(campaign: Campaign, wanted: Configuration, base: Path) -> Units | None:
    """Return the cells with their drivers in another folder; see `KindOfWork.moved`."""
    if wanted.data.kind == "synthetic":
        return None
    folder = expand_path(str(wanted.data.path), base)
    frozen = expand_path(str(campaign.configuration.data.path), campaign.paths.root)
    if folder == frozen or folder.is_file():  # a file was taken into the campaign when it was planned
        return None
    root, cells = campaign.paths.root, campaign.cells
    if campaign.configuration.data.is_store:
        columns = _same_cells(campaign, open_store(folder))
        return Units(UnitTable(columns, {}), _facts(campaign.places, campaign.step))
    sources = list_towers(folder, [cell.name for cell in cells])
    cells_there = [replace(cell, source=relative_to_campaign(sources[cell.name], root)) for cell in cells]
    return Units(UnitTable.of(cells_there), _facts(campaign.places, campaign.step))


def _same_cells(campaign: Campaign, store: Store) -> dict[str, list[Any]]:
    """Return the columns of a campaign's table for the same cells in a store elsewhere, in the campaign's order.

    Raises:
        InputError: a cell is not there, or its drivers are not those of the plan.
    """
    names = list(campaign.cells.names)
    columns = plan_columns(store, names, campaign.configuration.calibration)
    place = {name: number for number, name in enumerate(columns["name"])}
    columns = {key: [values[place[name]] for name in names] for key, values in columns.items()}
    for name, checksum, planned in zip(names, columns["checksum"], campaign.cells.columns["checksum"], strict=True):
        if checksum != planned:
            raise InputError(
                f"{store.paths.index}: cell {name}: this driver store is not the one over which the campaign was "
                f"planned (sha256 {checksum[:12]}, planned {planned[:12]}). Put that store there, or start a new "
                "campaign with --out."
            )
    columns["source"] = [_relative_row(source, campaign.paths.root) for source in columns["source"]]
    return columns


def read_planned_cells(campaign: Campaign, planned: Sequence[PlannedUnit]) -> list[Cell] | list[GridCell]:
    """Read the drivers of some cells again.

    Raises:
        InputError: when they are not what they were when the campaign was planned.
    """
    if campaign.configuration.data.is_store:
        return read_planned(campaign.paths.root, planned)
    return [_read_tower_again(campaign, unit) for unit in planned]


def _read_tower_again(campaign: Campaign, cell: PlannedUnit) -> Cell:
    path = campaign.paths.root / cell.source
    data, variables = campaign.configuration.data, driver_variables(campaign.configuration.calibration.tables)
    read = read_tower(path, quality=data.quality, variables=variables, own=own_variables(data.variables))
    if read.checksum != cell.checksum:
        raise InputError(
            f"{path}: cell {cell.name}: the driver file is not what it was when the campaign was planned "
            f"(sha256 {read.checksum[:12]}, planned {cell.checksum[:12]}). Put the old file back, or start a "
            "new campaign with --out."
        )
    return in_years(read, campaign.configuration.calibration.tower_years)
