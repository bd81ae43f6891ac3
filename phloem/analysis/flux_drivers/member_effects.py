"""What the fitted members of a flux follow: exact tree SHAP values of what they learned, way by way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phloem.analysis.flux_drivers.flux_importance import VariableEffects, variable_effects
from phloem.analysis.upscaling.boosted_trees import GradientTrees, HistogramTrees
from phloem.analysis.upscaling.member_model import FITTED, MemberModel
from phloem.analysis.upscaling.place_climate import PLACE_COLUMNS

EXPLAINS = {
    "residual": "what the process baseline leaves over",
    "direct": "the flux",
    "blend": "the learned part of the blend: the baseline's share is not in it",
}
"""What the values of a way add up to."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "vegetation": ("NIRv", "NDVI", "FAPAR", "LAI", "fapar", "ndvi", "ndvi_min", "ndvi_max", "fapar_max"),
    "light": ("SWIN", "LWIN", "RNET", "net_radiation"),
    "air temperature": ("TA",),
    "soil temperature": ("TS",),
    "dryness and rain": ("VPD", "VPD_DAY", "P"),
    "air": ("CO2", "PA", "WS", "iwue"),
    "season": ("month_sin", "month_cos"),
    "place and class": ("elevation", "lat", "c4_fraction", "igbp", "koppen"),
    "other months of the place": PLACE_COLUMNS,
    "process baselines": ("baseline_gpp", "baseline_le"),
}
"""Variables that are told together."""


@dataclass(frozen=True, eq=False)
class MemberEffects:
    """SHAP values of the members of a flux.

    Attributes:
        flux: name.
        by_way: of each way, over the same rows and variables.
        columns: single columns among the variables, and their values, (rows,) each.
        gap: largest difference between base + values and what the members predict, the flux's unit.
    """

    flux: str
    by_way: dict[str, VariableEffects]
    columns: dict[str, np.ndarray]
    gap: float


def member_effects(
    members: Sequence[MemberModel], predictors: Sequence[str], table: np.ndarray
) -> MemberEffects | None:
    """Explain the members at some rows; None where they are no trees of their predictors.

    Args:
        members: of one flux, at least one.
        predictors: names of the columns of the table.
        table: predictors of the rows, float32 (rows, predictors), NaN where missing.
    """
    names = [list(one.predictors) for one in members]
    seen = list(dict.fromkeys(name for own in names for name in own))
    x = table[:, [predictors.index(name) for name in seen]]
    by_way: dict[str, VariableEffects] = {}
    gap = 0.0
    for way in FITTED:
        if way not in members[0].trees:
            continue
        models = [one.trees[way] for one in members]
        if not all(isinstance(model, GradientTrees | HistogramTrees) for model in models):
            return None
        found = variable_effects(models, x, names)
        by_way[way] = found
        for number, one in enumerate(members):
            own = one.trees[way].predict(x[:, [seen.index(name) for name in one.predictors]])
            gap = max(gap, float(np.abs(found.expected[number] + found.phi[number].sum(1) - own).max()))
    if "blend" in members[0].ways:
        by_way["blend"] = _blended(by_way, np.array([one.blend for one in members]))
    of_ways = {way: one for way, one in by_way.items() if way in members[0].ways}
    single = {name: x[:, column] for column, name in enumerate(seen) if name in next(iter(by_way.values())).variables}
    return MemberEffects(members[0].flux, of_ways, single, gap)


def _blended(by_way: Mapping[str, VariableEffects], share: np.ndarray) -> VariableEffects:
    residual, direct = by_way["residual"], by_way["direct"]
    weight = share[:, None, None]
    return VariableEffects(
        residual.variables,
        weight * residual.phi + (1 - weight) * direct.phi,
        share * residual.expected + (1 - share) * direct.expected,
    )
