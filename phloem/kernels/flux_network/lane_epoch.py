"""An epoch of a block of lanes: a network, weights of rows, statistics and an early stop each; rows shared by all.

A lane's numbers may depend on how many lanes a block has, and on nothing else that stands beside it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from jaxtyping import Bool, Float, Int, Int32, UInt32

from phloem.kernels.flux_network.constrained_loss import ConstrainedLoss, FluxBatch, TermSums
from phloem.kernels.flux_network.flux_network import (
    FluxWeights,
    first_flux_weights,
    flat_flux_weights,
    flux_weights_of_flat,
)
from phloem.kernels.flux_network.lane_statistics import LaneStatistics, Numbers


class FluxLanes(NamedTuple):
    """Where lanes stand; everything that a checkpoint must hold.

    Attributes:
        weights: of the networks, laid flat, (lanes, weights).
        first_moment: of Adam, (lanes, weights).
        second_moment: of Adam, (lanes, weights).
        steps: of Adam, (lanes,).
        best: weights at the end of the best epoch, the first ones before any, (lanes, weights).
        best_loss: validation loss of that epoch, inf before any, (lanes,).
        last_loss: validation loss of the last epoch, NaN before any, (lanes,).
        best_epoch: epochs until then, (lanes,).
        epoch: epochs taken, (lanes,).
        running: lanes that still train, (lanes,).
        failed: lanes whose loss or weights were not finite, and which stopped therefore, (lanes,).
    """

    weights: Float[Numbers, "lanes weights"]
    first_moment: Float[Numbers, "lanes weights"]
    second_moment: Float[Numbers, "lanes weights"]
    steps: Int32[Numbers, " lanes"]
    best: Float[Numbers, "lanes weights"]
    best_loss: Float[Numbers, " lanes"]
    last_loss: Float[Numbers, " lanes"]
    best_epoch: Int32[Numbers, " lanes"]
    epoch: Int32[Numbers, " lanes"]
    running: Bool[Numbers, " lanes"]
    failed: Bool[Numbers, " lanes"]


class LaneRows(NamedTuple):
    """Which rows lanes train on.

    Attributes:
        statistics: of each lane.
        weight: of each row, (lanes, rows).
        held: towers on which a lane is validated, (lanes, towers).
    """

    statistics: LaneStatistics
    weight: Float[Numbers, "lanes rows"]
    held: Bool[Numbers, "lanes towers"]


class FluxTable(NamedTuple):
    """Rows that all lanes share.

    Attributes:
        batch: predictors, observations, baselines.
        tower: number of each row's tower, (rows,).
    """

    batch: FluxBatch
    tower: Int32[Numbers, " rows"]


@partial(jax.jit, static_argnames="predictors")
def _drawn(key: Array, predictors: int) -> Array:
    return flat_flux_weights(first_flux_weights(jax.random.wrap_key_data(key, impl="threefry2x32"), predictors))


def first_flux_lanes(keys: UInt32[np.ndarray, "lanes 2"], predictors: int) -> FluxLanes:
    """Return lanes at their first epoch, in memory of the host.

    Args:
        keys: of each lane, data of threefry keys.
        predictors: number of them.
    """
    # One by one: drawn side by side, the last bits may hang on how many lanes there are.
    weights = np.stack([np.asarray(_drawn(key, predictors)) for key in keys])
    lanes = len(keys)
    none = np.zeros(lanes, np.int32)
    return FluxLanes(
        weights=weights,
        first_moment=np.zeros_like(weights),
        second_moment=np.zeros_like(weights),
        steps=none,
        best=weights.copy(),
        best_loss=np.full(lanes, np.inf, np.float32),
        last_loss=np.full(lanes, np.nan, np.float32),
        best_epoch=none.copy(),
        epoch=none.copy(),
        running=np.ones(lanes, bool),
        failed=np.zeros(lanes, bool),
    )


def epoch_of_lanes(
    loss: ConstrainedLoss, lanes: FluxLanes, rows: LaneRows, table: FluxTable, order: Int[Array, "steps batch"]
) -> FluxLanes:
    """Take one epoch in every running lane of a block; the others stay as they are.

    The validation of an epoch is that of its way: each row under the weights that stand when its minibatch comes. It
    costs nothing, since the rows of all lanes pass by anyway.

    Args:
        loss: of a lane.
        lanes: of the block.
        rows: of the lanes.
        table: shared by all.
        order: rows of each minibatch.
    """
    predictors = table.batch.x.shape[1]
    adam = optax.scale_by_adam()
    tree = jax.vmap(lambda vector: flux_weights_of_flat(vector, predictors))

    def loss_of(weights: FluxWeights, statistics: LaneStatistics, batch: FluxBatch, sets: Array) -> tuple[Array, Any]:
        sums = loss.sums(weights, statistics, batch, sets)
        return loss.total(sums[0]), jax.tree.map(lambda *parts: jnp.stack(parts), *sums)

    def moved_by(w: Array, change: Array) -> Array:
        decay = loss.options.weight_decay if w.ndim > 2 else 0.0  # lanes first: a matrix has three
        return w - loss.options.learning_rate * (change + decay * w if decay else change)

    def step(carry: tuple[Any, Any, TermSums], chosen: Array) -> tuple[tuple[Any, Any, TermSums], None]:
        weights, moments, seen = carry
        batch = FluxBatch(*(jnp.asarray(part)[chosen] for part in table.batch))
        weight = jnp.asarray(rows.weight)[:, chosen]
        held = jnp.asarray(rows.held)[:, jnp.asarray(table.tower)[chosen]]
        sets = jnp.stack([jnp.where(held, 0.0, weight), jnp.where(held, weight, 0.0)], 1)
        slope_of = jax.vmap(jax.grad(loss_of, has_aux=True), in_axes=(0, 0, None, 0))
        slope, sums = slope_of(weights, rows.statistics, batch, sets)
        change, moments = jax.vmap(adam.update)(slope, moments)
        weights = jax.tree.map(moved_by, weights, change)
        return (weights, moments, jax.tree.map(jnp.add, seen, sums)), None

    block = len(lanes.steps)
    nothing = TermSums(*(jnp.zeros((block, 2, 8), jnp.float32),) * 2)
    moments = optax.ScaleByAdamState(
        jnp.asarray(lanes.steps), tree(jnp.asarray(lanes.first_moment)), tree(jnp.asarray(lanes.second_moment))
    )
    (weights, moments, seen), _ = lax.scan(step, (tree(jnp.asarray(lanes.weights)), moments, nothing), order)
    flat = jax.vmap(flat_flux_weights)
    own, validation = (jax.vmap(loss.total)(TermSums(seen.above[:, n], seen.below[:, n])) for n in range(2))
    value = jnp.where(jnp.asarray(rows.held).any(1), validation, own)
    moved = flat(weights)
    finite = jnp.isfinite(value) & jnp.isfinite(own) & jnp.isfinite(moved).all(1)
    epoch = lanes.epoch + 1
    better = finite & (value < lanes.best_loss)
    best_epoch = jnp.where(better, epoch, lanes.best_epoch)
    after = FluxLanes(
        weights=moved,
        first_moment=flat(moments.mu),
        second_moment=flat(moments.nu),
        steps=moments.count,
        best=jnp.where(better[:, None], moved, lanes.best),
        best_loss=jnp.where(better, value, lanes.best_loss),
        last_loss=value,
        best_epoch=best_epoch,
        epoch=epoch,
        running=finite & (epoch - best_epoch < loss.options.patience) & (epoch < loss.options.max_epochs),
        failed=~finite,
    )

    def kept(new: Array, old: Array) -> Array:
        return jnp.where(lanes.running.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(kept, after, lanes)
