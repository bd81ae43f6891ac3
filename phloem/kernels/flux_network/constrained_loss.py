"""The loss of a network of fluxes: errors, and what breaks mass, sign, light and temperature (uflux.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from phloem.kernels.flux_network.flux_network import (
    PAR_SHARE,
    FluxWeights,
    PenaltyColumns,
    fluxes_and_slopes,
    known_fluxes,
    network_inputs,
)
from phloem.kernels.flux_network.flux_network_options import FLUX_NAMES, FluxNetworkOptions
from phloem.kernels.flux_network.lane_statistics import LaneStatistics, Numbers

MOST_PAR = 200.0
"""W m-2, up to which gpp may not fall with light. Never reached by PAR = 0.5 SWIN of monthly means: all rows count."""

MOST_WARMTH = 40.0
"""degC, below which reco may not fall with temperature. Monthly means stay below: all rows count."""

TERMS = (*FLUX_NAMES, "mass", "sign", "light", "warmth")
"""Terms of the loss."""


class FluxBatch(NamedTuple):
    """Rows on which a loss is taken.

    Attributes:
        x: predictors, not finite where missing, (rows, predictors).
        observed: fluxes in their units, not finite where missing, (rows, 4).
        baselines: process baselines in the same units, not finite where missing, (rows, 4).
    """

    x: Float[Numbers, "rows predictors"]
    observed: Float[Numbers, "rows 4"]
    baselines: Float[Numbers, "rows 4"]


class TermSums(NamedTuple):
    """Weighted sums by term: a term is the quotient of the two.

    Attributes:
        above: sums of the terms, in the order of `TERMS`, (8,).
        below: sums of the weights of rows that count in them, (8,).
    """

    above: Float[Array, 8]
    below: Float[Array, 8]


@dataclass(frozen=True)
class ConstrainedLoss:
    """The loss of one lane.

    Attributes:
        options: weights of the terms, and the network's head.
        columns: of air temperature and shortwave.
    """

    options: FluxNetworkOptions
    columns: PenaltyColumns

    def sums(
        self,
        weights: FluxWeights,
        statistics: LaneStatistics,
        batch: FluxBatch,
        row_weights: Float[Array, "sets rows"],
    ) -> list[TermSums]:
        """Return the sums of each set of rows of a batch, for instance training and validation.

        Rows that weigh nothing in all sets are not looked at. Slopes are taken of the first rows alone, a
        `penalty_share` of them.

        Args:
            weights: of the network.
            statistics: of the lane.
            batch: the rows.
            row_weights: of each row in each set, 0 or more.
        """
        used = (row_weights > 0).any(0)
        x, observed, own = map(jnp.asarray, batch)
        inputs = network_inputs(statistics, x, used)
        there = jnp.isfinite(observed) & used[:, None]
        known = jnp.isfinite(own) & used[:, None]
        whole = used
        if self.options.head == "residual":
            known = known_fluxes(self.options, known)
            there, whole = there & known, known[:, :3].all(1)
        baselines = jnp.where(known, own, 0.0)
        some = round(self.options.penalty_share * len(used))
        found = fluxes_and_slopes(self.options, self.columns, weights, statistics, inputs, baselines, some)
        units = jnp.array([1.0, 1.0, 1.0, self.options.le_unit], found.fluxes.dtype)
        errors = jnp.where(there, (found.fluxes - observed) / units, 0.0) ** 2
        gpp, reco, nee, _ = found.fluxes.T
        par, warm = PAR_SHARE * x[:some, self.columns.swin], x[:some, self.columns.ta]
        mass = jnp.abs(nee - (reco - gpp))
        sign = jax.nn.relu(-gpp) + jax.nn.relu(-reco)
        values = jnp.concatenate([errors, mass[:, None], sign[:, None]], 1)
        counted = jnp.concatenate([there, whole[:, None], whole[:, None]], 1)
        slopes = jax.nn.relu(-jnp.stack([found.light, found.warmth], 1))
        # A comparison with NaN is false: rows whose temperature or light is missing have no slope by it.
        sloped = jnp.stack([par <= MOST_PAR, warm < MOST_WARMTH], 1) & whole[:some, None]

        def over_rows(weight: Array, terms: Array, first: Array) -> Array:
            return jnp.concatenate([weight @ terms, weight[:some] @ first])

        parts = (values * counted, slopes * sloped), (counted.astype(values.dtype), sloped.astype(values.dtype))
        return [TermSums(*(over_rows(weight, *part) for part in parts)) for weight in row_weights]

    def factors(self) -> tuple[float, ...]:
        """Return the factor of each term in the loss."""
        chosen = self.options
        sign = chosen.l_pos if chosen.head == "soft" else 0.0
        mass = 0.0 if chosen.hard_mass else chosen.l_mass
        return (1.0, 1.0, 1.0, 1.0, mass, sign, chosen.l_light, chosen.l_temp)

    def total(self, sums: TermSums) -> Float[Array, ""]:
        """Return the loss of sums; a term without rows is 0."""
        below = jnp.where(sums.below > 0, sums.below, 1.0)
        factors = jnp.array(self.factors(), sums.above.dtype)
        return (factors * jnp.where(sums.below > 0, sums.above / below, 0.0)).sum()

    def value(
        self,
        weights: FluxWeights,
        statistics: LaneStatistics,
        batch: FluxBatch,
        row_weights: Float[Array, " rows"],
    ) -> Float[Array, ""]:
        """Return the loss on rows."""
        return self.total(self.sums(weights, statistics, batch, row_weights[None])[0])
