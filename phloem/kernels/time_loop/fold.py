"""The fold: a simulation reduced to its last state and the sums that a loss needs, with nothing of time x lanes kept.

    fold(model, inputs, state0, tables, lane_cell) -> (state_T, sums)
    fold_and_keep(..., outputs) -> (state_T, sums, outputs by day)

Three backends run it. `xla`, the reference, is here: a scan over days inside a scan over segments. Each segment is
checkpointed, so that reverse mode keeps the state at the segments' starts only and computes the rest again. `cpu`
(generated C) and `gpu` (CUDA from the same printer) are primitives to JAX.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.backends import resolve
from phloem.kernels.time_loop.compensated_sum import add_exactly
from phloem.kernels.time_loop.day_tables import SEGMENT, DayTables, LaneCells
from phloem.kernels.time_loop.flat_day import Text
from phloem.kernels.time_loop.fold_primitives import fold_by_primitive
from phloem.kernels.time_loop.lane_arrays import (
    check_outputs,
    check_tables,
    cut_fields,
    primitive_tables,
    segments,
    stack_numbers,
)


def fold(
    model: Model,
    inputs: Any,
    state0: Any,
    data: DayTables,
    lane_cell: LaneCells,
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
    state, sums, _ = fold_and_keep(
        model, inputs, state0, data, lane_cell, (), segment=segment, backend=backend, last=last
    )
    return state, sums


def fold_and_keep(
    model: Model,
    inputs: Any,
    state0: Any,
    data: DayTables,
    lane_cell: LaneCells,
    outputs: tuple[str, ...],
    *,
    segment: int = SEGMENT,
    backend: str = "auto",
    last: bool = True,
) -> tuple[Any, Any, Float[Array, "outputs days lanes"]]:
    """Simulate, reduce, and keep some outputs by day: for a loss of which a term needs them, in one run each way.

    Differentiable in reverse mode; with no outputs, or by the xla backend, in forward mode too.

    Args:
        model: as of `fold`.
        inputs: likewise.
        state0: likewise.
        data: likewise.
        lane_cell: likewise.
        outputs: names of the model's outputs that are kept.
        segment: as of `fold`.
        backend: likewise.
        last: likewise.

    Returns:
        As of `fold`, and the outputs, (outputs, days, lanes), 0 on days that a lane's cell does not live.

    Raises:
        ValueError: as of `fold`, or an output is unknown.
        TypeError: as of `fold`, or forward mode was asked of another backend than `xla`.
    """
    check_tables(model, data, segment)
    check_outputs(model, outputs)
    constants = model.prepare(inputs)
    chosen = resolve(backend)
    if chosen == "xla":
        state, totals, kept = _fold_by_scan(model, constants, state0, data, lane_cell, segment, outputs)
        return (state if last else None), totals, kept
    data, lane_cell = primitive_tables(data, lane_cell)
    leaves, structure = jax.tree.flatten(constants)
    numbers, first = stack_numbers(leaves, data, lane_cell), stack_numbers(list(state0), data, lane_cell)
    text = Text(model, structure, segment, last, daily=outputs)
    end, sums, *daily = fold_by_primitive(text, numbers, first, data, lane_cell, chosen)
    kept = daily[0] if daily else jnp.zeros((0, data.weather_row.shape[0], *lane_cell.shape), sums.dtype)
    return (model.state(*end) if last else None), model.sums(*sums), kept


def _fold_by_scan(
    model: Model,
    constants: Any,
    state0: Any,
    data: DayTables,
    lane_cell: LaneCells,
    segment: int,
    outputs: tuple[str, ...],
) -> tuple[Any, Any, Array]:
    nothing = model.sums(*(jnp.zeros_like(state0[0]) for _ in model.sums._fields))  # type: ignore[attr-defined]
    dtype, days = data.weather.dtype, data.weather_row.shape[0]

    def day(constants: Any, carry: tuple[Any, Any], row: tuple[Any, Any, Array]) -> tuple[tuple[Any, Any], list[Array]]:
        state, sums = carry
        alive = row[2] > 0
        new, found = model.step(state, constants, row[0])
        more = model.score(found, row[1])
        state = jax.tree.map(lambda a, b: jnp.where(alive, a, b), new, state)
        sums = jax.tree.map(lambda a, b: b + jnp.where(alive, a, 0), more, sums)
        return (state, sums), [jnp.where(alive, jnp.asarray(getattr(found, name), dtype), 0) for name in outputs]

    @jax.checkpoint
    def run(state: Any, constants: Any, rows: tuple[Array, Array, Array]) -> tuple[tuple[Any, Any], list[Array]]:
        # One array a field, cut before the loop: fields cut inside it made the day twice as slow.
        weather = model.weather(*cut_fields(data.weather[rows[0]], lane_cell))
        observed = model.observed(*cut_fields(data.observed[rows[1]], lane_cell))
        live = jnp.take(rows[2], lane_cell, axis=1)
        return lax.scan(partial(day, constants), (state, nothing), (weather, observed, live))

    def outer(
        carry: tuple[Any, Any, Any], rows: tuple[Array, Array, Array]
    ) -> tuple[tuple[Any, Any, Any], list[Array]]:
        state, totals, rests = carry
        (state, more), kept = run(state, constants, rows)
        pairs = [add_exactly(t, r, m) for t, r, m in zip(totals, rests, more, strict=True)]
        return (state, model.sums(*(p[0] for p in pairs)), model.sums(*(p[1] for p in pairs))), kept

    (last, totals, _), kept = lax.scan(outer, (state0, nothing, nothing), segments(data, segment))
    shape = (len(outputs), days, *lane_cell.shape)
    return last, totals, jnp.stack(kept).reshape(shape) if outputs else jnp.zeros(shape, dtype)
