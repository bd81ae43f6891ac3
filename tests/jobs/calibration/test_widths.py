"""A lane's bits are its own: whatever the width of its block, with the kernels of a core or those of a GPU."""

from __future__ import annotations

import pytest

from phloem.jobs.calibration.tile_calibration import TileCalibration
from phloem.jobs.config.campaign_file import Configuration
from tests.support.campaigns.calibrations import FAST, Arrays, configuration, differing, finish, made_cells

CELLS = 27
"""Of 5 members: 135 lanes, which fill two blocks of a core and a part of a third."""


def on_gpu(lanes: int, **more: object) -> Configuration:
    """The same campaign with the kernels of a GPU, so many lanes at once."""
    made = configuration("cpu", **more)
    engine = made.engine.model_copy(update={"gpus": 1, "lanes": lanes})
    experiment = made.experiment.model_copy(update={"backend": "gpu"})
    return made.model_copy(update={"engine": engine, "experiment": experiment})


@pytest.fixture(scope="module")
def whole() -> Arrays:
    return finish(TileCalibration(configuration("cpu"), made_cells(CELLS)))


@pytest.mark.parametrize(("lanes", "width", "rounds"), [(64, 64, 3), (128, 128, 2), (150, 192, 1), (0, 256, 1)])
def test_calibration_on_a_gpu_of_any_width_has_the_bits_of_a_core(
    whole: Arrays, lanes: int, width: int, rounds: int
) -> None:
    calibration = TileCalibration(on_gpu(lanes), made_cells(CELLS))
    assert calibration.layout.width == width
    assert len(calibration.layout.rounds) == rounds
    assert differing(finish(calibration), whole) == set()


def test_checkpoint_of_one_width_goes_on_at_another(whole: Arrays) -> None:
    begun = TileCalibration(on_gpu(0), made_cells(CELLS))
    begun.advance(2)
    on_a_core = TileCalibration(configuration("cpu"), made_cells(CELLS))
    on_a_core.restore(begun.saved())
    on_a_core.advance(3)
    narrower = TileCalibration(on_gpu(64), made_cells(CELLS))
    narrower.restore(on_a_core.saved())
    assert narrower.steps_taken > begun.steps_taken
    assert differing(finish(narrower), whole) == set()


def test_halving_goes_down_the_ladder_and_keeps_the_bits(whole: Arrays) -> None:
    calibration = TileCalibration(on_gpu(0), made_cells(CELLS))
    widths = []
    while calibration.halve():
        widths.append((calibration.layout.width, calibration.in_flight))
        if calibration.in_flight < 20:
            break
        calibration.advance(1)
    assert widths == [(128, 67), (64, 33), (64, 16)]
    assert differing(finish(calibration), whole) == set()


def test_few_lanes_that_are_left_stand_in_a_narrower_block_with_their_bits() -> None:
    calibration = TileCalibration(on_gpu(0, optimiser=FAST), made_cells(CELLS))
    seen = []
    while calibration.running:
        seen.append(calibration.layout.width)
        calibration.advance(1)
    assert seen[0] == 256
    assert 64 in seen
    on_a_core = finish(TileCalibration(configuration("cpu", optimiser=FAST), made_cells(CELLS)))
    assert differing(finish(calibration), on_a_core) == set()
