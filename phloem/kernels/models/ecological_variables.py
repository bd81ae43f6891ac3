"""The 13 ecological variables of the DALEC models, daily and monthly, whose components are axes of strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from phloem.model_tables import Quantity

ECOLOGICAL_VARIABLES = (
    Quantity("ce", "1", "canopy efficiency"),
    Quantity("uwue", "g hPa0.5 kg-1", "underlying water-use efficiency"),
    Quantity("q10", "1", "Q10 of decomposition, exp(10 x temperature sensitivity)"),
    Quantity("f_auto", "1", "share of GPP respired by plants"),
    Quantity("k_lit", "d-1", "litter mineralisation"),
    Quantity("lcma", "g m-2", "leaf carbon mass per area"),
    Quantity("leaf_onset_period", "d", "labile release period"),
    Quantity("leaf_fall_period", "d", "leaf-fall period"),
    Quantity("leaf_lifespan", "yr", "leaf lifespan"),
    Quantity("gpp_labile", "1", "share of GPP to labile carbon"),
    Quantity("gpp_foliar", "1", "share of GPP to foliage"),
    Quantity("gpp_wood", "1", "share of GPP to wood"),
    Quantity("gpp_root", "1", "share of GPP to fine roots"),
)

LEADING = ("lcma", "gpp_wood", "ce")
"""Variables that load above 0 on the first components."""

READS = (
    "f_auto", "f_foliar", "f_root", "leaf_lifespan", "turnover_litter", "temperature_sensitivity", "canopy_efficiency",
    "f_labile", "labile_release_period", "leaf_fall_period", "lcma", "uwue",
)  # fmt: skip
"""Parameters that the variables follow from."""


def ecological_variables(p: Mapping[str, Any], exp: Callable[[Any], Any] = np.exp) -> dict[str, Any]:
    """Return the 13 ecological variables of parameter sets.

    GPP goes, in the model's order, to respiration, foliage, labile carbon, roots and wood: what is
    left after each step is shared by the next.

    Args:
        p: physical values by parameter, those of `READS`, arrays of one shape.
        exp: the exponential function of these arrays.
    """
    npp = 1.0 - p["f_auto"]
    rest = npp * (1.0 - p["f_foliar"])
    below = rest * (1.0 - p["f_labile"])
    return {
        "ce": p["canopy_efficiency"],
        "uwue": p["uwue"],
        "q10": exp(10.0 * p["temperature_sensitivity"]),
        "f_auto": p["f_auto"],
        "k_lit": p["turnover_litter"],
        "lcma": p["lcma"],
        "leaf_onset_period": p["labile_release_period"],
        "leaf_fall_period": p["leaf_fall_period"],
        "leaf_lifespan": p["leaf_lifespan"],
        "gpp_labile": rest * p["f_labile"],
        "gpp_foliar": npp * p["f_foliar"],
        "gpp_wood": below * (1.0 - p["f_root"]),
        "gpp_root": below * p["f_root"],
    }
