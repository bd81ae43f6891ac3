"""Axes and area-conserving means: mass is conserved, constants stay, and how a file runs changes no bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.io.files.stored_values import StoredValues
from phloem.io.grids.file_grid import Boxes, FileGrid, Gather, GridError, gather, grid_boxes, read_axis
from phloem.io.products.layouts import Packing, VariableLayout
from phloem.io.products.series import mean_of

PLAIN = Packing(StoredValues(np.dtype(float)))


def latitudes(step: float, south: float = -90.0, north: float = 90.0) -> np.ndarray:
    return south + step * (np.arange(round((north - south) / step)) + 0.5)


def longitudes(step: float, west: float = -180.0) -> np.ndarray:
    return west + step * (np.arange(round(360.0 / step)) + 0.5)


def mean(field: np.ndarray, lat: np.ndarray, lon: np.ndarray, pixels: Gather) -> np.ndarray:
    """Means of one field (lat, lon) over cells."""
    grid = FileGrid(read_axis(lat, False), read_axis(lon, True))
    layout = VariableLayout(None, "", grid, (-1, 0, 1), "", 1, {}, PLAIN, "", 8, 1, 8)
    window = pixels.window
    return mean_of(field[None, window[0], window[1]], layout, pixels, window)[0]


def cells_of(step: float, south: float = 40.0, rows: int = 6, west: float = -30.0, columns: int = 9) -> Boxes:
    lat, lon = south + step * (np.arange(rows) + 0.5), west + step * (np.arange(columns) + 0.5)
    grid = np.meshgrid(lat, lon, indexing="ij")
    return grid_boxes(grid[0].reshape(-1), grid[1].reshape(-1), step)


@pytest.mark.parametrize("step", [0.05, 0.1, 0.25, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("north_first", [False, True])
@pytest.mark.parametrize("west", [-180.0, 0.0])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_axes_are_understood_whichever_way_they_run(step, north_first, west, kind):
    lat, lon = latitudes(step).astype(kind), longitudes(step, west).astype(kind)
    lat = lat[::-1] if north_first else lat
    rows, columns = read_axis(lat, False), read_axis(lon, True)
    np.testing.assert_allclose(rows.centres, lat, atol=2e-5)
    np.testing.assert_allclose((columns.centres - lon + 180) % 360, 180.0, atol=2e-5)
    assert rows.places(np.array([0]))[0] == (len(lat) - 1 if north_first else 0)
    assert lon[columns.places(np.array([0]))[0]] % 360 == pytest.approx((-180 + step / 2) % 360, abs=1e-4)


@pytest.mark.parametrize(
    ("values", "circular", "says"),
    [
        (np.arange(90, -90, -0.5), False, "corners"),
        (np.array([0.25, 0.75, 1.25, 2.0, 2.25]), False, "not regular"),
        (np.array([10.0, 10.7, 11.4]), True, "does not fit around the Earth"),
        (np.array([80.25, 80.75, 81.25]) + 10.0, False, "runs from"),
        (np.array([3.0]), True, "at least two"),
        (np.array([3.0, np.nan]), True, "finite"),
        (np.array([3.0, 2.5, 2.0]), True, "westwards"),
    ],
)
def test_axes_that_cannot_be_used_are_refused(values, circular, says):
    with pytest.raises(GridError, match=says):
        read_axis(values, circular)


def test_bounds_must_agree_with_centres():
    lat = latitudes(0.5)
    good = np.stack([lat - 0.25, lat + 0.25], axis=1)
    assert read_axis(lat, False, good) == read_axis(lat, False)
    with pytest.raises(GridError, match="not the middle"):
        read_axis(lat, False, good + 0.25)


@settings(max_examples=40, deadline=None)
@given(
    step=st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.3, 0.75, 1.25, 2.0]),
    target=st.sampled_from([0.5, 1.0]),
    seed=st.integers(0, 2**16),
)
def test_mass_is_conserved_and_constants_stay(step, target, seed):
    lat, lon = latitudes(step), longitudes(step)
    rng = np.random.default_rng(seed)
    field = rng.gamma(2.0, 3.0, (len(lat), len(lon)))
    boxes = cells_of(target)
    pixels = gather(FileGrid(read_axis(lat, False), read_axis(lon, True)), boxes, len(boxes))
    area = np.sin(np.deg2rad(boxes.south + target)) - np.sin(np.deg2rad(boxes.south))
    # The integral over the region, by an independent sum: each pixel's overlap with the region as a whole.
    low, high = lat - step / 2, lat + step / 2
    tall = np.sin(np.deg2rad(np.clip(high, 40.0, 40.0 + 6 * target))) - np.sin(
        np.deg2rad(np.clip(low, 40.0, 40.0 + 6 * target))
    )
    wide = np.clip(lon + step / 2, -30.0, -30.0 + 9 * target) - np.clip(lon - step / 2, -30.0, -30.0 + 9 * target)
    exact = float(tall @ field @ wide)
    assert float(np.sum(mean(field, lat, lon, pixels) * area * target)) == pytest.approx(exact, rel=1e-9)
    constant = mean(np.full(field.shape, 0.1), lat, lon, pixels).astype(np.float32)
    np.testing.assert_array_equal(constant, np.float32(0.1))


@settings(max_examples=25, deadline=None)
@given(step=st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.75]), seed=st.integers(0, 2**16), holes=st.booleans())
def test_how_a_file_runs_changes_no_bit(step, seed, holes):
    rng = np.random.default_rng(seed)
    lat, lon = latitudes(step, 30.0, 60.0), longitudes(step)
    field = rng.normal(5.0, 2.0, (len(lat), len(lon)))
    if holes:
        field[rng.random(field.shape) < 0.3] = np.nan
    boxes = cells_of(0.5, west=-2.0)  # across the seam of files that begin at Greenwich
    results = []
    for north_first in (False, True):
        for west in (-180.0, 0.0):
            rows = lat[::-1].astype("f4") if north_first else lat
            columns = longitudes(step, west)
            shifted = np.roll(field, -round(180.0 / step), axis=1) if west == 0.0 else field
            grid = FileGrid(read_axis(rows, False), read_axis(columns, True))
            there = shifted[::-1] if north_first else shifted
            results.append(mean(there, rows, columns, gather(grid, boxes, len(boxes))))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_missing_pixels_do_not_count_and_cells_without_pixels_are_missing():
    lat, lon = latitudes(0.25, 40.0, 42.0), longitudes(0.25)
    field = np.full((len(lat), len(lon)), 7.0)
    field[0, :] = np.nan
    field[:, lon < -29.5] = np.nan
    boxes = cells_of(0.5, rows=6)
    pixels = gather(FileGrid(read_axis(lat, False), read_axis(lon, True)), boxes, len(boxes))
    found = mean(field, lat, lon, pixels).reshape(6, 9)
    assert np.isnan(found[:, 0]).all()
    np.testing.assert_array_equal(found[:4, 1:], 7.0)
    assert np.isnan(found[4:]).all()


def test_a_cell_is_its_own_mean_to_the_bit():
    lat, lon = latitudes(0.5), longitudes(0.5)
    field = np.random.default_rng(1).normal(size=(len(lat), len(lon)))
    boxes = cells_of(0.5)
    pixels = gather(FileGrid(read_axis(lat, False), read_axis(lon, True)), boxes, len(boxes))
    row, column = np.searchsorted(lat, boxes.south), np.searchsorted(lon, boxes.west)
    np.testing.assert_array_equal(mean(field, lat, lon, pixels), field[row, column])


def test_kept_pieces_weight_coarse_pixels_by_their_area():
    """Two kept pieces of 0.05 degrees, in different pixels of 0.1; one of them is wholly covered by four pieces."""
    lat, lon = latitudes(0.1, 60.0, 61.0), longitudes(0.1)
    field = np.zeros((len(lat), len(lon)))
    column = int(np.argmin(abs(lon - 10.05)))
    field[0, column], field[3, column] = 1.0, 3.0
    south = np.array([60.0, 60.0, 60.05, 60.05, 60.3])
    west = np.array([10.0, 10.05, 10.0, 10.05, 10.0])
    boxes = Boxes(np.zeros(5, np.int64), south, west, 0.05)
    pixels = gather(FileGrid(read_axis(lat, False), read_axis(lon, True)), boxes, 1)
    assert pixels.weights.shape == (1, 2)
    area = np.diff(np.sin(np.deg2rad([[60.0, 60.1], [60.3, 60.35]])), axis=1)[:, 0] * np.array([0.1, 0.05])
    assert mean(field, lat, lon, pixels)[0] == pytest.approx((area[0] + 3 * area[1]) / area.sum(), rel=1e-12)


def test_a_grid_whose_poles_are_centres_is_clipped_there():
    lat, lon = np.linspace(-90, 90, 181), np.arange(0.0, 360.0, 1.25)
    boxes = grid_boxes(np.array([89.75]), np.array([0.25]), 0.5)
    pixels = gather(FileGrid(read_axis(lat, False), read_axis(lon, True)), boxes, 1)
    assert pixels.rows[0, 0] == 180
    assert pixels.columns[0, 0] == 0
