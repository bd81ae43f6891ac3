"""The merge: all tiles of a campaign, one by one, into one CF-NetCDF file.

Memory holds one tile and one block of cells. Blocks follow the plan's order of cells and not the tiles, so
the product does not depend on how cells were put into tiles. Campaigns on a grid are written in bands of rows
(`phloem.io.merge.grid_bands`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.errors import WorkError, some
from phloem.io.campaign.calibration_schema import calibration_schema
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.files.atomic import sync_directory, sync_file
from phloem.io.files.disk_space import not_written
from phloem.io.files.netcdf import characters, filled, new_netcdf
from phloem.io.grids.placed_cells import PlacedCells
from phloem.io.merge.by_name import named_values
from phloem.io.merge.cell_layout import BLOCK_CELLS, define
from phloem.io.merge.grid_bands import write_bands
from phloem.io.merge.grid_layout import define_grid
from phloem.io.merge.member_statistics import member_statistics
from phloem.io.merge.retried_lanes import Mended
from phloem.io.merge.tile_reader import Rows, TileReader
from phloem.model_tables import ModelTables

LEAST_OF_TILES = 0.5
"""A product is larger than this share of its tiles: it holds what they hold, most of it twice (measured: 2.5 to 5)."""

OnProgress = Callable[[int, int], None]


def merge_tiles(
    paths: CampaignPaths,
    plan: Sequence[Sequence[str]],
    tables: ModelTables,
    campaign_attributes: Mapping[str, Any],
    *,
    retries: Iterable[int] = (),
    allow_holes: bool = False,
    on_progress: OnProgress | None = None,
    grid: PlacedCells | None = None,
) -> Path:
    """Write merged.nc from the committed tiles; the old product stays until the new one is whole.

    Args:
        paths: the campaign.
        plan: the cells of each tile, in order.
        tables: of the model, with the bounds that its quantities have in this campaign.
        campaign_attributes: global attributes (version, configuration_hash, seed, title, ...). A tile whose own
            configuration_hash is another is refused.
        retries: numbers of the tiles that hold failed lanes calibrated again; those that are there count.
        allow_holes: mark the cells of absent tiles as missing instead of refusing.
        on_progress: called with the number of tiles done and of all tiles.
        grid: where each cell lies, for a product with dimensions (lat, lon, ...) in the place of (cell, ...).

    Returns:
        The path of merged.nc.

    Raises:
        InputError: a cell has no place on the grid.
        WorkError: a cell twice, a tile absent, altered or of another plan, or no room; nothing was written.
    """
    _refuse_duplicates(plan)
    reader = TileReader(paths, plan, calibration_schema(tables), campaign_attributes, allow_holes, grid)
    reader.read_ahead()
    mended = Mended(paths, retries, reader.schema, reader.commits, reader.configuration_hash, reader.lengths)
    _refuse_without_room(paths, len(plan))
    temporary = paths.merged_temporary(socket.gethostname(), os.getpid())
    try:
        with new_netcdf(temporary) as file:
            attributes = {**campaign_attributes, "missing_cells": 0}
            if grid is None:
                define(file, reader.schema, reader.lengths, attributes, tables, _width(plan))
            else:
                define_grid(file, reader.schema, reader.lengths, attributes, grid, tables)
            file["member"][:] = np.arange(reader.lengths["member"], dtype=np.int32)
            file["trace_iteration"][:] = reader.trace_iteration
            if grid is None:
                _write_cells(file, reader, mended, tables, on_progress)
            else:
                write_bands(file, reader, mended, grid.grid, tables, on_progress)
            reader.refuse_problems()
            file.missing_cells = np.int32(sum(len(plan[index]) for index in reader.problems))
        sync_file(temporary)
        os.replace(temporary, paths.merged)
        sync_directory(paths.root)
    except (OSError, RuntimeError) as error:
        if isinstance(error, WorkError):
            raise
        raise not_written(paths.merged, error, merge_again(paths)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return paths.merged


def _refuse_without_room(paths: CampaignPaths, tiles: int) -> None:
    """Ask for the space before: refuse where the product cannot have room beside what is there.

    Raises:
        WorkError: less is free than the least that it takes.
    """
    sizes = [paths.tile(index).stat().st_size for index in range(tiles) if paths.tile(index).exists()]
    least, free = LEAST_OF_TILES * sum(sizes), shutil.disk_usage(paths.root).free
    if free < least:
        raise WorkError(
            f"{paths.merged} would take {least / 2**20:.1f} MiB at least, and {free / 2**20:.1f} MiB are free at "
            f"{paths.root}: disk full. Nothing was written; {merge_again(paths)}"
        )


def merge_again(paths: CampaignPaths) -> str:
    """Return in words what writes merged.nc anew."""
    return f"`phloem merge {paths.root}` writes it"


def _width(plan: Sequence[Sequence[str]]) -> int:
    """Bytes of the longest name of a cell."""
    return max(len(cell.encode()) for cells in plan for cell in cells)


def _refuse_duplicates(plan: Sequence[Sequence[str]]) -> None:
    counts = Counter(cell for cells in plan for cell in cells)
    twice = [cell for cell, count in counts.items() if count > 1]
    if twice:
        tiles = [index for index, cells in enumerate(plan) if set(cells) & set(twice)]
        raise WorkError(
            f"cells planned more than once: {some(twice)} (tiles {some(tiles)}): every cell belongs to one "
            "tile; plan the campaign anew with `phloem plan`"
        )
    if not counts:
        raise WorkError("the plan has no cells: plan the campaign anew with `phloem plan`")


def _write_cells(
    file: netCDF4.Dataset, reader: TileReader, mended: Mended, tables: ModelTables, on_progress: OnProgress | None
) -> None:
    start = 0
    for rows in _blocks(_tiles(reader, on_progress)):
        stop = start + len(rows["cell"])
        mended.apply(rows)
        derived = member_statistics(rows["parameters"], rows["initial_pools"], good_lanes(rows["status"]), tables)
        for name, values in {**rows, **derived}.items():
            texts = values.dtype.kind in "UO"
            file[name][start:stop] = characters(values.tolist(), file[name]) if texts else filled(values)
        for name, values in named_values(rows["parameters"], rows["initial_pools"], tables).items():
            file[name][:, start:stop] = filled(values)
        start = stop


def _tiles(reader: TileReader, on_progress: OnProgress | None) -> Iterator[Rows]:
    """The cells of each tile; tiles with problems are left out where they may not become holes."""
    for index in range(len(reader.plan)):
        rows = reader.read(index)
        if rows is not None:
            yield rows
        if on_progress is not None:
            on_progress(index + 1, len(reader.plan))


def _blocks(tiles: Iterator[Rows]) -> Iterator[Rows]:
    """The same cells in blocks of `BLOCK_CELLS`, the last one shorter."""
    waiting: list[Rows] = []
    count = 0
    for rows in tiles:
        waiting.append(rows)
        count += len(rows["cell"])
        if count >= BLOCK_CELLS:
            joined = _join(waiting)
            while count >= BLOCK_CELLS:
                yield {name: values[:BLOCK_CELLS] for name, values in joined.items()}
                joined = {name: values[BLOCK_CELLS:].copy() for name, values in joined.items()}
                count -= BLOCK_CELLS
            waiting = [joined]
    if count:
        yield _join(waiting)


def _join(parts: list[Rows]) -> Rows:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
