"""Adam with an annealed sharpness, lane by lane: the published optimiser (calibration.md section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from phloem.kernels.lanes import (
    DIVERGED,
    DONE,
    MAX_REDRAWS,
    PADDING,
    RUNNING,
    Lanes,
    draw,
    lane_keys,
    start_values,
)
from phloem.kernels.objective import SiteData, SiteObjective

SCHEDULES = ("constant", "constant-cosine")
INITS = ("normal", "uniform_u")


@dataclass(frozen=True)
class AdamOptions:
    """The schedule of one calibration; the defaults are the published ones.

    Attributes:
        iterations: steps a lane.
        learning_rate: step length in raw space.
        beta1: decay of the first moment.
        beta2: decay of the second moment.
        epsilon: added to the root of the second moment.
        sharpness: end value of k.
        sharpness_iterations: steps over which k rises linearly from 0 to its end value.
        schedule: `constant`, or `constant-cosine`: constant, then falling to 0 as a cosine.
        cosine_start: share of the iterations after which the cosine begins.
        init: how raw values are drawn, `normal` or `uniform_u`.
        trace: about how many losses of a lane are kept for the loss curve.
    """

    iterations: int = 25_000
    learning_rate: float = 5e-4
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    sharpness: float = 30.0
    sharpness_iterations: int = 10_000
    schedule: str = "constant"
    cosine_start: float = 0.4
    init: str = "normal"
    trace: int = 250

    @property
    def stride(self) -> int:
        """Steps between two kept losses."""
        return max(1, -(-self.iterations // self.trace))

    @property
    def trace_iteration(self) -> np.ndarray:
        """Steps whose loss is kept, int32 (trace,)."""
        return np.arange(0, self.iterations, self.stride, dtype=np.int32)

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax optimiser of one lane."""
        rate: float | optax.Schedule = self.learning_rate
        if self.schedule == "constant-cosine":
            begin = int(self.cosine_start * self.iterations)
            fall = optax.cosine_decay_schedule(self.learning_rate, max(1, self.iterations - begin))
            rate = optax.join_schedules([optax.constant_schedule(self.learning_rate), fall], [begin])
        return optax.adam(rate, self.beta1, self.beta2, self.epsilon)


def begin(
    options: AdamOptions,
    seed: int,
    cells: Sequence[int],
    members: Sequence[int],
    ce_opt: Sequence[float],
    dtype: Any,
    block: int,
    redraws: Sequence[int] | None = None,
) -> Lanes:
    """Return a block of lanes at their first step, padded to its fixed width.

    Args:
        options: the schedule.
        seed: the campaign's seed.
        cells: number of each lane's cell.
        members: member of each lane.
        ce_opt: pre-calibrated canopy efficiency of each lane's cell, NaN where there is none.
        dtype: floating type.
        block: lanes in the block; the rest is padding.
        redraws: redraws that each lane has used already, none by default; it starts from the draw of that number and
            may be drawn anew MAX_REDRAWS more times.
    """
    missing = block - len(cells)
    key = lane_keys(seed, list(cells) + [0] * missing, list(members) + [0] * missing)
    start = jnp.asarray(start_values(list(ce_opt) + [np.nan] * missing, dtype))
    count = jnp.zeros(block, jnp.int32)
    used = jnp.asarray([*(redraws or [0] * len(cells)), *[0] * missing], jnp.int32)
    raw = draw(jnp.asarray(key), used, start, options.init)
    phase = np.full(block, RUNNING, np.int32)
    phase[len(cells) :] = PADDING
    return Lanes(
        key=jnp.asarray(key),
        start=start,
        raw=raw,
        optimiser=jax.vmap(options.transformation().init)(raw),
        step=count,
        evaluations=count,
        redraws=used,
        last_redraw=used + MAX_REDRAWS,
        phase=jnp.asarray(phase),
        best_loss=jnp.full(block, jnp.inf, dtype),
        best_raw=raw,
        trace=jnp.full((block, len(options.trace_iteration)), jnp.nan, jnp.float32),
    )


