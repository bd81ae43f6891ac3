"""Forward runs that keep what a year ends with, and nothing of its days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from phloem.arithmetic import ceil_div
from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.forcing_terms import Weather
from phloem.kernels.models.dalec_daily.records import Observed
from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.day_tables import SEGMENT, Series, series
from phloem.kernels.time_loop.fold import fold


@partial(jax.jit, static_argnames=("model", "backend"))
def _year(model: Model, values: Any, now: Any, data: Series, lane_cell: Array, backend: str) -> tuple[Any, Array]:
    end, sums = fold(model, values, now, data, lane_cell, backend=backend, last=True)
    return end, sums.gpp


def yearly_pools(
    weather: Sequence[Weather],
    years: Sequence[slice],
    parameters: np.ndarray,
    pools: np.ndarray,
    lane_cell: np.ndarray,
    mode: str = "strict",
    dtype: Any = np.float32,
    backend: str = "auto",
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Run year after year.

    Args:
        weather: forcing of each cell, (rows,) in all its fields.
        years: rows of each simulated year, in their order; a year has 365 or 366 days.
        parameters: physical, (lanes, 30).
        pools: initial pools, (lanes, 8).
        lane_cell: cell of each lane, (lanes,).
        mode: `strict` or `compat`.
        dtype: floating type of the run.
        backend: `auto`, `xla` or `cpu`.

    Yields:
        After each year: the eight pools at its end, (lanes, 8), and its GPP, gC m-2, (lanes,).
    """
    model = dalec(mode)
    longest = ceil_div(366, SEGMENT) * SEGMENT
    nothing = [Observed(*[np.zeros(1)] * len(Observed._fields))] * len(weather)
    fixed = np.zeros(longest, int)
    table = series(list(weather), nothing, dtype, weather_row=fixed, observed_row=fixed)
    values = inputs(jnp.asarray(np.asarray(parameters, dtype).T))
    now = state(jnp.asarray(np.asarray(pools, dtype).T))
    cells = jnp.asarray(lane_cell, jnp.int32)
    for year in years:
        count = year.stop - year.start
        rows = np.pad(np.arange(year.start, year.stop, dtype=np.int32), (0, longest - count), "edge")
        live = np.repeat((np.arange(longest) < count)[:, None], len(weather), 1)
        data = table._replace(weather_row=jnp.asarray(rows), live=jnp.asarray(live, table.live.dtype))
        now, gpp = _year(model, values, now, data, cells, backend)
        yield np.stack([np.asarray(pool) for pool in now[:8]], 1).astype(float), np.asarray(gpp, float)
