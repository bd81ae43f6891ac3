"""Cells of a driver store: in a campaign's plan, read again, and as arrays for the kernels."""

from __future__ import annotations

import calendar
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from phloem.errors import InputError, some
from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.store import (
    COLUMNS,
    OBSERVED,
    Store,
    StorePaths,
    chunk_columns,
    read_chunk,
    seal_store,
    write_chunk,
)
from phloem.io.files.own_variables import OwnVariables
from phloem.io.files.time_axis import StampsAt
from phloem.io.grids.placed_cells import place_cells
from phloem.io.ingest.cf_grid_file import read_cf_grid, read_step
from phloem.io.ingest.grid_findings import GridFindings
from phloem.io.ingest.ingest_folder import IngestFolder
from phloem.jobs.campaign.unit_table import PlannedUnit
from phloem.jobs.progress import say
from phloem.kernels.calibrations.experiment import Calibration
from phloem.names import FORCING, STREAMS

CHUNK = 12
"""Cells a chunk of a store that is made of one file."""


def plan_columns(
    store: Store, names: list[str] | None, experiment: Calibration, on_bad: str = "refuse"
) -> dict[str, list[Any]]:
    """Return the columns of the tile table for the cells of a store.

    Args:
        store: open.
        names: ids of the cells to take; None takes all.
        experiment: whose years, observations and biomass they must have.
        on_bad: whether to `drop` the cells that lack observations or biomass, or to `refuse`.

    Raises:
        InputError: an unknown cell, years that the store does not have, cells without what the experiment fits,
            observations that are means where the experiment compares days, or the other way round, or cells that
            cannot be told apart or placed on the store's grid (`check_places`).
    """
    protocol, facts, index = experiment.protocol, store.facts, store.paths.index
    if experiment.windowed != store.window_means:
        wanted, given = (str(list(names)).replace("'", '"') for names in (store.window_means, experiment.windowed))
        raise InputError(
            f"{index}: the observations that are means over windows are those of {', '.join(store.window_means)}; set "
            f"experiment.window_means = {wanted} (it is {given})"
        )
    year = facts.get("snapshot_year")
    if protocol.biomass == "snapshot" and year is not None and protocol.validation[1] != year:
        raise InputError(
            f"{index}: the biomass is that of {year}, and the {experiment.name} experiment compares it at the end of "
            f"{protocol.validation[1]}: let experiment.validation_years end with {year}"
        )
    have = int(facts["first_year"]), int(facts["last_year"])
    years = min(protocol.forcing[0], protocol.calibration[0]), max(protocol.forcing[1], protocol.validation[1])
    if years[0] < have[0] or years[1] > have[1]:
        raise InputError(
            f"{index}: the store has the years {have[0]} to {have[1]}; the {experiment.name} experiment asks for "
            f"{years[0]} to {years[1]} (experiment.forcing_years, calibration_years, validation_years)"
        )
    check_places(str(index), store.columns, store.step)
    places = {name: place for place, name in enumerate(store.names)}
    unknown = [name for name in names or () if name not in places]
    if unknown:
        raise InputError(
            f"data.sites: {unknown[0]} is no cell of {index}, which has {len(places)}: {store.names[0]}, ..."
        )
    chosen = sorted(places[name] for name in set(names)) if names else list(range(len(store)))
    if not chosen:
        raise InputError(f"{index}: the store has no cell")
    column = None if protocol.biomass == "none" else store.columns[protocol.biomass]
    if column is not None:
        lacking = {place for place in chosen if not column[place]}
        what = f"no {protocol.biomass}, which the {experiment.name} experiment fits"
        mend = "ingest with `require`"
    else:
        first, last = protocol.calibration
        years_of = dict(zip(chosen, store.observed_years(chosen), strict=True))
        lacking = {place for place, (begin, end) in years_of.items() if end < first or begin > last or not end}
        what = f"no observation of {', '.join(STREAMS)} in {first} to {last}, the calibration years"
        mend = "mend their products"
    if lacking and (on_bad != "drop" or len(lacking) == len(chosen)):
        names_of = [store.names[place] for place in sorted(lacking)]
        raise InputError(
            f"{index}: {len(lacking)} of {len(chosen)} cells have {what}: {some(names_of)}; {mend}, choose cells by "
            'data.sites, or leave these out with data.on_bad = "drop"'
        )
    chosen = [place for place in chosen if place not in lacking]
    lengths = np.array([_days(year, facts["calendar"]) for year in protocol.years.tolist()])
    chunks = store.columns["chunk"]
    return {
        "name": [store.names[place] for place in chosen],
        "source": [f"{store.paths.chunk(chunks[place]).resolve()}#{store.columns['row'][place]}" for place in chosen],
        "checksum": [store.columns["checksum"][place] for place in chosen],
        "days": [int(lengths.sum())] * len(chosen),
        "training_days": [int(lengths[: protocol.last_met(protocol.calibration[1])].sum())] * len(chosen),
        "latitude": [float(store.columns["latitude"][place]) for place in chosen],
        "longitude": [float(store.columns["longitude"][place]) for place in chosen],
    }


