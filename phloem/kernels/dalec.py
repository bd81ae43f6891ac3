"""The daily eight-pool DALEC with Jarvis-Stewart water stress, as a model text (dalec_daily.md sections 5 to 7)."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax.numpy as jnp
from jax import lax

from phloem.kernels.features import Weather
from phloem.kernels.model import Model
from phloem.kernels.parameters import PARAMETERS, POOLS
from phloem.kernels.phenology import pulse, rate
from phloem.kernels.records import Constants, Inputs, Observed, Outputs, State, Sums
from phloem.kernels.switches import Switches, switches

THETA, KAPPA, C1, C2 = 4.22273, 208.868, 7.19298, 2.1001
"""Constants of the aggregated canopy model, ACM (section 3.2)."""

VIOLATION = 0.01
"""Penalty a mm of water demand that was not met."""


def inputs(values: Any) -> Any:
    """Return `Inputs` from the 30 physical values, shape (30, ...); L - 1 by subtraction."""
    named = dict(zip((p.name for p in PARAMETERS), values, strict=True))
    return Inputs(**named, leaf_excess=named["leaf_lifespan"] - 1, labile_excess=named["labile_lifespan"] - 1)


def inputs_from_logs(logs: Any) -> Any:
    """Return `Inputs` from ln of the 30 physical values, shape (30, ...); L - 1 by expm1, which keeps its digits."""
    named = dict(zip((p.name for p in PARAMETERS), jnp.exp(logs), strict=True))
    rows = {p.name: row for row, p in enumerate(PARAMETERS)}
    return Inputs(
        **named,
        leaf_excess=jnp.expm1(logs[rows["leaf_lifespan"]]),
        labile_excess=jnp.expm1(logs[rows["labile_lifespan"]]),
    )


def state(pools: Any) -> State:
    """Return the `State` of eight initial pools, shape (8, ...)."""
    nothing = jnp.zeros_like(pools[0])
    return State._make([*pools, nothing, nothing])


def allocation(p: Any) -> tuple[Any, Any, Any, Any]:
    """Return the fractions of GPP that go to foliage, labile, fine roots and wood (section 5.6)."""
    npp = 1 - p.f_auto
    rest = npp * (1 - p.f_foliar)
    below = rest * (1 - p.f_labile)
    return npp * p.f_foliar, rest * p.f_labile, below * p.f_root, below * (1 - p.f_root)


def prepare(p: Any) -> Constants:
    """Work out what depends on a lane's parameters alone; one scalar (or one array a lane) each."""
    foliar, labile, root, wood = allocation(p)
    wilting_point = p.field_capacity * p.wilting_point_fraction
    return Constants(
        leaf_area=1 / p.lcma,
        efficiency=p.canopy_efficiency,
        wilting_point=wilting_point,
        stress_slope=1 / (p.field_capacity - wilting_point),
        per_uwue=1 / p.uwue,
        radiation_et=p.radiation_et_coefficient,
        f_auto=p.f_auto,
        to_foliar=foliar,
        to_labile=labile,
        to_root=root,
        to_wood=wood,
        fall=pulse(p.leaf_excess, p.leaf_fall_period, p.leaf_fall_day),
        release=pulse(p.labile_excess, p.labile_release_period, p.bud_burst_day),
        sensitivity=p.temperature_sensitivity,
        moisture=p.moisture_sensitivity,
        litter=p.turnover_litter,
        som=p.turnover_som,
        decomposition=p.decomposition_rate,
        root=p.turnover_root,
        wood=p.turnover_wood,
        paw_capacity=p.paw_drainage_capacity,
        puw_capacity=p.puw_drainage_capacity,
        to_puw=p.paw_to_puw_fraction,
    )


def photosynthesis(lai: Any, efficiency: Any, w: Any) -> Any:
    """Return unstressed GPP in gC m-2 d-1 (ACM, section 5.2, the cancellation-free form).

    Args:
        lai: leaf area index.
        efficiency: canopy efficiency ce.
        w: the day's `Weather`.
    """
    p = lai * efficiency * w.thermal
    excess = w.co2 - THETA
    b = w.co2 - (THETA - KAPPA) + p
    drawdown = 2 * p * excess / (b + jnp.sqrt(b * b - 4 * p * excess))
    diffusive = w.conductance * drawdown
    square = lai * lai
    light = C1 * square * w.radiation
    return light * diffusive / (light + diffusive * (C2 + square) + 1e-30) * w.daylight


def _drainage(water: Any, capacity: Any) -> Any:
    """Return the drainage of a bucket in mm d-1, smooth at its knee (section 5.9)."""
    return jnp.where(water <= 0.5 * capacity, water * water / capacity, water - 0.25 * capacity)


def _bounded(pool: Any, new: Any, table: Any) -> tuple[Any, Any, Any, Any]:
    """Return the bounded new value, its change, and whether floor or ceiling was hit."""
    low, high = new < table.lower, new > table.upper
    kept = jnp.where(high, table.upper, jnp.where(low, table.lower, new))
    return kept, kept - pool, low, high


def _accumulate(pool: Any, rest: Any, change: Any, compensated: bool) -> tuple[Any, Any]:
    """Add a small change to a large pool; compensated, what rounding lost is carried to the next day."""
    if not compensated:
        return pool + change, rest
    wanted = change + lax.stop_gradient(rest)
    new = pool + wanted
    return new, lax.stop_gradient(wanted - (new - pool))


