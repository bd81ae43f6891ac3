"""Choice of the cells that a target is modelled on: values, weights, and reasons why others are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phloem.io.merge.at_bounds import without_bounds
from phloem.io.merge.member_statistics import LEAST_MEMBERS, circular_median_and_rcv, median_and_rcv

if TYPE_CHECKING:
    from phloem.analysis.attribution.inputs import Predictor, Target
    from phloem.analysis.trees.settings import AttributionSettings

CELLS_PER_FOLD = 5
"""Fewer cells than this for each fold are not modelled."""


@dataclass(frozen=True)
class ChosenCells:
    """The cells of one target.

    Attributes:
        used: (n,) indices of the cells that are modelled.
        values: (n,) medians of the members, on the scale of the model.
        members: (n, members) on the scale of the model, NaN for lanes without a result.
        weights: (n,) above 0.
        unconverged, without_predictors, without_result: how many cells are left out, each counted once: no result
            comes before a missing predictor, that before members that disagree.
        refused: why there can be no model; empty where there can.
    """

    used: np.ndarray
    values: np.ndarray
    members: np.ndarray
    weights: np.ndarray
    unconverged: int
    without_predictors: int
    without_result: int
    refused: str


def unroll(members: np.ndarray, period: float) -> np.ndarray:
    """Return days of the year (cells, members) counted around their circular mean, so that the year has no seam.

    The mean is that of the cells' circular medians where these have three members, and else of all members; it lies in
    [0, period), and the days within half a period of it.
    """
    middle, _ = circular_median_and_rcv(members, np.isfinite(members), period)
    middle = middle[np.isfinite(middle)]
    if not middle.size:
        middle = members[np.isfinite(members)]
    turn = np.exp(2j * np.pi * middle / period).mean() if middle.size else 1.0 + 0j
    centre = np.mod(np.angle(turn) * period / (2.0 * np.pi), period)
    return np.asarray(centre + np.mod(members - centre + 0.5 * period, period) - 0.5 * period)


def choose_cells(target: Target, predictors: list[Predictor], settings: AttributionSettings) -> ChosenCells:
    """Choose the cells of a target.

    Args:
        target: every member at all cells.
        predictors: those that are used; a cell without one of them is left out.
        settings: convergence, its limit, the folds and the logarithm.
    """
    members = np.where(np.isfinite(target.members), target.members, np.nan)
    if not predictors:
        nothing = np.empty(0)
        words = "no predictor can be used: all are constant or missing everywhere"
        least = CELLS_PER_FOLD * settings.folds
        if len(members) < least:
            count = "1 cell" if len(members) == 1 else f"{len(members)} cells"
            words = f"{count}, and {least} are needed, {CELLS_PER_FOLD} for each of {settings.folds} folds"
        without = int((~np.isfinite(members).any(axis=1)).sum())
        return ChosenCells(
            np.empty(0, np.int64), nothing, members[:0], nothing, 0, len(members) - without, without, words
        )
    has_result = np.isfinite(members).any(axis=1)
    if target.period:
        members = unroll(members, target.period)
    median, rcv = _agreement(target, members, settings)
    missing = ~np.isfinite(np.stack([predictor.values for predictor in predictors], axis=1))
    complete = has_result & ~missing.any(axis=1)
    weights = _weights(rcv, settings)
    used = np.flatnonzero(complete & (weights > 0.0))
    counts = (
        int((complete & (weights <= 0.0)).sum()),
        int((has_result & missing.any(axis=1)).sum()),
        int((~has_result).sum()),
    )
    least = CELLS_PER_FOLD * settings.folds
    refused = ""
    if used.size < least:
        short = int((np.isfinite(members[complete]).sum(axis=1) < LEAST_MEMBERS).sum())
        lacking = missing[has_result].sum(axis=0)
        worst = f"most often {predictors[int(lacking.argmax())].name}, {int(lacking.max())}" if counts[1] else ""
        refused = _too_few(used.size, len(members), counts, least, short, worst, settings)
    elif target.name in settings.log and np.nanmin(members[used]) <= 0.0:
        refused = (
            f"{int((members[used] <= 0.0).any(axis=1).sum())} of the {used.size} cells have values that are not above "
            "0, and the logarithm was asked for: leave it out of `log`"
        )
    elif np.ptp(median[used]) <= 1e-12 * np.abs(median[used]).max():
        refused = f"the same value, {median[used[0]]:.6g}, at all {used.size} cells: there is nothing to explain"
    values, members = median[used], members[used]
    if target.name in settings.log and not refused:
        values, members = np.log(values), np.log(members)
    return ChosenCells(used, values, members, weights[used], *counts, refused)


def _agreement(target: Target, members: np.ndarray, settings: AttributionSettings) -> tuple[np.ndarray, np.ndarray]:
    """Median and rCV of each cell; NaN where there are fewer than three members, unless all cells are taken.

    Members that stand at a bound have not agreed: where most do, there is no rCV.
    """
    median, rcv = median_and_rcv(members, np.isfinite(members))
    if target.period:
        _, rcv = circular_median_and_rcv(target.members, np.isfinite(members), target.period)
    if settings.convergence == "none":
        median = np.full(len(members), np.nan)
        some = np.isfinite(members).any(axis=1)
        median[some] = np.nanmedian(members[some], axis=1)
    elif target.bounds is not None:
        rcv = without_bounds(rcv, target.members, target.bounds)
    return median, rcv


def _weights(rcv: np.ndarray, settings: AttributionSettings) -> np.ndarray:
    """Weight of each cell: 0 or 1, or Tukey's biweight of rCV / limit."""
    if settings.convergence == "none":
        return np.ones(rcv.size)
    part = np.where(np.isfinite(rcv), rcv, np.inf) / settings.rcv_limit
    if settings.convergence == "mask":
        return np.where(part <= 1.0, 1.0, 0.0)
    return np.square(1.0 - np.square(np.minimum(part, 1.0)))


def _too_few(
    used: int,
    cells: int,
    counts: tuple[int, int, int],
    least: int,
    short: int,
    worst: str,
    settings: AttributionSettings,
) -> str:
    unconverged, without_predictors, without_result = counts
    reasons = []
    if unconverged:
        words = (
            f"{unconverged} without agreement of their members (rCV above {settings.rcv_limit:g}, or most at a bound"
        )
        reasons.append(words + (f", or fewer than {LEAST_MEMBERS} members: {short} of them)" if short else ")"))
    if without_predictors:
        reasons.append(f"{without_predictors} without some predictor ({worst})")
    if without_result:
        reasons.append(f"{without_result} without a result")
    helps = []
    if unconverged:
        helps.append('more members or iterations, a higher rcv_limit or convergence = "none"')
    if without_predictors:
        helps.append("to leave out the predictor that is missing most")
    if without_result:
        helps.append("`phloem retry`")
    if not helps:
        helps.append("a campaign of more cells or fewer folds")
    kept = f"{used} of {cells} cells can be used" if cells > 1 else ("one cell" if used else "one cell, not usable")
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return (
        f"{kept}{why}, and {least} are needed, {CELLS_PER_FOLD} for each of {settings.folds} folds. "
        f"What would help: {', '.join(helps)}"
    )
