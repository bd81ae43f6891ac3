"""What stands at a wall in a merged product: parameters and pools at bounds, clamped days, gaps to the best lane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phloem.io.campaign.tile_schema import good_lanes, least_losses
from phloem.io.merge.read_slices import MergedSlices
from phloem.model_tables import ModelTables, Parameter


@dataclass(frozen=True)
class AtBounds:
    """How many lanes that count hold one quantity at a bound.

    Attributes:
        quantity: a parameter, or a pool at its beginning.
        lower, upper: lanes at its bounds.
        stopped: cells in which most of the lanes that count stand at one.
    """

    quantity: Parameter
    lower: int
    upper: int
    stopped: int


@dataclass(frozen=True)
class Clamped:
    """Lanes that count whose run holds one pool at a wall.

    Attributes:
        pool: the pool.
        ceiling: lanes with days at its ceiling.
        clamped: lanes with days at its floor or ceiling.
        days: median of these days over those lanes, NaN where there are none.
    """

    pool: Parameter
    ceiling: int
    clamped: int
    days: float


@dataclass(frozen=True)
class Walls:
    """What stands at a wall in a campaign.

    Attributes:
        lanes: that count.
        cells: that have one.
        parameters: those that the model reads.
        pools: at their beginning.
        clamped: pools during the run; empty where tiles are older than the counts.
        gaps: loss of every lane that came to an end, those in poor basins too, above the least of its cell: (n,).
        borrowed: lanes that ended beside another member's basin, no independent draws.
    """

    lanes: int
    cells: int
    parameters: tuple[AtBounds, ...]
    pools: tuple[AtBounds, ...]
    clamped: tuple[Clamped, ...]
    gaps: np.ndarray
    borrowed: int


def read_walls(merged: MergedSlices, tables: ModelTables) -> Walls | None:
    """Count what stands at a wall; None where the product is older than these variables.

    Args:
        merged: an open product.
        tables: of the model.
    """
    if not {"at_bound", "at_bound_pools", "clamped_days", "ceiling_days", "borrowed"} <= set(merged.file.variables):
        return None
    status, loss = merged.read("status").astype(np.int64), merged.read("loss")
    good = good_lanes(status)
    ended, least = least_losses(status, loss)
    slots = {name: slot for slot, name in enumerate(merged.labels("parameter"))}

    def count(quantity: Parameter, name: str, slot: int) -> AtBounds:
        where = np.where(good, merged.read(name, slice(None), slot).astype(np.int64), 0)
        stopped = (where != 0).sum(axis=1) * 2 > good.sum(axis=1)
        return AtBounds(quantity, int((where == -1).sum()), int((where == 1).sum()), int(stopped.sum()))

    clamped = []
    for slot, pool in enumerate(tables.pools):
        days, ceiling = (merged.read(name, slice(None), slot) for name in ("clamped_days", "ceiling_days"))
        some = good & (days > 0)
        middle = float(np.median(days[some])) if some.any() else float("nan")
        if not (days[good] < 0).any():
            clamped.append(Clamped(pool, int((good & (ceiling > 0)).sum()), int(some.sum()), middle))
    return Walls(
        lanes=int(good.sum()),
        cells=int(good.any(axis=1).sum()),
        parameters=tuple(count(one, "at_bound", slots[one.name]) for one in tables.shown),
        pools=tuple(count(pool, "at_bound_pools", slot) for slot, pool in enumerate(tables.pools)),
        clamped=tuple(clamped),
        gaps=loss[ended] - np.broadcast_to(least, loss.shape)[ended],
        borrowed=int((good & (merged.read("borrowed") > 0)).sum()),
    )
