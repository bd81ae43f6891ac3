import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.grids.placed_cells import EARTH_RADIUS, Grid


def test_smallest_grid_at_exact_centres() -> None:
    grid = Grid.around([60.25, 61.75], [-10.25, 12.75], 0.5)
    assert grid.latitude.tolist() == [60.25, 60.75, 61.25, 61.75]
    assert grid.longitude.tolist() == np.arange(-10.25, 13, 0.5).tolist()
    single = np.float32([60.05, 61.15]), np.float32([-179.95, -178.85])
    assert Grid.around(*single, 0.1).latitude.tolist() == np.round(np.arange(60.05, 61.2, 0.1), 9).tolist()
    oblong = Grid.around([1, 2], [5, 10], 0.5, 0.625)
    assert oblong.shape == (3, 9)
    assert Grid.around([60.25], [24.25], 0.5).shape == (1, 1)


def test_across_the_date_line() -> None:
    east, west = np.arange(170.25, 180, 0.5), np.arange(-179.75, -170, 0.5)
    for longitudes in (np.concatenate([east, west]), np.concatenate([west, east]), np.concatenate([east, west + 360])):
        grid = Grid.around(np.full(len(longitudes), 60.25), longitudes, 0.5)
        assert grid.longitude.tolist() == np.arange(170.25, 190, 0.5).tolist()
        rows, columns = grid.find(np.full(len(longitudes), 60.25), longitudes)
        assert (rows == 0).all()
        assert np.mod(grid.longitude[columns] - longitudes, 360).max() == 0
        assert (np.diff(grid.bounds()[1][:, 0]) > 0).all()


def test_nearly_all_around_stays_within_180() -> None:
    longitudes = np.concatenate([np.arange(-179.75, -50, 0.5), np.arange(-10.25, 180, 0.5)])
    grid = Grid.around(np.full(len(longitudes), 60.25), longitudes, 0.5)
    assert grid.longitude[[0, -1]].tolist() == [-179.75, 179.75]
    whole = Grid.around([-89.75, 89.75], [0.25, 359.75], 0.5)
    assert whole.shape == (360, 2), "0.25 and 359.75 are neighbours"
    everywhere = np.arange(0.25, 360, 0.5)
    whole = Grid.around(np.arange(720) % 360 * 0.5 - 89.75, everywhere, 0.5)
    assert whole.longitude[[0, -1]].tolist() == [-179.75, 179.75]


def test_a_centre_on_the_date_line_is_one_place() -> None:
    grid = Grid.around([0.0, 0.0, 0.5], [179.5, 180.0, -180.0], 0.5)
    assert grid.longitude.tolist() == [179.5, 180.0]
    rounded = np.float32([-180.0, -179.9]) - 1e-5
    assert Grid.around([0, 0], rounded, 0.1).longitude.tolist() == [-180.0, -179.9]
    with pytest.raises(InputError, match=r"several cells in one place of the grid: b, c \(0 N, 180 E\)"):
        grid.place(["a", "b", "c"], [0.0, 0.0, 0.0], [179.5, 180.0, -180.0])


@given(
    st.sampled_from([0.5, 0.25, 0.1, 1.0, 2.5, 1 / 12]),
    st.sampled_from([0.0, 0.5]),
    st.integers(0, 4319),
    st.sets(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1),
)
def test_every_cell_is_found_where_it_was_put(step: float, phase: float, west: int, places: set) -> None:
    cells = sorted(places)
    latitudes = [-60 + step * (row + phase) for row, _ in cells]
    longitudes = [(-180 + step * (west + column + phase) + 180) % 360 - 180 for _, column in cells]
    longitudes = np.float32(longitudes).tolist()
    grid = Grid.around(latitudes, longitudes, step)
    names = [f"{row} {column}" for row, column in cells]
    slots = grid.place(names, latitudes, longitudes).slots_of(names)
    rows, columns = np.divmod(slots, grid.shape[1])
    span = max(column for _, column in cells) - min(column for _, column in cells) + 1
    assert grid.shape[0] == cells[-1][0] - cells[0][0] + 1
    assert grid.shape[1] <= span
    assert np.allclose(grid.latitude[rows], latitudes, atol=1e-4)
    assert np.allclose(np.mod(grid.longitude[columns] - longitudes + 180, 360), 180, atol=1e-4)


def test_cells_off_the_grid_are_named() -> None:
    grid = Grid.around([60.25, 61.25], [10.25, 11.25], 0.5)
    with pytest.raises(InputError, match=r"2 cells are not at a centre of the grid of 0.5 x 0.5 degrees: b \(60.4 N"):
        grid.place(["a", "b", "c"], [60.25, 60.4, 61.75], [10.25, 10.25, 10.25])
    rows, columns = grid.find([60.25, np.nan, 60.25, 60.25, 60.25], [10.25, 10.25, 9.75, np.inf, 370.25])
    assert rows.tolist() == [0, -1, -1, -1, 0]
    assert columns.tolist() == [0, -1, -1, -1, 0]
    with pytest.raises(InputError, match="without a place on the grid: x"):
        grid.place(["a"], [60.25], [10.25]).slots_of(["a", "x"])


def test_wrong_grids_are_refused() -> None:
    for latitudes, longitudes, step, message in (
        ([], [], 0.5, "0 latitudes"),
        ([1.0], [1.0, 2.0], 0.5, "2 longitudes"),
        ([np.nan], [1.0], 0.5, "1 cells whose coordinates are no numbers"),
        ([1.0], [1.0], 0.0, "step 0.0"),
        ([95.0], [1.0], 0.5, "beyond the poles"),
    ):
        with pytest.raises(InputError, match=message):
            Grid.around(latitudes, longitudes, step)
    with pytest.raises(InputError, match=r"latitude does not ascend by 0\.5"):
        Grid(np.array([1.0, 0.5]), np.array([1.0]), 0.5, 0.5)
    with pytest.raises(InputError, match="more longitudes than the Earth has"):
        Grid(np.array([1.0]), np.arange(0, 361.0), 1.0, 1.0)


def test_bounds_and_areas_of_the_earth() -> None:
    for latitudes in (np.arange(-89.75, 90, 0.5), np.arange(-90, 90.5, 0.5)):
        grid = Grid(latitudes, np.arange(-179.75, 180, 0.5), 0.5, 0.5)
        north, east = grid.bounds()
        assert (north[0, 0], north[-1, 1], east[0, 0], east[-1, 1]) == (-90, 90, -180, 180)
        assert np.array_equal(north[1:, 0], north[:-1, 1])
        assert np.isclose(grid.areas().sum() * 720, 4 * np.pi * EARTH_RADIUS**2, rtol=1e-13)
