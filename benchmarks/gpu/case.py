"""A fold of any number of lanes on a GPU: three towers' weather, repeated on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from phloem.arithmetic import ceil_div
from phloem.jobs.config.campaign_file import CampaignSection, Configuration, Data
from phloem.jobs.config.optimiser import AdamSection
from phloem.jobs.synthetic.transect import make_cell
from phloem.kernels.objective.bounded_log import physical
from phloem.kernels.objective.objective import Objective, SiteData
from phloem.kernels.objective.site import site_data
from phloem.kernels.optimise.optimiser import Lanes, Optimiser, begin
from phloem.kernels.time_loop.day_tables import SEGMENT
from phloem.kernels.time_loop.flat_day import Text
from phloem.kernels.time_loop.fold_primitives import fold_by_primitive
from phloem.kernels.time_loop.lane_arrays import primitive_tables, stack_numbers

MEMBERS = 5
"""Lanes of a cell, which read the same tables."""

SOME = 320
"""Lanes that are drawn; more are copies of them."""


@dataclass(frozen=True)
class FoldCase:
    """Everything that a gradient and a step of the optimiser read.

    Attributes:
        objective: loss of the model, by the gpu backend.
        optimiser: Adam, one gradient a step.
        text: the model text.
        data: of three cells.
        lanes: SOME of them, at their first step.
        numbers: constants of the fold, (constants, SOME).
        first: first states, (states, SOME).
        days: simulated.
    """

    objective: Objective
    optimiser: Optimiser
    text: Text
    data: SiteData
    lanes: Lanes
    numbers: np.ndarray
    first: np.ndarray
    days: int


def make_case(years: int, dtype: Any = np.float32, backend: str = "gpu") -> FoldCase:
    """Make three cells of so many years, on processors."""
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        plan = Configuration(
            campaign=CampaignSection(name="gpu"), data=Data(kind="synthetic"), optimiser=AdamSection(iterations=1000)
        )
        precision = np.dtype(dtype).name
        experiment = plan.calibration.model_copy(update={"backend": backend, "precision": precision})
        objective, tables = experiment.objective(), experiment.tables
        model, optimiser = objective.model, experiment.tuned(plan.optimiser.for_kernels())
        sites = [experiment.site(make_cell(f"case {n}", 50.0 + 6 * n, years, n)[0]) for n in range(3)]
        data = site_data(sites, np.dtype(dtype))
        members = [n % MEMBERS for n in range(SOME)]
        cells = [n // MEMBERS for n in range(SOME)]
        lanes = begin(optimiser, model, 0, cells, members, [{}] * SOME, np.dtype(dtype), SOME)
        raw = np.random.default_rng(5).standard_normal((len(tables.unknowns), SOME))
        values, count = physical(jnp.asarray(raw, dtype), tables.unknowns), len(tables.parameters)
        leaves, structure = jax.tree.flatten(model.prepare(model.inputs_of_values(values[:count])))
        plain, lane_cell = primitive_tables(data.tables, jnp.zeros(SOME, jnp.int32))
        numbers = np.asarray(stack_numbers(leaves, plain, lane_cell))
        first = np.asarray(stack_numbers(list(model.first_state(values[count:])), plain, lane_cell))
        text = Text(model, structure, SEGMENT, True)
        data, lanes = jax.tree.map(np.asarray, (data, lanes))
        return FoldCase(objective, optimiser, text, data, lanes, numbers, first, max(site.days for site in sites))


def widen(case: FoldCase, lanes: int) -> tuple[SiteData, Array, Lanes, Array, Array]:
    """Return data, cells of the lanes, lanes, constants and first states of so many lanes, on the default device."""
    cells = ceil_div(lanes, MEMBERS)
    few = case.data.tables.weather.shape[-1]

    def repeat(leaf: Any, count: int, axis: int) -> Array:
        array = jnp.asarray(leaf)
        times = [1] * array.ndim
        times[axis] = ceil_div(count, array.shape[axis])
        return jax.lax.slice_in_dim(jnp.tile(array, times), 0, count, axis=axis)

    tables = case.data.tables
    wide = {name: repeat(getattr(tables, name), cells, -1) for name in ("weather", "observed", "live")}
    rows = {name: jnp.asarray(getattr(tables, name)) for name in ("weather_row", "observed_row")}
    rest = {
        name: jax.tree.map(
            lambda leaf: repeat(leaf, cells, -1) if leaf.shape[-1:] == (few,) else jnp.asarray(leaf), part
        )
        for name, part in case.data._asdict().items()
        if name != "tables"
    }
    data = SiteData(tables=tables._replace(**wide, **rows), **rest)
    lane_cell = jnp.arange(lanes, dtype=jnp.int32) // MEMBERS
    walking: Lanes = jax.tree.map(lambda leaf: repeat(leaf, lanes, 0), case.lanes)
    return data, lane_cell, walking, repeat(case.numbers, lanes, 1), repeat(case.first, lanes, 1)


def gradient_program(case: FoldCase, backend: str) -> Any:
    """Return the compiled function (constants, first, tables, lane_cell) -> sums and both cotangents."""

    @jax.jit
    def gradient(numbers: Array, first: Array, tables: Any, lane_cell: Array) -> Any:
        ends, pull = jax.vjp(
            lambda n, f: fold_by_primitive(case.text, n, f, tables, lane_cell, backend), numbers, first
        )
        return ends[1], pull([jnp.zeros_like(ends[0]), jnp.ones_like(ends[1])])

    return gradient
