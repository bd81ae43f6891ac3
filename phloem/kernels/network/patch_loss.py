"""The loss of a patch of cells: squared errors of cells, squared errors of the patch's means, and two constraints.

All terms but those of the patch's means are sums over cells of what a cell's months alone say, so that they follow from
the sums of a fold (`CellSums`); those of the means need the months of three outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from phloem.kernels.network.patch_labels import LabelStream, PatchLabels

YEAR = 12
EQUILIBRIUM = 0.6931471805599453
"""ln 2: a pool may drift by this factor."""

LEAST = 1e-3
"""Of a sum of outflows, and what is added inside the logarithm of the steady state."""

Months = Float[Array, "months rows"]


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms, as of the public code."""

    sif: float = 400.0
    lai: float = 10.0
    biomass: float = 5e-5
    soil_carbon: float = 3e-6
    nbe: float = 3000.0
    nbe_interannual: float = 10_380.0
    fire: float = 1000.0
    water: float = 0.2
    vod: float = 100.0
    tower_gpp: float = 100.0
    tower_reco: float = 100.0
    tower_et: float = 100.0
    et: float = 1.0
    violation: float = 400.0
    steady_state: float = 10.0


TERMS = tuple(LossWeights.__dataclass_fields__)
COUPLED = ("nbe", "fire_emission", "water")
"""Outputs whose months are compared as means of the patch."""


class CellSums(NamedTuple):
    """What the terms of single cells need of a simulation, each (rows,); flows and stocks of the six pools.

    Attributes:
        sif_error, lai_error, tower_gpp_error, tower_reco_error, tower_et_error, et_error: weighted squared errors.
        biomass_error, vod_error: of the means of years.
        violation: of the water.
        som: sum over the months, gC m-2.
        inflow, outflow: sums over the months of fluxes a day, of each pool of carbon.
        december: sums over the years of the pools at their ends.
    """

    sif_error: Any
    lai_error: Any
    tower_gpp_error: Any
    tower_reco_error: Any
    tower_et_error: Any
    et_error: Any
    biomass_error: Any
    vod_error: Any
    violation: Any
    som: Any
    inflow: tuple[Any, ...]
    outflow: tuple[Any, ...]
    december: tuple[Any, ...]


