"""Good members of a merged calibration at some cells, and the driver store behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.analysis.benchmark.skill_scores import cell_area
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.drivers.store import Store, StorePaths, open_store
from phloem.io.merge.read_cells import read_merged
from phloem.jobs.campaign.campaign import Campaign
from phloem.model_tables import ModelTables


@dataclass(frozen=True, eq=False)
class Members:
    """Results of a campaign's good members at some cells.

    Attributes:
        campaign: merged.
        cells: ids.
        latitude, longitude: degrees, (cells,).
        good: lanes that have a result, bool (cells, members).
        parameters: physical, (cells, members, parameters), NaN for the others.
        pools: initial, (cells, members, pools).
    """

    campaign: Campaign
    cells: list[str]
    latitude: np.ndarray
    longitude: np.ndarray
    good: np.ndarray
    parameters: np.ndarray
    pools: np.ndarray

    @property
    def name(self) -> str:
        """Of the experiment."""
        return self.campaign.configuration.experiment.name

    @property
    def is_grid(self) -> bool:
        """Whether cells are those of a driver store."""
        return self.campaign.configuration.data.is_store

    @property
    def tables(self) -> ModelTables:
        """Of the model."""
        return self.campaign.configuration.calibration.tables

    @property
    def area(self) -> np.ndarray | None:
        """Areas of the cells in m2, by which they weigh, (cells,); towers and places on no grid have none."""
        if not self.is_grid or self.campaign.places:
            return None
        return cell_area(self.latitude, self.campaign.step)


def read_members(campaign: Campaign, cells: Sequence[str]) -> Members:
    """Read what a merged campaign has found.

    Raises:
        InputError: no such cell.
        WorkError: the product cannot be read.
    """
    rows = read_merged(campaign.paths.merged, ("parameters", "initial_pools", "status"), cells)
    good = good_lanes(rows["status"])
    places = {name: place for place, name in enumerate(campaign.cells.names)}
    index = [places[name] for name in cells]
    columns = campaign.cells.columns
    latitude, longitude = (np.array([columns[key][n] for n in index], float) for key in ("latitude", "longitude"))
    parameters, pools = (np.where(good[..., None], rows[key], np.nan) for key in ("parameters", "initial_pools"))
    return Members(campaign, list(cells), latitude, longitude, good, parameters, pools)


def store_folder(campaign: Campaign) -> Path | None:
    """Return the folder of a campaign's driver store, None where it has none."""
    if not campaign.configuration.data.is_store:
        return None
    return (campaign.paths.root / campaign.cells[0].source.rpartition("#")[0]).parents[2]


def store_of(campaign: Campaign) -> Store | None:
    """Open the driver store of a campaign, None where it is not there."""
    folder = store_folder(campaign)
    return open_store(folder) if folder is not None and StorePaths(folder).index.is_file() else None
