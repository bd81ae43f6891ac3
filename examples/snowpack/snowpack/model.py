"""The model text: one day of the snow pack in scalars, and what of it is compared with observations."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from phloem.kernels.models.model import Model
from snowpack.tables import PARAMETERS, POOLS

HALF_DRY = 50.0
"""mm of soil water at which evaporation is half of what the air would take."""

DRIEST = 0.1
"""mm that stay in the soil."""


class Rates(NamedTuple):
    """Physical parameters."""

    melt_factor: Any
    drainage_rate: Any
    evaporation_factor: Any


class State(NamedTuple):
    """Pools in mm, and the runoff of the month so far."""

    snow: Any
    soil_water: Any
    month_runoff: Any


class Weather(NamedTuple):
    """One day: rain and snowfall in mm, degrees above 0, and 0 on the first day of a month, else 1."""

    rain: Any
    snowfall: Any
    warmth: Any
    same_month: Any


class Outputs(NamedTuple):
    """One day's streams, and the pools at its end."""

    swe: Any
    runoff: Any
    snow: Any
    soil_water: Any
    month_runoff: Any


class Observed(NamedTuple):
    """One day's observations with their weights; a month's runoff stands on its last day."""

    swe: Any
    swe_weight: Any
    runoff: Any
    runoff_weight: Any
    month_share: Any


class Sums(NamedTuple):
    """Sums of squared errors."""

    swe_error: Any
    runoff_error: Any


def step(s: State, p: Rates, w: Weather) -> tuple[State, Outputs]:
    """Return the next day's pools, and the day's outputs."""
    melt = jnp.minimum(s.snow + w.snowfall, p.melt_factor * w.warmth)
    snow = s.snow + w.snowfall - melt
    runoff = p.drainage_rate * s.soil_water
    evaporation = p.evaporation_factor * w.warmth * s.soil_water / (s.soil_water + HALF_DRY)
    soil_water = jnp.maximum(s.soil_water + w.rain + melt - runoff - evaporation, DRIEST)
    month_runoff = w.same_month * s.month_runoff + runoff
    return State(snow, soil_water, month_runoff), Outputs(snow, runoff, snow, soil_water, month_runoff)


def score(o: Outputs, y: Observed) -> Sums:
    """Return the day's squared errors: of the snow pack, and at the end of a month of its mean runoff."""
    off_runoff = y.month_share * o.month_runoff - y.runoff
    return Sums(y.swe_weight * (o.swe - y.swe) ** 2, y.runoff_weight * off_runoff**2)


SNOWPACK = Model(
    name="snowpack",
    parameters=PARAMETERS,
    pools=POOLS,
    inputs=Rates,
    state=State,
    weather=Weather,
    outputs=Outputs,
    observed=Observed,
    sums=Sums,
    prepare=lambda p: p,
    step=step,
    score=score,
    from_pools=lambda pools: State(pools[0], pools[1], jnp.zeros_like(pools[0])),
)
