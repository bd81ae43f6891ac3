"""What networks predict of the cells of a patch: physical quantities, and monthly outputs of the model run with them.

The networks go one after the other through one compiled program, which all patches of so many rows and months share.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from phloem.arithmetic import ceil_div
from phloem.kernels.models.dalec_monthly.monthly_step import monthly_dalec
from phloem.kernels.models.dalec_monthly.records import MonthlyWeather
from phloem.kernels.network.parameter_network import Weights, log_quantities, of_flat
from phloem.kernels.network.patch_model import segment_of
from phloem.kernels.time_loop.day_tables import DayTables
from phloem.kernels.time_loop.run_days import run_days


def networks_of_flat(vectors: Float[Array, "members weights"], predictors: int) -> Weights:
    """Return several networks, members along the first axis of each array, of vectors of `parameter_network.flat`.

    Args:
        vectors: of the weights.
        predictors: number of them, without the hemisphere.

    Raises:
        ValueError: another number of weights than a network with so many predictors has.
    """
    found: Weights = jax.vmap(lambda vector: of_flat(vector, predictors))(vectors)
    return found


def forcing_tables(weather: MonthlyWeather, dtype: Any) -> DayTables:
    """Return the forcing of a patch for the time loop, whole segments of months, with no observation.

    Args:
        weather: each (months, rows).
        dtype: floating type of the tables.
    """
    months, rows = np.shape(weather[0])
    segment = segment_of(months)
    padded = ceil_div(months, segment) * segment
    index = np.minimum(np.arange(padded), months - 1).astype(np.int32)
    live = np.broadcast_to((np.arange(padded) < months)[:, None], (padded, rows))
    # Cast one by one: stacked in double precision a patch's forcing took twice its room.
    numbers = np.stack([np.asarray(one, dtype) for one in weather], 1)
    return DayTables(
        weather=jnp.asarray(numbers),
        observed=jnp.zeros((1, 1, rows), dtype),
        weather_row=jnp.asarray(index),
        observed_row=jnp.zeros(padded, jnp.int32),
        live=jnp.asarray(live, dtype),
    )


@partial(jax.jit, static_argnames=("mode",))
def quantities_of_patch(
    networks: Weights, predictors: Float[Array, "members rows columns"], mode: str = "strict"
) -> Float[Array, "members unknowns rows"]:
    """Return the physical quantities of a patch's rows, in the order of the model's unknowns.

    Args:
        networks: members along the first axis of each array.
        predictors: standardised by the statistics of each member's own run, the hemisphere first.
        mode: `strict` or `compat`.
    """

    def one(of_member: tuple[Weights, Array]) -> Array:
        return jnp.exp(log_quantities(*of_member, mode))

    found: Array = lax.map(one, (networks, predictors))
    return found


@partial(jax.jit, static_argnames=("mode", "backend", "names"))
def outputs_of_patch(
    networks: Weights,
    predictors: Float[Array, "members rows columns"],
    tables: DayTables,
    mode: str = "strict",
    backend: str = "auto",
    names: tuple[str, ...] = ("gpp",),
) -> Float[Array, "members outputs months rows"]:
    """Return monthly outputs of the model, run by each member's quantities.

    Args:
        networks: members along the first axis of each array.
        predictors: standardised by the statistics of each member's own run, the hemisphere first.
        tables: forcing of the patch, as of `forcing_tables`.
        mode: `strict` or `compat`.
        backend: `auto`, `xla`, `cpu` or `gpu`.
        names: of outputs of `dalec_monthly.records.OUTPUTS`.

    Raises:
        ValueError: an output that the model does not have.
    """
    model, (months, _, rows) = monthly_dalec(mode), tables.weather.shape
    lanes = jnp.arange(rows, dtype=jnp.int32)

    def one(of_member: tuple[Weights, Array]) -> Array:
        logs = log_quantities(*of_member, mode)
        count = len(model.parameters)
        _, kept = run_days(
            model, model.inputs_of_logs(logs[:count]), model.first_state(jnp.exp(logs[count:])), tables, lanes, names,
            segment=segment_of(months), backend=backend,
        )  # fmt: skip
        return kept[:, :months]

    found: Array = lax.map(one, (networks, predictors))
    return found
