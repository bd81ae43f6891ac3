"""`phloem benchmark` on real small campaigns of towers: withheld scores, tables, series, and refusals."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from phloem.analysis.benchmark.pairs import compare
from phloem.errors import InputError
from phloem.jobs.analyse.benchmark import benchmark
from phloem.jobs.analyse.benchmark_cells import compare_map
from phloem.jobs.calibration.merged_members import read_members
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.config.benchmark_file import MapReference, load_benchmark_file
from phloem.jobs.single_cell import simulate_cell
from phloem.kernels.calibrations.dalec_daily.derived_quantities import derive
from phloem.kernels.calibrations.dalec_daily.experiment import DalecExperiment
from tests.support.campaigns.campaigns import command, succeed
from tests.support.campaigns.comparisons import cells_of, check_nnse, write
from tests.support.kernels.dalec_names import TOWERS


@pytest.fixture
def towers(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished campaign of three made towers and two members."""
    return Path(shutil.copytree(finished, tmp_path / "towers"))


def test_withheld_scores_are_those_of_the_calibration_at_towers(finished: Path) -> None:
    campaign = open_campaign(finished)
    good = read_members(campaign, campaign.cells.names).good
    assert good.any(axis=1).all()
    assert check_nnse(finished, 1e-5) == 4 * good.sum()


