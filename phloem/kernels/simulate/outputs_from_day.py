"""Daily outputs of forward runs from a day on, some fields of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.backends import device_of
from phloem.kernels.time_loop.day_tables import DayTables, day_tables
from phloem.kernels.time_loop.run_days import Periods, run_days


def outputs_from_day(
    model: Model,
    weather: Sequence[Any],
    weather_row: Int[np.ndarray, " days"] | None,
    parameters: Float[np.ndarray, "lanes parameters"],
    pools: Float[np.ndarray, "lanes pools"],
    lane_cell: Int[np.ndarray, " lanes"],
    fields: tuple[str, ...],
    first: int = 0,
    dtype: Any = np.float32,
    backend: str = "auto",
) -> dict[str, Float[np.ndarray, "lanes kept_days"]]:
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
        backend: `auto`, `xla`, `cpu` or `gpu`.

    Returns:
        Each field, (lanes, days - first); days beyond a cell's own record are 0.
    """
    record: Any = model.observed
    nothing = [record(*[np.zeros(1)] * len(record._fields))] * len(weather)
    days = max(len(terms[0]) for terms in weather) if weather_row is None else len(weather_row)
    with device_of(backend):
        table = day_tables(list(weather), nothing, dtype, weather_row=weather_row, observed_row=np.zeros(days, int))
        kept = _run(
            model,
            model.inputs_of_values(jnp.asarray(np.asarray(parameters, dtype).T)),
            model.first_state(jnp.asarray(np.asarray(pools, dtype).T)),
            table,
            jnp.asarray(lane_cell, jnp.int32),
            Periods.days_from(first, days, table.weather_row.shape[0]),
            fields,
            backend,
        )
    return {name: values.T for name, values in zip(fields, np.asarray(kept), strict=True)}


@partial(jax.jit, static_argnames=("model", "fields", "backend"))
def _run(
    model: Model,
    values: Any,
    state: Any,
    data: DayTables,
    lane_cell: Array,
    kept: Periods,
    fields: tuple[str, ...],
    backend: str,
) -> Array:
    return run_days(model, values, state, data, lane_cell, fields, periods=kept, backend=backend)[1]
