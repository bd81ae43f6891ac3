"""A patch put together from what was read of it: its valid cells, their climate, forcing and labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phloem.io.global_products.patch_products import PatchProducts
from phloem.io.global_products.read_patches import PatchValues
from phloem.io.global_products.tower_labels import PlacedTowers
from phloem.io.global_products.valid_cells import Limits, ValidCells
from phloem.io.patches.stored_patch import StoredPatch
from phloem.names import PATCH_FORCING, PERIOD, PREDICTORS


@dataclass(frozen=True)
class MadePatch:
    """A patch, and its cells that were left out.

    Attributes:
        patch: None where too few cells are left.
        holes: why cells were left out, by their places.
        valid: cells that are left.
        impossible: values that count as missing, by name.
    """

    patch: StoredPatch | None
    holes: dict[int, str]
    valid: int
    impossible: dict[str, int]


def patch_from(
    products: PatchProducts, valid: ValidCells, found: PatchValues, place: int, limits: Limits,
    towers: PlacedTowers | None,
) -> MadePatch:  # fmt: skip
    """Make the patch at a place among those that were read.

    Cells without complete forcing are left out; labels of the whole patch are, where too few of its cells are valid.
    """
    grid, months = products.grid, products.months
    number = int(valid.boxes[found.patches[place]])
    mine = np.flatnonzero(valid.patch[found.cells] == found.patches[place])
    impossible = {
        key: int(counts[place] if key in found.means else counts[mine].sum())
        for key, counts in found.impossible.items()
    }
    complete = np.ones(len(mine), bool)
    holes: dict[int, str] = {}
    forcing = {name: found.values[name][:, mine] for name in PATCH_FORCING}
    wrong = {f"{name}: no value in": ~np.isfinite(values) for name, values in forcing.items()}
    wrong["tasmin exceeds tasmax in"] = forcing["tasmin"] > forcing["tasmax"]
    for what, gone in wrong.items():
        complete &= ~gone.any(axis=0)
        for cell in np.flatnonzero(gone.any(axis=0)):
            first = months.name(int(gone[:, cell].argmax()))
            text = f"{what} {int(gone[:, cell].sum())} months, first {first}"
            spot = int(found.cells[mine[cell]])
            holes[spot] = f"{holes[spot]}; {text}" if spot in holes else text
    mine = mine[complete]
    cells = found.cells[mine]
    if not len(cells) or not limits.enough(len(cells), grid.cells):
        return MadePatch(None, holes, len(cells), impossible)
    forcing = {name: values[:, complete] for name, values in forcing.items()}
    nothing = np.full(len(cells), np.nan)
    predictors = {name: valid.statics[name][cells] if name in valid.statics else nothing for name in PREDICTORS}
    climate = {"MAT": _mean_temperature, "MAP": _annual_rain}
    for name, mean in climate.items():
        if name not in valid.statics:
            predictors[name] = mean(forcing, months.days)
    labels = {stream: found.values[stream][:, mine] for stream in products.labels if stream in found.values}
    if len(cells) >= limits.coarse * grid.cells - 1e-9:
        labels |= {stream: means[:, place] for stream, means in found.means.items()}
    if "soil_carbon" in valid.statics:
        labels["soil_carbon"] = valid.statics["soil_carbon"][cells]
    weights: dict[str, np.ndarray] = {}
    if towers is not None:
        found_labels, weights = towers.labels_of(cells)
        labels |= found_labels
    labels = {stream: values for stream, values in labels.items() if np.isfinite(values).any()}
    patch = StoredPatch(
        grid.name(number),
        tuple(valid.name(int(cell)) for cell in cells),
        grid.latitude(valid.row[cells]),
        grid.longitude(valid.column[cells]),
        predictors,
        forcing,
        labels,
        {stream: weight for stream, weight in weights.items() if stream in labels},
    )
    return MadePatch(patch, holes, len(cells), impossible)


def _mean_temperature(forcing: dict[str, np.ndarray], days: np.ndarray) -> np.ndarray:
    """Mean annual temperature of cells, degC, over all days."""
    middle = 0.5 * (forcing["tasmin"].astype(float) + forcing["tasmax"].astype(float))
    return np.asarray((days[:, None] * middle).sum(axis=0) / days.sum())


def _annual_rain(forcing: dict[str, np.ndarray], days: np.ndarray) -> np.ndarray:
    """Mean annual precipitation of cells, mm yr-1."""
    return np.asarray((days[:, None] * forcing["pr"]).sum(axis=0) / days.sum() * PERIOD)