def test_towers_by_command(towers: Path) -> None:
    found = json.loads(succeed("benchmark", towers, "--json", folder=towers.parent))
    folder = towers / "benchmark"
    written = json.loads((folder / "benchmark.json").read_text())
    assert {**written, "folder": str(towers / "benchmark")} == found
    slugs = [one["slug"] for one in written["comparisons"]]
    assert slugs == [
        f"{name}-withheld{end}" for name in ("gpp", "reco", "et", "lai", "nee") for end in ("", "-monthly")
    ]
    for one in written["comparisons"]:
        assert one["refused"] is None
        assert one["cells"] == 3
        assert one["weighted"] is None, "towers have no area"
        for name in ("scatter_{}.png", "map_{}.png", "{}.csv"):
            assert (folder / name.format(one["slug"])).stat().st_size > 500
        assert one["members"]["rmse"][0] <= one["members"]["rmse"][1]
        assert 0 <= one["within_members"] <= 1
        strata = {stratum["by"] for stratum in one["strata"]}
        assert strata == {"season", "site", "year"}
        seasons = [stratum["pairs"] for stratum in one["strata"] if stratum["by"] == "season"]
        assert sum(seasons) == one["pairs"]
    with (folder / "gpp-withheld.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["cell", "latitude", "longitude", "date"]
    days = [np.datetime64(row["date"]) for row in rows]
    assert all(str(day)[:4] == row["year"] for day, row in zip(days, rows, strict=True))
    assert len({(row["cell"], row["date"]) for row in rows}) == len(rows)
    assert list(rows[0])[-5:] == ["reference", "simulated", "low", "high", "difference"]
    gpp = written["comparisons"][0]
    assert len(rows) == gpp["pairs"] == gpp["points"]["rows"]
    errors = [float(row["simulated"]) - float(row["reference"]) for row in rows]
    assert gpp["scores"]["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-5)
    assert all(float(row["low"]) <= float(row["simulated"]) <= float(row["high"]) for row in rows)
    balance = gpp["balance"]["nep + nee"]
    assert balance["worst"] < 1e-5
    assert "residual" not in balance


def test_a_benchmark_is_replaced_as_a_whole_and_nothing_else_is(towers: Path) -> None:
    folder = towers.parent / "elsewhere"
    config = write(towers.parent / "b.toml", {"kind": "withheld", "streams": ["et"]})
    benchmark(towers, config, folder)
    (folder / "stale.csv").write_text("old")
    before = {path.name for path in folder.iterdir()} - {"stale.csv"}
    benchmark(towers, config, folder)
    assert {path.name for path in folder.iterdir()} == before
    assert not [path for path in towers.parent.iterdir() if path.name.startswith(".")]
    photos = towers.parent / "photos"
    photos.mkdir()
    (photos / "one.jpg").write_text("mine")
    with pytest.raises(InputError, match=r"exists and holds no benchmark\.json"):
        benchmark(towers, config, photos)
    assert [path.name for path in photos.iterdir()] == ["one.jpg"]


def test_tables_of_field_data(towers: Path) -> None:
    campaign = open_campaign(towers)
    rows = ["id,leaf,wood,root"]
    for n, name in enumerate(campaign.cells.names):
        rows += [f"{name},{1 + n},1,2", f"{name},{1 + n},3,2"]
    (towers.parent / "npp.csv").write_text("\n".join([*rows, "elsewhere,1,1,1"]) + "\n")
    config = write(
        towers.parent / "b.toml",
        {"kind": "table", "name": "field", "path": "npp.csv", "cell": "id", "screened": False,
         "columns": {"npp_leaf": "leaf", "npp_wood": "wood", "npp_root": "root"},
         "renormalise": ["npp_leaf", "npp_wood", "npp_root"]},
    )  # fmt: skip
    found = benchmark(towers, config)["comparisons"]
    assert [one["quantity"] for one in found] == ["npp_leaf", "npp_wood", "npp_root"]
    mean = sum(one["scores"]["mean_observed"] for one in found)
    assert mean == pytest.approx(1)
    assert found[0]["scores"]["mean_observed"] == pytest.approx(
        np.mean([[(1 + n) / (4 + n), (1 + n) / (6 + n)] for n in range(3)])
    )
    assert "6 of 7 rows of the table lie in cells" in found[0]["notes"][0]
    values = derive(read_members(campaign, campaign.cells.names).parameters)["npp_leaf"]
    assert found[0]["scores"]["mean_simulated"] == pytest.approx(np.nanmedian(values, 1).mean())


def test_monthly_series_of_another_file(towers: Path) -> None:
    """A file made of the members' own medians scores perfectly; its units are converted, its sites found by name."""
    campaign = open_campaign(towers)
    members = read_members(campaign, campaign.cells.names)
    fluxes, stamps = [], None
    for n, planned in enumerate(campaign.cells):
        cell = campaign.read_unit(planned)
        both = np.concatenate([members.parameters[n], members.pools[n]], 1)
        outputs = simulate_cell(cell, both, DalecExperiment())  # type: ignore[arg-type]
        month = cell.dates.astype("datetime64[M]")  # type: ignore[union-attr]
        stamps = np.unique(month)
        fluxes.append(np.nanmedian([[np.mean(row[month == m]) for m in stamps] for row in outputs.nee], 0))
    assert stamps is not None
    days = stamps.astype("datetime64[D]").astype(int) - np.datetime64("2001-01-01").astype(int)
    made = xr.Dataset(
        {"NEE": (("site", "time"), np.array(fluxes)[::-1] / 12.011 / 86400 * 1e6, {"units": "umol m-2 s-1"})},
        {
            "site": list(members.cells)[::-1],
            "latitude": ("site", np.zeros(3)),
            "longitude": ("site", np.zeros(3)),
            "time": ("time", days + 14, {"units": "days since 2001-01-01"}),
        },
    )
    made.to_netcdf(towers.parent / "nee.nc")
    first = int(str(stamps[0])[:4])
    reference = {"kind": "series", "name": "own", "quantity": "nee", "path": "nee.nc", "variable": "NEE"}
    config = write(towers.parent / "b.toml", {**reference, "years": [first, first + 9]}, {"kind": "withheld"})
    found = {one["slug"]: one for one in benchmark(towers, config)["comparisons"]}
    own = found["own-nee"]
    assert own["pairs"] == 3 * len(stamps)
    assert own["scores"]["nse"] == pytest.approx(1, abs=1e-6)
    assert own["scores"]["pbias"] == pytest.approx(0, abs=1e-3)
    assert found["nee-withheld"]["pairs"] > 300


MAP = {"kind": "map", "name": "m", "quantity": "lcma", "path": "m.nc", "variable": "x"}


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ({**MAP, "quantity": "leaf_lifespam"}, r"unknown quantity 'leaf_lifespam'. Did you mean 'leaf_lifespan'"),
        ({**MAP, "scal": 1.0}, r"unknown key 'reference.0.scal' of kind = .map.. Did you mean 'scale'"),
        ({"kind": "mapp"}, r"reference.0.kind: must be one of map, table, growth, snapshot, withheld, series"),
        ({k: v for k, v in MAP.items() if k != "path"}, "missing key 'reference.0.path'"),
        ({**MAP, "quantity": "leaf_fall_day", "statistic": "p25"}, "leaf_fall_day is a day of the year"),
        ({**MAP, "quantity": "agb", "years": [2008, 2009]}, r"years = .2008, 2009.: variable x has no time axis"),
        ({**MAP, "years": [2010]}, "years go with biomass, agb"),
        ({"kind": "withheld", "streams": ["gdp"]}, "unknown quantity 'gdp'. Did you mean 'gpp'"),
        ({"kind": "table", "name": "t", "path": "t.csv", "columns": {"npp_leaf": "a"}, "renormalise": ["npp_wood"]},
         "renormalise has 'npp_wood', which is not among columns"),
        ({**MAP, "path": "none.nc"}, "none.nc: no such file"),
        ({**MAP, "variable": "y"}, "no variable y; the file has lat, lon, x"),
        ({**MAP, "units": "parsec"}, r"unit 'parsec' is not understood; due is 'g m-2'"),
        ({**MAP, "select": {"depth": 1}}, "select has 'depth'; further dimensions of the variable: none"),
        ({"kind": "growth"}, "towers have no growth curves"),
        ({**MAP, "quantity": "biomass", "age": 100}, "no forward.nc beside it"),
    ],
)  # fmt: skip
def test_refusals_before_anything_is_written(towers: Path, reference: dict[str, Any], says: str) -> None:
    cells = cells_of(towers)
    far = xr.Dataset(
        {"x": (("lat", "lon"), np.ones((4, 4)), {"units": "g m-2"})},
        {
            "lat": ("lat", [-60.25, -59.75, -59.25, -58.75], {"units": "degrees_north"}),
            "lon": ("lon", [0.25, 0.75, 1.25, 1.75], {"units": "degrees_east"}),
        },
    )
    far.to_netcdf(towers.parent / "m.nc")
    config = write(towers.parent / "b.toml", reference)
    with pytest.raises(InputError, match=says):
        benchmark(towers, config)
    assert not (towers / "benchmark").exists()
    assert len(cells.members.cells) == 3


