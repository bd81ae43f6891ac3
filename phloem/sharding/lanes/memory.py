"""The memory that a block of lanes needs on a device, projected before it is laid out."""

from __future__ import annotations

from phloem.arithmetic import ceil_div

RECOMPUTED = {"xla": 128, "cpu": 48, "gpu": 12}
"""Numbers a lane and day of one segment that the reverse sweep recomputes and keeps, at most: about 100 were counted in
XLA's compiled program, 31 in the scratch of the cpu backend, the states in that of the gpu backend."""


def projected_bytes(
    days: int,
    cells: int,
    fields: int,
    states: int,
    segment: int,
    width: int,
    size: int,
    backend: str,
    lane: int = 0,
    rows: int | None = None,
) -> int:
    """Project the memory that a device needs to advance one block.

    Four parts: the tables, shared by the members; the states at segment starts; one segment's recomputation; and where
    the lanes stand, before and after a chunk.

    Args:
        days: days of the simulation.
        cells: cells in the block.
        fields: numbers a cell and day in the tables.
        states: numbers a lane that are kept at each segment's start.
        segment: days a segment.
        width: lanes a block.
        size: bytes a number.
        backend: what runs the time loop, `xla`, `cpu` or `gpu`.
        lane: bytes in which the optimiser notes where a lane stands.
        rows: rows of the tables where days repeat them; by default one a day.
    """
    tables = days * cells + (days if rows is None else rows) * cells * (fields - 1)
    kept = ceil_div(days, segment) * states * width
    residuals = segment * RECOMPUTED[backend] * width
    return size * (tables + kept + residuals) + 2 * width * lane
