"""Optimisers of lanes: their interface, the first state of a block, and steps whose number is data, not shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float, Int, Int32

from phloem.arithmetic import ceil_div
from phloem.kernels.models.model import Model
from phloem.kernels.objective.objective import Objective, SiteData
from phloem.kernels.optimise.lanes import MAX_REDRAWS, PADDING, RUNNING, Lanes, draw, lane_keys, start_values
from phloem.kernels.time_loop.day_tables import LaneCells
from phloem.names import STOP


class Optimiser(ABC):
    """An optimiser with its settings; equal ones are hashed alike, so that they share compiled programs.

    Attributes:
        sharpness: end value of k.
        init: how raw values are drawn, `normal` or `uniform_u`.
        trace: about how many losses of a lane are kept for the loss curve.
    """

    sharpness: float
    init: str
    trace: int

    @property
    def windows(self) -> tuple[int, ...]:
        """Years of the parts of a record that a lane walks on before it comes to the whole."""
        return ()

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps that a lane takes at most, one evaluation of the gradient each; redraws come on top."""

    @property
    def stride(self) -> int:
        """Steps between two kept losses."""
        return max(1, ceil_div(self.steps, self.trace))

    @property
    def trace_iteration(self) -> Int32[np.ndarray, " trace"]:
        """Steps whose loss is kept, int32 (trace,)."""
        return np.arange(0, self.steps, self.stride, dtype=np.int32)

    @abstractmethod
    def initial_state(self, raw: Float[Array, "lanes unknowns"]) -> Any:
        """Return the optimiser's own state of lanes that begin at `raw` (lanes, unknowns)."""

    @property
    def steps_between_checks(self) -> int:
        """Steps that a block takes before its lanes are asked which of them are done."""
        return self.steps

    def stage(self, lanes: Lanes) -> Any:
        """Return which of the windows each lane walks on, int32 (lanes,); `len(windows)` is the whole record."""
        return jnp.zeros_like(lanes.phase)

    def progress(self, lanes: Lanes) -> Any:
        """Return how many of `steps` each lane has behind it, int32 (lanes,)."""
        return lanes.step

    def progress_arrays(self, lanes: Lanes) -> tuple[Any, ...]:
        """Return the few arrays, lanes first, that `stage` and `progress` read."""
        return lanes.phase, lanes.step, lanes.evaluations

    def out_of_budget(self, lanes: Lanes) -> Bool[np.ndarray, " lanes"]:
        """Tell which lanes ended because their budget did, while their loss still fell; of host arrays, (lanes,)."""
        return np.asarray(lanes.stop) == STOP["budget"]

    def gradient_equivalents(
        self, lanes: Lanes, shares: Float[np.ndarray, "lanes stages"]
    ) -> Float[np.ndarray, " lanes"]:
        """Return what each lane has cost, in gradients of its whole record, (lanes,).

        Args:
            lanes: host arrays.
            shares: length of each window, the whole record last, as a share of the record, (lanes, windows + 1).
        """
        return np.asarray(lanes.evaluations, float)

    @abstractmethod
    def iterate(
        self,
        objective: Objective,
        data: SiteData,
        lane_cell: LaneCells,
        lanes: Lanes,
        active: Bool[Array, " lanes"],
    ) -> Lanes:
        """Take one step in every active lane; the others stay as they are."""


