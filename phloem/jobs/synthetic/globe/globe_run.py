"""Runs of the monthly model over cells of a synthetic Earth, all outputs of all months."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phloem.arithmetic import ceil_div
from phloem.kernels.models.dalec_monthly.forcing_terms import weather
from phloem.kernels.models.dalec_monthly.mode_switches import switches
from phloem.kernels.models.dalec_monthly.monthly_step import monthly_dalec
from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS
from phloem.kernels.models.dalec_monthly.records import Outputs, State
from phloem.kernels.network.patch_cells import MonthAxis
from phloem.kernels.network.patch_model import segment_of
from phloem.kernels.time_loop.day_tables import DayTables
from phloem.kernels.time_loop.run_days import run_days
from phloem.names import PERIOD

MODE = "strict"


@cache
def _program(months: int) -> Any:
    model = monthly_dalec(MODE)

    @jax.jit
    def run(values: jax.Array, pools: jax.Array, tables: DayTables) -> jax.Array:
        lanes = jnp.arange(values.shape[1], dtype=jnp.int32)
        inputs = model.inputs_of_values(values)
        return run_days(
            model, inputs, State(*pools), tables, lanes, Outputs._fields, segment=segment_of(months)
        )[1][:, :months]  # fmt: skip

    return run


def tables_of(
    forcing: dict[str, np.ndarray], latitude: np.ndarray, predictors: dict[str, np.ndarray], months: MonthAxis
) -> DayTables:
    """Return the forcing of cells as the fold reads it, double precision.

    Args:
        forcing: `names.PATCH_FORCING`, (months, cells), and `co2`, (months,).
        latitude: degrees, (cells,).
        predictors: MAT and MAP are read: the reference climate.
        months: of the record.
    """
    cells = len(latitude)
    time, doy, lengths = (one[:, None] for one in (months.time, months.doy, months.lengths))
    columns = {**forcing, "co2": np.asarray(forcing["co2"])[:, None]}
    reference = predictors["MAT"], predictors["MAP"] / PERIOD
    terms = weather(time, doy, latitude, columns, reference, lengths, switches(MODE))
    shape = months.count, cells
    table = np.stack([np.broadcast_to(one, shape) for one in terms], 1)
    segment = segment_of(months.count)
    padded = ceil_div(months.count, segment) * segment
    index = jnp.asarray(np.minimum(np.arange(padded), months.count - 1), jnp.int32)
    live = np.broadcast_to((np.arange(padded) < months.count)[:, None], (padded, cells)).astype(float)
    return DayTables(jnp.asarray(table), jnp.zeros((1, 1, cells)), index, index, jnp.asarray(live))


def simulate(quantities: np.ndarray, tables: DayTables, months: int) -> Any:
    """Return all outputs of cells, each (months, cells).

    Args:
        quantities: the 40 of each cell, physical units, (40, cells).
        tables: their forcing.
        months: of the record.
    """
    count = len(PARAMETERS)
    found = _program(months)(jnp.asarray(quantities[:count]), jnp.asarray(quantities[count:]), tables)
    return Outputs(*np.asarray(found))
