"""Monthly files as cells of a store: names, units, layouts, observations, what is left out and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.monthly.downscaling import month_lengths
from phloem.io.monthly.monthly_cells import MonthlyCells, monthly_cells
from phloem.io.monthly.monthly_file import Monthly, read_monthly
from phloem.names import FORCING, STREAMS

YEARS = month_lengths(2003, 2006, "standard")
NAMES = {"tasmin": "T2M_MIN", "tasmax": "T2M_MAX", "rsds": "SSRD", "co2": "CO2", "vpd": "VPD", "pr": "TOTAL_PREC"}


def means(daily: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return np.add.reduceat(daily.astype(float), starts) / lengths


def make(**changes: object) -> xr.Dataset:
    """Return a made file of three sites and four years, two of them in one half-degree cell."""
    rng = np.random.default_rng(4)
    season = np.sin(2 * np.pi * (np.arange(48) - 3) / 12)
    shape = (3, 48)

    def noisy(middle: float, swing: float) -> np.ndarray:
        return middle + swing * season + 0.1 * swing * rng.standard_normal(shape)

    fields = {
        "T2M_MIN": (noisy(5, 9), "degC"),
        "T2M_MAX": (noisy(15, 10), "degC"),
        "SSRD": (noisy(12, 8), "MJ m-2 d-1"),
        "CO2": (noisy(380, 3), "ppm"),
        "VPD": (noisy(7, 4), "hPa"),
        "TOTAL_PREC": (noisy(2, 0.5), "mm d-1"),
        "BURNED_AREA": (np.zeros(shape), "1"),
        "GPP": (noisy(4, 3), "gC m-2 d-1"),
        "NBE": (noisy(-1, 1), "gC m-2 d-1"),
        "ET": (noisy(1.5, 1), "mm d-1"),
        "LAI": (noisy(2, 1), "m2 m-2"),
        "GPP_val": (np.full(shape, np.nan), "gC m-2 d-1"),
        "NEE_val": (np.full(shape, np.nan), "gC m-2 d-1"),
    }
    for name in ("GPP", "NBE"):
        fields[name.replace("NBE", "NEE") + "_val"][0][:, 30:] = fields[name][0][:, 30:]
        fields[name][0][:, 30:] = np.nan
    biomass = np.full(shape, np.nan)
    biomass[:2, 47] = 4000, 5000
    fields["ABGB"] = biomass, "gC m-2"
    dates = np.datetime64("2003-01") + np.arange(48)
    time = (dates.astype("datetime64[D]") - np.datetime64("2001-01-01")).astype(int)
    dims = "site", "time"
    made = xr.Dataset(
        {name: (dims, values.astype(np.float32), {"units": unit}) for name, (values, unit) in fields.items()},
        coords={
            "site": ("site", ["B-two", "A-one", "C-far"]),
            "time": ("time", time, {"units": "days since 2001-01-01", "calendar": "proleptic_gregorian"}),
            "latitude": ("site", [51.30, 51.20, -3.5]),
            "longitude": ("site", [10.10, 10.20, 300.0]),
        },
    )
    made["igbp"] = ("site", ["ENF", "DBF", "ENF"])
    made["csom0"] = ("site", [8000.0, -9999.0, 5000.0], {"units": "gC m-2"})
    made["cell_latitude"] = ("site", [51.25, 51.25, -3.25])
    return made.assign(changes)


def read(folder: Path, made: xr.Dataset) -> MonthlyCells:
    path = folder / "months.nc"
    made.to_netcdf(path)
    return monthly_cells(read_monthly(path))


def test_places_stand_at_their_coordinates_and_keep_their_names(tmp_path: Path) -> None:
    found = read(tmp_path, make())
    cells = list(found.cells("even", "cloudy"))
    assert [one.name for one in cells] == ["C-far", "A-one", "B-two"], "from south to north"
    assert [(one.latitude, one.longitude) for one in cells] == [(-3.5, -60.0), (51.2, 10.2), (51.3, 10.1)]
    assert found.monthly.step is None
    assert cells[0].calendar == "standard"
    assert len(cells[0].doy) == 365 * 4 + 1
    assert found.snapshot_year == 2006


def test_observations_are_means_on_the_last_days_of_months(tmp_path: Path) -> None:
    made = make()
    one = {cell.name: cell for cell in read(tmp_path, made).cells("even", "cloudy")}["B-two"]
    last = np.cumsum(YEARS) - 1
    assert np.flatnonzero(one.window_start).tolist() == (last - YEARS + 1).tolist()
    reco = (made.GPP + made.NBE).values[0]
    for name, months in (("gpp", made.GPP.values[0]), ("reco", reco), ("et", made.ET.values[0])):
        np.testing.assert_array_equal(one.observations[name][last], months, err_msg=name)
        assert np.isnan(np.delete(one.observations[name], last)).all()
    np.testing.assert_array_equal(one.withheld["gpp"][last], made.GPP_val.values[0])
    np.testing.assert_array_equal(one.withheld["reco"][last], (made.GPP_val + made.NEE_val).values[0])
    assert set(one.withheld) == {"gpp", "reco"}
    assert not (np.isfinite(one.withheld["gpp"]) & np.isfinite(one.observations["gpp"])).any()
    assert np.isnan(one.evaporative_fraction).all()


def test_forcing_has_the_months_of_the_file(tmp_path: Path) -> None:
    made = make()
    one = {cell.name: cell for cell in read(tmp_path, made).cells("even", "cloudy")}["A-one"]
    for name in FORCING:
        months = made[NAMES[name]].values[1]
        np.testing.assert_allclose(means(one.forcing[name], YEARS), months, rtol=1e-5, atol=1e-5, err_msg=name)


def test_numbers_of_the_places_are_predictors(tmp_path: Path) -> None:
    found = read(tmp_path, make(soil_clay=("site", [0.1, 0.2, 0.3], {"units": "1"})))
    statics = {cell.name: cell.statics for cell in found.cells("even", "cloudy")}
    assert statics["B-two"] == {
        "biomass_snapshot": 4000.0, "soil_carbon": 8000.0, "soil_clay": 0.1, "pft_dbf": 0.0, "pft_enf": 1.0,
    }  # fmt: skip
    assert np.isnan(statics["A-one"]["soil_carbon"]), "-9999 is missing, whether the file says so or not"
    assert np.isnan(statics["C-far"]["biomass_snapshot"])
    assert any("csom0: 1 values of -9999" in note for note in found.notes)
    assert any("burned_area: 0" in note for note in found.notes)


def test_months_that_burn_have_no_respiration(tmp_path: Path) -> None:
    made = make()
    made.BURNED_AREA.values[0, 5] = 0.2
    found = read(tmp_path, made)
    one = {cell.name: cell for cell in found.cells("even", "cloudy")}["B-two"]
    last = np.cumsum(YEARS) - 1
    assert np.isnan(one.observations["reco"][last[5]])
    assert np.isfinite(one.observations["reco"][last[4]])
    assert np.isfinite(one.observations["gpp"][last[5]])
    assert any("1 months that burn" in note for note in found.notes)


def test_places_without_a_month_of_forcing_are_left_out_with_the_reason(tmp_path: Path) -> None:
    made = make()
    made.VPD.values[1, [3, 7]] = np.nan
    made.T2M_MIN.values[2, 9] = 60
    found = read(tmp_path, made)
    assert [found.monthly.names[place] for place in found.kept] == ["B-two"]
    said = {name: detail for name, *_, detail in found.dropped}
    assert said["A-one"] == "vpd is missing in 2 months, first 2003-04"
    assert said["C-far"] == "tasmin exceeds tasmax in 1 months, first 2003-10"


def test_other_names_units_and_orders_give_the_same(tmp_path: Path) -> None:
    made = make()
    other = made.drop_vars("igbp").rename({theirs: ours for ours, theirs in NAMES.items()})
    other = other.rename({"GPP": "gpp", "NBE": "nee", "ET": "evspsbl", "LAI": "lai", "csom0": "cSoil"}).transpose()
    other["tasmin"] = (other.tasmin + 273.15).assign_attrs(units="K")
    other["rsds"] = (other.rsds / 0.0864).assign_attrs(units="W m-2")
    other["vpd"] = (other.vpd * 100).assign_attrs(units="Pa")
    other["gpp"] = (other.gpp / 8.64e7).assign_attrs(units="kg m-2 s-1")
    other["cSoil"] = (other.cSoil / 1000).where(other.cSoil > 0).assign_attrs(units="kg m-2")
    other["pr"] = (other.pr * xr.DataArray(YEARS, dims="time")).assign_attrs(units="mm month-1")
    other["co2"] = other.co2.isel(site=0, drop=True).assign_attrs(units="ppm")
    one, two = read(tmp_path, made), read(tmp_path, other)
    for name in FORCING:
        if name != "co2":
            np.testing.assert_allclose(two.monthly.values[name], one.monthly.values[name], rtol=2e-5, atol=2e-5)
    assert (two.monthly.values["co2"] == one.monthly.values["co2"][:1]).all(), "one series serves all places"
    for name in STREAMS:
        np.testing.assert_allclose(two.observations[name], one.observations[name], rtol=1e-5)
    np.testing.assert_allclose(two.statics["soil_carbon"], one.statics["soil_carbon"], rtol=1e-6)


def gridded(step: float) -> xr.Dataset:
    """Return a made grid of two by two cells, one of them sea, with stamps at the ends of months that have bounds."""
    made = make()
    sea = np.array([[1, 1], [np.nan, 1]])
    fields = {
        name: (("time", "lat", "lon"), made[name].values[0][:, None, None] * sea, made[name].attrs)
        for name in (*NAMES.values(), "GPP")
    }
    months = (np.datetime64("2003-01") + np.arange(49)).astype("datetime64[D]") - np.datetime64("2001-01-01")
    edges = months.astype(int)
    return xr.Dataset(
        {**fields, "time_bnds": (("time", "bnds"), np.stack([edges[:-1], edges[1:]], 1))},
        coords={
            "time": ("time", edges[1:], {"units": "days since 2001-01-01", "bounds": "time_bnds"}),
            "lat": ("lat", [51.25, 51.25 - step]),
            "lon": ("lon", [350.25, 350.25 + step]),
        },
    )


def test_cells_of_a_regular_grid_are_a_grid_of_its_step_and_others_are_places(tmp_path: Path) -> None:
    found = read(tmp_path, gridded(0.5))
    assert found.monthly.step == 0.5
    assert found.nothing == 1
    assert not found.dropped
    cells = list(found.cells("even", "cloudy"))
    assert [one.name for one in cells] == ["N50.75W009.25", "N51.25W009.75", "N51.25W009.25"]
    assert (found.monthly.first_year, found.monthly.last_year) == (2003, 2006), "months are those of the time bounds"
    quarter = read(tmp_path, gridded(0.25)).monthly
    assert quarter.step == 0.25
    assert quarter.names[0] == "N51.25W009.75"
    oblong = gridded(0.25)
    oblong = read(tmp_path, oblong.assign_coords(lon=oblong["lon"] * 2 - 350)).monthly
    assert oblong.step is None
    assert oblong.names[0] == "N51.25W009.50"


def test_months_outside_whole_years_are_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, make().isel(time=slice(7, 46)))
    assert (found.monthly.first_year, found.monthly.last_year) == (2004, 2005)
    assert found.monthly.values["pr"].shape == (3, 24)
    np.testing.assert_array_equal(found.monthly.values["pr"], make().TOTAL_PREC.values[:, 12:36])


WRONG: dict[str, tuple[Callable[[xr.Dataset], xr.Dataset], str]] = {
    "no rain": (lambda f: f.drop_vars("TOTAL_PREC"), "variable pr: is missing; due are pr or TOTAL_PREC"),
    "unit": (lambda f: f.assign(VPD=f.VPD.assign_attrs(units="furlong")), "VPD: unknown unit 'furlong'; accepted"),
    "Kelvin": (lambda f: f.assign(T2M_MIN=(f.T2M_MIN + 273).assign_attrs(units="C")), "T2M_MIN: .*the file says"),
    "small rain": (lambda f: f.assign(TOTAL_PREC=(f.TOTAL_PREC / 100).assign_attrs(units="mm d-1")), "in all seasons"),
    "hole": (lambda f: f.isel(time=[*range(5), *range(6, 48)]), "after 2003-05 comes 2003-07"),
    "short": (lambda f: f.isel(time=slice(2, 12)), "no whole year"),
    "no names": (lambda f: f.drop_vars("site"), "a name of each place is due"),
    "twice": (lambda f: f.assign_coords(site=["a", "a", "b"]), "needs a name of its own; a"),
    "calendar": (lambda f: f.assign_coords(time=f.time.assign_attrs(calendar="360_day")), "calendar '360_day'"),
    "dimension": (lambda f: f.assign(VPD=f.VPD.isel(time=0, drop=True)), "VPD: dimensions"),
    "no place": (lambda f: f.drop_vars("latitude"), "one axis of latitudes"),
    "prior": (lambda f: f.assign(lcma=("site", [1.0, 2, 3], {"units": "kg"})), "lcma: unit 'kg'; due is 'g m-2'"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_with_file_and_variable(what: str, tmp_path: Path) -> None:
    change, said = WRONG[what]
    made = change(make())
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, made)
    assert "months.nc" in str(caught.value)


def test_the_real_file(data_dir: Path) -> None:
    """Figures that are quoted in docs/monthly.md."""
    file: Monthly = read_monthly(data_dir / "fluxval_monthly" / "fluxval_monthly.nc")
    found = monthly_cells(file)
    assert len(found.kept) == 107
    assert not found.dropped
    assert (file.first_year, file.last_year) == (2001, 2016)
    assert {name: int(np.isfinite(v).sum()) for name, v in found.observations.items()} == {
        "gpp": 3131, "reco": 3131, "et": 3095, "lai": 7386,
    }  # fmt: skip
    assert {name: int(np.isfinite(v).sum()) for name, v in found.withheld.items()} == {
        "gpp": 3083, "reco": 3083, "et": 3008,
    }  # fmt: skip
    fitted, held = np.isfinite(found.observations["gpp"]), np.isfinite(found.withheld["gpp"])
    last, first = 191 - np.argmax(fitted[:, ::-1], axis=1), np.argmax(held, axis=1)
    assert (last < first).all(), "at each place what is withheld comes after what is not: halves, not calendar years"
    assert (fitted[:, 84:].sum(), held[:, :84].sum()) == (863, 514)
    assert found.snapshot_year == 2015
    assert any("33 places share their forcing" in note for note in found.notes)
    assert np.isnan(found.statics["soil_carbon"]).sum() == 1
    assert sum(name.startswith("pft_") for name in found.statics) == 10
