"""A small campaign on a grid across the date line, and its tiles."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phloem.io.campaign.calibration_schema import calibration_schema
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import write_tile
from phloem.io.grids.placed_cells import Grid, PlacedCells
from phloem.kernels.calibrations.dalec_daily.tables import GRID
from tests.support.campaigns.campaign_samples import ATTRIBUTES, SCHEMA, TABLES, tile_arrays
from tests.support.campaigns.claims import claim_next

STEP = 0.5
ROWS, COLUMNS = 9, 13
SOUTH, WEST = 60.25, 176.75
GLOBAL = {
    "title": "test",
    "version": "0.1.0",
    "configuration_hash": "c0ffee",
    "seed": 7,
}


def _land() -> dict[str, tuple[int, int]]:
    chosen = np.random.default_rng(3).uniform(size=(ROWS, COLUMNS)) < 0.4
    # The grid is exactly as large as the cells ask for, and one row has none.
    chosen[0, 0] = chosen[-1, -1] = True
    chosen[4] = False
    return {f"{row}ä{column}": (row, column) for row, column in np.argwhere(chosen).tolist()}


LAND = _land()
"""Row and column of each cell."""

CELLS = list(LAND)


def where(cell: str) -> tuple[float, float]:
    """Latitude, and longitude from -180 to 180."""
    row, column = LAND[cell]
    longitude = WEST + STEP * column
    return SOUTH + STEP * row, longitude - 360 if longitude > 180 else longitude


def place(cells: Sequence[str] = CELLS) -> PlacedCells:
    """The cells on the smallest grid that holds them."""
    latitudes, longitudes = zip(*map(where, cells), strict=True)
    return Grid.around(latitudes, longitudes, STEP).place(cells, latitudes, longitudes)


def arrays(cells: Sequence[str], **options: Any) -> dict[str, np.ndarray]:
    """A tile of some cells, at their coordinates."""
    latitudes, longitudes = zip(*map(where, cells), strict=True)
    made = tile_arrays(list(cells), **options)
    return made | {"latitude": np.array(latitudes), "longitude": np.array(longitudes)}


def commit(paths: CampaignPaths, index: int, tile: dict[str, np.ndarray], **attributes: Any) -> None:
    """Claim and commit a tile, of four streams or of five."""
    schema = SCHEMA if tile["nnse"].shape[-1] == len(TABLES.streams) else calibration_schema(GRID)
    write_tile(paths, index, claim_next(paths, index), schema, tile, {**ATTRIBUTES, **attributes})


def campaign(root: Path, plan: Sequence[Sequence[str]]) -> CampaignPaths:
    """A campaign whose tiles are all there."""
    paths = CampaignPaths(root).make()
    for index, cells in enumerate(plan):
        commit(paths, index, arrays(cells))
    return paths
