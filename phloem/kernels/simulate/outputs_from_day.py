"""Daily outputs of forward runs from a day on, some fields of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.day_tables import DayTables, day_tables


def outputs_from_day(
    model: Model,
    weather: Sequence[Any],
    weather_row: np.ndarray | None,
    parameters: np.ndarray,
    pools: np.ndarray,
    lane_cell: np.ndarray,
    fields: tuple[str, ...],
    first: int = 0,
    dtype: Any = np.float32,
) -> dict[str, np.ndarray]:
    """Run lanes over all their days and return the fields from one day on.

    Args:
        model: the model text.
        weather: forcing of each cell, NamedTuples that the model reads, (rows,) in all its fields.
        weather_row: row of the forcing of each simulated day, the same for all cells, (days,); None: a row a day.
        parameters: physical, (lanes, parameters).
        pools: initial pools, (lanes, pools).
        lane_cell: cell of each lane, (lanes,).
        fields: names of the model's outputs.
        first: day from which on outputs are kept.
        dtype: floating type of the run.

    Returns:
        Each field, (lanes, days - first); days beyond a cell's own record repeat nonsense.
    """
    record: Any = model.observed
    nothing = [record(*[np.zeros(1)] * len(record._fields))] * len(weather)
    days = max(len(terms[0]) for terms in weather) if weather_row is None else len(weather_row)
    table = day_tables(list(weather), nothing, dtype, weather_row=weather_row, observed_row=np.zeros(days, int))
    kept = _run(
        model,
        model.inputs_of_values(jnp.asarray(np.asarray(parameters, dtype).T)),
        model.first_state(jnp.asarray(np.asarray(pools, dtype).T)),
        table._replace(weather_row=table.weather_row[:days]),
        jnp.asarray(lane_cell, jnp.int32),
        fields,
        first,
    )
    return {name: np.asarray(values).T for name, values in zip(fields, kept, strict=True)}


@partial(jax.jit, static_argnames=("model", "fields", "first"))
def _run(
    model: Model, values: Any, first_state: Any, data: DayTables, lane_cell: Array, fields: tuple[str, ...], first: int
) -> tuple[Array, ...]:
    constants = model.prepare(values)

    def step(now: Any, row: Array) -> tuple[Any, Any]:
        return model.step(now, constants, model.weather(*jnp.take(data.weather[row], lane_cell, axis=1)))

    def day(now: Any, row: Array) -> tuple[Any, tuple[Array, ...]]:
        new, outputs = step(now, row)
        return new, tuple(getattr(outputs, name) for name in fields)

    now, _ = lax.scan(lambda now, row: (step(now, row)[0], None), first_state, data.weather_row[:first])
    return lax.scan(day, now, data.weather_row[first:])[1]
