"""What a user says of variables: towers, grid files and raw products give what files with the usual names give."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.drivers.tower_files import read_tower
from phloem.io.files import netcdf
from phloem.io.files.own_variables import OwnVariable
from phloem.io.files.stored_values import stored_values
from phloem.io.files.units import bare_unit, of_month, of_steps
from phloem.io.ingest.cf_grid_file import read_cf_grid
from phloem.io.ingest.grid_findings import GridFindings
from tests.support.drivers.grid_files import dataset
from tests.support.drivers.tower_samples import damaged, make_cell, same_data


def otherwise(file: netCDF4.Dataset) -> None:
    """Turn a tower file into one that calls and counts three variables in another way."""
    file.renameVariable("GPP", "FC")
    file["FC"][:] = -file["FC"][:]
    del file["FC"].units
    file.renameVariable("TOTAL_PREC", "P")
    file["P"].units = "mm timestep-1"
    file["T2M_MIN"].units = "K"  # a wrong attribute


OWN = {
    "gpp": OwnVariable("FC", "gC m-2 d-1", -1),
    "pr": OwnVariable("P"),
    "tasmin": OwnVariable(units="degC"),
}


def test_a_tower_file(tmp_path: Path) -> None:
    path = damaged(tmp_path, otherwise)
    cell = read_tower(path, quality="refuse", own=OWN)
    same_data(cell, make_cell())
    assert not any("units attribute" in finding.message for finding in cell.findings)


def test_a_tower_file_that_does_not_have_it(tmp_path: Path) -> None:
    path = damaged(tmp_path, otherwise)
    with pytest.raises(InputError, match=r"XX-Syn.nc: variable gpp: there is no 'GPP_f' \(variables.gpp\)"):
        read_tower(path, own={"gpp": OwnVariable("GPP_f")})
    with pytest.raises(InputError, match=r"variables.GPP: there is no variable GPP; valid are tasmin, tasmax, "):
        read_tower(path, own={"GPP": OwnVariable("FC")})


@pytest.mark.parametrize("packed", [False, True])
def test_a_grid_file(tmp_path: Path, packed: bool) -> None:
    made = dataset()
    made.to_netcdf(tmp_path / "usual.nc")
    expected = list(read_cf_grid(tmp_path / "usual.nc"))
    other = made.rename(gpp="NEP_gpp", pr="rain")
    assert (made["gpp"].attrs["units"], made["pr"].attrs["units"]) == ("kg m-2 s-1", "kg m-2 s-1")
    other["NEP_gpp"] = (-86400e3 * other["NEP_gpp"]).assign_attrs(units="")
    other["rain"] = other["rain"].assign_attrs(units="?")
    encoding = {"NEP_gpp": {"dtype": "i2", "scale_factor": 0.001, "_FillValue": -32768}} if packed else {}
    other.to_netcdf(tmp_path / "other.nc", encoding=encoding)
    own = {"gpp": OwnVariable("NEP_gpp", "gC m-2 timestep-1", -1), "pr": OwnVariable("rain", "kg m-2 s-1")}
    found = list(read_cf_grid(tmp_path / "other.nc", own=own))
    assert [cell.name for cell in found] == [cell.name for cell in expected]
    for one, other_cell in zip(expected, found, strict=True):
        np.testing.assert_allclose(other_cell.forcing["pr"], one.forcing["pr"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(other_cell.observations["gpp"], one.observations["gpp"], atol=6e-4)
    with pytest.raises(InputError, match=r"other.nc: variable lai: there is no 'LAI3g' \(variables.lai\)"):
        list(read_cf_grid(tmp_path / "other.nc", own={"lai": OwnVariable("LAI3g")}))


def test_days_of_a_grid_file_stamped_at_their_ends(tmp_path: Path) -> None:
    made = dataset()
    made.to_netcdf(tmp_path / "usual.nc")
    expected = list(read_cf_grid(tmp_path / "usual.nc"))
    later = made.assign_coords(time=("time", made["time"].values + 1, made["time"].attrs))
    later.to_netcdf(tmp_path / "later.nc")
    with pytest.raises(InputError, match="whole years of days"):
        list(read_cf_grid(tmp_path / "later.nc"))
    found = list(read_cf_grid(tmp_path / "later.nc", stamps="end"))
    assert [cell.checksum for cell in found] == [cell.checksum for cell in expected]


def test_signs_turn_after_ranges_and_fills() -> None:
    attributes = {"_FillValue": np.int16(-9), "valid_min": np.int16(0), "scale_factor": 0.5}
    values = stored_values(attributes, np.dtype("i2"), "here", sign=-1).decode(np.array([-9, -2, 0, 4], "i2"))
    np.testing.assert_array_equal(values, [np.nan, np.nan, 0.0, -2.0])


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("mm timestep-1", "mm d-1"),
        ("mm/timestep", "mm d-1"),
        ("mm per time step", "mm d-1"),
        ("kg m-2 time_step-1", "kg m-2 d-1"),
        ("mm d-1", "mm d-1"),
    ],
)
def test_units_a_time_step(given: str, found: str) -> None:
    assert of_steps(given, "d-1") == found


def test_units_of_a_month_and_with_a_name() -> None:
    assert [of_month(unit) for unit in ("mm month-1", "mm/month", "g C m-2 mon-1", "mm d-1", "mmol m-2 s-1")] == [
        "mm d-1",
        "mm d-1",
        "g C m-2 d-1",
        None,
        None,
    ]
    assert [bare_unit(unit) for unit in ("CO2 [ppm]", " hPa ", "[mm d-1]")] == ["ppm", "hPa", "mm d-1"]


def test_a_dataset_keeps_what_is_not_spoken_of(tmp_path: Path) -> None:
    made = dataset()
    with xr.set_options(keep_attrs=True):
        made["observed_lai"] = made["lai"] * 2
    made.to_netcdf(tmp_path / "two.nc")
    twice = list(read_cf_grid(tmp_path / "two.nc", own={"lai": OwnVariable("observed_lai")}))
    once = list(read_cf_grid(tmp_path / "two.nc"))
    np.testing.assert_allclose(twice[0].observations["lai"], 2 * once[0].observations["lai"], rtol=1e-5)
    np.testing.assert_array_equal(twice[0].observations["gpp"], once[0].observations["gpp"])


@pytest.mark.parametrize("count", [2, 3])
def test_a_sign_in_a_file_of_so_many_cells(tmp_path: Path, count: int) -> None:
    """Two cells along a dimension without a coordinate are no bounds."""
    made = dataset(by_cell=True).isel(cell=slice(0, count))
    made = made.drop_vars("cell", errors="ignore").rename_dims(cell="c")
    made["gpp"] = (-made["gpp"]).assign_attrs(made["gpp"].attrs)
    made.to_netcdf(tmp_path / "grid.nc")
    cells = list(read_cf_grid(tmp_path / "grid.nc", own={"gpp": OwnVariable(sign=-1)}))
    assert len(cells) == count
    assert np.nanmax([cell.observations["gpp"] for cell in cells]) > 0
    assert np.nanmin([cell.observations["gpp"] for cell in cells]) >= 0


def test_fluxes_that_count_the_other_way_are_told(tmp_path: Path) -> None:
    cell = read_tower(damaged(tmp_path), own={"gpp": OwnVariable(sign=-1)})
    said = [f for f in cell.findings if "negative in the mean" in f.message]
    assert [(f.variable, f.severity) for f in said] == [("GPP", "warning")]
    made = dataset()
    made["gpp"] = (-1e8 * made["gpp"].clip(min=1e-9)).assign_attrs(units="gC m-2 d-1")
    made.to_netcdf(tmp_path / "grid.nc")
    found = GridFindings(tmp_path / "grid.nc")
    list(read_cf_grid(tmp_path / "grid.nc", found))
    assert any("gpp: negative in the mean" in line for line in found.told())


def test_what_acts_on_nothing_is_refused(tmp_path: Path) -> None:
    path = damaged(tmp_path, lambda file: file.renameVariable("GPP", "FC"))
    with pytest.raises(
        InputError, match=r"variable gpp: there is no 'GPP' or 'gpp' \(variables.gpp\); the file has .*FC"
    ):
        read_tower(path, own={"gpp": OwnVariable(sign=-1)})
    with pytest.raises(InputError, match="variable FC: it cannot be both gpp and reco"):
        read_tower(path, own={"gpp": OwnVariable("FC"), "reco": OwnVariable("FC")})
    made = dataset()
    made.to_netcdf(tmp_path / "grid.nc")
    with pytest.raises(InputError, match=r"grid.nc: variable lat: cannot be gpp \(variables.gpp\): it is a coordinate"):
        list(read_cf_grid(tmp_path / "grid.nc", own={"gpp": OwnVariable("lat")}))
    with pytest.raises(InputError, match=r"variable elevation: dimensions .*; one number a cell is due"):
        list(read_cf_grid(tmp_path / "grid.nc", own={"elevation": OwnVariable("lai", "m")}))


def test_drivers_of_a_scenario_need_no_observations(tmp_path: Path) -> None:
    path = damaged(tmp_path, lambda file: file.renameVariable("GPP", "FC"))
    own = {"gpp": OwnVariable("GPP_f"), "pr": OwnVariable(units="mm d-1")}
    cell = read_tower(path, own=own, compared=False)
    assert np.isnan(cell.observations["gpp"]).all()
    with pytest.raises(InputError, match="there is no 'GPP_f'"):
        read_tower(path, own=own)
    made = dataset()
    made.to_netcdf(tmp_path / "grid.nc")
    assert list(read_cf_grid(tmp_path / "grid.nc", own={"gpp": OwnVariable("GPP_f")}, compared=False))


def test_vapour_pressure_is_no_deficit_and_what_is_told_outweighs(tmp_path: Path) -> None:
    def moist(file: netCDF4.Dataset) -> None:
        humid = file.createVariable("hurs", "f8", ("time",))
        humid.units = "%"
        humid[:] = 100.0

    path = damaged(tmp_path, moist)
    plain, told = read_tower(path), read_tower(path, own={"hurs": OwnVariable(units="%")})
    assert plain.forcing["vpd"].mean() > told.forcing["vpd"].mean()
    assert any("made of hurs" in finding.message for finding in told.findings)
    made = dataset()
    made["hurs"] = (made["tasmin"].dims, np.full(made["tasmin"].shape, 100.0), {"units": "%"})
    made.to_netcdf(tmp_path / "grid.nc")
    own = {"hurs": OwnVariable(units="%")}
    usual, other = (next(read_cf_grid(tmp_path / "grid.nc", own=one)) for one in ({}, own))
    assert usual.forcing["vpd"].mean() > other.forcing["vpd"].mean()

    def vapour(file: netCDF4.Dataset) -> None:
        file["VPD"].standard_name = "water_vapor_partial_pressure_in_air"

    (tmp_path / "b").mkdir()
    with pytest.raises(
        InputError, match="variable VPD: standard_name 'water_vapor_partial_pressure_in_air'; the deficit is due"
    ):
        read_tower(damaged(tmp_path / "b", vapour))


def test_a_file_that_is_larger_than_what_memory_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built in memory at first, on disk where that does not do."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    monkeypatch.setattr(netcdf, "IN_MEMORY", small)
    monkeypatch.setattr(netcdf, "ROOM", 0)
    values = np.random.default_rng(0).normal(size=200_000)

    def fill(file: netCDF4.Dataset) -> None:
        file.createDimension("x", len(values))
        file.createVariable("v", "f8", ("x",))[:] = values

    try:
        netcdf.write_netcdf(tmp_path / "large.nc", fill)
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
    with xr.open_dataset(tmp_path / "large.nc") as file:
        np.testing.assert_array_equal(file["v"], values)
