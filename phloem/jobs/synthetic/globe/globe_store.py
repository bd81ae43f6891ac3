"""The patch store of a synthetic Earth: made patch by patch, and taken up again where a kill left it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from phloem.io.drivers.grid_cell import cell_name
from phloem.io.drivers.store import StorePaths
from phloem.io.files.atomic import CorruptFile, checksum, hdf5_image, read_hdf5, write_atomically
from phloem.io.files.journals import append_event, read_events
from phloem.io.ingest.ingest_folder import IngestFolder, stamp
from phloem.io.patches.patch_store import PatchStore, PatchStorePaths, open_patches, seal_patches, write_patch
from phloem.io.patches.splits import held_out
from phloem.io.patches.stored_patch import StoredPatch
from phloem.jobs.config.globe_file import BOX, Globe
from phloem.jobs.config.paths import data_root
from phloem.jobs.progress import ProgressBar
from phloem.jobs.synthetic.globe.globe_labels import SeenPatch, product_labels, true_streams
from phloem.jobs.synthetic.globe.globe_land import FILES, LandBox, Places, boxes, land
from phloem.jobs.synthetic.globe.globe_pools import InitialPools, fit_initial_pools, quantities_of
from phloem.jobs.synthetic.globe.globe_predictors import predictors_of
from phloem.jobs.synthetic.globe.globe_run import simulate, tables_of
from phloem.jobs.synthetic.globe.globe_traits import plant_shares
from phloem.jobs.synthetic.globe.globe_truth import best_scores, mean_streams, pair_sums, write_truth
from phloem.jobs.synthetic.globe.globe_weather import carbon_dioxide, weather_of
from phloem.kernels.models.dalec_monthly.parameters import POOLS
from phloem.kernels.network.patch_cells import MonthAxis
from phloem.kernels.network.patch_loss import YEAR

FIRST_MONTH = np.datetime64("2001-01")


@dataclass(frozen=True, eq=False)
class GlobeLand:
    """An Earth before its patches are made.

    Attributes:
        choice: what was asked for.
        places: all valid cells.
        boxes: the patches' boxes.
    """

    choice: Globe
    places: Places
    boxes: list[LandBox]

    @property
    def months(self) -> MonthAxis:
        """Months of the records."""
        return MonthAxis(FIRST_MONTH, self.choice.years * YEAR)

    def cells(self, box: LandBox) -> tuple[str, ...]:
        """Return the names of a box's cells."""
        of = self.places
        return tuple(cell_name(float(of.latitude[n]), float(of.longitude[n]), self.choice.step) for n in box.positions)

    @cached_property
    def towers(self) -> frozenset[str]:
        """Names of the cells with a tower, drawn by their names."""
        names = [name for box in self.boxes for name in self.cells(box)]
        seed = self.choice.seed
        names.sort(key=lambda name: hashlib.sha256(f"{seed}:tower:{name}".encode()).digest())
        return frozenset(names[: self.choice.towers])


def make_patch(earth: GlobeLand, box: LandBox, pools: InitialPools) -> tuple[StoredPatch, dict[str, np.ndarray]]:
    """Make the cells of a box, and their truth.

    Returns:
        The patch, and `quantities`, `means` and `pairs` as `write_truth` takes them.
    """
    choice, months, count = earth.choice, earth.months, len(box.positions)
    places = earth.places.take(box.positions)
    predictors = predictors_of(places, choice.seed)
    forcing = weather_of(places, months, choice.seed)
    quantities = quantities_of(predictors, places.latitude, pools)
    # One program for all: rows that are no cells repeat the first.
    rows = np.where(np.arange(choice.rows) < count, np.arange(choice.rows), 0)
    stored = {name: np.asarray(values, np.float32).astype(float) for name, values in forcing.items()}
    padded = {**{name: values[:, rows] for name, values in stored.items()}, "co2": carbon_dioxide(months)}
    climate = {name: predictors[name][rows] for name in ("MAT", "MAP")}
    tables = tables_of(padded, places.latitude[rows], climate, months)
    everything = simulate(quantities[:, rows], tables, months.count)
    o = type(everything)(*(field[:, :count] for field in everything))
    cells = earth.cells(box)
    seen = SeenPatch(
        name=box.name,
        cells=cells,
        months=months,
        forcing=stored,
        towers=np.array([name in earth.towers for name in cells]),
        weight=places.pft.max(0) / 100,
    )
    truth = true_streams(o, seen, choice)
    labels, weights = product_labels(truth, seen, choice)
    patch = StoredPatch(
        box.name, cells, places.latitude, places.longitude, predictors, stored, labels, weights
    )  # fmt: skip
    return patch, {"quantities": quantities, "means": mean_streams(o), "pairs": pair_sums(truth, labels)}


