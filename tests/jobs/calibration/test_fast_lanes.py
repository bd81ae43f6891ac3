"""Lanes of the fast optimiser in a tile: their bits are their own, and those that are done make room for others."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.jobs.calibration.tile_calibration import TileCalibration
from phloem.kernels.optimise.lanes import MAX_REDRAWS
from phloem.names import STATUS, STOP
from tests.support.campaigns.calibrations import (
    FAST,
    MEMBERS,
    Arrays,
    broken,
    configuration,
    differing,
    finish,
    made_cells,
    of_lanes,
)

CELLS = 14
SETTINGS = configuration("cpu", optimiser=FAST)


@pytest.fixture(scope="module")
def whole() -> Arrays:
    """The tile of 70 lanes: a round of 64 and one of 6, on each window."""
    return finish(TileCalibration(SETTINGS, made_cells(CELLS)), chunk=1000)


def test_they_end_each_in_its_own_time(whole: Arrays) -> None:
    unfinished = whole["stop"] == STOP["budget"]
    assert (whole["status"] == np.where(unfinished, STATUS["budget"], STATUS["calibrated"])).all()
    assert set(np.unique(whole["stop"])) <= {STOP["converged"], STOP["budget"], STOP["stalled"]}
    assert len(np.unique(whole["iterations"])) > 5
    np.testing.assert_allclose(whole["loss"], whole["best_loss"], rtol=1e-5, atol=1e-4)
    evaluated = whole["gradient_evaluations"]
    assert ((evaluated > 2 * 12) & (evaluated <= 2 * 12 + FAST.iterations)).all()
    assert (whole["stop"] == STOP["converged"]).any()
    cost = whole["gradient_equivalents"]
    on_windows = 2 * 12 / np.where(np.arange(CELLS) % 12 == 0, 3, 2)[:, None]  # their records have two years, or three
    forwards = 0.3 * 5
    np.testing.assert_allclose(cost, on_windows + evaluated - 2 * 12 + forwards, rtol=2e-3)


def test_chunks_do_not_matter(whole: Arrays) -> None:
    assert differing(finish(TileCalibration(SETTINGS, made_cells(CELLS)), chunk=3), whole) == set()


def test_neither_lanes_in_flight_nor_neighbours_matter(whole: Arrays) -> None:
    """Blocks of five lanes, each with another table, of cells 0 and 5 alone."""
    lanes = [(cell, member, 0) for cell in (0, 5) for member in range(MEMBERS)]
    found = finish(TileCalibration(SETTINGS, made_cells(CELLS), lanes=lanes, in_flight=5), 10)
    places = [lane[:2] for lane in lanes]
    assert differing(of_lanes(found, places), of_lanes(whole, places)) == set()


def test_a_checkpoint_on_every_window(whole: Arrays) -> None:
    """Another process takes up what one left on the first window, between windows, and on the whole record."""
    cells = made_cells(CELLS)
    one = TileCalibration(SETTINGS, cells)
    seen: set[int] = set()
    for number in range(200):
        if not one.running:
            break
        one.advance(5)
        saved = one.saved()
        seen |= set(np.unique(saved[".optimiser.stage"]).tolist())
        one = TileCalibration(SETTINGS, cells, in_flight=(64, 63)[number % 2])
        one.restore(saved)
    assert seen == {0, 1}
    assert differing(one.arrays(), whole) == set()


def test_progress_grows_and_ends_at_its_total() -> None:
    one = TileCalibration(SETTINGS, made_cells(CELLS))
    steps = [one.steps_taken]
    while one.running:
        one.advance(5)
        steps.append(one.steps_taken)
    assert steps[0] == 0
    assert steps[-1] == one.total_steps == CELLS * MEMBERS * SETTINGS.optimiser.steps
    assert np.diff(steps).min() >= 0


def test_the_last_few_are_worked_on_together() -> None:
    """A round is left when few of its lanes walk and as many wait: they share a block with those that waited."""
    one = TileCalibration(SETTINGS, made_cells(CELLS))
    (first, second) = (set(blocks[0].lanes) for blocks in one.layout.rounds)
    shared = []
    while one.running:
        block = set(one.layout.rounds[0][0].lanes)
        shared.append(len(block) < len(first) and bool(block & first) and bool(block & second))
        one.advance(3)
    assert any(shared)


def test_a_cell_that_is_never_finite_stays_alone(whole: Arrays) -> None:
    cells = made_cells(CELLS)
    cells[3] = broken(cells[3])
    found = finish(TileCalibration(SETTINGS, cells), 50)
    assert (found["status"][3] == STATUS["diverged"]).all()
    assert (found["stop"][3] == STOP["failed"]).all()
    assert (found["redraws"][3] == MAX_REDRAWS).all()
    others = [(cell, member) for cell in range(CELLS) for member in range(MEMBERS) if cell != 3]
    assert differing(of_lanes(found, others), of_lanes(whole, others)) == set()


@pytest.mark.soak
def test_xla_walks_the_same_way() -> None:
    """From the same first loss; its tables are as long as each window, and a program is compiled for each."""
    cells = made_cells(1)
    ours, theirs = (
        finish(TileCalibration(configuration(backend, members=2, optimiser=FAST), cells), 1000)
        for backend in ("cpu", "xla")
    )
    trace = np.isfinite(ours["loss_trace"]) & np.isfinite(theirs["loss_trace"])
    np.testing.assert_allclose(ours["loss_trace"][..., 0], theirs["loss_trace"][..., 0], rtol=1e-4)
    assert trace[..., :2].all()
    assert (theirs["status"] == STATUS["calibrated"]).all()
