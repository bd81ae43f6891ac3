"""Times the merge of a campaign on a grid, and says what memory it takes and how fast its product is read.

    python -m benchmarks.merge --cells 60000 --members 5

The tiles are dummies: whole tile files of random numbers, committed by the library's own `write_tile`, computed by
nobody. Their cells lie on made continents that have the Earth's share of land in each ten degrees of latitude, from the
north southwards at half a degree, until there are enough: 30,000 cells are the land north of 40 N, 60,000 all but the
Antarctic. The merge runs in a process of its own, whose memory before it has read anything is stated apart.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.arithmetic import ceil_div
from phloem.io.campaign.attempts import holder, take_tile
from phloem.io.campaign.calibration_schema import calibration_schema
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import write_tile
from phloem.io.grids.placed_cells import Grid
from phloem.io.merge.write_merged import merge_tiles
from phloem.kernels.calibrations.dalec_daily.tables import GRID
from phloem.names import STATUS

STEP = 0.5
LAND = (0.0, 0.29, 0.70, 0.57, 0.52, 0.43, 0.38, 0.26, 0.23, 0.24, 0.22, 0.23, 0.11, 0.03)
"""Share of land in each ten degrees of latitude from 90 N to 50 S, rounded."""

TRACE = 250
"""Points of the loss trace, as campaigns keep them by default."""

PROCESSES = 2
SCHEMA = calibration_schema(GRID)
TABLE = "cells.json"
ATTRIBUTES = {"configuration_hash": "dummy", "version": "0"}


def land(cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes of so many cells of made continents, row by row from the south."""
    rng = np.random.default_rng(5)
    latitude = np.arange(90 - STEP / 2, -50, -STEP)
    longitude = np.arange(-180 + STEP / 2, 180, STEP)
    height = np.zeros((latitude.size, longitude.size))
    for wave in range(1, 25):
        for slow in range(6):
            phase = 2 * np.pi * rng.uniform(size=2)
            along = np.cos(wave * np.radians(longitude) + phase[0])
            height += rng.normal() / wave * np.cos(slow * np.radians(latitude)[:, None] * 2 + phase[1]) * along
    found: list[tuple[float, float]] = []
    for row, north in enumerate(latitude):
        count = round(LAND[int((90 - north) // 10)] * longitude.size)
        highest = np.sort(np.argsort(height[row])[longitude.size - count :])
        found += [(north, east) for east in longitude[highest]]
    if cells > len(found):
        raise SystemExit(f"the Earth has {len(found)} cells of land, without the Antarctic")
    chosen = np.array(found[:cells])
    chosen = chosen[np.lexsort((chosen[:, 1], chosen[:, 0]))]
    return chosen[:, 0], chosen[:, 1]


def tile_arrays(names: list[str], latitude: np.ndarray, longitude: np.ndarray, members: int) -> dict[str, np.ndarray]:
    """Random numbers in the form of a tile; one lane in ten has diverged."""
    rng = np.random.default_rng(zlib.crc32(names[0].encode()))
    lengths = {**SCHEMA.lengths, "cell": len(names), "member": members, "trace": TRACE}
    arrays: dict[str, Any] = {}
    for name, variable in SCHEMA.variables.items():
        shape = tuple(lengths[dimension] for dimension in variable.dimensions)
        if variable.dtypes[0].startswith("f"):
            arrays[name] = rng.lognormal(sigma=0.2, size=shape).astype(variable.dtypes[0])
        elif variable.dtypes[0].startswith("i"):
            arrays[name] = rng.integers(0, 100, shape).astype(variable.dtypes[0])
    diverged = rng.uniform(size=(len(names), members)) < 0.1
    arrays["status"] = np.where(diverged, STATUS["diverged"], STATUS["calibrated"]).astype("i1")
    arrays["stop"] = np.ones_like(arrays["status"])
    arrays["trace_iteration"] = np.arange(TRACE, dtype="i4")
    return arrays | {"cell": np.array(names), "latitude": latitude, "longitude": longitude}


def make(root: Path, cells: int, members: int, width: int, shuffled: bool) -> int:
    """Write the tiles of a campaign and the table of its cells; return how many tiles there are."""
    north, east = land(cells)
    if shuffled:
        order = np.random.default_rng(0).permutation(cells)
        north, east = north[order], east[order]
    names = [f"{y:+06.2f}{x:+07.2f}" for y, x in zip(north, east, strict=True)]
    (root / TABLE).write_text(json.dumps({"name": names, "latitude": north.tolist(), "longitude": east.tolist()}))
    with ProcessPoolExecutor(PROCESSES) as pool:
        parts = [(root, first, members, width) for first in range(PROCESSES)]
        return sum(pool.map(_write_tiles, *zip(*parts, strict=True)))


def _write_tiles(root: Path, first: int, members: int, width: int) -> int:
    paths = CampaignPaths(root).make()
    table = json.loads((root / TABLE).read_text())
    north, east = np.array(table["latitude"]), np.array(table["longitude"])
    tiles = range(first, ceil_div(len(north), width), PROCESSES)
    for tile in tiles:
        part = slice(tile * width, (tile + 1) * width)
        arrays = tile_arrays(table["name"][part], north[part], east[part], members)
        write_tile(
            paths, tile, take_tile(paths, tile, holder("nobody")), SCHEMA, arrays, ATTRIBUTES, worker=f"dummy-{first}"
        )
    return len(tiles)


def merge(root: Path, width: int) -> None:
    """Merge in this process, and print what that took as a JSON object."""
    table = json.loads((root / TABLE).read_text())
    names = table["name"]
    before = peak()
    begun = time.perf_counter()
    grid = Grid.around(table["latitude"], table["longitude"], STEP)
    merge_tiles(
        CampaignPaths(root),
        [names[first : first + width] for first in range(0, len(names), width)],
        GRID,
        {**ATTRIBUTES, "title": "dummies", "seed": 0},
        grid=grid.place(names, table["latitude"], table["longitude"]),
    )
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "before_mib": before, "peak_mib": peak(), "rows_and_columns": grid.shape}))


