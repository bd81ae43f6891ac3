"""Scores of a network, gathered patch by patch: pooled, between places, within places, anomalies, between years.

Nothing of a patch is kept but the sums of its places, some hundred bytes a place and stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phloem.analysis.benchmark.skill_scores import NO_PAIRS, Metrics, finite, metrics
from phloem.analysis.network.departures import monthly_anomalies, yearly_anomalies
from phloem.analysis.network.patch_pairs import COMPARED, StreamPairs
from phloem.analysis.network.place_moments import PlaceMoments
from phloem.errors import InputError
from phloem.kernels.network.patch_loss import YEAR

LEAST_MONTHS = 12
"""Pairs of months that a place has at least, to be scored by itself."""

LEAST_YEARS = 3
"""Pairs of years likewise."""

CENTRED = ("water_storage",)
"""Streams simulated as departures from each place's mean: means of places are 0, and say nothing."""

OF_ANOMALIES = ("rmse", "mae", "r", "r2_pearson", "nse", "slope_obs_on_pred")
"""Scores that say anything of values whose mean is 0 at every place."""

OF_PLACES = ("bias", "rmse", "mae", "r", "r2_pearson", "nse", "slope_obs_on_pred")
"""Scores of single places whose medians are given."""


@dataclass(frozen=True, eq=False)
class StreamScores:
    """Scores of one stream over the held-out places; where there are no pairs every number is NaN, and None in JSON.

    Attributes:
        stream: its name.
        of: "cell" or "patch": what its places are; empty where no patch has labels.
        every: "month", "year" or "static".
        places: ids, (places,): of cells, or of patches.
        count: pairs of each, (places,).
        mean_simulated, mean_observed: over the times of its pairs, (places,); NaN without pairs.
        pooled: of all pairs of all places and times.
        spatial: of the means of places that have pairs, each place once; no pairs for streams that are `CENTRED`.
        temporal: by name, of each place over its times, (places,).
        anomalies: pooled, of the departures of months from each place's mean seasonal cycle; no pairs where times are
            not months.
        anomalies_by_place: by name, (places,).
        interannual: pooled, of the departures of years from each place's mean over its years.
        interannual_by_place: by name, (places,).
    """

    stream: str
    of: str
    every: str
    places: np.ndarray
    count: np.ndarray
    mean_simulated: np.ndarray
    mean_observed: np.ndarray
    pooled: Metrics
    spatial: Metrics
    temporal: Mapping[str, np.ndarray]
    anomalies: Metrics
    anomalies_by_place: Mapping[str, np.ndarray]
    interannual: Metrics
    interannual_by_place: Mapping[str, np.ndarray]

    def to_json(self) -> dict[str, Any]:
        """Return the numbers of all places together; those of single places belong on maps."""
        return {
            "stream": self.stream,
            "of": self.of or None,
            "every": self.every or None,
            "places": int((self.count > 0).sum()),
            "pooled": self.pooled.to_json(),
            "spatial": self.spatial.to_json(),
            "temporal_median": _medians(self.temporal, OF_PLACES),
            "anomalies": _some(self.anomalies),
            "anomalies_median": _medians(self.anomalies_by_place, OF_ANOMALIES),
            "interannual": _some(self.interannual),
            "interannual_median": _medians(self.interannual_by_place, OF_ANOMALIES),
        }


@dataclass(frozen=True, eq=False)
class _PatchSums:
    """Sums of one stream in one patch: of its pairs, of their anomalies by month and by year."""

    of: str
    every: str
    places: np.ndarray
    pairs: PlaceMoments
    anomalies: PlaceMoments
    interannual: PlaceMoments


