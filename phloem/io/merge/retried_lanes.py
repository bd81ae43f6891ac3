"""Lanes that were calibrated again: their results take the place of the failed ones when tiles are merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tile_schema import TileSchema, good_lanes
from phloem.io.campaign.tiles import Commits, load_tile
from phloem.io.files.atomic import CorruptFile
from phloem.names import STATUS

Rows = dict[str, np.ndarray]


class Mended:
    """The lanes of the committed batches of failed lanes.

    Attributes:
        lanes: by cell: tile, row in it, and the members that it has a result for; later tiles come last.
    """

    def __init__(
        self,
        paths: CampaignPaths,
        tiles: Iterable[int],
        schema: TileSchema,
        commits: Commits,
        configuration_hash: object,
        lengths: Mapping[str, int],
    ):
        """Read the batches that are there.

        Args:
            paths: the campaign.
            tiles: numbers of the batches.
            schema: what a tile holds.
            commits: from `read_commits`.
            configuration_hash: what a batch must have been computed with, None for any.
            lengths: of the dimensions of the tiles that it belongs to.

        Raises:
            CorruptFile: a batch is there and is not what was committed.
        """
        self.per_lane = schema.per_lane
        self.lanes: dict[str, list[tuple[int, int, np.ndarray]]] = {}
        self.arrays: dict[int, Rows] = {}
        for tile in tiles:
            if not paths.tile(tile).exists():
                continue
            arrays, attributes, _ = load_tile(paths, tile, schema, commits)
            if configuration_hash not in (None, attributes.get("configuration_hash")):
                raise CorruptFile(f"{paths.tile(tile)}: computed with another configuration")
            if arrays["status"].shape[1] != lengths["member"]:
                raise CorruptFile(f"{paths.tile(tile)}: has other members than the planned tiles")
            self.arrays[tile] = {name: arrays[name] for name in self.per_lane}
            for row, cell in enumerate(arrays["cell"].tolist()):
                members = np.flatnonzero(arrays["status"][row] != STATUS["missing"])
                self.lanes.setdefault(cell, []).append((tile, row, members))

    def apply(self, rows: Rows) -> None:
        """Put the lanes that came out well, and what became of those that did not, into rows of cells.

        Args:
            rows: variables with a leading dimension of cells, changed in place; `retried` (cell, member) tells which
                lanes come from which tile, -1 from their own.
        """
        rows["retried"] = np.full(rows["status"].shape, -1, np.int32)
        if not self.lanes:
            return
        for name in self.per_lane:
            rows[name] = rows[name].copy()
        for place, cell in enumerate(rows["cell"].tolist()):
            for tile, row, members in self.lanes.get(cell, ()):
                retried = self.arrays[tile]
                good = members[good_lanes(retried["status"][row, members])]
                for name in self.per_lane:
                    rows[name][place, good] = retried[name][row, good]
                worse = np.setdiff1d(members, good)
                for name in ("redraws", "status"):
                    rows[name][place, worse] = retried[name][row, worse]
                rows["retried"][place, members] = tile