def test_years_of_a_map(towers: Path) -> None:
    """A file of one year needs no time axis; one of several may call it as it likes; notes are of all years."""
    cells = cells_of(towers)
    year = int(str(cells.members.campaign.read_unit(cells.members.campaign.cells[0]).dates[-1])[:4])
    names, days = list(cells.members.cells), [f"{year - 1}-07-01", f"{year}-07-01"]
    places = {"site": names, "latitude": ("site", np.zeros(3)), "longitude": ("site", np.zeros(3))}
    known = np.array([[1.0, 2, 3], [4, 5, 6]])
    both = xr.Dataset({"x": (("valid_time", "site"), known, {"units": "Mg ha-1"})}, places)
    both.assign_coords(valid_time=np.array(days, "datetime64[ns]")).to_netcdf(towers.parent / "both.nc")
    xr.Dataset({"x": ("site", known[1], {"units": "Mg ha-1"})}, places).to_netcdf(towers.parent / "one.nc")
    given = {"kind": "map", "name": "m", "quantity": "agb", "variable": "x", "screened": False}

    def reference(path: str, years: list[int]) -> MapReference:
        return MapReference.model_validate({**given, "path": path, "years": years}, context=cells.members.tables)

    several = reference("both.nc", [year - 1, year])
    cells.base = towers.parent
    np.testing.assert_array_equal(compare_map(cells, several).reference, known.ravel())
    for path in ("both.nc", "one.nc"):
        found = compare_map(cells, reference(path, [year]))
        np.testing.assert_array_equal(found.reference, known[1])
    pools = cells._stocks((year - 1, year))
    pools[0, :, 1] = np.nan
    notes = compare_map(cells, several.model_copy(update={"screened": True})).notes
    assert [note.split(":")[0] for note in notes] == ["3 cells masked", "2 cells masked"]


