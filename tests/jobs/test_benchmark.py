"""`phloem benchmark` on real small campaigns: withheld scores, maps, tables, series, growth curves, and refusals."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import xarray as xr
from campaigns import command, succeed
from stores import store, write_grid_campaign  # noqa: F401

from phloem.analysis.benchmarking import Pairs, common, compare, unit_warnings
from phloem.analysis.comparison import derived
from phloem.errors import InputError
from phloem.io import Store
from phloem.io.merged_cells import read_merged
from phloem.jobs.benchmark import benchmark, describe
from phloem.jobs.benchmark_cells import Cells, forward_biomass
from phloem.jobs.benchmark_file import load_benchmark_file
from phloem.jobs.benchmark_runs import read_members
from phloem.jobs.campaign import open_campaign
from phloem.jobs.single import simulate_cell
from phloem.jobs.withheld import compare_runs
from phloem.names import PARAMETERS, STREAMS


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, store: Store, compiled: None) -> Path:  # noqa: F811
    """The three experiments in double precision, of three members."""
    folder = tmp_path_factory.mktemp("three")
    write_grid_campaign(folder, store, experiment={"precision": "float64"}, campaign={"name": "made", "members": 3})
    succeed("experiments", "made.toml", "--out", "three", folder=folder)
    return folder / "three"


@pytest.fixture
def towers(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished campaign of three made towers and two members."""
    return Path(shutil.copytree(finished, tmp_path / "towers"))


def write(path: Path, *references: dict[str, Any], **more: Any) -> Path:
    path.write_text(tomli_w.dumps({"reference": list(references), **more}))
    return path


def nnse(pairs: Pairs, cell: int, member: int) -> float:
    """S / (S + E) of a member at a cell (calibration.md section 4.1)."""
    part = pairs.cell == cell
    y, x = pairs.reference[part], pairs.members[part, member]
    spread = ((y - y.mean()) ** 2).sum()
    return float(spread / (spread + ((y - x) ** 2).sum()))


def check_nnse(campaign_folder: Path, tolerance: float) -> int:
    """Every member's efficiency in the withheld years is what the calibration itself has evaluated."""
    campaign = open_campaign(campaign_folder)
    members = read_members(campaign, campaign.cells.names)
    rows = read_merged(campaign.paths.merged, ("nnse_validation",), members.cells)["nnse_validation"]
    found = {one.slug: one for one in compare_runs(members, range(len(members.cells)), STREAMS, [], {}, [])}
    checked = 0
    for row, stream in enumerate(STREAMS):
        for cell, member in np.argwhere(members.good).tolist():
            value = nnse(found[f"{stream}-withheld"], cell, member)
            assert value == pytest.approx(rows[cell, member, row], abs=tolerance), (stream, cell, member)
            checked += 1
    return checked


def test_withheld_scores_are_those_of_the_calibration_at_towers(finished: Path) -> None:
    assert check_nnse(finished, 1e-5) == 4 * 3 * 2


@pytest.mark.engine
@pytest.mark.parametrize("experiment", ["baseline", "single-year", "growth-curve"])
def test_withheld_scores_are_those_of_the_calibration_on_a_grid(three: Path, experiment: str) -> None:
    """Windows of RECO, composites of LAI, and years that are met again after 72 others."""
    assert check_nnse(three / experiment, 1e-8) == 4 * 3 * 3


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
    assert list(rows[0])[:3] == ["cell", "latitude", "longitude"]
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
    with pytest.raises(InputError, match="holds other things than a benchmark"):
        benchmark(towers, config, photos)
    assert [path.name for path in photos.iterdir()] == ["one.jpg"]


