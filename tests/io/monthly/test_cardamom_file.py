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
    assert "cue" not in read.numbers, "what is missing everywhere is no number"
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
    assert "time: no units attribute; taken as days since 2001-01-01" in read.notes
    made["TIME_INDEX"] = ("time_dim", made["TIME_INDEX"].values + 4018, {"units": "days since 1990-01-01"})
    again = read_monthly(write(tmp_path, made, "units.nc"))
    assert (again.first_year, again.last_year) == (2003, 2006)


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
    assert "cue" not in both.numbers
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


def test_numbers_of_the_place_may_have_other_names_and_units(tmp_path: Path) -> None:
    made = one_place(ABGB=("time_dim", np.full(48, -9999.0)), clay=0.3)
    made["Mean_ABGB"] = 4.1
    made["igbp"] = "ENF"
    own = {"biomass": OwnVariable("Mean_ABGB", "kgC m-2"), "soil_carbon": OwnVariable(units="kgC m-2")}
    made["PEQ_iniSOM"] = 8.0
    read = read_monthly(write(tmp_path, made), own=own)
    assert read.values["biomass"] == pytest.approx(4100.0)
    assert read.values["soil_carbon"] == pytest.approx(8000.0)
    assert read.numbers["clay"][0] == pytest.approx([0.3])
    assert read.classes == ["ENF"]
    with pytest.raises(InputError, match=r"variable co2: dimensions .*; \(time, site\) are due"):
        read_monthly(write(tmp_path, made, "other.nc"), own={"co2": OwnVariable("clay", "ppm")})


def test_a_latitude_may_stand_beside_the_file_and_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "site_coords.csv").write_text("SITE_ID,lat,lon\nA,51.3,22.5\nB,-30,22.5\n")
    for missing in (one_place().drop_vars("LAT"), one_place(LAT=-9999.0), one_place(LAT=np.nan)):
        assert read_monthly(write(tmp_path, missing, "A.nc")).latitude == pytest.approx([51.3])
        with pytest.raises(
            InputError, match=r"C.nc: cell C: variable LAT: no latitude in -90..90 in the file or in site_"
        ):
            read_monthly(write(tmp_path, missing, "C.nc"))
    assert any(
        "LAT: 51.3000, but site_coords.csv says -30" in n
        for n in read_monthly(write(tmp_path, one_place(), "B.nc")).notes
    )
    with pytest.raises(InputError, match=r"variable LON: no longitude in -180..360"):
        read_monthly(write(tmp_path, one_place(LON=800.0), "A.nc"))
    of_one = one_place().drop_vars(["LAT", "LON"])
    of_one["LAT"], of_one["LON"] = ("x", [51.0]), ("x", [10.0])
    assert read_monthly(write(tmp_path, of_one, "D.nc")).names == ["D"]


def test_a_time_without_units_is_refused_of_other_files(tmp_path: Path) -> None:
    whole = make()
    del whole["time"].attrs["units"]
    whole.to_netcdf(tmp_path / "whole.nc")
    with pytest.raises(InputError, match="variable time: units '' are not understood"):
        read_monthly(tmp_path / "whole.nc")


def test_two_places_without_a_coordinate_of_their_dimension(tmp_path: Path) -> None:
    """(site, time) beside texts alone: no variable of theirs is taken for the bounds of another."""
    whole = make().isel(site=slice(0, 2))
    names = whole["site"].values
    whole = whole.drop_vars("site").rename_dims(site="n").transpose("time", ...).assign(station=("n", names))
    whole["GPP"] = (-whole["GPP"]).assign_attrs(whole["GPP"].attrs)
    whole.to_netcdf(tmp_path / "two.nc")
    read = read_monthly(tmp_path / "two.nc", own={"gpp": OwnVariable(sign=-1)})
    assert read.names == ["B-two", "A-one"]
    assert np.nanmean(read.values["gpp"]) > 0


def test_what_the_user_names_stands_alone(tmp_path: Path) -> None:
    empty = one_place(GPP_DT=("time_dim", np.full(48, -9999.0), {"units": "gC m-2 d-1"}))
    read = read_monthly(write(tmp_path, empty), own={"gpp": OwnVariable("GPP_DT")})
    assert np.isnan(read.values["gpp"]).all(), "the usual one does not stand in"
    for own, said in (
        ({"gpp": OwnVariable("igbp")}, r"variable igbp: cannot be gpp \(variables.gpp\): numbers are due"),
        ({"gpp": OwnVariable("GPP"), "reco": OwnVariable("GPP")}, "variable GPP: it cannot be both gpp and reco"),
        ({"reco": OwnVariable(sign=-1)}, r"variable reco: there is no 'reco' or 'RECO' \(variables.reco\)"),
    ):
        with pytest.raises(InputError, match=said):
            read_monthly(write(tmp_path, one_place(igbp=("time_dim", ["x"] * 48)), "b.nc"), own=own)


