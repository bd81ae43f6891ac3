"""Windowed BFGS, the optimiser `fast`: walks on a year, on three years, then on the whole record (docs/optimiser.md).

A lane draws several starts of its own. From each it walks on the window of one year, while the sharpness k rises, and
then on that of three; both cost a fraction of the record. The start that came lowest on the last window goes on to the
whole record, until its loss falls by less than a tolerance. Coordinates are z = arsinh x of the unbounded x: in x the
bounds lie ever farther out, in z a step of one is a fair step everywhere.

Before a lane walks on a longer window its initial pools are balanced in it (`balance_initial_pools`): what is steady
over a year is not so over nine, and to mend that by gradients took a hundred of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float, Float64, Int32

from phloem.kernels.objective.objective import Objective, SiteData
from phloem.kernels.optimise import quasi_newton
from phloem.kernels.optimise.arsinh_coordinates import FARTHEST, raw_of
from phloem.kernels.optimise.initial_pools import (
    FORWARD_RUNS,
    RESTART_POINTS,
    balance_initial_pools,
    restart_live_pools,
)
from phloem.kernels.optimise.lanes import DIVERGED, DONE, Lanes, beside, draw
from phloem.kernels.optimise.optimiser import Optimiser, choose, short_of_aim, walk_once_more
from phloem.kernels.optimise.quasi_newton import Walk
from phloem.kernels.time_loop.day_tables import LaneCells
from phloem.names import STOP

SHARPNESS_EVERY = 10
"""Accepted steps between two rises of k; each asks for the loss anew."""

NEXT_DRAW = 128
"""Distance between the draws of a lane's starts: redraws count in a byte."""

FORWARD_COST = 0.3
"""A forward run, in gradients (benchmarks/RESULTS.md, "The fold")."""


class WindowedState(NamedTuple):
    """The state of windowed BFGS, lanes first; its field names stand in checkpoints.

    Attributes:
        walk: in z.
        stage: window walked on, int32.
        start: number of the start, int32.
        tried: gradients evaluated on this window, int32.
        accepted: steps taken on this window, int32.
        sharpness: k of the loss that the walk knows, 0 where it knows none, float64.
        mark_loss: loss when progress was last looked at, float64.
        mark_step: `accepted` then, int32.
        kept_loss: least loss on the last window, of this lane's starts so far, float64.
        kept_point: where, float64 (lanes, unknowns).
        kept_curvature: what was known there, float64 (lanes, unknowns, unknowns).
        gradients: evaluated on each window, int32 (lanes, windows + 1).
        forwards: forward runs on each window, int32 (lanes, windows + 1).
    """

    walk: Walk
    stage: Int32[Array, " lanes"]
    start: Int32[Array, " lanes"]
    tried: Int32[Array, " lanes"]
    accepted: Int32[Array, " lanes"]
    sharpness: Float64[Array, " lanes"]
    mark_loss: Float64[Array, " lanes"]
    mark_step: Int32[Array, " lanes"]
    kept_loss: Float64[Array, " lanes"]
    kept_point: Float64[Array, "lanes unknowns"]
    kept_curvature: Float64[Array, "lanes unknowns unknowns"]
    gradients: Int32[Array, "lanes stages"]
    forwards: Int32[Array, "lanes stages"]


