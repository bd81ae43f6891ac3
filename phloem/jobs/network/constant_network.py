"""A network that sees nothing: the same quantities for all cells, its loss on a patch, and its months.

Its weights are all 0 but the biases of its heads, and so it has the network's own loss and its own arithmetic.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS, PHENOLOGY, UNKNOWNS, as_published
from phloem.kernels.network.parameter_network import Layer, Weights, shapes, unbounded_quantities
from phloem.kernels.network.patch_model import first_state, patch_model, segment_of
from phloem.kernels.network.training_loss import Patch, TrainingLoss
from phloem.kernels.objective.bounded_log import log_physical
from phloem.kernels.time_loop.run_days import run_days
from phloem.model_tables import Parameter

OUTPUTS = ("gpp", "nee", "et", "lai", "sif")
"""Of a month, as `months_of` gives them."""


def constant_network(raw: Array) -> Weights:
    """Return the network that gives the same unbounded quantities everywhere, of no predictor but the hemisphere.

    Args:
        raw: unbounded, in the order of the model's unknowns, (40,).
    """

    def nothing(layer: Layer) -> Layer:
        return Layer(*(jnp.zeros(shape, raw.dtype) for shape in layer))

    of, plain = shapes(0), len(PARAMETERS) - PHENOLOGY
    return Weights(
        tuple(nothing(layer) for layer in of.embedding),
        nothing(of.parameters)._replace(b=raw[:plain]),
        nothing(of.pools)._replace(b=raw[len(PARAMETERS) :]),
        nothing(of.phenology)._replace(b=raw[plain : len(PARAMETERS)]),
    )


def quantities_table(loss: TrainingLoss) -> tuple[Parameter, ...]:
    """Return the 40 quantities with the bounds of a loss's mode."""
    return UNKNOWNS if loss.is_strict else as_published()


@partial(jax.jit, static_argnums=0)
def loss_and_slope(loss: TrainingLoss, raw: Array, patch: Patch) -> tuple[Array, Array]:
    """Return the loss of a patch and its slope, (40,).

    Args:
        loss: of the patch.
        raw: unbounded quantities, (40,).
        patch: of cells; of its predictors only the hemisphere is there.
    """
    value, slope = jax.value_and_grad(lambda x: loss.value(constant_network(x), patch))(raw)
    return value, slope


@partial(jax.jit, static_argnums=(0, 1))
def months_of(loss: TrainingLoss, months: int, raw: Array, patch: Patch) -> Array:
    """Return `OUTPUTS` of a patch's rows, (outputs, months, rows).

    Args:
        loss: its mode and backend.
        months: of the record.
        raw: unbounded quantities, (40,).
        patch: of cells.
    """
    model = patch_model(loss.mode)
    logs = log_physical(unbounded_quantities(constant_network(raw), patch.predictors), quantities_table(loss))
    count, rows = len(model.parameters), patch.predictors.shape[0]
    _, kept = run_days(
        model, model.inputs_of_logs(logs[:count]), first_state(jnp.exp(logs[count:])), patch.tables,
        np.arange(rows, dtype=np.int32), OUTPUTS, segment=segment_of(months), backend=loss.backend,
    )  # fmt: skip
    return kept[:, :months]
