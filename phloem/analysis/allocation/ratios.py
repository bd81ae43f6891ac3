"""Ratios that share out carbon: what is learned, in which form, and which budgets they close (uflux.md section 7).

Learned are the logit of NPP / GPP over a year, the logit of Ra / (Ra + Rh), logarithms of residence times of
vegetation, litter and soil against NPP, and log ratios of leaves and roots to wood, whose softmax are shares that add
up to one. So NPP + Ra = GPP, Ra + Rh = RECO and cVeg = cLeaf + cWood + cRoot hold whatever is predicted. The printed
ratios (mode `compat`) are GPP / Ra, GPP / NPP, Ra / Rh and NPP / AGB, each by itself, and close nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import expit, logit, softmax

EDGE = 0.005
"""Fractions are learned between this and one minus it; years in which all of GPP is respired stand at the edge."""

LEAST_SHARE = 1e-4
"""Of a pool in vegetation: grass has no wood, and its logarithm no value."""

LEAST_GPP = 10.0
"""gC m-2 yr-1; cells with less are masked (uflux.md section 7)."""


class RatioMode(StrEnum):
    """Which ratios are learned."""

    STRICT = "strict"
    COMPAT = "compat"


@dataclass(frozen=True)
class RatioTarget:
    """One thing that is learned.

    Attributes:
        name: of it.
        parts: quantities of the models behind it; only models that have all count.
        sees_fluxes: whether GPP and Ra of the year are predictors (of stocks they are).
        unit: of the ratio.
    """

    name: str
    parts: tuple[str, ...]
    sees_fluxes: bool
    unit: str = "1"


_SHARES = ("cLeaf", "cWood", "cRoot")

STRICT_TARGETS = (
    RatioTarget("cue", ("npp", "gpp"), False),
    RatioTarget("ra_share", ("ra", "rh"), False),
    RatioTarget("leaf_to_wood", _SHARES, True),
    RatioTarget("root_to_wood", _SHARES, True),
    RatioTarget("vegetation_residence", ("cVeg", "npp"), True, "yr"),
    RatioTarget("litter_residence", ("cLitter", "npp"), True, "yr"),
    RatioTarget("soil_residence", ("cSoil", "npp"), True, "yr"),
)
"""What is learned by default."""

COMPAT_TARGETS = (
    RatioTarget("gpp_to_ra", ("gpp", "ra"), False),
    RatioTarget("gpp_to_npp", ("gpp", "npp"), False),
    RatioTarget("ra_to_rh", ("ra", "rh"), False),
    RatioTarget("npp_to_agb", ("npp", "cLeaf", "cWood"), True, "yr-1"),
    RatioTarget("cLeaf", ("cLeaf",), True, "gC m-2"),
    RatioTarget("cWood", ("cWood",), True, "gC m-2"),
    RatioTarget("cVeg", ("cVeg",), True, "gC m-2"),
    RatioTarget("cLitter", ("cLitter",), True, "gC m-2"),
    RatioTarget("cSoil", ("cSoil",), True, "gC m-2"),
)
"""The printed ratios and specialised models."""


def targets_of(mode: RatioMode) -> tuple[RatioTarget, ...]:
    """Return what is learned in a mode."""
    return STRICT_TARGETS if mode is RatioMode.STRICT else COMPAT_TARGETS


def learned_values(target: RatioTarget, parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return a target in the form in which it is learned, NaN where its parts give none.

    Args:
        target: what is learned.
        parts: its parts, each (...,): gC m-2 yr-1 or gC m-2.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if target.name == "cue":
            return np.where(parts["gpp"] > 0.0, _logit(parts["npp"] / parts["gpp"]), np.nan)
        if target.name == "ra_share":
            reco = parts["ra"] + parts["rh"]
            return np.where(reco > 0.0, _logit(parts["ra"] / reco), np.nan)
        if target.parts == _SHARES:
            total = sum(parts[name] for name in _SHARES)
            pool = parts["cLeaf" if target.name == "leaf_to_wood" else "cRoot"]
            ratio = np.maximum(pool / total, LEAST_SHARE) / np.maximum(parts["cWood"] / total, LEAST_SHARE)
            return np.where(total > 0.0, np.log(ratio), np.nan)
        if target.name.endswith("_residence"):
            stock = parts[target.parts[0]]
            return np.where((stock > 0.0) & (parts["npp"] > 0.0), np.log(stock / parts["npp"]), np.nan)
        if target.name == "npp_to_agb":
            ratio = parts["npp"] / (parts["cLeaf"] + parts["cWood"])
        elif len(target.parts) == 1:
            ratio = parts[target.parts[0]]
        else:
            ratio = parts[target.parts[0]] / parts[target.parts[1]]
        return np.where(np.isfinite(ratio) & (ratio > 0.0), ratio, np.nan)


def _logit(fraction: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(fraction), np.nan, logit(np.clip(fraction, EDGE, 1.0 - EDGE)))


def ratio_of(target: RatioTarget, learned: np.ndarray) -> np.ndarray:
    """Return a learned value as the ratio itself: a fraction, years, or a share to that of wood."""
    if target.name in ("cue", "ra_share"):
        return np.asarray(expit(learned))
    if target in STRICT_TARGETS:
        return np.asarray(np.exp(learned))
    return learned


def allocate_fluxes(
    gpp: np.ndarray, reco: np.ndarray, learned: Mapping[str, np.ndarray], mode: RatioMode
) -> dict[str, np.ndarray]:
    """Share out GPP and RECO of years.

    Args:
        gpp: gC m-2 yr-1, (...,).
        reco: likewise.
        learned: by the names of the mode's targets, (...,).
        mode: which ratios they are.

    Returns:
        npp and ra, of GPP; ra_of_reco and rh, of RECO; ra_mismatch, the second Ra less the first; gC m-2 yr-1. Closed
        in strict mode: npp + ra = gpp, ra_of_reco + rh = reco.
    """
    if mode is RatioMode.STRICT:
        npp = expit(learned["cue"]) * gpp
        ra, ra_of_reco = gpp - npp, expit(learned["ra_share"]) * reco
        rh = reco - ra_of_reco
    else:
        ra, npp = gpp / learned["gpp_to_ra"], gpp / learned["gpp_to_npp"]
        rh = reco / (1.0 + learned["ra_to_rh"])
        ra_of_reco = reco - rh
    return {"npp": npp, "ra": ra, "ra_of_reco": ra_of_reco, "rh": rh, "ra_mismatch": ra_of_reco - ra}


def allocate_stocks(npp: np.ndarray, learned: Mapping[str, np.ndarray], mode: RatioMode) -> dict[str, np.ndarray]:
    """Return stocks from NPP, gC m-2; in strict mode cLeaf + cWood + cRoot = cVeg.

    Args:
        npp: gC m-2 yr-1, (...,).
        learned: by the names of the mode's targets, (...,).
        mode: which ratios they are.
    """
    if mode is RatioMode.COMPAT:
        found = {name: learned[name] for name in ("cLeaf", "cWood", "cVeg", "cLitter", "cSoil")}
        return {**found, "agb": npp / learned["npp_to_agb"]}
    vegetation = np.exp(learned["vegetation_residence"]) * npp
    wood = np.zeros_like(vegetation)
    shares = softmax(np.stack([learned["leaf_to_wood"], wood, learned["root_to_wood"]]), axis=0)
    return {
        "leaf_share": shares[0], "wood_share": shares[1], "root_share": shares[2],
        "cVeg": vegetation, "cLeaf": shares[0] * vegetation, "cWood": shares[1] * vegetation,
        "cRoot": shares[2] * vegetation,
        "cLitter": np.exp(learned["litter_residence"]) * npp, "cSoil": np.exp(learned["soil_residence"]) * npp,
    }  # fmt: skip


def allocate_months(gpp: np.ndarray, reco: np.ndarray, ra_share: np.ndarray) -> dict[str, np.ndarray]:
    """Share out months by the year's share of Ra; NPP is negative where more is respired than assimilated.

    Args:
        gpp: gC m-2 d-1, (months, ...).
        reco: likewise.
        ra_share: Ra / RECO of the year, (...,).
    """
    ra = ra_share * reco
    return {"ra": ra, "npp": gpp - ra, "rh": reco - ra}


def closure_residuals(gpp: np.ndarray, reco: np.ndarray, allocated: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what budgets leave over, (...,): gC m-2 yr-1 and gC m-2."""
    found = {
        "gpp - npp - ra": gpp - allocated["npp"] - allocated["ra"],
        "reco - ra_of_reco - rh": reco - allocated["ra_of_reco"] - allocated["rh"],
    }
    pools = [allocated[name] for name in _SHARES if name in allocated]
    if "cVeg" in allocated and len(pools) == len(_SHARES):
        found["cVeg - cLeaf - cWood - cRoot"] = allocated["cVeg"] - sum(pools)
    return found
