"""The fold: a simulation reduced to its last state and the sums that a loss needs, with nothing of time x lanes kept.

    fold(model, inputs, state0, series, lane_cell) -> (state_T, sums)

This is the `xla` backend, the reference: a scan over days inside a scan over segments. Each segment is checkpointed,
so that reverse mode keeps the state at the segments' starts only and computes the rest again.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import ArrayLike

from phloem.kernels.model import Model

SEGMENT = 64
"""Days a segment: the state is kept every 64 days (611 times 40 bytes a lane in 107 years)."""


class Series(NamedTuple):
    """Forcing and observations of some cells, stored once a cell and addressed through index tables.

    Attributes:
        weather: shape (rows, fields of the model's weather, cells).
        observed: shape (rows', fields of the model's observed, cells); all weights 0 in the row of no observations.
        weather_row: row of `weather` for each simulated day, int32, shape (days,).
        observed_row: row of `observed` for each simulated day, int32, shape (days,).
        live: 1 on the days that a cell simulates, 0 on days that pad it to its neighbours' length, shape (days, cells).
    """

    weather: Array
    observed: Array
    weather_row: Array
    observed_row: Array
    live: Array


def series(
    weather: list[Any],
    observed: list[Any],
    dtype: Any,
    *,
    segment: int = SEGMENT,
    weather_row: ArrayLike | None = None,
    observed_row: ArrayLike | None = None,
) -> Series:
    """Stack cells of unequal length; the number of days is rounded up to whole segments.

    Args:
        weather: one NamedTuple of (days,) arrays a cell.
        observed: one NamedTuple of (days,) arrays a cell, without NaN.
        dtype: floating type of the tables.
        segment: days a segment.
        weather_row: row of the weather for each simulated day, shape (days,), for cycled forcing; then all cells
            simulate all these days. Default: each day its own row.
        observed_row: the same for the observations.

    Returns:
        The tables; padded days repeat the last row and are not live.
    """
    rows = max(len(w[0]) for w in weather)
    lengths = [len(w[0]) for w in weather] if weather_row is None else [len(np.asarray(weather_row))] * len(weather)
    days = -(-max(lengths) // segment) * segment

    def stack(tables: list[Any]) -> np.ndarray:
        height = max(len(t[0]) for t in tables)
        return np.stack([np.pad(np.stack(t, 1), ((0, height - len(t[0])), (0, 0)), "edge") for t in tables], 2)

    def index(given: ArrayLike | None, height: int) -> np.ndarray:
        table = np.arange(height) if given is None else np.asarray(given)
        return np.pad(table, (0, days - len(table)), "edge").astype(np.int32)

    live = np.arange(days)[:, None] < np.array(lengths)[None, :]
    seen = stack(observed)
    return Series(
        weather=jnp.asarray(stack(weather).astype(dtype)),
        observed=jnp.asarray(seen.astype(dtype)),
        weather_row=jnp.asarray(index(weather_row, rows)),
        observed_row=jnp.asarray(index(observed_row, len(seen))),
        live=jnp.asarray(live.astype(dtype)),
    )


def _segments(data: Series, segment: int) -> tuple[Array, Array, Array]:
    days = data.weather_row.shape[0]
    shape = (days // segment, segment)
    return data.weather_row.reshape(shape), data.observed_row.reshape(shape), data.live.reshape(*shape, -1)


def _fields(rows: Array, lane_cell: Array) -> list[Array]:
    """Cut rows of shape (days, fields, cells) into one array (days, lanes) a field."""
    spread = jnp.take(rows, lane_cell, axis=2)
    return [spread[:, field] for field in range(rows.shape[1])]


def _add_exactly(total: Array, rest: Array, more: Array) -> tuple[Array, Array]:
    """Add with the rounding error carried along; the carried part has no derivative.

    Knuth's TwoSum, exact whichever of the two is larger: with the shorter form, which is not, a segment of padding
    changed the last bits of a sum that its last segment had dominated.
    """
    wanted = more + lax.stop_gradient(rest)
    new = total + wanted
    part = new - total
    return new, lax.stop_gradient((total - (new - part)) + (wanted - part))


def fold(
    model: Model, inputs: Any, state0: Any, data: Series, lane_cell: Array, *, segment: int = SEGMENT
) -> tuple[Any, Any]:
    """Simulate and reduce.

    Args:
        model: the model text.
        inputs: the model's inputs, each of shape (lanes,).
        state0: the model's first state, each of shape (lanes,).
        data: tables of the cells.
        lane_cell: cell of each lane, int32, shape (lanes,).
        segment: days a checkpointed segment; the tables' days are a multiple of it.

    Returns:
        The last state and the sums, NamedTuples of arrays of shape (lanes,). Sums are plain within a segment and
        compensated from segment to segment.
    """
    constants = model.prepare(inputs)
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
        pairs = [_add_exactly(t, r, m) for t, r, m in zip(totals, rests, more, strict=True)]
        return (state, model.sums(*(p[0] for p in pairs)), model.sums(*(p[1] for p in pairs))), None

    (last, totals, _), _ = lax.scan(outer, (state0, nothing, nothing), _segments(data, segment))
    return last, totals


@partial(jax.jit, static_argnames=("model", "segment"))
def trajectory(
    model: Model, inputs: Any, state0: Any, data: Series, lane_cell: Array, *, segment: int = SEGMENT
) -> Any:
    """Run the same loop and write every output: the model's outputs, each of shape (days, lanes).

    For forward runs and plots; days beyond a cell's own length repeat nonsense and are to be cut by the caller.
    """
    constants = model.prepare(inputs)

    def day(state: Any, rows: tuple[Array, Array]) -> tuple[Any, Any]:
        weather = jnp.take(data.weather[rows[0]], lane_cell, axis=1)
        return model.step(state, constants, model.weather(*weather))

    return lax.scan(day, state0, (data.weather_row, data.observed_row))[1]
