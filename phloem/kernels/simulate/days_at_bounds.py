"""Days that a run's pools stand at their floors and ceilings, counted inside the time loop."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.day_tables import DayTables, LaneCells
from phloem.kernels.time_loop.fold import fold


class DaysAtBounds(NamedTuple):
    """Days at whose end a pool stands at a bound, where it was put because it would have left its range.

    Attributes:
        floor: days at its floor, (pools, lanes).
        ceiling: days at its ceiling, (pools, lanes).
        floor_to_the_end: days at its floor without a break up to the last one, (pools, lanes).
    """

    floor: Float[Any, "pools lanes"]
    ceiling: Float[Any, "pools lanes"]
    floor_to_the_end: Float[Any, "pools lanes"]


class _Nothing(NamedTuple):
    """The sums of a run whose observations are not looked at."""

    days: Any


@cache
def counting(model: Model) -> Model:
    """Return a model text whose state counts, beside its own, the days of each pool at its bounds."""
    own = len(model.state._fields)  # type: ignore[attr-defined]
    counts = [f"{kind}_{pool.name}" for kind in DaysAtBounds._fields for pool in model.pools]
    state: Any = NamedTuple("CountingState", [(name, Any) for name in (*model.state._fields, *counts)])  # type: ignore[misc]

    def step(s: Any, c: Any, w: Any) -> tuple[Any, Any]:
        new, outputs = model.step(model.state(*s[:own]), c, w)
        floors = [jnp.where(getattr(new, pool.name) <= pool.lower, 1.0, 0.0) for pool in model.pools]
        ceilings = [jnp.where(getattr(new, pool.name) >= pool.upper, 1.0, 0.0) for pool in model.pools]
        many = len(model.pools)
        before = s[own : own + many], s[own + many : own + 2 * many], s[own + 2 * many :]
        at_floor = [count + now for count, now in zip(before[0], floors, strict=True)]
        at_ceiling = [count + now for count, now in zip(before[1], ceilings, strict=True)]
        unbroken = [(count + 1) * now for count, now in zip(before[2], floors, strict=True)]
        return state(*new, *at_floor, *at_ceiling, *unbroken), outputs

    def first_state(pools: Any) -> Any:
        first = model.first_state(pools)
        return state(*first, *[jnp.zeros_like(first[0])] * len(counts))

    return replace(
        model,
        name=f"{model.name}-at-bounds",
        state=state,
        step=step,
        from_pools=first_state,
        sums=_Nothing,
        score=lambda o, y: _Nothing(jnp.ones_like(o[0])),
    )


def days_at_bounds(
    model: Model,
    inputs: Any,
    pools: Float[Any, "pools lanes"],
    data: DayTables,
    lane_cell: LaneCells,
    *,
    backend: str = "auto",
) -> DaysAtBounds:
    """Run lanes over all their days and count.

    Args:
        model: the model text; its pools' bounds are those of their initial values and of the running state.
        inputs: the model's inputs, each of shape (lanes,).
        pools: initial pools, (pools, lanes).
        data: tables of the cells.
        lane_cell: cell of each lane, int32, (lanes,).
        backend: `auto`, `xla`, `cpu` or `gpu`.
    """
    text = counting(model)
    end, _ = fold(text, inputs, text.first_state(pools), data, lane_cell, backend=backend)
    counts = jnp.stack(end[len(model.state._fields) :]).reshape(3, len(model.pools), -1)  # type: ignore[attr-defined]
    return DaysAtBounds(*counts)