@dataclass(frozen=True)
class GlobeFolder:
    """The folder of a synthetic Earth's store in the making.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def paths(self) -> PatchStorePaths:
        """Files of the store."""
        return PatchStorePaths(self.root)

    @property
    def ingest(self) -> IngestFolder:
        """Plan, lock and log of the making."""
        return IngestFolder(StorePaths(self.root))

    @property
    def pools(self) -> Path:
        """The fitted function of the initial pools."""
        return self.root / "truth" / "pools.h5"

    def part(self, name: str) -> Path:
        """Return where the truth of a patch stands until all are there."""
        return self.root / "truth" / f"{name}.h5"

    def sweep(self) -> None:
        """Remove what killed writers have left."""
        for path in [*self.root.glob("*.tmp"), *self.root.glob("*/*.tmp")]:
            path.unlink(missing_ok=True)

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the rows of the table of the patches that are done, by name: those whose files are whole."""
        found = {}
        for event in read_events(self.paths.journal):
            if event.get("event") == "patch" and self._is_whole(event):
                found[str(event["row"]["name"])] = dict(event["row"])
        return found

    def _is_whole(self, event: dict[str, Any]) -> bool:
        name = event["row"]["name"]
        files = ((self.paths.patch(name), event["row"]["sha256"]), (self.part(name), event["truth"]))
        try:
            return all(checksum(path.read_bytes()) == digest for path, digest in files)
        except OSError:
            return False

    def write(self, earth: GlobeLand, box: LandBox, pools: InitialPools) -> dict[str, Any]:
        """Make and write a patch; its row of the table."""
        patch, part = make_patch(earth, box, pools)
        row = write_patch(self.paths, patch, box.south, box.west)
        row["labels"] = dict(sorted(row["labels"].items()))  # as the journal gives it back
        image = hdf5_image(part, {"name": box.name})
        write_atomically(self.part(box.name), image)
        append_event(self.paths.journal, {"event": "patch", "row": row, "truth": checksum(image)})
        return row

    def fitted_pools(self, places: Places, seed: int) -> InitialPools:
        """Return the function of the initial pools, fitted once."""
        try:
            arrays, _ = read_hdf5(self.pools)
            return InitialPools(arrays["weights"], arrays["spread"])
        except (FileNotFoundError, CorruptFile, KeyError):
            pools = fit_initial_pools(places, seed)
            self.pools.parent.mkdir(exist_ok=True)
            write_atomically(self.pools, hdf5_image({"weights": pools.weights, "spread": pools.spread}, {}))
            return pools


def make_globe(root: Path, choice: Globe) -> PatchStore:
    """Make the patch store of a synthetic Earth; run again after a kill, it goes on and ends with the same bytes.

    Of a store that was finished and is damaged all patches are made again, to the same bytes.

    Args:
        root: folder of the store.
        choice: what is made.

    Raises:
        InputError: the real land is asked for without its data, the Earth has fewer patches, or the folder holds
            something else.
        WorkError: another run is at work in the folder.
    """
    folder = GlobeFolder(Path(root))
    folder.ingest.check_place("store in the making")
    data = data_root()
    places = land(choice, data)
    earth = GlobeLand(choice, places, boxes(places, choice))
    inputs = stamp([data / "global" / name for name in FILES]) if choice.geography == "real" and data else []
    plan = {"content": {"what": "globe", **choice.model_dump()}, "inputs": inputs}
    with folder.ingest.held():
        if folder.ingest.is_begun():
            folder.ingest.compare(plan)
        else:
            folder.ingest.begin(plan)
        if folder.paths.index.is_file() and (store := open_patches(folder.root)).is_whole():
            return store
        # Sums of matrix products end in other last bits on two threads than on one.
        with threadpool_limits(1, "blas"):
            return _make(folder, earth)


