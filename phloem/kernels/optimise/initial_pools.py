"""Initial pools that satisfy the steady-state constraints, found by forward runs without gradients."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from phloem.kernels.objective.bounded_log import log_bounds, log_physical
from phloem.kernels.objective.objective import EQUILIBRIUM_FACTOR, EQUILIBRIUM_TOLERANCE, Objective, SiteData
from phloem.kernels.optimise.arsinh_coordinates import raw_of

MOVES = 4
"""Moves of the pools."""

FORWARD_RUNS = MOVES + 1
"""Forward runs of `balance_initial_pools`: one a move, and one that looks at the last."""

AIMED_SHARE = 0.8
"""Pools are moved to this share of what a steady-state constraint allows."""

MAX_LOG_MOVE = 1.0
"""Largest move of the natural logarithm of a pool."""

KEPT_FROM_BOUNDS = 0.03
"""Pools are not moved closer to their bounds than this share of the log range: there the transform has no slope."""


def balance_initial_pools(
    objective: Objective, raw: Array, sharpness: Array, data: SiteData, lane_cell: Array
) -> Array:
    """Move the steady pools of each lane until its steady-state terms are small; keep the point of the least loss.

    A pool whose mean over the years, or whose inflow over outflow, is off by a factor gets an initial size that is
    moved by what exceeds the allowed part of that factor, the larger of the two. The parameters stay.

    Args:
        objective: what is minimised.
        raw: unbounded unknowns, (lanes, unknowns).
        sharpness: k, (lanes,).
        data: the cells.
        lane_cell: cell of each lane, (lanes,).

    Returns:
        Raw values whose loss is that of `raw` or less, (lanes, unknowns).
    """
    count = len(objective.model.parameters)
    pools = [row for row, pool in enumerate(objective.model.pools, count) if pool.name in objective.steady_pools]
    if not pools:
        return raw
    rows = np.array(pools)
    span = jnp.asarray(log_bounds(objective.unknowns, raw.dtype)[1][rows, 0])

    def loss_and_moves(raw: Array) -> tuple[Array, Array]:
        terms, sums = objective.terms(raw.T, sharpness, data, lane_cell)
        logs = log_physical(raw.T, objective.unknowns)
        p, pools = objective.model.inputs_of_logs(logs[:count]), jnp.exp(logs[count:])
        ratios = objective.balances(p, sums, pools, data, lane_cell)
        moves = [_move(jnp.log(drift), jnp.log(ratio)) for drift, ratio in ratios.values()]
        loss = reduce(add, terms)
        return jnp.where(jnp.isfinite(loss), loss, jnp.inf), jnp.stack(moves, 1)

    def move_pools(_: Any, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        now, best, least = carry
        loss, moves = loss_and_moves(now)
        better = loss < least
        best, least = jnp.where(better[:, None], now, best), jnp.where(better, loss, least)
        u = jnp.arctan(now[:, rows]) / np.pi + 0.5
        low, high = jnp.minimum(u, KEPT_FROM_BOUNDS), jnp.maximum(u, 1 - KEPT_FROM_BOUNDS)
        u = jnp.clip(u + moves / span, low, high)
        return now.at[:, rows].set(jnp.tan(np.pi * (u - 0.5))), best, least

    start = (raw, raw, jnp.full(raw.shape[0], jnp.inf, raw.dtype))
    return lax.fori_loop(0, FORWARD_RUNS, move_pools, start)[1]


def _move(drift: Array, ratio: Array) -> Array:
    """Return by how much a pool's logarithm should move, from the logarithms of its two ratios."""
    first = _beyond(drift, AIMED_SHARE * EQUILIBRIUM_TOLERANCE)
    second = _beyond(drift + ratio, AIMED_SHARE * EQUILIBRIUM_FACTOR)
    move = jnp.where(jnp.abs(second) > jnp.abs(first), second, first)
    return jnp.clip(jnp.where(jnp.isfinite(move), move, 0), -MAX_LOG_MOVE, MAX_LOG_MOVE)


def _beyond(value: Array, allowed: float) -> Array:
    return jnp.sign(value) * jnp.maximum(jnp.abs(value) - allowed, 0)


RESTART_POINTS = tuple(float(np.arcsinh(np.tan(np.pi * (u - 0.5)))) for u in (0.85, 0.93, 0.98))
"""z at 0.85, 0.93 and 0.98 of the log range; the one of least loss begins the whole record. A stand that begins
with few leaves cannot live on what they earn (its light falls with the square of LAI), and no gradient leads out of a
dead one: with the first alone 55 of 1,200 lanes ended there."""


def restart_live_pools(
    objective: Objective,
    point: Array,
    entering: Array,
    rows: tuple[int, ...],
    sharpness: Array,
    data: SiteData,
    lane_cell: Array,
) -> Array:
    """Return the points at which lanes begin the whole record, some unknowns at the RESTART_POINTS of least loss.

    Args:
        objective: of the whole record.
        point: z of each lane, float64 (lanes, unknowns).
        entering: lanes that begin it now, bool (lanes,); the others stay.
        rows: unknowns that are set, positions in the unbounded vector.
        sharpness: k, (lanes,), of the type in which the loss is evaluated.
        data: the cells.
        lane_cell: cell of each lane, (lanes,).
    """
    best, least = point, jnp.full(len(point), jnp.inf, sharpness.dtype)
    for z in RESTART_POINTS:
        trial = point.at[:, np.array(rows)].set(z)
        loss = objective.loss(raw_of(trial, sharpness.dtype).T, sharpness, data, lane_cell)
        better = loss < least
        best, least = jnp.where(better[:, None], trial, best), jnp.where(better, loss, least)
    return jnp.where(entering[:, None], best, point)
