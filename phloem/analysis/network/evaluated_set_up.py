"""Scores of one set-up's networks, reduced to what files keep: all scores of each, and r2 place by place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phloem.analysis.benchmark.skill_scores import finite
from phloem.analysis.network.held_out_scores import OF_PLACES, StreamScores
from phloem.analysis.network.tower_scores import TowerScores

LEVELS = (
    "pooled", "spatial", "temporal_median", "anomalies", "anomalies_median", "interannual", "interannual_median",
)  # fmt: skip
"""Of pairs together, of means of places, medians over places, and the same of departures."""

ENSEMBLE = "ensemble"
"""What the mean of all networks is called beside the single ones."""


@dataclass(frozen=True, eq=False)
class EvaluatedSetUp:
    """Scores of a set-up.

    Attributes:
        set_up: its name, as PFT+CLIM.
        scored: what was scored, each by its name: a run, or runs that hold out different parts of one division.
        runs: of each.
        scores: of each, by stream, as `StreamScores.to_json` has them.
        ensemble: of the networks' mean, likewise.
        places: ids of the places of each stream.
        r2: squared correlation of each over time, by stream, (scored, places).
        towers: of the networks' mean, by stream.
        tower_r: spatial correlation of each run's own at all sites and at those held out, by stream, (runs, 2).
    """

    set_up: str
    scored: tuple[str, ...]
    runs: tuple[tuple[int, ...], ...]
    scores: tuple[Mapping[str, Mapping[str, Any]], ...]
    ensemble: Mapping[str, Mapping[str, Any]]
    places: Mapping[str, np.ndarray]
    r2: Mapping[str, np.ndarray]
    towers: Mapping[str, TowerScores] = field(default_factory=dict)
    tower_r: Mapping[str, np.ndarray] = field(default_factory=dict)

    def of_each(self, stream: str, level: str, metric: str) -> list[float | None]:
        """Return a score of each that was scored, None where it is none."""
        return [scores[stream][level].get(metric) for scores in self.scores]

    def to_json(self) -> dict[str, Any]:
        """Return what benchmark.json has of the set-up."""
        streams = {}
        for stream, ensemble in self.ensemble.items():
            levels = {}
            for level in LEVELS:
                metrics = [name for name in ensemble[level] if name not in ("pairs", "places")]
                levels[level] = {name: _spread(self.of_each(stream, level, name)) for name in metrics}
            pooled = {name: self.of_each(stream, "pooled", name) for name in ("r2_pearson", "nse", "mae", "rmse")}
            streams[stream] = {
                "of": ensemble["of"], "every": ensemble["every"], "places": ensemble["places"],
                "pairs": ensemble["pooled"]["pairs"], "members": levels, "pooled_of_each": pooled,
                ENSEMBLE: {level: ensemble[level] for level in LEVELS},
            }  # fmt: skip
        towers = {
            name: {
                **one.to_json(),
                "r_of_each": [[finite(float(value)) for value in row] for row in self.tower_r[name]],
            }
            for name, one in self.towers.items()
        }
        return {
            "set_up": self.set_up,
            "scored": list(self.scored),
            "runs": [list(runs) for runs in self.runs],
            "streams": streams,
            "towers": towers,
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return rows of scores.csv."""
        rows = []
        for name, scores in [*zip(self.scored, self.scores, strict=True), (ENSEMBLE, self.ensemble)]:
            for stream, one in scores.items():
                for level in LEVELS:
                    found = one[level]
                    counts = {"pairs": found.get("pairs"), "places": found.get("places", one["places"])}
                    numbers = {metric: found.get(metric) for metric in OF_PLACES}
                    about = {"set_up": self.set_up, "member": name, "stream": stream, "level": level}
                    rows.append({**about, **counts, **numbers})
        return rows


def evaluated_set_up(
    set_up: str,
    scored: Sequence[str],
    runs: Sequence[Sequence[int]],
    scores: Iterable[Mapping[str, StreamScores]],
    ensemble: Mapping[str, StreamScores],
) -> EvaluatedSetUp:
    """Reduce the scores of a set-up's networks; streams without any pair are left out.

    Args:
        set_up: its name.
        scored: names of what was scored.
        runs: of each.
        scores: of each; taken one after the other, since those of all places of all networks fill a memory.
        ensemble: of the networks' mean.
    """
    streams = [name for name, one in ensemble.items() if one.pooled.pairs]
    documents, same = [], True
    r2: dict[str, list[np.ndarray]] = {name: [] for name in streams}
    for one in scores:
        documents.append({name: one[name].to_json() for name in streams})
        # Of dev and training patches, each run has its own.
        same = same and all(np.array_equal(one[name].places, ensemble[name].places) for name in streams)
        for name in streams:
            r2[name].append(one[name].temporal["r2_pearson"].astype(np.float32))
    return EvaluatedSetUp(
        set_up=set_up,
        scored=tuple(scored),
        runs=tuple(tuple(one) for one in runs),
        scores=tuple(documents),
        ensemble={name: ensemble[name].to_json() for name in streams},
        places={name: ensemble[name].places for name in streams} if same else {},
        r2={name: np.stack(values) for name, values in r2.items()} if same else {},
    )


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean and standard deviation (ddof 1); None where any is missing, or of one alone."""
    if not values or any(value is None for value in values):
        return {"mean": None, "sd": None}
    numbers = np.asarray(values, float)
    return {
        "mean": finite(float(numbers.mean())),
        "sd": finite(float(numbers.std(ddof=1))) if len(numbers) > 1 else None,
    }
