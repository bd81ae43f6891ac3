"""Arrays of lanes and tables of days in the forms in which the time loops read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array

from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.day_tables import DayTables, LaneCells


def check_tables(model: Model, data: DayTables, segment: int, observed: bool = True) -> None:
    """Refuse tables that are another model's, or whose days are no whole segments.

    Args:
        model: whose time loop reads them.
        data: the tables.
        segment: days of a segment.
        observed: whether the observations are read.

    Raises:
        ValueError: what is wrong with them.
    """
    if data.weather_row.shape[0] % segment:
        raise ValueError(
            f"{data.weather_row.shape[0]} days are no multiple of the segment of {segment}: see day_tables()"
        )
    tables = [(data.weather, model.weather, "weather")]
    tables += [(data.observed, model.observed, "observed")] if observed else []
    for table, wanted, what in tables:
        if table.shape[1] != len(wanted._fields):  # type: ignore[attr-defined]
            raise ValueError(f"{table.shape[1]} fields of {what}, where {model.name} reads {len(wanted._fields)}")  # type: ignore[attr-defined]


def check_outputs(model: Model, outputs: Sequence[str], least: int = 0) -> None:
    """Refuse names that are none of a model's outputs, or fewer than so many.

    Raises:
        ValueError: which, and the valid ones.
    """
    unknown = [name for name in outputs if name not in model.outputs._fields]  # type: ignore[attr-defined]
    if unknown or len(outputs) < least:
        valid = ", ".join(model.outputs._fields)  # type: ignore[attr-defined]
        raise ValueError(f"outputs {', '.join(unknown) or 'none'}: {model.name} has {valid}")


def segments(data: DayTables, segment: int) -> tuple[Array, Array, Array]:
    """Return the rows of weather and of observations and the live days, (segments, days of one, ...)."""
    days = data.weather_row.shape[0]
    shape = (days // segment, segment)
    return data.weather_row.reshape(shape), data.observed_row.reshape(shape), data.live.reshape(*shape, -1)


def cut_fields(rows: Array, lane_cell: LaneCells) -> list[Array]:
    """Cut rows of shape (days, fields, cells) into one array (days, lanes) a field."""
    spread = jnp.take(rows, lane_cell, axis=2)
    return [spread[:, field] for field in range(rows.shape[1])]


def primitive_tables(data: DayTables, lane_cell: LaneCells) -> tuple[DayTables, Array]:
    """Return tables of one floating type and 32-bit indices: the generated folds read bare memory."""
    weather = jnp.asarray(data.weather)
    cells = weather.shape[2]
    return (
        DayTables(
            weather=weather,
            observed=jnp.asarray(data.observed, weather.dtype),
            weather_row=jnp.asarray(data.weather_row, jnp.int32),
            observed_row=jnp.asarray(data.observed_row, jnp.int32),
            live=jnp.asarray(data.live, weather.dtype),
        ),
        jnp.clip(jnp.asarray(lane_cell, jnp.int32), 0, max(cells - 1, 0)),
    )


def stack_numbers(group: list[Any], data: DayTables, lane_cell: LaneCells) -> Array:
    """Return one row of lanes for each number of a group, of the tables' type."""
    dtype = data.weather.dtype
    if not group:
        return jnp.zeros((0, *lane_cell.shape), dtype)
    return jnp.stack([jnp.broadcast_to(jnp.asarray(number, dtype), lane_cell.shape) for number in group])
