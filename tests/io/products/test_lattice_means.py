"""Means over lattices: the same as over boxes, whatever is read with them and in which pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phloem.io.grids.file_grid import GridError, grid_boxes, read_axis
from phloem.io.products.catalogue import MONTH, Choice, Field, Product, any_layer
from phloem.io.products.lattice_means import BoxLattice, lattice_steps
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import ProductSeries, scan
from tests.support.drivers.product_samples import write_grid

STEPS = 7


def series_of(path: Path, files: OpenFiles) -> ProductSeries:
    product = Product("any", ("any",), "any", "", "", MONTH, {"any": Field(any_layer("any"), ("value",), unit="1")})
    return scan(Choice("any", product, (str(path),)), files)["any"]


def write(path: Path, size: float, southwards: bool, first: float) -> np.ndarray:
    lat = 40.0 + size * (np.arange(round(6 / size)) + 0.5)
    lon = first + size * (np.arange(round(9 / size)) + 0.5)
    values = np.random.default_rng(3).normal(size=(STEPS, len(lat), len(lon))).astype("f4").astype(float)
    values[:, 1, 2] = np.nan
    if southwards:
        lat, values = lat[::-1], values[:, ::-1]
    time = np.arange(STEPS) * 31.0
    write_grid(path, "value", values, lat, lon, time=time, fill=-9999.0, time_units="days since 2001-01-15")
    return values


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.sampled_from([0.25, 0.3, 0.5, 0.75, 1.0, 1.5]),
    step=st.sampled_from([0.25, 0.5, 1.0]),
    southwards=st.booleans(),
    budget=st.sampled_from([1, 200, 3000, 10**6]),
    first=st.sampled_from([10.0, 355.0, -2.0]),
)
def test_means_equal_those_of_gathered_pixels(tmp_path, size, step, southwards, budget, first):
    path = tmp_path / f"{size}_{southwards}_{first}.nc"
    if not path.exists():
        write(path, size, southwards, first)
    west0 = (first + 1.0 + 180.0) % 360.0 - 180.0
    south = 41.0 + step * np.arange(round(3 / step))
    west = (west0 + step * np.arange(round(4 / step)) + 180.0) % 360.0 - 180.0
    west = np.sort(west)
    with OpenFiles() as files:
        series = series_of(path, files)
        found = np.full((STEPS, len(south), len(west)), np.nan)
        seen = np.zeros((STEPS, len(south)), int)
        for place, rows, values in lattice_steps(
            series, np.arange(STEPS), files, BoxLattice(south, west, step), budget
        ):
            found[place, rows] = values
            seen[place, rows] += 1
        assert (seen == 1).all()
        from phloem.io.grids.file_grid import gather

        north, east = np.meshgrid(south + step / 2, west + step / 2, indexing="ij")
        boxes = grid_boxes(north.reshape(-1), east.reshape(-1), step)
        due = series.read(files, gather(series.grid, boxes, len(boxes)), 0, STEPS).reshape(found.shape)
    np.testing.assert_allclose(found, due, rtol=1e-9, atol=1e-12)


def test_pieces_of_any_size_give_the_same_bits(tmp_path):
    write(tmp_path / "one.nc", 0.3, True, 10.0)
    south, west = 41.0 + 0.5 * np.arange(6), 11.0 + 0.5 * np.arange(8)
    results = []
    with OpenFiles() as files:
        series = series_of(tmp_path / "one.nc", files)
        for budget, rows, columns in ((1, slice(0, 6), slice(0, 8)), (10**6, slice(0, 6), slice(0, 8)),
                                      (10**6, slice(2, 4), slice(3, 8))):  # fmt: skip
            found = np.full((3, 6, 8), np.nan)
            lattice = BoxLattice(south[rows], west[columns], 0.5)
            for place, some, values in lattice_steps(series, np.array([1, 2, 5]), files, lattice, budget):
                found[place, rows.start + some.start : rows.start + some.stop, columns] = values
            results.append(found)
    assert results[0].tobytes() == results[1].tobytes()
    assert results[0][:, 2:4, 3:].tobytes() == results[2][:, 2:4, 3:].tobytes()


class TestPolarHalves:
    def test_latitudes_of_geos_chem_are_cells_of_four_degrees(self):
        axis = read_axis(np.concatenate([[-89.0], np.arange(-86.0, 87.0, 4.0), [89.0]]), circular=False)
        assert (axis.count, axis.shift, axis.length, axis.step) == (90, 0.5, 46, 4.0)
        np.testing.assert_allclose(axis.centres[[1, -2]], [-86.0, 86.0])
        turned = read_axis(np.concatenate([[89.0], np.arange(86.0, -87.0, -4.0), [-89.0]]), circular=False)
        assert not turned.ascending

    @pytest.mark.parametrize("end", [88.0, 89.5, 88.5])
    def test_other_uneven_ends_are_refused(self, end):
        with pytest.raises(GridError, match=r"not regular|does not fit"):
            read_axis(np.concatenate([[-end], np.arange(-86.0, 87.0, 4.0), [end]]), circular=False)

    def test_ordinary_axes_are_no_polar_halves(self):
        for step in (0.5, 1.0, 4.0):
            values = np.arange(-90 + step / 2, 90, step)
            assert read_axis(values, circular=False).length == len(values)
