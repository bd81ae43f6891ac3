"""Quantities that follow from a parameter set of the daily DALEC, and what a benchmark adds its pools up to."""

from __future__ import annotations

import numpy as np

from phloem.kernels.models.dalec_daily.parameters import PARAMETER_NAMES
from phloem.kernels.models.ecological_variables import ECOLOGICAL_VARIABLES, LEADING, ecological_variables
from phloem.model_tables import Derived, Quantity, Stock, Strategy
from phloem.names import PERIOD

CARBON_POOLS = ("labile", "foliar", "root", "wood", "litter", "som")
LIVE_POOLS = CARBON_POOLS[:4]

MG_HA = 0.01
"""Mg ha-1 in a g m-2."""


def derive(parameters: np.ndarray) -> dict[str, np.ndarray]:
    """Return what modellers compare: turnover a year, leaf lifespan, shares of NPP; each of shape (...).

    Args:
        parameters: the physical values, (..., 30).
    """
    import jax.numpy as jnp

    from phloem.kernels.models.dalec_daily.phenology import yearly

    p = {name: np.asarray(parameters, float)[..., row] for row, name in enumerate(PARAMETER_NAMES)}
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


DERIVED = Derived(
    quantities=(
        Quantity("turnover_wood", "yr-1", "wood turnover"),
        Quantity("turnover_root", "yr-1", "fine-root turnover"),
        Quantity("leaf_lifespan", "yr", "leaf lifespan, 1 / A"),
        Quantity("npp_leaf", "1", "share of NPP to leaves, labile carbon included"),
        Quantity("npp_wood", "1", "share of NPP to wood"),
        Quantity("npp_root", "1", "share of NPP to fine roots"),
    ),
    compute=derive,
    reads=("f_foliar", "f_labile", "f_root", "leaf_lifespan", "leaf_fall_period", "turnover_wood", "turnover_root"),
)

ATTRIBUTED = ("leaf_lifespan", "turnover_wood", "turnover_root", "npp_leaf", "npp_wood", "npp_root")
"""Derived quantities that are attributed where nobody names others (docs/attribution.md)."""


def strategies(parameters: np.ndarray) -> dict[str, np.ndarray]:
    """Return the 13 ecological variables of parameter sets, each of shape (...).

    Args:
        parameters: the physical values, (..., 30).
    """
    values = np.asarray(parameters, float)
    return ecological_variables({name: values[..., column] for column, name in enumerate(PARAMETER_NAMES)})


STRATEGY = Strategy(ECOLOGICAL_VARIABLES, strategies, leading=LEADING)

STOCKS = (
    Stock("biomass", "Mg ha-1", "live biomass, carbon: labile, foliar, fine roots and wood", LIVE_POOLS, MG_HA),
    Stock("agb", "Mg ha-1", "carbon of wood and leaves", ("foliar", "wood"), MG_HA),
    *(Stock(pool, "g m-2", f"{pool}, carbon", (pool,)) for pool in CARBON_POOLS),
)
