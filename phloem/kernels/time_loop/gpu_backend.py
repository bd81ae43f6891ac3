"""The gpu backend: value, adjoint and tangents of the fold, each one Pallas kernel with the time loop inside.

A program simulates a block of lanes. Its states, constants and sums are registers; the tables of forcing stay in device
memory, where the members of a cell read the same addresses. The kernels take the Triton route: in jax 0.10.2 the other
one, Mosaic GPU, refuses blocks whose strides are no multiple of 16 bytes. In interpret mode they run anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jax.extend import core
from jaxtyping import Float, Int32

from phloem.kernels.time_loop.compensated_sum import add_exactly
from phloem.kernels.time_loop.day_tables import DayTables
from phloem.kernels.time_loop.flat_day import Text

LANES = 32
"""Lanes a program: one warp, one lane a thread, so that few lanes still spread over many multiprocessors."""

TANGENTS = 2
"""Tangents that share a primal. Of dalec for an H100, one takes 215 registers; two spill 124 bytes, three spill 712."""

TABLES = len(DayTables._fields) + 1
"""Refs in front of all others: the tables and the lanes' cells."""

Row = list[Any]
"""One array of the block's lanes for each constant, state, sum or field."""


def _load(ref: Any, *at: Any) -> Row:
    return [ref[(*at, number, slice(None))] for number in range(ref.shape[-2])]


def _store(ref: Any, row: Row, *at: Any) -> None:
    for number, values in enumerate(row):
        ref[(*at, number, slice(None))] = values


def _store_day(ref: Any, day: Any, row: Row) -> None:
    for number, values in enumerate(row):
        ref[number, day, :] = values


def _clear(ref: Any, period: Any, carry: Any) -> Any:
    """Set the outputs of a period to 0, as the body of a loop that carries nothing."""
    for number in range(ref.shape[0]):
        ref[number, period, :] = jnp.zeros(ref.shape[2:], ref.dtype)
    return carry


def _choose(alive: Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(alive, a, b), new, old)


def _add(alive: Array, sums: Any, more: Any) -> Any:
    return jax.tree.map(lambda a, b: a + jnp.where(alive, b, 0), sums, more)


def _add_all_exactly(*rows: Row) -> tuple[Row, Row]:
    totals, rests = zip(*map(add_exactly, *rows), strict=True)
    return list(totals), list(rests)


def _repeat(count: int, body: Callable[[Any, Any], Any], carry: Any) -> Any:
    """Loop over 0 to count - 1; 32-bit, since Python's bounds would be 64-bit where jax has float64."""
    return lax.fori_loop(jnp.int32(0), jnp.int32(count), body, carry)


def _evaluate(closed: core.ClosedJaxpr, args: Sequence[Any]) -> Row:
    """Evaluate a jaxpr with a minimum and a maximum that are NaN where an operand is."""
    env = dict(zip((*closed.jaxpr.constvars, *closed.jaxpr.invars), (*closed.consts, *args), strict=True))

    def read(atoms: Sequence[Any]) -> Row:
        return [atom.val if isinstance(atom, core.Literal) else env[atom] for atom in atoms]

    for eqn in closed.jaxpr.eqns:
        name, values = eqn.primitive.name, read(eqn.invars)
        if name in ("jit", "custom_jvp_call"):
            results = _evaluate(eqn.params["jaxpr" if name == "jit" else "call_jaxpr"], values)
        elif name in ("min", "max"):
            a, b = sorted((v if isinstance(v, Array) else float(v) for v in values), key=lambda v: isinstance(v, float))
            results = [jnp.where((a < b if name == "min" else a > b) | (a != a), a, b)]
        else:
            bound = eqn.primitive.bind(*values, **eqn.params)
            results = bound if eqn.primitive.multiple_results else [bound]
        env.update(zip(eqn.outvars, results, strict=True))
    return read(closed.jaxpr.outvars)


