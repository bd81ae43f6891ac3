"""A small driver store of the synthetic boreal domain, and campaigns over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from phloem.io.drivers.store import Store
from phloem.jobs.synthetic.boreal_domain import make_store
from tests.support.campaigns.campaigns import write_campaign

CELLS, SEED = 3, 5
LINE = {"alpha": -8.3, "gamma": 2.06, "sigma": 0.3}
SHORT = {
    "name": "fast",
    "iterations": 12,
    "starts": 2,
    "windows": [1, 2],
    "window_iterations": [6, 4],
    "sharpness_iterations": 4,
}


def small_store(folder: Path) -> Store:
    """Make a store of three cells, on made-up places."""
    return make_store(folder / "store", CELLS, SEED, None)


def write_grid_campaign(folder: Path, store: Store, name: str = "growth-curve", **sections: dict[str, Any]) -> Path:
    """Write a campaign over a store: few iterations, two members, one worker."""
    experiment = {"name": name, "edc4_sharpness": 1e4, "leaf_economics": LINE, **sections.pop("experiment", {})}
    sections.setdefault("optimiser", SHORT)
    return write_campaign(
        folder, data={"kind": "grid", "path": str(store.paths.root)}, experiment=experiment, **sections
    )
