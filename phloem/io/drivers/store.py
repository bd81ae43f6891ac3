"""The driver store: files of `phloem ingest` that the tiles of a grid campaign read.

A folder. `store.json` is the sealed table of its cells; each chunk is a CF-NetCDF file of some consecutive cells, all
days of a cell in one piece, so that a tile reads its cells in one pass. Every cell proves itself by a checksum of its
own, which does not depend on the chunks.

Days follow the forcing's calendar: `standard` (Gregorian) or `noleap`. Observations stand on the days they belong to:
a window mean (RECO) on the last day of its window, a composite (LAI) on its first day; all other days are NaN. Which
streams are window means, a store can say otherwise among its facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import GridCell, days_since_epoch
from phloem.io.drivers.tower_cell import day_of_year
from phloem.io.drivers.variables import EPOCH, EVAPORATIVE_FRACTION, VARIABLES
from phloem.io.files.atomic import CorruptFile
from phloem.io.files.netcdf import CONVENTIONS, write_netcdf
from phloem.io.files.sealed_json import copy_of, read_sealed, write_sealed
from phloem.io.grids.placed_cells import DEFAULT_STEP
from phloem.names import FORCING, STREAMS, WINDOW_MEANS

FORMAT = 1

STATICS = {
    "biomass_snapshot": ("g m-2", "live biomass of the mature forest at the end of the last observed year, carbon"),
    "lcma": ("g m-2", "leaf carbon per leaf area"),
    "cue": ("1", "carbon-use efficiency"),
    "root_shoot": ("1", "below-ground over above-ground biomass"),
    "growth_amax": ("Mg ha-1", "asymptote of the above-ground growth curve, dry matter"),
    "growth_k": ("yr-1", "rate of the growth curve"),
    "growth_c": ("1", "shape of the growth curve"),
    "elevation": ("m", "elevation"),
}
"""Units and long names of the numbers of a cell that the program itself reads or makes; others may stand beside."""

COLUMNS = ("name", "latitude", "longitude", "chunk", "row", "checksum", "snapshot", "trajectory")
"""Columns of the table of cells."""

OBSERVED = ("first_observed", "last_observed")
"""Columns that older stores do not have: first and last year with an observation of any stream, 0 where none is."""

_TRAJECTORY = ("g m-2", "live biomass of a stand of this age, carbon")


@dataclass(frozen=True)
class StorePaths:
    """The files of a driver store; nobody else spells their names.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def index(self) -> Path:
        """The sealed table of cells; it comes last and makes the folder a store."""
        return self.root / "store.json"

    @property
    def journal(self) -> Path:
        """One checksummed line for each chunk that is done, while the store is being made."""
        return self.root / "ingest.jsonl"

    @property
    def dropped(self) -> Path:
        """The cells that were left out, and why (CSV)."""
        return self.root / "dropped.csv"

    @property
    def log(self) -> Path:
        """What was read, converted and dropped, for people."""
        return self.root / "ingest.log"

    @property
    def truth(self) -> Path:
        """The true parameters of a synthetic domain (CSV)."""
        return self.root / "truth.csv"

    def chunk(self, number: int) -> Path:
        """Return the file of a chunk."""
        return self.root / "chunks" / f"{number // 1000:03d}" / f"chunk_{number:06d}.nc"


def write_chunk(path: Path, cells: Sequence[GridCell], units: Mapping[str, tuple[str, str]] | None = None) -> None:
    """Write some cells atomically; the same cells give the same content.

    Args:
        path: of the chunk; its folder is made.
        cells: of one calendar and the same days.
        units: units and long names of statics that `STATICS` does not know.

    Raises:
        ValueError: cells of different days, ages or statics, no age, or forcing that is not finite.
    """
    first = cells[0]
    if not len(first.trajectory):
        raise ValueError(f"cell {first.name}: a trajectory has at least one age, NaN where there is none")
    for cell in cells:
        same = cell.calendar == first.calendar and np.array_equal(cell.year, first.year)
        same = same and list(cell.statics) == list(first.statics) and list(cell.withheld) == list(first.withheld)
        if not same or len(cell.trajectory) != len(first.trajectory):
            raise ValueError(f"cells {first.name} and {cell.name} have other days, ages, statics or withheld streams")
        for name in FORCING:
            if not np.isfinite(cell.forcing[name]).all():
                raise ValueError(f"cell {cell.name}: {name} is not finite")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_netcdf(path, lambda file: _fill(file, cells, {**STATICS, **(units or {})}))


