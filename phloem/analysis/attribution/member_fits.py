"""The final model of a target and the models of its single members, explained; and bands over members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phloem.analysis.attribution.choose_cells import ChosenCells
from phloem.analysis.trees import boosting
from phloem.analysis.trees.boosting import Sample

if TYPE_CHECKING:
    from phloem.analysis.trees.settings import AttributionSettings

MEMBER_CELLS = 1000
"""Cells over which the fits to single members are explained, at most."""


@dataclass(frozen=True)
class Fits:
    """The final model and the models of single members, explained.

    Attributes:
        cells: (n,) which of the sample's cells the final model is explained at.
        phi: (n, predictors).
        expected: of the final model.
        shares: (predictors,) per cent.
        near: (m,) which of `cells` the members' models are explained at.
        member_phi: (members, m, predictors); no member where fewer than two could be fitted.
        member_shares: (members, predictors), per cent.
    """

    cells: np.ndarray
    phi: np.ndarray
    expected: float
    shares: np.ndarray
    near: np.ndarray
    member_phi: np.ndarray
    member_shares: np.ndarray


def fit_all(sample: Sample, cells: ChosenCells, settings: AttributionSettings, estimator: str, seed: int) -> Fits:
    """Fit and explain the final model, and one model for each member that has results in half of the cells."""
    rng = np.random.default_rng(seed)
    model = boosting.fit(sample, settings, estimator, seed)
    background = None
    if settings.shap == "interventional":
        background = sample.x[rng.choice(sample.y.size, min(sample.y.size, boosting.BACKGROUND), replace=False)]
    chosen = draw_evenly(sample.y.size, settings.explained_cells, rng)
    phi, expected = boosting.explain(model, sample.x[chosen], background)
    shares = boosting.to_shares(boosting.mean_effect(phi, sample.weights[chosen]))
    near = draw_evenly(chosen.size, MEMBER_CELLS, rng)
    member_phi = []
    for number, values in enumerate(cells.members.T):
        there = np.flatnonzero(np.isfinite(values))
        if 2 * there.size < sample.y.size or np.ptp(values[there]) == 0.0:
            continue
        member = Sample(sample.x[there], values[there], sample.weights[there])
        other = boosting.fit(member, settings, estimator, seed + 1 + number)
        member_phi.append(boosting.explain(other, sample.x[chosen[near]], background)[0])
    if len(member_phi) < 2:
        member_phi = []
    every = np.reshape(member_phi, (len(member_phi), near.size, len(shares)))
    weights = sample.weights[chosen[near]]
    member_shares = np.reshape(
        [boosting.to_shares(boosting.mean_effect(one, weights)) for one in every], (len(every), len(shares))
    )
    return Fits(chosen, phi, expected, shares, near, every, member_shares)


def draw_evenly(cells: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return all cells, or an even draw of so many of them, in order."""
    return np.arange(cells) if cells <= most else np.sort(rng.choice(cells, most, replace=False))


def member_band(value: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the range over the members around the final model's value.

    A fit to one member carries restart noise that the median of all has not: it gives noise a larger and drivers a
    smaller share, by itself. So the members' values are shifted by what their mean is off the final model's value; how
    far they are apart is kept.

    Args:
        value: (...) of the final model.
        members: (members, ...) of the fits to single members.

    Returns:
        Lowest and highest (...), with the value itself between them; None where there are no members.
    """
    if not len(members):
        return None
    moved = members - members.mean(axis=0) + value
    return np.minimum(moved.min(axis=0), value), np.maximum(moved.max(axis=0), value)
