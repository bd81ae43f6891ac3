"""`phloem attribute` of an upscaling: SHAP values that add up, shares, networks of causes, refusals."""

from __future__ import annotations

import csv
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.config.upscaling_attribution_file import load_upscaling_attribution
from phloem.jobs.config.upscaling_benchmark_file import load_upscaling_benchmark
from phloem.jobs.upscaling.fit_units import planned_data
from phloem.jobs.upscaling.fitted_file import open_fitted
from phloem.jobs.upscaling_analyses.attribute import attribute_upscaling, describe
from tests.support.campaigns.applied_upscalings import write_upscaling
from tests.support.campaigns.campaigns import succeed

QUICK = ["rows=200", "causes.draws=40", "causes.regions=['global']"]


@pytest.fixture(scope="module")
def document(merged_towers: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What attribution.json holds, with `folder`."""
    return attribute_upscaling(
        open_campaign(merged_towers), None, tmp_path_factory.mktemp("explained") / "attribution", QUICK
    )


def test_values_and_base_add_up_to_what_members_predict(document: dict[str, Any]) -> None:
    assert [one["flux"] for one in document["fluxes"]] == ["gpp", "reco", "nee", "le"]
    for one in document["fluxes"]:
        assert one["method"] == "shap"
        assert one["gap"] < 1e-4
        assert one["members"] == 2
        assert one["rows"] == 200
        for way, found in one["ways"].items():
            assert sum(found["shares"].values()) == pytest.approx(100.0, abs=1e-3), way
            assert sum(found["groups"].values()) == pytest.approx(100.0, abs=1e-3), way
        assert set(one["ways"]) == {"residual", "direct", "blend"}


def test_direct_models_follow_what_the_made_fluxes_are_made_of(document: dict[str, Any]) -> None:
    shares = {one["flux"]: one["ways"]["direct"]["groups"] for one in document["fluxes"]}
    assert shares["le"]["light"] + shares["le"]["process baselines"] > 50
    assert shares["reco"]["air temperature"] > shares["reco"]["place and class"]


def test_a_blend_is_explained_by_its_shares_of_both_ways(merged_towers: Path) -> None:
    from phloem.analysis.flux_drivers.member_effects import member_effects

    campaign = open_campaign(merged_towers)
    fitted, data = open_fitted(campaign), planned_data(campaign)
    members, table = fitted.members["gpp"], data.prepared.table[:50]
    effects = member_effects(members, data.prepared.predictors, table)
    assert effects is not None
    found = effects.by_way["blend"]
    for number, one in enumerate(members):
        x = table[:, [data.prepared.predictors.index(name) for name in one.predictors]]
        blended = one.predict_table(x, np.zeros(50))["blend"]
        np.testing.assert_allclose(found.phi[number].sum(1) + found.expected[number], blended, atol=1e-4)


def test_causes_of_a_region_have_arcs_with_intervals(document: dict[str, Any]) -> None:
    region = document["causes"]["regions"][0]
    assert region["region"] == "global"
    assert region["places"] == 24
    for arc in region["arcs"]:
        assert -1 <= arc["low"] <= arc["high"] <= 1
        assert arc["low"] - 0.1 <= arc["rank_correlation"] <= arc["high"] + 0.1
        assert arc["direct"]["low"] <= arc["direct"]["mean"] <= arc["direct"]["high"]
    assert {"causes.png", "causes.svg", "causes.json"} <= {path.name for path in Path(document["folder"]).iterdir()}


def test_tables_and_figures_stand_beside_the_document(document: dict[str, Any]) -> None:
    folder = Path(document["folder"])
    held = json.loads((folder / "attribution.json").read_text())
    assert held == {key: value for key, value in document.items() if key != "folder"}
    with (folder / "importance.csv").open() as file:
        rows = list(csv.DictReader(file))
    told = {(one["flux"], way, name): share for one in document["fluxes"] for way, found in one["ways"].items()
            for name, share in found["shares"].items()}  # fmt: skip
    read = {(row["flux"], row["way"], row["variable"]): float(row["share"]) for row in rows}
    assert read == pytest.approx(told)
    assert {"importance.png", "effects_gpp.png", "effects_le.png"} <= {path.name for path in folder.iterdir()}
    assert "RECO" in "\n".join(describe(document))


def test_fluxes_members_and_season_are_chosen(merged_towers: Path, tmp_path: Path) -> None:
    choices = [*QUICK, "fluxes=['le']", "members=1", "causes.deseasonalised=true"]
    found = attribute_upscaling(open_campaign(merged_towers), None, tmp_path / "out", choices)
    assert [(one["flux"], one["members"]) for one in found["fluxes"]] == [("le", 1)]
    assert found["causes"]["deseasonalised"] is True
    assert not (tmp_path / "out" / "effects_gpp.png").exists()


def test_a_region_without_towers_is_told_and_the_rest_goes_on(merged_towers: Path, tmp_path: Path) -> None:
    choices = ["rows=50", "fluxes=['le']", "causes.draws=20", "causes.regions=[[80.0, 90.0, 0.0, 10.0], 'global']"]
    found = attribute_upscaling(open_campaign(merged_towers), None, tmp_path / "out", choices)
    assert len(found["causes"]["regions"]) == 1
    assert any("no tower" in line for line in found["left_out"])


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("fluxes=['npp']", "the campaign has gpp, reco, nee, le"),
        ("causes.regions=['Europa']", "Europe"),
        ("causes.regions=[[60.0, 50.0, 0.0, 10.0]]", "south, north, west and east"),
        ("causes.igbp=['EBX']", "classes are ENF"),
        ("shap=3", "shap"),
    ],
)
def test_bad_choices_are_refused_before_any_work(merged_towers: Path, tmp_path: Path, choice: str, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        attribute_upscaling(open_campaign(merged_towers), None, tmp_path / "out", [choice])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("learner", "fluxes", "method"),
    [
        ("histogram", ["le"], "shap"),
        ("cascade", ["le"], "permutation"),
        ("network", ["gpp", "reco", "nee", "le"], "permutation"),
    ],
)
def test_other_learners_are_explained_too(tmp_path: Path, learner: str, fluxes: list[str], method: str) -> None:
    write_upscaling(
        tmp_path, learner=learner, fluxes=fluxes, trees={"trees": 4, "depth": 3}, cv=["block"], block_degrees=60.0,
        level=0.6,
    )  # fmt: skip
    succeed("run", "upscaled.toml", "--out", "made", folder=tmp_path)
    found = attribute_upscaling(open_campaign(tmp_path / "made"), None, None, QUICK)
    assert [(one["flux"], one["method"]) for one in found["fluxes"]] == [(flux, method) for flux in fluxes]
    for one in found["fluxes"]:
        assert one["members"] == 2
        assert one["gap"] is None or one["gap"] < 1e-4
        for name in ("shares", "groups"):
            assert sum(one["ways"]["residual"][name].values()) == pytest.approx(100.0, abs=1e-3)


def test_models_that_were_not_kept_leave_causes_alone(tmp_path: Path) -> None:
    write_upscaling(tmp_path, fluxes=["le"], trees={"trees": 3, "depth": 2}, cv=["row"], folds=2)
    succeed("run", "upscaled.toml", "--out", "made", folder=tmp_path)
    found = attribute_upscaling(open_campaign(tmp_path / "made"), None, None, ["causes.draws=20", QUICK[-1]])
    assert found["fluxes"] == []
    assert any('"tower" or "block" is due' in line for line in found["left_out"])
    assert found["causes"]["regions"]
    with pytest.raises(InputError, match="nothing can be explained"):
        attribute_upscaling(open_campaign(tmp_path / "made"), None, tmp_path / "out", ["causes.regions=[]"])
    assert not (tmp_path / "out").exists()


def test_commented_templates_hold_the_defaults(tmp_path: Path) -> None:
    for name, load in (
        ("upscaling_benchmark.toml", load_upscaling_benchmark),
        ("upscaling_attribution.toml", load_upscaling_attribution),
    ):
        path = Path(str(files("phloem.jobs") / "templates" / name))
        assert load(path) == load(None), name
