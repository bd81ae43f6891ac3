"""Value and gradient of a fold by two backends, compared bit by bit."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int32

from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.day_tables import SEGMENT, DayTables
from phloem.kernels.time_loop.flat_day import Text
from phloem.kernels.time_loop.fold_primitives import fold_by_primitive
from phloem.kernels.time_loop.lane_arrays import primitive_tables, stack_numbers

RESULTS = ("last states", "sums", "gradient by the constants", "gradient by the first states")


def differing_results(
    model: Model, inputs: Any, state0: Any, data: DayTables, lane_cell: Int32[np.ndarray, " lanes"], device: jax.Device
) -> dict[str, float]:
    """Run value and gradient by the gpu backend on a device and by the cpu backend here; return what differs.

    What is before and behind the fold is computed once, on a processor: XLA's exponentials differ between devices.

    Args:
        model: the model.
        inputs: its parameters, numbers or arrays of shape (lanes,).
        state0: first state, likewise.
        data: tables of the cells.
        lane_cell: cell of each lane, int32.
        device: a GPU; or a processor, where a library stands in for the driver.

    Returns:
        By the name of each result of which a bit differs: the largest difference, relative to its largest number.
    """
    cpu = jax.local_devices(backend="cpu")[0]
    with jax.default_device(cpu):
        leaves, structure = jax.tree.flatten(model.prepare(inputs))
        tables, lanes = primitive_tables(data, jnp.asarray(lane_cell))
        numbers, first = stack_numbers(leaves, tables, lanes), stack_numbers(list(state0), tables, lanes)
        text = Text(model, structure, SEGMENT, True)
        rng = np.random.default_rng(0)
        bars = [
            jnp.asarray(rng.standard_normal((rows, len(lane_cell))), tables.weather.dtype)
            for rows in (text.states, text.sums)
        ]
    given = jax.tree.map(np.asarray, (numbers, first, tables, lanes, bars))

    def run(backend: str, where: jax.Device) -> list[np.ndarray]:
        def gradient(numbers: Any, first: Any, tables: DayTables, lanes: Any, bars: Any) -> tuple[Any, ...]:
            ends, pull = jax.vjp(lambda n, f: fold_by_primitive(text, n, f, tables, lanes, backend), numbers, first)
            return (*ends, *pull(list(bars)))

        with jax.default_device(where):
            return [np.asarray(result) for result in jax.jit(gradient)(*jax.device_put(given, where))]

    wanted, found = run("cpu", cpu), run("gpu", device)
    differing = {}
    for name, mine, theirs in zip(RESULTS, found, wanted, strict=True):
        if mine.tobytes() != theirs.tobytes():
            size = max(float(np.abs(theirs).max()), float(np.finfo(theirs.dtype).tiny))
            differing[name] = float(np.abs(mine - theirs).max()) / size
    return differing
