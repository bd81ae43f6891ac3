"""The product of a simulation: a CF-NetCDF file, (member, time, cell) or (member, time, lat, lon), written by tiles."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.hpc.apart import ProcessEnded, run_apart
from phloem.io.campaign.tile_schema import MEDIANS_RULE, TileSchema, TileVariable
from phloem.io.campaign.tiles import load_tile, read_commits
from phloem.io.drivers.tower_arrays import TIME_UNITS
from phloem.io.files.disk_space import not_written
from phloem.io.files.netcdf import CONVENTIONS, FILL, UNSTRUCTURED, filled
from phloem.io.files.replaced_netcdf import file_aside, replaced_netcdf
from phloem.io.grids.placed_cells import PlacedCells, place_cells
from phloem.io.merge.place_axes import define_cell_axis, define_grid_axes
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.progress import ProgressBar
from phloem.jobs.simulation.periods import PeriodAxis
from phloem.jobs.simulation.table import SimulationTable
from phloem.jobs.single_cell import daily_outputs
from phloem.model_tables import ModelTables, Quantity
from phloem.names import STATUS

CHUNK_BYTES = 2**20
"""Bytes of a chunk, about."""

Arrays = dict[str, np.ndarray]


def simulation_schema(tables: ModelTables, precision: str) -> TileSchema:
    """Return what a simulation's tile holds; its periods are those of its longest run."""

    def cells(kind: str, units: str, long_name: str, *more: str) -> TileVariable:
        return TileVariable(("cell", *more), (kind,), units, long_name)

    size = "f4" if precision == "float32" else "f8"
    variables = {
        "cell": cells("str", "", "site or cell identifier"),
        "latitude": cells("f8", "degrees_north", "latitude"),
        "longitude": cells("f8", "degrees_east", "longitude"),
        "status": cells("i1", "", "what became of the lane in its calibration", "member"),
        "first": cells("i8", "1", "number of the first period that is kept"),
        "periods": cells("i8", "1", "periods that are kept"),
        "calendar": cells("str", "", "calendar of the cell's days"),
        "forcing_year": cells("i4", "1", "calendar year whose forcing a period had", "period"),
    }
    for one in daily_outputs(tables):
        variables[one.name] = cells(size, one.unit, one.meaning, "member", "period")
    return TileSchema(variables, {})


@dataclass(frozen=True)
class _Frame:
    """Axes of the product.

    Attributes:
        axis: of time.
        grid: where the cells lie, None for towers and places.
        names: of the cells, in the order of the product.
        latitude, longitude: of the cells, degrees.
        forcing_year: calendar year whose forcing each period had, where the years of forcing are repeated; else None.
    """

    axis: PeriodAxis
    grid: PlacedCells | None
    names: Sequence[str]
    latitude: np.ndarray
    longitude: np.ndarray
    forcing_year: np.ndarray | None


def write_simulation(campaign: Campaign, table: SimulationTable) -> Path:
    """Write the file of a simulation whose tiles are done; what stood there before stays until it is whole.

    Args:
        campaign: the simulation.
        table: of the simulation.

    Raises:
        InputError: no day lies in the years that were asked for.
        WorkError: a tile is damaged, or the file cannot be written.
    """
    out = Path(table.out)
    started: list[int] = []
    try:
        with ProgressBar(f"writing {out.name}", 2 * len(campaign.tiles)) as bar:
            path: Path = run_apart(f"{__name__}:write_apart", campaign.paths.root, bar.update, started.append)
    except ProcessEnded as error:
        raise not_written(out, error, _AGAIN) from error
    finally:
        for process in started:
            file_aside(out, process).unlink(missing_ok=True)
    return path


_AGAIN = "the same command goes on from here"


def write_apart(root: Path, report: Callable[[int], None]) -> Path:
    """Write the file of a simulation, in a process of its own.

    Args:
        root: directory of the simulation.
        report: told of the tiles read, of which each is read twice.
    """
    campaign = open_campaign(root)
    table = campaign.configuration.experiment
    assert isinstance(table, SimulationTable)
    source = open_campaign(Path(table.campaign))
    out = Path(table.out)
    commits = read_commits(campaign.paths)
    numbers = range(len(campaign.tiles))

    def load(number: int) -> Arrays:
        return load_tile(campaign.paths, number, campaign.schema, commits)[0]

    tables, precision = source.configuration.calibration.tables, source.configuration.calibration.precision
    frame = _survey(campaign, source, table, load, report)
    with replaced_netcdf(out, _AGAIN) as file:
        _define(file, frame, source, table, daily_outputs(tables), precision)
        write = _write_rows if frame.grid is not None else _write_cells
        write(file, frame, numbers, load, [one.name for one in daily_outputs(tables)], report)
    return out