def _fill(file: netCDF4.Dataset, cells: Sequence[GridCell], units: Mapping[str, tuple[str, str]]) -> None:
    first = cells[0]
    days, ages = len(first.doy), len(first.trajectory)
    file.setncatts({"Conventions": CONVENTIONS, "title": "phloem driver store, one chunk", "format": FORMAT})
    for name, length in (("cell", len(cells)), ("time", days), ("age", ages)):
        file.createDimension(name, length)

    def write_variable(
        name: str, dimensions: tuple[str, ...], values: Any, units: str = "", long_name: str = ""
    ) -> Any:
        text = np.asarray(values).dtype.kind in "UO"
        options: dict[str, Any] = {"zlib": True, "complevel": 4, "shuffle": True, "fletcher32": True}
        if text or not dimensions[1:]:
            options = {}
        else:
            options["chunksizes"] = (1, len(file.dimensions[dimensions[1]]))
        fill = np.nan if np.asarray(values).dtype.kind == "f" else None
        variable = file.createVariable(name, str if text else values.dtype, dimensions, fill_value=fill, **options)
        variable.setncatts({key: word for key, word in (("units", units), ("long_name", long_name)) if word})
        variable[...] = np.asarray(values, object) if text else values
        return variable

    write_variable("cell", ("cell",), [cell.name for cell in cells], long_name="cell id")
    for name in ("latitude", "longitude"):
        unit = "degrees_north" if name == "latitude" else "degrees_east"
        axis = write_variable(name, ("cell",), np.array([getattr(cell, name) for cell in cells]), unit, name)
        axis.standard_name = name
    write_variable(
        "checksum", ("cell",), [cell.checksum for cell in cells], long_name="SHA-256 of what a calibration reads"
    )
    if first.calendar == "standard":
        stamps = days_since_epoch(first.year, first.doy)
    else:
        stamps = 365 * (first.year.astype(np.int64) - 2001) + first.doy - 1
    time = write_variable("time", ("time",), stamps.astype(np.int32), "days since 2001-01-01", "time")
    time.setncatts({"calendar": first.calendar, "standard_name": "time", "axis": "T"})
    write_variable("window_start", ("time",), first.window_start.astype(np.int8), "1", "first day of a window of reco")
    for name in (*FORCING, *STREAMS):
        source = "forcing" if name in FORCING else "observations"
        values = np.stack([np.asarray(getattr(cell, source)[name], np.float32) for cell in cells])
        variable = write_variable(name, ("cell", "time"), values, VARIABLES[name].unit, VARIABLES[name].long_name)
        variable.coordinates = "latitude longitude"
        if name == "reco":
            variable.comment = "mean over a window that ends on this day and begins at the last window_start"
    for name in first.withheld:
        values = np.stack([np.asarray(cell.withheld[name], np.float32) for cell in cells])
        variable = write_variable(
            f"{name}_withheld", ("cell", "time"), values, VARIABLES[name].unit, VARIABLES[name].long_name
        )
        variable.comment = "withheld from every calibration"
    fraction = np.stack([np.asarray(cell.evaporative_fraction, np.float32) for cell in cells])
    write_variable("ef", ("cell", "time"), fraction, "1", EVAPORATIVE_FRACTION.long_name)
    curves = np.stack([np.asarray(cell.trajectory, np.float32) for cell in cells])
    write_variable("age", ("age",), np.arange(1, ages + 1, dtype=np.int32), "yr", "stand age")
    write_variable("trajectory", ("cell", "age"), curves, *_TRAJECTORY)
    for name in first.statics:
        numbers = np.array([float(cell.statics[name]) for cell in cells])
        write_variable(f"static_{name}", ("cell",), numbers, *units.get(name, ("1", name)))


