"""A campaign on disk: planned once, frozen, opened by every later command."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phloem.errors import InputError
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tile_schema import TileSchema
from phloem.io.files.atomic import CorruptFile, write_atomically
from phloem.io.files.sealed_json import copy_of, read_sealed, write_sealed
from phloem.io.grids.placed_cells import DEFAULT_STEP
from phloem.jobs.campaign.kind_of_work import KindOfWork, Lane, Units, kind_of
from phloem.jobs.campaign.unit_table import PlannedUnit, UnitTable
from phloem.jobs.config.campaign_file import Configuration, load_configuration
from phloem.version import VERSION


@dataclass(frozen=True)
class Campaign:
    """A planned campaign.

    Tiles are numbered as planned. The batches of lanes that `phloem retry --lanes` makes are tiles too, in every way:
    their numbers follow those of the planned ones.

    Attributes:
        paths: its files.
        configuration: its frozen configuration.
        cells: all units; in a calibration, the cells.
        tiles: positions of the units of each planned tile.
        retries: batches of lanes that are taken up again, their units by position.
        places: whether its cells, of a driver store, are places on no grid.
        step: size of a cell in degrees: of the store's grid; of towers and places, of what they stand for on maps.
    """

    paths: CampaignPaths
    configuration: Configuration
    cells: UnitTable
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

    def tile_cells(self, tile: int) -> list[PlannedUnit]:
        """Return the units of a tile."""
        return [self.cells[position] for position in self._positions(tile)]

    def _positions(self, tile: int) -> Sequence[int]:
        if tile < len(self.tiles):
            return self.tiles[tile]
        return sorted({lane.unit for lane in self.retries[tile - len(self.tiles)]})

    def tile_lanes(self, tile: int) -> list[Lane] | None:
        """Return the lanes of a batch, cells as positions in it; None for a planned tile, which has them all."""
        if tile < len(self.tiles):
            return None
        place = {position: number for number, position in enumerate(self._positions(tile))}
        return [lane._replace(unit=place[lane.unit]) for lane in self.retries[tile - len(self.tiles)]]

    def count_lanes(self, tile: int) -> int:
        """Return the number of lanes of a tile."""
        if tile < len(self.tiles):
            return len(self.tiles[tile]) * self.kind.lanes_of_unit(self.configuration)
        return len(self.retries[tile - len(self.tiles)])

    def count_steps(self, tile: int) -> int:
        """Return the steps of all lanes of a tile, at most."""
        each = self.cells.columns.get("steps")
        if each is None:
            return self.count_lanes(tile) * self.kind.steps(self.configuration)
        if tile < len(self.tiles):
            return sum(each[unit] for unit in self.tiles[tile]) * self.kind.lanes_of_unit(self.configuration)
        return sum(each[lane.unit] for lane in self.retries[tile - len(self.tiles)])

    def fingerprint(self, tile: int) -> str:
        """Return a hash of all that a tile's numbers depend on; a checkpoint is valid for one fingerprint."""
        parts = [VERSION, self.configuration.fingerprint()]
        parts += [f"{cell.name}:{cell.checksum}" for cell in self.tile_cells(tile)]
        parts += [str(tuple(lane)) for lane in self.tile_lanes(tile) or ()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def kind(self) -> KindOfWork:
        """What it computes."""
        return kind_of(self.configuration.experiment.kind_of_work)

    @property
    def runs(self) -> int:
        """Number of members: random restarts of each cell, or networks of each set-up."""
        return self.configuration.campaign.members

    @property
    def schema(self) -> TileSchema:
        """What its tiles hold."""
        return self.kind.schema(self.configuration)

    def read_unit(self, unit: PlannedUnit) -> Any:
        """Read a unit's input again.

        Raises:
            InputError: when it is not what it was when the campaign was planned.
        """
        return self.kind.read_unit(self, unit)

    def read_units(self, units: Sequence[PlannedUnit]) -> Sequence[Any]:
        """Read the input of some units again; see `read_unit`."""
        return self.kind.read_units(self, units)


def freeze(paths: CampaignPaths, configuration: Configuration, units: Units) -> Campaign:
    """Write the plan of a campaign whose input has been checked; the tile table comes last and makes it one.

    Args:
        paths: the campaign directory.
        configuration: the complete configuration.
        units: in the order of the merged product.
    """
    width, count = configuration.tiles.cells, len(units.table)
    tiles = [list(range(first, min(first + width, count))) for first in range(0, count, width)]
    paths.make()
    write_atomically(paths.configuration, configuration.to_toml().encode())
    _write_plan(paths, configuration, units, tiles)
    return open_campaign(paths.root)


def _write_plan(
    paths: CampaignPaths, configuration: Configuration, units: Units, tiles: Sequence[Sequence[int]]
) -> None:
    table = {
        "version": VERSION,
        "configuration_hash": configuration.fingerprint(),
        "cells": units.table.columns,
        "findings": dict(units.table.findings),
        "tiles": tiles,
        **units.facts,
    }
    write_sealed(paths.plan, table)


def replace_units(campaign: Campaign, units: Units) -> Campaign:
    """Let a campaign read its input from elsewhere; the checksums guard that it is the same."""
    _write_plan(campaign.paths, campaign.configuration, units, campaign.tiles)
    return open_campaign(campaign.paths.root)


def relative_to_campaign(path: Path, root: Path) -> str:
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
        cells = UnitTable(table["cells"], table["findings"])
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
        return [[Lane(*lane) for lane in batch] for batch in batches]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, CorruptFile) as error:
        raise InputError(f"{paths.retries}: damaged ({error}); put it back from a copy") from error


def add_retries(campaign: Campaign, batches: Sequence[Sequence[Lane]]) -> Campaign:
    """Append batches of failed lanes to a campaign; they are computed by the next run."""
    write_sealed(campaign.paths.retries, {"batches": [*campaign.retries, *batches]})
    return replace(campaign, retries=[*campaign.retries, *batches])
