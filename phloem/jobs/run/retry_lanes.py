"""`phloem retry --lanes`: lanes of many tiles that do not count, packed into full batches and computed again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phloem.errors import InputError
from phloem.io.campaign.tile_schema import good_lanes, with_basins
from phloem.io.campaign.tiles import load_tile, read_commits
from phloem.io.merge.retried_lanes import takes_the_place
from phloem.jobs.campaign.campaign import Campaign, add_retries
from phloem.jobs.campaign.kind_of_work import Lane
from phloem.jobs.campaign.tile_size import planned_width
from phloem.names import STATUS

TAKEN_UP = tuple(STATUS[name] for name in ("diverged", "set_aside", "poor_basin", "dead_stand", "budget"))
"""What became of lanes that are computed again."""


def taken_up(names: str) -> tuple[int, ...]:
    """Return the statuses of the lanes that are wanted, from names with commas between them; all where there is none.

    Raises:
        InputError: no such status, or one whose lanes are not taken up.
    """
    valid = {name: code for name, code in STATUS.items() if code in TAKEN_UP}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if wrong := [name for name in wanted if name not in valid]:
        raise InputError(f"--only {wrong[0]!r}: valid are {', '.join(valid)}")
    return tuple(valid[name] for name in wanted) or TAKEN_UP


class _Found:
    """What is known of the lanes of one cell: the arrays of its planned tile, and what batches made of them."""

    def __init__(self, members: int) -> None:
        self.status = np.full(members, STATUS["missing"], np.int64)
        self.loss = np.full(members, np.nan)
        self.redraws = np.zeros(members, np.int64)
        self.tile = np.full(members, -1)

    def take(self, tile: int, status: np.ndarray, loss: np.ndarray, redraws: np.ndarray) -> None:
        """Take the lanes of a tile that are not missing in it; a batch must have done better."""
        there = status != STATUS["missing"]
        self.redraws[there] = redraws[there]
        better = there & takes_the_place(self.status, self.loss, status, loss)
        self.status[better], self.loss[better], self.tile[better] = status[better], loss[better], tile


def failed_lanes(campaign: Campaign, taken_up: Sequence[int] = TAKEN_UP) -> list[Lane]:
    """Return the lanes that are to be computed again: with the draw that each begins at, and its cell's best lane.

    A lane goes on with the draws after those it has used; what was set aside has used none in vain. Where a lane of
    the cell counts, the others may walk once more from beside its end.

    Args:
        campaign: some or all of whose tiles are done.
        taken_up: what became of the lanes that are wanted, of `names.STATUS`.

    Raises:
        CorruptFile: a tile is not what was committed.
    """
    commits, schema = read_commits(campaign.paths), campaign.schema
    place = {name: position for position, name in enumerate(cell.name for cell in campaign.cells)}
    known: dict[int, _Found] = {}
    for tile in campaign.all_tiles:
        if not campaign.paths.tile(tile).exists():
            continue
        arrays, _, _ = load_tile(campaign.paths, tile, schema, commits)
        arrays.setdefault("loss", np.zeros(arrays["status"].shape))  # lanes of a kind without basins are all alike
        for row, cell in enumerate(arrays["cell"].tolist()):
            found = known.setdefault(place[cell], _Found(arrays["status"].shape[1]))
            found.take(tile, *(arrays[name][row] for name in ("status", "loss", "redraws")))
    return [lane for cell in sorted(known) for lane in _lanes_of(cell, known[cell]) if lane.was in taken_up]


def _lanes_of(cell: int, found: _Found) -> list[Lane]:
    status = with_basins(found.status[None], found.loss[None])[0]
    counted = good_lanes(status) & np.isfinite(found.loss)
    best = int(np.argmin(np.where(counted, found.loss, np.inf)))
    near = (int(found.tile[best]), best) if counted[best] else (-1, -1)
    lanes = []
    for member in np.flatnonzero(np.isin(status, TAKEN_UP)).tolist():
        used = int(found.redraws[member]) + int(status[member] != STATUS["set_aside"])
        lanes.append(Lane(cell, member, used, int(status[member]), *near))
    return lanes


def retry_lanes(campaign: Campaign, taken_up: Sequence[int] = TAKEN_UP) -> tuple[Campaign, int]:
    """Pack the failed lanes into batches that fill the devices; return the campaign that has them, and their number.

    A lane that stands in a batch which is not done yet stays there. One that has used up its draws stays as it is: a
    tile file counts them in a byte.

    Args:
        campaign: some or all of whose tiles are done.
        taken_up: what became of the lanes that are wanted, of `names.STATUS`.

    Raises:
        CorruptFile: a tile is not what was committed.
    """
    open_batches = [batch for tile, batch in _batches(campaign) if not campaign.paths.tile(tile).exists()]
    waiting = {lane[:2] for batch in open_batches for lane in batch}
    lanes = [
        lane
        for lane in failed_lanes(campaign, taken_up)
        if lane[:2] not in waiting and lane.redraws <= campaign.kind.most_redraws
    ]
    width = planned_width(campaign.configuration) * campaign.configuration.engine.devices
    batches = [lanes[first : first + width] for first in range(0, len(lanes), width)]
    return (add_retries(campaign, batches) if batches else campaign), len(lanes)


def _batches(campaign: Campaign) -> list[tuple[int, list[Lane]]]:
    return [(len(campaign.tiles) + number, list(batch)) for number, batch in enumerate(campaign.retries)]