def read_chunk(path: Path, rows: Sequence[int] | None = None) -> list[GridCell]:
    """Read cells of a chunk and prove them by their checksums.

    Args:
        path: of the chunk.
        rows: places of the cells in it; by default all.

    Raises:
        InputError: no such chunk, or one that is not what was written.
    """
    try:
        with netCDF4.Dataset(str(path)) as file:
            file.set_auto_mask(False)
            wanted = list(range(len(file.dimensions["cell"])) if rows is None else rows)
            return _cells(file, wanted, path)
    except (OSError, RuntimeError, KeyError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path}: not a readable chunk of a driver store ({error}); run `phloem ingest` again"
        ) from error


def _days(file: netCDF4.Dataset) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """Return what the cells of a chunk have in common: calendar, year and day of the year, first days of windows."""
    time = file["time"][:].astype(np.int64)
    calendar = str(file["time"].calendar)
    if calendar == "noleap":
        year, doy = 2001 + time // 365, time % 365 + 1
    else:
        year, doy = (EPOCH + time).astype("datetime64[Y]").astype(np.int64) + 1970, day_of_year(time)
    return calendar, year, doy, file["window_start"][:]


def _cells(file: netCDF4.Dataset, rows: Sequence[int], path: Path) -> list[GridCell]:
    """Return cells of a chunk, each variable read once for all of them: cell by cell it took twice as long."""
    calendar, year, doy, windows = _days(file)
    places = sorted(set(rows))
    if places and not 0 <= places[0] <= places[-1] < len(file.dimensions["cell"]):
        raise IndexError(f"row {places[-1]} of {len(file.dimensions['cell'])}")
    runs = [run for run in np.split(np.array(places, int), np.flatnonzero(np.diff(places) > 1) + 1) if len(run)]

    def values(name: str) -> dict[int, Any]:
        """Read a variable of these cells, by row."""
        slabs = [file[name][run[0] : run[-1] + 1] for run in runs]
        return {
            int(row): value for run, slab in zip(runs, slabs, strict=True) for row, value in zip(run, slab, strict=True)
        }

    def by_name(names: Mapping[str, str]) -> dict[int, dict[str, Any]]:
        """Read variables of these cells, by row and by what they are called in a cell."""
        read = {name: values(variable) for name, variable in names.items()}
        return {row: {name: of_rows[row] for name, of_rows in read.items()} for row in places}

    withheld = {name: f"{name}_withheld" for name in STREAMS if f"{name}_withheld" in file.variables}
    statics = {name.removeprefix("static_"): name for name in file.variables if name.startswith("static_")}
    single = by_name({name: name for name in ("cell", "latitude", "longitude", "checksum", "ef", "trajectory")})
    forcing, seen = by_name({name: name for name in FORCING}), by_name({name: name for name in STREAMS})
    held, numbers = by_name(withheld), by_name(statics)
    cells = {}
    for row in places:
        one = single[row]
        cells[row] = cell = GridCell(
            name=str(one["cell"]),
            latitude=float(one["latitude"]),
            longitude=float(one["longitude"]),
            calendar=calendar,
            year=year,
            doy=doy,
            forcing=forcing[row],
            observations=seen[row],
            window_start=windows,
            evaporative_fraction=one["ef"],
            trajectory=one["trajectory"],
            statics={name: float(value) for name, value in numbers[row].items()},
            withheld=held[row],
        )
        if cell.checksum != str(one["checksum"]):
            raise InputError(f"{path}: cell {cell.name}: its checksum does not match; run `phloem ingest` again")
    return [cells[row] for row in rows]


