"""`phloem benchmark` of an upscaling: numbers as recomputed from the merged file, products, refusals."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.upscaling_analyses.benchmark import benchmark_upscaling, describe
from tests.support.campaigns.allocations import write_allocation
from tests.support.campaigns.campaigns import command


@pytest.fixture(scope="module")
def document(merged_towers: Path, products: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What benchmark.json holds, with `folder`."""
    out = tmp_path_factory.mktemp("compared") / "benchmark"
    paths = [f"product={products / 'fluxes.nc'}", f"allocation={products / 'allocation.nc'}", "least=30"]
    return benchmark_upscaling(open_campaign(merged_towers), None, out, paths)


@pytest.fixture(scope="module")
def merged(merged_towers: Path) -> dict[str, Any]:
    """Variables of merged.nc, NaN where missing; names as lists."""
    with netCDF4.Dataset(merged_towers / "merged.nc") as file:
        found: dict[str, Any] = {
            name: [str(one) for one in file[name][:]] for name in ("scheme", "way", "flux", "site")
        }
        for name in ("observed", "predicted", "predicted_of_members", "row_site"):
            found[name] = np.ma.filled(file[name][:].astype(float), np.nan)
    return found


def pairs(merged: dict[str, Any], row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Observed and predicted months of a row of scores."""
    place = tuple(merged[name].index(row[name]) for name in ("scheme", "way", "flux"))
    observed, predicted = merged["observed"][place[-1]], merged["predicted"][place]
    known = np.isfinite(observed) & np.isfinite(predicted)
    return observed[known], predicted[known]


def test_scores_are_those_of_the_merged_predictions(document: dict[str, Any], merged: dict[str, Any]) -> None:
    assert len(document["scores"]) == 2 * 4 * 4
    for row in document["scores"]:
        observed, predicted = pairs(merged, row)
        assert row["n"] == len(observed)
        error = ((observed - predicted) ** 2).mean()
        assert row["nse"] == pytest.approx(1 - error / observed.var(), abs=2e-5)
        assert row["r2_pearson"] == pytest.approx(np.corrcoef(observed, predicted)[0, 1] ** 2, abs=2e-5)
        assert row["rmse"] == pytest.approx(np.sqrt(error), rel=1e-4)
        assert (row["nrmse"] is None) == (row["flux"] == "nee")


def test_scores_of_a_tower_are_those_of_its_months(document: dict[str, Any], merged: dict[str, Any]) -> None:
    site = merged["row_site"].astype(int)
    rows = [row for row in document["groups"] if row["by"] == "tower" and row["way"] == "blend"]
    assert {row["scheme"] for row in rows} == {"tower", "row"}
    for row in rows[::7]:
        own = dict(merged)
        own["observed"] = np.where(site == merged["site"].index(row["group"]), merged["observed"], np.nan)
        observed, predicted = pairs(own, row)
        assert row["n"] == len(observed)
        assert row["bias"] == pytest.approx((predicted - observed).mean(), abs=1e-4)


def test_coverage_of_groups_adds_up_to_that_of_all_months(document: dict[str, Any], merged_towers: Path) -> None:
    scores = json.loads((merged_towers / "scores.json").read_text())
    for flux in document["fluxes"]:
        rows = [row for row in document["coverage"]["groups"] if row["flux"] == flux]
        whole = next(row for row in rows if row["by"] == "all")
        written = scores["coverage"]["blend"][flux]
        assert whole["share"] == pytest.approx(written["share"], abs=1e-6)
        assert whole["ensemble_share"] == pytest.approx(written["ensemble_share"], abs=1e-6)
        for by in ("class", "season", "climate", "tower"):
            own = [row for row in rows if row["by"] == by]
            assert sum(row["n"] for row in own) == whole["n"]
            held = sum(row["n"] * row["share"] for row in own)
            assert held / whole["n"] == pytest.approx(whole["share"], abs=1e-6)


def test_net_exchange_at_towers_compares_both_ways_with_the_observed(
    document: dict[str, Any], merged: dict[str, Any]
) -> None:
    place = merged["scheme"].index("tower"), merged["way"].index("blend")
    gpp, reco, nee = (merged["predicted"][(*place, merged["flux"].index(flux))] for flux in ("gpp", "reco", "nee"))
    observed = merged["observed"][merged["flux"].index("nee")]
    known = np.isfinite(observed + gpp + reco + nee)
    indirect, direct = document["net_exchange"]["indirect"], document["net_exchange"]["direct"]
    assert indirect["n"] == direct["n"] == known.sum()
    left = ((observed - (reco - gpp))[known] ** 2).mean() / observed[known].var()
    assert indirect["nse"] == pytest.approx(1 - left, abs=2e-5)


def test_carbon_of_the_allocation_closes(document: dict[str, Any]) -> None:
    mass = document["products"]["mass"]
    assert len(mass["identities"]) == 5
    for name, one in mass["identities"].items():
        if name != "nep + nee":
            assert one["worst"] < 1e-5, name
    assert abs(mass["stock_closure"]["imbalance"]) < 1e-9
    assert document["products"]["files"] == {"product": "fluxes.nc", "allocation": "allocation.nc"}


def test_net_exchange_on_the_grid_is_that_of_numpy(document: dict[str, Any], products: Path) -> None:
    with xr.open_dataset(products / "fluxes.nc") as file:
        gpp, reco, nee = (file[name].values.astype(float) for name in ("gpp", "reco", "nee"))
        weight = np.broadcast_to(file["cell_area"].values, gpp.shape)
    known = np.isfinite(gpp + reco + nee)
    direct, indirect, weight = nee[known], (reco - gpp)[known], weight[known]
    found = document["products"]["net_exchange"]
    assert found["pairs"] == known.sum()
    error = np.average((direct - indirect) ** 2, weights=weight)
    spread = np.average((direct - np.average(direct, weights=weight)) ** 2, weights=weight)
    assert found["nse"] == pytest.approx(1 - error / spread, rel=1e-4)
    rest = document["products"]["mass"]["identities"]["nep + nee"]
    assert rest["cells"] == known.any(0).sum()
    assert found["rmse"] == pytest.approx(np.sqrt(error), rel=1e-4)


def test_totals_are_those_of_the_product_and_of_the_allocation(document: dict[str, Any], products: Path) -> None:
    totals = document["products"]["totals"]
    assert set(totals) == {"gpp", "reco", "nee", "le", "npp", "ra", "rh", "nep"}
    written = json.loads((products / "fluxes.totals.json").read_text())["totals"]["gpp"]["global"]["global"]
    assert totals["gpp"]["total"] == pytest.approx(written["total"], rel=1e-6)
    for values in zip(totals["npp"]["total"], totals["ra"]["total"], totals["gpp"]["total"], strict=True):
        if None not in values:
            assert values[0] + values[1] == pytest.approx(values[2], rel=1e-4)


def test_soil_that_gains_from_nowhere_is_an_imbalance(merged_towers: Path, products: Path, tmp_path: Path) -> None:
    write_allocation(products / "fluxes.nc", tmp_path / "gaining.nc", off=50.0)
    choices = [f"product={products / 'fluxes.nc'}", f"allocation={tmp_path / 'gaining.nc'}"]
    found = benchmark_upscaling(open_campaign(merged_towers), None, tmp_path / "out", choices)
    closure = found["products"]["mass"]["stock_closure"]
    assert closure["imbalance"] < 0
    assert closure["rmse"] == pytest.approx(50.0, rel=1e-6)
    with xr.open_dataset(tmp_path / "out" / "mass.nc") as maps:
        assert float(np.nanmax(np.abs(maps["stock_imbalance"].values + 50.0))) < 1e-3


def test_biomass_of_the_allocation_stands_beside_that_of_satellites(
    merged_towers: Path, products: Path, tmp_path: Path
) -> None:
    with xr.open_dataset(products / "allocation.nc") as file:
        lat, lon = file["lat"].values, file["lon"].values
    steps = 0.1 * np.arange(-2, 3)
    fine = [(axis[:, None] + np.sign(axis[1] - axis[0]) * steps).reshape(-1) for axis in (lat, lon)]
    dry = np.round(2 * np.random.default_rng(0).uniform(30, 120, (len(fine[0]), len(fine[1])))).astype(np.int16)
    xr.Dataset(
        {"agb": (("time", "lat", "lon"), dry[None], {"units": "Mg/ha"})},
        {
            "time": ("time", [14610.0], {"units": "days since 1970-01-01"}),
            "lat": ("lat", np.round(fine[0], 6), {"units": "degrees_north"}),
            "lon": ("lon", np.round(fine[1], 6), {"units": "degrees_east"}),
        },
    ).to_netcdf(tmp_path / "ESACCI-BIOMASS-L4-AGB-MERGED-100m-2010-fv5.01.nc")
    (tmp_path / "choices.toml").write_text(
        f'[benchmark]\nproduct = "{products}/fluxes.nc"\nallocation = "{products}/allocation.nc"\n'
        '[biomass]\npaths = ["ESACCI-BIOMASS-L4-AGB-MERGED-100m-2010-fv5.01.nc"]\n'
    )
    found = benchmark_upscaling(open_campaign(merged_towers), tmp_path / "choices.toml", tmp_path / "out")
    versions = found["products"]["biomass"]["versions"]
    assert set(versions) == {"mean", "q25", "q75"}
    for name, factor in (("mean", 1.0), ("q25", 0.8), ("q75", 1.2)):
        assert versions[name]["scores"]["mean_simulated"] == pytest.approx(42.0 * factor, rel=1e-6)
        assert (tmp_path / "out" / f"biomass_{name}.png").is_file()


def test_tables_and_figures_stand_beside_the_document(document: dict[str, Any]) -> None:
    folder = Path(document["folder"])
    held = json.loads((folder / "benchmark.json").read_text())
    assert held == {key: value for key, value in document.items() if key != "folder"}
    with (folder / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(document["scores"])
    assert [float(row["nse"]) for row in rows] == pytest.approx([row["nse"] for row in document["scores"]])
    names = {path.name for path in folder.iterdir()}
    assert {"observed_predicted.png", "by_class.png", "by_part.png", "coverage.png", "towers_nse.png",
            "towers_bias.png", "mass.png", "net_exchange.png", "groups.csv", "coverage.csv"} <= names  # fmt: skip
    assert not [name for name in names if name.startswith(".")]


def test_lines_for_people_say_which_cross_validation_is_which(document: dict[str, Any]) -> None:
    lines = "\n".join(describe(document))
    assert "towers never seen" in lines
    assert "months of towers that were seen, as published" in lines
    assert "gpp - (npp + ra)" in lines


def test_the_same_choices_give_the_same_bytes(merged_towers: Path, tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        benchmark_upscaling(open_campaign(merged_towers), None, tmp_path / name, ["fluxes=['gpp']"])
        written.append({path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())})
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("schemes=['site']", "experiment.cv has tower, row"),
        ("ways=['residuals']", "experiment.learn has residual, direct, blend"),
        ("fluxes=['npp']", "experiment.fluxes has gpp, reco, nee, le"),
        ("product=nowhere.nc", "nowhere.nc: no such file (benchmark.product)"),
        ("biomass.paths=['nowhere.nc']", "nowhere.nc: no such file (biomass.paths)"),
        ("colour=1", "colour"),
    ],
)
def test_bad_choices_are_refused_by_name_and_leave_what_was_there(
    merged_towers: Path, tmp_path: Path, choice: str, told: str
) -> None:
    out = tmp_path / "benchmark"
    out.mkdir()
    (out / "benchmark.json").write_text("{}")
    with pytest.raises(InputError, match=re.escape(told)):
        benchmark_upscaling(open_campaign(merged_towers), None, out, [choice])
    assert [path.name for path in out.iterdir()] == ["benchmark.json"]


def test_a_product_that_is_none_is_refused_and_leaves_what_was_there(merged_towers: Path, tmp_path: Path) -> None:
    shutil.copy(merged_towers / "merged.nc", tmp_path / "no_product.nc")
    done = command(
        "benchmark", merged_towers, "--out", "out", "--set", f"product={tmp_path / 'no_product.nc'}", folder=tmp_path
    )
    assert done.returncode == 2
    assert "no_product.nc" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["no_product.nc"]


def test_a_folder_of_something_else_is_not_replaced(merged_towers: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds no benchmark\.json"):
        benchmark_upscaling(open_campaign(merged_towers), None, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"