@dataclass(frozen=True, eq=False)
class MadeGlobe:
    """A synthetic Earth that was made.

    Attributes:
        store: its patches.
    """

    store: PatchStore

    def lines(self) -> list[str]:
        """Say what it has."""
        store, best = self.store, self.store.facts["ceiling"]
        lines = [
            f"{len(store)} patches, {sum(store.table['cells'])} cells, {store.months} months from "
            f"{store.facts['first_month']}: {store.paths.root}",
            f"held out: {len(store.facts['test'])} patches; the best score there, of the truth itself, by stream:",
        ]
        for stream in store.streams:
            lines.append(f"{stream}: {store.count_labels(stream)} labels, {best.get(stream, float('nan')):.3f}")
        return [*lines, f"the truth: {store.paths.truth}"]

    def as_json(self) -> dict[str, Any]:
        """Return the same as a JSON object, with what the store says of itself."""
        store = self.store
        labels = {stream: store.count_labels(stream) for stream in store.streams}
        counts = {"patches": len(store), "cells": sum(store.table["cells"]), "labels": labels}
        return {"directory": str(store.paths.root), **counts, **store.facts}


def _make(folder: GlobeFolder, earth: GlobeLand) -> PatchStore:
    folder.sweep()
    done = folder.rows()
    pools = folder.fitted_pools(earth.places, earth.choice.seed)
    with ProgressBar("synthetic Earth", len(earth.boxes), len(done)) as bar:
        for box in earth.boxes:
            if box.name not in done:
                done[box.name] = folder.write(earth, box, pools)
                bar.update(len(done), box.name)
    parts = [read_hdf5(folder.part(box.name))[0] for box in earth.boxes]
    positions = np.concatenate([box.positions for box in earth.boxes])
    all_cells = earth.places.take(positions)
    names = [box.name for box in earth.boxes]
    write_truth(
        folder.paths.truth,
        [name for box in earth.boxes for name in earth.cells(box)],
        np.stack([all_cells.latitude, all_cells.longitude]),
        names,
        parts,
    )
    rows = [done[name] for name in names]
    store = seal_patches(folder.root, _facts(earth, names, parts, pools, all_cells), rows)
    folder.ingest.say([f"{len(store)} patches, {len(positions)} cells, {store.months} months"])
    shutil.rmtree(folder.pools.parent, ignore_errors=True)
    return store


def _facts(
    earth: GlobeLand, names: Sequence[str], parts: Sequence[dict[str, Any]], pools: InitialPools, cells: Places
) -> dict[str, Any]:
    choice, months = earth.choice, earth.months
    test = held_out(names, choice.test_share, choice.seed)
    sums = np.stack([part["pairs"] for part in parts])
    real = choice.geography == "real"
    return {
        "step": choice.step,
        "box": [float(side) for side in BOX],
        "first_month": str(FIRST_MONTH),
        "months": months.count,
        "rows": choice.rows,
        "co2": carbon_dioxide(months).tolist(),
        "sources": {
            "land": "half-degree products (MCD12C1 2019, TBASE, ITU-R P.1510-1 and P.837-7)" if real else "made up",
            "weather, traits, labels": "made up",
        },
        "globe": choice.model_dump(),
        "test": [names[place] for place in test],
        "ceiling": best_scores(sums[list(test)]),
        "plant_shares": plant_shares(predictors_of(cells, choice.seed)),
        "spread_of_steady_pools": dict(zip((pool.name for pool in POOLS), pools.spread.tolist(), strict=True)),
    }
