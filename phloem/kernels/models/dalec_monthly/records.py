"""Named tuples of the monthly model: inputs, state, constants, weather, outputs, observations and sums of one cell."""

from __future__ import annotations

from typing import Any, NamedTuple

from phloem.kernels.models.dalec_daily.phenology import Pulse
from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS, POOLS

CARBON = tuple(pool.name for pool in POOLS[:-1])
"""Pools of carbon; what burns is counted of each of them."""

MOVED = ("labile", "foliar", "root", "wood", "litter")
"""Pools of which fire kills what it does not burn."""


def record(name: str, fields: tuple[str, ...], text: str) -> Any:
    """Return a NamedTuple class of some fields."""
    made = NamedTuple(name, [(field, Any) for field in fields])  # type: ignore[misc]
    made.__doc__ = text
    return made


Inputs = record(
    "Inputs",
    (*(one.name for one in PARAMETERS), "leaf_excess", "labile_excess"),
    "The 33 parameters in physical units, and L - 1 (yr) of the leaf and labile lifespans.",
)
State = record("State", tuple(pool.name for pool in POOLS), "The seven pools.")


class MonthlyConstants(NamedTuple):
    """What depends on a cell's parameters alone."""

    leaf_area: Any
    efficiency: Any
    wilting_point: Any
    stress_slope: Any
    per_uwue: Any
    radiation_et: Any
    f_auto: Any
    to_foliar: Any
    to_labile: Any
    to_root: Any
    to_wood: Any
    fall: Pulse
    release: Pulse
    sensitivity: Any
    moisture: Any
    litter: Any
    som: Any
    decomposition: Any
    root: Any
    wood: Any
    capacity: Any
    burn_foliar: Any
    burn_ligneous: Any
    burn_litter: Any
    burn_som: Any
    killed: Any
    per_sif: Any
    sif_intercept: Any
    vod_foliar: Any
    vod_wood: Any


class MonthlyWeather(NamedTuple):
    """One month's forcing as the step reads it.

    Attributes:
        conductance, thermal, radiation, co2, daylight, sqrt_vpd, precipitation, warmth, wetness, sin_phase,
            cos_phase: as of the daily model, of the month's means and of its middle.
        burned: share of the area that burns.
        days: length of the month, d.
    """

    conductance: Any
    thermal: Any
    radiation: Any
    co2: Any
    daylight: Any
    sqrt_vpd: Any
    precipitation: Any
    warmth: Any
    wetness: Any
    sin_phase: Any
    cos_phase: Any
    burned: Any
    days: Any


OUTPUTS = (
    *("lai", "gpp", "et", "temperate", "ra", "leaf_production", "labile_production", "root_production"),
    *("wood_production", "leaf_fall_rate", "labile_release_rate", "labile_release", "leaf_litter", "wood_litter"),
    *("root_litter", "rh_litter", "rh_som", "litter_to_som", "runoff"),
    *(f"{name}_combustion" for name in CARBON),
    *(f"{name}_fire_litter" for name in MOVED),
    *("fire_emission", "nee", "nbe"),
    *(pool.name for pool in POOLS),
    *("beta", "sif", "violation", "vod"),
)
"""The 44 outputs of a month, in the order of the public code."""

Outputs = record(
    "Outputs", OUTPUTS, "One month's outputs: LAI at its start, fluxes a day, pools at its end, after fire."
)
