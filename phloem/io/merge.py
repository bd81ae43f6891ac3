"""The merge: all tiles of a campaign, one by one, into one CF-NetCDF file.

Memory holds one tile and one block of cells. Blocks follow the plan's order of cells and not the tiles, so
the product does not depend on how cells were put into tiles.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phloem.errors import InputError, WorkError
from phloem.io.atomic import CorruptFile, sync_directory, sync_file
from phloem.io.mended import Mended
from phloem.io.merged_layout import BLOCK_CELLS, DERIVED, define, fixed_values
from phloem.io.netcdf import new_netcdf
from phloem.io.paths import CampaignPaths
from phloem.io.schema import FIXED_DIMENSIONS, SCHEMA, SUCCESSES
from phloem.io.statistics import SCREENING_RCV, circular_median_and_rcv, median_and_rcv
from phloem.io.tiles import Commits, load_tile, read_commits
from phloem.names import CIRCULAR_PARAMETERS, PARAMETERS, STATUS

Rows = dict[str, np.ndarray]
Lengths = dict[str, int]

_PER_CELL = [name for name, v in SCHEMA.items() if v.merged and v.dimensions[0] == "cell"]
_SHOWN = 8


def merge_tiles(
    paths: CampaignPaths,
    plan: Sequence[Sequence[str]],
    campaign_attributes: Mapping[str, Any],
    *,
    retries: Iterable[int] = (),
    allow_holes: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write merged.nc from the committed tiles; the old product stays until the new one is whole.

    Args:
        paths: the campaign.
        plan: the cells of each tile, in order.
        campaign_attributes: global attributes (version, configuration_hash, seed, title, ...), and under
            "parameter_units" the units of the 30 parameters. A tile whose own configuration_hash is
            another is refused.
        retries: numbers of the tiles that hold failed lanes calibrated again; those that are there count.
        allow_holes: mark the cells of absent tiles as missing instead of refusing.
        on_progress: called with the number of tiles done and of all tiles.

    Returns:
        The path of merged.nc.

    Raises:
        InputError: `parameter_units` is not a list of 30.
        WorkError: a cell twice, a tile absent, altered or of another plan, or no room; nothing was written.
    """
    units = list(campaign_attributes.get("parameter_units", ()))
    if len(units) != len(PARAMETERS):
        raise InputError(f"parameter_units: {len(units)} units, {len(PARAMETERS)} are due")
    _refuse_duplicates(plan)
    reader = _Reader(paths, plan, campaign_attributes, allow_holes)
    reader.look_ahead()
    mended = Mended(paths, retries, reader.commits, reader.configuration_hash)
    temporary = paths.merged_temporary(socket.gethostname(), os.getpid())
    try:
        with new_netcdf(temporary) as file:
            define(file, reader.lengths, {**campaign_attributes, "missing_cells": 0})
            fixed = {**fixed_values(reader.lengths, units), "trace_iteration": reader.trace_iteration}
            for name, values in fixed.items():
                file[name][:] = values
            start = 0
            for rows in _blocks(reader.rows(on_progress)):
                stop = start + len(rows["cell"])
                mended.apply(rows)
                for name, values in {**rows, **_statistics(rows)}.items():
                    file[name][start:stop] = values.astype(object) if values.dtype.kind == "U" else values
                start = stop
            reader.refuse_problems()
            file.missing_cells = sum(len(plan[index]) for index in reader.problems)
        sync_file(temporary)
        os.replace(temporary, paths.merged)
        sync_directory(paths.root)
    except (OSError, RuntimeError) as error:
        if isinstance(error, WorkError):
            raise
        raise WorkError(
            f"{paths.merged} could not be written ({error}): see that the disk has room, then run "
            f"`phloem merge {paths.root}`"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return paths.merged


def _refuse_duplicates(plan: Sequence[Sequence[str]]) -> None:
    counts = Counter(cell for cells in plan for cell in cells)
    twice = [cell for cell, count in counts.items() if count > 1]
    if twice:
        tiles = [index for index, cells in enumerate(plan) if set(cells) & set(twice)]
        raise WorkError(
            f"cells planned more than once: {_some(twice)} (tiles {_some(tiles)}): every cell belongs to one "
            "tile; plan the campaign anew with `phloem plan`"
        )
    if not counts:
        raise WorkError("the plan has no cells: plan the campaign anew with `phloem plan`")


def _some(items: Sequence[object]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(map(str, items[:_SHOWN])) + more


class _Reader:
    """Reads the tiles in the plan's order and notes what is wrong with them."""

    def __init__(
        self,
        paths: CampaignPaths,
        plan: Sequence[Sequence[str]],
        campaign_attributes: Mapping[str, Any],
        allow_holes: bool,
    ) -> None:
        self.paths, self.plan, self.allow_holes = paths, plan, allow_holes
        self.configuration_hash = campaign_attributes.get("configuration_hash")
        self.commits: Commits = read_commits(paths)
        self.problems: dict[int, str] = {}
        self.lengths: Lengths = {}
        self.trace_iteration = np.zeros(0, np.int32)

    def look_ahead(self) -> None:
        """Refuses absent tiles before any work; takes members and trace from the first tile that is done."""
        for index in range(len(self.plan)):
            if not self.paths.tile(index).exists():
                self.problems[index] = "missing"
        if self.problems and not self.allow_holes:
            self.refuse_problems()
        for index in range(len(self.plan)):
            loaded = None if index in self.problems else self._load(index)
            if loaded is not None:
                arrays = loaded[0]
                self.trace_iteration = arrays["trace_iteration"]
                self.lengths = dict(FIXED_DIMENSIONS)
                self.lengths["cell"] = sum(len(cells) for cells in self.plan)
                self.lengths["member"], self.lengths["trace"] = arrays["loss_trace"].shape[1:]
                return
        self.allow_holes = False
        self.refuse_problems()

    def rows(self, on_progress: Callable[[int, int], None] | None) -> Iterator[Rows]:
        """The cells of each tile; holes where those are allowed, else tiles with problems are left out."""
        for index, cells in enumerate(self.plan):
            loaded = None if index in self.problems else self._load(index)
            if loaded is not None:
                arrays, attempt = loaded
                rows = {name: arrays[name] for name in _PER_CELL}
                rows |= {"tile": np.full(len(cells), index), "attempt": np.full(len(cells), attempt)}
                yield rows
            elif self.allow_holes:
                yield self._hole(index, cells)
            if on_progress is not None:
                on_progress(index + 1, len(self.plan))

    def refuse_problems(self) -> None:
        """Raise a WorkError that names what is wrong, unless holes are allowed."""
        if not self.problems or self.allow_holes:
            return
        bad = [
            f"tile {index} ({reason}; cells {_some(self.plan[index])})"
            for index, reason in sorted(self.problems.items())
        ]
        raise WorkError(
            f"{len(bad)} of {len(self.plan)} tiles cannot be merged: {_some(bad)}: "
            f"run `phloem run {self.paths.root}` to compute them"
        )

    def _load(self, index: int) -> tuple[Rows, int] | None:
        try:
            arrays, attributes, attempt = load_tile(self.paths, index, self.commits)
        except CorruptFile as error:
            self.problems[index] = str(error)
            return None
        shape = arrays["loss_trace"].shape[1:]
        its_hash = attributes.get("configuration_hash", self.configuration_hash)
        if arrays["cell"].tolist() != list(self.plan[index]):
            self.problems[index] = f"holds other cells than planned: {_some(arrays['cell'].tolist())}"
        elif self.configuration_hash is not None and its_hash != self.configuration_hash:
            self.problems[index] = f"computed with configuration {its_hash}, not {self.configuration_hash}"
        elif self.lengths and shape != (self.lengths["member"], self.lengths["trace"]):
            self.problems[index] = f"has {shape[0]} members and {shape[1]} trace points, unlike the others"
        elif self.lengths and not np.array_equal(arrays["trace_iteration"], self.trace_iteration):
            self.problems[index] = "its loss trace has other iterations than those of the others"
        return None if index in self.problems else (arrays, attempt)

    def _hole(self, index: int, cells: Sequence[str]) -> Rows:
        lengths = {**self.lengths, "cell": len(cells)}
        rows: Rows = {"cell": np.asarray(cells, dtype=str)}
        for name in _PER_CELL[1:]:
            variable = SCHEMA[name]
            dtype = np.dtype(variable.dtypes[0])
            shape = tuple(lengths[dimension] for dimension in variable.dimensions)
            rows[name] = np.full(shape, np.nan if dtype.kind == "f" else 0, dtype)
        rows["status"][:] = STATUS["missing"]
        return rows | {"tile": np.full(len(cells), index), "attempt": np.zeros(len(cells), int)}


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


def _statistics(rows: Rows) -> Rows:
    valid = np.isin(rows["status"], SUCCESSES)[:, None, :]
    parameters = rows["parameters"].swapaxes(1, 2)
    median, rcv = median_and_rcv(parameters, valid)
    circular = [PARAMETERS.index(name) for name in CIRCULAR_PARAMETERS]
    median[:, circular], rcv[:, circular] = circular_median_and_rcv(parameters[:, circular], valid)
    pools = median_and_rcv(rows["initial_pools"].swapaxes(1, 2), valid)
    screened = np.where(rcv <= SCREENING_RCV, median, np.nan)
    return dict(zip(DERIVED, (median, rcv, screened, *pools), strict=True))
