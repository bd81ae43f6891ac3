"""The monthly seven-pool DALEC with fire, one water bucket, fluorescence and optical depth, as a model text."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax.numpy as jnp
from jax import lax

from phloem.kernels.models.dalec_daily.daily_step import (
    bounded,
    carbon_constants,
    clipped,
    named_inputs,
    named_inputs_from_logs,
    photosynthesis,
)
from phloem.kernels.models.dalec_daily.phenology import rate
from phloem.kernels.models.dalec_monthly.fire import burn
from phloem.kernels.models.dalec_monthly.mode_switches import MonthlySwitches, switches
from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS, POOLS
from phloem.kernels.models.dalec_monthly.records import Inputs, MonthlyConstants, MonthlyWeather, Outputs, State, record
from phloem.kernels.models.dalec_monthly.water_bucket import month_of_water
from phloem.kernels.models.model import Model

SIF_SHIFT = 3.0
"""What was added to the intercept of fluorescence, gC m-2 d-1, so that its logarithm has bounds."""

SHORTEST = 28
"""Days of the shortest month."""


def inputs(values: Any) -> Any:
    """Return `Inputs` from the 33 physical values, shape (33, ...)."""
    return Inputs(**named_inputs(PARAMETERS, values))


def inputs_from_logs(logs: Any) -> Any:
    """Return `Inputs` from ln of the 33 physical values, shape (33, ...)."""
    return Inputs(**named_inputs_from_logs(PARAMETERS, logs))


def prepare(p: Any) -> MonthlyConstants:
    """Work out what depends on a cell's parameters alone."""
    return MonthlyConstants(
        **carbon_constants(p),
        capacity=p.drainage_capacity,
        burn_foliar=p.combustion_foliar,
        burn_ligneous=p.combustion_ligneous,
        burn_litter=0.5 * (p.combustion_ligneous + p.combustion_foliar),
        burn_som=p.combustion_dom,
        killed=1 - p.fire_resilience,
        per_sif=1 / p.sif_slope,
        sif_intercept=p.sif_intercept_plus_3 - SIF_SHIFT,
        vod_foliar=p.vod_foliar,
        vod_wood=p.vod_wood,
    )


def _lost(k: Any, days: Any, sw: MonthlySwitches) -> Any:
    """Return the share of a pool that a rate a day takes in a month, a day: (1 - (1 - k)^dt) / dt.

    By whole powers: x^28, and once more x for each day that the month is longer.
    """
    if sw.rate_form == "capped":
        k = jnp.minimum(k, 1.0)
    left = 1 - k
    if sw.month_length == "30":
        return (1 - lax.integer_pow(left, 30)) / days
    kept = lax.integer_pow(left, SHORTEST)
    for longer in range(3):
        kept = jnp.where(days > SHORTEST + longer + 0.5, kept * left, kept)
    return (1 - kept) / days


def _lost_slowly(k: Any, days: Any, sw: MonthlySwitches) -> Any:
    """Return the same of a rate near 0, of which 1 - k keeps no digits in single precision: 4 % off at 2e-7 d-1.

    Lost after a + b days is what is lost after a, and of what is left what is lost in b: q + p (1 - q). `compat` has
    the public code's form.
    """
    if sw.month_length == "30":
        return _lost(k, days, sw)
    k = jnp.minimum(k, 1.0) if sw.rate_form == "capped" else k

    def then(q: Any, p: Any) -> Any:
        return q + p * (1 - q)

    four = then(then(k, k), then(k, k))
    eight = then(four, four)
    gone = then(then(then(eight, eight), eight), four)
    for longer in range(3):
        gone = jnp.where(days > SHORTEST + longer + 0.5, then(gone, k), gone)
    return gone / days