@pytest.mark.engine
def test_the_three_experiments_side_by_side(three: Path) -> None:
    found = benchmark(three)
    forward = json.loads((three / "forward.json").read_text())
    by_slug = {one["slug"]: one for one in found["comparisons"]}
    assert found["experiments"] == ["baseline", "single-year", "growth-curve"]
    for name, wanted in forward["biomass"].items():
        scores = by_slug[f"{name}-growth-curves-biomass"]["scores"]
        for key in ("rmse", "r2_pearson", "r2_explained", "pbias"):
            assert scores[key] == pytest.approx(wanted[key], rel=1e-5, abs=1e-6), (name, key)
    gpp = [by_slug[f"{name}-gpp-withheld"] for name in found["experiments"]]
    assert len({one["pairs"] for one in gpp}) == 1, "one mask for all"
    assert by_slug["baseline-reco-withheld"]["name"] == "withheld RECO, means over windows"
    assert {s["by"] for s in gpp[0]["strata"]} == {"season", "year", "pft", "site"}
    assert gpp[0]["weighted"]["rmse"] == pytest.approx(gpp[0]["scores"]["rmse"], rel=0.2)
    closure = gpp[0]["balance"]["sum of nep - change of stocks"]
    assert closure["worst"] < 1e-6, "double precision conserves carbon"
    with xr.open_dataset(three / "benchmark/differences.nc") as file:
        name = "growth_curve_growth_curves_biomass"
        np.testing.assert_allclose(
            file[f"{name}_simulated"] - file[f"{name}_reference"], file[f"{name}_difference"], rtol=1e-4, atol=1e-4
        )
        assert file.sizes["cell"] == 3
    own = json.loads((three / "baseline/benchmark/benchmark.json").read_text())
    assert own["experiments"] == ["baseline"]
    lines = describe(found)
    assert any(line.startswith("growth-curve: growth curves") for line in lines)


def cells_of(folder: Path) -> Cells:
    campaign = open_campaign(folder)
    return Cells(read_members(campaign, campaign.cells.names), {}, 0.3, folder)


def write_map(path: Path, cells: Cells, values: np.ndarray, units: str, step: float = 0.5) -> Path:
    """A global map from north to south and from 0 to 360 that has some values at the cells, packed."""
    lat, lon = np.arange(90 - step / 2, -90, -step), np.arange(step / 2, 360, step)
    field = np.full((len(lat), len(lon)), np.nan)
    rows = np.round((90 - step / 2 - cells.members.latitude) / step).astype(int)
    columns = np.round((cells.members.longitude % 360 - step / 2) / step).astype(int)
    field[rows, columns] = values
    made = xr.Dataset(
        {"x": (("lat", "lon"), field, {"units": units})},
        {"lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"})},
    )
    made.to_netcdf(path, encoding={"x": {"zlib": True}})
    return path


@pytest.mark.engine
def test_maps_of_parameters_and_of_derived_quantities(three: Path, tmp_path: Path) -> None:
    folder = three / "growth-curve"
    cells = cells_of(folder)
    wood = derived(cells.members.parameters)["turnover_wood"]
    write_map(tmp_path / "wood.nc", cells, np.median(wood, 1) / 0.8 / 365.25, "d-1")
    lcma = cells.members.parameters[..., PARAMETERS.index("lcma")]
    write_map(tmp_path / "lcma.nc", cells, np.median(lcma, 1) * 1000, "")
    given: dict[str, Any] = {"kind": "map", "variable": "x", "screened": False}
    config = write(
        tmp_path / "b.toml",
        {**given, "name": "made", "quantity": "turnover_wood", "path": "wood.nc"},
        {**given, "name": "no unit", "quantity": "lcma", "path": "lcma.nc", "units": "g m-2"},
        {**given, "name": "scaled", "quantity": "lcma", "path": "lcma.nc", "units": "g m-2", "scale": 0.001},
        {**given, "name": "screened", "quantity": "turnover_wood", "path": "wood.nc", "screened": True},
    )
    found = benchmark(folder, config, tmp_path / "out")
    one, wrong, scaled, screened = found["comparisons"]
    assert one["scores"]["pbias"] == pytest.approx(-20, abs=1e-4)
    assert one["scores"]["slope_obs_on_pred"] == pytest.approx(1.25, rel=1e-4)
    assert one["units"] == "yr-1"
    assert "about 1000 times larger" in wrong["warnings"][0]
    assert scaled["warnings"] == []
    assert scaled["scores"]["rmse"] == pytest.approx(0, abs=1e-3)
    median, mad = np.median(wood, 1), np.median(np.abs(wood - np.median(wood, 1)[:, None]), 1)
    kept = int((1.4826 * mad / median <= 0.3).sum())
    if kept:
        assert screened["pairs"] == kept
    else:
        assert screened["refused"].startswith("all 3 cells masked")


