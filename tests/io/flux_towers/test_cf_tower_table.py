"""CF tables of tower months: written, read back, spoilt in every way that is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.files.own_variables import OwnVariable
from phloem.io.flux_towers.cf_tower_table import read_tower_table, write_tower_table
from phloem.io.flux_towers.tower_months import TowerMonths
from phloem.io.flux_towers.tower_quantities import FLUXES, IGBP, OF_SITE, QUANTITIES


def months_of(sites: int = 3, count: int = 14, seed: int = 1) -> TowerMonths:
    """Return a table of all quantities with a tenth of the values missing."""
    draw = np.random.default_rng(seed)

    def holes(shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
        return np.where(draw.random(shape) < 0.1, np.nan, draw.uniform(low, high, shape))

    names = tuple(f"XX-T{number:02d}" for number in range(sites))
    return TowerMonths(
        sites=names,
        months=np.datetime64("2003-04", "M") + np.arange(count),
        values={name: holes((sites, count), 0.0, 1.0) for name in QUANTITIES},
        of_site={
            **{name: holes((sites,), 1.0, 5.0) for name in OF_SITE},
            "lat": draw.uniform(-90, 90, sites),
            "lon": draw.uniform(-180, 179, sites),
        },
        igbp=tuple(draw.choice(np.array([*IGBP, ""]), sites).tolist()),
        provenance=tuple({"site": name, "file": f"{name} ü.csv"} for name in names),
        notes=("first", "second"),
    )


def plain(path: Path, **changes: object) -> Path:
    """Write a small file as others do; changes by name replace variables, None leaves one out."""
    time = np.array(["2001-01-15", "2001-02-15", "2001-03-15"], "datetime64[ns]")
    numbers = np.arange(6.0).reshape(2, 3)
    variables: dict[str, object] = {
        "site": ("site", ["XX-One", "XX-Two"]),
        "time": ("time", time),
        "lat": ("site", [51.0, -3.0], {"units": "degrees_north"}),
        "lon": ("site", [190.0, -60.0], {"units": "degrees_east"}),
        "igbp": ("site", ["enf", "EBF"]),
        "GPP": (("site", "time"), numbers, {"units": "gC m-2 d-1"}),
        "TA": (("site", "time"), numbers + 273.15, {"units": "K"}),
        "SWIN": (("site", "time"), numbers * 10, {"units": "W m-2"}),
    } | changes
    xr.Dataset({name: one for name, one in variables.items() if one is not None}).to_netcdf(path)
    return path


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sites=st.integers(1, 4), count=st.integers(1, 30), seed=st.integers(0, 10**6))
def test_written_table_is_read_back_the_same(tmp_path: Path, sites: int, count: int, seed: int) -> None:
    made = months_of(sites, count, seed)
    write_tower_table(made, tmp_path / "table.nc")
    read = read_tower_table(tmp_path / "table.nc")
    np.testing.assert_array_equal(read.months, made.months)
    for have, due in ((read.values, made.values), (read.of_site, made.of_site)):
        assert have.keys() == due.keys()
        for name in due:
            np.testing.assert_array_equal(have[name], due[name], err_msg=name)
    assert (read.sites, read.igbp, read.provenance, read.notes) == (made.sites, made.igbp, made.provenance, made.notes)
    assert len(read.checksum) == 64


def test_units_and_names_of_others_are_converted(tmp_path: Path) -> None:
    numbers = np.arange(6.0).reshape(2, 3)
    sums = (("site", "time"), numbers * [[31, 28, 31]], {"units": "gC m-2 month-1"})
    path = plain(
        tmp_path / "a.nc",
        GPP=sums,
        RECO=(("time", "site"), numbers.T, {"units": "umol m-2 s-1"}),
        vpd=(("site", "time"), numbers, {"units": "kPa"}),
        NEE_QC=(("site", "time"), numbers * 10, {"units": "%"}),
        CO2=("time", [370.0, 371.0, 372.0], {"units": "umol mol-1"}),
    )
    table = read_tower_table(path)
    np.testing.assert_allclose(table.values["GPP"], numbers)
    np.testing.assert_allclose(table.values["RECO"], numbers * 12.011e-6 * 86400)
    np.testing.assert_allclose(table.values["VPD"], numbers * 10)
    np.testing.assert_allclose(table.values["TA"], numbers, atol=1e-12)
    np.testing.assert_allclose(table.values["NEE_QC"], numbers / 10)
    np.testing.assert_allclose(table.values["CO2"], [[370, 371, 372]] * 2)
    assert table.igbp == ("ENF", "EBF")
    np.testing.assert_allclose(table.of_site["lon"], [-170, -60])
    assert [row["months"] for row in table.provenance] == ["3", "3"]


def test_what_the_user_says_of_a_variable_outweighs_the_file(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.nc", Fc=(("site", "time"), np.ones((2, 3)), {"units": "furlong"}))
    table = read_tower_table(path, {"NEE": OwnVariable("Fc", "umol m-2 s-1", -1)})
    np.testing.assert_allclose(table.values["NEE"], -12.011e-6 * 86400)
    with pytest.raises(InputError, match=r"no variable Nee; valid are GPP, RECO"):
        read_tower_table(path, {"Nee": OwnVariable("Fc")})


def test_months_that_are_left_out_and_out_of_order_become_consecutive(tmp_path: Path) -> None:
    time = np.array(["2001-05-01", "2001-01-01", "2001-02-01"], "datetime64[ns]")
    table = read_tower_table(plain(tmp_path / "a.nc", time=("time", time)))
    assert table.months.tolist() == (np.datetime64("2001-01", "M") + np.arange(5)).tolist()
    np.testing.assert_array_equal(table.values["GPP"][0], [1, 2, np.nan, np.nan, 0])
    assert any("2 months that the file leaves out" in note for note in table.notes)


def test_unknown_class_is_told_and_numbers_of_classes_are_read(tmp_path: Path) -> None:
    table = read_tower_table(plain(tmp_path / "a.nc", igbp=("site", ["OAK", "DBF"])))
    assert table.igbp == ("", "DBF")
    assert any("OAK is none of ENF" in note for note in table.notes)
    assert read_tower_table(plain(tmp_path / "b.nc", igbp=("site", [4, 10]))).igbp == ("DBF", "GRA")


NUMBERS = np.ones((2, 3))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lat": None}, "variable lat: is missing"),
        ({"lon": None}, "variable lon: is missing"),
        ({"TA": None}, "variable TA: is missing; needed are TA, SWIN"),
        ({"SWIN": None}, "variable SWIN: is missing"),
        ({"GPP": None}, "at least one flux is due: GPP, RECO, NEE, LE"),
        ({"site": ("site", ["A", "A"])}, "variable site: each tower needs a name of its own; A"),
        ({"site": ("site", ["A", " "])}, "one has none"),
        ({"site": ("site", [1, 2])}, "a name of each tower is due as text"),
        ({"lat": ("site", [51.0, 95.0])}, r"variable lat: -90 to 90 degrees are due; not so at XX-Two \(95\)"),
        ({"lon": ("site", [51.0, np.nan])}, r"not so at XX-Two \(nan\)"),
        ({"lat": ("time", [1.0, 2.0, 3.0])}, "variable lat: one number a tower is due"),
        ({"GPP": (("site", "time"), NUMBERS, {"units": "furlong"})}, "variable GPP: unit 'furlong' is not understood"),
        ({"GPP": (("site", "time"), NUMBERS, {"units": "K"})}, "variable GPP: unit 'K' is of another kind"),
        ({"GPP": ("site", [1.0, 2.0])}, r"variable GPP: dimensions .* \(site, time\) are due"),
        ({"TA": (("site", "time"), NUMBERS.astype(str))}, "variable TA: numbers are due"),
        ({"igbp": ("site", [4, 18])}, "variable igbp: classes 1 to 17"),
        ({"time": ("time", np.array(["2001-01-01", "2001-02-01", "2001-02-20"], "datetime64[ns]"))},
         "variable time: month 2001-02 stands 2 times"),
        ({"time": ("time", [0.0, 40.0, 109600.0], {"units": "days since 1701-01-01"})},
         "variable time: 1701-01 to 2001-01 are 3601 months; at most 2400"),
    ],
)  # fmt: skip
def test_spoilt_table_is_refused_with_file_and_variable(tmp_path: Path, changes: dict, said: str) -> None:
    path = plain(tmp_path / "spoilt.nc", **changes)
    with pytest.raises(InputError, match=said) as caught:
        read_tower_table(path)
    assert "spoilt.nc" in str(caught.value)


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.nc")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="not a readable NetCDF file"):
        read_tower_table(path)


def test_public_towers_are_read_as_xarray_reads_them(data_dir: Path) -> None:
    path = data_dir / "uflux/towers_monthly.nc"
    if not path.is_file():
        pytest.skip("PHLOEM_DATA: no uflux/towers_monthly.nc")
    table = read_tower_table(path)
    with xr.open_dataset(path) as file:
        assert table.sites == tuple(file.site.values)
        assert table.months.tolist() == file.time.values.astype("datetime64[M]").tolist()
        for name in (*FLUXES.values(), "TA", "SWIN", "NEE_QC", "VPD_DAY"):
            np.testing.assert_array_equal(table.values[name], file[name].values.astype(float), err_msg=name)
        assert table.igbp == tuple(file.igbp.values)
