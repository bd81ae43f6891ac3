"""The true relations of a synthetic Earth: 33 parameters as functions of plants, climate, stands and soil.

A trait is a mean over the types of plants of a cell, by their shares, plus what the environment adds (`TRAITS`); of
rates and sizes it is the logarithm that is mixed, of lifespans the logarithm of what is above a year, of days the day.
So each has a part that plants say and one that climate, stands and soils say, and a network that sees some of them can
find so much and no more. Sizes are near those of the published network (DifferLand Global, Fang et al.) and of the
literature; the signs follow what is known, in the words beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from phloem.jobs.synthetic.globe.globe_land import PFTS
from phloem.jobs.synthetic.globe.globe_predictors import environment
from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS
from phloem.names import PERIOD

Scale = Literal["ln", "ln_excess", "days"]


@dataclass(frozen=True)
class Trait:
    """How a parameter follows plants and environment.

    Attributes:
        types: its value in cells of one type alone, in the order of `PFTS`, physical units.
        effects: what a term of `environment` adds where it is 1, on the scale of the trait: 0.1 is ten per cent of a
            rate, 10 ten days. `a*b` is a product of two terms.
        reason: of the signs.
        scale: on which types are mixed: `ln`; `ln_excess` of what is above 1; `days`.
    """

    types: tuple[float, ...]
    effects: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    scale: Scale = "ln"


def _days(types: tuple[int, ...], effects: Mapping[str, float], reason: str) -> Trait:
    return Trait(tuple(PERIOD + day for day in types), effects, reason, "days")


# In the order of the types: NF DBF EBF MF SH SAV GRA WET CRO NVG.
TRAITS: dict[str, Trait] = {
    "decomposition_rate": Trait(
        (8e-4, 1.2e-3, 1.6e-3, 1e-3, 9e-4, 1.2e-3, 1.4e-3, 6e-4, 1.6e-3, 9e-4),
        {"warm": 0.15, "clayey": 0.25},
        "clay takes up more of the litter",
    ),
    "f_auto": Trait(
        (0.50, 0.48, 0.56, 0.49, 0.45, 0.48, 0.45, 0.46, 0.44, 0.45),
        {"warm": 0.05, "old": 0.05},
        "old and warm stands respire more of what they fix",
    ),
    "f_foliar": Trait(
        (0.14, 0.07, 0.16, 0.10, 0.25, 0.19, 0.21, 0.15, 0.13, 0.21),
        {"warm": -0.15, "tall": 0.08},
        "short summers want leaves at once; light is scarce below tall crowns",
    ),
    "f_root": Trait(
        (0.28, 0.32, 0.27, 0.30, 0.50, 0.50, 0.70, 0.62, 0.60, 0.55),
        {"wet": -0.14, "warm": -0.08, "sandy": 0.06},
        "roots where water or nutrients are scarce",
    ),
    "leaf_lifespan": Trait(
        (3.5, 1.04, 1.8, 1.8, 1.9, 1.25, 1.06, 1.15, 1.03, 1.6),
        {"warm": -0.25, "high": 0.10, "dense": 0.08},
        "longer in the cold, high up and on poor ground",
        "ln_excess",
    ),
    "turnover_wood": Trait(
        (5e-5, 5.5e-5, 6e-5, 5e-5, 2e-4, 1.3e-4, 5e-4, 1.5e-4, 5e-4, 3e-4),
        {"warm": 0.25, "old": -0.25, "tall": -0.08},
        "faster in the warm; old and tall stands are those that last",
    ),
    "turnover_root": Trait(
        (1.6e-3, 2e-3, 2.6e-3, 1.8e-3, 1.6e-3, 2.2e-3, 2.6e-3, 1.8e-3, 4e-3, 2e-3),
        {"warm": 0.35, "dense": -0.08},
        "faster in the warm",
    ),
    "turnover_litter": Trait(
        (1.5e-3, 3e-3, 5e-3, 2.2e-3, 2.5e-3, 3.5e-3, 3.5e-3, 1.5e-3, 5e-3, 3e-3),
        {"warm": 0.40, "wet": 0.15},
        "faster in the warm and wet: the model's own factor is of anomalies alone",
    ),
    "turnover_som": Trait(
        (3.6e-5, 4.5e-5, 7e-5, 4.2e-5, 4.5e-5, 6e-5, 5.5e-5, 2.6e-5, 8e-5, 4.5e-5),
        {"warm": 0.60, "clayey": -0.35, "dense": 0.10},
        "faster in the warm; clay protects",
    ),
    "temperature_sensitivity": Trait(
        (0.047, 0.044, 0.038, 0.046, 0.043, 0.041, 0.044, 0.05, 0.042, 0.043),
        {"warm": -0.20},
        "less in the warm",
    ),
    "canopy_efficiency": Trait(
        (17, 22, 19, 20, 22, 21, 24, 21, 25, 18),
        {"warm": 0.06, "warm*warm": -0.08, "wet": -0.10, "old": -0.10, "sandy": -0.06, "high": -0.05},
        "best between cold and hot; more nitrogen a leaf in the dry; less in old stands and on sand",
    ),
    "f_labile": Trait(
        (0.11, 0.26, 0.10, 0.18, 0.20, 0.25, 0.31, 0.20, 0.30, 0.22),
        {"warm": -0.10, "wet": 0.08},
        "stores where seasons are marked",
    ),
    "labile_release_period": Trait(
        (45, 42, 62, 43, 52, 50, 46, 45, 42, 50), {"warm": 0.18, "wet": 0.06}, "slower springs where it is warm"
    ),
    "leaf_fall_period": Trait(
        (75, 46, 105, 60, 82, 80, 62, 60, 46, 75), {"warm": 0.20, "wet": 0.08}, "no hurry where there is no frost"
    ),
    "lcma": Trait(
        (95, 45, 66, 68, 56, 52, 40, 46, 38, 54),
        {"wet": -0.08, "high": 0.10, "sandy": 0.06},
        "dense leaves in the dry, high and poor",
    ),
    "iwue": Trait((28, 26, 24, 27, 30, 26, 26, 25, 25, 30), {"wet": -0.05}, "not read by the model"),
    "drainage_capacity": Trait(
        (1500, 1500, 2600, 1500, 1200, 1600, 1200, 2200, 1400, 1000),
        {"sandy": -0.40, "clayey": 0.25, "high": -0.15},
        "sand and slopes drain",
    ),
    "field_capacity": Trait(
        (180, 205, 270, 190, 135, 180, 140, 215, 175, 115),
        {"wet": 0.30, "sandy": -0.25, "clayey": 0.15, "tall": 0.12, "dense": -0.08},
        "what soil holds, and how deep water and roots go",
    ),
    "combustion_foliar": Trait(
        (0.55, 0.5, 0.4, 0.5, 0.7, 0.8, 0.85, 0.6, 0.75, 0.7), {"wet": -0.08}, "wet leaves burn less"
    ),
    "combustion_ligneous": Trait(
        (0.25, 0.2, 0.25, 0.22, 0.3, 0.2, 0.3, 0.25, 0.3, 0.3), {"wet": -0.12}, "wet wood burns less"
    ),
    "combustion_dom": Trait(
        (0.035, 0.03, 0.03, 0.03, 0.025, 0.018, 0.018, 0.05, 0.018, 0.02),
        {"wet": -0.2, "warm": -0.15},
        "deep burning in the cold and dry",
    ),
    "fire_resilience": Trait(
        (0.3, 0.35, 0.15, 0.3, 0.5, 0.82, 0.8, 0.5, 0.7, 0.6), {"tall": 0.06}, "tall crowns and savannas survive"
    ),
    "labile_lifespan": Trait(
        (1.3, 1.05, 1.5, 1.12, 1.2, 1.15, 1.08, 1.1, 1.05, 1.2),
        {"warm": 0.15},
        "all of the store leaves it in cold springs",
        "ln_excess",
    ),
    "moisture_sensitivity": Trait(
        (0.10, 0.11, 0.10, 0.10, 0.2, 0.2, 0.22, 0.06, 0.18, 0.25),
        {"wet": -0.25, "sandy": 0.1},
        "in the dry, rain decides",
    ),
    "uwue": Trait(
        (9, 10, 8.5, 9.5, 8, 8, 7.5, 8, 10, 7), {"wet": -0.06, "high": 0.08, "warm": -0.05}, "thrift in the dry"
    ),
    "radiation_et_coefficient": Trait(
        (0.03, 0.034, 0.045, 0.032, 0.02, 0.027, 0.025, 0.04, 0.03, 0.017),
        {"wet": 0.45},
        "there is little to evaporate where it is dry",
    ),
    "wilting_point_fraction": Trait(
        (0.12, 0.12, 0.14, 0.12, 0.06, 0.08, 0.10, 0.15, 0.12, 0.08), {"clayey": 0.3, "wet": 0.1}, "clay holds it back"
    ),
    "sif_slope": Trait(
        (11, 12, 13, 11.5, 12, 12, 10.5, 11, 9.5, 12), {"warm": 0.08, "wet": 0.04}, "more carbon a photon in the warm"
    ),
    "sif_intercept_plus_3": Trait((2.9, 2.8, 2.6, 2.85, 2.9, 2.85, 2.85, 2.85, 2.8, 2.95), {"wet": -0.03}, ""),
    "vod_foliar": Trait((2.5e-3, 3e-3, 3.5e-3, 3e-3, 3e-3, 3e-3, 3.5e-3, 3e-3, 3.5e-3, 2.5e-3), {}, "not compared"),
    "vod_wood": Trait((1.2e-5,) * 10, {"tall": 0.1}, "not compared"),
    "bud_burst_day": _days(
        (126, 116, 95, 119, 115, 125, 112, 128, 108, 120),
        {"warm": -18.0, "high": 7.0, "wet": -3.0},
        "later in the cold; on the southern half half a year away",
    ),
    "leaf_fall_day": _days(
        (285, 279, 290, 282, 282, 298, 283, 275, 262, 284),
        {"warm": 14.0, "high": -5.0, "wet": 3.0},
        "later in the warm; on the southern half half a year away",
    ),
}
"""By the name of the parameter."""


def _to_scale(values: np.ndarray, scale: Scale) -> np.ndarray:
    return values if scale == "days" else np.log(values - 1 if scale == "ln_excess" else values)


def trait_parts(predictors: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what plants and what environment say of each trait, on its scale, (cells,) each; it is their sum.

    The hemisphere, which every network sees, belongs to neither; see `true_parameters`.
    """
    share = np.stack([np.asarray(predictors[one], float) for one in PFTS])
    share = share / share.sum(0)
    terms, parts = environment(predictors), {}
    for name, trait in TRAITS.items():
        added = np.zeros(share.shape[1])
        for text, effect in trait.effects.items():
            added = added + effect * np.prod([terms[one] for one in text.split("*")], axis=0)
        parts[name] = _to_scale(np.asarray(trait.types, float), trait.scale) @ share, added
    return parts