def _choose(condition: Array, yes: Any, no: Any) -> Any:
    """Choose lane by lane between two trees whose leaves have lanes first."""
    return jax.tree.map(lambda a, b: jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b), yes, no)


def _iterate(objective: SiteObjective, options: AdamOptions, data: SiteData, lane_cell: Array, lanes: Lanes) -> Lanes:
    """Take one step in every running lane."""
    running = lanes.phase == RUNNING
    k = jnp.minimum(
        lanes.step.astype(lanes.raw.dtype) * (options.sharpness / options.sharpness_iterations),
        options.sharpness,
    )
    loss, gradient = objective.loss_and_gradient(lanes.raw.T, k, data, lane_cell)
    finite = jnp.isfinite(loss) & jnp.isfinite(gradient).all(0)
    tx = options.transformation()
    updates, optimiser = jax.vmap(tx.update)(gradient.T, lanes.optimiser)
    good = running & finite

    better = good & (lanes.step >= options.sharpness_iterations) & (loss < lanes.best_loss)
    kept = (jnp.arange(lanes.trace.shape[1]) == (lanes.step // options.stride)[:, None]) & (
        good & (lanes.step % options.stride == 0)
    )[:, None]
    step = jnp.where(good, lanes.step + 1, lanes.step)
    stepped = lanes._replace(
        raw=_choose(good, lanes.raw + updates, lanes.raw),
        optimiser=_choose(good, optimiser, lanes.optimiser),
        step=step,
        evaluations=lanes.evaluations + running,
        phase=jnp.where(good & (step >= options.iterations), DONE, lanes.phase),
        best_loss=jnp.where(better, loss, lanes.best_loss),
        best_raw=_choose(better, lanes.raw, lanes.best_raw),
        trace=jnp.where(kept, loss[:, None].astype(jnp.float32), lanes.trace),
    )
    return lax.cond((running & ~finite).any(), partial(_redraw, options, running & ~finite), lambda x: x, stepped)


def _redraw(options: AdamOptions, bad: Array, lanes: Lanes) -> Lanes:
    """Start the bad lanes anew, or give them up after the last redraw; the others stay as they are."""
    again = bad & (lanes.redraws < lanes.last_redraw)
    redraws = lanes.redraws + again
    raw = draw(lanes.key, redraws, lanes.start, options.init)
    fresh = lanes._replace(
        raw=raw,
        optimiser=jax.vmap(options.transformation().init)(raw),
        step=jnp.zeros_like(lanes.step),
        best_loss=jnp.full_like(lanes.best_loss, jnp.inf),
        best_raw=raw,
        trace=jnp.full_like(lanes.trace, jnp.nan),
    )
    return _choose(again, fresh, lanes)._replace(redraws=redraws, phase=jnp.where(bad & ~again, DIVERGED, lanes.phase))


@partial(jax.jit, static_argnames=("objective", "options"))
def advance(
    objective: SiteObjective,
    options: AdamOptions,
    data: SiteData,
    lane_cell: Array,
    lanes: Lanes,
    steps: Array,
) -> Lanes:
    """Take up to `steps` steps in every running lane.

    The number of steps is data, not shape: the same program runs however a calibration is cut into chunks, so an
    interrupted one ends with the same bits.

    Args:
        objective: what is minimised.
        options: the schedule.
        data: the cells.
        lane_cell: cell of each lane, int32 (lanes,).
        lanes: where they stand.
        steps: int32 scalar.
    """

    def more(carry: tuple[Array, Lanes]) -> Array:
        return (carry[0] < steps) & (carry[1].phase == RUNNING).any()

    def body(carry: tuple[Array, Lanes]) -> tuple[Array, Lanes]:
        return carry[0] + 1, _iterate(objective, options, data, lane_cell, carry[1])

    return lax.while_loop(more, body, (jnp.zeros_like(steps), lanes))[1]
