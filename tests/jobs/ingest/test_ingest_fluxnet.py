"""Tables of half hours as downloaded: written here with known days, read back as tower files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.drivers.tower_files import read_tower
from phloem.jobs.ingest.ingest_fluxnet import ingest_fluxnet
from tests.support.campaigns.campaigns import succeed

NAME = "FLX_XX-Tes_FLUXNET2015_FULLSET_HH_2003-2004_1-4.csv"


def table(**changes: np.ndarray) -> str:
    """Write two years of half hours, and an hour of the next; columns by name replace those made here."""
    starts = np.arange("2003-01-01T00:00", "2005-01-01T01:00", np.timedelta64(30, "m"), "datetime64[m]")
    hour = (starts - starts.astype("datetime64[D]")).astype(float) / 60
    day = (starts.astype("datetime64[D]") - np.datetime64("2003-01-01")).astype(float)
    season = np.cos(2 * np.pi * (day - 200) / 365.25)
    columns = {
        "TIMESTAMP_START": np.array([str(one).translate(str.maketrans("", "", "-T:")) for one in starts]),
        "TIMESTAMP_END": np.array([str(one).translate(str.maketrans("", "", "-T:")) for one in starts + 30]),
        "TA_F": 8 + 10 * season - 4 * np.cos(2 * np.pi * hour / 24),
        "TA_F_QC": np.zeros(len(day)),
        "SW_IN_F": np.maximum(300 + 200 * season, 0) * (hour >= 6) * (hour < 18),
        "VPD_F": 5 + 3 * season,
        "P_F": np.where(day % 3 == 0, 0.1, 0.0),
        "CO2_F_MDS": 375 + 0.01 * day,
        "NEE_VUT_REF": np.zeros(len(day)),
        "NEE_VUT_REF_QC": np.zeros(len(day)),
        "GPP_NT_VUT_REF": 5 + 4 * season,
        "RECO_NT_VUT_REF": 3 + 2 * season,
        "LE_F_MDS": 60 + 40 * season,
        "LE_F_MDS_QC": np.ones(len(day)),
    } | changes
    names = [name for name, values in columns.items() if values is not None]
    rows = zip(
        *(np.char.mod("%.6f", columns[n]) if columns[n].dtype.kind == "f" else columns[n] for n in names), strict=True
    )
    return "\n".join([",".join(names), *(",".join(row) for row in rows)]) + "\n"


def folder(root: Path, text: str, name: str = NAME) -> Path:
    (root / name).write_text(text)
    (root / "site_coords.csv").write_text("SITE_ID,lat,lon\nXX-Tes,51.5,10.25\n")
    return root


def test_days_of_half_hours(tmp_path: Path) -> None:
    quality = np.zeros(2 * 24 * 731 + 2)
    quality[: 25 * 1] = 3  # 25 of the first day's 48 half hours
    quality[48 : 48 + 24] = 3  # 24 of the second's
    gap = 375 + 0.01 * np.repeat(np.arange(732.0), 48)[: len(quality)]
    gap[48 * 10 : 48 * 12] = -9999
    source = folder(tmp_path, table(NEE_VUT_REF_QC=quality, CO2_F_MDS=gap))
    said = succeed("ingest", source, "--what", "fluxnet", "--out", "towers", folder=tmp_path)
    assert "48 rows a day of 2 years, 2003 to 2004" in said
    assert "1 days of years that are not whole are left out" in said
    assert "co2: 2 days without a value are interpolated" in said
    assert "gpp: 730 of 731 days" in said
    cell = read_tower(tmp_path / "towers/XX-Tes.nc")
    assert (cell.latitude, cell.longitude, len(cell.time)) == (51.5, 10.25, 731)
    season = np.cos(2 * np.pi * (np.arange(731) - 200) / 365.25)
    expected = {
        "tasmin": 4 + 10 * season,
        "tasmax": 12 + 10 * season,
        "rsds": (300 + 200 * season) / 2 * 0.0864,
        "vpd": 5 + 3 * season,
        "pr": np.where(np.arange(731) % 3 == 0, 4.8, 0.0),
        "co2": 375 + 0.01 * np.arange(731),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(cell.forcing[name], values, atol=1e-4, err_msg=name)
    assert np.isnan(cell.observations["gpp"][0])
    np.testing.assert_allclose(cell.observations["gpp"][1:], (5 + 4 * season[1:]) * 12.011e-6 * 86400, atol=1e-5)
    latent = 2.501e6 - 2361 * (8 + 10 * season)
    np.testing.assert_allclose(cell.observations["et"], (60 + 40 * season) * 86400 / latent, atol=1e-4)
    assert np.isnan(cell.observations["lai"]).all()


def test_archives_as_downloaded(tmp_path: Path) -> None:
    folder(tmp_path, "")
    (tmp_path / NAME).unlink()
    (tmp_path / "._FLX_XX-Tes.zip").write_bytes(b"mac")
    with zipfile.ZipFile(tmp_path / "AMF_XX-Tes_FLUXNET_FULLSET_2003-2004_3-5.zip", "w") as archive:
        archive.writestr(NAME.replace("FLX", "AMF").replace("FLUXNET2015", "FLUXNET"), table())
        archive.writestr("AMF_XX-Tes_FLUXNET_FULLSET_DD_2003-2004_3-5.csv", "TIMESTAMP,TA_F\n20030101,1\n")
    said = ingest_fluxnet(tmp_path, tmp_path / "towers")
    assert said[-1].startswith('next: data.kind = "tower"')
    assert np.isfinite(read_tower(tmp_path / "towers/XX-Tes.nc").observations["reco"]).all()


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("TIMESTAMP,TA_F\n", NAME.replace("_HH_", "_DD_"), "of days, which have no lowest and highest temperature"),
        ("TIMESTAMP_START,TA_F\n", NAME, "missing columns: SW_IN_F or SW_IN_F_MDS, VPD_F or VPD_F_MDS, P_F or P"),
        (table()[:-400], NAME, "line 350[0-9]+: [0-9]+ fields; the header has 14; the file ends within this line"),
        (table(CO2_F_MDS=np.full(35_090, -9999.0)), NAME, "no CO2"),
        (table(), NAME.replace("XX-Tes", "somewhere"), "no table of half hours"),
        (table(), NAME.replace("XX-Tes", "XX-Oth"), "no latitude of XX-Oth"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_and_leaves_nothing(tmp_path: Path, text: str, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ingest_fluxnet(folder(tmp_path, text, name), tmp_path / "towers")
    assert not (tmp_path / "towers").exists()
