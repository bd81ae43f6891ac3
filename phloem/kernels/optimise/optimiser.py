"""What optimisers share: how a block of lanes begins, and how it is advanced by steps that are data, not shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from phloem.arithmetic import ceil_div
from phloem.kernels.models.model import Model
from phloem.kernels.objective.objective import Objective, SiteData
from phloem.kernels.optimise.lanes import MAX_REDRAWS, PADDING, RUNNING, Lanes, draw, lane_keys, start_values
from phloem.names import STOP


class Options(ABC):
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
    def trace_iteration(self) -> np.ndarray:
        """Steps whose loss is kept, int32 (trace,)."""
        return np.arange(0, self.steps, self.stride, dtype=np.int32)

    @abstractmethod
    def first(self, raw: Array) -> Any:
        """Return the optimiser's own state of lanes that begin at `raw` (lanes, unknowns)."""

    @property
    def together(self) -> int:
        """Steps that a block takes before it is looked which of its lanes are done."""
        return self.steps

    def stage(self, lanes: Lanes) -> Any:
        """Return which of the windows each lane walks on, int32 (lanes,); `len(windows)` is the whole record."""
        return jnp.zeros_like(lanes.phase)

    def taken(self, lanes: Lanes) -> Any:
        """Return how far each lane is on its way to `steps`, int32 (lanes,)."""
        return lanes.step

    def glance(self, lanes: Lanes) -> tuple[Any, ...]:
        """Return the few arrays, lanes first, that tell how far lanes are."""
        return lanes.phase, lanes.step, lanes.evaluations

    def equivalents(self, lanes: Lanes, shares: np.ndarray) -> np.ndarray:
        """Return what each lane has cost, in gradients of its whole record, (lanes,).

        Args:
            lanes: host arrays.
            shares: length of each window, the whole record last, as a share of the record, (lanes, windows + 1).
        """
        return np.asarray(lanes.evaluations, float)

    @abstractmethod
    def iterate(self, objective: Objective, data: SiteData, lane_cell: Array, lanes: Lanes, active: Array) -> Lanes:
        """Take one step in every active lane; the others stay as they are."""


def begin(
    options: Options,
    model: Model,
    seed: int,
    cells: Sequence[int],
    members: Sequence[int],
    starts: Sequence[Mapping[str, float]],
    dtype: Any,
    block: int,
    redraws: Sequence[int] | None = None,
) -> Lanes:
    """Return a block of lanes at their first step, padded to its fixed width.

    Args:
        options: the optimiser.
        model: whose unknowns the lanes look for.
        seed: the campaign's seed.
        cells: number of each lane's cell.
        members: member of each lane.
        starts: physical values that each lane begins with instead of drawing them, as in `start_values`.
        dtype: floating type.
        block: lanes in the block; the rest is padding.
        redraws: redraws that each lane has used already, none by default; it starts from the draw of that number and
            may be drawn anew MAX_REDRAWS more times.
    """
    missing = block - len(cells)
    key = lane_keys(seed, list(cells) + [0] * missing, list(members) + [0] * missing)
    start = jnp.asarray(start_values([*starts, *[{}] * missing], model, dtype))
    count = jnp.zeros(block, jnp.int32)
    used = jnp.asarray([*(redraws or [0] * len(cells)), *[0] * missing], jnp.int32)
    raw = draw(jnp.asarray(key), used, start, options.init)
    phase = np.full(block, RUNNING, np.int32)
    phase[len(cells) :] = PADDING
    return Lanes(
        key=jnp.asarray(key),
        start=start,
        raw=raw,
        optimiser=options.first(raw),
        step=count,
        evaluations=count,
        redraws=used,
        last_redraw=used + MAX_REDRAWS,
        phase=jnp.asarray(phase),
        stop=jnp.full(block, STOP["none"], jnp.int32),
        best_loss=jnp.full(block, jnp.inf, dtype),
        best_raw=raw,
        trace=jnp.full((block, len(options.trace_iteration)), jnp.nan, jnp.float32),
    )


def choose(condition: Array, yes: Any, no: Any) -> Any:
    """Choose lane by lane between two trees whose leaves have lanes first."""
    return jax.tree.map(lambda a, b: jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b), yes, no)


@partial(jax.jit, static_argnames=("objective", "options"))
def advance(
    objective: Objective,
    options: Options,
    data: SiteData,
    lane_cell: Array,
    lanes: Lanes,
    steps: Array,
    stage: Array | int = 0,
) -> Lanes:
    """Take up to `steps` steps in every running lane that walks on a window.

    The number of steps is data, not shape: the same program runs however a calibration is cut into chunks, so an
    interrupted one ends with the same bits.

    Args:
        objective: what is minimised.
        options: the optimiser.
        data: the cells, as the window shows them.
        lane_cell: cell of each lane, int32 (lanes,).
        lanes: where they stand.
        steps: int32 scalar.
        stage: which window, int32 scalar; lanes that walk on another one, or come to it, stay as they are.
    """

    def active(lanes: Lanes) -> Array:
        return (lanes.phase == RUNNING) & (options.stage(lanes) == stage)

    def more(carry: tuple[Array, Lanes]) -> Array:
        return (carry[0] < steps) & active(carry[1]).any()

    def body(carry: tuple[Array, Lanes]) -> tuple[Array, Lanes]:
        return carry[0] + 1, options.iterate(objective, data, lane_cell, carry[1], active(carry[1]))

    return lax.while_loop(more, body, (jnp.zeros_like(steps), lanes))[1]
