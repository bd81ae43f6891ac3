"""What the models of an upscaling follow: shares of variables by SHAP, or by permutation where they are no trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phloem.analysis.flux_drivers.flux_importance import importance_of, variable_of
from phloem.analysis.flux_drivers.member_effects import EXPLAINS, GROUPS, MemberEffects, member_effects
from phloem.analysis.flux_drivers.permuted_predictors import network_rises, permutation_importance
from phloem.analysis.flux_maps.fitted_upscaling import FittedUpscaling
from phloem.errors import InputError, did_you_mean, some
from phloem.jobs.config.upscaling_attribution_file import DriversSection
from phloem.jobs.upscaling.fit_units import TowerData

SHAP, PERMUTATION = "shap", "permutation"

METHODS = {
    SHAP: "share of the sum of mean |SHAP value|",
    PERMUTATION: "share of the rise of the error where a predictor's values are dealt out anew",
}
"""What a share is."""


@dataclass(frozen=True, eq=False)
class ExplainedFlux:
    """What the models of one flux follow.

    Attributes:
        flux: name.
        method: of `METHODS`.
        members: that were explained.
        rows: months at which they were.
        ways: by way, what `FluxImportance.to_json` has, and `explains`.
        effects: SHAP values; None for permutation.
    """

    flux: str
    method: str
    members: int
    rows: int
    ways: dict[str, dict[str, Any]]
    effects: MemberEffects | None = field(default=None)

    def to_json(self) -> dict[str, Any]:
        """Return one entry of the `fluxes` of attribution.json."""
        return {
            "flux": self.flux,
            "method": self.method,
            "share": METHODS[self.method],
            "members": self.members,
            "rows": self.rows,
            "gap": None if self.effects is None else self.effects.gap,
            "ways": self.ways,
        }


def explained_names(choice: DriversSection, valid: Sequence[str]) -> list[str]:
    """Return the fluxes that are explained.

    Raises:
        InputError: one that the campaign has not; the valid ones are named.
    """
    for name in choice.fluxes:
        if name not in valid:
            raise InputError(
                f"attribution.fluxes: {name!r}; the campaign has {', '.join(valid)}.{did_you_mean(name, valid)}"
            )
    return [one for one in valid if not choice.fluxes or one in choice.fluxes]


def explain_fluxes(
    fitted: FittedUpscaling, data: TowerData, choice: DriversSection, fluxes: Sequence[str], tell: Callable[[str], None]
) -> list[ExplainedFlux]:
    """Explain the models that maps are made by.

    Args:
        fitted: of the campaign.
        data: its towers.
        choice: rows, members and seed.
        fluxes: that are explained.
        tell: told of each flux before it is explained.

    Raises:
        InputError: models of other predictors than the towers have by this version.
    """
    known = data.prepared.predictors
    if strange := [name for name in fitted.predictors if name not in known]:
        raise InputError(
            f"models see {some(strange)}, which this version does not make of the towers: they were fitted by another; "
            "plan and run again"
        )
    found = []
    if fitted.networks is not None:
        tell("all fluxes")
        rises = network_rises(data.prepared, fitted.networks, choice.rows, choice.seed)
        count = min(choice.rows, len(data.rows))
        return [_permuted(flux, rises[flux][: choice.members or None], fitted.way, known, count) for flux in fluxes]
    for flux in fluxes:
        tell(flux)
        members = list(fitted.members[flux])[: choice.members or None]
        there = np.flatnonzero(np.isfinite(data.rows.observed[flux]))
        draw = np.random.default_rng(choice.seed)
        rows = np.sort(draw.choice(there, min(choice.rows, len(there)), replace=False))
        effects = member_effects(members, known, data.prepared.table[rows])
        if effects is None:
            rise = np.stack(
                [permutation_importance(data.prepared, [one], fitted.way, choice.rows, choice.seed) for one in members]
            )
            found.append(_permuted(flux, rise, fitted.way, known, len(rows)))
            continue
        ways = {}
        for way, one in effects.by_way.items():
            groups = {group: [name for name in names if name in one.variables] for group, names in GROUPS.items()}
            shares = importance_of(one, {group: names for group, names in groups.items() if names})
            ways[way] = {"explains": EXPLAINS[way], **shares.to_json()}
        found.append(ExplainedFlux(flux, SHAP, len(members), len(rows), ways, effects))
    return found


def _permuted(flux: str, rise: np.ndarray, way: str, predictors: Sequence[str], rows: int) -> ExplainedFlux:
    """Return what models that are no trees follow: shares of the rise of their error, and their spread over members.

    Args:
        flux: name.
        rise: of each member, (members, predictors).
        way: by which they predict.
        predictors: names.
        rows: at which.
    """
    names = [variable_of(name) for name in predictors]
    variables = list(dict.fromkeys(names))
    summed = np.stack([rise[:, [name == one for name in names]].sum(1) for one in variables], axis=1)
    shares = 100 * summed / np.maximum(summed.sum(1, keepdims=True), 1e-12)
    mean, spread = shares.mean(0), shares.std(0)
    order = np.argsort(-mean, kind="stable")
    groups = {
        group: float(mean[[variables.index(name) for name in own]].sum())
        for group, named in GROUPS.items()
        if (own := [name for name in named if name in variables])
    }
    found = {
        "explains": "the flux, by the way that maps are made by",
        "shares": {variables[n]: float(mean[n]) for n in order},
        "spread": {variables[n]: float(spread[n]) for n in order},
        "groups": groups,
        "rows": rows,
    }
    return ExplainedFlux(flux, PERMUTATION, len(rise), rows, {way: found})
