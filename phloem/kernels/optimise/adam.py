"""Adam with an annealed sharpness, lane by lane: the published optimiser (docs/science.md#adam)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from jaxtyping import Bool, Float

from phloem.kernels.objective.objective import Objective, SiteData
from phloem.kernels.optimise.lanes import DIVERGED, DONE, Lanes, beside, draw
from phloem.kernels.optimise.optimiser import Optimiser, choose, short_of_aim, walk_once_more
from phloem.kernels.time_loop.day_tables import LaneCells
from phloem.names import STOP

STILL_FALLING = 0.01
"""A loss that falls by more than this over a tenth of the schedule has not come to rest, 1."""


@dataclass(frozen=True)
class AnnealedAdam(Optimiser):
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

    def out_of_budget(self, lanes: Lanes) -> Bool[np.ndarray, " lanes"]:
        """Tell which lanes' loss fell by more than STILL_FALLING from the last tenth but one of the steps to the last.

        All lanes end with their schedule; where the loss no longer falls then, it has done what it can.
        """
        tenth = np.floor(10 * self.trace_iteration / self.iterations)
        before, last = (
            np.min(np.asarray(lanes.trace)[:, tenth == part], axis=1, initial=np.inf, where=True) for part in (8, 9)
        )
        with np.errstate(invalid="ignore"):
            fell: np.ndarray = np.isfinite(before) & np.isfinite(last) & (before - last > STILL_FALLING)
        return fell & (np.asarray(lanes.stop) == STOP["budget"])

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax optimiser of one lane."""
        rate: float | optax.Schedule = self.learning_rate
        if self.schedule == "constant-cosine":
            begin = int(self.cosine_start * self.iterations)
            fall = optax.cosine_decay_schedule(self.learning_rate, max(1, self.iterations - begin))
            rate = optax.join_schedules([optax.constant_schedule(self.learning_rate), fall], [begin])
        return optax.adam(rate, self.beta1, self.beta2, self.epsilon)

    def initial_state(self, raw: Float[Array, "lanes unknowns"]) -> Any:
        """Return empty moments."""
        return jax.vmap(self.transformation().init)(raw)

    def iterate(
        self,
        objective: Objective,
        data: SiteData,
        lane_cell: LaneCells,
        lanes: Lanes,
        active: Bool[Array, " lanes"],
    ) -> Lanes:
        """Take one step in every active lane."""
        return _iterate(objective, self, data, lane_cell, lanes, active)


def _iterate(
    objective: Objective, optimiser: AnnealedAdam, data: SiteData, lane_cell: LaneCells, lanes: Lanes, running: Array
) -> Lanes:
    """Take one step in every running lane."""
    k = jnp.minimum(
        lanes.step.astype(lanes.raw.dtype) * (optimiser.sharpness / optimiser.sharpness_iterations),
        optimiser.sharpness,
    )
    loss, gradient = objective.loss_and_gradient(lanes.raw.T, k, data, lane_cell)
    finite = jnp.isfinite(loss) & jnp.isfinite(gradient).all(0)
    tx = optimiser.transformation()
    updates, moments = jax.vmap(tx.update)(gradient.T, lanes.optimiser)
    good = running & finite

    better = good & (lanes.step >= optimiser.sharpness_iterations) & (loss < lanes.best_loss)
    kept = (jnp.arange(lanes.trace.shape[1]) == (lanes.step // optimiser.stride)[:, None]) & (
        good & (lanes.step % optimiser.stride == 0)
    )[:, None]
    step = jnp.where(good, lanes.step + 1, lanes.step)
    stepped = lanes._replace(
        raw=choose(good, lanes.raw + updates, lanes.raw),
        optimiser=choose(good, moments, lanes.optimiser),
        step=step,
        evaluations=lanes.evaluations + running,
        phase=jnp.where(good & (step >= optimiser.iterations), DONE, lanes.phase),
        stop=jnp.where(good & (step >= optimiser.iterations), STOP["budget"], lanes.stop),
        best_loss=jnp.where(better, loss, lanes.best_loss),
        best_raw=choose(better, lanes.raw, lanes.best_raw),
        trace=jnp.where(kept, loss[:, None].astype(jnp.float32), lanes.trace),
    )
    once_more = short_of_aim(stepped, running & (stepped.phase == DONE), loss)
    stepped = lax.cond(once_more.any(), partial(_walk_beside, optimiser, once_more), lambda x: x, stepped)
    return lax.cond((running & ~finite).any(), partial(_redraw, optimiser, running & ~finite), lambda x: x, stepped)


def _walk_beside(optimiser: AnnealedAdam, lanes_to_move: Array, lanes: Lanes) -> Lanes:
    """Take the steps at the end value of k again, from beside a better lane's end."""
    raw = beside(lanes.key, lanes.redraws, lanes.near)
    first = min(optimiser.sharpness_iterations, optimiser.iterations - 1)
    moved = walk_once_more(lanes, lanes_to_move, raw, optimiser.initial_state(raw), first, optimiser.stride)
    return moved._replace(
        step=jnp.where(lanes_to_move, first, lanes.step), best_raw=choose(lanes_to_move, raw, lanes.best_raw)
    )


def _redraw(optimiser: AnnealedAdam, bad: Array, lanes: Lanes) -> Lanes:
    """Start the bad lanes anew, or give them up after the last redraw; the others stay as they are."""
    again = bad & (lanes.redraws < lanes.last_redraw)
    redraws = lanes.redraws + again
    raw = draw(lanes.key, redraws, lanes.start, optimiser.init)
    fresh = lanes._replace(
        raw=raw,
        optimiser=optimiser.initial_state(raw),
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
