"""All daily outputs of forward runs: the time loop without observations."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.day_tables import SEGMENT, DayTables


@partial(jax.jit, static_argnames=("model", "segment"))
def trajectory(
    model: Model, inputs: Any, state0: Any, data: DayTables, lane_cell: Array, *, segment: int = SEGMENT
) -> Any:
    """Run the same loop and write every output: the model's outputs, each of shape (days, lanes).

    For forward runs and plots; days beyond a cell's own length repeat nonsense and are to be cut by the caller.
    """
    constants = model.prepare(inputs)

    def day(state: Any, rows: tuple[Array, Array]) -> tuple[Any, Any]:
        weather = jnp.take(data.weather[rows[0]], lane_cell, axis=1)
        return model.step(state, constants, model.weather(*weather))

    return lax.scan(day, state0, (data.weather_row, data.observed_row))[1]
