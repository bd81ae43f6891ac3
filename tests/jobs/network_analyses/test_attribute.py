"""`phloem attribute` of trainings, as a user gives it."""

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.analysis.interpret.explained_quantity import explained_quantities
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.network.trained_networks import read_networks
from phloem.jobs.network_analyses.ensembles import ensemble_of
from phloem.jobs.network_analyses.predictor_cells import read_cells
from phloem.jobs.network_products.predict import quantities_of_members
from tests.support.campaigns.campaigns import command, succeed
from tests.support.campaigns.evaluated_trainings import COVERING, TRUTH, small_choices

PROJECTED = ("--set", "projection.warming=3", "--set", "projection.rain_ratio=1.1", "--set",
             'projection.traits=["ce"]')  # fmt: skip
GROUPS = ("PFT", "CLIM", "AGE", "SOIL")


@pytest.fixture(scope="module")
def document(evaluated: Path) -> dict:
    printed = succeed("attribute", "made", *small_choices(), *PROJECTED, "--json", folder=evaluated.parent)
    written = json.loads((evaluated / "attribution" / "attribution.json").read_text(), parse_constant=pytest.fail)
    assert json.loads(printed) == {"folder": "made/attribution", **written}
    return written


def of_stream(document: dict, stream: str) -> dict:
    return next(one for one in document["partition"] if one["stream"] == stream)


def test_independent_parts_add_up_to_what_all_groups_explain(document: dict, evaluated: Path) -> None:
    benchmark = json.loads((evaluated / "benchmark" / "benchmark.json").read_text())
    for stream in ("lai", "et", "nbe"):
        pooled = of_stream(document, stream)["pooled"]
        assert sum(row["independent"] for row in pooled["groups"]) == pytest.approx(pooled["total"], abs=1e-6)
        assert sum(row["share"] for row in pooled["groups"]) == pytest.approx(1.0, abs=1e-5)
        whole = next(one for one in benchmark["set_ups"] if one["set_up"] == "PFT+CLIM+AGE+SOIL")
        each = whole["streams"][stream]["pooled_of_each"]["r2_pearson"]
        assert pooled["total"] == pytest.approx(np.mean(each), rel=1e-5)
        assert all(row["low"] <= row["share"] <= row["high"] for row in pooled["groups"])
        assert pooled["environment_share"] == pytest.approx(1 - pooled["groups"][0]["share"], abs=1e-5)


def test_parts_of_each_place_add_up_and_the_largest_is_the_label(document: dict, evaluated: Path) -> None:
    with netCDF4.Dataset(evaluated / "attribution" / "partition.nc") as file:
        independent, total, label = (
            np.ma.filled(file[f"{name}_lai"][:].astype(float), np.nan) for name in ("independent", "total", "dominant")
        )
    labelled = label >= 0
    assert labelled.any()
    np.testing.assert_allclose(independent.sum(0)[labelled], total[labelled], atol=1e-6)
    assert (independent.argmax(0) == label)[labelled].all()
    mapped = of_stream(document, "lai")["by_place"]
    assert mapped["labelled"] == labelled.sum()
    for number, row in enumerate(mapped["groups"]):
        assert row["fraction"] == pytest.approx((label == number).sum() / labelled.sum(), abs=1e-6)
        low, high = mapped["intervals"]["fraction"][row["group"]]
        assert 0 <= low <= high <= 1


def test_network_that_is_constant_explains_nothing_and_is_named(document: dict, evaluated: Path) -> None:
    benchmark = json.loads((evaluated / "benchmark" / "benchmark.json").read_text())
    for one in document["partition"]:
        found = {
            f"{scored['set_up']}, {name}"
            for scored in benchmark["set_ups"]
            for name, value in zip(
                scored["scored"], scored["streams"][one["stream"]]["pooled_of_each"]["r2_pearson"], strict=True
            )
            if value is None
        }
        if one["pooled"]:
            assert set(one["constant"]) == found
            for row in one["pooled"]["scores"]:
                name = "+".join(row["groups"])
                each = next(scored for scored in benchmark["set_ups"] if scored["set_up"] == name)["streams"]
                values = each[one["stream"]]["pooled_of_each"]["r2_pearson"]
                assert row["score"] == pytest.approx(np.mean([value or 0.0 for value in values]), abs=1e-6)


