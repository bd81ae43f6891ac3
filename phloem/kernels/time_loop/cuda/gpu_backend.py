"""The gpu backend: the fold as CUDA, printed from the model's jaxprs, compiled once a kind of GPU, called by XLA.

Its bits are the cpu backend's. What a kernel needs beside that backend's arguments is worked out by XLA from the
tables: which rows hold observations, and until when any cell lives.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int32, UInt8

from phloem.kernels.time_loop.cuda import driver
from phloem.kernels.time_loop.cuda.cuda_text import ENTRY, CudaSource, source
from phloem.kernels.time_loop.cuda.kernel_images import kernel_image
from phloem.kernels.time_loop.cuda.stand_in_images import stand_in_image
from phloem.kernels.time_loop.day_tables import DayTables
from phloem.kernels.time_loop.flat_day import Text

TARGET = "phloem_launch"
"""Name by which XLA knows the handler."""

UNSEEN, SEEN, MARKED = 0, 1, 2
"""Kinds of a row of observations: nothing in it, something, something rare."""


@functools.cache
def _register(platform: str) -> None:
    handler = driver.handler()
    name = {"cuda": "CUDA"}.get(platform, platform)
    jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(handler.phloem_launch), platform=name)


@functools.cache
def _provide(kernel: CudaSource) -> str:
    """Make a kernel known to the handler, with an image for each kind of GPU here; return its key.

    A process without a GPU may compile programs for some that it does not have: then there are no images.
    """
    key = hashlib.sha256(repr((kernel.text, kernel.options)).encode()).hexdigest()[:24]
    library, stand_in = driver.handler(), driver.stand_in()
    library.phloem_declare(key.encode(), ENTRY.encode(), kernel.threads, kernel.together, kernel.scratch > 0)
    wanted = driver.architectures()
    if stand_in or wanted:
        driver.open_driver()
    images = [stand_in_image(stand_in, kernel)] if stand_in else [kernel_image(kernel, one) for one in wanted]
    for image in images:
        if library.phloem_provide(key.encode(), image.architecture, image.is_ptx, image.image, len(image.image)):
            raise MemoryError("no memory for a kernel's image")
    return key


def kinds_of_rows(text: Text, observed: Float[Array, "rows fields cells"]) -> UInt8[Array, " rows"]:
    """Return which rows hold observations of any cell, usual or rare: UNSEEN, SEEN or MARKED."""
    there = jnp.any(observed != 0, axis=2)
    rare = np.isin(np.arange(observed.shape[1]), text.rare)
    marked, seen = (jnp.any(there & jnp.asarray(which), axis=1) for which in (rare, ~rare))
    return jnp.where(marked, MARKED, jnp.where(seen, SEEN, UNSEEN)).astype(jnp.uint8)


def lived_days(text: Text, live: Float[Array, "days cells"]) -> Int32[Array, 1]:
    """Return the days up to the end of the last segment in which a cell lives."""
    inhabited = jnp.any((live > 0).reshape(-1, text.segment * live.shape[1]), axis=1)
    last = jnp.max(jnp.where(inhabited, jnp.arange(1, inhabited.shape[0] + 1), 0), initial=0)
    return (last * text.segment).astype(jnp.int32).reshape(1)


def _call(
    kernel: CudaSource,
    text: Text,
    shapes: Sequence[tuple[int, ...]],
    constants: Array,
    first: Array,
    data: DayTables,
    lane_cell: Array,
    more: Sequence[Array],
    periods: int = 0,
    tangents: int = 1,
) -> list[Array]:
    dtype, lanes = constants.dtype, lane_cell.shape[0]
    _register(driver.platform())
    results = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    if kernel.scratch:
        results.append(jax.ShapeDtypeStruct((kernel.scratch, lanes), dtype))
    kinds = jnp.zeros(data.observed.shape[:1], jnp.uint8) if text.kept else kinds_of_rows(text, data.observed)
    tables = [data.weather, data.observed, data.weather_row, data.observed_row, data.live, lane_cell]
    found = jax.ffi.ffi_call(TARGET, results)(
        *(constants, first, *tables, *more, kinds, lived_days(text, data.live)),
        key=_provide(kernel),
        periods=np.int64(periods),
        tangents=np.int64(tangents),
    )
    return list(found[: len(shapes)])


def value(
    text: Text,
    constants: Float[Array, "constants lanes"],
    state0: Float[Array, "states lanes"],
    data: DayTables,
    lane_cell: Int32[Array, " lanes"],
    periods: int = 0,
) -> list[Array]:
    """Simulate and reduce; arguments and results are those of `cpu_backend.value`."""
    shapes = text.value_shapes(periods, data.weather_row.shape[0], lane_cell.shape[0])
    kernel = source("VALUE", text, constants.dtype)
    return _call(kernel, text, shapes, constants, state0, data, lane_cell, [], periods)


def adjoint(
    text: Text,
    constants: Float[Array, "constants lanes"],
    checkpoints: Float[Array, "segments states lanes"],
    data: DayTables,
    lane_cell: Int32[Array, " lanes"],
    last_bar: Float[Array, "states lanes"] | None,
    sums_bar: Float[Array, "sums *periods lanes"],
    daily_bar: Float[Array, "outputs days lanes"] | None = None,
) -> tuple[Float[Array, "constants lanes"], Float[Array, "states lanes"]]:
    """Pull cotangents back; arguments and results are those of `cpu_backend.adjoint`."""
    lanes = lane_cell.shape[0]
    kernel = source("ADJOINT", text, constants.dtype, last=last_bar is not None)
    more = [sums_bar, *(bar for bar in (daily_bar, last_bar) if bar is not None)]
    shapes = [(text.constants, lanes), (text.states, lanes)]
    periods = sums_bar.shape[1] if text.kept else 0
    constants_bar, state0_bar = _call(
        kernel, text, shapes, constants, checkpoints, data, lane_cell, more, periods=periods
    )
    return constants_bar, state0_bar


def tangent(
    text: Text,
    constants: Float[Array, "constants lanes"],
    state0: Float[Array, "states lanes"],
    data: DayTables,
    lane_cell: Int32[Array, " lanes"],
    constants_dot: Float[Array, "tangents constants lanes"],
    state0_dot: Float[Array, "tangents states lanes"],
) -> tuple[Float[Array, "tangents states lanes"], Float[Array, "tangents sums lanes"]]:
    """Push a block of tangents forward; arguments and results are those of `cpu_backend.tangent`."""
    lanes, tangents = lane_cell.shape[0], constants_dot.shape[0]
    kernel = source("TANGENT", text, constants.dtype)
    shapes = [(tangents, text.states, lanes), (tangents, text.sums, lanes)]
    more = [constants_dot, state0_dot]
    last_dot, sums_dot = _call(kernel, text, shapes, constants, state0, data, lane_cell, more, tangents=tangents)
    return last_dot, sums_dot
