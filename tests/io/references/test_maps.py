"""Reference maps on cells: conservation, flips, packed values, coarser grids, sites, levels, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.references.maps import read_map

STEP = 0.5
LAT = 50.25 + STEP * np.repeat(np.arange(8), 10)
LON = -2.25 + STEP * np.tile(np.arange(10), 8)
"""Cells across the meridian of Greenwich, where files that count from 0 have their seam."""


def axis(step: float, low: float, high: float) -> np.ndarray:
    return low + step * (np.arange(round((high - low) / step)) + 0.5)


def field(step: float, seed: int = 0) -> xr.DataArray:
    """A global map of random numbers, south to north, 180 W to 180 E."""
    lat, lon = axis(step, -90, 90), axis(step, -180, 180)
    values = np.random.default_rng(seed).uniform(1, 9, (len(lat), len(lon)))
    coords = {"lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"})}
    return xr.DataArray(values, coords, ("lat", "lon"), "x", {"units": "kg m-2", "long_name": "a map"})


def write(folder: Path, array: xr.DataArray | xr.Dataset, **encoding: object) -> Path:
    path = folder / "map.nc"
    made = array.to_dataset() if isinstance(array, xr.DataArray) else array
    made.to_netcdf(path, encoding={"x": encoding} if encoding else {})
    return path


def read(path: Path, **options: object) -> np.ndarray:
    return read_map(path, "x", LAT, LON, STEP, **options).values  # type: ignore[arg-type]


def flipped(array: xr.DataArray) -> xr.DataArray:
    """The same map from north to south, and a global one from 0 to 360."""
    if array.sizes["lon"] * float(array.lon[1] - array.lon[0]) < 359:
        return array.isel(lat=slice(None, None, -1))
    turned = array.assign_coords(lon=("lon", array.lon.values % 360, array.lon.attrs))
    return turned.sortby("lon").isel(lat=slice(None, None, -1))


def test_cells_of_the_same_grid_keep_their_bits(tmp_path: Path) -> None:
    array = field(STEP)
    wanted = array.sel(lat=xr.DataArray(LAT), lon=xr.DataArray(LON), method="nearest").values
    for one in (array, flipped(array)):
        found = read_map(write(tmp_path, one), "x", LAT, LON, STEP)
        assert np.array_equal(found.values, wanted)
        assert (found.units, found.long_name, found.regrid) == ("kg m-2", "a map", "mean")
    assert np.array_equal(read(tmp_path / "map.nc", method="nearest"), wanted)
    assert np.array_equal(read_map(tmp_path / "map.nc", "x", LAT, LON % 360, STEP).values, wanted)


def test_a_finer_grid_gives_area_weighted_means_as_xarray_has_them(tmp_path: Path) -> None:
    array = field(0.1).sel(lat=slice(49, 56), lon=slice(-5, 5))
    weights = xr.DataArray(np.cos(np.deg2rad(array.lat)), coords={"lat": array.lat})
    for one in (array, flipped(array)):
        found = read(write(tmp_path, one))
        for cell in (0, 33, 79):
            box = array.where((abs(array.lat - LAT[cell]) < 0.25) & (abs(array.lon - LON[cell]) < 0.25), drop=True)
            assert box.size == 25
            assert found[cell] == pytest.approx(float(box.weighted(weights).mean()), rel=1e-6)


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([0.5, 1.0, 2.0, 5.0]), st.sampled_from([0.0, 0.5]), st.integers(0, 99))
def test_the_integral_over_the_earth_is_conserved(tmp_path: Path, step: float, shift: float, seed: int) -> None:
    """Cells of 4 degrees over the whole Earth, from maps that are finer, coarser and shifted along longitude."""
    array = field(step, seed)
    array = array.assign_coords(lon=("lon", array.lon.values + shift * step, array.lon.attrs))
    wide = 4.0
    lat, lon = np.repeat(axis(wide, -90, 90), 90), np.tile(axis(wide, -180, 180), 45)
    cells = read_map(write(tmp_path, array), "x", lat, lon, wide).values

    def integral(values: np.ndarray, latitudes: np.ndarray, size: float) -> float:
        edges = np.deg2rad(np.stack([latitudes - size / 2, latitudes + size / 2]))
        return float((values * (np.sin(edges[1]) - np.sin(edges[0])) * np.deg2rad(size)).sum())

    step = float(array.lat[1] - array.lat[0])
    whole = integral(array.values, np.broadcast_to(array.lat.values[:, None], array.shape), step)
    assert integral(cells, lat, wide) == pytest.approx(whole, rel=1e-9)


def test_a_coarser_grid_gives_overlaps_or_the_box_that_holds_the_centre(tmp_path: Path) -> None:
    array = field(2.0)
    path = write(tmp_path, array)
    box = array.sel(lat=xr.DataArray(LAT), lon=xr.DataArray(LON), method="nearest").values
    np.testing.assert_allclose(read(path), box, rtol=1e-12)
    shifted = array.assign_coords(lon=("lon", array.lon.values + 0.25, array.lon.attrs))
    path = write(tmp_path, shifted)
    found, near = read(path), read(path, method="nearest")
    across = np.isclose((LON - 0.25) % 2, 0)  # the box's edge goes through these centres
    west = shifted.sel(lat=xr.DataArray(LAT), lon=xr.DataArray(LON - 0.01), method="nearest").values
    east = shifted.sel(lat=xr.DataArray(LAT), lon=xr.DataArray(LON + 0.01), method="nearest").values
    assert across.any()
    np.testing.assert_allclose(found, 0.5 * (west + east), rtol=1e-12)
    assert np.array_equal(near, east)


def test_packed_values_fills_and_the_least_share_of_area(tmp_path: Path) -> None:
    array = field(0.25).round(1).sel(lat=slice(48, 58))
    gaps = array.copy()
    first = (abs(array.lat - LAT[0]) < 0.25) & (abs(array.lon - LON[0]) < 0.25)
    second = (abs(array.lat - LAT[1]) < 0.25) & (abs(array.lon - LON[1]) < 0.25)
    south, west = array.lat < LAT[0], array.lon < LON[0]
    gaps = gaps.where(~(first & ~(south & west)))  # a quarter is left
    gaps = gaps.where(~(second & south & (array.lon < LON[1])))  # three quarters are left
    path = write(tmp_path, gaps, dtype="i2", scale_factor=0.1, add_offset=-3.0, _FillValue=-32768)
    found = read(path)
    assert np.isnan(found[0])
    assert np.isfinite(found[1:]).all()
    left = array.where(second & ~(south & (array.lon < LON[1]))).values
    weights = np.cos(np.deg2rad(array.lat.values))[:, None] * np.isfinite(left)
    assert found[1] == pytest.approx(np.nansum(left * weights) / weights.sum(), rel=1e-6)
    assert found[2] == pytest.approx(read(write(tmp_path, array))[2], rel=1e-12)


def test_what_a_regional_file_does_not_cover_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path, field(0.25).sel(lat=slice(52, 60), lon=slice(-10, 1)))
    found = read(path)
    assert np.array_equal(np.isfinite(found), (LAT > 52) & (LON < 1))


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(-50, 50), st.sampled_from([0.3, 0.5, 0.75, 1.5]))
def test_a_constant_stays_and_means_lie_within_the_range(tmp_path: Path, constant: float, step: float) -> None:
    array = field(step)
    low, high = float(array.min()), float(array.max())
    found = read(write(tmp_path, array))
    assert ((found >= low) & (found <= high)).all()
    np.testing.assert_allclose(read(write(tmp_path, array * 0 + constant)), constant, rtol=1e-12, atol=1e-12)


@pytest.fixture
def levelled(tmp_path: Path) -> xr.Dataset:
    """A map of three classes and 24 months."""
    array = field(5.0)
    classes = xr.DataArray([1, 4, 9], dims="kind", name="kind")
    made = (array * classes.assign_coords(kind=classes)).expand_dims(time=24).copy()
    made = made + xr.DataArray(100.0 * np.arange(24), dims="time")
    made = made.assign_coords(time=("time", 30.4 * np.arange(24), {"units": "days since 2001-01-10"}))
    return made.rename("x").to_dataset()


def test_levels_by_coordinate_years_and_means(levelled: xr.Dataset, tmp_path: Path) -> None:
    path = write(tmp_path, levelled)
    one = read(path, select={"kind": 4, "time": 2002})
    base = field(5.0).sel(lat=xr.DataArray(LAT), lon=xr.DataArray(LON), method="nearest").values
    np.testing.assert_allclose(one, 4 * base + 100 * np.arange(12, 24).mean())
    np.testing.assert_allclose(read(path, select={"kind": 9, "time": [2001, 2002]}), 9 * base + 1150)
    np.testing.assert_allclose(read(path, select={"kind": "mean", "time": "mean"}), 14 / 3 * base + 1150)
    for select, says in (
        ({"kind": 4}, "24 levels along time .2001-01-10 to 2002-12-10.*select"),
        ({"kind": 5, "time": 2001}, "kind has no 5; it has 1, 4, 9"),
        ({"kind": 4, "time": 1999}, "time has no 1999; it has 2001-01-10"),
        ({"kind": 4, "time": 2001, "depth": 0}, "select has 'depth'; further dimensions of the variable: time, kind"),
        ({"kind": "oak", "time": 2001}, "kind has no 'oak'"),
    ):
        with pytest.raises(InputError, match=says):
            read(path, select=select)


@pytest.mark.parametrize("by_name", [True, False])
def test_files_of_sites(tmp_path: Path, by_name: bool) -> None:
    made = xr.Dataset(
        {"x": (("place", "time"), [[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]], {"units": "1"})},
        {
            "place": ["c7", "c1", "far"],
            "latitude": ("place", [50.3, 50.2, -33.0]),
            "longitude": ("place", [358.7, 357.9, 0.0]),
            "time": ("time", [0, 400], {"units": "days since 2001-01-01"}),
        },
    )
    path = write(tmp_path, made)
    names = ["c0", "c1", "c2", *(f"n{n}" for n in range(77))] if by_name else None
    found = read_map(path, "x", LAT, LON, STEP, {"time": "mean"}, names=names)
    assert found.regrid == "cells"
    assert "3 places along place" in found.extent
    # c1 is by its name at cell 1; by its place it is nearest to cell 0 (-2.25).
    assert found.values[0] == 3.0
    assert (found.values[1] == 3.0) == by_name
    assert found.values[2] == 1.5
    assert np.isfinite(found.values).sum() == (3 if by_name else 2)


def test_units_are_converted_or_refused(tmp_path: Path) -> None:
    path = write(tmp_path, field(STEP))
    np.testing.assert_allclose(read(path, units="MgC ha-1"), 10 * read(path), rtol=1e-12)
    np.testing.assert_allclose(read(path, units="gC m-2", stated="Mg ha-1"), 100 * read(path), rtol=1e-12)
    with pytest.raises(InputError, match=r"map.nc: variable x: unit 'kg m-2' is of another kind; due is 'd-1'"):
        read(path, units="d-1")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.nc")
    path = write(tmp_path, field(STEP))
    with pytest.raises(InputError, match=r"no variable y; the file has lat, lon, x"):
        read_map(path, "y", LAT, LON, STEP)
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(InputError, match="not a readable"):
        read(tmp_path / "text.nc")
    bare = xr.Dataset({"x": (("row", "column"), np.ones((4, 5)))})
    with pytest.raises(InputError, match="no latitude along the dimensions"):
        read(write(tmp_path, bare))


def test_a_large_map_is_read_by_tiles_to_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, field(0.5))
    whole = read(path)
    monkeypatch.setattr("phloem.io.references.maps._AT_ONCE", 1)
    assert np.array_equal(read(path), whole)


def test_real_maps(data_dir: Path) -> None:
    path = data_dir / "static_0p5" / "static_0p5.nc"
    lat, lon = np.array([61.75, -3.25]), np.array([24.25, -60.25])
    with xr.open_dataset(path) as file:
        wanted = file.igbp_fraction.sel(igbp_class=1).sel(lat=xr.DataArray(lat), lon=xr.DataArray(lon)).values
    assert np.array_equal(read_map(path, "igbp_fraction", lat, lon, 0.5, {"igbp_class": 1}).values, wanted)
    classes = read_map(path, "koppen_main", lat, lon, 0.5, method="nearest").values
    assert classes.tolist() == [4, 1], "Finland is cold, the Amazon tropical"