def true_parameters(predictors: Mapping[str, np.ndarray], hemisphere: np.ndarray) -> np.ndarray:
    """Return the 33 parameters of cells, physical units, (33, cells); inside their bounds by the sizes of `TRAITS`.

    Args:
        predictors: all of `names.PREDICTORS`, (cells,).
        hemisphere: 0 in the south, 1 in the north, (cells,).
    """
    rows, parts = [], trait_parts(predictors)
    for one in PARAMETERS:
        plants, added = parts[one.name]
        scale = TRAITS[one.name].scale
        if scale == "days":
            rows.append(plants + added + 0.5 * PERIOD * (1 - hemisphere))
        else:
            rows.append((1.0 if scale == "ln_excess" else 0.0) + np.exp(plants + added))
    return np.stack(rows)


def plant_shares(predictors: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """Return the share of a trait's spread over cells that plants say, by trait: 1 plants alone, 0 environment alone.

    What both say alike, their covariance, is shared evenly, so that a share can leave 0 to 1 a little. None: no spread.
    """
    shares: dict[str, float | None] = {}
    for name, (plants, added) in trait_parts(predictors).items():
        spread = float((plants + added).var())
        both = float(np.cov(plants, added, ddof=0)[0, 1])
        shares[name] = (float(plants.var()) + both) / spread if spread > 0 else None
    return shares