def check_places(where: str, columns: Mapping[str, Sequence[Any]], step: float | None) -> None:
    """Refuse cells that the merge could not tell apart, or not place on their grid, before any work is done.

    Args:
        where: what to call them in messages.
        columns: `name`, `latitude` and `longitude` of the cells.
        step: size of the cells in degrees; None of places on no grid, of which several may lie in one place.

    Raises:
        InputError: which cells, and what is wrong with them.
    """
    names, latitudes, longitudes = (columns[key] for key in ("name", "latitude", "longitude"))
    where_is: dict[str, set[tuple[float, float]]] = {}
    for name, *place in zip(names, latitudes, longitudes, strict=True):
        where_is.setdefault(name, set()).add((place[0], place[1]))
    if len(where_is) != len(names):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if apart := [name for name in twice if len(where_is[name]) > 1]:
            raise InputError(
                f"{where}: cells at different coordinates have one name: {some(apart)}; an earlier phloem gave names "
                "of two decimals to every step, which are too few here: ingest anew"
            )
        raise InputError(f"{where}: several cells in one place: {some(twice)}; each may stand there once")
    off = [
        f"{name} ({north:g} N, {east:g} E)"
        for name, north, east in zip(names, latitudes, longitudes, strict=True)
        if not (abs(north) <= 90.0 and np.isfinite(east))
    ]
    if off:
        raise InputError(f"{where}: {len(off)} cells are nowhere on Earth: {some(off)}")
    if step is None:
        return
    try:
        place_cells(names, latitudes, longitudes, step)
    except InputError as error:
        raise InputError(f"{where}: a store of cells of {step:g} degrees (step): {error}") from error


def _days(year: int, kind: str) -> int:
    return 366 if kind == "standard" and calendar.isleap(year) else 365


def store_of_file(
    path: Path, root: Path, own: OwnVariables = MappingProxyType({}), stamps: StampsAt = "begin"
) -> Store:
    """Make a driver store of one CF-NetCDF file (`cf_grid_file`); what was mended or left out is told.

    Args:
        path: the file.
        root: folder of the store.
        own: what the user says of the file's variables.
        stamps: where stamps stand in their days, if the file has no time bounds.

    Raises:
        InputError: the file is not what it should be, no cell of it has complete forcing, or two lie in one place.
    """
    paths = StorePaths(root)
    columns: dict[str, list[Any]] = {key: [] for key in (*COLUMNS, *OBSERVED)}
    step = read_step(path)
    facts: dict[str, Any] = {**({"places": True} if step is None else {"step": step}), "sources": [str(path)]}
    found = GridFindings(path)
    cells = read_cf_grid(path, found, own, stamps)
    number = 0
    while chunk := list(itertools.islice(cells, CHUNK)):
        write_chunk(paths.chunk(number), chunk)
        for key, values in chunk_columns(number, chunk).items():
            columns[key] += values
        first = chunk[0]
        facts |= {"first_year": int(first.year[0]), "last_year": int(first.year[-1]), "calendar": first.calendar}
        number += 1
    if not number:
        such = f", as {found.dropped[0][0]}: {found.dropped[0][4]}" if found.dropped else ""
        raise InputError(f"{path}: no cell has complete forcing: {', '.join(FORCING)} on every day{such}")
    check_places(str(path), columns, step)
    for text in found.told():
        say(text)
    if found.dropped:
        IngestFolder(paths).write_dropped(found.dropped)
        say(f"each with its reason: {paths.dropped}")
    return seal_store(root, facts, columns)


def read_planned(root: Path, planned: Sequence[PlannedUnit]) -> list[GridCell]:
    """Read planned cells of a store again, chunk after chunk; in the order asked for.

    Args:
        root: the campaign directory.
        planned: the cells; the source of each is a chunk file, absolute or relative to `root`, `#` and the cell's row.

    Raises:
        InputError: one is not what it was when it was planned.
    """
    places = [unit.source.rpartition("#") for unit in planned]
    by_chunk: dict[str, list[int]] = {}
    for number, (file, _, _) in enumerate(places):
        by_chunk.setdefault(file, []).append(number)
    cells: dict[int, GridCell] = {}
    for file, numbers in by_chunk.items():
        cells |= zip(numbers, read_chunk(root / file, [int(places[number][2]) for number in numbers]), strict=True)
    for number, unit in enumerate(planned):
        cell = cells[number]
        if (cell.name, cell.checksum) != (unit.name, unit.checksum):
            raise InputError(
                f"{root / places[number][0]}: cell {unit.name}: the driver store is not what it was when the campaign "
                f"was planned (sha256 {cell.checksum[:12]} of {cell.name}, planned {unit.checksum[:12]}). Put the old "
                "store back, or start a new campaign with --out."
            )
    return [cells[number] for number in range(len(planned))]