def _survey(
    campaign: Campaign, source: Campaign, table: SimulationTable, load: Callable[[int], Arrays],
    on_progress: Callable[[int], None],
) -> _Frame:  # fmt: skip
    """Look at all tiles for the axis of time; refuse a product without any period."""
    firsts, lasts, calendars = [], [], set()
    years: dict[int, set[int]] = {}
    for number in range(len(campaign.tiles)):
        arrays = load(number)
        some = np.flatnonzero(arrays["periods"] > 0)
        firsts += arrays["first"][some].tolist()
        lasts += (arrays["first"] + arrays["periods"] - 1)[some].tolist()
        calendars |= set(arrays["calendar"][some].tolist())
        for place in some.tolist():
            for step, year in enumerate(arrays["forcing_year"][place, : arrays["periods"][place]].tolist()):
                years.setdefault(int(arrays["first"][place]) + step, set()).add(year)
        on_progress(number + 1)
    if not firsts:
        asked = "" if table.shown_years is None else f" --years {table.shown_years[0]}-{table.shown_years[1]}"
        raise InputError(f"{source.paths.root}: no day of its runs lies in the years that were asked for{asked}")
    if len(calendars) > 1:
        raise InputError(
            f"{source.paths.root}: cells of several calendars ({', '.join(sorted(calendars))}); name --cells"
        )
    axis = PeriodAxis(table.what, calendars.pop(), min(firsts), max(lasts))
    columns = campaign.cells.columns
    protocol = source.configuration.calibration.protocol if source.configuration.data.is_store else None
    repeated = table.drivers is None and protocol is not None and protocol.cycled
    grid = None
    if source.configuration.data.is_store and not source.places:
        grid = place_cells(columns["name"], columns["latitude"], columns["longitude"], source.step)
    each = np.array([min(years.get(key, {0})) for key in range(axis.first, axis.last + 1)])
    return _Frame(
        axis,
        grid,
        list(columns["name"]),
        np.array(columns["latitude"], float),
        np.array(columns["longitude"], float),
        each if repeated else None,
    )


