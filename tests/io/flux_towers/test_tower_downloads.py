"""Downloads of several towers as one table: which file is read, where towers lie, and what is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.flux_towers.cf_tower_table import read_tower_table, write_tower_table
from phloem.io.flux_towers.quality_rules import flux_rows
from phloem.io.flux_towers.tower_downloads import DownloadOptions, joined_tables, read_tower_downloads
from tests.support.towers.oneflux import HALF_HOURS, columns, moments, put, text

STARTS = moments()
BADM = "SITE_ID,GROUP_ID,VARIABLE_GROUP,VARIABLE,DATAVALUE\n"


def good(seed: int = 1) -> str:
    return text(STARTS, columns(STARTS, seed))


def monthly(seed: int = 1) -> str:
    months = np.arange(np.datetime64("2002-11"), np.datetime64("2003-03")).astype("datetime64[m]")
    values = columns(months, seed)
    return text(months, values | {name: np.ones(len(months)) for name in values if name.endswith("_QC")}, "MM")


def badm(site: str, **values: object) -> str:
    return "".join(f'{site},1,GRP,{name},"{value}"\n' for name, value in values.items())


def test_towers_of_folders_and_archives_become_one_table(tmp_path: Path) -> None:
    put(tmp_path / "a", good())
    sites = "Site,Latitude,Longitude,IGBP,c4_fraction\nXX-Tes,51.5,190,dbf,0.25\nYY-Two,-3,-60,EBF,\nZZ-Far,1,1,GRA,\n"
    (tmp_path / "a/sites.csv").write_text(sites)
    with zipfile.ZipFile(tmp_path / "AMF_YY-Two_FLUXNET_SUBSET_2002-2003_3-5.zip", "w") as archive:
        archive.writestr("AMF_YY-Two_FLUXNET_SUBSET_MM_2002-2003_3-5.csv", monthly(2))
    told: list[tuple[int, int, str]] = []
    table = read_tower_downloads(tmp_path, progress=lambda *said: told.append(said))
    assert table.sites == ("XX-Tes", "YY-Two")
    assert table.months.tolist() == (np.datetime64("2002-11") + np.arange(5)).tolist()
    assert np.isfinite(table.values["GPP"]).tolist() == [[False] * 2 + [True] * 3, [True] * 4 + [False]]
    assert table.igbp == ("DBF", "EBF")
    np.testing.assert_array_equal(table.of_site["lon"], [-170, -60])
    np.testing.assert_array_equal(table.of_site["c4_fraction"], [0.25, np.nan])
    assert told == [(0, 2, ""), (1, 2, "XX-Tes"), (2, 2, "YY-Two")]
    assert [(row["product"], row["resolution"], row["months"]) for row in table.provenance] == [
        ("FLUXNET2015 FULLSET", "HH", "3"), ("AmeriFlux-FLUXNET SUBSET", "MM", "4"),
    ]  # fmt: skip
    write_tower_table(table, tmp_path / "towers.nc")
    read = read_tower_table(tmp_path / "towers.nc")
    assert (read.provenance, read.sites, read.igbp) == (table.provenance, table.sites, table.igbp)
    for name, values in table.values.items():
        np.testing.assert_array_equal(read.values[name], values)
    assert len(flux_rows(read).site) == 7


def test_finest_table_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    put(tmp_path, good())
    subset, months = HALF_HOURS.replace("FULLSET", "SUBSET"), HALF_HOURS.replace("_HH_", "_MM_")
    put(tmp_path, good(2), subset)
    put(tmp_path, monthly(), months)
    table = read_tower_downloads(tmp_path)
    assert table.provenance[0]["file"] == HALF_HOURS
    assert f"XX-Tes: read is {HALF_HOURS}, and not {subset}, {months}" in table.notes
    only_months = read_tower_downloads(tmp_path, DownloadOptions(resolutions=("MM", "HH")))
    assert only_months.provenance[0]["file"] == months


def test_release_that_ends_later_is_read(tmp_path: Path) -> None:
    put(tmp_path, good())
    later = HALF_HOURS.replace("2003-2003_1-4", "2003-2020_beta-3")
    put(tmp_path, good(2), later)
    table = read_tower_downloads(tmp_path)
    assert table.provenance[0]["product"] == "Warm Winter 2020 FULLSET"
    assert table.provenance[0]["version"] == "beta-3"


def test_damaged_finest_table_yields_to_the_next_and_is_told(tmp_path: Path) -> None:
    put(tmp_path, good()[:-60])
    put(tmp_path, monthly(), HALF_HOURS.replace("_HH_", "_MM_"))
    table = read_tower_downloads(tmp_path)
    assert table.provenance[0]["resolution"] == "MM"
    assert any("the file ends within this line" in note and "is read in its place" in note for note in table.notes)
    (tmp_path / HALF_HOURS.replace("_HH_", "_MM_")).unlink()
    with pytest.raises(InputError, match=f"{HALF_HOURS}, line 4321: .* the file ends within this line"):
        read_tower_downloads(tmp_path)


def test_two_tables_between_which_nothing_chooses_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "a", good())
    put(tmp_path / "b", good(2))
    (tmp_path / "b/sites.csv").unlink()
    with pytest.raises(InputError, match=r"tower XX-Tes: .* are of one resolution and of the same years"):
        read_tower_downloads(tmp_path)


def test_places_of_badm_are_read_and_the_table_of_the_user_outweighs_them(tmp_path: Path) -> None:
    put(tmp_path, good())
    (tmp_path / "sites.csv").unlink()
    said = badm(
        "XX-Tes", LOCATION_LAT="51.07", LOCATION_LONG="10.45", LOCATION_ELEV="430", IGBP="DBF", SITE_DESC="é, ö"
    )
    (tmp_path / "FLX_AA-Flx_BIF_ALL_20200501.csv").write_bytes((BADM + said).encode("latin-1"))
    table = read_tower_downloads(tmp_path)
    assert {name: values.tolist() for name, values in table.of_site.items()} == {
        "lat": [51.07], "lon": [10.45], "elevation": [430.0],
    }  # fmt: skip
    assert table.igbp == ("DBF",)
    own = tmp_path.parent / "own.csv"
    own.write_text("site,lat,lon,igbp\nXX-Tes,52,11,MF\n")
    table = read_tower_downloads(tmp_path, DownloadOptions(sites=(own,)))
    assert (table.of_site["lat"][0], table.of_site["elevation"][0], table.igbp) == (52.0, 430.0, ("MF",))


def test_place_that_moves_in_badm_is_told(tmp_path: Path) -> None:
    put(tmp_path, good())
    (tmp_path / "sites.csv").unlink()
    said = badm("XX-Tes", LOCATION_LAT=51.07, LOCATION_LONG=10.45) + badm("XX-Tes", LOCATION_LAT=51.5)
    (tmp_path / "AMF_XX-Tes_FLUXNET_BIF_2023.csv").write_text(BADM + said)
    table = read_tower_downloads(tmp_path)
    assert table.of_site["lat"][0] == 51.5
    assert "XX-Tes: LOCATION_LAT is 51.07 and then 51.5; the last counts" in table.notes
    assert "igbp: no class of XX-Tes" in table.notes


def test_tower_without_a_place_is_refused_before_the_work_and_the_way_out_is_said(tmp_path: Path) -> None:
    put(tmp_path, "damaged")  # is not come to
    (tmp_path / "sites.csv").write_text("SITE_ID,lat,lon\nXX-Oth,1,2\n")
    (tmp_path / "FLX_AA-Flx_BIF_LATEST.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"no latitude and longitude of XX-Tes: give a table sites\.csv") as caught:
        read_tower_downloads(tmp_path)
    assert "save it as CSV" in str(caught.value)


@pytest.mark.parametrize(
    ("sites", "said"),
    [
        ("lat,lon\n1,2\n", "no column of names"),
        ("site,lat,lon\nXX-Tes,1,2\nXX-Tes,1,2\n", "line 3: tower XX-Tes stands twice"),
        ("site,lat,lon\nXX-Tes,north,2\n", "line 2: lat = 'north' is not a number"),
        ("site,lat,lon\nXX-Tes,95,2\n", r"line 2: lat = 95 must be in -90..90"),
        ("site,lat,lon\nXX-Tes,,2\n", "no latitude and longitude of XX-Tes"),
    ],
)
def test_bad_table_of_sites_is_refused(tmp_path: Path, sites: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_tower_downloads(put(tmp_path, good(), sites=sites))


def test_folder_without_tables_says_what_there_is(tmp_path: Path) -> None:
    put(tmp_path, monthly(), HALF_HOURS.replace("_HH_", "_MM_"))
    with pytest.raises(InputError, match=r"no table of HH, HR .* there are tables of MM"):
        read_tower_downloads(tmp_path, DownloadOptions(resolutions=("HH", "HR")))


def test_tables_of_other_towers_and_months_are_joined(tmp_path: Path) -> None:
    one = read_tower_downloads(put(tmp_path / "a", good()))
    two_name = HALF_HOURS.replace("XX-Tes", "YY-Two").replace("_HH_", "_MM_")
    two = read_tower_downloads(put(tmp_path / "b", monthly(), two_name, "site,lat,lon,igbp,koppen\nYY-Two,1,2,GRA,3\n"))
    both = joined_tables([one, two])
    assert both.sites == ("XX-Tes", "YY-Two")
    np.testing.assert_array_equal(both.values["NEE"][0, 2:], one.values["NEE"][0])
    np.testing.assert_array_equal(both.values["NEE"][1, :4], two.values["NEE"][0])
    np.testing.assert_array_equal(both.of_site["koppen"], [np.nan, 3.0])
    assert joined_tables([one]) is one
    with pytest.raises(InputError, match="stand in two of the sources: XX-Tes"):
        joined_tables([one, one])
