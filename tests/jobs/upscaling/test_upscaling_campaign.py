"""`phloem plan | run | status | merge` of upscalings, as a user gives them."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.io.files.atomic import read_hdf5
from phloem.io.flux_towers.cf_tower_table import read_tower_table, write_tower_table
from phloem.io.flux_towers.tower_months import TowerMonths
from tests.support.campaigns.campaigns import OFTEN, command, count, end, start, succeed, wait_for
from tests.support.campaigns.upscaling_campaigns import upscaled, write_upscaling
from tests.support.engines.killing import worker_processes


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("upscaled")
    succeed("run", write_upscaling(folder), "--out", "made", folder=folder)
    return folder / "made"


def test_merged_product_has_a_prediction_of_every_row_by_every_scheme_and_way(run: Path) -> None:
    with netCDF4.Dataset(run / "merged.nc") as file:
        predicted, observed = np.ma.filled(file["predicted"][:], np.nan), np.ma.filled(file["observed"][:], np.nan)
        assert file["predicted"].dimensions == ("scheme", "way", "flux", "row")
        assert [str(name) for name in file["way"][:]] == ["baseline", "residual", "direct", "blend"]
        members = np.ma.filled(file["predicted_of_members"][:], np.nan).astype(float)
        assert (file["status"][:] == 0).all()
    assert (np.isfinite(predicted) | ~np.isfinite(observed)[None, None]).all()
    np.testing.assert_allclose(predicted, members.mean(3), rtol=1e-6)


def test_scores_are_those_of_the_predictions_in_merged(run: Path) -> None:
    scores = json.loads((run / "scores.json").read_text())
    with netCDF4.Dataset(run / "merged.nc") as file:
        ways = [str(name) for name in file["way"][:]]
        schemes = [str(name) for name in file["scheme"][:]]
        predicted = np.ma.filled(file["predicted"][:].astype(float), np.nan)
        observed = np.ma.filled(file["observed"][:].astype(float), np.nan)
    for way in ("residual", "direct", "blend"):
        for scheme in ("tower", "row"):
            for place, flux in enumerate(("gpp", "reco")):
                y, p = observed[place], predicted[schemes.index(scheme), ways.index(way), place]
                known = np.isfinite(y)
                nse = 1 - ((y - p)[known] ** 2).sum() / ((y[known] - y[known].mean()) ** 2).sum()
                assert scores[way][scheme][flux]["nse"] == pytest.approx(nse, abs=1e-5)
                assert scores[way][scheme][flux]["r2_pearson"] == pytest.approx(
                    np.corrcoef(y[known], p[known])[0, 1] ** 2, abs=1e-5
                )
    assert scores["residual"]["row"]["gpp"]["nse"] > scores["residual"]["tower"]["gpp"]["nse"]
    assert set(scores["coverage"]["blend"]) == {"gpp", "reco"}


@pytest.mark.parametrize(("cells", "workers"), [(1, 2), (7, 1), (100, 1)])
def test_any_tiling_gives_the_same_bits(run: Path, tmp_path: Path, cells: int, workers: int) -> None:
    path = write_upscaling(tmp_path, tiles={"cells": cells}, engine={"workers": workers})
    succeed("run", path, "--out", "made", folder=tmp_path)
    assert upscaled(tmp_path / "made") == upscaled(run)


NETWORK = {"learner": "network", "network": {"max_epochs": 12}, "fluxes": ["gpp", "reco", "nee", "le"]}


def test_networks_of_any_tiling_have_the_same_bits(tmp_path: Path) -> None:
    for name, cells in (("a", 100), ("b", 5)):
        path = write_upscaling(tmp_path / name, experiment=NETWORK, tiles={"cells": cells})
        succeed("run", path, "--out", "made", folder=tmp_path / name)
    assert upscaled(tmp_path / "a" / "made") == upscaled(tmp_path / "b" / "made")


@pytest.mark.parametrize("learner", ["histogram", "cascade"])
def test_other_trees_learn_too(tmp_path: Path, learner: str) -> None:
    path = write_upscaling(tmp_path, experiment={"learner": learner, "cv": ["tower"], "learn": "direct"})
    succeed("run", path, "--out", "made", folder=tmp_path)
    scores = json.loads((tmp_path / "made" / "scores.json").read_text())
    assert scores["tower"]["reco"]["nse"] > 0.3
    assert scores["row" if "row" in scores else "tower"]["gpp"]["n"] > 200


def test_networks_whose_constraints_need_what_is_left_out_are_refused(tmp_path: Path) -> None:
    assert "leave fluxes out" in _refused(tmp_path, experiment={**NETWORK, "fluxes": ["gpp"]})
    assert "learns one way" in _refused(tmp_path, experiment={**NETWORK, "learn": ["direct", "residual"]})
    assert "are due among the predictors" in _refused(tmp_path, experiment={**NETWORK, "predictors": ["VPD"]})


def test_killed_upscaling_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    science = {"trees": {"trees": 400, "depth": 4}, "fluxes": ["gpp"], "cv": ["row"], "folds": 12}
    plain = write_upscaling(tmp_path / "a", experiment=science)
    succeed("run", plain, "--out", "made", folder=tmp_path / "a")
    path = write_upscaling(tmp_path / "b", experiment=science, tiles={"checkpoint_minutes": OFTEN, "cells": 50})
    root = tmp_path / "b" / "made"
    kills = 0
    for _ in range(2):
        process = start("run", path, "--out", "made", folder=tmp_path / "b")
        before = count(root, "checkpoint") if root.exists() else 0
        try:
            wait_for(
                "a checkpoint",
                partial(lambda seen, one: one.poll() is not None or count(root, "checkpoint") > seen, before, process),
            )
            assert process.poll() is None, (tmp_path / "b" / "stderr").read_text()
            assert worker_processes(process.pid)
            kills += 1
        finally:
            end(process)
    succeed("run", root, folder=tmp_path / "b")
    assert kills == 2
    assert count(root, "resumed") >= 2
    assert upscaled(root) == upscaled(tmp_path / "a" / "made")


def test_status_counts_fits(run: Path) -> None:
    document = json.loads(succeed("status", run, "--json", folder=run.parent))
    assert document["lanes"]["calibrated"] == 2 * (14 * 2 + 3 * 2 + 2)


def test_plan_says_what_counts_and_how_long(tmp_path: Path) -> None:
    path = write_upscaling(tmp_path)
    said = succeed("plan", path, "--out", "made", "--rate", "1000", folder=tmp_path)
    assert "14 towers; months that count: gpp" in said
    assert "left out: tower (14 parts), row (3 parts); 34 units" in said
    assert "NEE_QC below 0.8" in said
    assert "LE_QC" not in said  # LE is not asked for


def test_new_writes_an_upscaling_to_start_from(tmp_path: Path) -> None:
    succeed("new", "mine.toml", "--kind", "upscaling", folder=tmp_path)
    refused = command("plan", "mine.toml", folder=tmp_path)
    assert refused.returncode == 2
    assert "towers.nc" in refused.stderr


def _refused(folder: Path, *more: str, **sections: dict) -> str:
    path = write_upscaling(folder, **sections)
    done = command("plan", path, "--out", "made", *more, folder=folder)
    assert done.returncode == 2, done.stdout
    assert not (folder / "made").exists()
    return done.stderr


def test_what_cannot_be_fitted_is_refused_when_it_is_planned(tmp_path: Path) -> None:
    assert "'residual', 'direct' or 'blend'" in _refused(tmp_path, experiment={"learn": "both"})
    assert "stands there twice" in _refused(tmp_path, experiment={"cv": ["tower", "tower"]})
    assert '"blend" is not learned' in _refused(tmp_path, experiment={"learn": "direct", "use": "blend"})
    said = _refused(tmp_path, experiment={"predictors": ["TA", "VPDD"]})
    assert "predictor 'VPDD' is not known. Did you mean 'VPD'?" in said
    assert "has no value in any row" in _refused(tmp_path, experiment={"predictors": ["TA", "NIRv"]})
    assert "goes with data.kind" in _refused(tmp_path, data={"kind": "tower", "path": "."})
    assert "data.path is needed" in _refused(tmp_path, data={"kind": "flux-towers"})
    assert "is a folder" in _refused(tmp_path, data={"kind": "flux-towers", "path": "."})
    few = _refused(tmp_path, experiment={"level": 0.95})
    assert "experiment.level = 0.95 needs 20 places with towers, and gpp is known at 14" in few
    wide = _refused(tmp_path, experiment={"cv": ["block"], "block_degrees": 60.0})
    assert "needs 10 boxes with towers" in wide
    strict = {"quality": {"carbon_share": 0.99}}
    assert "months" in _refused(tmp_path, experiment=strict)


def _with_marks(table: TowerMonths, site: int) -> TowerMonths:
    """Return towers of which one has absurd fluxes."""
    values = {name: np.array(one) for name, one in table.values.items()}
    for flux in ("GPP", "RECO", "NEE"):
        values[flux][site] = np.where(np.isfinite(values[flux][site]), 39.0 - np.arange(values[flux].shape[1]), np.nan)
    return TowerMonths(table.sites, table.months, values, table.of_site, table.igbp, table.provenance)


def test_no_row_of_a_left_out_tower_is_in_any_fit(run: Path, tmp_path: Path) -> None:
    table = read_tower_table(run / "towers.nc")
    write_tower_table(table, tmp_path / "plain.nc")
    write_tower_table(_with_marks(table, 5), tmp_path / "marked.nc")
    found = {}
    science = {"cv": ["tower"], "quality": {"outlier": 0.0}}
    for name in ("plain", "marked"):
        folder = tmp_path / name
        path = write_upscaling(
            folder, data={"kind": "flux-towers", "path": str(tmp_path / f"{name}.nc")}, experiment=science
        )
        succeed("run", path, "--out", "made", folder=folder)
        with netCDF4.Dataset(folder / "made" / "merged.nc") as file:
            site = np.asarray(file["row_site"][:])
            found[name] = np.ma.filled(file["predicted_of_members"][0], np.nan), site
    (plain, site), (marked, again) = found["plain"], found["marked"]
    assert (site == again).all()
    own = site == 5
    assert np.array_equal(plain[..., own], marked[..., own], equal_nan=True)
    assert (plain[1:, :, :, ~own] != marked[1:, :, :, ~own]).any()


def test_ways_are_scored_over_the_same_months_and_towers_of_one_place_are_one(run: Path, tmp_path: Path) -> None:
    table = read_tower_table(run / "towers.nc")
    table.of_site["lat"][1], table.of_site["lon"][1] = table.of_site["lat"][0] + 0.004, table.of_site["lon"][0]
    for name in ("LAI", "VPD"):
        table.values[name][3] = np.nan  # without which there is no baseline of GPP
    write_tower_table(table, tmp_path / "towers.nc")
    path = write_upscaling(
        tmp_path, data={"kind": "flux-towers", "path": "towers.nc"}, experiment={"learn": ["direct", "residual"]}
    )
    said = succeed("run", path, "--out", "made", folder=tmp_path)
    root = tmp_path / "made"
    scores = json.loads((root / "scores.json").read_text())
    with netCDF4.Dataset(root / "merged.nc") as file:
        ways = [str(name) for name in file["way"][:]]
        predicted = np.ma.filled(file["predicted"][0, :, 0].astype(float), np.nan)
        observed = np.isfinite(np.ma.filled(file["observed"][0].astype(float), np.nan))
    everyone = np.isfinite(predicted).all(0) & observed
    assert (np.isfinite(predicted[ways.index("direct")]) & observed).sum() > everyone.sum()
    for of_way in (scores["direct"], scores["residual"], scores["baseline"]):
        assert of_way["tower"]["gpp"]["n"] == everyone.sum()
        assert of_way["tower"]["gpp"]["n_without"] == observed.sum() - everyone.sum() > 0
    assert f"gpp {observed.sum() - everyone.sum()}" in said.partition("not all of these predict: ")[2]
    names = json.loads(succeed("status", root, "--json", folder=tmp_path))
    assert names["lanes"]["calibrated"] == 2 * (13 * 2 + 3 * 2 + 2)
    arrays = read_hdf5(root / "models.h5")[0]
    calibrated_on = [int(values) for name, values in arrays.items() if name.endswith("towers") and values.size == 1]
    assert calibrated_on
    assert max(calibrated_on) == 13


def test_towers_that_are_others_than_planned_are_refused(run: Path, tmp_path: Path) -> None:
    table = read_tower_table(run / "towers.nc")
    write_tower_table(table, tmp_path / "towers.nc")
    path = write_upscaling(tmp_path, data={"kind": "flux-towers", "path": "towers.nc"})
    succeed("plan", path, "--out", "made", "--rate", "1000", folder=tmp_path)
    write_tower_table(_with_marks(table, 2), tmp_path / "other.nc")
    done = command("run", "made", "--set", f"data.path={tmp_path / 'other.nc'}", folder=tmp_path)
    assert done.returncode == 2
    assert "is not the one over which the campaign was planned" in done.stderr
    shutil.move(tmp_path / "towers.nc", tmp_path / "moved.nc")
    done = command("run", "made", folder=tmp_path)
    assert "data.path=" in done.stderr
    succeed("run", "made", "--set", f"data.path={tmp_path / 'moved.nc'}", folder=tmp_path)
    assert (tmp_path / "made" / "scores.json").is_file()


def _table(
    run: Path, path: Path, towers: int = 14, without: tuple[str, ...] = (), lacking: dict[str, int] | None = None
) -> Path:
    """Write the first towers of a run's table, without some quantities, and with some at the first few towers only."""
    table = read_tower_table(run / "towers.nc")
    values = {name: np.array(one[:towers]) for name, one in table.values.items() if name not in without}
    for name, few in (lacking or {}).items():
        values[name][few:] = np.nan
    of_site = {name: one[:towers] for name, one in table.of_site.items()}
    write_tower_table(
        TowerMonths(
            table.sites[:towers], table.months, values, of_site, table.igbp[:towers], table.provenance[:towers]
        ),
        path,
    )
    return path


