"""How much each group of predictors explains of a synthetic Earth: the truth's own partition, beside a network's.

A group can say as much of a stream as the model gives with quantities that are their mean given the group. Boosted
trees learn these means from the cells of the patches that are not held out; the model runs with them over the patches
that are; the score of a set of groups is the squared correlation with the labels there, from the 25th month on, as that
of a network (Fang et al.). The shares are Shapley's, over the fifteen sets of the four groups: of the whole score, as
in the source, and of what it is beyond that of no group. Most of a stream is forcing, which every network has: of the
whole score all groups get near a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from phloem.analysis.attribution.shapley_partition import Partition, partition
from phloem.errors import InputError
from phloem.io.files.sealed_json import write_sealed
from phloem.io.patches.patch_store import PatchStore
from phloem.io.patches.predictor_moments import column_values
from phloem.io.patches.stored_patch import StoredPatch
from phloem.jobs.config.globe_file import Globe
from phloem.jobs.progress import ProgressBar
from phloem.jobs.synthetic.globe.globe_labels import SeenPatch, true_streams
from phloem.jobs.synthetic.globe.globe_run import simulate, tables_of
from phloem.jobs.synthetic.globe.globe_truth import scored_pairs, true_quantities
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.kernels.network.patch_cells import MonthAxis
from phloem.kernels.network.set_ups import HEMISPHERE, all_set_ups, columns
from phloem.names import PREDICTOR_GROUPS

NONE = "none"
"""Of no group: quantities that know the hemisphere alone, and so what forcing says by itself."""

STREAMS = ("sif", "nbe", "lai", "water_storage", "biomass", "fire", "soil_carbon", "et")
"""Streams that are shared out; towers are too few."""

SAMPLE = 6000
"""Cells that trees learn from, evenly from all that are not held out."""

TREES = {"max_iter": 80, "learning_rate": 0.12, "max_leaf_nodes": 24, "min_samples_leaf": 15, "early_stopping": False}
KEPT = 0.999
"""Of the spread of the quantities, each of unit variance, so much is in the principal components that trees learn: some
fifteen instead of forty. A mean given groups of a sum is the sum of such means."""

SIMULATION = 0.1
"""Time of a patch's runs over that of a set's trees."""

INERT = ("iwue", "vod_foliar", "vod_wood")
"""Quantities that no stream reads; they stay at their mean."""


def make_truth_partition(store: PatchStore) -> Path:
    """Write `truth_partition.json` into the store of a synthetic Earth: some 250 fits of trees, minutes.

    Returns:
        The file.

    Raises:
        InputError: it is no store of a synthetic Earth.
    """
    if "globe" not in store.facts or not store.paths.truth.is_file():
        raise InputError(f"{store.paths.root}: no store of a synthetic Earth, made with `phloem ingest --what globe`")
    held = set(store.facts["test"])
    test = [place for place, name in enumerate(store.names) if name in held]
    sets = [(), *all_set_ups()]
    with ProgressBar("truth's partition", len(sets) + SIMULATION * len(test)) as bar:
        quantities = _expected_quantities(store, test, sets, bar)
        scores = _scores(store, test, quantities, bar)
    groups = tuple(PREDICTOR_GROUPS)
    whole = partition(groups, lambda some: scores[_name(some)])
    beyond = partition(groups, lambda some: scores[_name(some)] - scores[NONE])
    write_sealed(store.paths.truth_partition, _as_json(whole, beyond, scores))
    return store.paths.truth_partition


def _name(groups: Any) -> str:
    return "+".join(name for name in PREDICTOR_GROUPS if name in groups) or NONE


def _expected_quantities(
    store: PatchStore, test: Sequence[int], sets: Sequence[tuple[str, ...]], bar: ProgressBar
) -> dict[str, np.ndarray]:
    """Return the 40 quantities of the held-out cells as each set of groups has them, (40, cells)."""
    names, patches = columns(tuple(PREDICTOR_GROUPS)), [_columns(store.read(n)) for n in range(len(store))]
    of = {name: np.concatenate([patch[name] for patch in patches]) for name in names}
    is_test = np.repeat(np.isin(np.arange(len(store)), test), store.table["cells"])
    away, learned = np.flatnonzero(is_test), np.flatnonzero(~is_test)
    learned = learned[np.linspace(0, len(learned) - 1, min(SAMPLE, len(learned))).round().astype(int)]
    logs = np.log(true_quantities(store)[:, learned])
    middle, spread = logs.mean(1, keepdims=True), logs.std(1, keepdims=True)
    read = np.array([[one.name not in INERT] for one in UNKNOWNS]) & (spread > 0)
    scale = np.where(read, spread, 1.0)
    directions, sizes, components = np.linalg.svd(np.where(read, (logs - middle) / scale, 0.0), full_matrices=False)
    kept = int(np.searchsorted(np.cumsum(sizes**2) / (sizes**2).sum(), KEPT)) + 1
    low, high = (np.array([[getattr(one, end)] for one in UNKNOWNS]) for end in ("lower", "upper"))
    found = {}
    for done, groups in enumerate(sets):
        inputs = np.stack([of[name] for name in (columns(groups) if groups else (HEMISPHERE,))], 1)
        expected = np.empty((kept, len(away)))
        for row in range(kept):
            # Threads that wait for one another spin: where the cores are taken, a fit took 7 s instead of 0.3.
            with threadpool_limits(1, "openmp"):
                trees = HistGradientBoostingRegressor(**TREES, random_state=0)
                trees.fit(inputs[learned], sizes[row] * components[row])
                expected[row] = trees.predict(inputs[away])
            bar.update(done + (row + 1) / kept, _name(groups))
        found[_name(groups)] = np.clip(np.exp(middle + scale * (directions[:, :kept] @ expected)), low, high)
    return found


def _columns(patch: StoredPatch) -> dict[str, np.ndarray]:
    return column_values(patch.predictors, patch.latitude, patch.longitude)


def _scores(
    store: PatchStore, test: Sequence[int], quantities: dict[str, np.ndarray], bar: ProgressBar
) -> dict[str, np.ndarray]:
    """Return the squared correlation of each set's streams with the held-out labels, (streams,)."""
    choice, months = Globe(**store.facts["globe"]), MonthAxis(store.first_month, store.months)
    sums = {name: np.zeros((len(STREAMS), 6)) for name in quantities}
    first = 0
    for number, place in enumerate(test):
        patch = store.read(place)
        count = len(patch)
        rows = np.where(np.arange(store.rows) < count, np.arange(store.rows), 0)
        padded = {name: np.asarray(values, float)[:, rows] for name, values in patch.forcing.items()}
        climate = {name: patch.predictors[name][rows] for name in ("MAT", "MAP")}
        tables = tables_of({**padded, "co2": store.co2}, patch.latitude[rows], climate, months)
        seen = SeenPatch(
            patch.name, patch.cells, months, patch.forcing, np.zeros(count, bool), np.zeros(count)
        )  # fmt: skip
        for name, values in quantities.items():
            everything = simulate(values[:, first : first + count][:, rows], tables, months.count)
            o = type(everything)(*(field[:, :count] for field in everything))
            _add(sums[name], true_streams(o, seen, choice), patch)
        first += count
        bar.update(len(quantities) + SIMULATION * (number + 1), patch.name)
    return {name: _squared_correlation(one) for name, one in sums.items()}


