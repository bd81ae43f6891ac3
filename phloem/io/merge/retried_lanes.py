"""Lanes that were calibrated again: their results take the place of the failed ones when tiles are merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tile_schema import SCHEMA, SUCCESSES
from phloem.io.campaign.tiles import Commits, load_tile
from phloem.io.files.atomic import CorruptFile
from phloem.names import STATUS

Rows = dict[str, np.ndarray]

_PER_LANE = [name for name, v in SCHEMA.items() if v.merged and v.dimensions[:2] == ("cell", "member")]


class Mended:
    """The lanes of the committed batches of failed lanes.

    Attributes:
        lanes: by cell: tile, row in it, and the members that it has a result for; later tiles come last.
    """

    def __init__(
        self,
        paths: CampaignPaths,
        tiles: Iterable[int],
        commits: Commits,
        configuration_hash: object,
        lengths: Mapping[str, int],
    ):
        """Read the batches that are there.

        Args:
            paths: the campaign.
            tiles: numbers of the batches.
            commits: from `read_commits`.
            configuration_hash: what a batch must have been computed with, None for any.
            lengths: of the dimensions of the tiles that it belongs to.

        Raises:
            CorruptFile: a batch is there and is not what was committed.
        """
        self.lanes: dict[str, list[tuple[int, int, np.ndarray]]] = {}
        self.arrays: dict[int, Rows] = {}
        for tile in tiles:
            if not paths.tile(tile).exists():
                continue
            arrays, attributes, _ = load_tile(paths, tile, commits)
            if configuration_hash not in (None, attributes.get("configuration_hash")):
                raise CorruptFile(f"{paths.tile(tile)}: computed with another configuration")
            if arrays["nnse"].shape[1:] != (lengths["member"], lengths["stream"]):
                raise CorruptFile(f"{paths.tile(tile)}: has other members or streams than the planned tiles")
            self.arrays[tile] = {name: arrays[name] for name in _PER_LANE}
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
        for name in _PER_LANE:
            rows[name] = rows[name].copy()
        for place, cell in enumerate(rows["cell"].tolist()):
            for tile, row, members in self.lanes.get(cell, ()):
                given = self.arrays[tile]
                good = members[np.isin(given["status"][row, members], SUCCESSES)]
                for name in _PER_LANE:
                    rows[name][place, good] = given[name][row, good]
                worse = np.setdiff1d(members, good)
                for name in ("redraws", "status"):
                    rows[name][place, worse] = given[name][row, worse]
                rows["retried"][place, members] = tile
