"""The site objective J = J_obs + J_prior + J_EDC + J_steady + J_violation (docs/science.md#loss)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from phloem.kernels.models.dalec_daily.daily_step import allocation
from phloem.kernels.models.dalec_daily.mode_switches import STRICT, Switches
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS
from phloem.kernels.models.dalec_daily.phenology import yearly
from phloem.kernels.objective.bounded_log import log_physical
from phloem.kernels.objective.objective import EQUILIBRIUM_FACTOR, EQUILIBRIUM_TOLERANCE, Objective, SiteData, nnse
from phloem.kernels.time_loop.day_tables import LaneCells
from phloem.names import PERIOD, STREAMS

CE_WEIGHT = 0.1
"""Weight of the squared distance from the pre-calibrated ce, 1 (docs/science.md#priors)."""

CE_LEAST = 5.0
"""The ce prior applies where ce_opt is at least this, 1; below, no pre-calibrated value exists."""

LEAST_RATIO_FLUX = 1e-6
"""Floor of the mean fluxes under the ratio of inflow to outflow, gC m-2 d-1."""

BALANCE = {
    "labile": (("labile_production",), ("labile_release",)),
    "foliar": (("leaf_production", "labile_release"), ("leaf_litter",)),
    "root": (("root_production",), ("root_litter",)),
    "wood": (("wood_production",), ("wood_litter",)),
    "litter": (("leaf_litter", "root_litter"), ("rh_litter", "litter_to_som")),
    "som": (("wood_litter", "litter_to_som"), ("rh_som",)),
}
"""Inflows and outflows of six carbon pools (docs/science.md#steady-state); a production is its share of total GPP."""


class Terms(NamedTuple):
    """Parts of the loss, each of shape (lanes,); they add up to it."""

    observations: Float[Array, " lanes"]
    prior: Float[Array, " lanes"]
    edc: Float[Array, " lanes"]
    steady_state: Float[Array, " lanes"]
    violation: Float[Array, " lanes"]


class SiteFacts(NamedTuple):
    """Numbers of the cells that the loss reads, each of shape (cells,).

    Attributes:
        ce_opt: pre-calibrated canopy efficiency, 0 where there is none.
        mean_temperature: reference mean temperature in degC; read by `edc4_temperature="cardamom"`.
        lcma: mapped leaf carbon per area in gC m-2, 0 where there is none; for the grid experiments.
        f_auto: 1 less the mapped carbon-use efficiency, 0 where there is none; for them too.
    """

    ce_opt: Any
    mean_temperature: Any
    lcma: Any
    f_auto: Any


@dataclass(frozen=True)
class SiteObjective(Objective):
    """The tower objective: four streams, the ce prior, EDC1-5, steady-state pairs, violation and overflow.

    The model text is one whose `Sums` are those of the daily DALEC.

    Attributes:
        steady_pools: carbon pools that must be near steady state.
        switches: named differences between strict and compat.
        edc4_sharpness: of EDC4, in k. The published 10 is so soft that it prefers fast roots wherever fluxes leave
            their turnover open: 0.4 of loss from 2e-3 to 1e-2 d-1. 1e4 only asks for more than SOM's.
    """

    steady_pools: tuple[str, ...] = tuple(BALANCE)
    switches: Switches = STRICT
    edc4_sharpness: float = 10.0

    @property
    def streams(self) -> tuple[str, ...]:
        """Observed streams, in the order of the tables."""
        return STREAMS

    @property
    def living(self) -> tuple[int, ...]:
        """The place of foliage, without which nothing is assimilated."""
        return ([pool.name for pool in self.model.pools].index("foliar"),)

    @property
    def for_line_search(self) -> SiteObjective:
        """The objective with the penalty of `strict`.

        As published it overflows a little beyond each wall, where Adam's k rises slowly enough to be gone by then, and
        its values are the same wherever it is finite.
        """
        return replace(self, switches=replace(self.switches, edc_sigmoid="softplus"))

    def parts(
        self,
        raw: Float[Array, "unknowns lanes"],
        inputs: Any,
        pools: Float[Array, "pools lanes"],
        sums: Any,
        sharpness: Float[Array, " lanes"],
        data: SiteData,
        lane_cell: LaneCells,
    ) -> Terms:
        """Return the parts of the loss; arguments as in `Objective.parts`."""
        return Terms(
            observations=-reduce(add, nnse(sums, data, lane_cell, self.streams).values()),
            prior=self.prior(raw, data, lane_cell),
            edc=self.constraints(inputs, sharpness, data, lane_cell),
            steady_state=self.steady_state(inputs, sums, pools, sharpness, data, lane_cell),
            violation=sums.violation + sums.overflow,
        )

    def penalty(
        self, a: Float[Array, " lanes"] | float, b: Float[Array, " lanes"], sharpness: Float[Array, " lanes"]
    ) -> Float[Array, " lanes"]:
        """Penalise a < b softly: -ln sigmoid(s (a - b)) = softplus(s (b - a))."""
        z = sharpness * (b - a)
        if self.switches.edc_sigmoid == "overflowing":
            return -jnp.log(1 / (1 + jnp.exp(z)))
        return jax.nn.softplus(z)

    def prior(
        self, raw: Float[Array, "unknowns lanes"], data: SiteData, lane_cell: LaneCells
    ) -> Float[Array, " lanes"]:
        """Return the prior on canopy efficiency (docs/science.md#priors)."""
        row = [p.name for p in PARAMETERS].index("canopy_efficiency")
        ce = jnp.exp(log_physical(raw[row : row + 1], PARAMETERS[row : row + 1]))[0]
        wanted = data.facts.ce_opt[lane_cell]
        return jnp.where(wanted >= CE_LEAST, CE_WEIGHT * (ce - wanted) ** 2, 0)

    def constraints(
        self, p: Any, k: Float[Array, " lanes"], data: SiteData, lane_cell: LaneCells
    ) -> Float[Array, " lanes"]:
        """Return EDC1 to EDC5 (docs/science.md#constraints)."""
        if self.switches.edc3_rate == "integrated":
            foliar_turnover = yearly(p.leaf_excess, p.leaf_fall_period) / PERIOD
        else:
            foliar_turnover = 1 / (PERIOD * p.leaf_lifespan)
        som = p.turnover_som
        if self.switches.edc4_temperature == "cardamom":
            som = som * jnp.exp(p.temperature_sensitivity * data.facts.mean_temperature[lane_cell])
        foliar, labile, root, _ = allocation(p)
        return (
            self.penalty(p.turnover_litter, p.turnover_som, 1e5 * k)
            + self.penalty(p.decomposition_rate, p.turnover_som, 1e4 * k)
            + self.penalty(foliar_turnover, p.turnover_wood, 2e5 * k)
            + self.penalty(p.turnover_root, som, self.edc4_sharpness * k)
            + self.penalty(5 * root, foliar + labile, 100 * k)
            + self.penalty(5 * (foliar + labile), root, 100 * k)
        )

    def steady_state(
        self,
        p: Any,
        sums: Any,
        pools: Float[Array, "pools lanes"],
        k: Float[Array, " lanes"],
        data: SiteData,
        lane_cell: LaneCells,
    ) -> Float[Array, " lanes"]:
        """Return the steady-state pairs of the chosen pools (docs/science.md#steady-state)."""
        total = jnp.zeros_like(k)
        for drift, ratio in self.balances(p, sums, pools, data, lane_cell).values():
            scaled = ratio * drift
            total += self.penalty(EQUILIBRIUM_FACTOR, jnp.abs(jnp.log(scaled)), 3 * k)
            total += self.penalty(EQUILIBRIUM_TOLERANCE, jnp.abs(scaled - ratio), 3 * k)
        return total

    def balances(
        self,
        inputs: Any,
        sums: Any,
        pools: Float[Array, "pools lanes"],
        data: SiteData,
        lane_cell: LaneCells,
    ) -> dict[str, tuple[Float[Array, " lanes"], Float[Array, " lanes"]]]:
        """Return, by steady pool, mean size over initial size, and inflow over outflow; each of shape (lanes,)."""
        totals = sums._asdict()
        for share, name in zip(allocation(inputs), ("leaf", "labile", "root", "wood"), strict=True):
            totals[f"{name}_production"] = share * sums.gpp
        marked, days = data.marked[lane_cell], data.days[lane_cell]
        least = LEAST_RATIO_FLUX * days
        ratios = {}
        for row, (name, (inflows, outflows)) in enumerate(BALANCE.items()):
            if name not in self.steady_pools:
                continue
            mean = (pools[row] + getattr(sums, f"{name}_year_ends")) / (marked + 1)
            inflow, outflow = (reduce(add, (totals[flux] for flux in fluxes)) for fluxes in (inflows, outflows))
            ratios[name] = mean / pools[row], jnp.maximum(inflow, least) / jnp.maximum(outflow, least)
        return ratios
