"""The truth beside a synthetic Earth's store: quantities and mean streams of its cells, and how far labels are from it.

`truth.nc` holds it all; parts of single patches stand in a folder until the store is whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.analysis.network.patch_pairs import OF_PATCHES
from phloem.io.files.netcdf import CONVENTIONS, filled, put_texts, write_netcdf
from phloem.io.patches.patch_store import PatchStore
from phloem.io.patches.stored_patch import LABEL_STREAMS, UNITS
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.names import STATIC_STREAMS

WARM_UP = 24
"""First months that no score counts (Fang et al.)."""

PAIR_SUMS = ("count", "label", "label_squared", "error_squared")
"""Sums over the pairs of a patch, as of `scored_pairs`: of 1, y, y^2 and (y - truth)^2."""

MEANS = {
    "gpp": ("g m-2 d-1", "gross primary production, carbon"),
    "reco": ("g m-2 d-1", "ecosystem respiration, carbon"),
    **{name: UNITS[name] for name in ("sif", "lai", "et", "fire", "nbe", "biomass", "soil_carbon")},
    "water": ("mm", "water in the soil"),
}
"""Streams whose means over all months are kept of each cell, without noise."""


def mean_streams(o: Any) -> np.ndarray:
    """Return the means of `MEANS`, (10, cells)."""
    named = {
        "gpp": o.gpp,
        "reco": o.gpp + o.nee,
        "sif": o.sif,
        "lai": o.lai,
        "et": o.et,
        "fire": o.fire_emission,
        "nbe": o.nbe,
        "biomass": o.labile + o.foliar + o.root + o.wood,
        "soil_carbon": o.som,
        "water": o.water,
    }
    return np.stack([named[name].mean(0) for name in MEANS])


def pair_sums(truth: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return `PAIR_SUMS` of each stream of a patch, (streams, 4) in the order of `LABEL_STREAMS`."""
    found = np.zeros((len(LABEL_STREAMS), len(PAIR_SUMS)))
    for row, stream in enumerate(LABEL_STREAMS):
        if stream not in labels:
            continue
        y, true = scored_pairs(stream, labels[stream], truth[stream])
        error = y - true
        found[row] = len(y), y.sum(), (y**2).sum(), (error**2).sum()
    return found


def scored_pairs(stream: str, label: np.ndarray, simulated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and what is simulated as networks are scored by them, (pairs,) each.

    They are those from the 25th month on; of fire the means over the cells of the patch that have labels.

    Args:
        stream: its name.
        label: as a stored patch has it, NaN where missing.
        simulated: of the same shape.
    """
    first = 0 if stream in STATIC_STREAMS else WARM_UP
    y, x = np.asarray(label, float)[first:], np.asarray(simulated, float)[first:]
    there = np.isfinite(y)
    if stream in OF_PATCHES and y.ndim == 2:
        count = there.sum(1)
        y, x = (np.where(there, one, 0.0).sum(1)[count > 0] / count[count > 0] for one in (y, x))
        return y, x
    return y[there], x[there]


def best_scores(sums: np.ndarray) -> dict[str, float]:
    """Return the highest score that any model can have, by stream: 1 - sum (y - truth)^2 / sum (y - mean)^2.

    Args:
        sums: `PAIR_SUMS` of the patches, (patches, streams, 4).
    """
    found = {}
    for stream, (count, total, squares, errors) in zip(LABEL_STREAMS, sums.sum(0), strict=True):
        spread = squares - total**2 / count if count else 0.0
        if spread > 0:
            found[stream] = float(1 - errors / spread)
    return found


def ceiling(store: PatchStore, positions: Sequence[int]) -> dict[str, float]:
    """Return the score that the noise-free truth has against the labels of some patches, by stream.

    Args:
        store: of a synthetic Earth.
        positions: of the patches, as those that a run holds out.
    """
    with netCDF4.Dataset(str(store.paths.truth)) as file:
        return best_scores(np.asarray(file["pair_sums"][:][list(positions)], float))


def true_quantities(store: PatchStore) -> np.ndarray:
    """Return the 40 quantities of all cells, patch after patch as they stand in the store, (40, cells)."""
    with netCDF4.Dataset(str(store.paths.truth)) as file:
        return np.stack([np.asarray(file[one.name][:], float) for one in UNKNOWNS])


def write_truth(
    path: Path, cells: Sequence[str], place: np.ndarray, patches: Sequence[str], parts: Sequence[Mapping[str, Any]]
) -> None:
    """Write `truth.nc`.

    Args:
        path: the file.
        cells: names of all cells, patch after patch.
        place: their latitude and longitude, degrees, (2, cells).
        patches: names of the patches.
        parts: of each patch `quantities` (40, cells), `means` of `MEANS`, and `pairs`.
    """
    quantities, means = (np.concatenate([part[key] for part in parts], 1) for key in ("quantities", "means"))
    patch_of_cell = np.repeat(np.arange(len(parts)), [part["quantities"].shape[1] for part in parts])

    def fill(file: netCDF4.Dataset) -> None:
        file.setncatts({"Conventions": CONVENTIONS, "title": "The truth of a synthetic Earth"})
        sizes = {"cell": len(cells), "patch": len(patches), "stream": len(LABEL_STREAMS), "sum": len(PAIR_SUMS)}
        for name, size in sizes.items():
            file.createDimension(name, size)
        put_texts(file, "cell", "cell", cells, {"long_name": "name of the cell"})
        put_texts(file, "patch", "patch", patches, {"long_name": "name of the patch"})
        put_texts(file, "stream", "stream", LABEL_STREAMS, {"long_name": "stream of labels"})
        put_texts(file, "sum", "sum", PAIR_SUMS, {"long_name": "of labels from the 25th month on, and of the truth"})

        def put(name: str, dimensions: tuple[str, ...], values: np.ndarray, unit: str, text: str) -> None:
            variable = file.createVariable(name, values.dtype, dimensions, zlib=True, complevel=1)
            variable.setncatts({"units": unit, "long_name": text})
            variable[:] = filled(values)

        put("latitude", ("cell",), place[0], "degrees_north", "latitude of the centre")
        put("longitude", ("cell",), place[1], "degrees_east", "longitude of the centre")
        put("patch_of_cell", ("cell",), patch_of_cell.astype(np.int32), "1", "position of the cell's patch")
        for one, values in zip(UNKNOWNS, quantities, strict=True):
            put(one.name, ("cell",), values, one.unit, one.meaning)
        for (name, (unit, text)), values in zip(MEANS.items(), means, strict=True):
            put(f"mean_{name}", ("cell",), values, unit, f"mean over all months, without noise: {text}")
        pairs = np.stack([part["pairs"] for part in parts])
        put("pair_sums", ("patch", "stream", "sum"), pairs, "1", "sums over labels, in the units of the streams")

    write_netcdf(path, fill)