def test_days_of_few_members_are_settled_across_new_year(towers: Path) -> None:
    cells = cells_of(towers)
    days = np.array([[360.0, 4.0, np.nan], [10, np.nan, np.nan], [np.nan] * 3, [364, 1, 2]])
    found = cells.speak_for_cells(days, "leaf_fall_day", False, "median")
    np.testing.assert_allclose(found, [364.625, 10, np.nan, 1])


@pytest.mark.parametrize(("quantity", "unit", "has_zero"), [("leaf_fall_day", "d", False), ("lcma", "g m-2", True)])
def test_days_of_the_year_are_not_scored_by_the_distance_from_new_year(
    towers: Path, quantity: str, unit: str, has_zero: bool
) -> None:
    cells = cells_of(towers)
    places = {"site": list(cells.members.cells), "latitude": ("site", np.zeros(3)), "longitude": ("site", np.zeros(3))}
    xr.Dataset({"x": ("site", [250.0, 260, 270], {"units": unit})}, places).to_netcdf(towers.parent / "days.nc")
    given = {**MAP, "quantity": quantity, "path": "days.nc", "screened": False}
    cells.base = towers.parent
    pairs = compare_map(cells, MapReference.model_validate(given, context=cells.members.tables))
    assert pairs.has_zero == has_zero
    assert (compare(pairs)["scores"]["pbias"] is None) != has_zero


def test_nothing_in_common_says_where_both_are(towers: Path) -> None:
    cells = cells_of(towers)
    made = xr.Dataset(
        {"x": (("lat", "lon"), np.ones((4, 4)), {"units": "g m-2"})},
        {
            "lat": ("lat", [-60.25, -59.75, -59.25, -58.75], {"units": "degrees_north"}),
            "lon": ("lon", [0.25, 0.75, 1.25, 1.75], {"units": "degrees_east"}),
        },
    )
    made.to_netcdf(towers.parent / "m.nc")
    config = write(towers.parent / "b.toml", {**MAP, "screened": False})
    done = command("benchmark", towers, "--config", config, folder=towers.parent)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "the reference has no value at the 3 cells of the campaign, latitude" in done.stderr
    assert not (towers / "benchmark").exists()
    screened = write(towers.parent / "c.toml", {"kind": "table", "name": "t", "path": "t.csv", "cell": "id",
                                                "columns": {"lcma": "v"}})  # fmt: skip
    (towers.parent / "t.csv").write_text(f"id,v\n{cells.members.cells[0]},50\n")
    with pytest.raises(InputError, match="all 3 cells masked: no result of the members passes"):
        benchmark(towers, screened)  # two members are too few to be screened
    one = benchmark(towers, screened, assignments=["reference.0.screened=false"])["comparisons"][0]
    assert one["pairs"] == 1
    assert one["scores"]["r"] is None
    assert "1 pair: nothing can be said of correlation" in one["warnings"]
    for text, says in (("reference.4.name=x", "none of the 1 entries"), ("cells", "write key.path=value")):
        with pytest.raises(InputError, match=says):
            load_benchmark_file(screened, TOWERS, [text])


def test_no_campaign_and_no_template_over_a_file(tmp_path: Path) -> None:
    done = command("benchmark", tmp_path, folder=tmp_path)
    assert done.returncode == 2
    assert "no campaign here (no plan.json), nor the three experiments" in done.stderr
    assert command("benchmark", folder=tmp_path).returncode == 2
    succeed("benchmark", "--template", "b.toml", folder=tmp_path)
    assert load_benchmark_file(tmp_path / "b.toml", TOWERS).reference[0].kind == "withheld"
    again = command("benchmark", "--template", "b.toml", folder=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    text = (tmp_path / "b.toml").read_text()
    (tmp_path / "all.toml").write_text(
        "\n".join(line[2:] if line.startswith("# ") and ("=" in line or line.startswith("# [[")) else line
                  for line in text.splitlines() if not line.startswith("# With"))
    )  # fmt: skip
    kinds = [one.kind for one in load_benchmark_file(tmp_path / "all.toml", TOWERS).reference]
    assert kinds == ["withheld", "growth", "snapshot", "map", "map", "map", "table", "series"], "valid when uncommented"
