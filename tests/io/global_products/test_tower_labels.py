"""Towers: read from tables of half hours, and placed in cells."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.drivers.fluxnet_tables import GRAMS_OF_CARBON
from phloem.io.files.own_variables import OwnVariable
from phloem.io.global_products.boxes import BoxGrid
from phloem.io.global_products.months_of_series import months_of_years
from phloem.io.global_products.tower_labels import place_towers
from phloem.io.global_products.tower_records import TowerRecords, read_tower_file, read_tower_tables
from phloem.io.global_products.valid_cells import Limits, ValidCells
from phloem.names import PREDICTOR_GROUPS
from tests.jobs.ingest.test_ingest_fluxnet import NAME, table
from tests.support.drivers import patch_samples as samples

GRID = BoxGrid(1.0, 4.0, 5.0)


def cells(grass: float = 60.0) -> ValidCells:
    """All cells of the box from 46 N 5 W."""
    number = int(GRID.inside(46, 50, -5, 0)[0])
    rows, columns = GRID.cells_of(number)
    statics = {name: np.zeros(20) for name in PREDICTOR_GROUPS["PFT"]} | {"GRA": np.full(20, grass)}
    return ValidCells(GRID, np.array([number]), np.zeros(20, np.int64), rows, columns, statics)


def records(kind: str = "GRA", place: tuple[float, float] = (46.5, -2.5), values: float = 4.0) -> TowerRecords:
    found = {"tower_gpp": np.full((1, 24), values)}
    return TowerRecords([Path("t.nc")], ["AA"], np.array([place[0]]), np.array([place[1]]), [kind], [kind], found, None)


def test_a_tower_counts_from_a_quarter_of_its_cell_on():
    limits = Limits()
    assert place_towers(records(), cells(25.0), limits).weight.tolist() == [0.25]
    few = place_towers(records(), cells(24.9), limits)
    assert few.names == ()
    assert "AA: GRA covers 24.9 % of N46.50W002.50, 25 are due" in few.notes


@pytest.mark.parametrize(
    ("kind", "place", "said"),
    [
        ("", (46.5, -2.5), "class '' is not known"),
        ("GRA", (46.5, 2.5), "in no valid cell"),
        ("GRA", (np.nan, 2.5), "no latitude or longitude"),
        ("DBF", (46.5, -2.5), "DBF covers 0.0 %"),
    ],
)
def test_why_a_tower_does_not_count_is_said(kind, place, said):
    placed = place_towers(records(kind, place), cells(), Limits())
    assert placed.names == ()
    assert any(said in note for note in placed.notes)
    assert placed.labels_of(np.arange(20)) == ({}, {})


def test_the_eastern_edge_of_the_earth_belongs_to_the_west():
    rows, columns = GRID.cells_of(0)
    west = ValidCells(GRID, np.array([0]), np.zeros(20, np.int64), rows, columns, cells().statics)
    assert place_towers(records(place=(-89.5, 180.0)), west, Limits()).names == ("AA",)


def test_half_hours_become_months_of_enough_days(tmp_path):
    quality = np.zeros(2 * 24 * 731 + 2)
    quality[: 48 * 16] = 3
    (tmp_path / NAME).write_text(table(NEE_VUT_REF_QC=quality))
    (tmp_path / "site_coords.csv").write_text("SITE_ID,lat,lon,IGBP\nXX-Tes,51.5,190.25,DBF\n")
    found = read_tower_tables(tmp_path, months_of_years(2003, 2004))
    assert (found.types, found.longitude.tolist()) == (["DBF"], [-169.75])
    gpp = found.values["tower_gpp"][0]
    assert np.isnan(gpp[0])
    assert np.isfinite(gpp[1:]).all()
    day = np.arange(730)
    due = (5 + 4 * np.cos(2 * np.pi * (day - 200) / 365.25))[181:212].mean()
    assert gpp[6] == pytest.approx(due * GRAMS_OF_CARBON, rel=1e-3)
    (tmp_path / "site_coords.csv").write_text("SITE_ID,lat,lon,IGBP\nYY-Tes,51.5,10,DBF\n")
    with pytest.raises(InputError, match="no site XX-Tes"):
        read_tower_tables(tmp_path, months_of_years(2003, 2004))


def test_names_units_and_signs_of_a_file_may_be_said(tmp_path):
    path = samples.write_towers(tmp_path / "towers.nc")
    own = {"gpp": OwnVariable("reco", "umol m-2 s-1", -1)}
    found = read_tower_file(path, months_of_years(2001, 2002), own)
    np.testing.assert_allclose(found.values["tower_gpp"][0, 0], -4.0 * 0.8 * 12.011e-6 * 86400, rtol=1e-5)
    with pytest.raises(InputError, match=r"no variable 'GPP_x' \(variables.gpp\); it has "):
        read_tower_file(path, months_of_years(2001, 2002), {"gpp": OwnVariable("GPP_x")})


def test_towers_at_one_place_without_names_of_their_own_are_refused(tmp_path):
    path = tmp_path / "towers.nc"
    with netCDF4.Dataset(str(path), "w") as file:
        file.createDimension("place", 2)
        file.createDimension("time", 24)
        file.createVariable("station", str, ("place",))[:] = np.array(["AA", "BB"], object)
        file.createVariable("igbp", str, ("place",))[:] = np.array(["GRA", "GRA"], object)
        for name, unit in (("latitude", "degrees_north"), ("longitude", "degrees_east")):
            variable = file.createVariable(name, "f8", ("place",))
            variable.units, variable[:] = unit, [10.0, 10.0]
        variable = file.createVariable("time", "f8", ("time",))
        variable.units, variable[:] = "days since 2000-01-01", samples.days(samples.months(), "2000-01-01") + 14
        variable = file.createVariable("gpp", "f4", ("place", "time"))
        variable.units, variable[:] = "gC m-2 d-1", np.array([[1.0], [2.0]]) * np.ones(24)
    with pytest.raises(InputError, match="not told apart: names along place are due"):
        read_tower_file(path, months_of_years(2001, 2002), {})
    with netCDF4.Dataset(str(path), "r+") as file:
        file["station"].cf_role = "timeseries_id"
    found = read_tower_file(path, months_of_years(2001, 2002), {})
    assert found.values["tower_gpp"][:, 0].tolist() == [1.0, 2.0]
