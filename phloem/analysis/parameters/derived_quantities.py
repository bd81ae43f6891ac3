"""Quantities that follow from a parameter set: lifespans, allocation, carbon-use efficiency."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from phloem.kernels.models.dalec_daily.phenology import yearly
from phloem.names import PARAMETERS, PERIOD

DERIVED = {
    "turnover_wood": ("yr-1", "wood turnover"),
    "turnover_root": ("yr-1", "fine-root turnover"),
    "leaf_lifespan": ("yr", "leaf lifespan, 1 / A"),
    "npp_leaf": ("1", "share of NPP to leaves, labile carbon included"),
    "npp_wood": ("1", "share of NPP to wood"),
    "npp_root": ("1", "share of NPP to fine roots"),
}
"""Units and meaning of what `derived` returns."""


def derived(parameters: np.ndarray) -> dict[str, np.ndarray]:
    """Return what modellers compare: turnover a year, leaf lifespan, shares of NPP; each of shape (...).

    Args:
        parameters: the 30 physical values, (..., 30).
    """
    p = {name: np.asarray(parameters, float)[..., row] for row, name in enumerate(PARAMETERS)}
    rest = 1 - p["f_foliar"]
    below = rest * (1 - p["f_labile"])
    turnover = np.asarray(yearly(jnp.asarray(p["leaf_lifespan"] - 1), jnp.asarray(p["leaf_fall_period"])))
    return {
        "turnover_wood": PERIOD * p["turnover_wood"],
        "turnover_root": PERIOD * p["turnover_root"],
        "leaf_lifespan": 1 / turnover,
        "npp_leaf": p["f_foliar"] + rest * p["f_labile"],
        "npp_wood": below * (1 - p["f_root"]),
        "npp_root": below * p["f_root"],
    }
