"""How lanes are laid out in blocks, and what a block's gradient needs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.forcing_terms import Weather
from phloem.kernels.models.dalec_daily.mode_switches import switches
from phloem.kernels.models.dalec_daily.records import Observed, State
from phloem.kernels.objective.site import site_data
from phloem.kernels.time_loop.cpu.cpu_backend import scratch_bytes
from phloem.kernels.time_loop.day_tables import SEGMENT
from phloem.sharding.lanes.blocks import BLOCK, cut_blocks, tile_lanes
from phloem.sharding.lanes.memory import projected_bytes
from tests.support.kernels.builders import made_site
from tests.support.kernels.dalec_names import POOLS


@given(st.integers(1, 200), st.integers(1, 64), st.integers(1, 100))
def test_each_lane_once_and_no_block_too_wide(cells: int, members: int, width: int) -> None:
    laid = cut_blocks(tile_lanes(cells, members), width)
    lanes = [lane for block in laid for lane in block.lanes]
    assert lanes == [(cell, member) for cell in range(cells) for member in range(members)]
    assert all(1 <= len(block.members) <= width for block in laid)
    assert len(laid) == -(-cells * members // width)
    for block in laid:
        assert set(block.lane_cell) == set(range(len(block.cells))), "a block holds only cells that it needs"
        assert list(block.cells) == sorted(set(block.cells))


def test_the_usual_block() -> None:
    assert [len(block.members) for block in cut_blocks(tile_lanes(12, 5))] == [60]
    assert [len(block.members) for block in cut_blocks(tile_lanes(13, 5))] == [BLOCK, 1]


@pytest.mark.parametrize(
    ("days", "cells", "precision", "backend"),
    [
        (730, 1, "float32", "xla"),
        (730, 1, "float32", "cpu"),
        (1461, 12, "float64", "cpu"),
        pytest.param(1461, 12, "float64", "xla", marks=pytest.mark.soak),
    ],
)
def test_projected_memory_of_a_gradient(days: int, cells: int, precision: str, backend: str) -> None:
    """At least what the compiled program needs, and not more than three times as much."""
    chosen = switches("strict")
    objective = SiteObjective(dalec("strict"), backend, POOLS[:6], chosen)
    dtype = np.dtype(precision)
    data = site_data([made_site(days, seed, chosen, training_days=days // 2) for seed in range(cells)], dtype)
    raw, sharpness = jnp.zeros((38, BLOCK), dtype), jnp.zeros(BLOCK, dtype)
    lane_cell = jnp.asarray(np.arange(BLOCK) % cells, jnp.int32)
    program = jax.jit(objective.loss_and_gradient).lower(raw, sharpness, data, lane_cell).compile()
    used = program.memory_analysis()
    assert used is not None
    needed = used.temp_size_in_bytes + used.argument_size_in_bytes
    needed += scratch_bytes("dalec-strict", dtype) if backend == "cpu" else 0
    fields = len(Weather._fields) + len(Observed._fields) + 1
    projected = projected_bytes(days, cells, fields, len(State._fields), SEGMENT, BLOCK, dtype.itemsize, backend)
    assert needed > 100_000
    assert needed <= projected <= 3 * needed, f"needs {needed} bytes, projected {projected}"