@dataclass(frozen=True)
class Store:
    """A driver store.

    Attributes:
        paths: its files.
        facts: what it says of itself: `first_year`, `last_year`, `calendar`, `step` (degrees), `sources`; where it is
            so, that its cells are `places` on no grid, and which streams are `window_means`.
        columns: `name`, `latitude`, `longitude`, `chunk`, `row`, `checksum`, and whether it has a `snapshot` and a
            `trajectory` of biomass, of each cell, equally long lists; cells go from south to north, and from west to
            east.
    """

    paths: StorePaths
    facts: Mapping[str, Any]
    columns: Mapping[str, list[Any]]

    def __len__(self) -> int:
        return len(self.columns["name"])

    @property
    def names(self) -> list[str]:
        """Names of all cells."""
        return self.columns["name"]

    @property
    def places(self) -> bool:
        """Whether its cells are places at coordinates of their own, on no grid."""
        return bool(self.facts.get("places", False))

    @property
    def step(self) -> float | None:
        """Size of its cells in degrees; None of places on no grid."""
        return None if self.places else float(self.facts.get("step", DEFAULT_STEP))

    @property
    def window_means(self) -> tuple[str, ...]:
        """Observed streams that are means over windows, on their last days."""
        return tuple(self.facts.get("window_means", WINDOW_MEANS))

    def observed_years(self, positions: Sequence[int]) -> list[tuple[int, int]]:
        """Return the first and last year with an observation of some cells, (0, 0) where there is none.

        Raises:
            InputError: a chunk that cannot be read.
        """
        if set(OBSERVED) <= set(self.columns):
            first, last = (self.columns[key] for key in OBSERVED)
            return [(int(first[position]), int(last[position])) for position in positions]
        years: dict[int, tuple[int, int]] = {}
        for _, chunk in groupby(
            sorted(positions, key=self.columns["chunk"].__getitem__), self.columns["chunk"].__getitem__
        ):
            part = list(chunk)
            years |= {place: cell.observed_years for place, cell in zip(part, self.read(part), strict=True)}
        return [years[position] for position in positions]

    def read(self, positions: Sequence[int]) -> list[GridCell]:
        """Read some cells, chunk after chunk; in the order asked for.

        Raises:
            InputError: a chunk or cell that is not what the table says.
        """
        by_chunk: dict[int, list[int]] = {}
        for position in positions:
            by_chunk.setdefault(self.columns["chunk"][position], []).append(position)
        columns = {}
        for number, wanted in by_chunk.items():
            path = self.paths.chunk(number)
            for position, cell in zip(wanted, read_chunk(path, [self.columns["row"][p] for p in wanted]), strict=True):
                if cell.checksum != self.columns["checksum"][position]:
                    raise InputError(f"{path}: cell {cell.name} is not what {self.paths.index} says; ingest anew")
                columns[position] = cell
        return [columns[position] for position in positions]


def chunk_columns(number: int, cells: Sequence[GridCell]) -> dict[str, list[Any]]:
    """Return what the table of cells says of those of a chunk, by the names in `COLUMNS`."""
    return {
        "name": [cell.name for cell in cells],
        "latitude": [cell.latitude for cell in cells],
        "longitude": [cell.longitude for cell in cells],
        "chunk": [number] * len(cells),
        "row": list(range(len(cells))),
        "checksum": [cell.checksum for cell in cells],
        "snapshot": [cell.has_snapshot for cell in cells],
        "trajectory": [cell.has_trajectory for cell in cells],
        **{name: [cell.observed_years[end] for cell in cells] for end, name in enumerate(OBSERVED)},
    }


def seal_store(root: Path, facts: Mapping[str, Any], columns: Mapping[str, list[Any]]) -> Store:
    """Write the table that makes a folder of chunks a store."""
    paths = StorePaths(Path(root))
    count = len(columns["name"])
    columns = {key: values for key, values in columns.items() if key not in OBSERVED or len(values) == count}
    write_sealed(paths.index, {"format": FORMAT, "facts": dict(facts), "cells": dict(columns)})
    return Store(paths, facts, columns)


def open_store(root: Path) -> Store:
    """Open a driver store.

    Raises:
        InputError: none there, one that is not finished, or a damaged one.
    """
    paths = StorePaths(Path(root))
    if not paths.index.is_file() and not copy_of(paths.index).is_file():
        state = "an ingest that is not finished: run it again" if paths.journal.exists() else "no driver store here"
        raise InputError(f"{root}: {state} (no {paths.index.name}); make one with `phloem ingest INGEST.toml`")
    try:
        table = read_sealed(paths.index)
        facts, columns = table["facts"], table["cells"]
        length = {len(columns[key]) for key in COLUMNS}
    except (OSError, ValueError, KeyError, TypeError, CorruptFile) as error:
        raise InputError(f"{paths.index}: damaged ({error}); run `phloem ingest` again") from error
    if table.get("format") != FORMAT or len(length) != 1:
        raise InputError(f"{paths.index}: format {table.get('format')}, this program reads {FORMAT}; ingest anew")
    return Store(paths, facts, columns)
