"""All daily outputs of forward runs: the time loop without observations."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax

from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.day_tables import DayTables, LaneCells
from phloem.kernels.time_loop.run_days import run_days


@partial(jax.jit, static_argnames=("model", "backend"))
def trajectory(
    model: Model,
    inputs: Any,
    state0: Any,
    data: DayTables,
    lane_cell: LaneCells,
    *,
    backend: str = "auto",
) -> Any:
    """Run the same loop and keep every output: the model's outputs, each of shape (days, lanes).

    For forward runs and plots; arguments as of `run_days`. Days beyond a cell's own length are 0.
    """
    names = model.outputs._fields  # type: ignore[attr-defined]
    _, kept = run_days(model, inputs, state0, data, lane_cell, names, backend=backend)
    return model.outputs(*kept)
