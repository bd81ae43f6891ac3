"""The tiles of a campaign, read for the merge with notes of what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from phloem.errors import WorkError, some
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tile_schema import TileSchema
from phloem.io.campaign.tiles import Commits, load_tile, read_commits
from phloem.io.files.atomic import CorruptFile
from phloem.io.grids.placed_cells import PlacedCells
from phloem.names import STATUS

Rows = dict[str, np.ndarray]
"""Variables with a leading dimension of cells."""

Lengths = dict[str, int]


class TileReader:
    """Reads tiles and notes what is wrong with them.

    Attributes:
        plan: the cells of each tile.
        problems: what is wrong, by tile.
        lengths: of all dimensions, once a tile was looked at.
        trace_iteration: iterations of the loss trace, the same in all tiles.
        slots: (cells,) of the plan's cells in order: their places in the product.
    """

    def __init__(
        self,
        paths: CampaignPaths,
        plan: Sequence[Sequence[str]],
        schema: TileSchema,
        campaign_attributes: Mapping[str, Any],
        allow_holes: bool,
        placed: PlacedCells | None = None,
    ) -> None:
        """Read the journals; no tile yet.

        Args:
            paths: the campaign.
            plan: the cells of each tile, in order.
            schema: what a tile holds.
            campaign_attributes: with "configuration_hash", where tiles must have been computed with it.
            allow_holes: tiles with problems become holes.
            placed: where the plan says that each cell lies, for campaigns on a grid.
        """
        self.paths, self.plan, self.schema = paths, plan, schema
        self.allow_holes, self.placed = allow_holes, placed
        self.configuration_hash = campaign_attributes.get("configuration_hash")
        self.commits: Commits = read_commits(paths)
        self.problems: dict[int, str] = {}
        self.lengths: Lengths = {}
        self.trace_iteration = np.zeros(0, np.int32)
        cells = [cell for tile in plan for cell in tile]
        self.slots = np.arange(len(cells)) if placed is None else placed.slots_of(cells)

    def read_ahead(self) -> None:
        """Refuse absent tiles before any work; take lengths and trace from the first tile that is done."""
        for index in range(len(self.plan)):
            if not self.paths.tile(index).exists():
                self.problems[index] = "missing"
        if self.problems and not self.allow_holes:
            self.refuse_problems()
        for index in range(len(self.plan)):
            loaded = None if index in self.problems else self._load(index)
            if loaded is not None:
                arrays = loaded[0]
                self.trace_iteration = arrays["trace_iteration"]
                self.lengths = dict(self.schema.lengths)
                self.lengths["cell"] = sum(len(cells) for cells in self.plan)
                self.lengths["member"], self.lengths["trace"] = arrays["loss_trace"].shape[1:]
                return
        self.allow_holes = False
        self.refuse_problems()

    def read(self, index: int) -> Rows | None:
        """Return a tile's cells in the plan's order; a hole where it has a problem and holes are allowed, else None."""
        cells = self.plan[index]
        loaded = None if index in self.problems else self._load(index)
        if loaded is None:
            return self._hole(index, cells) if self.allow_holes else None
        arrays, attempt = loaded
        rows = {name: arrays[name] for name in self.schema.per_cell}
        return rows | {"tile": np.full(len(cells), index), "attempt": np.full(len(cells), attempt)}

    def refuse_problems(self) -> None:
        """Raise a WorkError that names what is wrong, unless holes are allowed."""
        if not self.problems or self.allow_holes:
            return
        bad = [
            f"tile {index} ({reason}; cells {some(self.plan[index])})"
            for index, reason in sorted(self.problems.items())
        ]
        raise WorkError(
            f"{len(bad)} of {len(self.plan)} tiles cannot be merged: {some(bad)}: "
            f"run `phloem run {self.paths.root}` to compute them"
        )

    def _load(self, index: int) -> tuple[Rows, int] | None:
        try:
            arrays, attributes, attempt = load_tile(self.paths, index, self.schema, self.commits)
        except CorruptFile as error:
            self.problems[index] = str(error)
            return None
        shape = arrays["loss_trace"].shape[1:]
        its_hash = attributes.get("configuration_hash", self.configuration_hash)
        if arrays["cell"].tolist() != list(self.plan[index]):
            self.problems[index] = f"holds other cells than planned: {some(arrays['cell'].tolist())}"
        elif self.configuration_hash is not None and its_hash != self.configuration_hash:
            self.problems[index] = f"computed with configuration {its_hash}, not {self.configuration_hash}"
        elif self.lengths and shape != (self.lengths["member"], self.lengths["trace"]):
            self.problems[index] = f"has {shape[0]} members and {shape[1]} trace points, unlike the others"
        elif self.lengths and not np.array_equal(arrays["trace_iteration"], self.trace_iteration):
            self.problems[index] = "its loss trace has other iterations than those of the others"
        elif self.placed is not None and (strays := self._strays(self.placed, arrays)):
            self.problems[index] = f"holds other coordinates than planned: {some(strays)}"
        return None if index in self.problems else (arrays, attempt)

    @staticmethod
    def _strays(placed: PlacedCells, arrays: Rows) -> list[str]:
        """Cells that lie elsewhere than the plan says."""
        cells = arrays["cell"].tolist()
        rows, columns = placed.grid.find(arrays["latitude"], arrays["longitude"])
        planned = np.divmod(placed.slots_of(cells), len(placed.grid.longitude))
        elsewhere = (rows != planned[0]) | (columns != planned[1])
        return [
            f"{cells[n]} ({arrays['latitude'][n]:g} N, {arrays['longitude'][n]:g} E)" for n in np.flatnonzero(elsewhere)
        ]

    def _hole(self, index: int, cells: Sequence[str]) -> Rows:
        lengths = {**self.lengths, "cell": len(cells)}
        rows: Rows = {"cell": np.asarray(cells, dtype=str)}
        for name in self.schema.per_cell[1:]:
            variable = self.schema.variables[name]
            dtype = np.dtype(variable.dtypes[0])
            shape = tuple(lengths[dimension] for dimension in variable.dimensions)
            rows[name] = np.full(shape, np.nan if dtype.kind == "f" else 0, dtype)
        rows["status"][:] = STATUS["missing"]
        return rows | {"tile": np.full(len(cells), index), "attempt": np.zeros(len(cells), int)}
