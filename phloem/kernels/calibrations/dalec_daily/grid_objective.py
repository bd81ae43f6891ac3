"""The objective of the three grid experiments (docs/science.md#loss)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import inputs_from_logs
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS
from phloem.kernels.models.dalec_daily.phenology import yearly
from phloem.kernels.objective.bounded_log import log_physical
from phloem.kernels.objective.objective import SiteData
from phloem.kernels.time_loop.day_tables import LaneCells
from phloem.model_tables import Parameter
from phloem.names import ALL_STREAMS

MAP_WEIGHT = 0.1
"""Weight of a squared standard score of the priors from maps, 1 (docs/science.md#priors)."""

LCMA_SPREAD = 0.1
"""Standard deviation of the mapped leaf carbon per area, as a share of it."""

F_AUTO_SPREAD = 0.05
"""Standard deviation of 1 less the mapped carbon-use efficiency, 1."""

NEAR_ZERO = (100.0, 100.0, 100.0, 200.0)
"""Upper bounds of the initial labile, foliar, root and wood pools of a stand that begins near zero, gC m-2."""


class LeafEconomicsLine(NamedTuple):
    """EDC7's line, ln tau_leaf = alpha + gamma ln LCMA, tau in years and LCMA in gC m-2.

    Attributes:
        alpha, gamma: intercept and slope.
        sigma: residual standard deviation, the tolerance.
    """

    alpha: float
    gamma: float
    sigma: float


@dataclass(frozen=True)
class GridObjective(SiteObjective):
    """Five streams, priors on ce, LCMA and f_auto, EDC1 to EDC7, violation.

    EDC6 is the steady-state pair of `steady_pools`, SOM alone by default.

    Attributes:
        leaf_economics: EDC7's line; None leaves the term out.
        live_caps: upper bounds of the initial labile, foliar, root and wood pools in gC m-2; None leaves them free.
    """

    steady_pools: tuple[str, ...] = ("som",)
    leaf_economics: LeafEconomicsLine | None = None
    live_caps: tuple[float, float, float, float] | None = None

    @property
    def streams(self) -> tuple[str, ...]:
        """Observed streams, in the order of the tables."""
        return ALL_STREAMS

    @cached_property
    def _bounded(self) -> tuple[Parameter, ...]:
        caps = self.live_caps or ()
        capped = [replace(pool, upper=cap) for pool, cap in zip(POOLS, caps, strict=False)]
        return (*PARAMETERS, *capped, *POOLS[len(caps) :])

    @property
    def unknowns(self) -> tuple[Parameter, ...]:
        """Parameters and initial pools with the bounds that they have here."""
        return self._bounded

    def prior(
        self, raw: Float[Array, "unknowns lanes"], data: SiteData, lane_cell: LaneCells
    ) -> Float[Array, " lanes"]:
        """Return the priors on canopy efficiency, leaf carbon per area and autotrophic fraction."""
        p = inputs_from_logs(log_physical(raw[: len(PARAMETERS)], PARAMETERS))
        total = super().prior(raw, data, lane_cell)
        for value, wanted, spread in (
            (p.lcma, data.facts.lcma[lane_cell], LCMA_SPREAD * data.facts.lcma[lane_cell]),
            (p.f_auto, data.facts.f_auto[lane_cell], F_AUTO_SPREAD),
        ):
            known = wanted > 0
            z = (value - wanted) / jnp.where(known, spread, 1)
            total += jnp.where(known, MAP_WEIGHT * z * z, 0)
        return total

    def constraints(
        self, p: Any, k: Float[Array, " lanes"], data: SiteData, lane_cell: LaneCells
    ) -> Float[Array, " lanes"]:
        """Return EDC1 to EDC5 and EDC7 (docs/science.md#constraints)."""
        total = super().constraints(p, k, data, lane_cell)
        if self.leaf_economics is None:
            return total
        line = self.leaf_economics
        lifespan = 1 / yearly(p.leaf_excess, p.leaf_fall_period)
        off = jnp.abs(jnp.log(lifespan) - (line.alpha + line.gamma * jnp.log(p.lcma)))
        return total + self.penalty(line.sigma, off, 3 * k)
