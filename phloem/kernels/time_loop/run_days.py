"""The time loop with outputs by day: the fold that keeps what a day gives, or what some days do together.

    run_days(model, inputs, state0, tables, lane_cell, outputs) -> (state_T, outputs by day)

It takes `outputs x days x lanes` numbers, or `outputs x periods x lanes`; where that is too much, run some days, and go
on from the state they end in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int

from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.backends import resolve
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


@partial(jax.tree_util.register_dataclass, data_fields=["of_day"], meta_fields=["count"])
@dataclass(frozen=True, eq=False)
class Periods:
    """Periods of days over which outputs are added up.

    Attributes:
        of_day: the period of each day, from 0 on without a step back, or -1 for a day that is not kept; int32 (days,).
        count: number of periods.
    """

    of_day: Any
    count: int

    @classmethod
    def of(cls, of_day: Int[np.ndarray, " days"], padded: int) -> Periods:
        """Return the periods of days, in a table that is padded to more days.

        Raises:
            ValueError: they step back.
        """
        if (np.diff(of_day[of_day >= 0]) < 0).any():
            raise ValueError("periods of days step back")
        rows = np.full(padded, -1, np.int32)
        rows[: len(of_day)] = of_day
        return cls(rows, int(of_day.max(initial=-1)) + 1)

    @classmethod
    def days_from(cls, first: int, days: int, padded: int) -> Periods:
        """Return the days from one on, each a period, in a table that is padded to more days."""
        return cls.of(np.maximum(np.arange(days) - first, -1), padded)


def run_days(
    model: Model,
    inputs: Any,
    state0: Any,
    data: DayTables,
    lane_cell: LaneCells,
    outputs: tuple[str, ...],
    *,
    periods: Periods | None = None,
    segment: int = SEGMENT,
    backend: str = "auto",
) -> tuple[Any, Float[Array, "outputs periods lanes"]]:
    """Simulate and keep outputs of every day, or their sums over periods; differentiable by `inputs` and `state0`.

    In reverse mode a cotangent is due for every output, period and lane. Beside the outputs the way back needs the
    states at the segments' starts alone: `states x days / 64 x lanes` numbers. The xla backend has a forward mode too.

    Args:
        model: the model text.
        inputs: the model's inputs, each of shape (lanes,).
        state0: the model's first state, each of shape (lanes,).
        data: tables of the cells; the observations are not read.
        lane_cell: cell of each lane, int32, shape (lanes,).
        outputs: names of the model's outputs.
        periods: of the days, which share them among the cells; None: each day is one.
        segment: days a checkpointed segment; the tables' days are a multiple of it.
        backend: `auto`, `xla`, `cpu` or `gpu`.

    Returns:
        The last state, a NamedTuple of arrays of shape (lanes,), and the outputs, (outputs, periods, lanes): sums over
        the days of a period. On days that a lane's cell does not live, outputs are 0 and the state stays.

    Raises:
        ValueError: the days are no multiple of the segment, the tables are another model's, an output is unknown, or
            the backend is.
        TypeError: a derivative by the forcing, in forward mode or of second order was asked of another backend than
            `xla`.
    """
    check_tables(model, data, segment, observed=False)
    check_outputs(model, outputs, least=1)
    constants = model.prepare(inputs)
    chosen = resolve(backend)
    if chosen == "xla":
        return _by_scan(model, constants, state0, data, lane_cell, outputs, periods, segment)
    days = data.weather_row.shape[0]
    nothing = jnp.zeros((1, len(model.observed._fields), data.weather.shape[2]), data.weather.dtype)  # type: ignore[attr-defined]
    of_day = jnp.arange(days, dtype=jnp.int32) if periods is None else periods.of_day
    data = data._replace(observed=nothing, observed_row=of_day)
    data, lane_cell = primitive_tables(data, lane_cell)
    leaves, structure = jax.tree.flatten(constants)
    numbers, first = stack_numbers(leaves, data, lane_cell), stack_numbers(list(state0), data, lane_cell)
    text = Text(model, structure, segment, kept=outputs)
    count = days if periods is None else periods.count
    end, kept = fold_by_primitive(text, numbers, first, data, lane_cell, chosen, count)
    return model.state(*end), kept


def _by_scan(
    model: Model,
    constants: Any,
    state0: Any,
    data: DayTables,
    lane_cell: LaneCells,
    outputs: tuple[str, ...],
    periods: Periods | None,
    segment: int,
) -> tuple[Any, Array]:
    dtype = data.weather.dtype
    state0 = jax.tree.map(lambda a: jnp.broadcast_to(jnp.asarray(a, dtype), lane_cell.shape), state0)

    def day(constants: Any, state: Any, row: tuple[Any, Array]) -> tuple[Any, list[Array]]:
        alive = row[1] > 0
        new, found = model.step(state, constants, row[0])
        kept = [jnp.where(alive, jnp.asarray(getattr(found, name), dtype), 0) for name in outputs]
        return jax.tree.map(lambda a, b: jnp.where(alive, a, b), new, state), kept

    @jax.checkpoint
    def run(state: Any, constants: Any, rows: tuple[Array, Array]) -> tuple[Any, list[Array]]:
        weather = model.weather(*cut_fields(data.weather[rows[0]], lane_cell))
        live = jnp.take(rows[1], lane_cell, axis=1)
        return lax.scan(partial(day, constants), state, (weather, live))

    def outer(state: Any, rows: tuple[Array, Array, Array]) -> tuple[Any, list[Array]]:
        return run(state, constants, (rows[0], rows[2]))

    def outer_of_periods(carry: tuple[Any, Array], rows: tuple[tuple[Array, Array, Array], Array]) -> Any:
        state, kept = run(carry[0], constants, (rows[0][0], rows[0][2]))
        counts = jnp.where(rows[1][:, None] >= 0, jnp.stack(kept), 0)
        return (state, carry[1].at[:, jnp.maximum(rows[1], 0)].add(counts)), None

    if periods is None:
        last, by_segment = lax.scan(outer, state0, segments(data, segment))
        return last, jnp.stack([one.reshape(-1, *lane_cell.shape) for one in by_segment])
    of_day = jnp.asarray(periods.of_day, jnp.int32).reshape(-1, segment)
    nothing = jnp.zeros((len(outputs), periods.count, *lane_cell.shape), dtype)
    (last, kept), _ = lax.scan(outer_of_periods, (state0, nothing), (segments(data, segment), of_day))
    return last, kept
