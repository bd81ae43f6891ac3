"""How the lanes of a tile are laid out in blocks of one fixed width, and these in rounds.

A compiled program may round differently when its arrays have another width. So that a lane's result does not depend
on its tile, every block has the same width, whatever it holds; what is left over is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BLOCK = 64
"""Lanes a block. On one core an iteration of 64 lanes takes 1.4 times as long as one of 8 (see benchmarks)."""


@dataclass(frozen=True)
class Block:
    """Some lanes of a tile.

    Attributes:
        cells: the tile's cells that take part, as positions in the tile.
        lane_cell: cell of each lane, as a position in `cells`.
        members: member of each lane.
    """

    cells: tuple[int, ...]
    lane_cell: tuple[int, ...]
    members: tuple[int, ...]

    @property
    def lanes(self) -> list[tuple[int, int]]:
        """(cell, member) of each lane, cells as positions in the tile."""
        return [(self.cells[c], m) for c, m in zip(self.lane_cell, self.members, strict=True)]


def cut(lanes: Sequence[tuple[int, int]], width: int = BLOCK) -> list[Block]:
    """Lay lanes out, in the order given, in blocks of at most `width` lanes.

    Args:
        lanes: (cell, member) of each, cells as positions in the tile.
        width: lanes a block.
    """
    result = []
    for first in range(0, len(lanes), width):
        part = lanes[first : first + width]
        present = tuple(sorted({cell for cell, _ in part}))
        result.append(Block(present, tuple(present.index(c) for c, _ in part), tuple(m for _, m in part)))
    return result


def blocks(cells: int, members: int, width: int = BLOCK) -> list[Block]:
    """Lay a whole tile's lanes out, cell by cell, in blocks of at most `width` lanes.

    Args:
        cells: cells in the tile.
        members: members a cell.
        width: lanes a block.
    """
    return cut([(cell, member) for cell in range(cells) for member in range(members)], width)


@dataclass(frozen=True)
class Layout:
    """Lanes in rounds: what is worked on at once, one block a device.

    Attributes:
        devices: devices at work.
        cells: cells of the fullest block: so many stand in every device's tables, and one program serves all rounds.
        rounds: blocks of each round; those of the last may be fewer than the devices.
    """

    devices: int
    cells: int
    rounds: tuple[tuple[Block, ...], ...]


def lay_out(lanes: Sequence[tuple[int, int]], in_flight: int) -> Layout:
    """Lay lanes out in rounds of at most `in_flight` lanes.

    A block costs the same whatever it holds. So blocks are filled before another device is taken, and where fewer
    lanes may be in flight, devices are given up first.

    Args:
        lanes: (cell, member) of each; there may be none.
        in_flight: lanes that may be worked on at once, 1 or more.
    """
    devices = max(1, -(-min(len(lanes), in_flight) // BLOCK))
    laid = cut(lanes, min(BLOCK, in_flight // devices))
    return Layout(
        devices,
        max((len(block.cells) for block in laid), default=0),
        tuple(tuple(laid[first : first + devices]) for first in range(0, len(laid), devices)),
    )


RECOMPUTED = {"xla": 128, "cpu": 48}
"""Numbers a lane and day of one segment that the reverse sweep recomputes and keeps, at most: about 100 were counted in
XLA's compiled program, 31 in the scratch of the cpu backend."""


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
        backend: what runs the time loop, `xla` or `cpu`.
        lane: bytes in which the optimiser notes where a lane stands.
        rows: rows of the tables where days repeat them; by default one a day.
    """
    tables = days * cells + (days if rows is None else rows) * cells * (fields - 1)
    kept = -(-days // segment) * states * width
    residuals = segment * RECOMPUTED[backend] * width
    return size * (tables + kept + residuals) + 2 * width * lane
