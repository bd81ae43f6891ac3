"""A small driver store of the synthetic boreal domain, and campaigns over it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from phloem.io.drivers.grid_cell import cell_name
from phloem.io.drivers.store import Store, StorePaths, chunk_columns, seal_store, write_chunk
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


def on_grid(store: Store, folder: Path, step: float) -> Store:
    """Write the cells of a store again, as cells of another grid: two in a row, one to the north of the first."""
    corners = [(60.0, 24.0), (60.0, 24.0 + 2 * step), (60.0 + step, 24.0)]
    centres = [(north + step / 2, east + step / 2) for north, east in corners]
    cells = [
        replace(cell, name=cell_name(*centre, step), latitude=centre[0], longitude=centre[1])
        for cell, centre in zip(store.read(range(CELLS)), centres, strict=True)
    ]
    write_chunk(StorePaths(folder).chunk(0), cells)
    return seal_store(folder, {**store.facts, "step": step}, chunk_columns(0, cells))


def write_grid_campaign(folder: Path, store: Store, name: str = "growth-curve", **sections: dict[str, Any]) -> Path:
    """Write a campaign over a store: few iterations, two members, one worker."""
    experiment = {"name": name, "edc4_sharpness": 1e4, "leaf_economics": LINE, **sections.pop("experiment", {})}
    sections.setdefault("optimiser", SHORT)
    return write_campaign(
        folder, data={"kind": "grid", "path": str(store.paths.root)}, experiment=experiment, **sections
    )