@pytest.mark.engine
def test_stocks_are_those_of_the_forward_runs(three: Path, tmp_path: Path) -> None:
    """Simulation year 100 of the growth-curve run has the forcing of 2012; its forward run is the run itself."""
    cells = cells_of(three / "growth-curve")
    biomass, units, _ = cells.values("biomass", [2012, 2019])
    assert biomass.shape == (3, 3, 2)
    assert units == "Mg ha-1"
    runs, target = forward_biomass(cells.members, 100)
    np.testing.assert_allclose(biomass[..., 0], 0.01 * runs, rtol=1e-5)
    assert np.isfinite(target).all()
    agb = cells.values("agb", [2012])[0][..., 0]
    parts = sum(cells.values(pool, [2012])[0][..., 0] for pool in ("foliar", "wood"))
    np.testing.assert_allclose(agb, 0.01 * parts, rtol=1e-6)
    assert (agb < biomass[..., 0]).all()
    made = np.stack([np.nanmean(agb, 1)] * 2)
    lat, lon = cells.members.latitude, cells.members.longitude
    sites = xr.Dataset(
        {"agb": (("time", "place"), made / 0.47, {"units": "Mg ha-1"})},
        {
            "place": cells.members.cells,
            "latitude": ("place", lat),
            "longitude": ("place", lon),
            "time": ("time", [11 * 365, 18 * 365], {"units": "days since 2001-01-10"}),
        },
    )
    sites.to_netcdf(tmp_path / "cci.nc")
    config = write(
        tmp_path / "b.toml",
        {"kind": "map", "name": "CCI", "quantity": "agb", "path": "cci.nc", "variable": "agb", "scale": 0.47,
         "years": [2012, 2019], "screened": False, "statistic": "mean"},
    )  # fmt: skip
    (one,) = benchmark(three / "growth-curve", config, tmp_path / "out")["comparisons"]
    assert one["pairs"] == 6
    assert one["cells"] == 3
    assert one["regrid"] == "cells"
    first = (tmp_path / "out/cci-agb.csv").read_text().splitlines()[1:4]
    assert all(abs(float(row.split(",")[-1])) < 1e-3 for row in first), "the first year is what was simulated"


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
    values = derived(read_members(campaign, campaign.cells.names).parameters)["npp_leaf"]
    assert found[0]["scores"]["mean_simulated"] == pytest.approx(np.median(values, 1).mean())


def test_monthly_series_of_another_file(towers: Path) -> None:
    """A file made of the members' own medians scores perfectly; its units are converted, its sites found by name."""
    campaign = open_campaign(towers)
    members = read_members(campaign, campaign.cells.names)
    fluxes, stamps = [], None
    for n, planned in enumerate(campaign.cells):
        cell = campaign.read_cell(planned)
        both = np.concatenate([members.parameters[n], members.pools[n]], 1)
        outputs = simulate_cell(cell, both, "strict", "float32")  # type: ignore[arg-type]
        month = cell.dates.astype("datetime64[M]")  # type: ignore[union-attr]
        stamps = np.unique(month)
        fluxes.append(np.median([[np.mean(row[month == m]) for m in stamps] for row in outputs.nee], 0))
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
    assert own["within_members"] > 0.9, "a median lies between its members"
    assert found["nee-withheld"]["pairs"] > 300