def _define(
    file: netCDF4.Dataset, frame: _Frame, source: Campaign, table: SimulationTable, outputs: Sequence[Quantity],
    precision: str,
) -> None:  # fmt: skip
    """Create dimensions, coordinates, variables and attributes."""
    axis, what = frame.axis, table.what
    experiment = source.configuration.calibration
    file.setncatts(
        {
            "Conventions": CONVENTIONS,
            "title": f"phloem simulation of the campaign {source.configuration.campaign.name}",
            "source": f"phloem {source.version}",
            "experiment": experiment.name,
            "mode": experiment.mode,
            "precision": experiment.precision,
            "configuration_hash": source.configuration.fingerprint(),
            "drivers": "those of the calibration" if table.drivers is None else str(table.drivers),
            "medians_rule": MEDIANS_RULE,
            "comment": "missing: members that do not count (status), and periods of which not all days were run",
        }
    )
    members = [-1] if table.numbers is None else table.numbers
    for name, length in (("member", len(members)), ("time", len(axis)), ("bnds", 2)):
        file.createDimension(name, length)
    member = file.createVariable("member", "i4", ("member",))
    text = "random restart" if table.numbers is not None else "-1: the median over the members"
    member.setncatts({"long_name": text, "units": "1", "standard_name": "realization"})
    member[:] = members
    time = file.createVariable("time", "f8", ("time",))
    time.setncatts({"units": TIME_UNITS, "calendar": axis.calendar, "standard_name": "time", "axis": "T"})
    time[:] = axis.time
    if what != "daily":
        time.bounds = "time_bnds"
        file.createVariable("time_bnds", "f8", ("time", "bnds"))[:] = axis.bounds
    auxiliary = ""
    if frame.forcing_year is not None:
        auxiliary = " forcing_year"
        year = file.createVariable("forcing_year", "i4", ("time",))
        year.setncatts({"long_name": "calendar year whose forcing the run had", "units": "1"})
        year[:] = frame.forcing_year
        time.comment = (
            "the run repeats its years of forcing; its years are counted backward from the last one, whose date is true"
        )
    if frame.grid is not None:
        place = define_grid_axes(file, frame.grid.grid)
    else:
        place = define_cell_axis(file, frame.names, frame.latitude, frame.longitude)
        auxiliary += " latitude longitude"
    dimensions = ("member", "time", *place)
    shape = [len(file.dimensions[name]) for name in dimensions]
    size = np.dtype(precision).itemsize
    behind = [1, shape[3]] if frame.grid is not None else shape[2:]
    chunk = [1, max(1, min(shape[1], CHUNK_BYTES // (size * int(np.prod(behind))))), *behind]
    for one in outputs:
        variable = file.createVariable(
            one.name, precision, dimensions, zlib=True, complevel=1, shuffle=True, fill_value=FILL, chunksizes=chunk,
            chunk_cache=4 * CHUNK_BYTES,
        )  # fmt: skip
        variable.setncatts({"units": one.unit, "long_name": one.meaning})
        if what != "daily":
            variable.cell_methods = "time: mean"
        if auxiliary:
            variable.coordinates = auxiliary.strip()
        if place == ("cell",):
            variable.CDI_grid_type = UNSTRUCTURED
        variable.set_auto_maskandscale(False)
    status = file.createVariable("status", "i1", ("member", *place), fill_value=np.int8(-1))
    status.setncatts({"long_name": "what became of the member in its calibration", "standard_name": "status_flag"})
    status.flag_values = np.array(list(STATUS.values()), np.int8)
    status.flag_meanings = " ".join(STATUS)
    status.set_auto_maskandscale(False)


def _write_cells(
    file: netCDF4.Dataset, frame: _Frame, numbers: Sequence[int], load: Callable[[int], Arrays], names: Sequence[str],
    on_progress: Callable[[int], None],
) -> None:  # fmt: skip
    """Write towers and places, tile after tile."""
    start = 0
    for number in numbers:
        arrays = load(number)
        stop = start + len(arrays["cell"])
        file["status"][:, start:stop] = arrays["status"].T
        for name in names:
            file[name][:, :, start:stop] = np.moveaxis(_on_axis(arrays, name, frame.axis), 0, 2)
        start = stop
        on_progress(len(numbers) + number + 1)


def _write_rows(
    file: netCDF4.Dataset, frame: _Frame, numbers: Sequence[int], load: Callable[[int], Arrays], names: Sequence[str],
    on_progress: Callable[[int], None],
) -> None:  # fmt: skip
    """Write a grid row after row, each once and whole: a row is held until the last tile of its cells has come."""
    assert frame.grid is not None
    columns = frame.grid.grid.shape[1]
    slots = frame.grid.slots_of(frame.names)
    row_of = dict(zip(frame.names, (slots // columns).tolist(), strict=True))
    column_of = dict(zip(frame.names, (slots % columns).tolist(), strict=True))
    waiting = dict(zip(*(one.tolist() for one in np.unique(slots // columns, return_counts=True)), strict=True))
    held: dict[int, dict[str, np.ndarray]] = {}
    for number in numbers:
        arrays = load(number)
        cells = arrays["cell"].tolist()
        on_axis = {name: _on_axis(arrays, name, frame.axis) for name in names}
        for place, cell in enumerate(cells):
            row, column = row_of[cell], column_of[cell]
            values = held.setdefault(row, {})
            for name in names:
                if name not in values:
                    values[name] = np.full((*on_axis[name].shape[1:], columns), FILL, on_axis[name].dtype)
                values[name][..., column] = on_axis[name][place]
            values.setdefault("status", np.full((arrays["status"].shape[1], columns), -1, np.int8))
            values["status"][:, column] = arrays["status"][place]
            waiting[row] -= 1
            if not waiting[row]:
                for name, of_row in held.pop(row).items():
                    if name == "status":
                        file[name][:, row] = of_row
                    else:
                        file[name][:, :, row] = of_row
        on_progress(len(numbers) + number + 1)


def _on_axis(arrays: Arrays, name: str, axis: PeriodAxis) -> Any:
    """Return the values of a tile on the axis of the product, (cells, members, times)."""
    values = arrays[name]
    found = np.full((*values.shape[:2], len(axis)), np.nan, values.dtype)
    for place, (first, count) in enumerate(zip(arrays["first"].tolist(), arrays["periods"].tolist(), strict=True)):
        if count > 0:
            found[place, :, first - axis.first : first - axis.first + count] = values[place, :, :count]
    return filled(found)


def forget_parts(campaign: Campaign) -> None:
    """Remove the parts of a simulation whose file is written."""
    shutil.rmtree(campaign.paths.root, ignore_errors=True)