@dataclass
class HeldOutSums:
    """Sums of the patches that were added, from which scores follow at any time.

    Attributes:
        least_months: months with an anomaly that a year has at least, to count between years.
        patches: by patch and stream.
    """

    least_months: int = YEAR
    patches: dict[int, dict[str, _PatchSums]] = field(default_factory=dict)

    def add(self, patch: int, cells: Sequence[int] | np.ndarray, pairs: Mapping[str, StreamPairs]) -> None:
        """Add a patch, with all its months.

        Args:
            patch: its id.
            cells: ids of its cells, (cells,).
            pairs: of `patch_pairs`.

        Raises:
            InputError: a patch that was added before, or pairs of another number of cells.
        """
        if patch in self.patches:
            raise InputError(f"patch {patch} was added before: its pairs would count twice")
        ids = np.asarray(cells)
        for one in pairs.values():
            if one.places == "cell" and one.simulated.shape[1] != len(ids):
                raise InputError(
                    f"patch {patch}, {one.stream}: pairs of {one.simulated.shape[1]} cells, and {len(ids)} ids of cells"
                )
        self.patches[patch] = {
            name: self._sums(one, ids if one.places == "cell" else np.array([patch])) for name, one in pairs.items()
        }

    def _sums(self, one: StreamPairs, places: np.ndarray) -> _PatchSums:
        x, y = one.simulated, one.observed
        pairs = months = years = PlaceMoments.none(x.shape[1])
        if np.isfinite(y).any():
            pairs = PlaceMoments.of(x, y)
            if one.every == "month":
                x, y = monthly_anomalies(x, y)
                months = PlaceMoments.of(x, y)
            if one.every != "static":
                years = PlaceMoments.of(*yearly_anomalies(x, y, one.every, self.least_months))
        return _PatchSums(one.places, one.every, places, pairs, months, years)

    def joined(self, other: HeldOutSums) -> HeldOutSums:
        """Return the sums of the patches of both.

        Raises:
            InputError: a patch that both have, or other `least_months`.
        """
        twice = sorted(self.patches.keys() & other.patches.keys())
        if twice or self.least_months != other.least_months:
            why = f"both have patch {twice[0]}" if twice else "years need other numbers of months"
            raise InputError(f"sums of two parts cannot be joined: {why}")
        return HeldOutSums(self.least_months, {**self.patches, **other.patches})

    def scores(self) -> dict[str, StreamScores]:
        """Return the scores of every stream, whatever the order in which the patches came."""
        return {stream: self._scores(stream) for stream in COMPARED}

    def _scores(self, stream: str) -> StreamScores:
        parts = [self.patches[patch][stream] for patch in sorted(self.patches) if stream in self.patches[patch]]
        if not parts:
            none = PlaceMoments.none(0)
            parts = [_PatchSums("", "", np.empty(0, int), none, none, none)]
        pairs, anomalies, interannual = (
            PlaceMoments.beside([getattr(part, kind) for part in parts])
            for kind in ("pairs", "anomalies", "interannual")
        )
        every, seen = parts[0].every, pairs.count > 0
        means = [np.where(seen, mean, np.nan) for mean in (pairs.mean_x, pairs.mean_y)]
        return StreamScores(
            stream=stream,
            of=parts[0].of,
            every=every,
            places=np.concatenate([part.places for part in parts]),
            count=pairs.count.astype(int),
            mean_simulated=means[0],
            mean_observed=means[1],
            pooled=pairs.metrics(),
            spatial=NO_PAIRS if stream in CENTRED else metrics(*means),
            temporal=pairs.by_place(LEAST_MONTHS if every == "month" else LEAST_YEARS),
            anomalies=anomalies.metrics(has_zero=False),
            anomalies_by_place=anomalies.by_place(LEAST_MONTHS, has_zero=False),
            interannual=interannual.metrics(has_zero=False),
            interannual_by_place=interannual.by_place(LEAST_YEARS, has_zero=False),
        )


def member_scores(
    members: Sequence[Mapping[str, StreamScores]], stream: str, score: str = "r2_pearson"
) -> tuple[np.ndarray, np.ndarray]:
    """Return a score of every member of an ensemble: what a partition is made of.

    Args:
        members: scores of each, over the same places.
        stream: its name.
        score: a name of `Metrics`.

    Returns:
        Pooled, (members,), and of each place over its times, (members, places).

    Raises:
        InputError: no member, or members that were scored at other places.
    """
    if not members:
        raise InputError(f"{stream}: no member to score")
    several = [member[stream] for member in members]
    if any(not np.array_equal(one.places, several[0].places) for one in several):
        raise InputError(f"{stream}: the members were scored at different places")
    pooled = np.array([getattr(one.pooled, score) for one in several], float)
    return pooled, np.stack([one.temporal[score] for one in several])


def _some(found: Metrics) -> dict[str, float | None]:
    whole = found.to_json()
    return {name: whole[name] for name in ("pairs", *OF_ANOMALIES)}


def _medians(by_place: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, float | None]:
    """Medians over the places that have each score, and how many have enough pairs."""
    known = {name: by_place[name][np.isfinite(by_place[name])] for name in names}
    medians = {name: finite(float(np.median(values))) if len(values) else None for name, values in known.items()}
    return {"places": len(known["rmse"]), **medians}
