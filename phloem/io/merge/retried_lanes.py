"""Lanes that were calibrated again: their results take the place of the failed ones when tiles are merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tile_schema import TileSchema, ended_lanes, with_basins
from phloem.io.campaign.tiles import Commits, load_tile
from phloem.io.files.atomic import CorruptFile
from phloem.names import STATUS

Rows = dict[str, np.ndarray]


def takes_the_place(status: np.ndarray, loss: np.ndarray, new_status: np.ndarray, new_loss: np.ndarray) -> np.ndarray:
    """Tell which lanes that were computed again take the place of what there was; all of one shape.

    A lane that counts, be it in a poor basin, takes the place of one that does not; of two that do, the one of lower
    loss stands.
    """
    ended, new_ended = ended_lanes(status), ended_lanes(new_status)
    lower: np.ndarray = ~(loss <= new_loss)
    better: np.ndarray = np.where(ended, new_ended & lower, True)
    return better


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
        """Put the lanes that came out better into rows of cells, and tell basins apart.

        Args:
            rows: variables with a leading dimension of cells, changed in place; `retried` (cell, member) tells which
                lanes were computed again in which tile, -1 where they were not.
        """
        rows["retried"] = np.full(rows["status"].shape, -1, np.int32)
        if self.lanes:
            self._replace_lanes(rows)
        rows["status"] = with_basins(rows["status"], rows["loss"])

    def _replace_lanes(self, rows: Rows) -> None:
        for name in self.per_lane:
            rows[name] = rows[name].copy()
        for place, cell in enumerate(rows["cell"].tolist()):
            for tile, row, members in self.lanes.get(cell, ()):
                retried = self.arrays[tile]
                before, after = (
                    (one["status"][which, members], one["loss"][which, members])
                    for one, which in ((rows, place), (retried, row))
                )
                better = members[takes_the_place(*before, *after)]
                for name in self.per_lane:
                    rows[name][place, better] = retried[name][row, better]
                rows["redraws"][place, members] = retried["redraws"][row, members]
                rows["retried"][place, members] = tile
