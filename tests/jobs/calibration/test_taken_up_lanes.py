"""Lanes that are taken up again: new draws first, and one more walk beside a better lane where these end short."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.jobs.calibration.tile_calibration import TileCalibration
from phloem.jobs.campaign.kind_of_work import Lane, Near
from phloem.names import STATUS
from tests.support.campaigns.calibrations import FAST, configuration, finish, made_cells

SETTINGS = {"fast": configuration("cpu", optimiser=FAST), "adam": configuration("cpu")}


@pytest.fixture(scope="module", params=["fast", "adam"])
def tile(request):
    """The settings, the cells, and what all members of one of them came to."""
    settings, cells = SETTINGS[request.param], made_cells(2)
    return settings, cells, finish(TileCalibration(settings, cells), 1000)


def again(tile, aim: float, member: int, best: int):
    """Take up one lane of the first cell, which may walk beside the best."""
    settings, cells, whole = tile
    near = Near(whole["raw"][0, [best]].astype(float), np.array([aim]))
    work = TileCalibration(settings, cells, [Lane(0, member, 1)], near=near)
    found = finish(work, 1000)
    return {name: found[name][0, member] for name in ("loss", "borrowed", "status", "redraws", "stop", "raw")}


def test_where_the_new_draws_end_short_it_walks_beside_the_better_lane(tile) -> None:
    _, _, whole = tile
    losses = whole["loss"][0]
    best, worst = int(np.nanargmin(losses)), int(np.nanargmax(losses))
    assert best != worst
    found = again(tile, -1e6, worst, best)  # nothing comes so low: it walks once more
    assert found["borrowed"] == 1
    assert found["status"] == STATUS["poor_basin"], "it is still above its aim, and says so"
    assert found["loss"] <= losses[best] + 0.1
    assert np.abs(np.arcsinh(found["raw"]) - np.arcsinh(whole["raw"][0, best])).max() > 0


def test_where_they_do_not_it_is_an_independent_draw(tile) -> None:
    settings, cells, whole = tile
    best, worst = int(np.nanargmin(whole["loss"][0])), int(np.nanargmax(whole["loss"][0]))
    found = again(tile, 1e6, worst, best)
    assert found["borrowed"] == 0
    alone = finish(TileCalibration(settings, cells, [Lane(0, worst, 1)]), 1000)
    assert found["loss"] == alone["loss"][0, worst]
    assert found["raw"].tobytes() == alone["raw"][0, worst].tobytes()


def test_chunks_do_not_matter_to_a_lane_that_walks_twice(tile) -> None:
    settings, cells, whole = tile
    best = int(np.nanargmin(whole["loss"][0]))
    near = Near(whole["raw"][0, [best]].astype(float), np.array([-100.0]))
    lanes = [Lane(0, 0, 1)]
    once = finish(TileCalibration(settings, cells, lanes, near=near), 1000)
    work = TileCalibration(settings, cells, lanes, near=near)
    saved = None
    for _ in range(10_000):
        if not work.running:
            break
        work.advance(7)
        saved = work.saved()
    other = TileCalibration(settings, cells, lanes, near=near)
    other.restore(saved)
    for found in (finish(work, 7), finish(other, 7)):
        assert found["raw"].tobytes() == once["raw"].tobytes()
        assert found["loss"].tobytes() == once["loss"].tobytes()