@dataclass(frozen=True)
class WindowedBfgs(Optimiser):
    """Windowed BFGS with its settings; the defaults were chosen on five towers (docs/optimiser.md).

    Attributes:
        iterations: gradients on the whole record, at most.
        starts: starts of a lane, of which one goes on to the whole record; without windows there is but one.
        tolerance: a lane has converged when its loss falls by less than this ...
        patience: ... in so many accepted steps.
        windows: years of the windows, ascending; none in a walk on the whole record alone.
        window_iterations: gradients on each window.
        sharpness: end value of k.
        sharpness_iterations: accepted steps on the first window over which k rises linearly to its end value.
        init: how raw values are drawn, `normal` or `uniform_u`.
        trace: about how many losses of a lane are kept; on a window, its own loss at its own k.
        restarted: unknowns that restart on the whole record, at one of RESTART_POINTS: the live pools of a stand that
            grows from near zero, while the windows see it full-grown.
    """

    iterations: int = 1_000
    starts: int = 4
    tolerance: float = 1e-3
    patience: int = 50
    windows: tuple[int, ...] = (1, 3)
    window_iterations: tuple[int, ...] = (200, 80)
    sharpness: float = 30.0
    sharpness_iterations: int = 120
    init: str = "normal"
    trace: int = 250
    restarted: tuple[int, ...] = ()

    @property
    def whole_record(self) -> int:
        """Stage of the whole record."""
        return len(self.windows)

    @property
    def draws(self) -> int:
        """Starts that a lane draws."""
        return self.starts if self.windows else 1

    @property
    def steps(self) -> int:
        """Gradients of all windows and the whole record, at most."""
        return self.draws * sum(self.window_iterations) + self.iterations

    @property
    def steps_between_checks(self) -> int:
        """A lane converges after a multiple of these steps."""
        return self.patience

    def initial_state(self, raw: Float[Array, "lanes unknowns"]) -> WindowedState:
        """Return the state of lanes that begin at `raw` (lanes, unknowns)."""
        count = raw.shape[0]
        none, nothing = jnp.zeros(count, jnp.int32), jnp.zeros(count)
        walk = quasi_newton.start_walks(jnp.arcsinh(raw.astype(jnp.float64)))
        each = jnp.zeros((count, self.whole_record + 1), jnp.int32)
        return WindowedState(
            walk=walk,
            stage=none,
            start=none,
            tried=none,
            accepted=none,
            sharpness=nothing,
            mark_loss=jnp.full(count, jnp.inf),
            mark_step=none,
            kept_loss=jnp.full(count, jnp.inf),
            kept_point=walk.point,
            kept_curvature=walk.curvature,
            gradients=each,
            forwards=each,
        )

    def stage(self, lanes: Lanes) -> Any:
        """Return which of the windows each lane walks on."""
        return lanes.optimiser.stage

    def progress(self, lanes: Lanes) -> Any:
        """Return how many of `steps` each lane has behind it; a stage that ended early counts in full."""
        state: WindowedState = lanes.optimiser
        before = np.cumsum([0, *self.window_iterations], dtype=np.int32)
        begun = before[-1] * np.where(state.stage == self.whole_record, self.draws, state.start)
        on_windows = begun + before[state.stage] * (state.stage != self.whole_record)
        return np.where(lanes.phase == DONE, self.steps, on_windows + state.tried).astype(np.int32)

    def progress_arrays(self, lanes: Lanes) -> tuple[Any, ...]:
        """Return the few arrays, lanes first, that `stage` and `progress` read."""
        state: WindowedState = lanes.optimiser
        return lanes.phase, lanes.evaluations, state.stage, state.start, state.tried

    def gradient_equivalents(
        self, lanes: Lanes, shares: Float[np.ndarray, "lanes stages"]
    ) -> Float[np.ndarray, " lanes"]:
        """Return what each lane has cost, in gradients of its whole record."""
        state: WindowedState = lanes.optimiser
        runs = np.asarray(state.gradients) + FORWARD_COST * np.asarray(state.forwards)
        cost: np.ndarray = (runs * shares).sum(1)
        return cost

    def iterate(
        self,
        objective: Objective,
        data: SiteData,
        lane_cell: LaneCells,
        lanes: Lanes,
        active: Bool[Array, " lanes"],
    ) -> Lanes:
        """Take one step in every active lane, and let it enter and leave its window."""
        objective = objective.for_line_search
        entering = active & (lanes.optimiser.tried == 0) & (lanes.optimiser.stage > 0) & (lanes.borrowed == 0)
        lanes = lax.cond(
            entering.any(), partial(_balance_pools, self, objective, data, lane_cell, entering), _unchanged, lanes
        )
        lanes, lost, stalled = _try_point(self, objective, data, lane_cell, active, lanes)
        lanes = lax.cond(lost.any(), partial(_redraw, self, lost), _unchanged, lanes)
        state: WindowedState = lanes.optimiser
        spent = state.tried >= jnp.asarray([*self.window_iterations, self.iterations])[state.stage]
        calm, state = _check_convergence(self, active & ~lost, state)
        low = state.sharpness < self.sharpness
        on = (state.accepted // SHARPNESS_EVERY + 1) * SHARPNESS_EVERY
        state = state._replace(accepted=jnp.where(stalled & low, on, state.accepted))  # k rises, and all is anew
        stalled = stalled & ~low
        stop = jnp.where(calm, STOP["converged"], jnp.where(stalled, STOP["stalled"], STOP["budget"]))
        lanes = lanes._replace(optimiser=state)
        leaving = active & ~lost & (spent | calm | stalled)
        return lax.cond(leaving.any(), partial(_leave_stage, self, leaving, stop), _unchanged, lanes)


def _unchanged(lanes: Lanes) -> Lanes:
    return lanes


def _balance_pools(
    optimiser: WindowedBfgs, objective: Objective, data: SiteData, lane_cell: LaneCells, entering: Array, lanes: Lanes
) -> Lanes:
    """Balance the pools of the lanes that enter a window; live pools that restart are set first."""
    state: WindowedState = lanes.optimiser
    sharpness = jnp.full(len(lanes.raw), optimiser.sharpness, lanes.raw.dtype)
    begun = state.walk.point
    if optimiser.restarted:
        restarting = entering & (state.stage == optimiser.whole_record)
        begun = restart_live_pools(objective, begun, restarting, optimiser.restarted, sharpness, data, lane_cell)
    raw = raw_of(begun, lanes.raw.dtype)
    balanced = balance_initial_pools(objective, raw, sharpness, data, lane_cell)
    changed = entering[:, None] & (balanced != raw)
    point = jnp.where(changed, jnp.arcsinh(balanced.astype(jnp.float64)), begun)
    here = entering[:, None] & (jnp.arange(optimiser.whole_record + 1) == state.stage[:, None])
    runs = (FORWARD_RUNS if objective.steady_pools else 0) + (len(RESTART_POINTS) if optimiser.restarted else 0) * (
        state.stage == optimiser.whole_record
    )[:, None]
    return lanes._replace(
        optimiser=state._replace(walk=state.walk._replace(point=point), forwards=state.forwards + runs * here)
    )


def _sharpness(optimiser: WindowedBfgs, state: WindowedState) -> Array:
    """Return k: it rises on the first window, or on the whole record where there is none, in small jumps."""
    risen = (state.accepted // SHARPNESS_EVERY + 1) * (SHARPNESS_EVERY * optimiser.sharpness)
    rising = jnp.minimum(risen / optimiser.sharpness_iterations, optimiser.sharpness)
    return jnp.where(state.stage == 0, rising, optimiser.sharpness)


def _try_point(
    optimiser: WindowedBfgs, objective: Objective, data: SiteData, lane_cell: LaneCells, active: Array, lanes: Lanes
) -> tuple[Lanes, Array, Array]:
    """Try one point in every active lane; return which have no finite loss where they stand, and which no way down."""
    state: WindowedState = lanes.optimiser
    dtype = lanes.raw.dtype
    k = _sharpness(optimiser, state)
    anew = k != state.sharpness
    walk = state.walk._replace(length=jnp.where(anew, 0, state.walk.length))
    trial = jnp.clip(walk.point + walk.length[:, None] * walk.direction, -FARTHEST, FARTHEST)
    loss, gradient = objective.loss_and_gradient(raw_of(trial, dtype).T, k.astype(dtype), data, lane_cell)
    loss, slope = loss.astype(jnp.float64), gradient.T.astype(jnp.float64) * jnp.cosh(trial)
    lost = active & anew & ~(jnp.isfinite(loss) & jnp.isfinite(slope).all(1))
    walked, moved, stalled = quasi_newton.accept_or_refuse(walk, trial, loss, slope, anew)

    place = jnp.asarray(_gradients_before(optimiser, state))
    kept = active[:, None] & (jnp.arange(lanes.trace.shape[1]) == (place // optimiser.stride)[:, None])
    kept = kept & (place % optimiser.stride == 0)[:, None] & jnp.isfinite(walked.loss)[:, None]
    here = active[:, None] & (jnp.arange(optimiser.whole_record + 1) == state.stage[:, None])
    stepped = state._replace(
        walk=choose(active, walked, state.walk),
        tried=state.tried + active,
        accepted=state.accepted + (active & moved),
        sharpness=jnp.where(active, k, state.sharpness),
        gradients=state.gradients + here,
    )
    return (
        lanes._replace(
            raw=choose(active, raw_of(stepped.walk.point, dtype), lanes.raw),
            optimiser=stepped,
            step=lanes.step + (active & moved),
            evaluations=lanes.evaluations + active,
            trace=jnp.where(kept, walked.loss[:, None].astype(jnp.float32), lanes.trace),
        ),
        lost,
        active & stalled,
    )


def _gradients_before(optimiser: WindowedBfgs, state: WindowedState) -> Array:
    """Return how many gradients lie before the one that a lane evaluates now."""
    before = jnp.asarray(np.cumsum([0, *optimiser.window_iterations]), jnp.int32)
    on_windows = before[-1] * state.start + before[jnp.minimum(state.stage, optimiser.whole_record)]
    return jnp.where(state.stage == optimiser.whole_record, optimiser.draws * before[-1], on_windows) + state.tried


def _check_convergence(optimiser: WindowedBfgs, active: Array, state: WindowedState) -> tuple[Array, WindowedState]:
    """Return which lanes have converged on the whole record, and the state with the losses they are compared with."""
    walking = active & (state.stage == optimiser.whole_record) & (state.sharpness >= optimiser.sharpness)
    first = walking & jnp.isinf(state.mark_loss)
    due = walking & ~first & (state.accepted - state.mark_step >= optimiser.patience)
    calm = due & (state.mark_loss - state.walk.loss < optimiser.tolerance)
    note = first | due
    return calm, state._replace(
        mark_loss=jnp.where(note, state.walk.loss, state.mark_loss),
        mark_step=jnp.where(note, state.accepted, state.mark_step),
    )


def _enter_stage(optimiser: WindowedBfgs, state: WindowedState, stage: Array) -> WindowedState:
    """Return the state in which all lanes begin a stage where they stand."""
    none = jnp.zeros_like(state.tried)
    walk = state.walk._replace(length=jnp.zeros_like(state.walk.length), refusals=none, forgotten=none)
    return state._replace(
        walk=walk,
        stage=stage.astype(jnp.int32),
        tried=none,
        accepted=none,
        sharpness=jnp.zeros_like(state.sharpness),
        mark_loss=jnp.full_like(state.mark_loss, jnp.inf),
        mark_step=none,
    )


def _new_walks(optimiser: WindowedBfgs, lanes: Lanes, redraws: Array, start: Array) -> Walk:
    """Return walks from new draws."""
    raw = draw(lanes.key, redraws + NEXT_DRAW * start, lanes.start, optimiser.init)
    return quasi_newton.start_walks(jnp.arcsinh(raw.astype(jnp.float64)))


def _leave_stage(optimiser: WindowedBfgs, leaving: Array, stop: Array, lanes: Lanes) -> Lanes:
    """Move lanes that are done with a window to the next one, to their next start, or to their end."""
    state: WindowedState = lanes.optimiser
    done = leaving & (state.stage == optimiser.whole_record)
    risen = done & (state.sharpness >= optimiser.sharpness)
    lanes = lanes._replace(
        phase=jnp.where(done, DONE, lanes.phase),
        stop=jnp.where(done, stop, lanes.stop),
        best_loss=jnp.where(risen, state.walk.loss.astype(lanes.best_loss.dtype), lanes.best_loss),
        best_raw=choose(done, lanes.raw, lanes.best_raw),
    )
    once_more = short_of_aim(lanes, done, state.walk.loss)
    lanes = lax.cond(once_more.any(), partial(_walk_beside, optimiser, once_more), _unchanged, lanes)
    if not optimiser.whole_record:
        return lanes
    state = lanes.optimiser
    last = state.stage == optimiser.whole_record - 1
    deeper = leaving & (state.stage < optimiser.whole_record - 1)
    state = choose(deeper, _enter_stage(optimiser, state, state.stage + 1), state)

    better = leaving & last & (state.walk.loss < state.kept_loss)
    state = state._replace(
        kept_loss=jnp.where(better, state.walk.loss, state.kept_loss),
        kept_point=choose(better, state.walk.point, state.kept_point),
        kept_curvature=choose(better, state.walk.curvature, state.kept_curvature),
    )
    again = leaving & last & (state.start + 1 < optimiser.draws)
    start = state.start + again
    fresh = _enter_stage(
        optimiser, state._replace(walk=_new_walks(optimiser, lanes, lanes.redraws, start), start=start), 0 * start
    )
    state = choose(again, fresh, state)
    state = choose(leaving & last & ~again, _from_best_start(optimiser, state), state)
    return lanes._replace(optimiser=state)


def _walk_beside(optimiser: WindowedBfgs, lanes_to_move: Array, lanes: Lanes) -> Lanes:
    """Begin the whole record again from beside a better lane's end, which needs neither windows nor balancing."""
    state: WindowedState = lanes.optimiser
    raw = beside(lanes.key, lanes.redraws, lanes.near)
    walk = quasi_newton.start_walks(jnp.arcsinh(raw.astype(jnp.float64)))
    anew = _enter_stage(optimiser, state._replace(walk=walk), jnp.full_like(state.stage, optimiser.whole_record))
    anew = anew._replace(accepted=jnp.full_like(state.accepted, optimiser.sharpness_iterations))  # k has risen
    begun = optimiser.draws * sum(optimiser.window_iterations) if optimiser.whole_record else 0
    return walk_once_more(lanes, lanes_to_move, raw, anew, begun, optimiser.stride)


def _from_best_start(optimiser: WindowedBfgs, state: WindowedState) -> WindowedState:
    """Return the state in which all lanes begin on the whole record, from the best of their starts."""
    walk = quasi_newton.start_walks(state.kept_point)
    if not optimiser.restarted:  # what was known of the loss is of another one then
        walk = walk._replace(curvature=state.kept_curvature, plain=jnp.zeros_like(walk.plain))
    return _enter_stage(optimiser, state._replace(walk=walk), jnp.full_like(state.stage, optimiser.whole_record))


def _redraw(optimiser: WindowedBfgs, lost: Array, lanes: Lanes) -> Lanes:
    """Draw lanes anew that have no finite loss where they stand; after the last redraw, go on with what was kept.

    All starts of a lane share its redraws. One that is lost on the whole record has nothing left: its kept start was
    the one that failed.
    """
    state: WindowedState = lanes.optimiser
    state = state._replace(
        kept_loss=jnp.where(lost & (state.stage == optimiser.whole_record), jnp.inf, state.kept_loss),
    )
    again = lost & (lanes.redraws < lanes.last_redraw)
    redraws = lanes.redraws + again
    walk = _new_walks(optimiser, lanes, redraws, state.start)
    fresh = _enter_stage(optimiser, state._replace(walk=walk), jnp.zeros_like(state.stage))
    saved = lost & ~again & jnp.isfinite(state.kept_loss)
    state = choose(again, fresh, state)
    if optimiser.whole_record:
        state = choose(saved, _from_best_start(optimiser, state), state)
    hopeless = lost & ~again & ~saved
    begun = state.start[:, None] * sum(optimiser.window_iterations)
    undone = again[:, None] & (jnp.arange(lanes.trace.shape[1]) * optimiser.stride >= begun)
    return lanes._replace(
        optimiser=state,
        trace=jnp.where(undone, jnp.nan, lanes.trace),
        redraws=redraws,
        phase=jnp.where(hopeless, DIVERGED, lanes.phase),
        stop=jnp.where(hopeless, STOP["failed"], lanes.stop),
    )
