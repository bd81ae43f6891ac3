"""The fold as three JAX primitives: its value, its tangents, its adjoint; for the backends that JAX cannot see into.

JAX is told how they follow from each other: the tangent of the value is `fold_tangent`, linear in its last two
arguments; its transpose is `fold_adjoint`, which starts from the states that the value kept at every segment's start.
A batch of anything becomes more lanes; a batch of tangents alone becomes a larger block of them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Float, Int32

from phloem.errors import WorkError
from phloem.kernels.time_loop.day_tables import DayTables
from phloem.kernels.time_loop.flat_day import Text

CONSTANTS, FIRST, WEATHER, OBSERVED, WEATHER_ROW, OBSERVED_ROW, LIVE, LANE_CELL = range(8)
"""Places of the arguments that all three have; FIRST is the first state, of `fold_adjoint` the checkpoints."""

TABLES = (WEATHER, OBSERVED, LIVE)
ROWS = (WEATHER_ROW, OBSERVED_ROW)

ON_GPU = "its arrays lie on a GPU; run it under jax.default_device(jax.devices('cpu')[0])"
NO_GPU = "JAX has no GPU here, or its arrays lie elsewhere; phloem doctor looks for one"


class PlatformError(WorkError):
    """A backend was asked for where its programs do not run."""


value_p, tangent_p, adjoint_p = (Primitive(f"fold_{name}") for name in ("value", "tangent", "adjoint"))


PLATFORMS = ("cpu", "cuda")
"""Platforms of JAX for which the primitives are lowered; on others only the xla backend runs."""


def _backend(name: str, platform: str) -> Any:
    """Return the module of a backend for a program of a platform, imported when it is first asked for.

    Raises:
        PlatformError: the backend does not run there.
    """
    from phloem.kernels.time_loop.cuda import driver

    if name == "auto":
        name = "cpu" if platform == "cpu" else "gpu"
    if platform != ("cpu" if name == "cpu" else driver.platform()):
        why = ON_GPU if name == "cpu" else NO_GPU
        raise PlatformError(f"the {name} backend was asked for in a program of JAX's platform {platform}: {why}")
    if name == "cpu":
        from phloem.kernels.time_loop.cpu import cpu_backend

        return cpu_backend
    from phloem.kernels.time_loop.cuda import gpu_backend

    return gpu_backend


def _common(args: Sequence[Array]) -> tuple[Array, Array, DayTables, Array]:
    constants, first, weather, observed, weather_row, observed_row, live, lane_cell = args[:8]
    return constants, first, DayTables(weather, observed, weather_row, observed_row, live), lane_cell


def _run_value(*args: Array, text: Text, backend: str, periods: int, platform: str) -> Sequence[Array]:
    constants, state0, data, lane_cell = _common(args)
    return _backend(backend, platform).value(text, constants, state0, data, lane_cell, periods)


def _run_tangent(*args: Array, text: Text, backend: str, periods: int, platform: str) -> Sequence[Array]:
    """Arguments after the common ones: checkpoints (for the transpose), tangents of constants and of the state."""
    constants, state0, data, lane_cell = _common(args)
    if text.kept or text.daily:
        raise TypeError(f"outputs by day of the {backend} backend have no forward mode; those of the xla backend have")
    return _backend(backend, platform).tangent(text, constants, state0, data, lane_cell, args[9], args[10])


def _run_adjoint(*args: Array, text: Text, backend: str, periods: int, last: bool, platform: str) -> Sequence[Array]:
    """Arguments after the common ones: adjoints of the sums, of daily outputs if any, of a last state that has one."""
    constants, checkpoints, data, lane_cell = _common(args)
    daily_bar, last_bar = args[9] if text.daily else None, args[-1] if last else None
    return _backend(backend, platform).adjoint(
        text, constants, checkpoints, data, lane_cell, last_bar, args[8], daily_bar
    )


def _shapes_of_value(*args: Any, text: Text, backend: str, periods: int) -> list[tuple[int, ...]]:
    return text.value_shapes(periods, args[WEATHER_ROW].shape[0], args[LANE_CELL].shape[0])


def _shapes_of_tangent(*args: Any, text: Text, backend: str, periods: int) -> list[tuple[int, ...]]:
    last, sums, _, *daily = text.value_shapes(periods, args[WEATHER_ROW].shape[0], args[LANE_CELL].shape[0])
    return [(args[9].shape[0], *shape) for shape in (last, sums, *daily)]


def _shapes_of_adjoint(*args: Any, text: Text, backend: str, periods: int, last: bool) -> list[tuple[int, ...]]:
    lanes = args[LANE_CELL].shape[0]
    return [(text.constants, lanes), (text.states, lanes)]


def _lane_arguments(count: int) -> list[int]:
    """Return the places of arguments whose last axis is that of the lanes."""
    return [place for place in range(count) if place not in (*TABLES, *ROWS)]


def _merge(args: Sequence[Any], dims: Sequence[int | None], size: int) -> list[Any]:
    """Turn a batch into lanes: every lane array becomes `size` times as wide, batched tables hold more cells."""
    merged = list(args)
    for table, rows in ((WEATHER, WEATHER_ROW), (OBSERVED, OBSERVED_ROW)):
        axis = dims[rows]
        if axis is None:
            continue
        each = jnp.moveaxis(merged[rows], axis, 0)  # the rows differ from one to the next: write the days out
        axis = dims[table]
        batched = merged[table] if axis is None else jnp.moveaxis(merged[table], axis, 0)
        merged[table] = jax.vmap(lambda t, r: t[r], (None if axis is None else 0, 0))(batched, each)
        merged[rows] = jnp.arange(each.shape[1], dtype=each.dtype)
        dims = [0 if place == table else None if place == rows else dim for place, dim in enumerate(dims)]
    live = dims[LIVE]
    several = any(dims[place] is not None for place in TABLES)
    cells = (args[LIVE] if live is None else jnp.moveaxis(args[LIVE], live, 0)).shape[-1]
    for place in TABLES:
        if several:
            merged[place] = _widen(merged[place], dims[place], size)
    for place in _lane_arguments(len(args)):
        array = _widen(merged[place], dims[place], size)
        if place == LANE_CELL and several:
            array = array + jnp.repeat(jnp.arange(size, dtype=array.dtype) * cells, array.shape[0] // size)
        merged[place] = array
    return merged


def _widen(array: Any, dim: int | None, size: int) -> Any:
    """Put a batch in front of the last axis and join the two; without a batch, repeat."""
    if dim is None:
        return jnp.tile(array, (1,) * (array.ndim - 1) + (size,))
    moved = jnp.moveaxis(array, dim, -2)
    return moved.reshape(*moved.shape[:-2], moved.shape[-2] * moved.shape[-1])


def _batch(primitive: Primitive, args: Sequence[Any], dims: Sequence[Any], params: Any) -> tuple[list[Any], list[int]]:
    size = next(arg.shape[dim] for arg, dim in zip(args, dims, strict=True) if dim is not None)
    if params["text"].kept and dims[OBSERVED_ROW] is not None:
        raise TypeError("a batch shares its periods: their days cannot differ from one to the next")
    if primitive is tangent_p and all(dim is None for dim in dims[:9]):
        return _batch_of_tangents(args, dims, size, params)
    out = primitive.bind(*_merge(args, dims, size), **params)
    lanes = [array.reshape(*array.shape[:-1], size, array.shape[-1] // size) for array in out]
    return lanes, [array.ndim - 2 for array in lanes]


def _batch_of_tangents(
    args: Sequence[Any], dims: Sequence[int | None], size: int, params: Any
) -> tuple[list[Any], list[int]]:
    dots = []
    for array, dim in zip(args[9:], dims[9:], strict=True):
        batched = jnp.broadcast_to(array, (size, *array.shape)) if dim is None else jnp.moveaxis(array, dim, 0)
        dots.append(batched.reshape(batched.shape[0] * batched.shape[1], *batched.shape[2:]))
    out = tangent_p.bind(*args[:9], *dots, **params)
    return [array.reshape(size, array.shape[0] // size, *array.shape[1:]) for array in out], [0] * len(out)


def _jvp_of_value(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[list[Any], list[Any]]:
    for place, name in ((WEATHER, "forcing"), (OBSERVED, "observations"), (LIVE, "live days")):
        if type(tangents[place]) is not ad.Zero:
            raise TypeError(f"the {params['backend']} fold has no derivative by the {name}; the xla backend has")
    last, sums, checkpoints, *daily = value_p.bind(*primals, **params)
    dots = [ad.instantiate_zeros(tangents[place])[None] for place in (CONSTANTS, FIRST)]
    last_dot, sums_dot, *daily_dot = (dot[0] for dot in tangent_p.bind(*primals, checkpoints, *dots, **params))
    return [last, sums, checkpoints, *daily], [last_dot, sums_dot, ad.Zero(jax.typeof(checkpoints)), *daily_dot]


def _transpose_of_tangent(cotangents: Sequence[Any], *args: Any, **params: Any) -> list[Any]:
    last_bar, *kept_bars = cotangents
    result: list[Any] = [None] * len(args)
    if all(type(bar) is ad.Zero for bar in cotangents):
        for place in (9, 10):
            result[place] = ad.Zero(args[place].aval) if ad.is_undefined_primal(args[place]) else None
        return result
    last = type(last_bar) is not ad.Zero
    bars = [*map(ad.instantiate_zeros, kept_bars), *([last_bar] if last else [])]
    known = [args[CONSTANTS], args[8], *args[2:8]]

    def back(*bars: Any) -> Any:
        return adjoint_p.bind(*known, *bars, last=last, **params)

    pulled = jax.vmap(back)(*bars) if bars[0].shape[0] > 1 else [array[None] for array in back(*(b[0] for b in bars))]
    for place, array in zip((9, 10), pulled, strict=True):
        result[place] = array if ad.is_undefined_primal(args[place]) else None
    return result


def _no_second(name: str) -> Any:
    def refuse(primals: Any, tangents: Any, **params: Any) -> Any:
        raise TypeError(
            f"{name} of the {params['backend']} fold has no derivative: second derivatives need the xla backend"
        )

    return refuse


def _refuse_platform(context: Any, *args: Any, backend: str, **params: Any) -> Any:
    platforms = " and ".join(context.module_context.platforms)
    raise PlatformError(
        f"the {backend} backend was asked for in a program of JAX's platform {platforms}: "
        f"generated folds run on {' and '.join(PLATFORMS)} alone; the xla backend runs everywhere"
    )


def _register(primitive: Primitive, run: Any, shapes: Any) -> None:
    """Give a primitive its value, its shapes, its lowering and its batches."""
    primitive.multiple_results = True

    @functools.lru_cache(maxsize=64)
    def jitted(params: tuple[tuple[str, Any], ...]) -> Any:
        return jax.jit(functools.partial(primitive.bind, **dict(params)))

    def evaluate(*args: Any, **params: Any) -> Any:
        return jitted(tuple(sorted(params.items())))(*args)

    def abstract(*args: Any, **params: Any) -> Any:
        return [args[CONSTANTS].update(shape=shape) for shape in shapes(*args, **params)]

    primitive.def_impl(evaluate)
    primitive.def_abstract_eval(abstract)
    for platform in PLATFORMS:
        rule = mlir.lower_fun(functools.partial(run, platform=platform), multiple_results=True)
        mlir.register_lowering(primitive, rule, platform=platform)
    mlir.register_lowering(primitive, _refuse_platform)
    batching.primitive_batchers[primitive] = lambda args, dims, **params: _batch(primitive, args, dims, params)


_register(value_p, _run_value, _shapes_of_value)
_register(tangent_p, _run_tangent, _shapes_of_tangent)
_register(adjoint_p, _run_adjoint, _shapes_of_adjoint)
ad.primitive_jvps[value_p] = _jvp_of_value
ad.primitive_jvps[tangent_p] = _no_second("the tangent")
ad.primitive_jvps[adjoint_p] = _no_second("the adjoint")
ad.primitive_transposes[tangent_p] = _transpose_of_tangent


def fold_by_primitive(
    text: Text,
    constants: Float[Array, "constants lanes"],
    state0: Float[Array, "states lanes"],
    data: DayTables,
    lane_cell: Int32[Array, " lanes"],
    backend: str,
    periods: int = 0,
) -> list[Array]:
    """Return the last state (states, lanes), the sums (sums, lanes) of a fold, or its kept outputs, and daily ones.

    Args:
        text: the model text.
        constants: shape (constants, lanes).
        state0: shape (states, lanes).
        data: tables of the cells. Where the text keeps outputs, `observed_row` is the period that each day belongs to,
            from 0 on without a step back, or -1 for a day that is not kept.
        lane_cell: cell of each lane, int32, shape (lanes,).
        backend: `cpu`, `gpu`, or `auto` for the one of the platform that the program is compiled for.
        periods: number of periods of kept outputs, (outputs, periods, lanes): each the sum over the days of a period on
            which the lane's cell lives.
    """
    found = value_p.bind(constants, state0, *data, lane_cell, text=text, backend=backend, periods=periods)
    last, sums, _, *daily = found
    return [last, sums, *daily]
