import netCDF4
import numpy as np
import pytest

from phloem.io.drivers.findings import Finding
from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.drivers.tower_files import read_tower
from phloem.names import FORCING
from tests.support.drivers.tower_samples import damaged, make_cell, place, refusal, scale, serious


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (place("SSRD", slice(40, 43), np.nan), ["variable SSRD", "3 days, first 2010-02-10"]),
        (place("TOTAL_PREC", slice(0, 1), -9999.0), ["variable TOTAL_PREC", "1 day, first 2010-01-01"]),
        (place("CO2", slice(700, 730), np.inf), ["variable CO2", "30 days, first 2011-12-02"]),
        (place("T2M_MAX", slice(9, 10), 80.0), ["variable T2M_MAX", "outside -95..65 degC on 1 day"]),
        (place("TOTAL_PREC", slice(9, 10), -3.0), ["variable TOTAL_PREC", "negative on 1 day", "-3 mm d-1"]),
        (place("VPD", slice(9, 10), -3.0), ["variable VPD", "negative on 1 day, first 2010-01-10"]),
        (scale("SSRD", 11.574), ["variable SSRD", "outside 0..50 MJ m-2 d-1"]),
        (scale("VPD", 100.0), ["variable VPD", "outside 0..120 hPa"]),
        (scale("CO2", 1e-6), ["variable CO2", "outside 150..2500 ppm on 730 days"]),
        (scale("GPP", 100.0), ["variable GPP", "outside -15..60 gC m-2 d-1"]),
        (
            scale("VPD", 1.0, unit="psi"),
            ["variable VPD", "unknown unit 'psi'", "due is 'hPa'", "hPa, mbar", "kPa, Pa"],
        ),
        (scale("ET", 1.0, unit="inch"), ["variable ET", "unknown unit 'inch'", "kg m-2 s-1"]),
        (
            place("DOY", slice(59, 61), 1.0),
            ["variable DOY", "2 days, first 2010-03-01: says 1, the date's is 60"],
        ),
        (place("time", slice(5, 6), 3000), ["variable time", "followed by an earlier one"]),
        (place("LAT", slice(None), np.nan), ["variable LAT", "no latitude", "site_coords.csv"]),
        (
            lambda f: f.renameVariable("VPD", "V"),
            ["variable VPD or vpd", "is missing", "T2M_MIN, TOTAL_PREC, V, time"],
        ),
        (
            lambda f: [f.renameVariable(name, f"{name}_of_mine") for name in ("GPP", "RECO", "ET", "LAI")],
            ["variable GPP or gpp or RECO or reco or ET or et or LAI or lai", "is missing", "the file has CO2, DOY"],
        ),
        (
            lambda f: f["time"].setncattr("calendar", "julian"),
            ["variable time", "calendar 'julian'", "standard", "noleap", "360_day"],
        ),
        (
            lambda f: f["time"].setncattr("units", "fortnights"),
            ["variable time", "'fortnights' are not understood"],
        ),
        (
            lambda f: f["time"].setncattr("units", "hours since 2001-01-01"),
            ["variable time", "not whole days"],
        ),
    ],
)
@pytest.mark.parametrize("quality", ["repair", "keep", "refuse"])
def test_what_no_mode_accepts(tmp_path, edit, parts, quality):
    message = refusal(damaged(tmp_path, edit), quality=quality)
    for part in parts:
        assert part in message


def swap_for_pressure(file: netCDF4.Dataset) -> None:
    saturated = 0.5 * (saturation_pressure(file["T2M_MIN"][:]) + saturation_pressure(file["T2M_MAX"][:]))
    file["VPD"][:] = np.maximum(saturated - file["VPD"][:], 0.0)


def exchange_two_days(file: netCDF4.Dataset) -> None:
    low, high = file["T2M_MIN"][20:22], file["T2M_MAX"][20:22]
    file["T2M_MIN"][20:22], file["T2M_MAX"][20:22] = high, low


@pytest.mark.parametrize(
    ("edit", "variable", "part"),
    [
        (swap_for_pressure, "VPD", "vapour pressure, not like its deficit (730 days, first 2010-01-01"),
        (exchange_two_days, "T2M_MIN T2M_MAX", "minimum exceeds the maximum on 2 days, first 2010-01-21"),
    ],
)
def test_defects_are_mended_kept_or_refused(tmp_path, edit, variable, part):
    path = damaged(tmp_path, edit)
    mended, kept = read_tower(path), read_tower(path, quality="keep")
    assert serious(mended) == [("repaired", variable)]
    assert serious(kept) == [("warning", variable)]
    for cell in (mended, kept):
        assert part in cell.findings[0].message
        assert cell.findings[0].cell == "XX-Syn"
    sound = make_cell().forcing
    with netCDF4.Dataset(path) as file:
        assert np.array_equal(kept.forcing["vpd"], file["VPD"][:])
        assert np.array_equal(kept.forcing["tasmin"], file["T2M_MIN"][:])
    for name in FORCING:
        np.testing.assert_allclose(mended.forcing[name], sound[name], atol=1e-9)
    message = refusal(path, quality="refuse")
    assert f"variable {variable}" in message
    assert part in message
    assert 'quality = "repair" mends it' in message


def test_kelvin_under_a_wrong_label(tmp_path):
    path = damaged(tmp_path, scale("T2M_MAX", 1.0, 273.15))
    cell = read_tower(path)
    assert serious(cell) == [("repaired", "T2M_MAX")]
    assert "looks like kelvin" in cell.findings[0].message
    np.testing.assert_allclose(cell.forcing["tasmax"], make_cell().forcing["tasmax"], atol=1e-9)
    for quality in ("keep", "refuse"):
        assert "looks like kelvin" in refusal(path, quality=quality)


def test_tiny_negatives_become_zero(tmp_path):
    cell = read_tower(damaged(tmp_path, place("SSRD", slice(10, 12), -0.2)), quality="refuse")
    assert cell.forcing["rsds"][10:12].tolist() == [0.0, 0.0]
    (finding,) = cell.findings
    assert finding == Finding(
        "XX-Syn",
        "SSRD",
        "note",
        "slightly negative on 2 days, first 2010-01-11 (down to -0.2 MJ m-2 d-1); set to 0",
    )


def test_missing_observations(tmp_path):
    def thin(file: netCDF4.Dataset) -> None:
        file["GPP"][::2] = np.nan
        file["LAI"][:365] = -9999.0
        file["ET"][0] = np.inf
        file["EF"][3] = -9999.0

    cell = read_tower(damaged(tmp_path, thin))
    assert [(f.severity, f.variable) for f in cell.findings] == [("note", "GPP"), ("warning", "LAI")]
    assert "no value in the calibration window" in cell.findings[1].message
    assert np.isnan(cell.observations["lai"][:365]).all()
    assert np.isnan(cell.observations["et"][0])
    assert np.isnan(cell.evaporative_fraction[3])
    assert all(np.isfinite(values).all() for values in cell.forcing.values())


def test_an_empty_window_is_refused(tmp_path):
    def empty(file: netCDF4.Dataset) -> None:
        for name in ("GPP", "RECO", "ET", "LAI"):
            file[name][:365] = np.nan

    message = refusal(damaged(tmp_path, empty))
    assert "variable GPP RECO ET LAI: empty window" in message


def test_short_series_are_refused(tmp_path):
    assert "at least 2 are needed" in refusal(damaged(tmp_path, years=1))
