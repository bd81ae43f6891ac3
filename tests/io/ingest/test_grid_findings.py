"""Quality control of one file of grid drivers: what is told, mended, left out or refused, in words of what was seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.ingest.cf_grid_file import read_cf_grid
from phloem.io.ingest.grid_findings import GridFindings
from tests.support.drivers.grid_files import dataset

Edit = Callable[[xr.Dataset], xr.Dataset]


def read(folder: Path, made: xr.Dataset) -> tuple[list, GridFindings]:
    path = folder / "grid.nc"
    made.to_netcdf(path)
    found = GridFindings(path)
    return list(read_cf_grid(path, found)), found


def times(name: str, factor: float) -> Edit:
    return lambda made: made.assign({name: (made[name] * factor).assign_attrs(made[name].attrs)})


def warmer_nights(made: xr.Dataset) -> xr.Dataset:
    return made.assign(tasmin=(made["tasmin"] + 40).assign_attrs(made["tasmin"].attrs))


def vapour(made: xr.Dataset) -> xr.Dataset:
    """Vapour pressure that falls on clear days, as it does."""
    es = 610.78 * np.exp(17.269 * (made["tasmin"] - 273.15) / (made["tasmin"] - 273.15 + 237.3))
    light = made["rsds"] / made["rsds"].max()
    return made.assign(vpd=(0.9 * es * (1 - 0.2 * light)).assign_attrs(units="Pa"))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            times("gpp", 1e-6),
            r"variable gpp: at most \S+ gC m-2 d-1 in all seasons and cells, where at least 0.1",
        ),
        (
            times("lai", 100.0),
            r"variable lai: 100 to \S+ m2 m-2; 5,480 of 5,480 values are outside 0..20; the file says '1'",
        ),
        (
            lambda made: made.assign(tasmin=(made["tasmin"] - 273.15).assign_attrs(units="K")),
            r"variable tasmin: -2\d\d",
        ),
        (warmer_nights, r"variable tasmin: exceeds tasmax on [\d,]+ of [\d,]+ days of all cells"),
        (vapour, r"variable vpd: behaves like vapour pressure, not like its deficit, in 2 of 2 cells looked at"),
        (
            lambda made: made.assign(vpd=made["vpd"].assign_attrs(standard_name="water_vapor_partial_pressure_in_air")),
            r"variable vpd: standard_name 'water_vapor_partial_pressure_in_air'; the deficit is due",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_was_seen(tmp_path: Path, edit: Edit, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        read(tmp_path, edit(dataset()))
    assert "grid.nc: variable" in str(refused.value)


def test_what_was_mended_or_left_out_is_told(tmp_path: Path) -> None:
    made = dataset()
    made["gpp"].values[5, 0, 0] = 1.0
    made["gpp"].attrs["valid_range"] = np.array([-1.0, 1e-3])
    made["reco"].values[7, 0, 1] = 500.0
    low, high = made["tasmin"].values[9, 1, 0], made["tasmax"].values[9, 1, 0]
    made["tasmin"].values[9, 1, 0], made["tasmax"].values[9, 1, 0] = high, low
    made["pr"].values[10, 1, 1] = np.nan
    made["burntFractionAll"] = ("time", "lat", "lon"), np.full(made["gpp"].shape, 0.1), {"units": "%"}
    cells, found = read(tmp_path, made)
    assert [cell.name for cell in cells] == ["N61.25W000.75", "N61.75W000.75", "N61.75W000.25", "N61.75E000.25"]
    hole = "no value of pr on 1 of 1096 days"
    assert found.dropped == [("N61.25W000.25", 61.25, -0.25, "incomplete forcing", hole)]
    assert found.nothing == 1
    told = "\n".join(found.told())
    for words in (
        "grid.nc: reco: 1 impossible values count as missing",
        "grid.nc: gpp: 1 values outside its valid range (valid_range = -1, 0.001) count as missing",
        "grid.nc: burntFractionAll: above 0 on some days, and not read: the model has no fire",
        "grid.nc: tasmin and tasmax: exchanged on 1 days",
        "grid.nc: left out: 1 cells: incomplete forcing, as ",
        "grid.nc: sea, or no forcing at all: 1 cells",
    ):
        assert words in told


@pytest.mark.parametrize("how", ["another type", "text"])
def test_fills_of_another_type_are_missing(tmp_path: Path, how: str) -> None:
    made = dataset()
    values = made["reco"].values.astype("f4")
    values[::2] = -9.99
    fill = np.float64(-9.99) if how == "another type" else "-9.99"
    made["reco"] = ("time", "lat", "lon"), values, {"units": "gC m-2 d-1"}
    path = tmp_path / "grid.nc"
    made.to_netcdf(path)
    with netCDF4.Dataset(path, "a") as file:
        file["reco"].setncattr("missing_value", fill)
    for cell in read_cf_grid(path):
        seen = cell.observations["reco"][np.isfinite(cell.observations["reco"])]
        assert len(seen)
        assert seen.min() > 0


def test_days_are_those_of_their_bounds(tmp_path: Path) -> None:
    """Stamped at the end of each day; the bounds say which it is."""
    plain, _ = read(tmp_path, dataset())
    made = dataset()
    days = made["time"].values
    made = made.assign_coords(time=("time", days + 1, made["time"].attrs))
    made["time_bnds"] = ("time", "nv"), np.stack([days, days + 1], 1)
    (tmp_path / "grid.nc").unlink()
    bounded, _ = read(tmp_path, made)
    assert [cell.checksum for cell in bounded] == [cell.checksum for cell in plain]


def test_a_meridian_at_both_ends_is_read_once(tmp_path: Path) -> None:
    made = dataset().assign_coords(lon=("lon", [-180.0, 0.0, 180.0], {"units": "degrees_E"}))
    made = made.assign_coords(lat=("lat", [61.75, 61.25], {"units": "degrees_N"})).rename(lat="y", lon="x")
    cells, found = read(tmp_path, made)
    assert sorted({cell.longitude for cell in cells}) == [-180.0, 0.0]
    assert found.nothing == 0, "the sea was in the column that stands twice"
