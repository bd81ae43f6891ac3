"""Trainings over a small store: cells that one plant type covers, labels that follow predictors, towers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from phloem.io.patches.patch_store import PatchStore, PatchStorePaths, box_name, seal_patches, write_patch
from phloem.io.patches.stored_patch import StoredPatch
from phloem.names import PREDICTOR_GROUPS
from tests.support.campaigns.network_campaigns import write_training
from tests.support.patches import stored_patch

CELLS, MONTHS, PATCHES = 8, 48, 9

RUNS = 3
"""Of each set-up: fewer can neither agree nor differ."""

TYPES = PREDICTOR_GROUPS["PFT"]
COVERING = ("EBF", "GRA")
"""Plant types that cover cells whole, turn by turn."""

CEILING = {"lai": 0.95, "et": 0.9, "sif": 0.9}

HELD_OUT = ["N20E000", "N20E015"]
"""Patches that the store itself holds out."""

TRUTH = {
    "streams": ["lai", "et"],
    "share": {
        group: {"lai": share, "et": 0.25} for group, share in zip(PREDICTOR_GROUPS, (0.7, 0.1, 0.1, 0.1), strict=True)
    },
}
"""Shares of the groups in the truth, as a synthetic Earth's store has them."""

SMALL = {
    "shap.cells": 12, "shap.background": 6, "shap.cells_of_type": 12, "shap.quantities": '["ce", "cue"]',
    "shap.components": 1, "curves.cells": 24, "curves.pairs": 2, "curves.traits": '["ce"]', "draws": 50,
    "draws_of_maps": 8,
}  # fmt: skip
"""Choices of an attribution that takes seconds."""


def small_choices() -> list[str]:
    """Return the words of `SMALL` for the command line."""
    return [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]


def typed_patch(name: str, seed: int, south: float, cells: int = CELLS, months: int = MONTHS) -> StoredPatch:
    """Return a patch whose odd cells are covered by one plant type, with towers in its first two cells."""
    plain = stored_patch(name, seed, cells, months, south)
    rng = np.random.default_rng(1000 + seed)
    shares = rng.dirichlet(np.full(len(TYPES), 0.5), cells) * 100
    for cell in range(1, cells, 2):
        shares[cell] = 0.0
        shares[cell, TYPES.index(COVERING[cell // 2 % len(COVERING)])] = 100.0
    predictors = {**plain.predictors, **dict(zip(TYPES, shares.T, strict=True))}
    predictors |= {"elevation": rng.uniform(0, 2000, cells), "canopy_height": rng.uniform(0, 30, cells)}
    warm = 0.5 * (plain.forcing["tasmin"] + plain.forcing["tasmax"])
    labels, weights = dict(plain.labels), dict(plain.weights)
    tree = predictors["EBF"] / 100
    labels["lai"] = 0.8 + tree + 0.05 * warm + rng.normal(0, 0.1, warm.shape)
    labels["et"] = 0.5 + predictors["MAP"] / 1000 + 0.05 * warm + rng.normal(0, 0.1, warm.shape)
    tower = np.where(np.arange(cells) < 2, 2 + 2 * tree + 0.1 * warm, np.nan)
    labels["tower_gpp"] = tower
    weights["tower_gpp"] = np.where(np.isfinite(tower), 0.5, 0.0)
    return replace(plain, predictors=predictors, labels=labels, weights=weights)


def typed_store(root: Path, facts: Mapping[str, Any] | None = None) -> PatchStore:
    """Write a store of such patches on both sides of the equator."""
    paths, rows = PatchStorePaths(root), []
    for number in range(PATCHES):
        south, west = (-20.0 if number % 3 == 2 else 20.0), 5.0 * number
        rows.append(write_patch(paths, typed_patch(box_name(south, west), number, south), south, west))
    known = {
        "step": 0.5, "box": [4.0, 5.0], "first_month": "2001-01", "months": MONTHS, "rows": CELLS + 1,
        "co2": (372 + 0.2 * np.arange(MONTHS)).tolist(), "sources": {},
    }  # fmt: skip
    return seal_patches(root, {**known, **(facts or {})}, rows)


def write_evaluated(folder: Path, facts: Mapping[str, Any] | None = None, **sections: dict[str, Any]) -> Path:
    """Write a campaign over such a store: all set-ups, two runs, three epochs; sections override it."""
    folder.mkdir(exist_ok=True)
    if not (folder / "patches").exists():
        typed_store(folder / "patches", facts)
    experiment = {"epochs": 3, "test_share": 0.25, "learning_rate": 5e-3, **sections.pop("experiment", {})}
    if "set_ups" not in experiment:
        from phloem.jobs.network.table import all_names

        experiment["set_ups"] = all_names()
    return write_training(folder, experiment=experiment, **sections)
