"""`phloem ingest --what towers`: from downloads and CF tables to one table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.flux_towers.cf_tower_table import read_tower_table
from phloem.jobs.config.towers_file import TowersFile, load_towers_file
from phloem.jobs.ingest.ingest_towers import ingest_towers
from tests.io.flux_towers.test_cf_tower_table import plain
from tests.support.campaigns.campaigns import succeed
from tests.support.towers.oneflux import columns, moments, put, text

STARTS = moments()


def downloads(folder: Path) -> Path:
    values = columns(STARTS)
    values["NEE_VUT_REF_QC"][: 31 * 24] = 3.0  # half of January
    return put(folder, text(STARTS, values))


def test_template_and_downloads_become_a_table_and_what_is_dropped_is_said(tmp_path: Path) -> None:
    downloads(tmp_path / "downloads")
    said = succeed("ingest", "--what", "towers", "--template", "my.toml", folder=tmp_path)
    assert "phloem ingest my.toml --what towers --out towers.nc" in said
    said = succeed("ingest", "my.toml", "--what", "towers", "--out", "towers.nc", folder=tmp_path)
    assert "1 towers, 2003-01 to 2003-03" in said
    assert "XX-Tes: 3 months 2003-01 to 2003-03, 83% good, FLUXNET2015 FULLSET 1-4 HH" in said
    assert "gpp: 2 of 3 months of 1 of 1 towers" in said
    assert "gpp: 1 of 1 towers: NEE_QC below 0.8" in said
    assert read_tower_table(tmp_path / "towers.nc").sites == ("XX-Tes",)


def test_downloads_and_a_table_of_others_become_one(tmp_path: Path) -> None:
    downloads(tmp_path / "downloads")
    plain(tmp_path / "others.nc", Fc=(("site", "time"), np.ones((2, 3)), {"units": "umol m-2 s-1"}))
    (tmp_path / "all.toml").write_text(
        'path = ["downloads", "others.nc"]\nvariables.NEE = { name = "Fc", sign = -1 }\nresolutions = ["HH"]\n'
    )
    made = ingest_towers(load_towers_file(tmp_path / "all.toml"), tmp_path, tmp_path / "towers.nc")
    table = read_tower_table(tmp_path / "towers.nc")
    assert table.sites == ("XX-Tes", "XX-One", "XX-Two")
    np.testing.assert_allclose(table.values["NEE"][1, :3], -12.011e-6 * 86400)
    shown = json.loads(json.dumps(made.as_json()))
    assert shown["kept"]["gpp"] == [2, 0, 0]
    assert {"of": "gpp", "rule": "NEE_QC is not known", "months": [0, 3, 3]} in shown["dropped"]


def test_vegetation_beside_downloads_is_taken_from_a_table_that_has_no_fluxes(tmp_path: Path) -> None:
    downloads(tmp_path / "downloads")
    leaves = (("site", "time"), np.arange(6.0).reshape(2, 3))
    plain(
        tmp_path / "leaves.nc", site=("site", ["XX-Tes", "XX-Two"]), LAI=leaves, GPP=None, TA=None, SWIN=None,
        time=("time", np.array(["2003-02-15", "2003-03-15", "2003-04-15"], "datetime64[ns]")),
    )  # fmt: skip
    made = ingest_towers(TowersFile(path="downloads", beside="leaves.nc"), tmp_path, tmp_path / "towers.nc")
    np.testing.assert_array_equal(read_tower_table(tmp_path / "towers.nc").values["LAI"], [[np.nan, 0, 1]])
    assert "note: LAI: 2 months of 1 towers are of leaves.nc" in made.lines()


def test_table_of_which_nothing_counts_is_written_and_said(tmp_path: Path) -> None:
    source = plain(tmp_path / "a.nc")
    made = ingest_towers(TowersFile(path=str(source)), tmp_path, tmp_path / "b.nc")
    assert "  no month of any tower counts: gpp: 6 of 2 towers: NEE_QC is not known" in made.lines()


@pytest.mark.parametrize(
    ("file", "out", "said"),
    [
        ({"path": "downloads"}, "towers.csv", "a NetCDF file is due"),
        ({"path": "downloads"}, "absent/towers.nc", "there is no folder"),
        ({"path": "here.nc"}, "here.nc", "that is a source"),
        ({"path": "absent"}, "towers.nc", "no such file or folder"),
        ({"path": "downloads", "sites": "absent.csv"}, "towers.nc", "sites = 'absent.csv': no file"),
        ({"path": ["downloads", "downloads"]}, "towers.nc", "stand in two of the sources: XX-Tes"),
    ],
)
def test_wrong_use_is_refused_and_leaves_what_was_there(tmp_path: Path, file: dict, out: str, said: str) -> None:
    downloads(tmp_path / "downloads")
    plain(tmp_path / "here.nc")
    (tmp_path / "towers.nc").write_bytes(b"old")
    with pytest.raises(InputError, match=said):
        ingest_towers(TowersFile(**file), tmp_path, tmp_path / out)
    assert (tmp_path / "towers.nc").read_bytes() == b"old"


def test_unknown_key_of_the_file_is_named_with_the_valid_ones(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('path = "x"\nresolution = "MM"\n')
    with pytest.raises(InputError, match="resolutions"):
        load_towers_file(tmp_path / "a.toml")
