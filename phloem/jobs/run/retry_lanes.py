"""`phloem retry --lanes`: failed lanes of many tiles, packed into full batches and computed again."""

from __future__ import annotations

from phloem.io.campaign.tiles import load_tile, read_commits
from phloem.jobs.campaign.campaign import Campaign, Lane, add_retries
from phloem.names import STATUS
from phloem.sharding.lanes.blocks import BLOCK

FAILED = (STATUS["diverged"], STATUS["set_aside"])


def failed_lanes(campaign: Campaign) -> list[Lane]:
    """Return the lanes that neither a tile nor a batch has brought to an end, with the draw that each begins at.

    A diverged lane goes on with the draws after those it has used; what was set aside has used none in vain.

    Raises:
        CorruptFile: a tile is not what was committed.
    """
    commits, schema = read_commits(campaign.paths), campaign.schema
    place = {name: position for position, name in enumerate(cell.name for cell in campaign.cells)}
    redraws_by_lane: dict[tuple[int, int], int] = {}
    for tile in campaign.all_tiles:
        if not campaign.paths.tile(tile).exists():
            continue
        known = commits.get(tile, {}).values()
        if tile < len(campaign.tiles) and not any(c.lanes.get("diverged") or c.lanes.get("set_aside") for c in known):
            continue
        arrays, _, _ = load_tile(campaign.paths, tile, schema, commits)
        for row, cell in enumerate(arrays["cell"].tolist()):
            for member, status in enumerate(arrays["status"][row].tolist()):
                lane = place[cell], member
                if status in FAILED:
                    redraws_by_lane[lane] = int(arrays["redraws"][row, member]) + (status == STATUS["diverged"])
                elif status != STATUS["missing"]:
                    redraws_by_lane.pop(lane, None)
    return [(cell, member, redraws) for (cell, member), redraws in sorted(redraws_by_lane.items())]


def retry_lanes(campaign: Campaign) -> tuple[Campaign, int]:
    """Pack the failed lanes into batches that fill the devices; return the campaign that has them, and their number.

    A lane that stands in a batch which is not done yet stays there. One that has used up its draws stays diverged: a
    tile file counts them in a byte.

    Raises:
        CorruptFile: a tile is not what was committed.
    """
    open_batches = [batch for tile, batch in _batches(campaign) if not campaign.paths.tile(tile).exists()]
    waiting = {(cell, member) for batch in open_batches for cell, member, _ in batch}
    lanes = [
        lane for lane in failed_lanes(campaign) if lane[:2] not in waiting and lane[2] <= campaign.kind.most_redraws
    ]
    width = BLOCK * campaign.configuration.engine.devices
    batches = [lanes[first : first + width] for first in range(0, len(lanes), width)]
    return (add_retries(campaign, batches) if batches else campaign), len(lanes)


def _batches(campaign: Campaign) -> list[tuple[int, list[Lane]]]:
    return [(len(campaign.tiles) + number, list(batch)) for number, batch in enumerate(campaign.retries)]