def flows(o: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return what flows into and out of the six pools of carbon, gC m-2 d-1, fire included.

    Args:
        o: outputs of a month, or of all.
    """
    into = (
        o.labile_production,
        o.leaf_production + o.labile_release,
        o.root_production,
        o.wood_production,
        o.leaf_litter + o.root_litter + o.labile_fire_litter + o.foliar_fire_litter + o.root_fire_litter,
        o.litter_to_som + o.wood_litter + o.wood_fire_litter + o.litter_fire_litter,
    )
    out = (
        o.labile_release + o.labile_combustion + o.labile_fire_litter,
        o.leaf_litter + o.foliar_combustion + o.foliar_fire_litter,
        o.root_litter + o.root_combustion + o.root_fire_litter,
        o.wood_litter + o.wood_combustion + o.wood_fire_litter,
        o.rh_litter + o.litter_to_som + o.litter_combustion + o.litter_fire_litter,
        o.rh_som + o.som_combustion,
    )
    return into, out


def years(values: Months) -> Float[Array, "years rows"]:
    """Return the means of twelve months each."""
    return values.reshape(-1, YEAR, *values.shape[1:]).mean(1)


def whole_years(weight: Months) -> Float[Array, "years rows"]:
    """Return the weight of years: 1 where all months have a label."""
    return weight.reshape(-1, YEAR, *weight.shape[1:]).prod(1)


def error_of_means(x: Months, stream: LabelStream, strict: bool) -> Float[Array, ""]:
    """Return the squared error of the patch's means, summed over the months.

    Args:
        x: simulated, (months, rows).
        stream: labels and weights.
        strict: means over the rows that have labels, weighted with their share; else, as the public code has it, means
            over all rows of what is weighted with 0, and so an error that grows as the cube of that share.
    """
    cover = stream.weight.mean(1)
    ours, theirs = (x * stream.weight).mean(1), (stream.label * stream.weight).mean(1)
    if strict:
        share = jnp.where(cover > 0, cover, 1.0)
        ours, theirs = ours / share, theirs / share
    return (cover * (ours - theirs) ** 2).sum()


def steady_state(first: Float[Array, "pools rows"], sums: CellSums, count: float) -> Float[Array, " rows"]:
    """Return the departure of each cell from a steady state, summed over its pools of carbon.

    Args:
        first: initial pools.
        sums: of the simulation.
        count: years.
    """
    total: Any = 0.0
    for start, into, out, december in zip(first, sums.inflow, sums.outflow, sums.december, strict=True):
        ratio = into / jnp.maximum(out, LEAST)
        total = total + (jnp.log(ratio * (december / count) / start + LEAST) / EQUILIBRIUM) ** 2
    return total


def coupled_terms(
    nbe: Months, fire: Months, water: Months, labels: PatchLabels, of: LossWeights, strict: bool
) -> dict[str, Array]:
    """Return the terms of the patch's means.

    Args:
        nbe: gC m-2 d-1, (months, rows).
        fire: emission, gC m-2 d-1.
        water: mm, at the months' ends.
        labels: of the patch.
        of: weights of the terms.
        strict: see `error_of_means`.
    """
    share = labels.water_storage.weight
    middle = (water * share).sum(0) / (share.sum(0) + LEAST)
    of_years = LabelStream(years(labels.nbe.label), whole_years(labels.nbe.weight))
    return {
        "nbe": of.nbe * error_of_means(nbe, labels.nbe, strict),
        "nbe_interannual": of.nbe_interannual * error_of_means(years(nbe), of_years, strict),
        "fire": of.fire * error_of_means(fire, labels.fire, strict),
        "water": of.water * error_of_means(water - middle, labels.water_storage, strict),
    }


def cell_terms(
    sums: CellSums, first: Float[Array, "pools rows"], labels: PatchLabels, of: LossWeights, strict: bool
) -> dict[str, Array]:
    """Return the terms of single cells, summed over the patch.

    Args:
        sums: of the simulation.
        first: initial pools of carbon.
        labels: of the patch.
        of: weights of the terms.
        strict: rows that are no cells count nowhere, and every cell is held near a steady state; else rows that fill
            the patch count in the violation, and cells without leaf area in the first month are not held.
    """
    months = labels.lai.label.shape[0]
    held = labels.valid if strict else labels.lai.weight[0]
    counted = labels.valid if strict else jnp.ones_like(labels.valid)
    soil = labels.soil_carbon.weight[0] * (sums.som / months - labels.soil_carbon.label[0]) ** 2
    return {
        "sif": of.sif * sums.sif_error.sum(),
        "lai": of.lai * sums.lai_error.sum(),
        "biomass": of.biomass * sums.biomass_error.sum(),
        "soil_carbon": of.soil_carbon * soil.sum(),
        "vod": of.vod * sums.vod_error.sum(),
        "tower_gpp": of.tower_gpp * sums.tower_gpp_error.sum(),
        "tower_reco": of.tower_reco * sums.tower_reco_error.sum(),
        "tower_et": of.tower_et * sums.tower_et_error.sum(),
        "et": of.et * sums.et_error.sum(),
        "violation": of.violation * (sums.violation * counted).sum(),
        "steady_state": of.steady_state * (steady_state(first, sums, months / YEAR) * held).sum(),
    }


def sums_of_months(o: Any, labels: PatchLabels) -> CellSums:
    """Return the sums of a simulation of which all months are there: the reference of those of a fold.

    Args:
        o: outputs, each (months, rows).
        labels: of the patch.
    """

    def error(x: Months, stream: LabelStream) -> Array:
        return (stream.weight * (x - stream.label) ** 2).sum(0)

    def error_of_years(x: Months, stream: LabelStream) -> Array:
        return error(years(x), LabelStream(years(stream.label), whole_years(stream.weight)))

    into, out = flows(o)
    ends = labels.december[:, None]
    pools = (o.labile, o.foliar, o.root, o.wood, o.litter, o.som)
    return CellSums(
        sif_error=error(o.sif, labels.sif),
        lai_error=error(o.lai, labels.lai),
        tower_gpp_error=error(o.gpp, labels.tower_gpp),
        tower_reco_error=error(o.gpp + o.nee, labels.tower_reco),
        tower_et_error=error(o.et, labels.tower_et),
        et_error=error(o.et, labels.et),
        biomass_error=error_of_years(o.labile + o.foliar + o.root + o.wood, labels.biomass),
        vod_error=error_of_years(o.vod, labels.vod),
        violation=o.violation.sum(0),
        som=o.som.sum(0),
        inflow=tuple(one.sum(0) for one in into),
        outflow=tuple(one.sum(0) for one in out),
        december=tuple((pool * ends).sum(0) for pool in pools),
    )
