"""Names of files as downloaded, and files in folders and archives."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from phloem.errors import InputError
from phloem.io.drivers.oneflux_files import ArchivedFile, list_files, opened, table_of

NAMES = {
    "FLX_AR-SLu_FLUXNET2015_FULLSET_HH_2009-2011_1-4.csv": (
        "AR-SLu", "HH", "FULLSET", "FLUXNET2015", "1-4", (2009, 2011)),
    "FLX_AT-Neu_FLUXNET2015_SUBSET_MM_2002-2012_1-4.csv": (
        "AT-Neu", "MM", "SUBSET", "FLUXNET2015", "1-4", (2002, 2012)),
    "FLX_BE-Bra_FLUXNET2015_FULLSET_DD_1996-2020_beta-3.csv": (
        "BE-Bra", "DD", "FULLSET", "Warm Winter 2020", "beta-3", (1996, 2020)),
    "AMF_US-Ha1_FLUXNET_FULLSET_HR_1991-2020_3-5.csv": (
        "US-Ha1", "HR", "FULLSET", "AmeriFlux-FLUXNET", "3-5", (1991, 2020)),
    "AMF_AR-CCg_FLUXNET_FLUXMET_HH_2018-2020_v1.2_r1.csv": (
        "AR-CCg", "HH", "FLUXMET", "AmeriFlux-FLUXNET", "v1.2_r1", (2018, 2020)),
    "ICOSETC_BE-Vie_FLUXNET_HH_L2.csv": ("BE-Vie", "HH", "", "ICOS", "L2", (0, 0)),
    "XX-Tes_HH.csv": ("XX-Tes", "HH", "", "ONEFlux", "", (0, 0)),
}  # fmt: skip

OTHERS = (
    "FLX_AR-SLu_FLUXNET2015_ERAI_HH_1989-2014_1-4.csv",
    "FLX_AR-SLu_FLUXNET2015_AUXMETEO_HH_2009-2011_1-4.csv",
    "FLX_AR-SLu_FLUXNET2015_FULLSET_YY_2009-2011_1-4.csv",
    "FLX_AR-SLu_FLUXNET2015_FULLSET_WW_2009-2011_1-4.csv",
    "ICOSETC_BE-Vie_VARINFO_FLUXNET_HH_L2.csv",
    "AMF_US-Ha1_FLUXNET_BIF_20230101.csv",
    "AMF_US-Ha1_FLUXNET_BIFVARINFO_HH_1991-2020_3-5.csv",
    "FLX_AR-SLu_FLUXNET2015_FULLSET_HH_2009-2011_1-4.xlsx",
    "site_coords.csv",
)


@pytest.mark.parametrize("name", NAMES)
def test_name_of_a_table_says_tower_resolution_product_and_years(name: str) -> None:
    table = table_of(ArchivedFile(Path("here") / name))
    assert table is not None
    said = (table.site, table.resolution, table.contents, table.product, table.version, table.years)
    assert said == NAMES[name]


@pytest.mark.parametrize("name", OTHERS)
def test_name_of_another_file_is_no_table(name: str) -> None:
    assert table_of(ArchivedFile(Path(name))) is None


def archive(**files: str | bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, contents in files.items():
            file.writestr(name.replace("__", "/").replace("_csv", ".csv").replace("_zip", ".zip"), contents)
    return made.getvalue()


def test_files_of_nested_folders_and_archives_are_listed_and_opened(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/one.csv").write_text("one")
    (tmp_path / "a/._one.csv").write_text("mac")
    inner = archive(folder__two_csv="two")
    (tmp_path / "bulk.zip").write_bytes(archive(x__inner_zip=inner, three_csv="three", __MACOSX__three_csv="mac"))
    files = {file.name: file for file in list_files(tmp_path)}
    assert sorted(files) == ["one.csv", "three.csv", "two.csv"]
    assert files["two.csv"].where.endswith("bulk.zip: x/inner.zip!/folder/two.csv")
    for name, file in files.items():
        with opened(file) as stream:
            assert stream.read().decode() == name.split(".")[0]


def test_broken_archive_is_refused_by_name(tmp_path: Path) -> None:
    whole = archive(one_csv="1,2,3\n" * 5000)
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.zip: not a readable ZIP archive"):
        list_files(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        list_files(tmp_path / "absent")


def test_damaged_bytes_in_an_archive_are_refused_when_they_are_read(tmp_path: Path) -> None:
    whole = bytearray(archive(one_csv="".join(f"{n},{n * n}\n" for n in range(5000))))
    whole[len(whole) // 2] ^= 0xFF
    (tmp_path / "bad.zip").write_bytes(bytes(whole))
    (file,) = list_files(tmp_path)
    with pytest.raises(InputError, match=r"bad\.zip: one\.csv: not readable"), opened(file) as stream:
        stream.read()
