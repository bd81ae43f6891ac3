"""Monthly series and tables of points on cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.references.monthly_series import read_months, read_points

NAMES = ["a", "b"]
LAT, LON = np.array([60.25, 61.25]), np.array([-10.25, 24.25])


def sites(folder: Path, time: np.ndarray, values: np.ndarray, units: str = "gC m-2 d-1") -> Path:
    made = xr.Dataset(
        {"flux": (("site", "time"), values, {"units": units})},
        {
            "site": ["b", "far"],
            "latitude": ("site", [0.0, -60.0]),
            "longitude": ("site", [0.0, 0.0]),
            "time": ("time", time, {"units": "days since 2001-01-01"}),
        },
    )
    path = folder / "flux.nc"
    made.to_netcdf(path)
    return path


def test_months_of_sites_by_name(tmp_path: Path) -> None:
    time = np.array([0, 31, 59, 365, 396])  # January to March 2001, January and February 2002
    values = np.array([[1, 2, np.nan, 4, 5], [9, 9, 9, 9, 9.0]])
    path = sites(tmp_path, time, values)
    found = read_months(path, "flux", LAT, LON, 0.5, (2001, 2001), names=NAMES)
    assert found.months.tolist() == np.array(["2001-01", "2001-02", "2001-03"], "datetime64[M]").tolist()
    np.testing.assert_array_equal(found.values, [[np.nan] * 3, [1, 2, np.nan]])
    kilograms = read_months(path, "flux", LAT, LON, 0.5, (2002, 2002), units="kg m-2 s-1", names=NAMES)
    np.testing.assert_allclose(kilograms.values[1], np.array([4, 5]) / 8.64e7)
    with pytest.raises(InputError, match=r"no step in 1990 to 1999; the file has 2001-01-01 to 2002-02-01"):
        read_months(path, "flux", LAT, LON, 0.5, (1990, 1999))
    with pytest.raises(InputError, match=r"a time axis with units such as .days since"):
        read_months(path, "latitude", LAT, LON, 0.5, (2001, 2001))


def test_days_become_months_where_half_of_them_are_there(tmp_path: Path) -> None:
    time = np.arange(59)
    values = np.tile(np.arange(59.0), (2, 1))
    values[0, :14] = np.nan
    values[0, 31:46] = np.nan  # 13 of 28 days of February are left
    found = read_months(sites(tmp_path, time, values), "flux", LAT, LON, 0.5, (2001, 2001), names=NAMES)
    assert found.values[1, 0] == pytest.approx(np.arange(14, 31).mean())
    assert np.isnan(found.values[1, 1])
    late = sites(tmp_path, np.arange(29, 59), np.ones((2, 30)))  # two days of January, all of February
    np.testing.assert_array_equal(
        read_months(late, "flux", LAT, LON, 0.5, (2001, 2001), names=NAMES).values[1], [np.nan, 1]
    )
    hours = sites(tmp_path, np.arange(0, 20, 0.25), np.ones((2, 80)))  # 20 days of January, four steps a day
    assert read_months(hours, "flux", LAT, LON, 0.5, (2001, 2001), names=NAMES).values[1] == 1


def test_a_mean_over_levels(tmp_path: Path) -> None:
    levels = np.array([1.0, 3.0, 8.0])[None, :, None, None] + np.zeros((2, 3, 4, 60))
    made = xr.Dataset(
        {"x": (("time", "depth", "lat", "lon"), levels, {"units": "1"})},
        {
            "depth": ("depth", [1.0, 2.0, 3.0]),
            "lat": ("lat", [59.5, 60.5, 61.5, 62.5], {"units": "degrees_north"}),
            "lon": ("lon", np.arange(-29.5, 30), {"units": "degrees_east"}),
            "time": ("time", [15.0, 45.0], {"units": "days since 2001-01-01"}),
        },
    )
    made.to_netcdf(tmp_path / "levels.nc")
    for depth, mean in (("mean", 4), ([1, 2], 2), (3, 8)):
        found = read_months(tmp_path / "levels.nc", "x", LAT, LON, 0.5, (2001, 2001), {"depth": depth})
        np.testing.assert_allclose(found.values, mean)


def test_time_bounds_tell_the_month_of_a_stamp_at_its_end(tmp_path: Path) -> None:
    made = xr.Dataset(
        {"x": (("time", "lat", "lon"), np.arange(2.0)[:, None, None] + np.zeros((2, 4, 60)), {"units": "1"})},
        {
            "lat": ("lat", [59.5, 60.5, 61.5, 62.5], {"units": "degrees_north"}),
            "lon": ("lon", np.arange(-29.5, 30), {"units": "degrees_east"}),
            "time": ("time", [31.0, 59.0], {"units": "days since 2001-01-01", "bounds": "time_bnds"}),
        },
    )
    made["time_bnds"] = (("time", "nv"), [[0.0, 31.0], [31.0, 59.0]])
    made.to_netcdf(tmp_path / "grid.nc")
    found = read_months(tmp_path / "grid.nc", "x", LAT, LON, 0.5, (2001, 2001))
    assert found.months.tolist() == np.array(["2001-01", "2001-02"], "datetime64[M]").tolist()
    np.testing.assert_array_equal(found.values, [[0, 1], [0, 1]])


TABLE = """lat,lon,id,leaf,wood,root,forest
60.30,-10.10,a,2,4,2,natural
60.10,349.60,a,1,1,2,natural
60.30,-10.10,a,9,0,0,planted
61.20,24.30,b,3,NA,3,natural
10.00,10.00,z,1,1,1,natural
"""


def table(folder: Path, text: str = TABLE) -> Path:
    path = folder / "npp.csv"
    path.write_text(text)
    return path


COLUMNS = {"npp_leaf": "leaf", "npp_wood": "wood", "npp_root": "root"}


def test_rows_are_averaged_by_cell_and_fractions_made_to_sum_to_one(tmp_path: Path) -> None:
    options = {"places": ("lat", "lon"), "where": {"forest": "natural"}}
    plain = read_points(table(tmp_path), COLUMNS, NAMES, LAT, LON, 0.5, **options)
    assert (plain.used, plain.total) == (3, 4)
    np.testing.assert_array_equal(plain.values["npp_leaf"], [1.5, 3])
    np.testing.assert_array_equal(plain.values["npp_wood"], [2.5, np.nan])
    np.testing.assert_array_equal(plain.rows["npp_leaf"], [2, 1])
    shares = read_points(table(tmp_path), COLUMNS, NAMES, LAT, LON, 0.5, renormalise=list(COLUMNS), **options)
    np.testing.assert_allclose(shares.values["npp_leaf"], [0.25, np.nan])
    np.testing.assert_allclose(shares.values["npp_wood"], [0.375, np.nan])
    np.testing.assert_allclose(shares.values["npp_root"], [0.375, np.nan])
    by_id = read_points(table(tmp_path), COLUMNS, NAMES, LAT, LON, 0.5, cell="id")
    assert by_id.rows["npp_leaf"].tolist() == [3, 1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lat,lon,leaf,wood\n", "missing columns: root"),
        ("lat,lon,leaf,wood,root\n60,10,one,1,1\n", "line 2: leaf = .one. is not a number"),
        ("lat,lon,leaf,wood,root\n95,10,1,1,1\n", "lat = 95 must be in -90..90"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_points(table(tmp_path, text), COLUMNS, ["a"], LAT[:1] - 0.25, -LON[:1], 0.5, places=("lat", "lon"))