def begin(
    optimiser: Optimiser,
    model: Model,
    seed: int,
    cells: Sequence[int],
    members: Sequence[int],
    starts: Sequence[Mapping[str, float]],
    dtype: Any,
    block: int,
    redraws: Sequence[int] | None = None,
    near: Float[np.ndarray, "lanes unknowns"] | None = None,
    aim: Float[np.ndarray, " lanes"] | None = None,
) -> Lanes:
    """Return a block of lanes at their first step, padded to its fixed width.

    Args:
        optimiser: the optimiser.
        model: whose unknowns the lanes look for.
        seed: the campaign's seed.
        cells: number of each lane's cell.
        members: member of each lane.
        starts: physical values that each lane begins with instead of drawing them, as in `start_values`.
        dtype: floating type.
        block: lanes in the block; the rest is padding.
        redraws: redraws that each lane has used already, none by default; it starts from the draw of that number and
            may be drawn anew MAX_REDRAWS more times.
        near: raw values of a better lane of each lane's cell, NaN where there is none; by default nowhere.
        aim: loss above which a lane that has ended walks once more, from beside these; inf where there is none.
    """
    missing = block - len(cells)
    key = lane_keys(seed, list(cells) + [0] * missing, list(members) + [0] * missing)
    start = jnp.asarray(start_values([*starts, *[{}] * missing], model, dtype))
    count = jnp.zeros(block, jnp.int32)
    used = jnp.asarray([*(redraws or [0] * len(cells)), *[0] * missing], jnp.int32)
    raw = draw(jnp.asarray(key), used, start, optimiser.init)
    beside_it, wanted = np.full(start.shape, np.nan, dtype), np.full(block, np.inf, dtype)
    if near is not None and aim is not None:
        beside_it[: len(cells)] = np.where(np.isfinite(start[: len(cells)]), start[: len(cells)], near)
        wanted[: len(cells)] = aim
    phase = np.full(block, RUNNING, np.int32)
    phase[len(cells) :] = PADDING
    return Lanes(
        key=jnp.asarray(key),
        start=start,
        raw=raw,
        optimiser=optimiser.initial_state(raw),
        step=count,
        evaluations=count,
        redraws=used,
        last_redraw=used + MAX_REDRAWS,
        phase=jnp.asarray(phase),
        stop=jnp.full(block, STOP["none"], jnp.int32),
        best_loss=jnp.full(block, jnp.inf, dtype),
        best_raw=raw,
        near=jnp.asarray(beside_it),
        aim=jnp.asarray(wanted),
        borrowed=count,
        trace=jnp.full((block, len(optimiser.trace_iteration)), jnp.nan, jnp.float32),
    )


def short_of_aim(lanes: Lanes, ended: Bool[Array, " lanes"], loss: Float[Array, " lanes"]) -> Bool[Array, " lanes"]:
    """Tell which of the lanes that have ended walk once more, beside a better lane: their loss is above the aim."""
    known = jnp.isfinite(lanes.near).all(1) & jnp.isfinite(lanes.aim)
    return ended & known & (lanes.borrowed == 0) & ~(loss <= lanes.aim)


def walk_once_more(
    lanes: Lanes,
    moved: Bool[Array, " lanes"],
    raw: Float[Array, "lanes unknowns"],
    own: Any,
    undone_from: int,
    stride: int,
) -> Lanes:
    """Let lanes that have ended begin again somewhere else.

    Args:
        lanes: all of them.
        moved: which do, (lanes,).
        raw: where, (lanes, unknowns).
        own: the optimiser's own state of lanes that begin there.
        undone_from: step from which on their losses are forgotten.
        stride: steps between two kept losses.
    """
    undone = moved[:, None] & (jnp.arange(lanes.trace.shape[1]) * stride >= undone_from)
    return lanes._replace(
        raw=choose(moved, raw, lanes.raw),
        optimiser=choose(moved, own, lanes.optimiser),
        phase=jnp.where(moved, RUNNING, lanes.phase),
        stop=jnp.where(moved, STOP["none"], lanes.stop),
        best_loss=jnp.where(moved, jnp.inf, lanes.best_loss),
        borrowed=jnp.where(moved, 1, lanes.borrowed),
        trace=jnp.where(undone, jnp.nan, lanes.trace),
    )


def choose(condition: Bool[Array, " lanes"], yes: Any, no: Any) -> Any:
    """Choose lane by lane between two trees whose leaves have lanes first."""
    return jax.tree.map(lambda a, b: jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b), yes, no)


@partial(jax.jit, static_argnames=("objective", "optimiser"))
def advance(
    objective: Objective,
    optimiser: Optimiser,
    data: SiteData,
    lane_cell: LaneCells,
    lanes: Lanes,
    steps: Int[Array, ""],
    stage: Int[Array, ""] | int = 0,
) -> Lanes:
    """Take up to `steps` steps in every running lane that walks on a window.

    The number of steps is data, not shape: the same program runs however a calibration is cut into chunks, so an
    interrupted one ends with the same bits.

    Args:
        objective: what is minimised.
        optimiser: the optimiser.
        data: the cells, as the window shows them.
        lane_cell: cell of each lane, int32 (lanes,).
        lanes: where they stand.
        steps: int32 scalar.
        stage: which window, int32 scalar; lanes that walk on another one, or come to it, stay as they are.
    """

    def active(lanes: Lanes) -> Array:
        return (lanes.phase == RUNNING) & (optimiser.stage(lanes) == stage)

    def more(carry: tuple[Array, Lanes]) -> Array:
        return (carry[0] < steps) & active(carry[1]).any()

    def body(carry: tuple[Array, Lanes]) -> tuple[Array, Lanes]:
        return carry[0] + 1, optimiser.iterate(objective, data, lane_cell, carry[1], active(carry[1]))

    return lax.while_loop(more, body, (jnp.zeros_like(steps), lanes))[1]
