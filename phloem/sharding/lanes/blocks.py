"""Blocks of lanes, and rounds of blocks: the layout of a tile's lanes, as wide as suits what computes them.

A core has blocks of one width, whatever they hold; what is left over is padding. A GPU computes tens of thousands of
lanes in the time of a few, so that its blocks are as wide as the device; where fewer lanes are left, a block is of a
lower rung of a ladder, each of half the width of the one before. All widths are multiples of BLOCK: XLA's code of a
lane has the same bits in all of them (tests/jobs/calibration/test_widths.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phloem.arithmetic import ceil_div

BLOCK = 64
"""Lanes a block. On one core an iteration of 64 lanes takes 1.4 times as long as one of 8 (see benchmarks)."""

LANES_A_MULTIPROCESSOR = 384
"""Lanes that a GPU's multiprocessor computes at once: three blocks of 128 threads, as many as the registers of the
adjoint allow (`python -m benchmarks.gpu --compile`)."""

MULTIPROCESSORS = 132
"""Of an H100 or H200: of a GPU that is not at hand when a campaign is planned."""

GPU_RUNS = 8192
"""Lanes side by side on a GPU in runs that keep outputs by day: those of a year take 12 MB an output."""


def widest_block(backend: str, multiprocessors: int | None = None, lanes: int = 0) -> int:
    """Return the lanes of the widest block of a device.

    Args:
        backend: what runs the time loop.
        multiprocessors: of the GPU; by default those of an H200.
        lanes: as configured in `engine.lanes`; 0 leaves the choice to this function.
    """
    if backend != "gpu":
        return BLOCK
    wanted = lanes or LANES_A_MULTIPROCESSOR * (multiprocessors or MULTIPROCESSORS)
    return ceil_div(wanted, BLOCK) * BLOCK


def runs_at_once(backend: str) -> int:
    """Return the lanes that stand side by side in runs that keep outputs by day."""
    return GPU_RUNS if backend == "gpu" else BLOCK


def fitted_width(lanes: int, widest: int) -> int:
    """Return the lowest rung of the ladder from a block's widest that holds so many lanes: few widths, few programs."""
    width = widest
    while width > BLOCK and (lower := ceil_div(width, 2 * BLOCK) * BLOCK) >= max(lanes, 1):
        width = lower
    return width


def fitted_table(cells: int, width: int) -> int:
    """Return the size of a device's tables that holds so many cells: at most an eighth more than there are.

    Each size has a program of its own; blocks of BLOCK lanes have so few cells that their tables double instead.
    """
    step = 1 << max(0, cells.bit_length() - 4) if width > BLOCK else 1
    return ceil_div(cells, step) * step


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


def cut_blocks(lanes: Sequence[tuple[int, int]], width: int = BLOCK) -> list[Block]:
    """Lay lanes out, in the order given, in blocks of at most `width` lanes.

    Args:
        lanes: (cell, member) of each, cells as positions in the tile.
        width: lanes a block.
    """
    result = []
    for first in range(0, len(lanes), width):
        part = lanes[first : first + width]
        present = tuple(sorted({cell for cell, _ in part}))
        place = {cell: number for number, cell in enumerate(present)}
        result.append(Block(present, tuple(place[c] for c, _ in part), tuple(m for _, m in part)))
    return result


def tile_lanes(cells: int, members: int) -> list[tuple[int, int]]:
    """Return (cell, member) of each lane of a tile of so many cells and members, cell by cell."""
    return [(cell, member) for cell in range(cells) for member in range(members)]


@dataclass(frozen=True)
class RoundLayout:
    """Lanes in rounds: what is worked on at once, one block a device.

    Attributes:
        devices: devices at work.
        width: places of each block.
        cells: cells of the fullest block: so many stand in every device's tables, and one program serves all rounds.
        rounds: blocks of each round; those of the last may be fewer than the devices.
    """

    devices: int
    width: int
    cells: int
    rounds: tuple[tuple[Block, ...], ...]


def lay_out(lanes: Sequence[tuple[int, int]], in_flight: int, widest: int = BLOCK) -> RoundLayout:
    """Lay lanes out in rounds of at most `in_flight` lanes.

    A block costs the same whatever it holds. So blocks are filled before another device is taken, and where fewer
    lanes may be in flight, devices are given up first.

    Args:
        lanes: (cell, member) of each; there may be none.
        in_flight: lanes that may be worked on at once, 1 or more.
        widest: lanes of a device's widest block.
    """
    devices = max(1, ceil_div(min(len(lanes), in_flight), widest))
    most = min(widest, in_flight // devices)
    if widest > BLOCK and devices > 1:  # devices that go together are filled alike
        most = min(most, ceil_div(len(lanes), devices * ceil_div(len(lanes), devices * most)))
    laid = cut_blocks(lanes, most)
    return RoundLayout(
        devices,
        fitted_width(max((len(block.lanes) for block in laid), default=0), widest),
        max((len(block.cells) for block in laid), default=0),
        tuple(tuple(laid[first : first + devices]) for first in range(0, len(laid), devices)),
    )
