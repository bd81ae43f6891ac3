"""Scores of an upscaling at what its models had not seen, and how much its intervals hold: DIR/scores.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phloem.analysis.benchmark.skill_scores import finite
from phloem.analysis.flux_maps.fitted_upscaling import SPREAD
from phloem.analysis.flux_skill.conformal import Conformal, calibrate, leave_tower_out_coverage
from phloem.analysis.flux_skill.flux_scores import score_document, score_table
from phloem.errors import InputError, WorkError, some
from phloem.io.campaign.paths import CampaignPaths
from phloem.jobs.upscaling.fit_units import TowerData
from phloem.jobs.upscaling.interval_places import interval_groups, interval_scheme
from phloem.jobs.upscaling.left_out_predictions import LeftOutPredictions
from phloem.jobs.upscaling.table import UpscalingTable
from phloem.jobs.upscaling.tile_fits import BASELINE

HEADLINE = "tower"
"""Scheme that tells of places never seen."""

MEANINGS = {
    "tower": "towers never seen",
    "row": "months of towers that were seen, as published",
    "block": "boxes of degrees never seen",
    "year": "years never seen",
}
"""What each scheme tells."""


def tower_scores(table: UpscalingTable, data: TowerData, found: LeftOutPredictions) -> dict[str, Any]:
    """Return what scores.json holds.

    By way, where several are learned, and by scheme: the scores of each flux, of all ways over `common_rows`, and
    `n_without`, the observed months that are not among these. Beside them `baseline`, the process
    models alone, `coverage` of the intervals by way and flux, and `meaning` of the schemes.
    """
    schemes = found.schemes
    common = {(scheme, flux): common_rows(found, scheme, flux) for scheme in schemes for flux in found.fluxes}
    predicted = {
        way: {
            scheme: {
                flux: np.where(common[scheme, flux], found.mean(scheme, way, flux), np.nan) for flux in found.fluxes
            }
            for scheme in schemes
        }
        for way in found.ways
    }
    baseline = predicted.pop(BASELINE)
    document = score_document(data.rows, predicted)
    document["baseline"] = {scheme: score_table(data.rows, fluxes) for scheme, fluxes in baseline.items()}
    for (of_scheme, flux), rows in common.items():
        without = int((np.isfinite(data.rows.observed[flux]) & ~rows).sum())
        for scores in (document["baseline"], *scores_by_way(document, tuple(predicted)).values()):
            scores[of_scheme][flux]["n_without"] = without
    document["meaning"] = {scheme: MEANINGS[scheme] for scheme in schemes}
    scheme = interval_scheme(table)
    if scheme is not None:
        document["coverage"] = {
            way: {flux: coverage_of(table, data, found, scheme, way, flux) for flux in found.fluxes}
            for way in table.learn
        }
    return document


def common_rows(found: LeftOutPredictions, scheme: str, flux: str) -> np.ndarray:
    """Return the rows that all ways predict, the baseline among them, so that their scores can be compared.

    A way that predicts no row at all has no say, as a baseline of towers without any vegetation.

    Returns:
        bool (rows,).
    """
    known = np.stack([np.isfinite(found.mean(scheme, way, flux)) for way in found.ways])
    return np.asarray(known.any(axis=0) & known[known.any(axis=1)].all(axis=0))


def coverage_of(
    table: UpscalingTable, data: TowerData, found: LeftOutPredictions, scheme: str, way: str, flux: str
) -> dict[str, Any] | None:
    """Return which share of months intervals hold at places that had no part in them; None of too few."""
    members = found.of(scheme, way, flux)
    observed = np.asarray(data.rows.observed[flux])
    mean, spread = found.mean(scheme, way, flux), member_spread(members)
    low, high = member_band(members)
    groups = interval_groups(table, data.rows, data.left_out, scheme)
    try:
        coverage = leave_tower_out_coverage(observed, mean, spread, groups, table.level, band=(low, high))
    except InputError:
        return None
    return {name: finite(value) for name, value in coverage.to_json().items()}


def calibrated(
    table: UpscalingTable, data: TowerData, found: LeftOutPredictions, scheme: str, way: str, flux: str
) -> Conformal:
    """Return the intervals of a flux, from all towers that were left out."""
    spread = member_spread(found.of(scheme, way, flux))
    mean = found.mean(scheme, way, flux)
    groups = interval_groups(table, data.rows, data.left_out, scheme)
    return calibrate(np.asarray(data.rows.observed[flux]), mean, spread, groups, table.level)


def member_spread(members: np.ndarray) -> np.ndarray:
    """Return the standard deviation of members, NaN where any is missing, (rows,)."""
    spread: np.ndarray = members.std(0)
    return spread


def member_band(members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 5th and 95th percentile of members, (rows,) each."""
    low, high = np.quantile(members, SPREAD, axis=0)
    return low, high


def read_scores(root: Path) -> dict[str, Any]:
    """Return the scores of a merged campaign.

    Raises:
        WorkError: they are not there, or not readable.
    """
    path = CampaignPaths(root).scores
    try:
        scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WorkError(f"{path}: not there; make it with: phloem merge {root}") from error
    except (OSError, ValueError) as error:
        raise WorkError(f"{path}: not readable ({error}); make it again with: phloem merge {root}") from error
    return scores


def scores_by_way(scores: Mapping[str, Any], learn: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return the scores of each way, as they are kept apart where several are learned."""
    return {way: scores[way] for way in learn} if len(learn) > 1 else {learn[0]: scores}


def describe_scores(root: Path, table: UpscalingTable) -> list[str]:
    """Return the headline of each scheme and way, line by line."""
    scores, lines = read_scores(root), []
    for scheme in table.cv:
        lines.append(f"{MEANINGS[scheme]} ({scheme}), nse:")
        by_way = {BASELINE: scores[BASELINE], **scores_by_way(scores, table.learn)}
        for way, of_way in by_way.items():
            each = [f"{flux} {_text(of_way[scheme][flux]['nse'])}" for flux in table.fluxes]
            lines.append(f"  {way:9s} {'  '.join(each)}")
        without = {flux: scores[BASELINE][scheme][flux].get("n_without", 0) for flux in table.fluxes}
        if told := "  ".join(f"{flux} {count:,}" for flux, count in without.items() if count):
            lines.append(f"  without months that not all of these predict: {told}")
    coverage = scores.get("coverage", {}).get(table.applied_way)
    if coverage:
        held = "  ".join(
            f"{flux} {'too few towers' if one is None else format(one['share'], '.0%')}"
            for flux, one in coverage.items()
        )
        lines.append(f"{table.level:.0%} intervals hold at {MEANINGS[str(interval_scheme(table))]}: {held}")
    if not CampaignPaths(root).models.exists():
        lines.append(f"no models for maps: {why_no_models(table)}")
    return lines


def why_no_models(table: UpscalingTable) -> str:
    """Return why a merged campaign has no models that can be applied."""
    if interval_scheme(table) is None:
        return f'experiment.cv has {some(table.cv) or "nothing"}, and "tower" or "block" is due for their intervals'
    return (
        "a flux has too few towers for its intervals, or no fit came to its end; a lower experiment.level in DIR/"
        "campaign.toml and `phloem merge DIR`, or `phloem status DIR`"
    )


def _text(value: float | None) -> str:
    return "  -  " if value is None else f"{value:5.2f}"