def test_withheld_values_are_told_with_the_others(tmp_path: Path) -> None:
    whole = make()
    whole.to_netcdf(tmp_path / "whole.nc")
    expected = read_monthly(tmp_path / "whole.nc")
    turned = whole.rename(NBE="NEP", NEE_val="NEP_val")
    for name in ("NEP", "NEP_val"):
        turned[name] = (-turned[name]).assign_attrs(units="?")
    turned.to_netcdf(tmp_path / "turned.nc")
    read = read_monthly(tmp_path / "turned.nc", own={"nbe": OwnVariable("NEP", "gC m-2 d-1", -1)})
    np.testing.assert_allclose(read.values["nbe"], expected.values["nbe"])
    np.testing.assert_allclose(read.withheld["nbe"], expected.withheld["nbe"])
    assert np.isfinite(read.withheld["nbe"]).any()
    apart = {"nbe": OwnVariable("NEP", "gC m-2 d-1", -1), "nbe_val": OwnVariable("NEP_val", "kgC m-2 s-1", -1)}
    with pytest.raises(InputError, match=r"variable nbe_val: .* are possible"):
        read_monthly(tmp_path / "turned.nc", own=apart)


def test_a_number_of_no_month_has_no_year_in_a_folder(tmp_path: Path) -> None:
    without = one_place(ABGB=("time_dim", np.full(48, -9999.0), {"units": "g C m-2"}))
    write(tmp_path, without, "a.nc")
    write(tmp_path, without, "b.nc")
    cells = monthly_cells(read_monthly_files(monthly_paths(tmp_path), "begin", {}))
    assert cells.snapshot_year is None
    assert cells.statics["biomass_snapshot"] == pytest.approx([4100.0, 4100.0])
    write(tmp_path, one_place(), "c.nc")
    cells = monthly_cells(read_monthly_files(monthly_paths(tmp_path), "begin", {}))
    assert cells.snapshot_year is None
    assert sorted(cells.statics["biomass_snapshot"]) == pytest.approx([4000.0, 4100.0, 4100.0])


def test_respiration_of_one_file_takes_nothing_from_the_others(tmp_path: Path) -> None:
    write(tmp_path, one_place().assign(RECO=one_place()["GPP"]), "a.nc")
    write(tmp_path, one_place(1), "b.nc")
    both = monthly_cells(read_monthly_files(monthly_paths(tmp_path), "begin", {}))
    alone = monthly_cells(read_monthly(tmp_path / "b.nc"))
    np.testing.assert_allclose(both.observations["reco"][1], alone.observations["reco"][0])
    assert np.isfinite(both.observations["reco"][1]).any()
    np.testing.assert_allclose(both.observations["reco"][0], both.observations["gpp"][0])


def test_some_files_of_a_folder_may_lack_a_stream_and_not_all(tmp_path: Path) -> None:
    write(tmp_path, one_place().rename(GPP="GPP_NT"), "a.nc")
    write(tmp_path, one_place(1).drop_vars("GPP"), "b.nc")
    own = {"gpp": OwnVariable("GPP_NT")}
    both = read_monthly_files(monthly_paths(tmp_path), "begin", own)
    assert np.isfinite(both.values["gpp"][0]).any()
    assert np.isnan(both.values["gpp"][1]).all()
    with pytest.raises(InputError, match=r"variable lai: no file has it \(variables.lai\)"):
        read_monthly_files(monthly_paths(tmp_path), "begin", {"lai": OwnVariable("LAI3g")})
    with pytest.raises(InputError, match=r"variable pr: there is no 'rain' \(variables.pr\)"):
        read_monthly_files(monthly_paths(tmp_path), "begin", {"pr": OwnVariable("rain")})


def test_vapour_pressure_is_no_deficit_and_what_is_told_outweighs(tmp_path: Path) -> None:
    made = one_place()
    made["VPD"].attrs["standard_name"] = "water_vapor_partial_pressure_in_air"
    with pytest.raises(
        InputError, match="variable VPD: standard_name 'water_vapor_partial_pressure_in_air'; the deficit is"
    ):
        read_monthly(write(tmp_path, made))
    wet = one_place(hurs=("time_dim", np.full(48, 100.0), {"units": "%"}))
    assert np.nanmax(read_monthly(write(tmp_path, wet, "b.nc")).values["vpd"]) > 5, "its own deficit counts"
    told = read_monthly(write(tmp_path, wet, "b.nc"), own={"hurs": OwnVariable(units="%")})
    middle = 0.5 * (told.values["tasmin"] + told.values["tasmax"])
    assert (told.values["vpd"] <= 6.1078 * np.exp(17.269 * middle / (middle + 237.3))).all()
    assert any("made of the months' hurs" in note for note in told.notes)


def test_fluxes_that_count_the_other_way_are_told(tmp_path: Path) -> None:
    read = read_monthly(write(tmp_path, one_place()), own={"gpp": OwnVariable(sign=-1)})
    assert "gpp: negative in the mean; where a file counts the other way, variables.gpp.sign = -1 says so" in read.notes
