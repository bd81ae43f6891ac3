"""forward.nc read back for the report: medians of all cells at once, members in blocks and at a few ages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np

from phloem.errors import WorkError, unreadable
from phloem.io.references.growth_curves import DRY_MATTER

BLOCK = 2000
"""Cells whose members are read at once."""

BUDGET = 4_000_000
"""Values of all trajectories on a page."""

FEWEST_AGES = 8


@dataclass(frozen=True)
class ForwardRuns:
    """The forward runs of some experiments; biomass is live carbon in gC m-2 as in the file.

    Attributes:
        path: the file.
        experiments: names.
        cells: ids.
        members: of a cell.
        coordinates: latitude and longitude, (cells, 2).
        median: over the members, (experiments, cells, years).
        target: of the growth curves, (cells, years).
    """

    path: Path
    experiments: tuple[str, ...]
    cells: tuple[str, ...]
    members: int
    coordinates: np.ndarray
    median: np.ndarray
    target: np.ndarray

    @property
    def years(self) -> int:
        """Years that were run."""
        return int(self.median.shape[2])

    def rows(self, cells: Sequence[str]) -> np.ndarray:
        """Return the places of some cells, -1 for those that were not run."""
        places = {name: place for place, name in enumerate(self.cells)}
        return np.array([places.get(name, -1) for name in cells], int)

    def ages(self, cells: int, curves: int) -> np.ndarray:
        """Return the ages at which so many curves of so many cells fit a page: all, or fewer that begin densely."""
        afford = max(FEWEST_AGES, BUDGET // max(1, cells * curves))
        if afford >= self.years:
            return np.arange(1, self.years + 1)
        ages: np.ndarray = np.unique(np.rint(self.years * np.linspace(0.1, 1, afford) ** 2).astype(int).clip(1))
        return ages

    def trajectories(self, experiment: str, rows: np.ndarray, ages: np.ndarray) -> np.ndarray:
        """Return the members' biomass in Mg ha-1 of dry matter, (rows, members, ages), NaN where `rows` is -1.

        Raises:
            WorkError: the file cannot be read.
        """
        which = self.experiments.index(experiment)
        biomass = np.full((len(rows), self.members, len(ages)), np.nan, np.float32)
        order = np.argsort(rows, kind="stable")
        order = order[rows[order] >= 0]
        try:
            with netCDF4.Dataset(str(self.path)) as file:
                for begin in range(0, len(self.cells), BLOCK):
                    inside = order[(rows[order] >= begin) & (rows[order] < begin + BLOCK)]
                    if inside.size:
                        values = np.ma.filled(file["biomass"][which, begin : begin + BLOCK], np.nan)
                        biomass[inside] = values[rows[inside] - begin][:, :, ages - 1] / DRY_MATTER
        except (OSError, RuntimeError) as error:
            raise _unreadable(self.path, error) from error
        return biomass


def read_forward(path: Path) -> ForwardRuns:
    """Read what `phloem forward` has written.

    Raises:
        WorkError: the file cannot be read.
    """
    try:
        with netCDF4.Dataset(str(path)) as file:
            return ForwardRuns(
                path=path,
                experiments=tuple(str(name) for name in file["experiment"][...]),
                cells=tuple(str(name) for name in file["cell"][...]),
                members=len(file.dimensions["member"]),
                coordinates=np.stack([np.asarray(file[name][...]) for name in ("latitude", "longitude")], axis=1),
                median=np.ma.filled(file["biomass_median"][...], np.nan),
                target=np.ma.filled(file["biomass_target"][...], np.nan),
            )
    except (OSError, RuntimeError, IndexError, KeyError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> WorkError:
    return unreadable(path, error, f"phloem forward {path.parent}")
