"""The noise floor: the importance of maps that have nothing to do with the target.

Boruta (Kursa & Rudnicki 2010, doi:10.18637/jss.v036.i11) adds a permuted copy of every predictor. On maps that is too
easy a rival: neighbouring cells are alike, a smooth map tells a tree where it is, and by that alone one without any
bearing on the target gets ten times the share of its permuted copy (docs/attribution.md). So a shadow here keeps the
values of its predictor and how smooth it is, and changes only where they lie: they are laid out, rank by rank, on a
random field with the predictor's correlation length on the sphere. A predictor without spatial structure gets a
permuted copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import norm, rankdata

from phloem.analysis.trees.boosting import Sample, explain, fit, mean_effect, to_shares

if TYPE_CHECKING:
    from phloem.analysis.trees.settings import AttributionSettings

DRAWS = 3
"""Fits with shadows."""

EXPLAINED = 500
"""Cells over which the importance of shadows is averaged."""

_WAVES = 80
_PAIRED = 1000
_LAGS = (0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class Smoothness:
    """Spatial correlation of a predictor.

    Attributes:
        length: of the Gaussian correlation exp(-d^2 / (2 length^2)), as a chord of the unit sphere.
        rough: share of the variance that even the closest cells do not have in common, 0 to 1.
    """

    length: float
    rough: float


def on_sphere(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Return places in degrees as points of the unit sphere, (cells, 3)."""
    phi, lam = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)


def smoothness(x: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> list[Smoothness]:
    """Return correlation length and roughness of predictors, from the correlogram of their normal scores.

    Args:
        x: (cells, predictors).
        points: (cells, 3) on the unit sphere.
        rng: draws the cells whose pairs are looked at, 1,000 at most.
    """
    chosen = rng.choice(len(points), min(len(points), _PAIRED), replace=False)
    apart = pdist(points[chosen])
    edges = np.unique(np.quantile(apart, _LAGS))
    lag = np.clip(np.searchsorted(edges, apart, side="right") - 1, 0, max(edges.size - 2, 0))
    count = np.maximum(np.bincount(lag), 1)
    middle = np.bincount(lag, apart) / count
    smoothnesses = []
    for column in x[chosen].T:
        scores = norm.ppf((rankdata(column) - 0.5) / column.size)
        scores = scores / (scores.std() or 1.0)
        alike = 1.0 - np.bincount(lag, 0.5 * pdist(scores[:, None], "sqeuclidean")) / count
        smoothnesses.append(_gaussian(middle, alike))
    return smoothnesses


def _gaussian(apart: np.ndarray, alike: np.ndarray) -> Smoothness:
    """The Gaussian correlation that falls to half of its first value where a correlogram does."""
    first = float(np.clip(alike[0], 0.0, 1.0))
    below = np.flatnonzero(alike < 0.5 * first)
    if first == 0.0 or below.size == 0:
        return Smoothness(float(apart[-1]), 1.0 - first)
    end = int(below[0])
    gap = alike[end - 1] - alike[end]
    part = (alike[end - 1] - 0.5 * first) / gap if gap > 0 else 0.0
    half = apart[end - 1] + part * (apart[end] - apart[end - 1])
    return Smoothness(max(float(half), 1e-6) / np.sqrt(2.0 * np.log(2.0)), 1.0 - first)


def make_shadows(x: np.ndarray, points: np.ndarray, smooth: list[Smoothness], rng: np.random.Generator) -> np.ndarray:
    """Return the values of each predictor, laid out anew on a random field that is as smooth: (cells, predictors)."""
    shadows = np.empty_like(x)
    for column, kind in enumerate(smooth):
        waves = rng.normal(size=(3, _WAVES)) / kind.length
        field = np.cos(points @ waves + rng.uniform(0.0, 2.0 * np.pi, _WAVES)) @ rng.normal(size=_WAVES)
        field = (field - field.mean()) / (field.std() or 1.0)
        field = np.sqrt(1.0 - kind.rough) * field + np.sqrt(kind.rough) * rng.normal(size=len(x))
        shadows[np.argsort(field, kind="stable"), column] = np.sort(x[:, column])
    return shadows


def noise_floor(
    sample: Sample,
    points: np.ndarray,
    shares: np.ndarray,
    settings: AttributionSettings,
    estimator: str,
    seed: int,
) -> float:
    """Return the largest share of any shadow, as a share of the final model.

    In a fit with shadows twice as many predictors compete, so that one without bearing gets less there than in the
    final model. By how much is seen from the weaker half of the true predictors: the shadows' largest share is
    multiplied by what these have in the final model over what they have in the fits with shadows (at least 1).

    Args:
        sample: the cells of the final model.
        points: (cells, 3) on the unit sphere.
        shares: (predictors,) of the final model, per cent.
        settings: the hyper-parameters.
        estimator: "exact" or "histogram".
        seed: of all chance.

    Returns:
        Per cent; what is not above it is no better than a map that came by chance.
    """
    rng = np.random.default_rng(seed)
    known = sample.x.shape[1]
    smooth = smoothness(sample.x, points, rng)
    chosen = rng.choice(len(points), min(len(points), EXPLAINED), replace=False)
    competing = np.empty((DRAWS, 2 * known))
    for draw in range(DRAWS):
        shadows = make_shadows(sample.x, points, smooth, rng)
        both = Sample(np.hstack([sample.x, shadows]), sample.y, sample.weights)
        phi, _ = explain(fit(both, settings, estimator, seed + draw), both.x[chosen])
        competing[draw] = to_shares(mean_effect(phi, sample.weights[chosen]))
    weak = np.argsort(shares, kind="stable")[: max(1, (known + 1) // 2)]
    diluted = float(competing[:, weak].sum(axis=1).mean())
    scale = max(1.0, float(shares[weak].sum()) / diluted) if diluted > 0 else 1.0
    return scale * float(competing[:, known:].max())
