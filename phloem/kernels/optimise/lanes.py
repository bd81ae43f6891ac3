"""Lanes under calibration: their state, their random keys, their first raw values and their redraws."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Float32, Int, Int32, UInt32

from phloem.kernels.models.model import Model
from phloem.kernels.objective.bounded_log import unbounded

MAX_REDRAWS = 5
"""Redraws of a lane in one calibration; a lane that is tried again later has as many more."""

NEAR = 0.05
"""Spread of the walks that begin beside a better lane's end, in arsinh x: some 1.6 % of a range in its middle."""

RUNNING, DONE, DIVERGED, PADDING = 0, 1, 2, 3
"""States of a lane while its tile runs; a padding lane fills a block and is never looked at."""


class Lanes(NamedTuple):
    """State of a block of lanes; everything that a checkpoint must hold.

    Attributes:
        key: random key of each lane, uint32 (lanes, 2); depends on seed, cell and member only.
        start: raw values that replace the random ones where finite, (lanes, unknowns).
        raw: unbounded unknowns, (lanes, unknowns).
        optimiser: the optimiser's own state, one a lane.
        step: steps taken, int32 (lanes,): by Adam since the lane's last start, by the fast optimiser on all its walks.
        evaluations: gradient evaluations altogether, int32 (lanes,).
        redraws: new starts after a non-finite loss or gradient, those of earlier calibrations included, int32 (lanes,).
        last_redraw: value of `redraws` beyond which a lane is given up, int32 (lanes,).
        phase: RUNNING, DONE, DIVERGED or PADDING, int32 (lanes,).
        stop: why the lane stopped, one of `names.STOP`, int32 (lanes,).
        best_loss: least loss seen at the end value of the sharpness, inf before, (lanes,).
        best_raw: where it was seen, (lanes, unknowns).
        near: raw values of a better lane of the cell's, beside which a lane that is taken up again may walk; NaN where
            there is none, (lanes, unknowns).
        aim: its loss and the gap that is allowed, inf where there is none: a lane that ends above it walks once more,
            from `near`, (lanes,).
        borrowed: whether it does, or did, int32 (lanes,).
        trace: loss at every stride-th step, NaN where not reached, float32 (lanes, trace).
    """

    key: UInt32[Array, "lanes 2"]
    start: Float[Array, "lanes unknowns"]
    raw: Float[Array, "lanes unknowns"]
    optimiser: Any
    step: Int32[Array, " lanes"]
    evaluations: Int32[Array, " lanes"]
    redraws: Int32[Array, " lanes"]
    last_redraw: Int32[Array, " lanes"]
    phase: Int32[Array, " lanes"]
    stop: Int32[Array, " lanes"]
    best_loss: Float[Array, " lanes"]
    best_raw: Float[Array, "lanes unknowns"]
    near: Float[Array, "lanes unknowns"]
    aim: Float[Array, " lanes"]
    borrowed: Int32[Array, " lanes"]
    trace: Float32[Array, "lanes trace"]


def cell_number(name: str) -> int:
    """Return the 32-bit number of a cell for its random keys; made from its name, never from its place."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def lane_keys(seed: int, cells: Sequence[int], members: Sequence[int]) -> UInt32[np.ndarray, "lanes 2"]:
    """Return one random key a lane, uint32 (lanes, 2).

    Args:
        seed: the campaign's seed.
        cells: a 32-bit number of each lane's cell, made from its name; never a position.
        members: member of each lane.
    """
    root = jax.random.key(seed, impl="threefry2x32")

    def lane_key(cell: Array, member: Array) -> Array:
        return jax.random.key_data(jax.random.fold_in(jax.random.fold_in(root, cell), member))

    return np.asarray(jax.vmap(lane_key)(jnp.asarray(cells, jnp.uint32), jnp.asarray(members, jnp.uint32)))


@partial(jax.jit, static_argnames="init")
def draw(
    key: UInt32[Array, "lanes 2"], redraws: Int[Array, " lanes"], start: Float[Array, "lanes unknowns"], init: str
) -> Float[Array, "lanes unknowns"]:
    """Draw a lane's first raw values; the numbers depend on its key and its redraws alone.

    Args:
        key: (lanes, 2).
        redraws: (lanes,).
        start: (lanes, unknowns), values that replace the random ones where finite.
        init: `normal`, N(0, 1) as published, or `uniform_u`, uniform between the bounds on the log scale.

    Returns:
        Raw values of start's type, (lanes, unknowns).
    """

    def draw_lane(data: Array, redraw: Array) -> Array:
        lane = jax.random.fold_in(jax.random.wrap_key_data(data, impl="threefry2x32"), redraw)
        if init == "uniform_u":
            u = jax.random.uniform(lane, start.shape[1:], jnp.float32, 0.02, 0.98)
            return jnp.tan(np.pi * (u - 0.5))
        return jax.random.normal(lane, start.shape[1:], jnp.float32)

    drawn = jax.vmap(draw_lane)(key, redraws).astype(start.dtype)
    return jnp.where(jnp.isfinite(start), start, drawn)


@jax.jit
def beside(
    key: UInt32[Array, "lanes 2"], redraws: Int[Array, " lanes"], raw: Float[Array, "lanes unknowns"]
) -> Float[Array, "lanes unknowns"]:
    """Return raw values near others, arsinh x being off by a normal number of spread NEAR; NaN stays NaN.

    Args:
        key: (lanes, 2).
        redraws: (lanes,).
        raw: (lanes, unknowns).
    """

    def move_lane(data: Array, redraw: Array) -> Array:
        lane = jax.random.fold_in(jax.random.wrap_key_data(data, impl="threefry2x32"), redraw)
        return jax.random.normal(jax.random.fold_in(lane, 1), raw.shape[1:], jnp.float32)

    moves = NEAR * jax.vmap(move_lane)(key, redraws)
    return jnp.sinh(jnp.arcsinh(raw.astype(jnp.float64)) + moves).astype(raw.dtype)


def start_values(
    starts: Sequence[Mapping[str, float]], model: Model, dtype: Any
) -> Float[np.ndarray, "lanes unknowns"]:
    """Return what is not drawn.

    Args:
        starts: physical values of each lane's unknowns that have one, by name; an initial pool is `initial_` and its
            name.
        model: whose unknowns they are.
        dtype: floating type.

    Returns:
        Raw values, NaN where the lane draws, (lanes, unknowns).
    """
    unknowns = model.unknowns
    names = [p.name for p in model.parameters] + [f"initial_{p.name}" for p in model.pools]
    rows = {name: row for row, name in enumerate(names)}
    values = np.array([[p.lower] for p in unknowns]).repeat(len(starts), 1)
    known = np.zeros(values.shape, bool)
    for lane, start in enumerate(starts):
        for name, value in start.items():
            values[rows[name], lane], known[rows[name], lane] = value, True
    return np.where(known, unbounded(values, unknowns), np.nan).T.astype(dtype)
