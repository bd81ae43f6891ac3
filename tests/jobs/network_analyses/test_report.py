"""`phloem report` of trainings, and trainings side by side, as a user asks for them."""

import json
import re
from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import command, succeed
from tests.support.campaigns.evaluated_trainings import small_choices, write_evaluated


@pytest.fixture(scope="module")
def attributed(evaluated: Path) -> Path:
    if not (evaluated / "attribution").exists():
        succeed("attribute", "made", *small_choices(), folder=evaluated.parent)
    return evaluated


def page_of(root: Path) -> str:
    return (root / "report" / "index.html").read_text()


def test_page_answers_whether_plant_type_or_environment(attributed: Path) -> None:
    assert succeed("report", "made", folder=attributed.parent).strip() == "made/report/index.html"
    page = page_of(attributed)
    ids = set(re.findall(r'<section id="([a-z]+)"', page))
    assert {"summary", "shares", "scores", "learning", "maps", "identifiability", "shap", "curves", "pca", "doubts",
            "facts"} <= ids  # fmt: skip
    assert "Plant type or environment?" in page
    assert "of 3 networks of a set-up only" in page
    assert "PFT in the truth" in page
    assert "Fewer than 5 networks count" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page), "the page loads nothing"
    assert "nan" not in re.sub(r'"data:[^"]*"|<svg.*?</svg>', "", page, flags=re.S).lower().split()
    figures = {path.name for path in (attributed / "report" / "figures").iterdir()}
    assert {"learning_curves.png", "trait_maps.png", "attribution_shares.png", "benchmark_scores.png"} <= figures


def test_page_of_the_same_campaign_has_the_same_bytes(attributed: Path) -> None:
    succeed("report", "made", folder=attributed.parent)
    before = page_of(attributed)
    succeed("report", "made", folder=attributed.parent)
    assert page_of(attributed) == before


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network of one set-up, that sees nothing of the climate, without patches to watch it by."""
    folder = tmp_path_factory.mktemp("single")
    experiment = {"set_ups": ["PFT"], "dev_share": 0.0, "leave_out": ["et"], "keep": 1}
    succeed("run", write_evaluated(folder, experiment=experiment, campaign={"members": 1}), "--out", "made",
            folder=folder)  # fmt: skip
    return folder / "made"


def test_page_as_is_of_a_training_alone_shows_what_is_there(single: Path) -> None:
    succeed("report", "made", "--as-is", folder=single.parent)
    page = page_of(single)
    assert "<code>phloem benchmark DIR</code>" in page
    assert "<code>phloem attribute DIR</code>" in page
    assert not (single / "benchmark").exists()


def test_single_network_of_one_set_up_is_reported_with_what_cannot_be_said(single: Path) -> None:
    succeed("attribute", "made", *small_choices(), folder=single.parent)
    succeed("report", "made", folder=single.parent)
    found = json.loads((single / "attribution" / "attribution.json").read_text())
    assert all(one["pooled"] is None for one in found["partition"])
    assert "set-ups CLIM, AGE, SOIL" in found["partition"][0]["refused"]
    assert found["identifiability"] == {
        "screens": [], "refused": {"PFT": "1 of at least 3 networks count: too few to agree or differ"},
    }  # fmt: skip
    page = page_of(single)
    assert "One set-up was trained, PFT" in page
    assert "It cannot be said: no stream" in page
    assert "Not trained on, though the patches have labels: et" in page
    assert "not trained on</small>" in page
    assert "No dev loss was looked at twice" in page


def test_trainings_side_by_side_say_how_they_differ(attributed: Path, single: Path) -> None:
    words = ("benchmark", attributed, "--against", single, "--json", "--out")
    found = json.loads(succeed(*words, single.parent / "compared", folder=single.parent))
    keys = {row["key"]: row["values"] for row in found["differences"]}
    names = [one["name"] for one in found["campaigns"]]
    assert keys["experiment.leave_out"] == {names[0]: [], names[1]: ["et"]}
    assert keys["experiment.keep"] == {names[0]: 10, names[1]: 1}
    assert keys["campaign.members"] == {names[0]: 3, names[1]: 1}
    assert any("different patches" in line for line in found["warnings"])
    scores = {one: json.loads((one / "benchmark" / "benchmark.json").read_text()) for one in (attributed, single)}
    for name, root in zip(names, (attributed, single), strict=True):
        row = next(
            row for row in found["scores"] if (row["stream"], row["set_up"], row["training"]) == ("et", "PFT", name)
        )
        own = next(one for one in scores[root]["set_ups"] if one["set_up"] == "PFT")
        assert row["nse"] == own["streams"]["et"]["members"]["pooled"]["nse"]["mean"]
        assert row["trained_on_stream"] == (root == attributed)
    assert {row["training"] for row in found["shares"]} == {names[0]}
    assert (single.parent / "compared" / "shares.png").is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--against", "made"), "named twice"),
        (("--against", "elsewhere"), "no campaign here"),
        (("--against", "made", "--set", "part=dev"), "benchmarks as they are"),
    ],
)
def test_bad_comparisons_are_refused(single: Path, words: tuple, told: str) -> None:
    done = command("benchmark", "made", *words, folder=single.parent)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert not (single / "comparison").exists()
