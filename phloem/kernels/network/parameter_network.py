"""The network that turns predictors of a cell into unbounded quantities of the model, and its weights.

Three layers of 32 units with an activation behind each, then three linear heads: parameters, the days of phenology,
initial pools. The days alone see the hemisphere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS, PHENOLOGY, POOLS, UNKNOWNS, as_published
from phloem.kernels.objective.bounded_log import log_physical

UNITS = 32
LAYERS = 3

SLOPE = 0.01
"""Of the activation below 0; the paper says 0, its code this."""

BIAS = 1.0
"""All biases at first."""


class Layer(NamedTuple):
    """Weights of a layer: y = x w + b.

    Attributes:
        w: (inputs, outputs).
        b: (outputs,).
    """

    w: Float[Array, "inputs outputs"]
    b: Float[Array, " outputs"]


class Weights(NamedTuple):
    """Weights of a network, in the order in which they are laid flat.

    Attributes:
        embedding: three layers.
        parameters: head of the parameters but for the days.
        pools: head of the initial pools.
        phenology: head of the days; its last input is the hemisphere.
    """

    embedding: tuple[Layer, ...]
    parameters: Layer
    pools: Layer
    phenology: Layer


def shapes(predictors: int) -> Weights:
    """Return the shapes of a network's weights, each layer's as (inputs, outputs) in the place of its arrays.

    Args:
        predictors: number of them, without the hemisphere.
    """
    plain = len(PARAMETERS) - PHENOLOGY

    def layer(inputs: int, outputs: int) -> Layer:
        return Layer((inputs, outputs), (outputs,))  # type: ignore[arg-type]

    return Weights(
        tuple(layer(predictors if not n else UNITS, UNITS) for n in range(LAYERS)),
        layer(UNITS, plain),
        layer(UNITS, len(POOLS)),
        layer(UNITS + 1, PHENOLOGY),
    )


def count(predictors: int) -> int:
    """Return the number of weights of a network with so many predictors, without the hemisphere."""
    return sum(int(np.prod(shape)) for shape in jax.tree.leaves(shapes(predictors), is_leaf=_is_shape))


def _is_layer(node: object) -> bool:
    return isinstance(node, Layer)


def _is_shape(node: object) -> bool:
    return isinstance(node, tuple) and all(isinstance(one, int) for one in node)


def first_weights(key: Array, predictors: int, dtype: jnp.dtype | type = jnp.float32) -> Weights:
    """Draw a network's first weights: Glorot's normal distribution, all biases one.

    Args:
        key: of jax.random.
        predictors: number of them, without the hemisphere.
        dtype: floating type.
    """
    draw = jax.nn.initializers.glorot_normal()
    layers, structure = jax.tree.flatten(shapes(predictors), is_leaf=_is_layer)
    keys = jax.random.split(key, len(layers))
    drawn = [
        Layer(draw(one, layer.w, dtype) if layer.w[0] else jnp.zeros(layer.w, dtype), jnp.full(layer.b, BIAS, dtype))
        for one, layer in zip(keys, layers, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)


def flat(weights: Weights) -> Float[Array, " weights"]:
    """Return all weights as one vector: layer by layer, each matrix in C order, then its bias."""
    return jnp.concatenate([jnp.ravel(one) for one in jax.tree.leaves(weights)])


def of_flat(vector: Float[Array, " weights"], predictors: int) -> Weights:
    """Return the weights of a vector of `flat`.

    Raises:
        ValueError: another number of them than a network with so many predictors has.
    """
    wanted, structure = jax.tree.flatten(shapes(predictors), is_leaf=_is_shape)
    sizes = [int(np.prod(shape)) for shape in wanted]
    if len(vector) != sum(sizes):
        raise ValueError(f"{len(vector)} weights; a network of {predictors} predictors has {sum(sizes)}")
    parts = jnp.split(vector, np.cumsum(sizes)[:-1])
    return jax.tree.unflatten(structure, [part.reshape(shape) for part, shape in zip(parts, wanted, strict=True)])


def unbounded_quantities(
    weights: Weights, predictors: Float[Array, "rows columns"], slope: float = SLOPE
) -> Float[Array, "unknowns rows"]:
    """Return the unbounded quantities of cells, in the order of the model's unknowns.

    Args:
        weights: of the network.
        predictors: standardised; the first column is the hemisphere.
        slope: of the activation below 0.
    """
    hemisphere, hidden = predictors[:, :1], predictors[:, 1:]
    for layer in weights.embedding:
        hidden = jax.nn.leaky_relu(hidden @ layer.w + layer.b, slope)
    parameters = hidden @ weights.parameters.w + weights.parameters.b
    pools = hidden @ weights.pools.w + weights.pools.b
    days = jnp.concatenate([hidden, hemisphere], 1) @ weights.phenology.w + weights.phenology.b
    return jnp.concatenate([parameters, days, pools], 1).T


def log_quantities(
    weights: Weights, predictors: Float[Array, "rows columns"], mode: str = "strict"
) -> Float[Array, "unknowns rows"]:
    """Return the natural logarithms of the physical quantities of cells, in the order of the model's unknowns.

    Args:
        weights: of the network.
        predictors: standardised; the first column is the hemisphere.
        mode: `strict`, or `compat` for the public code's bounds of single precision.
    """
    return log_physical(unbounded_quantities(weights, predictors), as_published() if mode == "compat" else UNKNOWNS)


def hemisphere(latitude: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the hemisphere of latitudes in degrees: their logistic function, 0 in the south and 1 in the north."""
    return 1 / (1 + np.exp(-np.asarray(latitude, float)))
