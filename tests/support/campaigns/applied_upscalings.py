"""A small campaign that upscales made towers, run with the real command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w

from tests.support.drivers.flux_towers import made_towers


def write_upscaling(folder: Path, members: int = 2, **experiment: Any) -> Path:
    """Write a campaign of two members of small trees over 24 made towers; keys override its experiment."""
    folder.mkdir(exist_ok=True)
    if not (folder / "towers.nc").exists():
        made_towers(folder / "towers.nc")
    tree = {
        "campaign": {"name": "upscaled", "members": members},
        "data": {"kind": "flux-towers", "path": "towers.nc"},
        "experiment": {
            "name": "upscaling",
            "learn": "residual",
            "cv": ["tower"],
            "trees": {"trees": 12, "depth": 4},
            **experiment,
        },
        "engine": {"workers": 1},
    }
    path = folder / "upscaled.toml"
    path.write_text(tomli_w.dumps(tree))
    return path
