"""The network from predictors of a month to its four fluxes, with the slopes of gpp by PAR and of reco by temperature.

Three hidden layers and one linear layer; heads that keep gpp and reco from being negative (uflux.md section 6). A
missing predictor is the lane's mean, and an indicator column says that it was missing. First weights of indicators are
0, so that one which no training row has changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from phloem.kernels.flux_network.flux_network_options import FLUX_NAMES, WIDTHS, FluxNetworkOptions
from phloem.kernels.flux_network.lane_statistics import LaneStatistics

SHARPNESS = 10.0
"""Of the softplus head, m2 d gC-1: softplus(10 z) / 10."""

PAR_SHARE = 0.5
"""PAR of shortwave radiation, 1; uflux.md section 10."""


class FluxLayer(NamedTuple):
    """Weights of a layer: y = x w + b.

    Attributes:
        w: (inputs, outputs).
        b: (outputs,).
    """

    w: Float[Array, "inputs outputs"]
    b: Float[Array, " outputs"]


FluxWeights = tuple[FluxLayer, ...]
"""The layers of a network in their order; the first takes the predictors, then as many indicators."""


class PenaltyColumns(NamedTuple):
    """Which predictors the slopes are taken by.

    Attributes:
        ta: column of air temperature, degC.
        swin: column of incoming shortwave, W m-2.
    """

    ta: int
    swin: int


def layer_shapes(predictors: int) -> list[tuple[int, int]]:
    """Return (inputs, outputs) of each layer."""
    return list(zip((2 * predictors, *WIDTHS), (*WIDTHS, len(FLUX_NAMES)), strict=True))


def count_flux_weights(predictors: int) -> int:
    """Return the number of weights of a network with so many predictors."""
    return sum((inputs + 1) * outputs for inputs, outputs in layer_shapes(predictors))


def first_flux_weights(key: Array, predictors: int) -> FluxWeights:
    """Draw a network's first weights, float32: Glorot's normal distribution, biases and indicators 0.

    Args:
        key: of jax.random.
        predictors: number of them, without the indicators.
    """
    draw = jax.nn.initializers.glorot_normal()
    shapes = layer_shapes(predictors)
    drawn = []
    for number, (one, shape) in enumerate(zip(jax.random.split(key, len(shapes)), shapes, strict=True)):
        if number:
            w = draw(one, shape, jnp.float32)
        else:
            seen = draw(one, (predictors, shape[1]), jnp.float32)
            w = jnp.concatenate([seen, jnp.zeros_like(seen)])
        drawn.append(FluxLayer(w, jnp.zeros(shape[1], jnp.float32)))
    return tuple(drawn)


def flat_flux_weights(weights: FluxWeights) -> Float[Array, " weights"]:
    """Return all weights as one vector: layer by layer, each matrix in C order, then its bias."""
    return jnp.concatenate([jnp.ravel(one) for one in jax.tree.leaves(weights)])


def flux_weights_of_flat(vector: Float[Array, " weights"], predictors: int) -> FluxWeights:
    """Return the weights of a vector of `flat_flux_weights`.

    Raises:
        ValueError: another number of them than a network with so many predictors has.
    """
    if len(vector) != count_flux_weights(predictors):
        raise ValueError(f"{len(vector)} weights; {predictors} predictors have {count_flux_weights(predictors)}")
    layers, begin = [], 0
    for inputs, outputs in layer_shapes(predictors):
        middle, end = begin + inputs * outputs, begin + (inputs + 1) * outputs
        layers.append(FluxLayer(vector[begin:middle].reshape(inputs, outputs), vector[middle:end]))
        begin = end
    return tuple(layers)


def network_inputs(
    statistics: LaneStatistics, x: Float[Array, "rows predictors"], used: Bool[Array, " rows"]
) -> Float[Array, "rows inputs"]:
    """Return standardised predictors and, behind them, 1 where one is missing.

    Args:
        statistics: of the lane.
        x: predictors, not finite where missing.
        used: rows that count; the others become 0, whatever they hold.
    """
    there = jnp.isfinite(x)
    standard = (x - statistics.mean) / statistics.spread
    seen = jnp.where(there & used[:, None], standard, 0.0)
    return jnp.concatenate([seen, jnp.where(there | ~used[:, None], 0.0, 1.0)], 1)


def _hidden(options: FluxNetworkOptions, z: Array) -> tuple[Array, Array]:
    """Return hidden units and their slopes."""
    if options.activation == "tanh":
        h = jnp.tanh(z)
        return h, 1 - h * h
    return jax.nn.softplus(z), jax.nn.sigmoid(z)


class FluxesAndSlopes(NamedTuple):
    """What a network says of rows.

    Attributes:
        fluxes: gpp, reco, nee, le in their units, (rows, 4).
        light: slope of gpp by PAR, gC m-2 d-1 per W m-2, of the first rows, (some rows,).
        warmth: slope of reco by air temperature, gC m-2 d-1 per K, of the same rows.
    """

    fluxes: Float[Array, "rows 4"]
    light: Float[Array, " some"]
    warmth: Float[Array, " some"]


def fluxes_and_slopes(
    options: FluxNetworkOptions,
    columns: PenaltyColumns,
    weights: FluxWeights,
    statistics: LaneStatistics,
    inputs: Float[Array, "rows inputs"],
    baselines: Float[Array, "rows 4"],
    some: int,
) -> FluxesAndSlopes:
    """Return fluxes of rows and, for the first of them, two slopes, by tangents carried forward beside the units.

    A slope is that by the standardised column of air temperature or shortwave itself, brought to physical units by the
    column's spread (and PAR = 0.5 SWIN); all other columns are held. What else a predictor table derives from
    temperature or radiation (baselines, vapour pressure deficit, iWUE) does not move, nor does the baseline beneath the
    residual head: it is a slope of the network, not of the land.

    Args:
        options: head and activation.
        columns: of the two slopes.
        weights: of one lane.
        statistics: of the lane.
        inputs: from `network_inputs`.
        baselines: process baselines in the fluxes' units, finite; read by the residual head.
        some: rows with slopes.
    """
    first, *others = weights
    h, slope = _hidden(options, inputs @ first.w + first.b)
    by = jnp.stack(
        [
            first.w[columns.swin] / (PAR_SHARE * statistics.spread[columns.swin]),
            first.w[columns.ta] / statistics.spread[columns.ta],
        ]
    )
    tangents = slope[:some] * by[:, None]
    for layer in others[:-1]:
        h, slope = _hidden(options, h @ layer.w + layer.b)
        tangents = slope[:some] * (tangents @ layer.w)
    last = others[-1]
    z = jnp.asarray(statistics.flux_mean) + statistics.flux_spread * (h @ last.w + last.b)
    # Each direction asks one output alone: gpp by light, reco by warmth.
    moves = (tangents * last.w.T[:2, None]).sum(-1) * statistics.flux_spread[:2, None]
    fluxes, heads = _headed(options, z, baselines)
    return FluxesAndSlopes(fluxes, heads[:some, 0] * moves[0], heads[:some, 1] * moves[1])


def _headed(options: FluxNetworkOptions, z: Array, baselines: Array) -> tuple[Array, Array]:
    """Return fluxes, and slopes of gpp and reco by their own z, (rows, 2)."""
    both, slopes = z[:, :2], jnp.ones_like(z[:, :2])
    if options.head == "softplus":
        both, slopes = jax.nn.softplus(SHARPNESS * both) / SHARPNESS, jax.nn.sigmoid(SHARPNESS * both)
    elif options.head == "relu":
        both, slopes = jax.nn.relu(both), (both > 0).astype(z.dtype)
    elif options.head == "residual":
        z = z + baselines
        both, slopes = jax.nn.relu(z[:, :2]), (z[:, :2] > 0).astype(z.dtype)
    nee = both[:, 1] - both[:, 0] if options.hard_mass else z[:, 2]
    return jnp.concatenate([both, nee[:, None], z[:, 3:]], 1), slopes


def network_targets(
    options: FluxNetworkOptions, observed: Float[np.ndarray, "rows 4"], baselines: Float[np.ndarray, "rows 4"]
) -> Float[np.ndarray, "rows 4"]:
    """Return what the last layer stands for: fluxes, or what the baselines leave over; NaN where missing."""
    if options.head != "residual":
        return observed
    both = np.isfinite(observed) & np.isfinite(baselines)
    return np.subtract(observed, baselines, out=np.full_like(observed, np.nan), where=both)


def known_fluxes(options: FluxNetworkOptions, baselines: Bool[Array, "rows 4"]) -> Bool[Array, "rows 4"]:
    """Tell which fluxes the residual head can give, from the baselines that are there."""
    return baselines.at[:, 2].set(baselines[:, 0] & baselines[:, 1]) if options.hard_mass else baselines


def predicted_fluxes(
    options: FluxNetworkOptions,
    vector: Float[Array, " weights"],
    statistics: LaneStatistics,
    x: Float[Array, "rows predictors"],
    baselines: Float[Array, "rows 4"],
) -> Float[Array, "rows 4"]:
    """Return the fluxes of one lane; under the residual head NaN where the baseline is missing.

    Args:
        options: head and activation.
        vector: weights laid flat.
        statistics: of the lane.
        x: predictors, not finite where missing.
        baselines: in the fluxes' units, not finite where missing; read by the residual head.
    """
    inputs = network_inputs(statistics, x, jnp.ones(len(x), bool))
    there = jnp.isfinite(baselines)
    known = jnp.where(there, baselines, 0.0)
    weights = flux_weights_of_flat(vector, x.shape[1])
    fluxes = fluxes_and_slopes(options, PenaltyColumns(0, 0), weights, statistics, inputs, known, 0).fluxes
    if options.head != "residual":
        return fluxes
    return jnp.where(known_fluxes(options, there), fluxes, jnp.nan)
