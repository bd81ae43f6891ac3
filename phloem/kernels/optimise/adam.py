"""Adam with an annealed sharpness, lane by lane: the published optimiser (calibration.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from phloem.kernels.objective.objective import Objective, SiteData
from phloem.kernels.optimise.lanes import DIVERGED, DONE, Lanes, draw
from phloem.kernels.optimise.optimiser import Options, choose
from phloem.names import STOP


@dataclass(frozen=True)
class AdamOptions(Options):
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
    def steps(self) -> int:
        """Steps a lane."""
        return self.iterations

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax optimiser of one lane."""
        rate: float | optax.Schedule = self.learning_rate
        if self.schedule == "constant-cosine":
            begin = int(self.cosine_start * self.iterations)
            fall = optax.cosine_decay_schedule(self.learning_rate, max(1, self.iterations - begin))
            rate = optax.join_schedules([optax.constant_schedule(self.learning_rate), fall], [begin])
        return optax.adam(rate, self.beta1, self.beta2, self.epsilon)

    def first(self, raw: Array) -> Any:
        """Return empty moments."""
        return jax.vmap(self.transformation().init)(raw)

    def iterate(self, objective: Objective, data: SiteData, lane_cell: Array, lanes: Lanes, active: Array) -> Lanes:
        """Take one step in every active lane."""
        return _iterate(objective, self, data, lane_cell, lanes, active)


def _iterate(
    objective: Objective, options: AdamOptions, data: SiteData, lane_cell: Array, lanes: Lanes, running: Array
) -> Lanes:
    """Take one step in every running lane."""
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
        raw=choose(good, lanes.raw + updates, lanes.raw),
        optimiser=choose(good, optimiser, lanes.optimiser),
        step=step,
        evaluations=lanes.evaluations + running,
        phase=jnp.where(good & (step >= options.iterations), DONE, lanes.phase),
        stop=jnp.where(good & (step >= options.iterations), STOP["budget"], lanes.stop),
        best_loss=jnp.where(better, loss, lanes.best_loss),
        best_raw=choose(better, lanes.raw, lanes.best_raw),
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
        optimiser=options.first(raw),
        step=jnp.zeros_like(lanes.step),
        best_loss=jnp.full_like(lanes.best_loss, jnp.inf),
        best_raw=raw,
        trace=jnp.full_like(lanes.trace, jnp.nan),
    )
    lost = bad & ~again
    return choose(again, fresh, lanes)._replace(
        redraws=redraws,
        phase=jnp.where(lost, DIVERGED, lanes.phase),
        stop=jnp.where(lost, STOP["failed"], lanes.stop),
    )