def test_shares_stand_beside_those_of_the_truth(document: dict) -> None:
    assert of_stream(document, "lai")["truth"] == {group: TRUTH["share"][group]["lai"] for group in GROUPS}
    assert of_stream(document, "nbe")["truth"] is None


def test_streams_that_cannot_be_shared_out_say_why(document: dict) -> None:
    biomass = of_stream(document, "biomass")
    assert biomass["pooled"] is None
    assert "no network has a correlation over its" in biomass["refused"]
    assert any("biomass" in line for line in document["left_out"])


def test_ensemble_gives_the_quantities_that_predictions_are_made_of(evaluated: Path) -> None:
    networks = read_networks(open_campaign(evaluated))
    cells = read_cells(networks)
    ensemble = ensemble_of(networks, "SOIL+PFT")
    patch = networks.store.read(3)
    here = np.flatnonzero(cells.patch == 3)
    assert [cells.names[n] for n in here] == list(patch.cells)
    ours = ensemble.members_at(cells.table.cells(here))
    theirs = quantities_of_members(networks, "PFT+SOIL", [0, 1, 2], patch).swapaxes(1, 2)
    np.testing.assert_allclose(ours, theirs, rtol=2e-4)


def test_shapley_values_and_base_add_up_to_the_ensemble_in_every_set_of_cells(document: dict, evaluated: Path) -> None:
    for name in ("shap.nc", *(f"shap_{plant_type}.nc" for plant_type in COVERING)):
        with xr.open_dataset(evaluated / "attribution" / name) as file:
            together = file["base"] + file["shapley_value"].sum("predictor")
            np.testing.assert_allclose(together, file["model"], rtol=1e-6, atol=1e-9)
            assert file["quantity"].values.tolist() == ["ce", "cue", "pc1"]
    importance = document["shap"]["importance"]
    assert {row["plant_type"] for row in importance} == {None, *COVERING}
    for row in importance:
        assert sum(share for share in row["groups"].values()) == pytest.approx(1.0, abs=1e-5)
    assert "NVG" in document["shap"]["scarce"]


def test_explained_cells_were_seen_by_all_networks(document: dict, evaluated: Path) -> None:
    networks = read_networks(open_campaign(evaluated))
    cells = read_cells(networks)
    held = cells.table.values[~cells.seen(networks, [0, 1, 2]).all(0)]
    with xr.open_dataset(evaluated / "attribution" / "shap.nc") as file:
        mat = file["predictor_value"].sel(predictor="MAT").values
    assert not set(mat.tolist()) & set(held[:, cells.table.names.index("MAT")].tolist())


def test_agreement_is_of_the_networks_physical_quantities(document: dict, evaluated: Path) -> None:
    networks = read_networks(open_campaign(evaluated))
    patches = [networks.store.read(position) for position in range(len(networks.store))]
    values = np.concatenate([quantities_of_members(networks, "PFT", [0, 1, 2], one) for one in patches], 2)
    screens = {"+".join(one["set_up"]): one for one in document["identifiability"]["screens"]}
    assert set(screens) == {"PFT", "CLIM+AGE+SOIL", "PFT+CLIM+AGE+SOIL"}
    row = next(row for row in screens["PFT"]["std"]["rows"] if row["parameter"] == "canopy_efficiency")
    own = values[:, 10]
    assert row["cells"] == own.shape[1]
    assert row["median_cv"] == pytest.approx(np.median(own.std(0, ddof=1) / own.mean(0)), rel=1e-3)


