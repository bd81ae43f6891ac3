"""Worlds whose drivers are known: smooth maps, a function of some of them, and members that scatter about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from phloem.analysis.attribution.inputs import Predictor, Target
from phloem.analysis.trees.settings import AttributionSettings

THRESHOLD = 0.3
QUICK = AttributionSettings(
    estimator="histogram", n_estimators=50, dependence_predictors=2, bootstrap=2, partition=False, workers=1
)


@dataclass(frozen=True)
class World:
    """Maps at half a degree, flat by cell.

    Attributes:
        latitude, longitude: (cells,).
        predictors: three drivers, three smooth maps and three rough ones that drive nothing.
        truth: (cells,) 6 + 1.5 max(hinge - 0.3, 0) - 0.9 falling + 0.35 bowl^2 and an unexplained smooth part.
        members: (cells, 5) truth and restart noise.
    """

    latitude: np.ndarray
    longitude: np.ndarray
    predictors: list[Predictor]
    truth: np.ndarray
    members: np.ndarray

    def target(self, name: str = "rate") -> Target:
        return Target(name, "yr-1", "a rate", self.members)


def make_world(
    seed: int,
    side: int = 40,
    unexplained: float = 0.0,
    restart: float = 0.25,
    smooth: float = 4.0,
    south: float = 50.25,
) -> World:
    rng = np.random.default_rng(seed)

    def field(width: float) -> np.ndarray:
        # Periodic, so that the edge is as smooth as the middle.
        values = gaussian_filter(rng.normal(size=(side, side)), width, mode="wrap").ravel()
        return np.asarray((values - values.mean()) / (values.std() or 1.0))

    latitude, longitude = (axis.ravel() for axis in np.mgrid[0:side, 0:side] * 0.5)
    known = [("hinge", "climate"), ("falling", "climate"), ("bowl", "soil")]
    values = {name: field(smooth) for name, _ in known}
    other = {f"smooth_{n}": field(smooth) for n in range(3)} | {
        f"rough_{n}": rng.normal(size=side**2) for n in range(3)
    }
    predictors = [Predictor(name, group, "1", name, values[name]) for name, group in known]
    predictors += [Predictor(name, "vegetation", "1", name, map_) for name, map_ in other.items()]
    truth = 6.0 + 1.5 * np.maximum(values["hinge"] - THRESHOLD, 0.0) - 0.9 * values["falling"]
    truth = truth + 0.35 * values["bowl"] ** 2 + unexplained * field(4.0)
    members = truth[:, None] + restart * rng.normal(size=(side**2, 5))
    return World(latitude + south, longitude + 20.25, predictors, truth, members)
