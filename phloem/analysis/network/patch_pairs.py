"""Pairs of a patch: what a network simulates beside the labels that it is compared with, stream by stream.

Where there is no label there is no pair, in any stream; what is compared is what the loss compares in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phloem.errors import InputError
from phloem.kernels.network.patch_labels import STREAMS
from phloem.kernels.network.patch_loss import YEAR

SIMULATED: dict[str, tuple[str, ...]] = {
    "sif": ("sif",),
    "nbe": ("nbe",),
    "lai": ("lai",),
    "water_storage": ("water",),
    "biomass": ("biomass",),
    "fire": ("fire_emission",),
    "soil_carbon": ("som",),
    "vod": ("vod",),
    "tower_gpp": ("gpp",),
    "tower_reco": ("gpp", "nee"),
    "tower_et": ("et",),
    "et": ("et",),
}
"""Outputs whose sum is compared with a stream; `biomass` is that of `LIVE_POOLS`."""

NET_EXCHANGE = "tower_nee"
"""Net ecosystem exchange at towers: no label of its own, but the difference of two, where both are there."""

COMPARED = (*STREAMS, NET_EXCHANGE)
"""Streams that have scores."""

LIVE_POOLS = ("labile", "foliar", "root", "wood")
"""Pools of which live biomass consists, below ground too, as its label does."""

OF_PATCHES = ("nbe", "fire", "water_storage")
"""Streams that are compared as means of the patch; the others are compared cell by cell."""

OF_YEARS = ("biomass", "vod")
"""Streams that are compared as means of whole years."""

STATIC = ("soil_carbon",)
"""Streams whose label is the same in all months."""

LEAST_COVER = 0.7
"""Mean weight over the rows of a patch below which the public code drops a month of water storage."""

FILL = -9999.0
"""What stands for a missing label in files of the public code; it is no value of any stream."""

WATER = ("strict", "compat")


@dataclass(frozen=True)
class PairRules:
    """How pairs are made.

    Attributes:
        warm_up: first months that are left out: whole years.
        water: `strict`, means over the labelled cells; `compat`, the arithmetic of the public code: means over all
            rows of a patch, of what is 0 without label, in months whose mean weight is at least `LEAST_COVER`.
        rows: of a patch; `compat` alone asks.
    """

    warm_up: int = 24
    water: str = "strict"
    rows: int = 320

    def __post_init__(self) -> None:
        if self.warm_up < 0 or self.warm_up % YEAR:
            raise InputError(f"warm_up = {self.warm_up}: whole years are left out, as 0, 12 or 24 months")
        if self.water not in WATER:
            raise InputError(f"water = {self.water!r} is not one of {', '.join(WATER)}")


@dataclass(frozen=True, eq=False)
class StreamPairs:
    """Pairs of one stream in one patch.

    Attributes:
        stream: its name.
        simulated, observed: (times, places), both NaN where there is no pair.
        places: "cell", or "patch" for means of it, of which there is one.
        every: "month", "year", or "static" for one time.
    """

    stream: str
    simulated: np.ndarray
    observed: np.ndarray
    places: str
    every: str


def live_biomass(pools: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the carbon of all live pools, gC m-2: what the labels of biomass are of.

    Args:
        pools: at least `LIVE_POOLS`, each (months, cells).
    """
    total: np.ndarray = sum((np.asarray(pools[name], float) for name in LIVE_POOLS), np.zeros(1))
    return total


def patch_pairs(
    simulated: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray] | None = None,
    rules: PairRules | None = None,
) -> dict[str, StreamPairs]:
    """Pair what a network simulates in a patch with its labels.

    Args:
        simulated: outputs by the names in `SIMULATED`, each (months, cells) of the patch's cells alone, without rows
            that fill it, from a January on; LAI at the months' starts, pools at their ends.
        labels: by stream, (months, cells) of the same months and cells, NaN where missing.
        weights: of labels that count for other than 1, (months, cells): 0 is no label. Months and cells of a mean
            over the patch count by them; a pair of a cell counts whole.
        rules: how; by default strict, without the first 24 months.

    Returns:
        By stream, those that have labels given, in the order of `COMPARED`; net exchange where both its parts have.

    Raises:
        InputError: an unknown stream, no more months than are left out, an output that is not there or of another
            shape, a label that is a fill value, a negative weight, or a simulated value that is not finite where there
            is a label.
    """
    rules, weights = rules or PairRules(), weights or {}
    unknown = [name for name in (*labels, *weights) if name not in STREAMS]
    if unknown:
        raise InputError(f"streams {', '.join(dict.fromkeys(unknown))}: valid are {', '.join(STREAMS)}")
    pairs = {}
    for name in STREAMS:
        if name in labels:
            label = np.asarray(labels[name], float)
            if len(label) <= rules.warm_up:
                raise InputError(
                    f"labels of {name}: {len(label)} months, of which the first {rules.warm_up} are left out"
                )
            weight = _weights(name, label, weights.get(name))
            x = _simulated(name, simulated, weight, rules.warm_up)
            pairs[name] = _pairs(name, x, np.where(weight > 0, label, 0.0), weight, rules)
    if {"tower_gpp", "tower_reco"} <= set(pairs):
        gpp, reco = pairs["tower_gpp"], pairs["tower_reco"]
        both = reco.simulated - gpp.simulated, reco.observed - gpp.observed
        pairs[NET_EXCHANGE] = _paired(NET_EXCHANGE, *both, "cell", "month")
    return pairs


