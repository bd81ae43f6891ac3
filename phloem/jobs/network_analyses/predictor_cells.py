"""All cells of a patch store in one table: places, predictors, and which of them each network has seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np

from phloem.analysis.benchmark.skill_scores import cell_area
from phloem.analysis.interpret.predictor_table import PredictorTable, predictor_table
from phloem.analysis.network.score_files import PlacesOfStore
from phloem.io.grids.placed_cells import DEFAULT_STEP
from phloem.jobs.network.trained_networks import SPLIT, TrainedNetworks
from phloem.names import PREDICTORS


@dataclass(frozen=True, eq=False)
class PredictorCells:
    """Cells of a store, patch after patch.

    Attributes:
        names: of the cells.
        latitude, longitude: degrees, (cells,).
        patch: position of each cell's patch, (cells,).
        table: predictors, in their own units.
    """

    names: list[str]
    latitude: np.ndarray
    longitude: np.ndarray
    patch: np.ndarray
    table: PredictorTable

    def __len__(self) -> int:
        return len(self.names)

    def places(self, networks: TrainedNetworks) -> PlacesOfStore:
        """Return cells and patches with their coordinates."""
        count = np.bincount(self.patch, minlength=len(networks.store))
        middle = np.stack([np.bincount(self.patch, one) / count for one in (self.latitude, self.longitude)])
        return PlacesOfStore(self.names, self.latitude, self.longitude, networks.store.names, middle)

    def area(self, networks: TrainedNetworks) -> np.ndarray:
        """Return areas of the cells, m2, (cells,)."""
        return cell_area(self.latitude, networks.store.step or DEFAULT_STEP)

    def seen(self, networks: TrainedNetworks, runs: list[int]) -> np.ndarray:
        """Return which cells are in patches that each run was trained on or watched by, bool (runs, cells)."""
        return networks.split[runs][:, self.patch] != SPLIT["test"]


def read_cells(networks: TrainedNetworks, report: Callable[[int], None] = lambda done: None) -> PredictorCells:
    """Read the predictors of all cells.

    Args:
        networks: whose store.
        report: told of the patches that are done.

    Raises:
        InputError: a damaged patch.
    """
    store = networks.store
    names, latitude, longitude, predictors = [], [], [], []
    for position in range(len(store)):
        patch = store.read(position)
        names.append(patch.cells)
        latitude.append(patch.latitude)
        longitude.append(patch.longitude)
        predictors.append(np.stack([patch.predictors[name] for name in PREDICTORS]))
        report(position + 1)
    north, east = np.concatenate(latitude), np.concatenate(longitude)
    columns = dict(zip(PREDICTORS, np.concatenate(predictors, 1), strict=True))
    table = predictor_table(north, {**columns, "latitude": north, "longitude": east})
    of = np.repeat(np.arange(len(store)), store.table["cells"])
    return PredictorCells(list(chain(*names)), north, east, of, table)
