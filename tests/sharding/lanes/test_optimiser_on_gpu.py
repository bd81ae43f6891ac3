"""The optimiser's program with the gpu backend, on the stand-in driver: the lanes of the cpu backend, bit by bit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.kernels.optimise.lanes import Lanes
from phloem.kernels.optimise.optimiser import begin
from phloem.kernels.optimise.windowed_bfgs import WindowedBfgs
from phloem.sharding.lanes.blocks import BLOCK, lay_out
from phloem.sharding.lanes.device_rounds import PlacedRound, advance_program
from phloem.sharding.lanes.devices import local_devices
from tests.support.kernels.builders import made_site

STEPS = 6


def advanced(backend: str) -> Lanes:
    """Return all that is known of the lanes after some steps: two members in each of five cells, and padding."""
    objective, optimiser = SiteObjective(dalec("strict"), backend=backend), WindowedBfgs()
    sites = {number: made_site(128, 5 + number, STRICT) for number in range(5)}
    lanes = [(cell, member) for cell in sites for member in range(2)]
    layout = lay_out(lanes, BLOCK)
    placed = PlacedRound(
        local_devices(1), layout.rounds[0], {lane: n for n, lane in enumerate(lanes)}, sites, layout.cells
    )
    cells, members = zip(*lanes, strict=True)
    start = begin(optimiser, objective.model, 0, cells, members, [{}] * len(lanes), jnp.float32, BLOCK)
    host = jax.tree.map(lambda leaf: np.array(leaf)[: len(lanes)], start)
    program = advance_program(objective, optimiser, placed.mesh)
    tables = placed.tables(np.float32)
    found = program(tables, placed.lane_cell, placed.lanes_to_devices(host), np.int32(STEPS), np.int32(0))
    placed.from_devices(found, host)
    return host


def test_lanes_advanced_by_the_gpu_backend_are_those_of_the_cpu_backend() -> None:
    by_gpu, by_cpu = advanced("gpu"), advanced("cpu")
    assert (by_cpu.evaluations >= STEPS).all()
    for name, a, b in zip(Lanes._fields, by_gpu, by_cpu, strict=True):
        for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            assert one.tobytes() == other.tobytes(), name
