"""A campaign on disk: planned once, frozen, opened by every later command."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phloem.errors import InputError
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.store import Store, open_store
from phloem.io.drivers.tower_cell import Cell
from phloem.io.drivers.tower_files import list_towers, read_tower
from phloem.io.files.atomic import CorruptFile, write_atomically
from phloem.io.files.sealed_json import copy_of, read_sealed, write_sealed
from phloem.io.grids.placed_cells import DEFAULT_STEP
from phloem.jobs.campaign.cell_table import _COLUMNS, CellTable, PlannedCell
from phloem.jobs.campaign.store_cells import plan_columns, read_planned
from phloem.jobs.config.campaign_file import Configuration, load_configuration
from phloem.jobs.config.paths import expand_path
from phloem.version import VERSION

Lane = tuple[int, int, int]
"""Position of a cell, member, redraws used before."""


@dataclass(frozen=True)
class Campaign:
    """A planned campaign.

    Tiles are numbered as planned. The batches of lanes that `phloem retry --lanes` makes are tiles too, in every way:
    their numbers follow those of the planned ones.

    Attributes:
        paths: its files.
        configuration: its frozen configuration.
        cells: all cells.
        tiles: positions of the cells of each planned tile.
        retries: batches of failed lanes: (cell position, member, redraws used before) of each.
        places: whether its cells, of a driver store, are places on no grid.
        step: size of a cell in degrees: of the store's grid; of towers and places, of what they stand for on maps.
    """

    paths: CampaignPaths
    configuration: Configuration
    cells: CellTable
    tiles: Sequence[Sequence[int]]
    retries: Sequence[Sequence[Lane]] = ()
    places: bool = False
    step: float = DEFAULT_STEP

    @property
    def all_tiles(self) -> range:
        """Numbers of all tiles, planned ones and batches of lanes."""
        return range(len(self.tiles) + len(self.retries))

    @property
    def version(self) -> str:
        """Version of phloem that planned it, and that runs it."""
        return VERSION

    def tile_cells(self, tile: int) -> list[PlannedCell]:
        """Return the cells of a tile."""
        return [self.cells[position] for position in self._positions(tile)]

    def _positions(self, tile: int) -> Sequence[int]:
        if tile < len(self.tiles):
            return self.tiles[tile]
        return sorted({cell for cell, _, _ in self.retries[tile - len(self.tiles)]})

    def tile_lanes(self, tile: int) -> list[Lane] | None:
        """Return the lanes of a batch, cells as positions in it; None for a planned tile, which has them all."""
        if tile < len(self.tiles):
            return None
        place = {position: number for number, position in enumerate(self._positions(tile))}
        return [(place[cell], member, redraws) for cell, member, redraws in self.retries[tile - len(self.tiles)]]

    def count_lanes(self, tile: int) -> int:
        """Return the number of lanes of a tile."""
        if tile < len(self.tiles):
            return len(self.tiles[tile]) * self.configuration.campaign.members
        return len(self.retries[tile - len(self.tiles)])

    def fingerprint(self, tile: int) -> str:
        """Return a hash of all that a tile's numbers depend on; a checkpoint is valid for one fingerprint."""
        parts = [VERSION, self.configuration.fingerprint()]
        parts += [f"{cell.name}:{cell.checksum}" for cell in self.tile_cells(tile)]
        parts += [str(lane) for lane in self.tile_lanes(tile) or ()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def read_cell(self, cell: PlannedCell) -> Cell | GridCell:
        """Read a cell's drivers again.

        Raises:
            InputError: when the file is not what it was when the campaign was planned.
        """
        if self.configuration.data.is_store:
            return read_planned(self.paths.root, cell.source, cell.name, cell.checksum)
        path = self.paths.root / cell.source
        read = read_tower(path, quality=self.configuration.data.quality)
        if read.checksum != cell.checksum:
            raise InputError(
                f"{path}: cell {cell.name}: the driver file is not what it was when the campaign was planned "
                f"(sha256 {read.checksum[:12]}, planned {cell.checksum[:12]}). Put the old file back, or start a "
                "new campaign with --out."
            )
        return read


def find_sources(configuration: Configuration, base: Path) -> dict[str, Path]:
    """Return the driver file of each cell of a tower campaign, sorted by name.

    Args:
        configuration: with `data.kind = "tower"`.
        base: folder from which relative paths count.
    """
    folder = expand_path(str(configuration.data.path), base)
    return list_towers(folder, configuration.data.sites)


def read_sources(
    configuration: Configuration, sources: dict[str, Path], base: Path, on_cell: Callable[[str], None]
) -> list[Cell]:
    """Read and check every cell; all of this happens before the first file is written."""
    given = configuration.data.reference
    reference = expand_path(given, base) if given else None
    cells = []
    for name, path in sources.items():
        cells.append(read_tower(path, quality=configuration.data.quality, reference=reference))
        on_cell(name)
    return cells


def freeze(paths: CampaignPaths, configuration: Configuration, cells: Sequence[Cell]) -> Campaign:
    """Write the plan of a campaign; the tile table comes last and makes it one.

    Args:
        paths: the campaign directory.
        configuration: the complete configuration.
        cells: every cell, in the order of the merged product.
    """
    planned = [
        PlannedCell(
            name=cell.name,
            source=_relative(Path(cell.source), paths.root),
            checksum=cell.checksum,
            days=len(cell.time),
            training_days=cell.training_days,
            latitude=float(cell.latitude),
            longitude=float(cell.longitude),
            findings=tuple(f"{f.variable}: {f.message} [{f.severity}]" for f in cell.findings),
        )
        for cell in cells
    ]
    return freeze_table(paths, configuration, CellTable.of(planned))


def freeze_table(
    paths: CampaignPaths,
    configuration: Configuration,
    cells: CellTable,
    places: bool = False,
    step: float = DEFAULT_STEP,
) -> Campaign:
    """Write the plan of a campaign whose cells have been checked: `freeze` without the drivers at hand.

    Args:
        paths: the campaign directory.
        configuration: the complete configuration.
        cells: every cell, in the order of the merged product.
        places: whether they are places on no grid.
        step: size of a cell in degrees.
    """
    width = configuration.tiles.cells
    tiles = [list(range(first, min(first + width, len(cells)))) for first in range(0, len(cells), width)]
    paths.make()
    write_atomically(paths.configuration, configuration.to_toml().encode())
    _write_table(paths, configuration.fingerprint(), cells, tiles, places, step)
    return open_campaign(paths.root)


def _write_table(
    paths: CampaignPaths,
    fingerprint: str,
    cells: CellTable,
    tiles: Sequence[Sequence[int]],
    places: bool,
    step: float,
) -> None:
    table = {
        "version": VERSION,
        "configuration_hash": fingerprint,
        "cells": {name: cells.columns[name] for name in _COLUMNS},
        "findings": dict(cells.findings),
        "tiles": tiles,
        **({"places": True} if places else {}),
        **({"step": step} if step != DEFAULT_STEP else {}),
    }
    write_sealed(paths.plan, table)


def freeze_store(paths: CampaignPaths, configuration: Configuration, store: Store) -> Campaign:
    """Write the plan of a campaign over a driver store.

    Raises:
        InputError: the store does not have what the experiment asks for.
    """
    columns = plan_columns(store, configuration.data.sites, configuration.calibration)
    columns["source"] = [_relative_row(source, paths.root) for source in columns["source"]]
    return freeze_table(paths, configuration, CellTable(columns, {}), store.places, store.step or DEFAULT_STEP)


def _relative_row(source: str, root: Path) -> str:
    file, _, row = source.rpartition("#")
    return f"{_relative(Path(file), root)}#{row}"


def relocate(campaign: Campaign, folder: Path) -> Campaign:
    """Let a campaign read its drivers from another folder; the checksums guard that they are the same.

    Raises:
        InputError: a tower or cell is not there, or a cell of a driver store is another.
    """
    if campaign.configuration.data.is_store:
        table = CellTable(_same_cells(campaign, open_store(folder)), {})
    else:
        sources = list_towers(folder, [cell.name for cell in campaign.cells])
        moved = [replace(cell, source=_relative(sources[cell.name], campaign.paths.root)) for cell in campaign.cells]
        table = CellTable.of(moved)
    fingerprint = campaign.configuration.fingerprint()
    _write_table(campaign.paths, fingerprint, table, campaign.tiles, campaign.places, campaign.step)
    return open_campaign(campaign.paths.root)


def _same_cells(campaign: Campaign, store: Store) -> dict[str, list[Any]]:
    """Return the columns of a campaign's table for the same cells in a store elsewhere, in the campaign's order.

    Raises:
        InputError: a cell is not there, or its drivers are not those of the plan.
    """
    names = list(campaign.cells.names)
    columns = plan_columns(store, names, campaign.configuration.calibration)
    place = {name: number for number, name in enumerate(columns["name"])}
    columns = {key: [values[place[name]] for name in names] for key, values in columns.items()}
    for name, found, planned in zip(names, columns["checksum"], campaign.cells.columns["checksum"], strict=True):
        if found != planned:
            raise InputError(
                f"{store.paths.index}: cell {name}: this driver store is not the one over which the campaign was "
                f"planned (sha256 {found[:12]}, planned {planned[:12]}). Put that store there, or start a new campaign "
                "with --out."
            )
    columns["source"] = [_relative_row(source, campaign.paths.root) for source in columns["source"]]
    return columns


def _relative(path: Path, root: Path) -> str:
    """Return a path relative to the campaign where it lies inside, so that the directory can be moved."""
    resolved = path.resolve()
    return str(resolved.relative_to(root.resolve())) if resolved.is_relative_to(root.resolve()) else str(resolved)


def is_campaign(root: Path) -> bool:
    """Tell whether a directory holds a planned campaign."""
    plan = CampaignPaths(root).plan
    return plan.is_file() or copy_of(plan).is_file()


def open_campaign(root: Path) -> Campaign:
    """Open a planned campaign.

    Raises:
        InputError: when there is none; the message says how to make one.
    """
    paths = CampaignPaths(root)
    if not is_campaign(root):
        raise InputError(f"{root}: no campaign here (no {paths.plan.name}); plan one with `phloem plan CAMPAIGN.toml`")
    try:
        table = read_sealed(paths.plan)
        cells = CellTable(table["cells"], table["findings"])
        tiles: Sequence[Sequence[int]] = table["tiles"]
    except (OSError, ValueError, KeyError, TypeError, CorruptFile) as error:
        raise InputError(f"{paths.plan}: damaged ({error}); plan the campaign anew in another directory") from error
    if table.get("version") != VERSION:
        raise InputError(
            f"{paths.plan}: planned by phloem {table.get('version')}, this is {VERSION}; results of two versions are "
            "not mixed: finish it with the version that planned it, or plan it anew with --out"
        )
    configuration = load_configuration(paths.configuration)
    if table.get("configuration_hash") != configuration.fingerprint():
        raise InputError(
            f"{paths.configuration} was edited after the campaign was planned; put it back (plan.json has the hash "
            f"{table.get('configuration_hash')}), or plan a new campaign from it with --out"
        )
    places, step = bool(table.get("places", False)), float(table.get("step", DEFAULT_STEP))
    return Campaign(paths, configuration, cells, tiles, _read_retries(paths), places, step)


def _read_retries(paths: CampaignPaths) -> list[list[Lane]]:
    """Return the batches of failed lanes.

    Raises:
        InputError: they are damaged.
    """
    try:
        batches = read_sealed(paths.retries)["batches"]
        return [[(cell, member, redraws) for cell, member, redraws in batch] for batch in batches]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, CorruptFile) as error:
        raise InputError(f"{paths.retries}: damaged ({error}); put it back from a copy") from error


def add_retries(campaign: Campaign, batches: Sequence[Sequence[Lane]]) -> Campaign:
    """Append batches of failed lanes to a campaign; they are computed by the next run."""
    write_sealed(campaign.paths.retries, {"batches": [*campaign.retries, *batches]})
    return replace(campaign, retries=[*campaign.retries, *batches])
