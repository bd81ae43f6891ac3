"""Small patch stores of made-up cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phloem.io.patches.patch_store import PatchStore, PatchStorePaths, box_name, seal_patches, write_patch
from phloem.io.patches.stored_patch import StoredPatch
from phloem.names import PERIOD, PREDICTORS

MEANS = {
    "sif": 0.3, "nbe": 0.1, "lai": 1.5, "water_storage": 0.0, "biomass": 4000.0, "fire": 0.01, "soil_carbon": 9000.0,
    "et": 1.5,
}  # fmt: skip


def stored_patch(name: str, seed: int, cells: int = 6, months: int = 24, south: float = 0.0) -> StoredPatch:
    """Return a patch with seasons, a fifth of its labels missing, and towers in its first cell."""
    rng = np.random.default_rng(seed)
    shape = months, cells
    middle = (np.arange(months) % 12 + 0.5) * PERIOD / 12
    summer = -np.cos(2 * np.pi * (middle - 15) / PERIOD)[:, None]
    warm = 12 + 10 * summer + rng.normal(0, 1.5, shape)
    forcing = {
        "tasmin": warm - 5, "tasmax": warm + 5, "rsds": 13 + 8 * summer + np.zeros(shape),
        "vpd": 6 + 4 * summer + np.zeros(shape), "pr": rng.gamma(2.0, 1.2, shape),
        "burned_area": rng.gamma(0.1, 1e-3, shape),
    }  # fmt: skip
    labels, weights = {}, {}
    for stream, mean in MEANS.items():
        size = {"nbe": (months,), "water_storage": (months,), "soil_carbon": (cells,)}.get(stream, shape)
        values = mean + (0.3 * abs(mean) + 0.01) * rng.standard_normal(size)
        labels[stream] = np.where(rng.random(size) > 0.8, np.nan, values)
    labels["biomass"][:12] = np.abs(labels["biomass"][:1])
    labels["tower_gpp"] = np.where(np.arange(cells) == 0, 3 + 2 * summer + np.zeros(shape), np.nan)
    weights["tower_gpp"] = np.where(np.isfinite(labels["tower_gpp"]), 0.4, 0.0)
    predictors = {one: rng.standard_normal(cells) for one in PREDICTORS}
    predictors |= {"MAT": rng.normal(12, 3, cells), "MAP": rng.uniform(300, 1500, cells)}
    north, east = south + 0.25 + 0.5 * np.arange(cells), np.full(cells, 0.25 + seed)
    return StoredPatch(
        name, tuple(f"{name}-{n}" for n in range(cells)), north, east, predictors, forcing, labels, weights
    )


def made_store(root: Path, patches: int = 4, cells: int = 6, months: int = 24) -> PatchStore:
    """Write a store of some patches from the equator to the north, each on its own meridian."""
    paths, rows = PatchStorePaths(root), []
    for number in range(patches):
        name = box_name(0.0, 5.0 * number)
        rows.append(write_patch(paths, stored_patch(name, number, cells, months), 0.0, 5.0 * number))
    facts = {
        "step": 0.5, "box": [4.0, 5.0], "first_month": "2001-01", "months": months, "rows": cells + 2,
        "co2": (372 + 0.2 * np.arange(months)).tolist(), "sources": {},
    }  # fmt: skip
    return seal_patches(root, facts, rows)
