"""Rounds of lanes: every lane once, padding nowhere; and the memory that a device needs for one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.errors import WorkError
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.sharding.lanes.blocks import BLOCK, fitted_table, fitted_width, lay_out, widest_block
from phloem.sharding.lanes.device_rounds import PlacedRound
from phloem.sharding.lanes.devices import device_environment, local_devices, out_of_memory
from tests.support.kernels.builders import made_site
from tests.support.processes import environment
from tests.support.sharding.memory_of_a_round import measure

LANES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), unique=True, max_size=180)


@given(LANES, st.integers(1, 4 * BLOCK))
def test_each_lane_stands_in_one_round(lanes: list[tuple[int, int]], in_flight: int) -> None:
    layout = lay_out(lanes, in_flight)
    assert [lane for one in layout.rounds for block in one for lane in block.lanes] == lanes
    assert all(1 <= len(one) <= layout.devices for one in layout.rounds)
    assert all(len(one) == layout.devices for one in layout.rounds[:-1])
    assert all(1 <= len(block.lanes) <= BLOCK for one in layout.rounds for block in one)
    assert all(sum(len(block.lanes) for block in one) <= in_flight for one in layout.rounds)
    assert layout.cells == max((len(block.cells) for one in layout.rounds for block in one), default=0)
    assert layout.devices <= -(-in_flight // BLOCK)


@given(LANES.filter(bool), st.integers(2, 4 * BLOCK))
def test_fewer_in_flight_take_fewer_devices_and_then_less_of_one(lanes: list[tuple[int, int]], in_flight: int) -> None:
    more, fewer = (lay_out(lanes, count) for count in (in_flight, in_flight // 2))
    assert fewer.devices <= more.devices
    assert fewer.devices < more.devices or more.devices == 1
    assert len(fewer.rounds) >= len(more.rounds)


@settings(deadline=None, max_examples=40)
@given(LANES.filter(bool), st.integers(1, BLOCK), st.data())
def test_lanes_come_home_once_and_padding_never(
    lanes: list[tuple[int, int]], in_flight: int, data: st.DataObject
) -> None:
    layout = lay_out(lanes, in_flight)
    blocks = data.draw(st.sampled_from(layout.rounds))
    site = made_site(128, 0, STRICT)
    placed = PlacedRound(
        local_devices(layout.devices),
        blocks,
        {lane: number for number, lane in enumerate(lanes)},
        dict.fromkeys(range(41), site),
        layout.cells,
        layout.width,
    )
    seated = [lane for block in blocks for lane in block.lanes]
    assert [lanes[number] for number in placed.lanes] == seated
    home = np.arange(len(lanes))
    there = placed.to_devices(home)
    assert there.shape == (layout.devices * BLOCK,)
    placed.from_devices(there + 1000, home)
    moved = [lane for lane, value in zip(lanes, home, strict=True) if value >= 1000]
    assert sorted(moved) == sorted(seated)
    assert (home % 1000 == np.arange(len(lanes))).all()
    assert len(placed.sites[0]) == layout.cells


def test_a_worker_has_the_devices_that_its_environment_gives_it() -> None:
    flags = "--xla_force_host_platform_device_count=2 --xla_cpu_enable_fast_math=false"
    given = {**os.environ, "XLA_FLAGS": flags, **device_environment(3)}
    text = "import jax; print(len(jax.devices()))"
    done = subprocess.run([sys.executable, "-c", text], env=given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"
    with pytest.raises(ValueError, match="at least one device"):
        device_environment(0)


def test_too_few_devices() -> None:
    count = len(jax.local_devices())
    assert len(local_devices(count)) == count
    with pytest.raises(WorkError, match=f"{count + 1} cpu devices were asked for, this process has {count}"):
        local_devices(count + 1)
    with pytest.raises(WorkError, match="0 cpu devices"):
        local_devices(0)


def test_other_errors_are_not_want_of_memory() -> None:
    assert out_of_memory(MemoryError())
    assert not out_of_memory(ValueError("checkpoint does not fit"))


@pytest.mark.parametrize("backend", ["cpu", "xla"])
def test_projected_memory_on_one_device(backend: str) -> None:
    needed, projected = measure(backend, 1)
    assert needed > 500_000
    assert needed <= projected <= 2 * needed, f"needs {needed} bytes a device, projected {projected}"


@pytest.mark.parametrize("backend", ["cpu", "xla"])
def test_projected_memory_on_each_of_four_devices(backend: str) -> None:
    words = [sys.executable, "-m", "tests.support.sharding.memory_of_a_round", backend, "4"]
    done = subprocess.run(words, env=environment(**device_environment(4)), capture_output=True, text=True, check=True)
    needed, projected = json.loads(done.stdout.splitlines()[-1])
    assert needed > 500_000
    assert needed <= projected <= 2 * needed, f"needs {needed} bytes a device, projected {projected}"


@given(st.integers(1, 60_000), st.integers(1, 200).map(lambda number: BLOCK * number * 4))
def test_rung_holds_its_lanes_and_the_next_one_does_not(lanes: int, widest: int) -> None:
    width = fitted_width(min(lanes, widest), widest)
    assert min(lanes, widest) <= width <= widest
    assert width % BLOCK == 0
    assert width == BLOCK or fitted_width(width // 2 + BLOCK, widest) == width or width - BLOCK < 2 * BLOCK
    rungs = {fitted_width(number, widest) for number in range(1, widest + 1, 61)}
    assert len(rungs) <= widest.bit_length()


@given(st.integers(1, 20_000))
def test_table_of_a_wide_block_wastes_an_eighth_at_most(cells: int) -> None:
    size = fitted_table(cells, 50_688)
    assert cells <= size <= cells + cells / 8
    assert fitted_table(cells, BLOCK) == cells


@given(LANES.filter(bool), st.integers(1, 4), st.sampled_from([64, 128, 512, 50_688]))
def test_wide_blocks_hold_each_lane_once_on_devices_that_are_filled_alike(
    lanes: list[tuple[int, int]], devices: int, widest: int
) -> None:
    layout = lay_out(lanes, devices * widest, widest)
    assert [lane for one in layout.rounds for block in one for lane in block.lanes] == lanes
    assert layout.devices <= devices
    sizes = [len(block.lanes) for one in layout.rounds for block in one]
    assert max(sizes) <= layout.width <= widest
    if len(layout.rounds) == 1 and widest > BLOCK:
        assert max(sizes) - min(sizes) < max(2, len(sizes))


def test_widest_block_is_that_of_what_computes() -> None:
    assert widest_block("cpu") == widest_block("xla", 132) == BLOCK
    assert widest_block("gpu") == widest_block("gpu", 132) == 50_688
    assert widest_block("gpu", 108) == 41_472  # an A100
    assert widest_block("gpu", 132, lanes=1000) == 1024
