"""Upscalings of made-up towers, run with the real command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w

from phloem.io.files.atomic import read_hdf5
from tests.support.campaigns.product_bytes import product_bytes

PROVENANCE = {"tile", "attempt"}
"""Variables of merged.nc that tell how a fit came about; all others depend on the science alone."""


def write_upscaling(folder: Path, **sections: dict[str, Any]) -> Path:
    """Write a campaign of two members over fourteen made-up towers, with small trees; sections override it."""
    folder.mkdir(exist_ok=True)
    experiment = {"name": "upscaling", "cv": ["tower", "row"], "folds": 3, "fluxes": ["gpp", "reco"]}
    chosen = {**experiment, **sections.get("experiment", {})}
    if chosen.get("learner", "xgboost") != "network":
        chosen.setdefault("trees", {"trees": 15, "depth": 3})
    data: dict[str, Any] = {"kind": "synthetic", "domain": "flux-towers", "cells": 14, "years": 2}
    tree = {
        "campaign": {"name": "upscaled", "members": 2, **sections.get("campaign", {})},
        "data": sections.get("data", data),
        "experiment": chosen,
        "tiles": sections.get("tiles", {}),
        "engine": {"workers": 1, **sections.get("engine", {})},
    }
    path = folder / "upscaled.toml"
    path.write_text(tomli_w.dumps(tree))
    return path


def upscaled(root: Path) -> dict[str, Any]:
    """Return everything in a merged upscaling but its provenance, arrays as bytes."""
    found = product_bytes(root / "merged.nc", PROVENANCE)
    found["scores"] = (root / "scores.json").read_text()
    arrays = read_hdf5(root / "models.h5")[0] if (root / "models.h5").exists() else {}
    found["models"] = {name: values.tobytes() for name, values in arrays.items() if values.dtype.kind != "U"}
    return found
