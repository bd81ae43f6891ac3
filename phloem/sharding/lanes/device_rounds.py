"""Rounds of lanes on devices: one block of lanes a device, with the tables of its own cells, under one program.

The program is the same for one device as for many. It holds no collective: each device goes on until its own lanes
are done. Planning reads the rest of `phloem.sharding` without JAX; so this file is imported by name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from phloem.kernels.objective.bounded_log import log_physical
from phloem.kernels.objective.objective import Objective, SiteData, nnse
from phloem.kernels.objective.site import Site, site_data
from phloem.kernels.optimise.lanes import PADDING, Lanes
from phloem.kernels.optimise.optimiser import Optimiser, advance
from phloem.kernels.simulate.days_at_bounds import DaysAtBounds, days_at_bounds
from phloem.kernels.time_loop.day_tables import DayTables
from phloem.sharding.lanes.blocks import Block

AXIS = "lanes"

BY_LANE: Any = P(AXIS)
REPLICATED: Any = P()
BY_CELL: Any = P(None, AXIS)
ROWS_BY_CELL: Any = P(None, None, AXIS)

TABLES = SiteData(
    tables=DayTables(
        weather=ROWS_BY_CELL, observed=ROWS_BY_CELL, weather_row=REPLICATED, observed_row=REPLICATED, live=BY_CELL
    ),
    variance=BY_CELL,
    marked=BY_LANE,
    days=BY_LANE,
    facts=BY_LANE,
)
"""How the tables lie on the devices: the last axis is that of the cells, and each device has its own."""

Program = Callable[..., Any]


def global_arrays(mesh: Mesh, specs: Any, parts: Sequence[Any]) -> Any:
    """Join what each device holds into arrays over all of them.

    Args:
        mesh: the devices, which may be those of several processes.
        specs: how the leaves lie on the devices, as one tree or as the beginning of one.
        parts: one tree a device of this process, leaves of equal shapes; a leaf whose spec names no axis is the same in
            all.

    Returns:
        One tree; the axis that a spec names is as long as those of all devices together.
    """

    def join_tree(spec: P, *pieces: Any) -> Any:
        def join_leaf(*leaves: Any) -> jax.Array:
            shape = list(leaves[0].shape)
            for axis, name in enumerate(spec):
                shape[axis] *= mesh.size if name else 1
            on_device = [jax.device_put(leaf, device) for leaf, device in zip(leaves, mesh.local_devices, strict=True)]
            return jax.make_array_from_single_device_arrays(tuple(shape), NamedSharding(mesh, spec), on_device)

        return jax.tree.map(join_leaf, *pieces)

    return jax.tree.map(join_tree, specs, *parts, is_leaf=lambda leaf: isinstance(leaf, P))


class PlacedRound:
    """A round of lanes on their devices: a block of places a device, those without a lane being padding.

    Attributes:
        mesh: the devices.
        lane_of: lane in each place, -1 where there is none, (devices, width).
        lane_cell: cell of each place as a position in its device's tables, on the devices.
    """

    def __init__(
        self,
        devices: Sequence[jax.Device],
        blocks: Sequence[Block],
        numbers: Mapping[tuple[int, int], int],
        sites: Mapping[int, Site],
        table: int,
        width: int,
    ):
        """Assign each lane a place in the block of its device.

        Args:
            devices: as many as there are blocks, or more.
            blocks: of the round; a device without one has nothing but padding.
            numbers: number of each lane, by cell and member.
            sites: the cells, by their position in the tile.
            table: cells in the tables of a device; those of a block are repeated up to it.
            width: places of a block.
        """
        self.mesh = Mesh(np.array(devices), (AXIS,))
        self.lane_of = np.full((len(devices), width), -1)
        cells = np.zeros((len(devices), width), np.int32)
        self.sites = [[sites[cell] for cell in np.resize(blocks[0].cells, table)]] * len(devices)
        for row, block in enumerate(blocks):
            self.lane_of[row, : len(block.lanes)] = [numbers[lane] for lane in block.lanes]
            cells[row, : len(block.lanes)] = block.lane_cell
            self.sites[row] = [sites[cell] for cell in np.resize(block.cells, table)]
        self.lane_cell = global_arrays(self.mesh, BY_LANE, list(cells))

    @property
    def lanes(self) -> np.ndarray:
        """Numbers of the lanes that have a place, int (lanes,)."""
        return self.lane_of[self.lane_of >= 0]

    def tables(self, dtype: Any, window: str = "calibration", least: int = 0) -> SiteData:
        """Build each device's tables where it reads them.

        Args:
            dtype: floating type.
            window: `calibration` or `validation`.
            least: days that the tables have at least.

        Returns:
            The tables, laid out as TABLES says: cells of all devices side by side on their last axis.
        """
        longest = max(least, *(site.rows for group in self.sites for site in group))
        parts = []
        for device, group in zip(self.mesh.devices.flat, self.sites, strict=True):
            with jax.default_device(device):
                parts.append(site_data(group, dtype, window, least=longest))
        placed: SiteData = global_arrays(self.mesh, TABLES, parts)
        return placed

    def device_parts(self, leaves: Any) -> list[Any]:
        """Return each device's part of a tree of host arrays, lanes first; padding copies the tile's first lane."""
        return [jax.tree.map(lambda leaf, row=row: leaf[np.maximum(row, 0)], leaves) for row in self.lane_of]

    def to_devices(self, leaves: Any) -> Any:
        """Copy a tree of host arrays, lanes first, to the devices."""
        return global_arrays(self.mesh, BY_LANE, self.device_parts(leaves))

    def lanes_to_devices(self, lanes: Lanes) -> Lanes:
        """Copy lanes to the devices; padding is marked as such."""
        parts = [
            part._replace(phase=np.where(row < 0, np.int32(PADDING), part.phase))
            for row, part in zip(self.lane_of, self.device_parts(lanes), strict=True)
        ]
        placed: Lanes = global_arrays(self.mesh, BY_LANE, parts)
        return placed

    def from_devices(self, placed: Any, host: Any) -> None:
        """Copy a tree of arrays on the devices into one of host arrays, all lanes first; padding is left behind."""
        occupied = np.flatnonzero(self.lane_of >= 0)
        for target, source in zip(jax.tree.leaves(host), jax.tree.leaves(jax.device_get(placed)), strict=True):
            target[self.lanes] = source[occupied]


@functools.cache
def advance_program(objective: Objective, optimiser: Optimiser, mesh: Mesh) -> Program:
    """Return the program (tables, lane_cell, lanes, steps, stage) -> lanes: `kernels.advance` on each device.

    Its arguments stay valid: a chunk that fails, as for want of memory, leaves the lanes as they were before it.
    """

    def shard(data: SiteData, lane_cell: jax.Array, lanes: Lanes, steps: jax.Array, stage: jax.Array) -> Lanes:
        return advance(objective, optimiser, data, lane_cell, lanes, steps, stage)

    specs = (TABLES, BY_LANE, BY_LANE, REPLICATED, REPLICATED)
    return jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=specs, out_specs=BY_LANE, check_vma=False))


@functools.cache
def bounds_program(objective: Objective, mesh: Mesh) -> Program:
    """Return the program (raw, tables, lane_cell) -> DaysAtBounds of all lanes, each part (lanes, pools)."""
    model = objective.model

    def shard(raw: jax.Array, data: SiteData, lane_cell: jax.Array) -> DaysAtBounds:
        logs = log_physical(raw.T, objective.unknowns)
        count = len(model.parameters)
        inputs, pools = model.inputs_of_logs(logs[:count]), jnp.exp(logs[count:])
        found = days_at_bounds(model, inputs, pools, data.tables, lane_cell, backend=objective.backend)
        return DaysAtBounds(*(part.T for part in found))

    specs = (BY_LANE, TABLES, BY_LANE)
    return jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=specs, out_specs=BY_LANE, check_vma=False))


@functools.cache
def terms_program(objective: Objective, mesh: Mesh) -> Program:
    """Return the program (raw, sharpness, tables, lane_cell) -> (terms of the loss, NNSE by stream) of all lanes.

    NNSE is NaN where a cell has nothing to score in the tables' window.
    """

    def shard(raw: jax.Array, sharpness: jax.Array, data: SiteData, lane_cell: jax.Array) -> tuple[Any, Any]:
        terms, sums = objective.terms(raw.T, sharpness, data, lane_cell)
        efficiency = nnse(sums, data, lane_cell, objective.streams)
        spread = data.variance[:, lane_cell]
        scores = {
            name: jnp.where(spread[row] > 0, efficiency[name], jnp.nan) for row, name in enumerate(objective.streams)
        }
        return terms, scores

    specs = (BY_LANE, BY_LANE, TABLES, BY_LANE)
    return jax.jit(jax.shard_map(shard, mesh=mesh, in_specs=specs, out_specs=BY_LANE, check_vma=False))
