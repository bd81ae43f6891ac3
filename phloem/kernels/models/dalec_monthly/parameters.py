"""The quantities of the monthly model, with units, bounds and sources: 31 parameters, two days, seven pools."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from phloem.kernels.models.dalec_daily.parameters import PARAMETERS as DAILY
from phloem.kernels.models.dalec_daily.parameters import POOLS as DAILY_POOLS
from phloem.model_tables import Parameter

_GLOBAL = "DifferLand Global, monthly model 993"
_DAILY = {one.name: one for one in (*DAILY, *DAILY_POOLS)}
_FIRE = ("combustion_foliar", "combustion_ligneous", "combustion_dom", "fire_resilience")


def _as_daily(name: str) -> Parameter:
    """A quantity of the daily model; what burns is read here."""
    one = _DAILY[name]
    return Parameter(one.name, one.symbol, one.unit, one.lower, one.upper, one.meaning, one.source, period=one.period)


PARAMETERS: tuple[Parameter, ...] = (
    *map(
        _as_daily,
        (
            "decomposition_rate", "f_auto", "f_foliar", "f_root", "leaf_lifespan", "turnover_wood", "turnover_root",
            "turnover_litter", "turnover_som", "temperature_sensitivity", "canopy_efficiency", "f_labile",
            "labile_release_period", "leaf_fall_period", "lcma",
        ),
    ),
    Parameter("iwue", "IWUE", "1", 10.0, 50.0, "inherent water-use efficiency", _GLOBAL, read=False),
    Parameter("drainage_capacity", "Q", "mm", 1.0, 100_000.0, "focal point of the runoff", _GLOBAL),
    _as_daily("field_capacity"),
    *map(_as_daily, _FIRE),
    *map(_as_daily, ("labile_lifespan", "moisture_sensitivity", "uwue", "radiation_et_coefficient")),
    _as_daily("wilting_point_fraction"),
    Parameter("sif_slope", "sif_a", "g m-2 d-1", 3.0, 35.0, "GPP a unit of fluorescence", _GLOBAL),
    Parameter("sif_intercept_plus_3", "sif_b + 3", "g m-2 d-1", 1.0, 9.0, "GPP without fluorescence, plus 3", _GLOBAL),
    Parameter("vod_foliar", "p_fol", "m2 g-1", 1e-4, 0.01, "optical depth of foliar carbon", _GLOBAL),
    Parameter("vod_wood", "p_woo", "m2 g-1", 1e-6, 8e-5, "optical depth of wood carbon", _GLOBAL),
    *map(_as_daily, ("bud_burst_day", "leaf_fall_day")),
)  # fmt: skip
"""33 parameters, in the order in which a network gives them: 31, then the two days of phenology."""

POOLS: tuple[Parameter, ...] = (
    *map(_as_daily, ("labile", "foliar", "root", "wood", "litter", "som")),
    Parameter("water", "W", "mm", 1.0, 10_000.0, "water in the soil", _GLOBAL),
)
"""The 7 pools; the bounds hold for the initial value and for the running state."""

UNKNOWNS: tuple[Parameter, ...] = PARAMETERS + POOLS
"""All 40 quantities of a cell."""

PHENOLOGY = 2
"""So many of the parameters, the last, are days of the year."""


def as_published() -> tuple[Parameter, ...]:
    """Return the 40 quantities with the bounds that the public code's arithmetic gives them: of single precision.

    There bounds and their ratio are rounded to float32 each; `upper` here is lower x that ratio.
    """
    made = []
    for one in UNKNOWNS:
        lower, upper = np.float32(one.lower), np.float32(one.upper)
        made.append(replace(one, lower=float(lower), upper=float(lower) * float(upper / lower)))
    return tuple(made)
