"""The explained variance of the set-ups, shared out among their groups of predictors: pooled, and place by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phloem.analysis.attribution.shapley_partition import Partition
from phloem.analysis.benchmark.skill_scores import finite
from phloem.analysis.network.dominance import Dominance, RankCorrelation, dominance, mixed_cover_correlation
from phloem.analysis.network.drawn_dominance import DominanceIntervals, dominance_intervals
from phloem.analysis.network.score_files import PlaceScores, read_places
from phloem.analysis.network.set_up_partition import (
    NAMES,
    PFT,
    SetUpPartition,
    partition_of_set_ups,
    partition_with_intervals,
)
from phloem.errors import InputError
from phloem.io.files.atomic import CorruptFile
from phloem.io.files.sealed_json import read_sealed
from phloem.jobs.config.network_attribution_file import SharesSection
from phloem.jobs.network.table import JOIN, all_names
from phloem.jobs.network.trained_networks import TrainedNetworks
from phloem.jobs.network_analyses.predictor_cells import PredictorCells
from phloem.names import PREDICTOR_GROUPS


@dataclass(frozen=True, eq=False)
class PlacePartition:
    """A stream's explained variance, shared out place by place.

    Attributes:
        places: whose variance it is.
        parts: I_j, V, each (..., places).
        dominant: which group explains most of each.
        intervals: of the fractions, over draws of networks.
        mixed_cover: correlation of the share of PFT with how mixed the land cover is; None for patches.
        constant: share of networks and places where a network gives the same at all times.
    """

    places: PlaceScores
    parts: Partition
    dominant: Dominance
    intervals: DominanceIntervals
    mixed_cover: RankCorrelation | None
    constant: float

    def to_json(self) -> dict[str, Any]:
        """Return fractions with intervals."""
        return {
            "of": "patch" if self.places.of_patches else "cell",
            **self.dominant.to_json(),
            "intervals": self.intervals.to_json(),
            "mixed_cover": self.mixed_cover.to_json() if self.mixed_cover else None,
            "constant": finite(self.constant),
        }


@dataclass(frozen=True, eq=False)
class StreamPartition:
    """A stream's explained variance, shared out.

    Attributes:
        stream: its name.
        pooled: over all pairs together; None where it cannot be shared out.
        refused: why; else empty.
        by_place: place by place; None where it cannot be.
        by_place_refused: why; else empty.
        constant: networks that give the same everywhere at all times: set-up, and what was scored.
        truth: shares of the groups in the truth of a synthetic Earth, None where they are not known.
    """

    stream: str
    pooled: SetUpPartition | None
    refused: str
    by_place: PlacePartition | None
    by_place_refused: str
    constant: tuple[str, ...] = ()
    truth: Mapping[str, float | None] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the part of attribution.json."""
        return {
            "stream": self.stream,
            "pooled": self.pooled.to_json() if self.pooled else None,
            "refused": self.refused or None,
            "by_place": self.by_place.to_json() if self.by_place else None,
            "by_place_refused": self.by_place_refused or None,
            "constant": list(self.constant),
            "truth": dict(self.truth) if self.truth is not None else None,
        }


def missing_set_ups(document: Mapping[str, Any]) -> list[str]:
    """Return which of the fifteen set-ups a benchmark does not have."""
    there = {frozenset(one["set_up"].split(JOIN)) for one in document["set_ups"]}
    return [name for name in all_names() if frozenset(name.split(JOIN)) not in there]


def partitions(
    networks: TrainedNetworks, cells: PredictorCells, folder: Path, document: Mapping[str, Any], choice: SharesSection
) -> list[StreamPartition]:
    """Share out every stream that was scored.

    Args:
        networks: of the campaign.
        cells: of its store.
        folder: of its benchmark.
        document: its benchmark.json.
        choice: seed and draws.

    Raises:
        WorkError: a file of the benchmark cannot be read.
    """
    truth = read_truth(networks)
    streams = dict.fromkeys(stream for one in document["set_ups"] for stream in one["streams"])
    found = []
    for stream in streams:
        pooled, refused = None, _why_not(document)
        by_place, by_place_refused = None, refused
        constant: list[str] = []
        if not refused:
            try:
                pooled = partition_with_intervals(
                    _pooled_scores(document, stream, constant), stream, draws=choice.draws, seed=choice.seed
                )
            except InputError as error:
                refused = str(error)
            try:
                by_place = _by_place(networks, cells, read_places(folder, document, stream), choice)
            except InputError as error:
                by_place_refused = str(error)
        found.append(
            StreamPartition(stream, pooled, refused, by_place, by_place_refused, tuple(constant), truth.get(stream))
        )
    return found


