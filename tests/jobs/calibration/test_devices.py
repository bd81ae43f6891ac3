"""A lane's bits are its own: whatever devices the tile is laid over, and however many lanes are in flight."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phloem.errors import WorkError
from phloem.jobs.calibration.tile_calibration import MAX_EARLIER_REDRAWS, TileCalibration
from phloem.kernels.optimise.lanes import MAX_REDRAWS
from phloem.names import STATUS
from phloem.sharding.lanes.devices import device_environment
from tests.support.campaigns.calibrations import (
    ITERATIONS,
    MANY,
    MEMBERS,
    Arrays,
    broken,
    configuration,
    differing,
    digest,
    finish,
    made_cells,
    of_lanes,
)
from tests.support.processes import environment

CELLS = 14
CHOSEN = [(13, 4), (0, 2), (7, 0), (7, 3)]


@pytest.fixture(scope="module")
def whole() -> Arrays:
    """The tile of 70 lanes on one device: a round of 64 and one of 6."""
    return finish(TileCalibration(configuration("cpu"), made_cells(CELLS)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("devices")


def on_four_devices(what: str, folder: Path) -> dict[str, Any]:
    """Return the digests that a process of four virtual devices finds."""
    words = [sys.executable, "-m", "tests.support.campaigns.on_four_devices", what, str(folder)]
    subprocess.run(words, env=environment(**device_environment(4)), check=True)
    found: dict[str, Any] = json.loads((folder / f"{what}.json").read_text())
    return found


@pytest.fixture(scope="module")
def tiles(folder: Path) -> dict[str, Any]:
    return on_four_devices("tiles", folder)


@pytest.fixture(scope="module")
def layouts(folder: Path) -> dict[str, Any]:
    """The process also takes up what one device left half done here."""
    half = TileCalibration(configuration("cpu"), made_cells(CELLS))
    half.advance(ITERATIONS)
    half.advance(2)
    assert sorted(set(half.saved()[".step"])) == [2, ITERATIONS], "one round is done, one half done"
    np.savez(folder / "one_device.npz", **half.saved())
    return on_four_devices("layouts", folder)


@pytest.mark.parametrize(
    ("backend", "cells", "devices"), [("cpu", 1, (4,)), ("cpu", 7, (4,)), ("cpu", 64, (2, 4)), ("xla", 14, (2,))]
)
def test_devices_do_not_matter(tiles: dict[str, Any], backend: str, cells: int, devices: tuple[int, ...]) -> None:
    settings = configuration(backend, iterations=2 if backend == "xla" else ITERATIONS)
    here = digest(finish(TileCalibration(settings, made_cells(cells))))
    for count in devices:
        assert tiles[f"{backend} {cells} cells, {count} devices"] == here


def test_lanes_in_flight_do_not_matter(layouts: dict[str, Any], whole: Arrays) -> None:
    for in_flight in (100, 5):
        assert layouts[f"{in_flight} in flight"] == digest(whole)


def test_one_lane_at_a_time() -> None:
    cells, settings = made_cells(1), configuration("cpu")
    alone = TileCalibration(settings, cells, in_flight=1)
    assert len(alone.layout.rounds) == MEMBERS
    assert differing(finish(alone), finish(TileCalibration(settings, cells))) == set()


def test_lanes_halved_down_to_one_go_on_from_where_they_stand(layouts: dict[str, Any]) -> None:
    """From 70 on two devices; each time fewer lanes take a step, and some are done before the last halving."""
    assert layouts["flown"] == [[1, 35], [1, 17], [1, 8], [1, 4], [1, 2], [1, 1]]
    undisturbed = TileCalibration(configuration("cpu", members=MANY), made_cells(3)[1:])
    assert layouts["halved"] == digest(finish(undisturbed))


def test_a_checkpoint_knows_nothing_of_devices(layouts: dict[str, Any], whole: Arrays, folder: Path) -> None:
    """From one device to four with 5 lanes in flight, and from two devices to one with 40."""
    assert layouts["resumed"] == digest(whole)
    resumed = TileCalibration(configuration("cpu"), made_cells(CELLS), in_flight=40)
    with np.load(folder / "half.npz") as saved:
        resumed.restore(dict(saved))
    assert resumed.steps_taken == 3 * len(resumed.lanes)
    assert differing(finish(resumed), whole) == set()


def test_a_lane_that_is_never_finite_stays_alone_across_devices(layouts: dict[str, Any], whole: Arrays) -> None:
    status = np.full((CELLS, MEMBERS), STATUS["calibrated"], np.int8)
    status[3] = STATUS["diverged"]
    redraws = np.where(status == STATUS["diverged"], MAX_REDRAWS, 0).astype(np.int8)
    assert layouts["ill"] == digest({"status": status, "redraws": redraws})
    others = {name: np.delete(v, 3, 0) for name, v in whole.items() if v.shape[:2] == (CELLS, MEMBERS)}
    assert layouts["beside the ill"] == digest(others)


def test_a_checkpoint_that_does_not_fit_is_refused() -> None:
    cells, settings = made_cells(2), configuration("cpu")
    calibration = TileCalibration(settings, cells)
    saved = calibration.saved()
    others = TileCalibration(
        settings, cells, lanes=[(1, 0, 0), *((0, m, 0) for m in range(5)), *((1, m, 0) for m in range(1, 5))]
    )
    wrong = {
        "short": {**saved, ".raw": saved[".raw"][1:]},
        "of another type": {**saved, ".raw": saved[".raw"].astype(float)},
        "incomplete": {name: value for name, value in saved.items() if name != ".trace"},
        "too much": {**saved, ".more": saved[".raw"]},
        "of lanes in another order": others.saved(),
    }
    for what, arrays in wrong.items():
        with pytest.raises(ValueError, match="does not fit"):
            calibration.restore(arrays)
        assert digest(calibration.saved()) == digest(saved), what


def test_what_was_saved_does_not_change_afterwards() -> None:
    calibration = TileCalibration(configuration("cpu"), made_cells(1))
    calibration.advance(2)
    saved = calibration.saved()
    before = digest(saved)
    finish(calibration)
    assert digest(saved) == before
    assert digest(calibration.saved()) != before


def test_some_lanes_alone_are_those_of_the_whole_tile(whole: Arrays) -> None:
    some = TileCalibration(configuration("cpu"), made_cells(CELLS), lanes=[(*lane, 0) for lane in CHOSEN])
    assert some.total_steps == len(CHOSEN) * ITERATIONS
    arrays = finish(some)
    assert differing(of_lanes(arrays, CHOSEN), of_lanes(whole, CHOSEN)) == set()
    assert set(arrays) == set(whole)
    assert {name: (v.shape, v.dtype) for name, v in arrays.items()} == {n: (v.shape, v.dtype) for n, v in whole.items()}
    rest = [lane for lane in np.ndindex(CELLS, MEMBERS) if lane not in CHOSEN]
    assert (of_lanes(arrays, rest)["status"] == STATUS["missing"]).all()
    assert np.isnan(of_lanes(arrays, rest)["parameters"]).all()
    assert not of_lanes(arrays, rest)["iterations"].any()


def test_a_lane_that_begins_with_redraws_goes_on_as_if_redrawn_here() -> None:
    """A lane spoilt before its first step is drawn anew once; so starts the lane that brings one redraw along."""
    cells, settings, lane = made_cells(2), configuration("cpu"), (1, 2)
    spoilt = TileCalibration(settings, cells)
    saved = spoilt.saved()
    saved[".raw"][spoilt.lanes.index(lane), 3] = np.nan
    spoilt.restore(saved)
    once = of_lanes(finish(spoilt), [lane])
    again = of_lanes(finish(TileCalibration(settings, cells, lanes=[(*lane, 1)])), [lane])
    assert once["redraws"] == again["redraws"] == 1
    assert once["status"] == STATUS["calibrated_after_redraw"]
    assert differing(once, again) == {"gradient_evaluations", "gradient_equivalents"}
    assert once["gradient_evaluations"] == again["gradient_evaluations"] + 1


def test_redraws_are_counted_on_and_end_after_as_many_again() -> None:
    cells = [broken(cell) for cell in made_cells(1)]
    before = [0, 3, 7]
    lanes = [(0, member, redraws) for member, redraws in enumerate(before)]
    arrays = finish(TileCalibration(configuration("cpu"), cells, lanes=lanes))
    assert arrays["redraws"][0, : len(before)].tolist() == [redraws + MAX_REDRAWS for redraws in before]
    assert (arrays["gradient_evaluations"][0, : len(before)] == MAX_REDRAWS + 1).all()
    assert (arrays["status"][0, : len(before)] == STATUS["diverged"]).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lanes": []}, "needs lanes"),
        ({"lanes": [(0, 1, 0), (0, 1, 2)]}, "each of them once"),
        ({"lanes": [(1, 0, 0)]}, r"no lane \(1, 0\)"),
        ({"lanes": [(0, 5, 0)]}, r"no lane \(0, 5\)"),
        ({"lanes": [(0, 0, MAX_EARLIER_REDRAWS + 1)]}, "redraws before"),
        ({"in_flight": 0}, "lanes in flight"),
        ({"in_flight": 65}, "lanes in flight"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TileCalibration(configuration("cpu"), made_cells(1), **given)


def test_devices_that_are_not_there_are_refused() -> None:
    with pytest.raises(WorkError, match="JAX_NUM_CPU_DEVICES=99"):
        TileCalibration(configuration("cpu"), made_cells(1), devices=99)


@pytest.mark.parametrize("megabytes", [4, 60])
def test_a_tile_that_runs_out_of_memory_goes_on_with_half_its_lanes(megabytes: int) -> None:
    """The limit is real, and lifted once it was hit: else the process ends where XLA compiles the smaller round."""
    words = [sys.executable, "-m", "tests.support.campaigns.out_of_memory", str(megabytes * 1_000_000)]
    done = subprocess.run(words, env=environment(**device_environment(1)), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["errors"]) == 1, "memory did run out"
    assert found["in_flight"] == 32
    assert found["differing"] == []