def test_changed_climate_is_the_ensemble_at_the_new_climate(document: dict, evaluated: Path) -> None:
    networks = read_networks(open_campaign(evaluated))
    cells, traits = read_cells(networks), explained_quantities(["ce"])
    ensemble = ensemble_of(networks, "PFT+CLIM+AGE+SOIL")
    rows = cells.table.columns(ensemble.names)
    new = rows.copy()
    new[:, ensemble.names.index("MAT")] += 3
    new[:, ensemble.names.index("MAP")] *= 1.1
    centres = ensemble.day_centres(cells.table)
    change = (ensemble.explained_at(new, traits, centres) - ensemble.explained_at(rows, traits, centres))[:, 0]
    with xr.open_dataset(evaluated / "attribution" / "projection.nc") as file:
        np.testing.assert_allclose(file["aware_change"].sel(quantity="ce"), change, rtol=1e-6, atol=1e-9)
        assert file["outside"].sum() == document["projection"]["outside"]
        assert file["cell"].values.tolist() == cells.names
    assert document["projection"]["outside"] > 0


def test_tables_and_figures_are_written_without_nan(document: dict, evaluated: Path) -> None:
    folder = evaluated / "attribution"
    for name in ("shares", "importance", "identifiability", "curves", "pca"):
        text = (folder / f"{name}.csv").read_text()
        assert text.count("\n") > 4
        assert "nan" not in text.lower()
    for name in ("shares", "dominance_lai", "pca", "importance_ce", "importance_ce_EBF", "swarm_ce", "curves",
                 "projection"):  # fmt: skip
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_maps_of_change_are_read_at_the_cells(evaluated: Path, document: dict, tmp_path: Path) -> None:
    latitude, longitude = np.arange(-29.75, 30, 0.5), np.arange(-0.25, 20, 0.5)
    shape = len(latitude), len(longitude)
    maps = {"tas": (("lat", "lon"), np.full(shape, 3.0)), "pr": (("lat", "lon"), np.full(shape, 1.1))}
    axes = {"lat": ("lat", latitude, {"units": "degrees_north"}), "lon": ("lon", longitude, {"units": "degrees_east"})}
    xr.Dataset(maps, axes).to_netcdf(tmp_path / "change.nc")
    (tmp_path / "mine.toml").write_text(
        '[shap]\ncells = 0\n[curves]\ntraits = []\n[projection]\nwarming = "change.nc:tas"\n'
        'rain_ratio = "change.nc:pr"\ntraits = ["ce"]\n'
    )
    words = ("--config", tmp_path / "mine.toml", "--out", tmp_path / "out", "--json")
    found = json.loads(succeed("attribute", "made", *words, folder=evaluated.parent))
    assert found["projection"]["outside"] == document["projection"]["outside"]
    ours, theirs = (one["projection"]["median_change"][0]["aware"] for one in (found, document))
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert found["shap"]["explained"] is None
    assert any("shap.cells = 0" in line for line in found["left_out"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--targets", "lcmaa"), "Did you mean 'lcma'"),
        (("--set", "shap.method=tree"), "'kernel', 'permutation' or 'exact'"),
        (("--set", "shap.set_up=ROCK"), "it has PFT, CLIM"),
        (("--set", 'shap.plant_types=["OAK"]'), "OAK"),
        (("--set", "shap.set_up=CLIM", "--set", 'shap.plant_types=["EBF"]'), "see no plant types"),
        (("--set", "projection.warming=nothing.nc:tas"), "no such file"),
        (("--set", "projection.warming=two"), "warming"),
        (("--set", "members=3"), "Valid here"),
        (("--config", "nowhere.toml"), "No such file"),
    ],
)
def test_bad_choices_are_refused_and_leave_the_folder(evaluated: Path, document: dict, words: tuple, told: str) -> None:
    before = (evaluated / "attribution" / "attribution.json").read_bytes()
    done = command("attribute", "made", *words, folder=evaluated.parent)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert (evaluated / "attribution" / "attribution.json").read_bytes() == before


def test_damaged_benchmark_is_told_with_the_command_that_mends_it(evaluated: Path, document: dict) -> None:
    path = evaluated / "benchmark" / "benchmark.json"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[: len(whole) // 2])
        done = command("attribute", "made", folder=evaluated.parent)
        assert done.returncode == 1
        assert "phloem benchmark made" in done.stderr
    finally:
        path.write_bytes(whole)
