import hashlib
import math
import re

import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phloem.errors import InputError
from phloem.io.drivers.tower_cell import Cell
from phloem.io.drivers.tower_files import list_towers, read_tower, write_tower
from phloem.names import FORCING, STREAMS
from tests.support.drivers.tower_samples import damaged, make_cell, same_data, scale, serious


def test_a_sound_file_has_no_finding(tmp_path):
    path = damaged(tmp_path)
    cell = read_tower(path, quality="refuse")
    assert cell.findings == ()
    same_data(cell, make_cell())
    assert (cell.source, cell.training_days) == (str(path), 365)
    assert cell.checksum == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(path.parent.iterdir()) == [path]


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(2, 4),
    st.integers(1950, 2090),
    hnp.arrays(bool, (5, 40)),
    st.floats(-180.0, 180.0) | st.just(math.nan),
)
def test_write_and_read_give_identical_arrays(tmp_path_factory, seed, years, first_year, gaps, longitude):
    cell = make_cell("a_cell-7", seed, years, first_year)
    for values, gap in zip((*cell.observations.values(), cell.evaporative_fraction), gaps, strict=True):
        values[np.flatnonzero(gap) * 3] = np.nan
    cell = Cell(**{**vars(cell), "longitude": longitude})
    path = tmp_path_factory.mktemp("round") / "a_cell-7.nc"
    write_tower(path, cell)
    again = read_tower(path, quality="refuse")
    assert serious(again) == []
    same_data(again, cell)


def test_a_file_is_named_by_its_cell(tmp_path):
    with pytest.raises(InputError, match=re.escape("must be called XX-Syn.nc")):
        write_tower(tmp_path / "other.nc", make_cell())
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_leaves_the_old_file(tmp_path, monkeypatch):
    path = damaged(tmp_path)
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="Input/output"):
        write_tower(path, make_cell(seed=2))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_towers_are_listed_by_name(tmp_path):
    folder = damaged(tmp_path, name="B").parent
    damaged(tmp_path, name="A")
    (folder / "site_coords.csv").write_text("SITE_ID,lon,lat\n")
    assert list(list_towers(folder)) == ["A", "B"]
    assert list_towers(folder, ["B"]) == {"B": folder / "B.nc"}
    with pytest.raises(InputError, match="no site C, D; the sites are A, B"):
        list_towers(folder, ["D", "A", "C"])
    with pytest.raises(InputError, match="no such folder"):
        list_towers(folder / "none")
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="no tower file"):
        list_towers(folder / "empty")


def test_what_is_no_tower_file(tmp_path):
    torn = tmp_path / "torn.nc"
    torn.write_bytes(b"CDF\x01 torn")
    for path, part in ((torn, "not a readable NetCDF file"), (tmp_path / "none.nc", "No such file")):
        with pytest.raises(InputError, match=part) as caught:
            read_tower(path)
        assert str(path) in str(caught.value)
    with pytest.raises(InputError, match="repair, keep, refuse"):
        read_tower(torn, quality="mend")


