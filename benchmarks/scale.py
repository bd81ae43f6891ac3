"""Times a campaign of very many tiles: planning, status, the check of all bytes, the merge; with files and memory.

    python -m benchmarks.scale --tiles 100000

The tiles are dummies: whole, sealed tile files of one cell and one member, committed in journals, computed by nobody.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phloem.io.campaign.calibration_schema import calibration_schema
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tile_schema import SCHEMA_VERSION
from phloem.io.files.atomic import checksum, hdf5_image
from phloem.io.files.journals import append_events
from phloem.jobs.campaign.campaign import Campaign, freeze
from phloem.jobs.campaign.kind_of_work import Units
from phloem.jobs.campaign.unit_table import UnitTable
from phloem.jobs.config.campaign_file import CampaignSection, Configuration, Data, Tiles
from phloem.jobs.config.optimiser import AdamSection
from phloem.jobs.run.state import read_state
from phloem.kernels.calibrations.dalec_daily.experiment import DalecExperiment
from phloem.kernels.calibrations.dalec_daily.tables import TOWERS

JOURNALS = 200
"""Journals among which the commits are dealt, as so many workers would leave them."""


@dataclass(frozen=True)
class Timed:
    """One thing that was timed."""

    what: str
    seconds: float


def plan(root: Path, tiles: int) -> Campaign:
    """Plan a campaign of so many cells, one a tile."""
    names = [f"cell{number:06d}" for number in range(tiles)]
    columns: dict[str, list[Any]] = {
        "name": names,
        "source": [f"drivers/{name}.nc" for name in names],
        "checksum": [checksum(name.encode()) for name in names],
        "days": [13149] * tiles,
        "training_days": [6575] * tiles,
        "latitude": np.linspace(-60, 80, tiles).tolist(),
        "longitude": np.linspace(-180, 180, tiles).tolist(),
    }
    configuration = Configuration(
        campaign=CampaignSection(name="scale", members=1),
        data=Data(kind="synthetic", cells=1),
        experiment=DalecExperiment(backend="xla"),
        optimiser=AdamSection(iterations=10, trace=2),
        tiles=Tiles(cells=1),
    )
    return freeze(CampaignPaths(root), configuration, Units(UnitTable(columns, {})))


def commit(campaign: Campaign) -> None:
    """Write a dummy file for each tile, and the journals that know them."""
    sample = _arrays()
    attributes = {"configuration_hash": campaign.configuration.fingerprint(), "schema": SCHEMA_VERSION}
    lines: list[list[dict[str, Any]]] = [[] for _ in range(JOURNALS)]
    for tile in range(len(campaign.tiles)):
        sample["cell"] = np.array([campaign.tile_cells(tile)[0].name])
        sample["loss"][:] = tile
        image = hdf5_image(sample, {**attributes, "tile": tile})
        campaign.paths.tile(tile).write_bytes(image)
        line = {"tile": tile, "attempt": 1, "sha256": checksum(image), "bytes": len(image), "lanes": {"calibrated": 1}}
        for event in ("prepared", "committed"):
            lines[tile % JOURNALS].append({"event": event, **line, "seconds": 60.0})
    for number, events in enumerate(lines):
        append_events(campaign.paths.journal(f"worker-{number}-0000"), events)


def _arrays() -> dict[str, np.ndarray]:
    schema = calibration_schema(TOWERS)
    lengths = {**schema.lengths, "cell": 1, "member": 1, "trace": 2}
    arrays = {}
    for name, variable in schema.variables.items():
        shape = tuple(lengths[dimension] for dimension in variable.dimensions)
        arrays[name] = np.zeros(shape, np.dtype(variable.dtypes[0])) if variable.dtypes[0] != "str" else np.array(["c"])
    return arrays


def measure(root: Path, tiles: int) -> Iterator[Timed]:
    """Plan, fill, look at, check and merge a campaign; yield what each took."""
    begun = time.perf_counter()
    campaign = plan(root, tiles)
    yield Timed("plan: write and open the tile table", time.perf_counter() - begun)
    commit(campaign)
    for what, options in (
        ("status --json, the whole command, by name", ["--no-verify"]),
        ("status --json --verify, every byte", ["--verify"]),
    ):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "phloem", "status", str(root), "--json", *options]
        status = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert status["tiles"]["done"] == tiles, status["tiles"]
        yield Timed(what, time.perf_counter() - begun)
    begun = time.perf_counter()
    assert len(read_state(campaign, False).done) == tiles
    yield Timed("the state alone, in a process that runs", time.perf_counter() - begun)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    campaign.kind.merge(campaign)
    yield Timed("merge", time.perf_counter() - begun)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    yield Timed(f"merge: memory grew by {grown:.0f} MiB", 0.0)


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the campaign is made; default: a temporary folder")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for timed in measure(Path(folder) / "campaign", chosen.tiles):
            print(f"{timed.what:60} {timed.seconds:8.2f} s" if timed.seconds else timed.what, flush=True)


if __name__ == "__main__":
    main()
