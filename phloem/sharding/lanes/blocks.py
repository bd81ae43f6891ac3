"""How the lanes of a tile are laid out in blocks of one fixed width, and these in rounds.

A compiled program may round differently when its arrays have another width. So that a lane's result does not depend
on its tile, every block has the same width, whatever it holds; what is left over is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phloem.arithmetic import ceil_div

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
    devices = max(1, ceil_div(min(len(lanes), in_flight), BLOCK))
    laid = cut(lanes, min(BLOCK, in_flight // devices))
    return Layout(
        devices,
        max((len(block.cells) for block in laid), default=0),
        tuple(tuple(laid[first : first + devices]) for first in range(0, len(laid), devices)),
    )
