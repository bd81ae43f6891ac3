"""Forcing and observations as the folds read them: tables of distinct rows, and which row each day reads."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, Int32
from numpy.typing import ArrayLike

from phloem.arithmetic import ceil_div

SEGMENT = 64
"""Days a segment: the state is kept every 64 days (611 times 40 bytes a lane in 107 years)."""

TOGETHER = 32
"""Cells that are written into a table together: two lines of memory of a core's cache."""

YEAR_ROWS = ceil_div(366, SEGMENT) * SEGMENT
"""Days of a table that holds any year, whole segments."""

LaneCells = Int[Array | np.ndarray, " lanes"]
"""Cell of each lane, as a position in the tables; on a device or on the host."""


class DayTables(NamedTuple):
    """Forcing and observations of some cells, stored once a cell and addressed through index tables.

    Attributes:
        weather: shape (rows, fields of the model's weather, cells).
        observed: shape (rows', fields of the model's observed, cells); all weights 0 in the row of no observations.
        weather_row: row of `weather` for each simulated day, int32, shape (days,).
        observed_row: row of `observed` for each simulated day, int32, shape (days,).
        live: 1 on the days that a cell simulates, 0 on days that pad it to its neighbours' length, shape (days, cells).
    """

    weather: Float[Array, "weather_rows fields cells"]
    observed: Float[Array, "observed_rows observed_fields cells"]
    weather_row: Int32[Array, " days"]
    observed_row: Int32[Array, " days"]
    live: Float[Array, "days cells"]


def day_tables(
    weather: list[Any],
    observed: list[Any],
    dtype: Any,
    *,
    segment: int = SEGMENT,
    weather_row: ArrayLike | None = None,
    observed_row: ArrayLike | None = None,
    least: int = 0,
) -> DayTables:
    """Stack cells of unequal length; the number of days is rounded up to whole segments.

    Args:
        weather: one NamedTuple of (days,) arrays a cell.
        observed: one NamedTuple of (days,) arrays a cell, without NaN.
        dtype: floating type of the tables.
        segment: days a segment.
        weather_row: row of the weather for each simulated day, shape (days,), for cycled forcing; then all cells
            simulate all these days. Default: each day its own row.
        observed_row: the same for the observations.
        least: rows that the tables have at least, so that those of other cells can have their shape.

    Returns:
        The tables; padded days repeat the last row and are not live.
    """
    rows = max(least, *(len(w[0]) for w in weather))
    lengths = [len(w[0]) for w in weather] if weather_row is None else [len(np.asarray(weather_row))] * len(weather)
    days = ceil_div(rows if weather_row is None else max(lengths), segment) * segment

    def stack(tables: list[Any]) -> np.ndarray:
        """Fill one table; stacked from copies it took six times its size for a moment.

        Cells are adjacent in it: some of them are written together, so that each line of memory is fetched once.
        """
        height = max(least, *(len(t[0]) for t in tables))
        stacked = np.empty((height, len(tables[0]), len(tables)), dtype)
        for begin in range(0, len(tables), TOGETHER):
            part = tables[begin : begin + TOGETHER]
            slab = np.empty((len(part), height), dtype)
            for field in range(len(tables[0])):
                for row, table in enumerate(part):
                    column = table[field]
                    slab[row, : len(column)] = column
                    slab[row, len(column) :] = column[-1:]
                stacked[:, field, begin : begin + len(part)] = slab.T
        return stacked

    def index(row_of_day: ArrayLike | None, height: int) -> np.ndarray:
        table = np.arange(height) if row_of_day is None else np.asarray(row_of_day)
        return np.pad(table, (0, days - len(table)), "edge").astype(np.int32)

    live = np.arange(days)[:, None] < np.array(lengths)[None, :]
    seen = stack(observed)
    return DayTables(
        weather=jnp.asarray(stack(weather)),
        observed=jnp.asarray(seen),
        weather_row=jnp.asarray(index(weather_row, rows)),
        observed_row=jnp.asarray(index(observed_row, len(seen))),
        live=jnp.asarray(live.astype(dtype)),
    )
