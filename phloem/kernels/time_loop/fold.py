"""The fold: a simulation reduced to its last state and the sums that a loss needs, with nothing of time x lanes kept.

    fold(model, inputs, state0, tables, lane_cell) -> (state_T, sums)

Three backends run it. `xla`, the reference, is here: a scan over days inside a scan over segments. Each segment is
checkpointed, so that reverse mode keeps the state at the segments' starts only and computes the rest again. `cpu`
(generated C) and `gpu` (Pallas) are primitives to JAX.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.backends import resolve
from phloem.kernels.time_loop.compensated_sum import add_exactly
from phloem.kernels.time_loop.day_tables import SEGMENT, DayTables
from phloem.kernels.time_loop.flat_day import Text
from phloem.kernels.time_loop.fold_primitives import fold_by_primitive


def _segments(data: DayTables, segment: int) -> tuple[Array, Array, Array]:
    days = data.weather_row.shape[0]
    shape = (days // segment, segment)
    return data.weather_row.reshape(shape), data.observed_row.reshape(shape), data.live.reshape(*shape, -1)


def _fields(rows: Array, lane_cell: Array) -> list[Array]:
    """Cut rows of shape (days, fields, cells) into one array (days, lanes) a field."""
    spread = jnp.take(rows, lane_cell, axis=2)
    return [spread[:, field] for field in range(rows.shape[1])]


def fold(
    model: Model,
    inputs: Any,
    state0: Any,
    data: DayTables,
    lane_cell: Array,
    *,
    segment: int = SEGMENT,
    backend: str = "auto",
    last: bool = True,
) -> tuple[Any, Any]:
    """Simulate and reduce; differentiable in both modes by `inputs` and `state0`.

    Args:
        model: the model text.
        inputs: the model's inputs, each of shape (lanes,).
        state0: the model's first state, each of shape (lanes,).
        data: tables of the cells.
        lane_cell: cell of each lane, int32, shape (lanes,).
        segment: days a checkpointed segment; the tables' days are a multiple of it.
        backend: `auto`, `xla`, `cpu` or `gpu`.
        last: whether the last state is wanted; what only it depends on need not be computed then.

    Returns:
        The last state (None where it is not wanted) and the sums, NamedTuples of arrays of shape (lanes,). Sums are
        plain within a segment and compensated from segment to segment.

    Raises:
        ValueError: the days are no multiple of the segment, the tables are another model's, or the backend is unknown.
        TypeError: a derivative by the forcing, or a second derivative, was asked of another backend than `xla`.
    """
    if data.weather_row.shape[0] % segment:
        raise ValueError(
            f"{data.weather_row.shape[0]} days are no multiple of the segment of {segment}: see day_tables()"
        )
    for table, wanted, what in ((data.weather, model.weather, "weather"), (data.observed, model.observed, "observed")):
        if table.shape[1] != len(wanted._fields):  # type: ignore[attr-defined]
            raise ValueError(f"{table.shape[1]} fields of {what}, where {model.name} reads {len(wanted._fields)}")  # type: ignore[attr-defined]
    constants = model.prepare(inputs)
    chosen = resolve(backend)
    if chosen == "xla":
        state, totals = _fold_by_scan(model, constants, state0, data, lane_cell, segment)
        return (state if last else None), totals
    data, lane_cell = _as_the_backends_read(data, lane_cell)
    leaves, structure = jax.tree.flatten(constants)
    numbers, first = _stack(leaves, data, lane_cell), _stack(list(state0), data, lane_cell)
    text = Text(model, structure, segment, last)
    end, sums = fold_by_primitive(text, numbers, first, data, lane_cell, chosen)
    return (model.state(*end) if last else None), model.sums(*sums)


def _as_the_backends_read(data: DayTables, lane_cell: Array) -> tuple[DayTables, Array]:
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


def _stack(group: list[Any], data: DayTables, lane_cell: Array) -> Array:
    """Return one row of lanes for each number of a group, of the tables' type."""
    dtype = data.weather.dtype
    if not group:
        return jnp.zeros((0, *lane_cell.shape), dtype)
    return jnp.stack([jnp.broadcast_to(jnp.asarray(number, dtype), lane_cell.shape) for number in group])


def _fold_by_scan(
    model: Model, constants: Any, state0: Any, data: DayTables, lane_cell: Array, segment: int
) -> tuple[Any, Any]:
    nothing = model.sums(*(jnp.zeros_like(state0[0]) for _ in model.sums._fields))  # type: ignore[attr-defined]

    def day(constants: Any, carry: tuple[Any, Any], row: tuple[Any, Any, Array]) -> tuple[tuple[Any, Any], None]:
        state, sums = carry
        alive = row[2] > 0
        new, outputs = model.step(state, constants, row[0])
        more = model.score(outputs, row[1])
        state = jax.tree.map(lambda a, b: jnp.where(alive, a, b), new, state)
        sums = jax.tree.map(lambda a, b: b + jnp.where(alive, a, 0), more, sums)
        return (state, sums), None

    @jax.checkpoint
    def run(state: Any, constants: Any, rows: tuple[Array, Array, Array]) -> tuple[Any, Any]:
        # One array a field, cut before the loop: fields cut inside it made the day twice as slow.
        weather = model.weather(*_fields(data.weather[rows[0]], lane_cell))
        observed = model.observed(*_fields(data.observed[rows[1]], lane_cell))
        live = jnp.take(rows[2], lane_cell, axis=1)
        return lax.scan(partial(day, constants), (state, nothing), (weather, observed, live))[0]

    def outer(carry: tuple[Any, Any, Any], rows: tuple[Array, Array, Array]) -> tuple[tuple[Any, Any, Any], None]:
        state, totals, rests = carry
        state, more = run(state, constants, rows)
        pairs = [add_exactly(t, r, m) for t, r, m in zip(totals, rests, more, strict=True)]
        return (state, model.sums(*(p[0] for p in pairs)), model.sums(*(p[1] for p in pairs))), None

    (last, totals, _), _ = lax.scan(outer, (state0, nothing, nothing), _segments(data, segment))
    return last, totals
