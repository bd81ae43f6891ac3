"""Scores and coverage of an upscaling as flat rows: of all months, and of classes, seasons, climates and towers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from phloem.analysis.flux_skill.conformal import Coverage
from phloem.analysis.flux_skill.flux_scores import NAMES, climates, plant_classes, seasons
from phloem.analysis.upscaling.flux_rows import FluxRows

ScoresByWay = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]
"""Scores by way, scheme and flux, as scores.json has them."""

BREAKDOWNS = {
    "by_class": "class", "by_season": "season", "by_climate": "climate", "by_tower": "tower", "parts": "part",
}  # fmt: skip
"""Breakdowns of scores.json, and what their rows are called."""

ALL = "all"
"""Group of all months."""


def score_rows(scores: ScoresByWay, ways: Sequence[str], schemes: Sequence[str], fluxes: Sequence[str]) -> list[Any]:
    """Return the scores of all months: `scheme`, `way`, `flux`, and the metrics of `flux_scores.NAMES`."""
    return [
        {"scheme": scheme, "way": way, "flux": flux, **{name: scores[way][scheme][flux].get(name) for name in NAMES}}
        for scheme in schemes
        for flux in fluxes
        for way in ways
    ]


def group_rows(scores: ScoresByWay, ways: Sequence[str], schemes: Sequence[str], fluxes: Sequence[str]) -> list[Any]:
    """Return the scores of groups: `by` and `group` beside the columns of `score_rows`; groups of few have n alone."""
    return [
        {"by": by, "group": group, "scheme": scheme, "way": way, "flux": flux,
         **{name: found.get(name) for name in NAMES}}
        for scheme in schemes
        for flux in fluxes
        for way in ways
        for key, by in BREAKDOWNS.items()
        for group, found in scores[way][scheme][flux][key].items()
    ]  # fmt: skip


def coverage_rows(flux: str, coverage: Coverage, in_band: np.ndarray, rows: FluxRows) -> list[dict[str, Any]]:
    """Return the shares of months that intervals and the ensemble's band held, of all months and of groups.

    Args:
        flux: name.
        coverage: at towers that had no part in the intervals.
        in_band: whether the band of the members held each row, (rows,).
        rows: months of towers.
    """
    known = np.isfinite(coverage.held)
    groups = {
        ALL: np.full(len(rows), ALL),
        "class": plant_classes(rows.columns, len(rows)),
        "season": seasons(rows.columns, rows.month),
        "climate": climates(rows.columns, len(rows)),
        "tower": np.asarray(rows.sites)[rows.site],
    }
    found = []
    for by, group in groups.items():
        for name in np.unique(group[known]):
            here = known & (group == name)
            found.append(
                {
                    "flux": flux,
                    "by": by,
                    "group": str(name),
                    "n": int(here.sum()),
                    "towers": len(np.unique(rows.site[here])),
                    "share": float(coverage.held[here].mean()),
                    "ensemble_share": float(in_band[here].mean()),
                }
            )
    return found