def _step(s: Any, c: MonthlyConstants, w: MonthlyWeather, sw: MonthlySwitches) -> tuple[Any, Any]:
    labile_t, foliar_t, root_t, wood_t, litter_t, som_t, _ = POOLS
    days, per_day = w.days, 1 / w.days

    lai = s.foliar * c.leaf_area
    beta, _ = clipped((s.water - c.wilting_point) * c.stress_slope, 0.0, 1.0)
    gpp = photosynthesis(lai, c.efficiency, w) * beta
    et = gpp * (w.sqrt_vpd * c.per_uwue) + c.radiation_et * w.radiation
    temperate = jnp.exp(c.sensitivity * w.warmth) * (w.wetness * c.moisture + 1)

    ra = c.f_auto * gpp
    to_foliar, to_labile, to_root, to_wood = (f * gpp for f in (c.to_foliar, c.to_labile, c.to_root, c.to_wood))
    fall = rate(c.fall, w.sin_phase, w.cos_phase)
    release = rate(c.release, w.sin_phase, w.cos_phase)

    labile_release = s.labile * _lost(release, days, sw)
    labile, excess, _ = bounded(s.labile + (to_labile - labile_release) * days, labile_t)
    labile_release = labile_release + excess * per_day

    leaf_litter = s.foliar * _lost(fall, days, sw)
    new = s.foliar + (to_foliar - leaf_litter + labile_release) * days
    foliar, excess, _ = bounded(new, foliar_t)
    leaf_litter = leaf_litter + excess * per_day
    if sw.foliar_floor == "unit_litter":
        leaf_litter = jnp.where(new < foliar_t.lower, 1.0, leaf_litter)

    root_litter = s.root * _lost(c.root, days, sw)
    root, excess, _ = bounded(s.root + (to_root - root_litter) * days, root_t)
    root_litter = root_litter + excess * per_day

    wood_litter = s.wood * _lost(c.wood, days, sw)
    wood, excess, _ = bounded(s.wood + (to_wood - wood_litter) * days, wood_t)
    wood_litter = wood_litter + excess * per_day

    rh_litter = s.litter * _lost(temperate * c.litter, days, sw)
    litter_to_som = s.litter * _lost(temperate * c.decomposition, days, sw)
    change = leaf_litter + root_litter - rh_litter - litter_to_som
    litter, excess, _ = bounded(s.litter + change * days, litter_t)
    litter_to_som = litter_to_som + excess * per_day
    negative = litter_to_som < 0
    rh_litter = jnp.where(negative, rh_litter + litter_to_som, rh_litter)
    litter_to_som = jnp.where(negative, 0.0, litter_to_som)

    rh_som = s.som * _lost_slowly(temperate * c.som, days, sw)
    som, excess, _ = bounded(s.som + (litter_to_som - rh_som + wood_litter) * days, som_t)
    rh_som = rh_som + excess * per_day

    water, et, runoff, violation = month_of_water(s.water, w.precipitation, et, c.capacity, days, sw.dry_runoff)
    burnt = burn((labile, foliar, root, wood, litter, som), c, w.burned, days, sw.fire_floor == "above")
    emission = sum(burnt.combustion[1:], burnt.combustion[0])
    nee = ra + rh_litter + rh_som - gpp
    outputs = Outputs(
        lai, gpp, et, temperate, ra, to_foliar, to_labile, to_root, to_wood, fall, release, labile_release,
        leaf_litter, wood_litter, root_litter, rh_litter, rh_som, litter_to_som, runoff, *burnt.combustion,
        *burnt.litter, emission, nee, nee + emission, *burnt.pools, water, beta,
        (gpp - c.sif_intercept) * c.per_sif, violation,
        c.vod_foliar * burnt.pools[1] + c.vod_wood * burnt.pools[3],
    )  # fmt: skip
    return State(*burnt.pools, water), outputs


NoObserved = record("NoObserved", ("none",), "No observations: what is compared, and how, is the patch's.")
NoSums = record("NoSums", ("gpp",), "Total GPP, gC m-2 d-1 times months.")


@cache
def monthly_dalec(mode: str | MonthlySwitches = "strict") -> Model:
    """Return the model text of a mode (`strict`, `compat`) or of a set of switches."""
    chosen = switches(mode) if isinstance(mode, str) else mode
    return Model(
        name=f"dalec-monthly-{mode}",
        parameters=PARAMETERS,
        pools=POOLS,
        inputs=Inputs,
        state=State,
        weather=MonthlyWeather,
        outputs=Outputs,
        observed=NoObserved,
        sums=NoSums,
        prepare=prepare,
        step=lambda s, c, w: _step(s, c, w, chosen),
        score=lambda o, y: NoSums(o.gpp),
        from_values=inputs,
        from_logs=inputs_from_logs,
    )