def _add(sums: np.ndarray, ours: dict[str, np.ndarray], patch: StoredPatch) -> None:
    for row, stream in enumerate(STREAMS):
        if stream not in patch.labels or stream not in ours:
            continue
        y, x = scored_pairs(stream, patch.labels[stream], ours[stream])
        sums[row] += len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()


def _squared_correlation(sums: np.ndarray) -> np.ndarray:
    """0 where nothing can be correlated."""
    count, x, y, xx, yy, xy = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (xy - x * y / count) ** 2 / ((xx - x * x / count) * (yy - y * y / count))
    return np.where(np.isfinite(found), found, 0.0)


def _as_json(whole: Partition, beyond: Partition, scores: dict[str, np.ndarray]) -> dict[str, Any]:
    def by_stream(values: np.ndarray) -> dict[str, float | None]:
        return {s: float(v) if np.isfinite(v) else None for s, v in zip(STREAMS, values, strict=True)}

    def by_group(values: np.ndarray) -> dict[str, dict[str, float | None]]:
        return {group: by_stream(row) for group, row in zip(whole.groups, values, strict=True)}

    return {
        "method": "quantities as their means given the groups (boosted trees, learned outside the held-out patches); "
        "squared correlation of the model's streams with the held-out labels from the 25th month on; Shapley values",
        "groups": list(whole.groups),
        "streams": list(STREAMS),
        "total": by_stream(whole.total),
        "independent": by_group(whole.independent),
        "alone": by_group(whole.alone),
        "share": by_group(whole.share),
        "beyond_forcing": {"independent": by_group(beyond.independent), "share": by_group(beyond.share)},
        "scores": {name: by_stream(values) for name, values in scores.items()},
    }