@pytest.mark.engine
def test_an_even_draw_of_many_cells_is_said(three: Path, tmp_path: Path) -> None:
    config = write(tmp_path / "b.toml", {"kind": "withheld", "streams": ["et"]}, cells=2)
    done = command("benchmark", three / "baseline", "--config", config, "--out", tmp_path / "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 of 3 cells, evenly drawn (cells = 2)" in done.stderr
    assert "2 of 3 cells, evenly drawn" in done.stdout
    assert json.loads((tmp_path / "out/benchmark.json").read_text())["comparisons"][0]["cells"] == 2


MAP = {"kind": "map", "name": "m", "quantity": "lcma", "path": "m.nc", "variable": "x"}


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ({**MAP, "quantity": "leaf_lifespam"}, r"unknown quantity 'leaf_lifespam'. Did you mean 'leaf_lifespan'"),
        ({**MAP, "scal": 1.0}, r"unknown key 'reference.0.scal' of kind = .map.. Did you mean 'scale'"),
        ({"kind": "mapp"}, r"reference.0.kind: must be one of map, table, growth, snapshot, withheld, series"),
        ({k: v for k, v in MAP.items() if k != "path"}, "missing key 'reference.0.path'"),
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
            load_benchmark_file(screened, [text])


def test_no_campaign_and_no_template_over_a_file(tmp_path: Path) -> None:
    done = command("benchmark", tmp_path, folder=tmp_path)
    assert done.returncode == 2
    assert "no campaign here (no plan.json), nor the three experiments" in done.stderr
    assert command("benchmark", folder=tmp_path).returncode == 2
    succeed("benchmark", "--template", "b.toml", folder=tmp_path)
    assert load_benchmark_file(tmp_path / "b.toml").reference[0].kind == "withheld"
    again = command("benchmark", "--template", "b.toml", folder=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    text = (tmp_path / "b.toml").read_text()
    (tmp_path / "all.toml").write_text(
        "\n".join(line[2:] if line.startswith("# ") and ("=" in line or line.startswith("# [[")) else line
                  for line in text.splitlines() if not line.startswith("# With"))
    )  # fmt: skip
    kinds = [one.kind for one in load_benchmark_file(tmp_path / "all.toml").reference]
    assert kinds == ["withheld", "growth", "snapshot", "map", "map", "table", "series"], "the commented parts are valid"


def made_pairs(reference: np.ndarray, simulated: np.ndarray, **more: Any) -> Pairs:
    count = len(reference)
    names = [f"c{n}" for n in range(count)]
    return Pairs(
        "s", "n", "q", "1", "l", "map", "f", "mean", names, np.linspace(50, 60, count), np.zeros(count),
        np.arange(count), reference, simulated, simulated[:, None] + np.array([-1.0, 0, 1]), **more,
    )  # fmt: skip


def test_a_common_mask_for_all_experiments() -> None:
    y = np.array([1.0, 2, np.nan, 4])
    one, two = made_pairs(y, np.array([1.0, np.nan, 3, 4])), made_pairs(y, np.array([2.0, 2, 3, 4]))
    kept = common([one, two])
    assert [pairs.cell.tolist() for pairs in kept] == [[0, 3], [0, 3]]
    found = compare(kept[0])
    assert found["pairs"] == 2
    assert found["within_members"] == 1
    with pytest.raises(ValueError, match="other pairs"):
        common([one, two.only(np.array([0, 1]))])


@pytest.mark.parametrize("factor", [12.0, 24.0, 365.25, 1000.0, 86400.0])
def test_a_mistaken_unit_is_named_either_way(factor: float) -> None:
    values = np.random.default_rng(0).lognormal(size=200)
    noise = values * np.random.default_rng(1).uniform(0.9, 1.1, 200)
    assert f"about {factor:g} times larger" in unit_warnings(values, factor * noise, "yr-1")[0]
    assert f"about {factor:g} times smaller" in unit_warnings(values, noise / factor, "yr-1")[0]
    for fair in (1.0, 2.0, 5.0, 0.3):
        assert unit_warnings(values, fair * noise, "yr-1") == []


def test_sixty_thousand_cells_are_compared_in_seconds(tmp_path: Path) -> None:
    import time

    from phloem.analysis.benchmark_files import write_benchmark

    rng = np.random.default_rng(0)
    y = rng.lognormal(size=60_000)
    begun = time.monotonic()
    found = write_benchmark(tmp_path / "out", [made_pairs(y, y * 1.2, area=np.ones(60_000))], {})
    assert time.monotonic() - begun < 60
    (one,) = found["comparisons"]
    assert one["points"]["rows"] == 20_000
    assert one["scores"]["pbias"] == pytest.approx(20)
    with xr.open_dataset(tmp_path / "out/differences.nc") as file:
        np.testing.assert_allclose(file["s_difference"], 0.2 * y, rtol=1e-4)
