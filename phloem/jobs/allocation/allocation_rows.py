"""Rows of an allocation: years of land cells with predictors, and statistics of the land models there."""

from __future__ import annotations

import numpy as np

from phloem.analysis.allocation.emulators import FLUX_PREDICTORS, AllocationRows
from phloem.analysis.allocation.model_statistics import STATISTICS, PartStatistics, part_statistics
from phloem.analysis.allocation.ratios import LEAST_GPP, RatioMode, targets_of
from phloem.errors import InputError
from phloem.io.land_models.model_maps import ModelMaps
from phloem.io.land_models.yearly_drivers import YearlyDrivers

MAX_ROWS = 200_000
"""Rows that emulators are fitted to; more are thinned by drawing cells. 30 predictors of them take 50 MB."""


def cells_of(drivers: YearlyDrivers) -> np.ndarray:
    """Return numbers of the land cells, row by row, int64 (cells,)."""
    return np.flatnonzero(drivers.land.reshape(-1) > 0.0)


def statistics_of_year(
    maps: ModelMaps, year: int, cells: np.ndarray, mode: RatioMode
) -> tuple[dict[str, PartStatistics], PartStatistics]:
    """Return statistics of the parts of every target at some cells, and those of GPP, Ra and Rh together.

    Args:
        maps: of the models.
        year: one of theirs.
        cells: numbers, (cells,).
        mode: which ratios.
    """
    values: dict[str, np.ndarray] = {}

    def of(quantity: str) -> np.ndarray:
        if quantity not in values:
            found = maps.get(quantity, year)
            values[quantity] = found.reshape(len(found), -1)[:, cells]
        return values[quantity]

    by_target = {target.name: part_statistics({part: of(part) for part in target.parts}) for target in targets_of(mode)}
    return by_target, part_statistics({part: of(part) for part in ("gpp", "ra", "rh")})


def allocation_rows(maps: ModelMaps, drivers: YearlyDrivers, mode: RatioMode, seed: int = 0) -> AllocationRows:
    """Collect what emulators are fitted to: land cells with predictors and an annual GPP of at least 10 gC m-2.

    Args:
        maps: of the models, on the drivers' grid.
        drivers: predictors.
        mode: which ratios.
        seed: of the draw of cells, where there are too many.

    Raises:
        InputError: no row is left, or fewer than folds could be made of.
    """
    cells = cells_of(drivers)
    most = max(1, MAX_ROWS // len(maps.years))
    if len(cells) > most:
        cells = np.sort(np.random.default_rng(seed).choice(cells, most, replace=False))
    x, cell, fluxes, parts = [], [], [], []
    for year in maps.years:
        predictors = drivers.year(year).reshape(-1, len(drivers.predictors))[cells]
        by_target, of_fluxes = statistics_of_year(maps, year, cells, mode)
        with np.errstate(invalid="ignore"):
            kept = np.isfinite(predictors).any(axis=1) & (of_fluxes.values["mean"]["gpp"] >= LEAST_GPP)
        x.append(predictors[kept])
        cell.append(cells[kept])
        fluxes.append(
            {s: np.stack([of_fluxes.values[s][name][kept] for name in FLUX_PREDICTORS], 1) for s in STATISTICS}
        )
        parts.append(
            {
                name: {s: {part: one[kept] for part, one in found.values[s].items()} for s in STATISTICS}
                for name, found in by_target.items()
            }
        )
    numbers = np.concatenate(cell)
    if len(np.unique(numbers)) < 20:
        raise InputError(
            f"{drivers.path}: {len(np.unique(numbers))} land cells have predictors and models with an annual GPP of "
            f"{LEAST_GPP:g} gC m-2 or more; at least 20 are due"
        )
    rows, columns = np.unravel_index(numbers, drivers.grid.shape)
    return AllocationRows(
        predictors=drivers.predictors,
        x=np.concatenate(x),
        cell=numbers,
        latitude=drivers.grid.latitude[rows],
        longitude=drivers.grid.longitude[columns],
        fluxes={s: np.concatenate([one[s] for one in fluxes]) for s in STATISTICS},
        parts={
            target.name: {
                s: {part: np.concatenate([one[target.name][s][part] for one in parts]) for part in target.parts}
                for s in STATISTICS
            }
            for target in targets_of(mode)
        },
        ocean_rows=int((drivers.land == 0.0).sum()) * len(maps.years),
    )
