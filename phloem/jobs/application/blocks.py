"""Blocks of an application: rows of a grid, or sites, whose months fit into memory; each is a unit of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from phloem.analysis.flux_maps.fitted_upscaling import FittedUpscaling
from phloem.arithmetic import ceil_div
from phloem.errors import InputError
from phloem.io.files.own_variables import OwnVariable
from phloem.io.files.time_axis import StampsAt
from phloem.io.flux_drivers.driver_recipes import DRIVERS, LAND, STATICS
from phloem.io.flux_drivers.driver_source import DriverSource
from phloem.io.flux_drivers.open_drivers import open_drivers, require_drivers
from phloem.jobs.application.fitted_models import fitted_models
from phloem.jobs.application.table import ApplicationTable
from phloem.jobs.config.campaign_file import Configuration
from phloem.jobs.config.own_variables import own_variables

CELL_MONTHS = 1_500_000
"""Months of places of a block that have drivers, about: 150 MB with 15 drivers and the results of four fluxes."""

ALL_MONTHS = 12_000_000
"""Months of all places of a block, at most, ocean among them: of one driver they are held at once."""

LEAST = 16_384
"""Months of a block that are worth its files, about."""

ROWS = 16_384
"""Rows to which models are applied at once, about: whole places, always as many, so that no bit depends on blocks."""


@dataclass(frozen=True, eq=False)
class DriverBlock:
    """Some rows of a source of drivers.

    Attributes:
        name: of the unit.
        first, stop: its rows.
        source: where they are read.
    """

    name: str
    first: int
    stop: int
    source: DriverSource

    @property
    def steps(self) -> int:
        """Steps of its work, at most."""
        return block_steps(self.source, self.first, self.stop)


def block_steps(source: DriverSource, first: int, stop: int) -> int:
    """Return how many times models are applied to a block, at most."""
    return max(1, ceil_div((stop - first) * source.places.columns, max(1, ROWS // len(source.months))))


def table_of(configuration: Configuration) -> ApplicationTable:
    """Return the table of an application.

    Raises:
        InputError: it is none.
    """
    if not isinstance(configuration.experiment, ApplicationTable):
        raise InputError(f'experiment.name = "{configuration.experiment.name}" is no application')
    return configuration.experiment


def models_of(table: ApplicationTable) -> FittedUpscaling:
    """Return the models that are applied."""
    return fitted_models(table.campaign)


def source_of(configuration: Configuration) -> DriverSource:
    """Return the drivers of an application, opened once a process.

    Raises:
        InputError: they are not there, not readable, or lack what the models need.
    """
    table = table_of(configuration)
    own = tuple(own_variables(configuration.data.variables).items())
    stamps = tuple(_stamp(Path(path)) for path in (table.drivers, table.static) if path)
    return _opened(table.drivers, table.static or "", table.stamps, own, tuple(table.needed), stamps)


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Return sizes and times of change of a file, or of the files of a folder: another input is opened anew."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = [(one.name, one.stat()) for one in files if one.is_file()]
    return tuple((name, state.st_size, state.st_mtime_ns) for name, state in states)


@lru_cache(maxsize=1)
def _opened(
    drivers: str,
    static: str,
    stamps: StampsAt,
    own: tuple[tuple[str, OwnVariable], ...],
    needed: tuple[str, ...],
    _as_of: tuple[object, ...],
) -> DriverSource:
    source = open_drivers(Path(drivers), Path(static) if static else None, stamps, dict(own), needed)
    require_drivers(source, needed)
    return source


def wanted_columns(models: FittedUpscaling, source: DriverSource) -> tuple[list[str], list[str]]:
    """Return the columns that are read of a source, and those of them that are needed: land too, where it is known."""
    readable = (*DRIVERS, *STATICS)
    land = [LAND] if source.has(LAND) else []
    needed = [*land, *(name for name in models.needed if name in readable)]
    optional = [name for name in models.optional if name in readable and name not in needed and source.has(name)]
    return list(dict.fromkeys([*needed, *optional])), needed


def lacking_columns(table: ApplicationTable, source: DriverSource) -> list[str]:
    """Return the columns that the models' predictors are made of and that a source does not have."""
    return [name for name in table.seen if name in (*DRIVERS, *STATICS) and not source.has(name)]


def cut_blocks(source: DriverSource, needed: Sequence[str], hands: int) -> list[tuple[int, int]]:
    """Return the rows of each block: first, and first of the next.

    Args:
        source: of drivers.
        needed: of them, those that are looked at to tell land from ocean.
        hands: workers, who should all have something to do.
    """
    months, columns = len(source.months), source.places.columns
    timed = [name for name in needed if name in DRIVERS]
    if LAND in needed:
        land = source.number(LAND, slice(0, source.places.rows))
        known = np.isfinite(land).reshape(-1, columns).sum(axis=1)
    else:
        known = source.known(timed[0]) if timed else np.full(source.places.rows, columns)
    if not known.any():
        known = np.full(source.places.rows, columns)
    aim = min(CELL_MONTHS, max(LEAST, int(known.sum()) * months // max(1, 4 * hands)))
    most_rows = max(1, ALL_MONTHS // max(1, columns * months))
    cuts, first, held = [], 0, 0
    for row, count in enumerate((known * months).tolist()):
        if row > first and (held + count > aim or row - first >= most_rows):
            cuts.append((first, row))
            first, held = row, 0
        held += count
    return [*cuts, (first, source.places.rows)]
