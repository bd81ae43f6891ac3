"""The daily eight-pool DALEC with Jarvis-Stewart water stress, as a model text (docs/science.md#one-day)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, reduce
from operator import add
from typing import Any

import jax.numpy as jnp
from jax import lax

from phloem.kernels.models.dalec_daily.forcing_terms import Weather
from phloem.kernels.models.dalec_daily.mode_switches import Switches, switches
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS
from phloem.kernels.models.dalec_daily.phenology import pulse, rate
from phloem.kernels.models.dalec_daily.records import Constants, Inputs, Observed, Outputs, State, Sums
from phloem.kernels.models.model import Model
from phloem.model_tables import Parameter

# The aggregated canopy model, ACM; source and further constants: forcing_terms.
ACM_THETA = 4.22273  # theta, CO2 compensation point, umol mol-1
ACM_KAPPA = 208.868  # kappa, CO2 half-saturation point, umol mol-1
ACM_C1 = 7.19298  # c1, quantum yield of a closed canopy, gC MJ-1
ACM_C2 = 2.1001  # c2, square of the LAI at which half of that yield is reached, 1

VIOLATION_PER_MM = 0.01
"""Penalty of the loss a mm of water demand that was not met, mm-1 (docs/science.md#water-at-its-bounds)."""

OVERFLOW_PER_GRAM = 0.01
"""Penalty of the loss a gram of carbon that a pool at its ceiling cannot hold, m2 g-1 (strict, ours).

The model gives that carbon away as litter or respiration, as if it had turned over: a stock at its ceiling then feeds
a flux that no parameter explains.
"""


def named_inputs(table: Sequence[Parameter], values: Any) -> dict[str, Any]:
    """Return a model's inputs by name from physical values, shape (parameters, ...); L - 1 by subtraction."""
    named = dict(zip((p.name for p in table), values, strict=True))
    return {**named, "leaf_excess": named["leaf_lifespan"] - 1, "labile_excess": named["labile_lifespan"] - 1}


def named_inputs_from_logs(table: Sequence[Parameter], logs: Any) -> dict[str, Any]:
    """Return the same from ln of the values, shape (parameters, ...); L - 1 by expm1, which keeps its digits."""
    rows = {p.name: row for row, p in enumerate(table)}
    return {
        **dict(zip(rows, jnp.exp(logs), strict=True)),
        "leaf_excess": jnp.expm1(logs[rows["leaf_lifespan"]]),
        "labile_excess": jnp.expm1(logs[rows["labile_lifespan"]]),
    }


def inputs(values: Any) -> Any:
    """Return `Inputs` from the 30 physical values, shape (30, ...)."""
    return Inputs(**named_inputs(PARAMETERS, values))


def inputs_from_logs(logs: Any) -> Any:
    """Return `Inputs` from ln of the 30 physical values, shape (30, ...)."""
    return Inputs(**named_inputs_from_logs(PARAMETERS, logs))


def state(pools: Any) -> State:
    """Return the `State` of eight initial pools, shape (8, ...)."""
    nothing = jnp.zeros_like(pools[0])
    return State._make([*pools, nothing, nothing])


def allocation(p: Any) -> tuple[Any, Any, Any, Any]:
    """Return the fractions of GPP to foliage, labile, roots, wood (docs/science.md#respiration-and-allocation)."""
    npp = 1 - p.f_auto
    rest = npp * (1 - p.f_foliar)
    below = rest * (1 - p.f_labile)
    return npp * p.f_foliar, rest * p.f_labile, below * p.f_root, below * (1 - p.f_root)


def carbon_constants(p: Any) -> dict[str, Any]:
    """Work out what a model of the six carbon pools, of days or months, needs of a lane's parameters alone, by name."""
    foliar, labile, root, wood = allocation(p)
    wilting_point = p.field_capacity * p.wilting_point_fraction
    return {
        "leaf_area": 1 / p.lcma,
        "efficiency": p.canopy_efficiency,
        "wilting_point": wilting_point,
        "stress_slope": 1 / (p.field_capacity - wilting_point),
        "per_uwue": 1 / p.uwue,
        "radiation_et": p.radiation_et_coefficient,
        "f_auto": p.f_auto,
        "to_foliar": foliar,
        "to_labile": labile,
        "to_root": root,
        "to_wood": wood,
        "fall": pulse(p.leaf_excess, p.leaf_fall_period, p.leaf_fall_day),
        "release": pulse(p.labile_excess, p.labile_release_period, p.bud_burst_day),
        "sensitivity": p.temperature_sensitivity,
        "moisture": p.moisture_sensitivity,
        "litter": p.turnover_litter,
        "som": p.turnover_som,
        "decomposition": p.decomposition_rate,
        "root": p.turnover_root,
        "wood": p.turnover_wood,
    }


def prepare(p: Any) -> Constants:
    """Work out what depends on a lane's parameters alone; one scalar (or one array a lane) each."""
    return Constants(
        **carbon_constants(p),
        paw_capacity=p.paw_drainage_capacity,
        puw_capacity=p.puw_drainage_capacity,
        to_puw=p.paw_to_puw_fraction,
    )


def photosynthesis(lai: Any, efficiency: Any, w: Any) -> Any:
    """Return unstressed GPP in gC m-2 d-1 (ACM in its form without cancellation, docs/science.md#photosynthesis).

    Args:
        lai: leaf area index, 1.
        efficiency: canopy efficiency ce, 1.
        w: the day's `Weather`.
    """
    p = lai * efficiency * w.thermal
    b = w.co2 - (ACM_THETA - ACM_KAPPA) + p
    twice = p * (2 * (w.co2 - ACM_THETA))
    drawdown = twice / (b + jnp.sqrt(b * b - 2 * twice))
    diffusive = w.conductance * drawdown
    square = lai * lai
    light = square * (ACM_C1 * w.radiation)
    return light * diffusive / (light + diffusive * (ACM_C2 + square) + 1e-30) * w.daylight


def _overflow(excesses: tuple[Any, ...]) -> Any:
    """Return the cost of what pools at their ceilings could not hold on one day, 1.

    Below a gram a day it grows as the square, so that a walk meets no kink where a ceiling begins to be reached.

    Args:
        excesses: what did not fit into each pool, g m-2 d-1; at a floor it is negative, and costs nothing.
    """
    spilt = reduce(add, (jnp.where(excess > 0, excess, 0.0) for excess in excesses))
    return OVERFLOW_PER_GRAM * spilt * spilt / (spilt + 1)


def _drainage(water: Any, capacity: Any) -> Any:
    """Return the drainage of a bucket in mm d-1, smooth at its knee (docs/science.md#drainage)."""
    return jnp.where(water <= 0.5 * capacity, water * water / capacity, water - 0.25 * capacity)


def clipped(new: Any, lower: float, upper: float) -> tuple[Any, Any]:
    """Return a value kept within bounds, and whether it was within; outside, its derivative is 0.

    Two comparisons and two selections in the forward text became a maximum and a minimum, and one selection backwards,
    which asks for what did not fit: that number is at hand for the balance.
    """
    bound = lax.stop_gradient(jnp.minimum(jnp.maximum(new, lower), upper))
    inside = lax.stop_gradient(new) - bound == 0
    return jnp.where(inside, new, bound), inside


def bounded(new: Any, table: Any) -> tuple[Any, Any, Any]:
    """Return a pool's bounded new value, what did not fit, and whether it was within its bounds.

    What did not fit joins the pool's balancing flux: docs/science.md#floors-and-ceilings.
    """
    kept, inside = clipped(new, table.lower, table.upper)
    return kept, new - kept, inside


def _accumulate(pool: Any, rest: Any, change: Any, compensated: bool) -> tuple[Any, Any]:
    """Add a small change to a large pool; compensated, what rounding lost is carried to the next day."""
    if not compensated:
        return pool + change, rest
    wanted = change + lax.stop_gradient(rest)
    new = pool + wanted
    return new, lax.stop_gradient(wanted - (new - pool))


def _slow(pool: Any, rest: Any, change: Any, table: Any, compensated: bool) -> tuple[Any, Any, Any]:
    """Return a slow pool's new value, its new rest, and what did not fit."""
    new, rest = _accumulate(pool, rest, change, compensated)
    kept, excess, inside = bounded(new, table)
    return kept, jnp.where(inside, rest, 0.0) if compensated else rest, excess


def _water_fluxes(
    new: Any, drainage: Any, excess: Any, supply: Any, et: Any, share: Any, sw: Switches
) -> tuple[Any, Any, Any, Any]:
    """Return PAW's violation, ET, runoff and transfer to PUW (docs/science.md#water-at-its-bounds).

    Args:
        new: PAW before its bounds, mm.
        drainage: its drainage before the balance is closed, mm d-1.
        excess: what did not fit, mm d-1.
        supply: precipitation less ET, mm d-1.
        et: ET before it is cut, mm d-1.
        share: share of the drainage that goes to PUW.
        sw: switches; at a floor or ceiling that is `misbracketed`, the published slip.
    """
    closing = drainage + excess
    if sw.paw_floor == sw.paw_ceiling == "conserve":
        dry = closing < 0
        kept = jnp.where(dry, 0.0, closing)
        transfer = kept * share
        violation = jnp.where(dry, -VIOLATION_PER_MM * closing, 0.0)
        return violation, jnp.where(dry, et + closing, et), kept - transfer, transfer
    low, high = new < POOLS[6].lower, new > POOLS[6].upper
    change = supply - closing
    conserving = closing * (1 - share), closing * share
    slipped = supply - change * (1 - share), supply - change * share
    at_floor = conserving if sw.paw_floor == "conserve" else slipped
    at_ceiling = conserving if sw.paw_ceiling == "conserve" else slipped
    deficit = -closing if sw.paw_floor == "conserve" else -at_floor[0]
    dry = low & (deficit > 0)
    runoff, transfer = (
        jnp.where(dry, 0.0, jnp.where(low, floor, jnp.where(high, ceiling, usual)))
        for floor, ceiling, usual in zip(at_floor, at_ceiling, (drainage * (1 - share), drainage * share), strict=True)
    )
    return jnp.where(dry, VIOLATION_PER_MM * deficit, 0.0), jnp.where(dry, et + closing, et), runoff, transfer


def _decay(temperate: Any, c: Constants, exact: bool) -> tuple[Any, Any, Any]:
    """Return the day's rates κ_l, κ_d and κ_s (docs/science.md#turnover-and-decomposition)."""
    rates = temperate * c.litter, temperate * c.decomposition, temperate * c.som
    if not exact:
        return rates
    litter, decomposition, som = (jnp.where(k > 1, 1.0, k) for k in rates)
    both = litter + decomposition
    share = 1 / jnp.where(both > 1, both, 1.0)
    return litter * share, decomposition * share, som


def _step(s: State, c: Constants, w: Weather, sw: Switches) -> tuple[State, Outputs]:
    exact, compensated = sw.rate_form == "exact", sw.state_dtype == "compensated"
    labile_t, foliar_t, root_t, wood_t, litter_t, som_t, paw_t, puw_t = POOLS

    def lost(k: Any) -> Any:
        return k if exact else 1 - (1 - k)

    lai = s.foliar * c.leaf_area
    beta, _ = clipped((s.paw - c.wilting_point) * c.stress_slope, 0.0, 1.0)
    gpp = photosynthesis(lai, c.efficiency, w) * beta
    et = gpp * (w.sqrt_vpd * c.per_uwue) + c.radiation_et * w.radiation
    temperate = jnp.exp(c.sensitivity * w.warmth) * (w.wetness * c.moisture + 1)

    ra = c.f_auto * gpp
    to_foliar, to_labile, to_root, to_wood = (f * gpp for f in (c.to_foliar, c.to_labile, c.to_root, c.to_wood))
    fall = rate(c.fall, w.sin_phase, w.cos_phase)
    release = rate(c.release, w.sin_phase, w.cos_phase)
    litter_rate, decomposition_rate, som_rate = _decay(temperate, c, exact)
    drainage = _drainage(s.paw, c.paw_capacity)

    labile_release = s.labile * lost(release)
    labile, labile_excess, _ = bounded(s.labile + (to_labile - labile_release), labile_t)
    labile_release = labile_release + labile_excess

    leaf_litter = s.foliar * lost(fall)
    new = s.foliar + (to_foliar - leaf_litter + labile_release)
    foliar, foliar_excess, _ = bounded(new, foliar_t)
    leaf_litter = leaf_litter + foliar_excess
    if sw.foliar_floor == "unit_litter":
        leaf_litter = jnp.where(new < foliar_t.lower, 1.0, leaf_litter)

    root_litter = s.root * lost(c.root)
    root, root_excess, _ = bounded(s.root + (to_root - root_litter), root_t)
    root_litter = root_litter + root_excess

    wood_litter = s.wood * lost(c.wood)
    wood, wood_rest, wood_excess = _slow(s.wood, s.wood_rest, to_wood - wood_litter, wood_t, compensated)
    wood_litter = wood_litter + wood_excess

    rh_litter, litter_to_som = s.litter * lost(litter_rate), s.litter * lost(decomposition_rate)
    change = leaf_litter + root_litter - rh_litter - litter_to_som
    litter, litter_excess, _ = bounded(s.litter + change, litter_t)
    litter_to_som = litter_to_som + litter_excess
    negative = litter_to_som < 0
    rh_litter = jnp.where(negative, rh_litter + litter_to_som, rh_litter)
    litter_to_som = jnp.where(negative, 0.0, litter_to_som)

    rh_som = s.som * lost(som_rate)
    som, som_rest, som_excess = _slow(s.som, s.som_rest, litter_to_som - rh_som + wood_litter, som_t, compensated)
    rh_som = rh_som + som_excess

    supply = w.precipitation - et
    new = s.paw + (supply - drainage)
    paw, excess, _ = bounded(new, paw_t)
    violation, et, runoff_paw, paw_to_puw = _water_fluxes(new, drainage, excess, supply, et, c.to_puw, sw)

    runoff_puw = _drainage(s.puw, c.puw_capacity)
    new = s.puw + (paw_to_puw - runoff_puw)
    puw, excess, _ = bounded(new, puw_t)
    mended = runoff_puw + excess
    runoff_puw = mended if sw.puw_ceiling == "conserve" else jnp.where(new < puw_t.lower, mended, runoff_puw)

    reco = ra + rh_litter + rh_som
    pools = (labile, foliar, root, wood, litter, som, paw, puw)
    excesses = (labile_excess, foliar_excess, root_excess, wood_excess, litter_excess, som_excess)
    outputs = Outputs(
        lai=lai,
        gpp=gpp,
        et=et,
        ra=ra,
        rh_litter=rh_litter,
        rh_som=rh_som,
        nee=reco - gpp,
        reco=reco,
        beta=beta,
        temperate=temperate,
        leaf_production=to_foliar,
        labile_production=to_labile,
        root_production=to_root,
        wood_production=to_wood,
        leaf_fall_rate=fall,
        labile_release_rate=release,
        labile_release=labile_release,
        leaf_litter=leaf_litter,
        wood_litter=wood_litter,
        root_litter=root_litter,
        litter_to_som=litter_to_som,
        runoff_paw=runoff_paw,
        runoff_puw=runoff_puw,
        paw_to_puw=paw_to_puw,
        violation=violation,
        overflow=_overflow(excesses) if sw.carbon_ceilings == "penalised" else jnp.zeros_like(violation),
        **dict(zip((p.name for p in POOLS), pools, strict=True)),
    )
    return State._make([*pools, wood_rest, som_rest]), outputs


def score(o: Outputs, y: Observed) -> Sums:
    """Return one day's contributions to the sums (docs/science.md#loss)."""
    errors = {f"{name}_error": getattr(y, f"{name}_weight") * (getattr(o, name) - getattr(y, name)) ** 2
              for name in ("gpp", "reco", "et", "lai")}  # fmt: skip
    ends = {f"{pool.name}_year_ends": getattr(o, pool.name) * y.year_end for pool in POOLS[:6]}
    totals = {name: getattr(o, name) for name in Sums._fields if name not in errors and name not in ends}
    return Sums(**errors, **ends, **totals)


@cache
def dalec(mode: str | Switches = "strict") -> Model:
    """Return the model text of a mode (`strict`, `compat`) or of a set of switches."""
    chosen = switches(mode) if isinstance(mode, str) else mode
    return Model(
        name=f"dalec-{mode}",
        parameters=PARAMETERS,
        pools=POOLS,
        inputs=Inputs,
        state=State,
        weather=Weather,
        outputs=Outputs,
        observed=Observed,
        sums=Sums,
        prepare=prepare,
        step=lambda s, c, w: _step(s, c, w, chosen),
        score=score,
        rare=("year_end",),
        from_values=inputs,
        from_logs=inputs_from_logs,
        from_pools=state,
    )
