"""Small campaigns that train networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w

from tests.support.campaigns.campaigns import succeed
from tests.support.patches import made_store

SET_UPS = ["PFT", "PFT+CLIM+AGE+SOIL"]


def write_training(folder: Path, **experiment: Any) -> Path:
    """Write a store of six patches of six cells, two years, and the file of a training over it."""
    made_store(folder / "store", patches=6)
    tables = {
        "campaign": {"name": "made", "seed": 2, "members": 3},
        "data": {"kind": "patches", "path": "store"},
        "experiment": {
            "name": "network", "set_ups": SET_UPS, "epochs": 3, "keep": 2, "test_share": 0.2, "dev_share": 0.25,
            **experiment,
        },
        "engine": {"name": "local", "workers": 1},
    }  # fmt: skip
    path = folder / "made.toml"
    path.write_text(tomli_w.dumps(tables))
    return path


def trained(folder: Path) -> None:
    """Train them."""
    succeed("run", write_training(folder), "--out", "made", folder=folder)
