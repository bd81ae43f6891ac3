"""Trainings of networks over a small patch store, run with the real command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w

from tests.support.campaigns.product_bytes import product_bytes
from tests.support.patches import made_store

SET_UPS = ["PFT", "CLIM+AGE+SOIL", "PFT+CLIM+AGE+SOIL"]

PROVENANCE = {"tile", "attempt", "retried"}
"""Variables of merged.nc that tell how a network came about; all others depend on the science alone."""


def write_training(folder: Path, **sections: dict[str, Any]) -> Path:
    """Write a campaign of two runs of three set-ups over eight patches; sections override it. One worker."""
    folder.mkdir(exist_ok=True)
    if not (folder / "patches").exists():
        made_store(folder / "patches", patches=8, cells=4, months=24)
    experiment = {"name": "network", "set_ups": SET_UPS, "epochs": 4, "dev_every": 2, "test_share": 0.15}
    tree = {
        "campaign": {"name": "trained", "members": 2, **sections.get("campaign", {})},
        "data": {"kind": "patches", "path": "patches", **sections.get("data", {})},
        "experiment": {**experiment, **sections.get("experiment", {})},
        "tiles": sections.get("tiles", {}),
        "engine": {"workers": 1, **sections.get("engine", {})},
    }
    path = folder / "trained.toml"
    path.write_text(tomli_w.dumps(tree))
    return path


def networks(root: Path) -> dict[str, Any]:
    """Return everything in a merged training but its provenance, arrays as bytes."""
    return product_bytes(root / "merged.nc", PROVENANCE)
