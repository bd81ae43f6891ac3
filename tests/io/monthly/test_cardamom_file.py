"""Files of one place as CARDAMOM has them: the same cells as from a file of places, and what is told of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.files.own_variables import OwnVariable
from phloem.io.monthly.monthly_cells import monthly_cells
from phloem.io.monthly.monthly_file import read_monthly
from phloem.io.monthly.several_files import monthly_paths, read_monthly_files
from tests.io.monthly.test_monthly_file import make

UNITS = {
    "T2M_MIN": "deg C",
    "T2M_MAX": "deg C",
    "SSRD": "MJ m**-2 day**-1",
    "CO2": "CO2 [ppm]",
    "VPD": "VPD [hPa]",
    "TOTAL_PREC": "mm day-1",
    "BURNED_AREA": "m2/m2",
    "GPP": "g C m-2 day-1",
    "NBE": "g C m-2 day-1",
    "ET": "mm day-1",
    "LAI": "m2 m-2 pixel land area",
    "ABGB": "g C m-2",
}


def one_place(place: int = 0, time: str = "time_dim", **changes: object) -> xr.Dataset:
    """A place of the made file of three, as CARDAMOM writes it."""
    whole = make()
    days = whole["time"].values.astype(float) + 15.21875
    made = xr.Dataset(
        {
            name: (time, np.nan_to_num(whole[name].values[place].astype(float), nan=-9999.0), {"units": unit})
            for name, unit in UNITS.items()
        }
    )
    made["BURNED_AREA"].attrs = {}
    made["time"] = (time, days, {"units": "days since 2001-01-01"})
    made["LAT"], made["LON"] = float(whole["latitude"][place]), float(whole["longitude"][place])
    made["ID"], made["EDC"] = 1100.0, 1.0
    made["PEQ_LCMA"], made["PEQ_CUE"], made["PEQ_iniSOM"] = 60.0, -9999.0, 8000.0
    made["PEQ_LCMA"].attrs = {"unc": 1.4, "opt_unc_type": 1}
    made["GPP"].attrs |= {"single_unc": 0.3, "opt_unc_type": 1, "min_threshold": -9999.0}
    made["LAIunc"] = (time, np.where(np.arange(48) < 24, 0.2, -9999.0))
    made["PARPRIORS"] = ("nopars", np.array([-9999.0, 0.5, 20.0]))
    made["Mean_ABGB"] = 4100.0
    return made.assign(changes)


def write(folder: Path, made: xr.Dataset, name: str = "FI-Mad.cbf.nc") -> Path:
    made.to_netcdf(folder / name)
    return folder / name


@pytest.mark.parametrize("time", ["time_dim", "time", "months"])
def test_a_place_is_that_of_a_file_of_places(tmp_path: Path, time: str) -> None:
    make().to_netcdf(tmp_path / "whole.nc")
    whole = read_monthly(tmp_path / "whole.nc")
    alone = read_monthly(write(tmp_path, one_place(1, time)))
    assert alone.names == ["FI-Mad"]
    assert (alone.first_year, alone.last_year, alone.step) == (2003, 2006, None)
    row = whole.names.index("A-one")
    for name, values in alone.values.items():
        if name == "soil_carbon":
            continue  # the place of the made file has none
        np.testing.assert_allclose(values[0], np.broadcast_to(whole.values[name], (3, values.shape[1]))[row], rtol=1e-6)
    assert alone.latitude == pytest.approx([51.2])
    assert alone.longitude == pytest.approx([10.2])


def test_numbers_priors_and_uncertainties_are_read_and_told(tmp_path: Path) -> None:
    read = read_monthly(write(tmp_path, one_place()))
    assert read.numbers["lcma"][0] == pytest.approx([60.0])
    assert np.isnan(read.numbers["cue"][0]).all()
    assert read.values["soil_carbon"] == pytest.approx(8000.0)
    assert not {"id", "edc", "parpriors"} & read.numbers.keys(), "what CARDAMOM keeps for itself is no predictor"
    told = "\n".join(read.notes)
    assert "GPP: uncertainties (single_unc = 0.3) are not used" in told
    assert "LAI: uncertainties (LAIunc with a median of 0.2)" in told
    assert "PARPRIORS: 2 prior values (0.5, 20) are not used" in told
    assert "BURNED_AREA: no units attribute; taken as 1" in told
    cells = monthly_cells(read)
    assert cells.statics["biomass_snapshot"] == pytest.approx([4000.0]), "a value of a month outweighs the mean"


def test_the_mean_biomass_stands_in_where_no_month_has_one(tmp_path: Path) -> None:
    made = one_place(ABGB=("time_dim", np.full(48, -9999.0), {"units": "g C m-2"}))
    assert monthly_cells(read_monthly(write(tmp_path, made))).statics["biomass_snapshot"] == pytest.approx([4100.0])


def test_days_of_an_index_and_steps_of_a_mean_month(tmp_path: Path) -> None:
    made = one_place().rename(time="TIME_INDEX")
    made["TIME_INDEX"] = ("time_dim", 730 + 15.21875 + 30.4375 * np.arange(48))
    read = read_monthly(write(tmp_path, made))
    assert (read.first_year, read.last_year) == (2003, 2006)
    assert any("TIME_INDEX: taken as days since 2001-01-01" in note for note in read.notes)


def test_a_longitude_may_stand_beside_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, one_place().drop_vars("LON"))
    with pytest.raises(
        InputError, match=r"FI-Mad.cbf.nc: variable LON: no longitude in the file or in site_coords.csv"
    ):
        read_monthly(path)
    (tmp_path / "site_coords.csv").write_text("SITE_ID,lat,lon\nFI-Mad,51.3,22.5\n")
    assert read_monthly(path).longitude == pytest.approx([22.5])


def test_a_folder_of_places(tmp_path: Path) -> None:
    write(tmp_path, one_place(0), "B-two.cbf.nc")
    short = one_place(1).isel(time_dim=slice(12, 48)).drop_vars("PEQ_CUE")
    write(tmp_path, short, "A-one.cbf.nc")
    (tmp_path / "._A-one.cbf.nc").write_bytes(b"what another system leaves")
    paths = monthly_paths(tmp_path)
    assert [path.name for path in paths] == ["A-one.cbf.nc", "B-two.cbf.nc"]
    both = read_monthly_files(paths, "begin", {})
    assert (both.first_year, both.last_year) == (2004, 2006)
    np.testing.assert_allclose(both.values["gpp"][0], read_monthly(paths[0]).values["gpp"][0])
    np.testing.assert_allclose(both.values["gpp"][1], read_monthly(paths[1]).values["gpp"][0, 12:])
    assert np.isnan(both.numbers["cue"][0]).all()
    assert any("B-two.cbf.nc: only the years that all files have, 2004 to 2006" in note for note in both.notes)
    assert any(note.endswith("(all 2 files)") for note in both.notes)
    assert len(monthly_cells(both).kept) == 2


def test_files_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    write(tmp_path, one_place(0).isel(time_dim=slice(0, 12)), "early.cbf.nc")
    write(tmp_path, one_place(1).isel(time_dim=slice(24, 48)), "late.cbf.nc")
    with pytest.raises(InputError, match=r"late.cbf.nc: begins in 2005, when early.cbf.nc has ended \(2003\)"):
        read_monthly_files(monthly_paths(tmp_path), "begin", {})
    for name in ("one.nc", "two.nc"):
        made = one_place()
        made["SSRD"].attrs["units"] = "furlong"
        write(tmp_path, made, name)
    with pytest.raises(InputError, match=r"one.nc: variable SSRD(.|\n)*two.nc: variable SSRD(.|\n)*2 of 4 files"):
        read_monthly_files(monthly_paths(tmp_path), "begin", {})


def test_names_units_and_signs_as_the_user_says(tmp_path: Path) -> None:
    expected = read_monthly(write(tmp_path, one_place()))
    made = one_place()
    uptake = made["NBE"].where(made["NBE"] == -9999.0, -made["NBE"]).rename("UPTAKE")
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] * 4)
    days[13] = 29
    rain = made["TOTAL_PREC"] * days
    rain.attrs = {}
    path = write(tmp_path, made.drop_vars(["NBE", "TOTAL_PREC"]).assign(UPTAKE=uptake, RAIN=rain), "own.cbf.nc")
    own = {
        "nbe": OwnVariable("UPTAKE", "g C m-2 day-1", -1),
        "pr": OwnVariable("RAIN", "mm timestep-1"),
        "gpp": OwnVariable(units="g C m-2 day-1"),
    }
    read = read_monthly(path, own=own)
    for name in ("nbe", "pr", "gpp"):
        np.testing.assert_allclose(read.values[name], expected.values[name], rtol=1e-6)
    with pytest.raises(InputError, match=r"own.cbf.nc: variable et: there is no 'EVAP' \(variables.et\); the file has"):
        read_monthly(path, own={"et": OwnVariable("EVAP")})
    with pytest.raises(InputError, match=r"variables.evap: there is no variable evap; valid are tasmin, "):
        read_monthly(path, own={"evap": OwnVariable("EVAP")})


def test_the_air_of_months_by_its_relative_humidity(tmp_path: Path) -> None:
    made = one_place().drop_vars("VPD")
    made["hurs"] = ("time_dim", np.full(48, 70.0), {"units": "%"})
    read = read_monthly(write(tmp_path, made))
    low, high = (read.values[name][0].astype(float) for name in ("tasmin", "tasmax"))

    def saturation(air: np.ndarray) -> np.ndarray:
        return 6.1078 * np.exp(17.269 * air / (air + 237.3))

    vapour = 0.7 * saturation(0.5 * (low + high))
    expected = 0.5 * sum(np.maximum(saturation(air) - vapour, 0.0) for air in (low, high))
    np.testing.assert_allclose(read.values["vpd"][0], expected, rtol=1e-5, atol=1e-5)
    assert any("made of the months' hurs" in note for note in read.notes)
