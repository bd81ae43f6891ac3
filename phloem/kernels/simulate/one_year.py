"""A forward run one year at a time: outputs by day, or added up over the year's periods, and the state it ends in."""

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
from phloem.kernels.time_loop.day_tables import YEAR_ROWS, DayTables, day_tables
from phloem.kernels.time_loop.run_days import Periods, run_days


def first_state(model: Model, pools: Float[np.ndarray, "lanes pools"], dtype: Any) -> Any:
    """Return the state in which lanes begin, on the host, each field (lanes,)."""
    return jax.tree.map(np.asarray, model.first_state(jnp.asarray(np.asarray(pools, dtype).T)))


def run_one_year(
    model: Model,
    parameters: Float[np.ndarray, "lanes parameters"],
    state: Any,
    weather: Sequence[Any],
    lane_cell: Int[np.ndarray, " lanes"],
    fields: tuple[str, ...],
    *,
    periods: Int[np.ndarray, " days"] | None,
    count: int,
    dtype: Any,
    backend: str,
) -> tuple[Any, Float[np.ndarray, "fields periods lanes"]]:
    """Run lanes over the days of one year.

    Year after year, a run has the bits of one that goes through, and needs the memory of a year.

    Args:
        model: the model text.
        parameters: physical, (lanes, parameters).
        state: in which the lanes begin the year, each field (lanes,).
        weather: forcing of each cell, NamedTuples that the model reads, (days,) in all their fields; up to 366 days,
            as many in all cells.
        lane_cell: cell of each lane, (lanes,).
        fields: names of the model's outputs.
        periods: of the days, from 0 on, (days,); None: each day is one.
        count: of the periods; the same in all years, so that one program serves them.
        dtype: floating type of the run.
        backend: `auto`, `xla`, `cpu` or `gpu`.

    Returns:
        The state at the year's end, and the outputs: sums over the periods' days, or each day's.
    """
    days = len(weather[0][0])
    record: Any = model.observed
    nothing = [record(*[np.zeros(1)] * len(record._fields))] * len(weather)
    row = np.pad(np.arange(days), (0, YEAR_ROWS - days), "edge")
    live = np.repeat((np.arange(YEAR_ROWS) < days)[:, None], len(weather), 1)
    of_day = None
    if periods is not None:
        rows = np.full(YEAR_ROWS, -1, np.int32)
        rows[:days] = periods
        of_day = Periods(rows, count)
    fixed = np.zeros(YEAR_ROWS, int)
    with device_of(backend):
        # The rows of the table are as many in every year: a program is compiled for their number.
        table = day_tables(list(weather), nothing, dtype, weather_row=row, observed_row=fixed, least=366)
        end, kept = _run(
            model,
            jnp.asarray(np.asarray(parameters, dtype).T),
            state,
            table._replace(live=jnp.asarray(live, table.live.dtype)),
            jnp.asarray(lane_cell, jnp.int32),
            of_day,
            fields,
            backend,
        )
    return jax.tree.map(np.asarray, end), np.asarray(kept)[:, : days if periods is None else count]


@partial(jax.jit, static_argnames=("model", "fields", "backend"))
def _run(
    model: Model,
    parameters: Array,
    state: Any,
    data: DayTables,
    lane_cell: Array,
    periods: Periods | None,
    fields: tuple[str, ...],
    backend: str,
) -> tuple[Any, Array]:
    inputs = model.inputs_of_values(parameters)
    return run_days(model, inputs, state, data, lane_cell, fields, periods=periods, backend=backend)