def _step(s: State, c: Constants, w: Weather, sw: Switches) -> tuple[State, Outputs]:
    exact = sw.rate_form == "exact"
    labile_t, foliar_t, root_t, wood_t, litter_t, som_t, paw_t, puw_t = POOLS

    def lost(k: Any) -> Any:
        return k if exact else 1 - (1 - k)

    lai = s.foliar * c.leaf_area
    stress = (s.paw - c.wilting_point) * c.stress_slope
    stress = jnp.where(stress > 1, 1.0, stress)
    beta = jnp.where(stress < 0, 0.0, stress)
    gpp = photosynthesis(lai, c.efficiency, w) * beta
    et = gpp * w.sqrt_vpd * c.per_uwue + c.radiation_et * w.radiation
    temperate = jnp.exp(c.sensitivity * w.warmth) * (w.wetness * c.moisture + 1)

    ra = c.f_auto * gpp
    to_foliar, to_labile, to_root, to_wood = (f * gpp for f in (c.to_foliar, c.to_labile, c.to_root, c.to_wood))
    fall = rate(c.fall, w.sin_phase, w.cos_phase)
    release = rate(c.release, w.sin_phase, w.cos_phase)
    labile_release = s.labile * lost(release)
    leaf_litter = s.foliar * lost(fall)
    wood_litter = s.wood * lost(c.wood)
    root_litter = s.root * lost(c.root)
    litter_rate, decomposition_rate, som_rate = (
        temperate * c.litter,
        temperate * c.decomposition,
        temperate * c.som,
    )
    if exact:
        litter_rate, decomposition_rate, som_rate = (
            jnp.minimum(k, 1.0) for k in (litter_rate, decomposition_rate, som_rate)
        )
        share = 1 / jnp.maximum(litter_rate + decomposition_rate, 1.0)
        litter_rate, decomposition_rate = litter_rate * share, decomposition_rate * share
    rh_litter = s.litter * lost(litter_rate)
    litter_to_som = s.litter * lost(decomposition_rate)
    rh_som = s.som * lost(som_rate)

    drainage = _drainage(s.paw, c.paw_capacity)
    to_runoff = 1 - c.to_puw
    runoff_paw, paw_to_puw = drainage * to_runoff, drainage * c.to_puw
    runoff_puw = _drainage(s.puw, c.puw_capacity)

    labile, change, low, high = _bounded(s.labile, s.labile + (to_labile - labile_release), labile_t)
    labile_release = jnp.where(low | high, to_labile - change, labile_release)

    foliar, change, low, high = _bounded(s.foliar, s.foliar + (to_foliar - leaf_litter + labile_release), foliar_t)
    closing = to_foliar + labile_release - change
    at_floor = closing if sw.foliar_floor == "conserve" else 1.0
    leaf_litter = jnp.where(high, closing, jnp.where(low, at_floor, leaf_litter))

    root, change, low, high = _bounded(s.root, s.root + (to_root - root_litter), root_t)
    root_litter = jnp.where(low | high, to_root - change, root_litter)

    compensated = sw.state_dtype == "compensated"
    new, wood_rest = _accumulate(s.wood, s.wood_rest, to_wood - wood_litter, compensated)
    wood, change, low, high = _bounded(s.wood, new, wood_t)
    wood_litter = jnp.where(low | high, to_wood - change, wood_litter)
    wood_rest = jnp.where(low | high, 0.0, wood_rest)

    into = leaf_litter + root_litter
    litter, change, low, high = _bounded(s.litter, s.litter + (into - rh_litter - litter_to_som), litter_t)
    litter_to_som = jnp.where(low, into - rh_litter - change, litter_to_som)
    negative = litter_to_som < 0
    rh_litter = jnp.where(negative, into - change, rh_litter)
    litter_to_som = jnp.where(negative, 0.0, litter_to_som)
    litter_to_som = jnp.where(high, into - rh_litter - change, litter_to_som)

    new, som_rest = _accumulate(s.som, s.som_rest, litter_to_som - rh_som + wood_litter, compensated)
    som, change, low, high = _bounded(s.som, new, som_t)
    rh_som = jnp.where(low | high, litter_to_som + wood_litter - change, rh_som)
    som_rest = jnp.where(low | high, 0.0, som_rest)

    paw, change, low, high = _bounded(s.paw, s.paw - runoff_paw - paw_to_puw + w.precipitation - et, paw_t)
    supply = w.precipitation - et
    closing = supply - change
    dry_et = w.precipitation - change
    conserving = (closing * to_runoff, closing * c.to_puw)
    slipped = (supply - change * to_runoff, supply - change * c.to_puw)
    floor_runoff, floor_xfer = conserving if sw.paw_floor == "conserve" else slipped
    deficit = -closing if sw.paw_floor == "conserve" else -floor_runoff
    ceiling_runoff, ceiling_xfer = conserving if sw.paw_ceiling == "conserve" else slipped
    dry = low & (deficit > 0)
    violation = jnp.where(dry, VIOLATION * deficit, 0.0)
    et = jnp.where(dry, dry_et, et)
    runoff_paw = jnp.where(dry, 0.0, jnp.where(low, floor_runoff, jnp.where(high, ceiling_runoff, runoff_paw)))
    paw_to_puw = jnp.where(dry, 0.0, jnp.where(low, floor_xfer, jnp.where(high, ceiling_xfer, paw_to_puw)))

    puw, change, low, high = _bounded(s.puw, s.puw + (paw_to_puw - runoff_puw), puw_t)
    mended = low | high if sw.puw_ceiling == "conserve" else low
    runoff_puw = jnp.where(mended, paw_to_puw - change, runoff_puw)

    reco = ra + rh_litter + rh_som
    pools = (labile, foliar, root, wood, litter, som, paw, puw)
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
        **dict(zip((p.name for p in POOLS), pools, strict=True)),
    )
    return State._make([*pools, wood_rest, som_rest]), outputs


def score(o: Outputs, y: Observed) -> Sums:
    """Return one day's contributions to the sums (calibration.md sections 4.1 and 4.3)."""
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
    )