def peak() -> float:
    """Most memory that this process has held, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read(root: Path) -> list[tuple[str, float]]:
    """Seconds for what people read: one map of a parameter, one place with all that is known of it; each anew."""
    path = CampaignPaths(root).merged
    table = json.loads((root / TABLE).read_text())
    rows, columns = Grid.around(table["latitude"], table["longitude"], STEP).find(table["latitude"], table["longitude"])
    row, column = int(rows[len(rows) // 2]), int(columns[len(rows) // 2])
    wanted: dict[str, Callable[[netCDF4.Dataset], object]] = {
        "map of the median of one parameter": lambda file: file["parameters_median"][:, :, 12],
        "map of one parameter, one member": lambda file: file["parameters"][:, :, 0, 12],
        "one place, all variables": lambda file: [
            variable[row, column] for variable in file.variables.values() if variable.dimensions[:2] == ("lat", "lon")
        ],
    }
    times = []
    for what, get in wanted.items():
        begun = time.perf_counter()
        with netCDF4.Dataset(str(path)) as file:
            get(file)
        times.append((what, time.perf_counter() - begun))
    return times


def main() -> None:
    """Make, merge, read; print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=60_000)
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--tile", type=int, default=12, help="cells of a tile")
    parser.add_argument("--shuffled", action="store_true", help="the plan's cells in no order: each tile everywhere")
    parser.add_argument("--folder", type=Path, help="where the campaign is made; default: a temporary folder")
    parser.add_argument("--merge-only", type=Path, metavar="ROOT", help="merge a campaign that was made before")
    chosen = parser.parse_args()
    if chosen.merge_only:
        merge(chosen.merge_only, chosen.tile)
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        root = Path(folder)
        begun = time.perf_counter()
        tiles = make(root, chosen.cells, chosen.members, chosen.tile, chosen.shuffled)
        print(f"{tiles} tiles of {chosen.tile} cells made in {time.perf_counter() - begun:.0f} s", flush=True)
        command = [sys.executable, "-m", "benchmarks.merge", "--merge-only", str(root), "--tile", str(chosen.tile)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        size = CampaignPaths(root).merged.stat().st_size / 2**20
        held = sum(path.stat().st_size for path in CampaignPaths(root).tiles_dir.iterdir()) / 2**20
        print(f"merged onto {' x '.join(map(str, found['rows_and_columns']))} places in {found['seconds']:.1f} s")
        print(f"peak of memory {found['peak_mib']:.0f} MiB, of which {found['before_mib']:.0f} before the first tile")
        print(f"tile files {held:.0f} MiB, merged.nc {size:.0f} MiB")
        for what, seconds in read(root):
            print(f"read: {what}: {1000 * seconds:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