def _why_not(document: Mapping[str, Any]) -> str:
    missing = missing_set_ups(document)
    if missing:
        return f"set-ups {', '.join(missing)} have no scores: variance is shared out over all fifteen"
    part = document["choice"]["part"]
    if part != "test":
        return f"the benchmark is of {part} patches, which networks have seen: `phloem benchmark DIR` scores others"
    return ""


def _pooled_scores(document: Mapping[str, Any], stream: str, constant: list[str]) -> dict[Sequence[str], np.ndarray]:
    """Return r2 of every network; of one that is constant 0, since it explains nothing, and its name is noted."""
    found: dict[Sequence[str], np.ndarray] = {}
    for one in document["set_ups"]:
        groups = tuple(one["set_up"].split(JOIN))
        if not set(groups) <= set(NAMES):
            continue
        values = (one["streams"].get(stream) or {}).get("pooled_of_each", {}).get("r2_pearson", [])
        if not values:
            raise InputError(f"{one['set_up']} has no pairs")
        found[groups] = np.array(values, float)
    if not any(np.isfinite(values).any() for values in found.values()):
        pairs = next(one["streams"][stream]["pairs"] for one in document["set_ups"] if stream in one["streams"])
        raise InputError(f"no network has a correlation over its {pairs} pairs")
    for one in document["set_ups"]:
        values = found.get(tuple(one["set_up"].split(JOIN)), np.empty(0))
        constant += [f"{one['set_up']}, {one['scored'][n]}" for n in np.flatnonzero(~np.isfinite(values))]
    return {groups: np.where(np.isfinite(values), values, 0.0) for groups, values in found.items()}


def _by_place(
    networks: TrainedNetworks, cells: PredictorCells, places: PlaceScores | None, choice: SharesSection
) -> PlacePartition:
    if places is None:
        raise InputError("networks were scored at different places")
    scores: dict[Sequence[str], np.ndarray] = {
        groups: values for name, values in places.r2.items() if set(groups := tuple(name.split(JOIN))) <= set(NAMES)
    }
    # All networks are compared with the same labels: where one has a correlation the labels vary, and a network
    # without one is constant there. It explains nothing of them.
    varying = np.any([np.isfinite(values).any(0) for values in scores.values()], axis=0)
    if not varying.any():
        raise InputError("no place has pairs enough for a correlation of its own")
    lacking = [~np.isfinite(values) & varying for values in scores.values()]
    constant = sum(int(one.sum()) for one in lacking) / sum(len(one) * int(varying.sum()) for one in lacking)
    scores = {
        groups: np.where(none, 0.0, values) for (groups, values), none in zip(scores.items(), lacking, strict=True)
    }
    parts = partition_of_set_ups(scores)
    area = None if places.of_patches else cells.area(networks)[places.ids]
    dominant = dominance(parts, area)
    mixed = None
    if not places.of_patches:
        cover = np.stack([cells.table.column(name)[places.ids] for name in PREDICTOR_GROUPS["PFT"]], 1)
        mixed = mixed_cover_correlation(dominant.share[PFT], cover)
    intervals = dominance_intervals(scores, choice.draws_of_maps, choice.seed)
    return PlacePartition(places, parts, dominant, intervals, mixed, constant)


def read_truth(networks: TrainedNetworks) -> dict[str, dict[str, float | None]]:
    """Return the shares of the groups in the truth of a synthetic Earth, by stream; none where it is not known.

    They are shares of what can be explained of the patches that the store itself holds out.

    Raises:
        InputError: the file is damaged.
    """
    path = networks.store.paths.truth_partition
    if not path.is_file() or networks.table.folds or not networks.store.facts.get("test"):
        return {}
    try:
        document = read_sealed(path)
        return {
            stream: {group: finite_or_none(document["share"][group].get(stream)) for group in NAMES}
            for stream in document["streams"]
        }
    except (OSError, ValueError, CorruptFile, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({error}); make it again with `phloem ingest --what globe`") from error


def finite_or_none(value: float | None) -> float | None:
    """Return a number for JSON, None where there is none."""
    return None if value is None else finite(float(value))
