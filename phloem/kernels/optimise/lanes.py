"""Lanes under calibration: where they start, what is known of each, and how a diverged one starts anew."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from phloem.kernels.models.dalec_daily.parameters import CALIBRATED
from phloem.kernels.objective.bounded_log import unbounded
from phloem.kernels.objective.canopy_calibration import start_value

CANOPY_ROW = [p.name for p in CALIBRATED].index("canopy_efficiency")
PAW_ROW = [p.name for p in CALIBRATED].index("paw")
START_PAW = 500.0
"""mm: with the geometric centre instead, random starts spend most days at the floor and have no gradient."""

MAX_REDRAWS = 5
"""Redraws of a lane in one calibration; a lane that is tried again later has as many more."""

RUNNING, DONE, DIVERGED, PADDING = 0, 1, 2, 3
"""States of a lane while its tile runs; a padding lane fills a block and is never looked at."""


class Lanes(NamedTuple):
    """State of a block of lanes; everything that a checkpoint must hold.

    Attributes:
        key: random key of each lane, uint32 (lanes, 2); depends on seed, cell and member only.
        start: raw values that replace the random ones where finite, (lanes, 38).
        raw: unbounded unknowns, (lanes, 38).
        optimiser: the optimiser's own state, one a lane.
        step: steps taken, int32 (lanes,): by Adam since the lane's last start, by the fast optimiser on all its walks.
        evaluations: gradient evaluations altogether, int32 (lanes,).
        redraws: new starts after a non-finite loss or gradient, those of earlier calibrations included, int32 (lanes,).
        last_redraw: value of `redraws` beyond which a lane is given up, int32 (lanes,).
        phase: RUNNING, DONE, DIVERGED or PADDING, int32 (lanes,).
        stop: why the lane stopped, one of `names.STOP`, int32 (lanes,).
        best_loss: least loss seen at the end value of the sharpness, inf before, (lanes,).
        best_raw: where it was seen, (lanes, 38).
        trace: loss at every stride-th step, NaN where not reached, float32 (lanes, trace).
    """

    key: Array
    start: Array
    raw: Array
    optimiser: Any
    step: Array
    evaluations: Array
    redraws: Array
    last_redraw: Array
    phase: Array
    stop: Array
    best_loss: Array
    best_raw: Array
    trace: Array


def lane_keys(seed: int, cells: Sequence[int], members: Sequence[int]) -> np.ndarray:
    """Return one random key a lane, uint32 (lanes, 2).

    Args:
        seed: the campaign's seed.
        cells: a 32-bit number of each lane's cell, made from its name; never a position.
        members: member of each lane.
    """
    root = jax.random.key(seed, impl="threefry2x32")

    def one(cell: Array, member: Array) -> Array:
        return jax.random.key_data(jax.random.fold_in(jax.random.fold_in(root, cell), member))

    return np.asarray(jax.vmap(one)(jnp.asarray(cells, jnp.uint32), jnp.asarray(members, jnp.uint32)))


@partial(jax.jit, static_argnames="init")
def draw(key: Array, redraws: Array, start: Array, init: str) -> Array:
    """Draw a lane's first raw values; the numbers depend on its key and its redraws alone.

    Args:
        key: (lanes, 2).
        redraws: (lanes,).
        start: (lanes, 38), values that replace the random ones where finite.
        init: `normal`, N(0, 1) as published, or `uniform_u`, uniform between the bounds on the log scale.

    Returns:
        Raw values of start's type, (lanes, 38).
    """

    def one(data: Array, redraw: Array) -> Array:
        lane = jax.random.fold_in(jax.random.wrap_key_data(data, impl="threefry2x32"), redraw)
        if init == "uniform_u":
            u = jax.random.uniform(lane, (len(CALIBRATED),), jnp.float32, 0.02, 0.98)
            return jnp.tan(np.pi * (u - 0.5))
        return jax.random.normal(lane, (len(CALIBRATED),), jnp.float32)

    drawn = jax.vmap(one)(key, redraws).astype(start.dtype)
    return jnp.where(jnp.isfinite(start), start, drawn)


def start_values(ce_opt: Sequence[float], dtype: Any) -> np.ndarray:
    """Return what is not drawn: canopy efficiency from its pre-calibration, and 500 mm of water.

    Args:
        ce_opt: pre-calibrated canopy efficiency of each lane's cell; NaN leaves it to chance.
        dtype: floating type.

    Returns:
        Raw values, NaN where the lane draws, (lanes, 38).
    """
    values = np.array([[p.lower] for p in CALIBRATED]).repeat(len(ce_opt), 1)
    values[CANOPY_ROW] = [start_value(ce) for ce in ce_opt]
    values[PAW_ROW] = START_PAW
    raw = unbounded(values, CALIBRATED).T
    start = np.full_like(raw, np.nan)
    start[:, PAW_ROW] = raw[:, PAW_ROW]
    known = np.isfinite(np.asarray(ce_opt, float))
    start[known, CANOPY_ROW] = raw[known, CANOPY_ROW]
    return start.astype(dtype)


def cell_number(name: str) -> int:
    """Return the 32-bit number of a cell for its random keys; made from its name, never from its place."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
