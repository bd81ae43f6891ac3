"""Predictors of the cells of a synthetic Earth: what products say of them, and what is made up beside it.

Canopy height, forest age and soils are made up: each follows climate and plants in part, and has a smooth part of its
own (`OWN`), so that it says something that they do not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from phloem.jobs.synthetic.globe.globe_land import PFTS, Places
from phloem.jobs.synthetic.globe.smooth_fields import smooth_field
from phloem.names import PERIOD

OWN = {"canopy_height": 0.28, "forest_age": 0.55, "sand": 13.0, "clay": 8.0, "gravel": 0.6, "bulk_density": 0.11}
"""Spread of the part that neither climate nor plants explain: of the logarithm of height, age and gravel, in per cent
of sand and clay, in g cm-3."""

HEIGHTS = dict(zip(PFTS, (17, 19, 27, 18, 2.0, 7.0, 0.8, 3.0, 1.2, 0.5), strict=True))
"""Height of the canopy of a type where it grows well, m."""

AGES = dict(zip(PFTS, (105, 75, 140, 85, 35, 40, 12, 40, 8, 15), strict=True))
"""Age of the stands of a type, yr."""


def predictors_of(places: Places, seed: int) -> dict[str, np.ndarray]:
    """Return every one of `names.PREDICTORS` of places, (cells,) each."""

    def own(name: str) -> np.ndarray:
        coarse = smooth_field(seed, f"{name} 1500", 1500, places.latitude, places.longitude)
        fine = smooth_field(seed, f"{name} 350", 350, places.latitude, places.longitude)
        return OWN[name] * np.sqrt(0.5) * (coarse + fine)

    share = dict(zip(PFTS, places.pft / 100, strict=True))
    warm, year = places.temperature.mean(0), PERIOD * places.rain.mean(0)
    wet = np.tanh((np.log(year + 50) - np.log(750)) / 0.9)
    hot = np.tanh((warm - 10) / 14)
    growth = 0.55 + 0.3 * wet + 0.15 * hot
    height = sum(share[name] * HEIGHTS[name] for name in PFTS) * growth * np.exp(own("canopy_height"))
    age = sum(share[name] * AGES[name] for name in PFTS) * np.exp(own("forest_age") - 0.15 * hot)
    clay = np.clip(21 + 8 * hot * (1 + wet) / 2 - 4 * share["WET"] + own("clay"), 2, 60)
    sand = np.clip(46 - 10 * wet + 6 * share["SH"] + own("sand"), 5, 94 - clay)
    gravel = np.clip(7 * np.exp(0.35 * places.elevation / 1500 + own("gravel")), 0.2, 45)
    bulk = np.clip(1.32 + 0.12 * hot - 0.12 * wet - 0.25 * share["WET"] + own("bulk_density"), 0.4, 1.75)
    return {
        **{name: 100 * share[name] for name in PFTS},
        "MAT": warm,
        "MAP": year,
        "elevation": places.elevation,
        "canopy_height": np.clip(height, 0.1, 45),
        "forest_age": np.clip(age, 1, 400),
        "bulk_density": bulk,
        "sand": sand,
        "silt": 100 - sand - clay,
        "clay": clay,
        "gravel": gravel,
    }


def environment(predictors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what traits follow beside types of plants, each between -1 and 1 and smooth in a predictor.

    `warm`, `wet`, `high`: mean temperature, rain, elevation; `tall`, `old`: canopy; `sandy`, `clayey`, `dense`: soil.
    """

    def around(name: str, middle: float, width: float) -> np.ndarray:
        return np.tanh((np.asarray(predictors[name], float) - middle) / width)

    return {
        "warm": around("MAT", 10, 14),
        "wet": np.tanh((np.log(np.asarray(predictors["MAP"], float) + 50) - np.log(750)) / 0.9),
        "high": around("elevation", 600, 900),
        "tall": around("canopy_height", 9, 9),
        "old": around("forest_age", 60, 50),
        "sandy": around("sand", 45, 18),
        "clayey": around("clay", 22, 11),
        "dense": around("bulk_density", 1.3, 0.2),
    }