def _keep_nan(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function so that NaN stays NaN; Triton's own minimum would bring a diverged lane back as a number."""
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    return jax.tree.unflatten(jax.tree.structure(shapes), _evaluate(closed, jax.tree.leaves(args)))


class _Days:
    """The days of a block of lanes, read from refs of a `DayTables` in device memory and of the lanes' cells."""

    def __init__(self, text: Text, refs: Sequence[Any]) -> None:
        self.text, self.tables, self.cells = text, DayTables(*refs[:-1]), refs[-1][:]
        self.zero = jnp.zeros(self.cells.shape, self.tables.weather.dtype)

    def read(self, day: Any) -> tuple[Callable[[Row, Row], tuple[Row, Row]], Array]:
        """Return the day as a function of state and constants, and whether each lane simulates it."""
        tables, row, seen = self.tables, self.tables.weather_row[day], self.tables.observed_row[day]
        weather = [tables.weather[row, field, self.cells] for field in range(self.text.weather)]
        observed = [tables.observed[seen, field, self.cells] for field in range(self.text.observed)]

        def step(state: Row, constants: Row) -> tuple[Row, Row]:
            # A text may say a plain number, whose cotangent would be one number for all lanes.
            new, more = self.text.day(state, constants, weather, observed)
            return jax.tree.map(lambda a: a if jnp.shape(a) else jnp.full_like(self.zero, a), (new, more))

        return step, tables.live[day, self.cells] > 0

    def period(self, day: Any, alive: Array) -> tuple[Any, Array]:
        """Return the period that a day belongs to, 0 for one that is not kept, and in which lanes it counts."""
        period = self.tables.observed_row[day]
        return jnp.maximum(period, 0), alive & (period >= 0)

    def bars(self, ref: Any, day: Any, alive: Array) -> Row:
        """Return the cotangents of a day's kept outputs, from a ref (outputs, periods, lanes)."""
        period, counts = self.period(day, alive)
        return [jnp.where(counts, ref[number, period, :], 0) for number in range(self.text.sums)]

    def daily_bars(self, refs: Sequence[Any], day: Any, alive: Array) -> Row:
        """Return the cotangents of a day's outputs beside the sums, from a ref (outputs, days, lanes) if any."""
        return [jnp.where(alive, ref[number, day, :], 0) for ref in refs for number in range(len(self.text.daily))]


def _value_kernel(text: Text, segments: int, _: bool, *refs: Any) -> None:
    tables, (constants_ref, state0_ref, last_ref, sums_ref, checkpoints_ref, *daily_refs) = refs[:TABLES], refs[TABLES:]
    days, constants = _Days(text, tables), _load(constants_ref)
    nothing = [days.zero] * text.sums
    if text.kept:
        _repeat(sums_ref.shape[1], partial(_clear, sums_ref), 0)

    def segment(g: Any, carry: tuple[Row, Row, Row]) -> tuple[Row, Row, Row]:
        state, totals, rests = carry
        _store(checkpoints_ref, state, g)

        def run_day(t: Any, carry: tuple[Row, Row]) -> tuple[Row, Row]:
            state, sums = carry
            step, alive = days.read(g * text.segment + t)
            new, more = _keep_nan(step, state, constants)
            if text.kept:
                period, counts = days.period(g * text.segment + t, alive)
                for number, output in enumerate(more):
                    sums_ref[number, period, :] = sums_ref[number, period, :] + jnp.where(counts, output, 0)
                return _choose(alive, new, state), sums
            for ref in daily_refs:
                _store_day(ref, g * text.segment + t, [jnp.where(alive, one, 0) for one in more[text.sums :]])
            return _choose(alive, new, state), _add(alive, sums, more[: text.sums])

        state, more = _repeat(text.segment, run_day, (state, nothing))
        return state, *_add_all_exactly(totals, rests, more)

    state, totals, _ = _repeat(segments, segment, (_load(state0_ref), nothing, nothing))
    _store(last_ref, state)
    if not text.kept:
        _store(sums_ref, totals)


def _adjoint_kernel(text: Text, segments: int, interpret: bool, *refs: Any) -> None:
    tables, (constants_ref, checkpoints_ref, last_bar_ref, sums_bar_ref) = refs[:TABLES], refs[TABLES : TABLES + 4]
    *daily_refs, constants_bar_ref, state0_bar_ref, kept = refs[TABLES + 4 :]
    days, constants = _Days(text, tables), _load(constants_ref)
    whole_bar = [] if text.kept else _load(sums_bar_ref)
    nothing = [days.zero] * text.constants
    # Triton orders a program's accesses to shared memory, not those to device memory; interpreted, all are in order.
    fence = (lambda: None) if interpret else triton.debug_barrier

    def segment(k: Any, carry: tuple[Row, Row, Row]) -> tuple[Row, Row, Row]:
        state_bar, totals, rests = carry
        g = segments - 1 - k

        def forward(t: Any, state: Row) -> Row:
            _store(kept, state, t)
            step, alive = days.read(g * text.segment + t)
            return _choose(alive, _keep_nan(step, state, constants)[0], state)

        def backward(k: Any, carry: tuple[Row, Row]) -> tuple[Row, Row]:
            state_bar, constants_bar = carry
            t = text.segment - 1 - k
            day = g * text.segment + t
            step, alive = days.read(day)
            sums_bar = days.bars(sums_bar_ref, day, alive) if text.kept else whole_bar
            sums_bar = [*sums_bar, *days.daily_bars(daily_refs, day, alive)]
            new, more = _keep_nan(lambda *at: jax.vjp(step, *at)[1]((state_bar, sums_bar)), _load(kept, t), constants)
            return _choose(alive, new, state_bar), _add(alive, constants_bar, more)

        _repeat(text.segment, forward, _load(checkpoints_ref, g))
        fence()
        state_bar, more = _repeat(text.segment, backward, (state_bar, nothing))
        fence()
        return state_bar, *_add_all_exactly(totals, rests, more)

    state_bar, totals, _ = _repeat(segments, segment, (_load(last_bar_ref), nothing, nothing))
    _store(constants_bar_ref, totals)
    _store(state0_bar_ref, state_bar)


def _tangent_kernel(text: Text, segments: int, _: bool, *refs: Any) -> None:
    *tables, constants_ref, state0_ref, constants_dot_ref, state0_dot_ref, last_dot_ref, sums_dot_ref = refs
    days, constants = _Days(text, tables), _load(constants_ref)
    chunk = range(constants_dot_ref.shape[0])
    constants_dots, state0_dots = ([_load(ref, k) for k in chunk] for ref in (constants_dot_ref, state0_dot_ref))
    nothing = [[days.zero] * text.sums for _ in chunk]

    def segment(g: Any, carry: tuple[Row, list[Row], list[Row]]) -> tuple[Row, list[Row], list[Row]]:
        state, state_dots, totals = carry

        def run_day(t: Any, carry: tuple[Row, list[Row], list[Row]]) -> tuple[Row, list[Row], list[Row]]:
            state, state_dots, sums_dots = carry
            step, alive = days.read(g * text.segment + t)

            def pushed(state: Row, constants: Row) -> tuple[Row, list[Row], list[Row]]:
                (new, _), push = jax.linearize(step, state, constants)
                dots = [push(*pair) for pair in zip(state_dots, constants_dots, strict=True)]
                return new, [dot[0] for dot in dots], [dot[1] for dot in dots]

            *new, more = _keep_nan(pushed, state, constants)
            return *_choose(alive, new, [state, state_dots]), _add(alive, sums_dots, more)

        state, state_dots, more = _repeat(text.segment, run_day, (state, state_dots, nothing))
        return state, state_dots, jax.tree.map(jnp.add, totals, more)

    _, state_dots, totals = _repeat(segments, segment, (_load(state0_ref), state0_dots, nothing))
    for k in chunk:
        _store(last_dot_ref, state_dots[k], k)
        _store(sums_dot_ref, totals[k], k)


def _run(
    kernel: Any, text: Text, data: DayTables, inputs: list[Array], outputs: Any, interpret: bool | None, chunk: int = 0
) -> list[Array]:
    """Run a kernel over blocks of lanes, and over chunks of tangents where there are any.

    Inputs, the lanes' cells first, and outputs have lanes on the last axis; the outputs' shapes are given without it.
    With a chunk, it divides the number of tangents, and they are the first axis of whatever has three.
    """
    segments, lanes = len(data.weather_row) // text.segment, inputs[0].shape[0]
    interpret = jax.default_backend() != "gpu" if interpret is None else interpret
    fill = -lanes % LANES
    padded = [jnp.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, fill)], "edge") for array in inputs]
    shapes = [(*shape, lanes + fill) for shape in outputs]

    def block(shape: tuple[int, ...]) -> pl.BlockSpec:
        if chunk and len(shape) == 3:
            return pl.BlockSpec((chunk, shape[1], LANES), lambda block, part: (part, 0, block))
        return pl.BlockSpec((*shape[:-1], LANES), lambda block, part: (*(0 for _ in shape[:-1]), block))

    called = pl.pallas_call(
        partial(kernel, text, segments, interpret),
        grid=((lanes + fill) // LANES, outputs[0][0] // chunk if chunk else 1),
        in_specs=[pl.BlockSpec(memory_space=pl.ANY)] * len(data) + [block(array.shape) for array in padded],
        out_specs=[block(shape) for shape in shapes],
        out_shape=[jax.ShapeDtypeStruct(shape, data.weather.dtype) for shape in shapes],
        compiler_params=triton.CompilerParams(num_warps=LANES // 32, num_stages=1),
        interpret=interpret,
    )
    return [array[..., :lanes] for array in called(*data, *padded)]


@partial(jax.jit, static_argnames=("text", "periods", "interpret"))
def value(
    text: Text,
    constants: Float[Array, "constants lanes"],
    state0: Float[Array, "states lanes"],
    data: DayTables,
    lane_cell: Int32[Array, " lanes"],
    periods: int = 0,
    *,
    interpret: bool | None = None,
) -> list[Array]:
    """Simulate and reduce.

    Args:
        text: the model text; the days of the data are a multiple of its segment.
        constants: shape (constants, lanes).
        state0: first state, shape (states, lanes).
        data: tables of the cells.
        lane_cell: cell of each lane, int32, shape (lanes,).
        periods: of kept outputs, as in `fold_by_primitive`.
        interpret: whether to run in interpret mode. Default: where jax's default backend is no GPU.

    Returns:
        The last state, the sums, plain within a segment and compensated from segment to segment, and the state at each
        segment's start, shape (segments, states, lanes). Outputs that are kept stand in the place of the sums,
        (outputs, periods, lanes); daily ones if any come last, (outputs, days, lanes).
    """
    outputs = [shape[:-1] for shape in text.value_shapes(periods, len(data.weather_row), 1)]
    return _run(_value_kernel, text, data, [lane_cell, constants, state0], outputs, interpret)


@partial(jax.jit, static_argnames=("text", "interpret"))
def adjoint(
    text: Text,
    constants: Float[Array, "constants lanes"],
    checkpoints: Float[Array, "segments states lanes"],
    data: DayTables,
    lane_cell: Int32[Array, " lanes"],
    last_bar: Float[Array, "states lanes"] | None,
    sums_bar: Float[Array, "sums *periods lanes"],
    daily_bar: Float[Array, "outputs days lanes"] | None = None,
    *,
    interpret: bool | None = None,
) -> tuple[Float[Array, "constants lanes"], Float[Array, "states lanes"]]:
    """Pull cotangents of the last state (states, lanes), None for 0, of sums or kept and of daily outputs back.

    Returns:
        The cotangents of the constants, added up like sums, and of the first state.
    """
    last_bar = jnp.zeros_like(checkpoints[0]) if last_bar is None else last_bar
    inputs = [lane_cell, constants, checkpoints, last_bar, sums_bar, *([] if daily_bar is None else [daily_bar])]
    outputs = ((text.constants,), (text.states,), (text.segment, text.states))
    constants_bar, state0_bar, _ = _run(_adjoint_kernel, text, data, inputs, outputs, interpret)
    return constants_bar, state0_bar


@partial(jax.jit, static_argnames=("text", "interpret"))
def tangent(
    text: Text,
    constants: Float[Array, "constants lanes"],
    state0: Float[Array, "states lanes"],
    data: DayTables,
    lane_cell: Int32[Array, " lanes"],
    constants_dot: Float[Array, "tangents constants lanes"],
    state0_dot: Float[Array, "tangents states lanes"],
    *,
    interpret: bool | None = None,
) -> tuple[Float[Array, "tangents states lanes"], Float[Array, "tangents sums lanes"]]:
    """Push tangents of constants (tangents, constants, lanes) and first state (tangents, states, lanes); see `value`.

    Returns:
        The tangents of the last state (tangents, states, lanes) and of the sums (tangents, sums, lanes).
    """
    count = constants_dot.shape[0]
    chunk = min(TANGENTS, count)
    fill = -count % chunk
    dots = [jnp.pad(dot, ((0, fill), (0, 0), (0, 0))) for dot in (constants_dot, state0_dot)]
    outputs = ((count + fill, text.states), (count + fill, text.sums))
    inputs = [lane_cell, constants, state0, *dots]
    last_dot, sums_dot = _run(_tangent_kernel, text, data, inputs, outputs, interpret, chunk)
    return last_dot[:count], sums_dot[:count]
