"""Named tuples of the daily DALEC: inputs, state, constants, outputs, observations and sums of one lane's day.

Pools, parameters and outputs with their units: docs/science.md.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from phloem.kernels.models.dalec_daily.phenology import Pulse


class Inputs(NamedTuple):
    """The 30 parameters in physical units, and L - 1 (yr) of the leaf and labile lifespans."""

    decomposition_rate: Any
    f_auto: Any
    f_foliar: Any
    f_root: Any
    leaf_lifespan: Any
    turnover_wood: Any
    turnover_root: Any
    turnover_litter: Any
    turnover_som: Any
    temperature_sensitivity: Any
    canopy_efficiency: Any
    bud_burst_day: Any
    f_labile: Any
    labile_release_period: Any
    leaf_fall_day: Any
    leaf_fall_period: Any
    lcma: Any
    uwue: Any
    paw_drainage_capacity: Any
    field_capacity: Any
    wilting_point_fraction: Any
    combustion_foliar: Any
    combustion_ligneous: Any
    combustion_dom: Any
    fire_resilience: Any
    labile_lifespan: Any
    moisture_sensitivity: Any
    paw_to_puw_fraction: Any
    puw_drainage_capacity: Any
    radiation_et_coefficient: Any
    leaf_excess: Any
    labile_excess: Any


class State(NamedTuple):
    """The eight pools, and what the last additions to wood and SOM lost to rounding (0 unless compensated)."""

    labile: Any
    foliar: Any
    root: Any
    wood: Any
    litter: Any
    som: Any
    paw: Any
    puw: Any
    wood_rest: Any
    som_rest: Any


class Constants(NamedTuple):
    """What depends on a lane's parameters alone."""

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
    paw_capacity: Any
    puw_capacity: Any
    to_puw: Any


class Outputs(NamedTuple):
    """One day's outputs: LAI at its start, fluxes a day, pools at its end (docs/science.md#outputs)."""

    lai: Any
    gpp: Any
    et: Any
    ra: Any
    rh_litter: Any
    rh_som: Any
    nee: Any
    reco: Any
    beta: Any
    temperate: Any
    leaf_production: Any
    labile_production: Any
    root_production: Any
    wood_production: Any
    leaf_fall_rate: Any
    labile_release_rate: Any
    labile_release: Any
    leaf_litter: Any
    wood_litter: Any
    root_litter: Any
    litter_to_som: Any
    runoff_paw: Any
    runoff_puw: Any
    paw_to_puw: Any
    violation: Any
    overflow: Any
    labile: Any
    foliar: Any
    root: Any
    wood: Any
    litter: Any
    som: Any
    paw: Any
    puw: Any


class Observed(NamedTuple):
    """One day's observations (0 where missing) with weights (0 where missing), and the year-end mark."""

    gpp: Any
    reco: Any
    et: Any
    lai: Any
    gpp_weight: Any
    reco_weight: Any
    et_weight: Any
    lai_weight: Any
    year_end: Any


class Sums(NamedTuple):
    """What the site objective needs of a simulation: squared errors, penalties, flux totals, pools at year ends."""

    gpp_error: Any
    reco_error: Any
    et_error: Any
    lai_error: Any
    violation: Any
    overflow: Any
    labile_year_ends: Any
    foliar_year_ends: Any
    root_year_ends: Any
    wood_year_ends: Any
    litter_year_ends: Any
    som_year_ends: Any
    gpp: Any
    labile_release: Any
    leaf_litter: Any
    root_litter: Any
    wood_litter: Any
    rh_litter: Any
    litter_to_som: Any
    rh_som: Any
