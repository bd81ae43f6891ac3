"""Pools at year ends and yearly sums of forward runs, without the days between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from phloem.kernels.time_loop.fold import fold


@partial(jax.jit, static_argnames=("model", "total", "backend"))
def _year(
    model: Model, values: Any, now: Any, data: DayTables, lane_cell: Array, total: str | None, backend: str
) -> tuple[Any, Array]:
    end, sums = fold(model, values, now, data, lane_cell, backend=backend, last=True)
    return end, lane_cell if total is None else getattr(sums, total)


def yearly_pools(
    model: Model,
    weather: Sequence[Any],
    years: Sequence[slice],
    parameters: Float[np.ndarray, "lanes parameters"],
    pools: Float[np.ndarray, "lanes pools"],
    lane_cell: Int[np.ndarray, " lanes"],
    total: str | None,
    dtype: Any = np.float32,
    backend: str = "auto",
) -> Iterator[tuple[Float[np.ndarray, "lanes pools"], Float[np.ndarray, " lanes"] | None]]:
    """Run year after year.

    Args:
        model: the model text.
        weather: forcing of each cell, NamedTuples that the model reads, (rows,) in all its fields.
        years: rows of each simulated year, in their order; a year has 365 or 366 days.
        parameters: physical, (lanes, parameters).
        pools: initial pools, (lanes, pools).
        lane_cell: cell of each lane, (lanes,).
        total: the model's sum that is returned for each year; None: none.
        dtype: floating type of the run.
        backend: `auto`, `xla`, `cpu` or `gpu`.

    Yields:
        After each year: the pools at its end, (lanes, pools), and its total, (lanes,), or None.
    """
    record: Any = model.observed
    nothing = [record(*[np.zeros(1)] * len(record._fields))] * len(weather)
    fixed = np.zeros(YEAR_ROWS, int)
    with device_of(backend):
        table = day_tables(list(weather), nothing, dtype, weather_row=fixed, observed_row=fixed)
        values = model.inputs_of_values(jnp.asarray(np.asarray(parameters, dtype).T))
        now = model.first_state(jnp.asarray(np.asarray(pools, dtype).T))
        cells = jnp.asarray(lane_cell, jnp.int32)
    for year in years:
        count = year.stop - year.start
        rows = np.pad(np.arange(year.start, year.stop, dtype=np.int32), (0, YEAR_ROWS - count), "edge")
        live = np.repeat((np.arange(YEAR_ROWS) < count)[:, None], len(weather), 1)
        with device_of(backend):  # not while the caller has its turn
            data = table._replace(weather_row=jnp.asarray(rows), live=jnp.asarray(live, table.live.dtype))
            now, amount = _year(model, values, now, data, cells, total, backend)
        ends = [np.asarray(getattr(now, pool.name)) for pool in model.pools]
        yield np.stack(ends, 1).astype(float), None if total is None else np.asarray(amount, float)