def _weights(stream: str, label: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return weights that are 0 where there is no label."""
    if label.ndim != 2:
        raise InputError(f"labels of {stream}: shape {label.shape} is not (months, cells)")
    given = np.ones(label.shape) if weight is None else np.asarray(weight, float)
    if given.shape != label.shape:
        raise InputError(f"weights of {stream}: shape {given.shape} is not that of its labels, {label.shape}")
    found = np.where(np.isfinite(label), given, 0.0)
    if not (found >= 0).all() or not np.isfinite(found).all():
        raise InputError(f"weights of {stream}: each is a finite number from 0 on")
    filled = np.argwhere((found > 0) & (label == FILL))
    if len(filled):
        month, cell = filled[0]
        raise InputError(
            f"labels of {stream}: {FILL:g} in month {month}, cell {cell}, with a weight above 0; a missing label is NaN"
        )
    return found


def _simulated(stream: str, outputs: Mapping[str, np.ndarray], weight: np.ndarray, warm_up: int) -> np.ndarray:
    """Return what is compared with a stream, (months, cells), finite where there is a label."""
    total = np.zeros(weight.shape)
    for name in SIMULATED[stream]:
        if name not in outputs:
            raise InputError(f"{stream}: output {name!r} is not there; there are {', '.join(outputs) or 'none'}")
        values = np.asarray(outputs[name], float)
        if values.shape != weight.shape:
            raise InputError(f"{stream}: output {name!r} has shape {values.shape}, its labels have {weight.shape}")
        total = total + values
    needed = np.broadcast_to(weight.any(0), weight.shape) if stream in (*STATIC, *OF_YEARS) else weight > 0
    broken = np.argwhere(needed[warm_up:] & ~np.isfinite(total[warm_up:]))
    if len(broken):
        month, cell = broken[0]
        raise InputError(
            f"{stream}: the simulated value of month {month + warm_up}, cell {cell} is not finite, and there is a "
            "label: a network that gives such values is not compared"
        )
    return total


def _pairs(stream: str, x: np.ndarray, y: np.ndarray, weight: np.ndarray, rules: PairRules) -> StreamPairs:
    late = slice(rules.warm_up, None)
    if stream in STATIC:
        # The label is of no month: one of the warm-up is as good as any.
        seen = weight > 0
        count = seen.sum(0, keepdims=True)
        observed = _over(np.where(seen, y, 0.0).sum(0, keepdims=True), count)
        return _paired(stream, x[late].mean(0, keepdims=True), observed, "cell", "static")
    x, y, weight = x[late], y[late], weight[late]
    if stream in OF_YEARS:
        whole = _years(weight > 0).all(1)
        return _paired(stream, _years(x).mean(1), np.where(whole, _years(y).mean(1), np.nan), "cell", "year")
    if stream not in OF_PATCHES:
        return _paired(stream, x, np.where(weight > 0, y, np.nan), "cell", "month")
    known = np.where(weight > 0, x, 0.0)
    compat = stream == "water_storage" and rules.water == "compat"
    if stream == "water_storage":
        known = known - (known * weight).sum(0) / (weight.sum(0) + 0.1 if compat else _positive(weight.sum(0)))
    cover = weight.sum(1, keepdims=True)
    ours, theirs = ((values * weight).sum(1, keepdims=True) for values in (known, y))
    if compat:
        enough = cover >= LEAST_COVER * rules.rows
        return _paired(stream, ours / rules.rows, np.where(enough, theirs / rules.rows, np.nan), "patch", "month")
    return _paired(stream, _over(ours, cover), _over(theirs, cover), "patch", "month")


def _paired(stream: str, simulated: np.ndarray, observed: np.ndarray, places: str, every: str) -> StreamPairs:
    both = np.isfinite(simulated) & np.isfinite(observed)
    simulated, observed = (np.where(both, values, np.nan) for values in (simulated, observed))
    return StreamPairs(stream, simulated, observed, places, every)


def _years(values: np.ndarray) -> np.ndarray:
    """Whole years, (years, 12, cells); months after the last December are left out."""
    count = len(values) // YEAR
    return values[: count * YEAR].reshape(count, YEAR, *values.shape[1:])


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 1.0)


def _over(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Quotients, NaN where nothing is summed."""
    return np.where(weight > 0, total / _positive(weight), np.nan)
