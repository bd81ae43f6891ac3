"""The ids of cells: as ever where two decimals tell them apart, longer where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.io.drivers.grid_cell import cell_name, place_name


@pytest.mark.parametrize(
    ("step", "latitude", "longitude", "name"),
    [
        (None, 61.75, 24.25, "N61.75E024.25"),
        (0.5, -0.25, 359.75, "S00.25W000.25"),
        (1.0, 60.5, 24.5, "N60.50E024.50"),
        (0.25, 60.125, 24.375, "N60.12E024.38"),
        (0.1, 60.05, 24.15, "N60.05E024.15"),
    ],
)
def test_cell_name_of_whole_hundredths_has_two_decimals(step, latitude, longitude, name) -> None:
    assert cell_name(latitude, longitude, step) == name
    assert cell_name(latitude, longitude) == name


@pytest.mark.parametrize(
    ("step", "latitude", "longitude", "name"),
    [
        (0.125, 61.8125, 24.0625, "N61.8125E024.0625"),
        (0.01, 61.805, -24.015, "N61.805W024.015"),
        (1 / 120, 60 + 1 / 240, 24 + 1 / 240, "N60.00417E024.00417"),
    ],
)
def test_cell_name_of_other_steps_has_the_decimals_of_its_centre(step, latitude, longitude, name) -> None:
    assert cell_name(latitude, longitude, step) == name


@pytest.mark.parametrize("step", [1 / 120, 1 / 240, 0.005, 0.01, 1 / 16, 1 / 12, 0.05, 0.25])
def test_cell_names_of_a_meridian_are_unique(step: float) -> None:
    centres = -90 + (np.arange(min(20_000, round(180 / step))) + 0.5) * step
    names = [cell_name(float(latitude), 0.0, step) for latitude in centres]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("step", [1 / 120, 1 / 240, 0.005, 0.01])
def test_cell_names_of_fine_grids_are_those_of_single_precision(step: float) -> None:
    centres = 40 + (np.arange(20_000) + 0.5) * step
    same = [cell_name(float(x), 0.0, step) == cell_name(float(np.float32(x)), 0.0, step) for x in centres if x < 90]
    assert all(same)


def test_place_name_has_the_decimals_of_its_coordinates() -> None:
    assert place_name(61.8474, -24.2948) == "N61.8474W024.2948"
    assert place_name(60.1, 384.3) == "N60.10E024.30"
    assert place_name(float(np.float32(61.85)), 24.25) == "N61.85E024.25"
