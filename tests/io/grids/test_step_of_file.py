"""The size of a file's cells, from its coordinates and bounds alone."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.io.grids.step_of_file import step_of_axes, step_of_list


def axes(step: float, rows: int = 4, columns: int = 6, south: float = 40.0, west: float = 20.0) -> tuple:
    return south + (np.arange(rows) + 0.5) * step, west + (np.arange(columns) + 0.5) * step


def bounds(centres: np.ndarray, step: float) -> np.ndarray:
    return np.stack([centres - 0.5 * step, centres + 0.5 * step], axis=1)


@pytest.mark.parametrize("step", [0.5, 0.25, 1.0, 0.1, 0.7, 1 / 12, 1 / 120, 2.8125])
@pytest.mark.parametrize("single", [False, True])
def test_step_of_axes_is_their_spacing_in_either_precision(step: float, single: bool) -> None:
    latitude, longitude = axes(step)
    if single:
        latitude, longitude = latitude.astype(np.float32), longitude.astype(np.float32)
    found = step_of_axes(latitude[::-1].astype(float), longitude.astype(float))
    assert found == pytest.approx(step, rel=1e-6 if single else 1e-12)
    if step != 0.7:
        assert found == step, "a step that divides a degree or the circle is that one to the last bit"


def test_step_of_axes_may_cross_the_date_line_and_have_centres_on_degrees() -> None:
    latitude = np.arange(-90.0, 91.0)
    assert step_of_axes(latitude, np.arange(0.0, 360.0)) == 1.0
    assert step_of_axes(latitude[:5], np.array([178.0, 179.0, -180.0, -179.0])) == 1.0


def test_step_of_axes_of_one_row_is_that_of_the_other_axis() -> None:
    latitude, longitude = axes(0.25, rows=1)
    assert step_of_axes(latitude, longitude) == 0.25


def test_step_of_axes_of_one_cell_is_told_by_its_bounds() -> None:
    one = np.array([61.8]), np.array([24.3])
    assert step_of_axes(*one) is None
    assert step_of_axes(*one, bounds(one[0], 0.1), bounds(one[1], 0.1)) == 0.1
    assert step_of_axes(np.array([61.75]), np.array([24.25])) == 0.5, "a centre of the half-degree grid"


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (np.array([40.0, 40.5, 41.0]), np.array([20.0, 20.625, 21.25])),
        (np.array([88.57, 86.72, 84.86, 83.0, 81.13, 79.27]), np.arange(0, 360, 1.875)),
        (np.array([40.0, 40.5, 41.6]), np.array([20.0, 20.5, 21.0])),
        (np.array([89.0, 90.0, 91.0]), np.array([20.0, 21.0, 22.0])),
    ],
    ids=["oblong", "gaussian", "irregular", "beyond the pole"],
)
def test_step_of_axes_without_one_size_is_none(latitude: np.ndarray, longitude: np.ndarray) -> None:
    assert step_of_axes(latitude, longitude) is None


def test_step_of_list_of_half_degree_centres_is_half_a_degree_however_far_apart() -> None:
    assert step_of_list(np.array([61.25, 62.75]), np.array([24.25, 25.75])) == 0.5
    assert step_of_list(np.array([61.25]), np.array([-0.25])) == 0.5


@pytest.mark.parametrize("step", [0.25, 1.0, 0.1, 1 / 120])
def test_step_of_list_is_the_least_distance_of_its_centres(step: float) -> None:
    rows, columns = np.meshgrid(*axes(step), indexing="ij")
    assert step_of_list(rows.reshape(-1), columns.reshape(-1)) == pytest.approx(step, rel=1e-12)


def test_step_of_list_may_have_its_centres_on_whole_steps() -> None:
    rows, columns = np.meshgrid(60 + 0.25 * np.arange(4), 24 + 0.25 * np.arange(5), indexing="ij")
    assert step_of_list(rows.reshape(-1), columns.reshape(-1)) == 0.25


def test_step_of_list_is_that_of_its_bounds() -> None:
    latitude, longitude = np.array([61.8, 63.0]), np.array([24.3, 26.1])
    assert step_of_list(latitude, longitude) is None
    assert step_of_list(latitude, longitude, bounds(latitude, 0.1), bounds(longitude, 0.1)) == 0.1
    assert step_of_list(latitude, longitude, bounds(latitude, 0.1), bounds(longitude, 0.2)) is None


def test_step_of_list_of_places_anywhere_is_none() -> None:
    assert step_of_list(np.array([60.1, 61.85]), np.array([24.3, 25.9])) is None
    assert step_of_list(np.array([60.1, 62.1]), np.array([24.3, 26.3])) is None, "two degrees apart by chance"