@pytest.mark.parametrize(
    ("name", "key", "factor", "offset", "unit"),
    [
        ("T2M_MIN", "tasmin", 1.0, 273.15, "K"),
        ("SSRD", "rsds", 1 / 0.0864, 0.0, "W m-2"),
        ("VPD", "vpd", 100.0, 0.0, "Pa"),
        ("VPD", "vpd", 0.1, 0.0, "kPa"),
        ("TOTAL_PREC", "pr", 1 / 86400, 0.0, "kg m-2 s-1"),
        ("CO2", "co2", 1e-6, 0.0, "mol mol-1"),
        ("GPP", "gpp", 1 / 8.64e7, 0.0, "kg m-2 s-1"),
        ("RECO", "reco", 1 / (12.011e-6 * 86400), 0.0, "umol m-2 s-1"),
        ("ET", "et", 1 / 86400, 0.0, "kg m-2 s-1"),
    ],
)
def test_known_units_are_converted_and_reported(tmp_path, name, key, factor, offset, unit):
    cell = read_tower(damaged(tmp_path, scale(name, factor, offset, unit)), quality="refuse")
    sound = make_cell()
    np.testing.assert_allclose(
        {**cell.forcing, **cell.observations}[key],
        {**sound.forcing, **sound.observations}[key],
        rtol=1e-12,
        atol=1e-9,
    )
    (finding,) = cell.findings
    assert (finding.severity, finding.variable) == ("note", name)
    assert finding.message.startswith(f"converted from {unit} to ")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        *(("T2M_MAX", u) for u in ("deg C", "degC", "celsius", "degrees_Celsius", "°C", "C")),
        *(("VPD", u) for u in ("hPA", "hPa", "mbar")),
        *(("SSRD", u) for u in ("MJ/m2/d", "MJ m-2 day-1", "MJ m^-2 d^-1", "MJ/m**2/day")),
        *(("TOTAL_PREC", u) for u in ("mm/day", "mm day-1", "kg m-2 d-1")),
        *(("CO2", u) for u in ("ppmv", "µmol mol-1", "1e-6")),
        *(("GPP", u) for u in ("gC/m2/day", "g C m-2 d-1")),
        *(("LAI", u) for u in ("m2/m2", "1", "m^2 m^-2")),
    ],
)
def test_spellings_of_a_unit(tmp_path, name, unit):
    cell = read_tower(damaged(tmp_path, lambda file: file[name].setncattr("units", unit)), quality="refuse")
    assert cell.findings == ()
    same_data(cell, make_cell())


def test_cmip_names_are_accepted(tmp_path):
    layout = ["T2M_MIN", "T2M_MAX", "SSRD", "CO2", "VPD", "TOTAL_PREC", "GPP", "RECO", "ET", "LAI"]

    def rename(file: netCDF4.Dataset) -> None:
        for old, new in zip(layout, (*FORCING, *STREAMS), strict=True):
            file.renameVariable(old, f"x_{new}")
            file.renameVariable(f"x_{new}", new)
        file.renameVariable("LAT", "lat")

    cell = read_tower(damaged(tmp_path, rename), quality="refuse")
    assert cell.findings == ()
    same_data(cell, make_cell())


def test_cf_time_axes_are_honoured(tmp_path):
    def move(file: netCDF4.Dataset) -> None:
        file["time"][:] = (np.asarray(file["time"][:]) + 18628) * 24  # 1950-01-01
        file["time"].units = "hours since 1950-01-01 00:00:00"

    cell = read_tower(damaged(tmp_path, move), quality="refuse")
    assert cell.findings == ()
    same_data(cell, make_cell())


def test_absent_and_placeholder_units_are_noted(tmp_path):
    def strip(file: netCDF4.Dataset) -> None:
        file["time"].delncattr("units")
        file["VPD"].delncattr("units")
        file["GPP"].units = -9999.0
        file["T2M_MIN"].info = "Mean weekly min. temperature"

    cell = read_tower(damaged(tmp_path, strip), quality="refuse")
    assert [(f.severity, f.variable, f.message) for f in cell.findings] == [
        ("note", "time", "no units attribute; taken as days since 2001-01-01"),
        ("note", "VPD GPP", "no units attribute; taken as hPa, gC m-2 d-1"),
        ("note", "T2M_MIN", "the info attribute says weekly; the time step is one day"),
    ]
    same_data(cell, make_cell())


def test_coordinates_beside_the_file(tmp_path):
    def drop(file: netCDF4.Dataset) -> None:
        file["LAT"][...] = np.nan
        file["LON"][...] = np.nan

    path = damaged(tmp_path, drop)
    table = path.with_name("site_coords.csv")
    table.write_text("SITE_ID,cluster,lon,lat\nYY,c,1.0,2.0\nXX-Syn,c,24.3,61.8\n")
    cell = read_tower(path)
    assert (cell.latitude, cell.longitude) == (61.8, 24.3)
    damaged(tmp_path)
    table.write_text("SITE_ID,lon,lat\nXX-Syn,24.3,16.8\n")
    cell = read_tower(path)
    assert (cell.latitude, cell.longitude) == (61.0, 24.25)
    assert serious(cell) == [("warning", "LAT")]
