"""The best lanes of cells, beside which lanes that are taken up again may walk once more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phloem.io.campaign.tiles import load_tile, read_commits
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.kind_of_work import Lane, Near
from phloem.names import POOR_BASIN_GAP


def read_better_lanes(campaign: Campaign, cells: Sequence[str], lanes: Sequence[Lane]) -> Near | None:
    """Read where the best lanes of some cells ended; None where none of the lanes has one.

    Args:
        campaign: whose committed tiles hold them.
        cells: name of each lane's cell.
        lanes: taken up again.

    Raises:
        CorruptFile: such a tile is not what was committed.
    """
    if all(lane.near_tile < 0 for lane in lanes):
        return None
    commits, schema = read_commits(campaign.paths), campaign.schema
    raw = np.full((len(lanes), schema.lengths["unknown"]), np.nan)
    aim = np.full(len(lanes), np.inf)
    for tile in sorted({lane.near_tile for lane in lanes} - {-1}):
        arrays, _, _ = load_tile(campaign.paths, tile, schema, commits)
        rows = {name: row for row, name in enumerate(arrays["cell"].tolist())}
        for place, (name, lane) in enumerate(zip(cells, lanes, strict=True)):
            if lane.near_tile == tile:
                best = rows[name], lane.near_member
                raw[place], aim[place] = arrays["raw"][best], arrays["loss"][best] + POOR_BASIN_GAP
    return Near(raw, aim)