def test_too_few_towers_for_intervals_are_refused_with_a_level_that_would_do(run: Path, tmp_path: Path) -> None:
    data = {"kind": "flux-towers", "path": str(_table(run, tmp_path / "five.nc", towers=5))}
    said = _refused(tmp_path, data=data)
    assert "experiment.level = 0.9 needs 10 places with towers, and gpp is known at 5" in said
    path = write_upscaling(tmp_path, data=data, experiment={"level": 0.6, "cv": ["tower"], "fluxes": ["gpp"]})
    succeed("run", path, "--out", "made", folder=tmp_path)
    assert (tmp_path / "made" / "models.h5").is_file()
    few = {"kind": "flux-towers", "path": str(_table(run, tmp_path / "few.nc", lacking={"RECO": 6}))}
    assert "reco is known at 6" in _refused(tmp_path / "b", data=few)


def test_a_baseline_that_has_no_value_is_refused_when_it_is_planned(run: Path, tmp_path: Path) -> None:
    data = {"kind": "flux-towers", "path": str(_table(run, tmp_path / "no_reco.nc", without=("RECO",)))}
    assert "its baseline is fitted to RECO" in _refused(tmp_path, data=data, experiment={"fluxes": ["nee"]})
    science = {"fluxes": ["nee"], "learn": "direct", "cv": ["tower"]}
    succeed("run", write_upscaling(tmp_path, data=data, experiment=science), "--out", "made", folder=tmp_path)
    scores = json.loads((tmp_path / "made" / "scores.json").read_text())
    assert scores["tower"]["nee"]["nse"] is not None
    assert scores["baseline"]["tower"]["nee"]["nse"] is None


def test_a_campaign_without_towers_left_out_says_that_it_keeps_no_models(tmp_path: Path) -> None:
    path = write_upscaling(tmp_path, experiment={"cv": ["row"], "fluxes": ["gpp"]})
    assert "no models for maps" in succeed("plan", path, "--out", "made", "--rate", "1000", folder=tmp_path)
    assert "no models for maps" in succeed("run", "made", folder=tmp_path)


def test_merged_product_opens_in_xarray_with_dates(run: Path) -> None:
    with xr.open_dataset(run / "merged.nc") as product:
        months = product["month"].values
    assert months.min() == np.datetime64("2003-01-01")
