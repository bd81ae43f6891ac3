"""Labels of cells from the towers in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phloem.io.global_products.tower_records import TowerRecords
from phloem.io.global_products.valid_cells import Limits, ValidCells


@dataclass(frozen=True, eq=False)
class PlacedTowers:
    """Towers that count, in the cells where they stand.

    Attributes:
        names: of the towers.
        cell: places of their cells among the valid ones, int64 (towers,).
        weight: how much each counts, 0 to 1, (towers,).
        values: by stream, (towers, months).
        notes: why others do not count, and how many do.
    """

    names: tuple[str, ...]
    cell: np.ndarray
    weight: np.ndarray
    values: Mapping[str, np.ndarray]
    notes: tuple[str, ...]

    def labels_of(self, cells: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return labels of some cells and their weights by stream, (months, cells) both.

        A label is the mean of the towers that have a value in the month, its weight the mean of theirs, and 0 where
        there is no label. Streams without any are left out.
        """
        labels, weights = {}, {}
        here = np.flatnonzero(np.isin(self.cell, cells))
        place = np.searchsorted(cells, self.cell[here])
        for stream, values in self.values.items():
            count, total, weight = np.zeros((3, values.shape[1], len(cells)))
            for tower, column in zip(here, place, strict=True):
                known = np.isfinite(values[tower])
                count[known, column] += 1
                total[known, column] += values[tower, known]
                weight[known, column] += self.weight[tower]
            if count.any():
                nothing = np.full(count.shape, np.nan)
                labels[stream] = np.divide(total, count, out=nothing, where=count > 0)
                weights[stream] = np.divide(weight, count, out=np.zeros(count.shape), where=count > 0)
        return labels, weights


def place_towers(towers: TowerRecords, valid: ValidCells, limits: Limits) -> PlacedTowers:
    """Find the cells of towers; those count whose plant type covers enough of a valid cell.

    Args:
        towers: all of them.
        valid: the cells.
        limits: `tower_type`.
    """
    grid = valid.grid
    around = round(360.0 / grid.step)
    own = np.floor((towers.latitude + 90.0) / grid.step).astype(np.int64) * around
    own += np.floor((towers.longitude + 180.0) / grid.step).astype(np.int64) % around
    number = valid.row * around + valid.column
    order = np.argsort(number)
    found = np.searchsorted(number[order], own)
    inside = (found < len(number)) & (number[order][np.minimum(found, len(number) - 1)] == own)
    kept, cells, weights, why = [], [], [], []
    for tower in range(len(towers)):
        name, kind = towers.names[tower], towers.types[tower]
        if not np.isfinite([towers.latitude[tower], towers.longitude[tower]]).all():
            why.append(f"{name}: no latitude or longitude")
            continue
        if not kind:
            why.append(f"{name}: class {towers.classes[tower]!r} is not known")
            continue
        if not inside[tower]:
            why.append(f"{name}: in no valid cell")
            continue
        cell = int(order[found[tower]])
        share = float(valid.statics[kind][cell])
        if share < limits.tower_type:
            why.append(f"{name}: {kind} covers {share:.1f} % of {valid.name(cell)}, {limits.tower_type:g} are due")
            continue
        kept.append(tower)
        cells.append(cell)
        weights.append(share / 100.0 if towers.weights is None else float(towers.weights[tower]))
    notes = (f"{len(kept)} of {len(towers)} towers count, in {len(set(cells))} cells", *why)
    return PlacedTowers(
        tuple(towers.names[tower] for tower in kept),
        np.array(cells, np.int64),
        np.array(weights, float),
        {stream: values[kept] for stream, values in towers.values.items()},
        tuple(notes),
    )
