"""`phloem report` of an upscaling: one page that loads nothing, and says what is not to be relied on."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from phloem.analysis.style.wording import fixed
from tests.support.campaigns.applied_upscalings import write_upscaling
from tests.support.campaigns.campaigns import command, succeed

SECTIONS = {"summary", "scores", "pairs", "groups", "intervals", "towers", "doubts", "importance", "causes", "products",
            "quality", "provenance", "facts"}  # fmt: skip


@pytest.fixture(scope="module")
def reported(merged_towers: Path, products: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign with products in their usual place, and its page."""
    root = tmp_path_factory.mktemp("reported") / "made"
    shutil.copytree(merged_towers, root)
    shutil.copy(merged_towers.parent / "towers.nc", root.parent / "towers.nc")
    (root / "products").mkdir()
    for name in ("fluxes.nc", "fluxes.totals.json", "allocation.nc"):
        shutil.copy(products / name, root / "products" / name)
    succeed("attribute", root, "--set", "rows=100", "--set", 'causes.regions=["global"]', folder=root.parent)
    succeed("report", root, folder=root.parent)
    return root


@pytest.fixture(scope="module")
def page(reported: Path) -> str:
    """The page."""
    return (reported / "report" / "index.html").read_text()


@pytest.fixture(scope="module")
def benchmark(reported: Path) -> dict[str, Any]:
    """What benchmark.json holds."""
    found: dict[str, Any] = json.loads((reported / "benchmark" / "benchmark.json").read_text())
    return found


def visible(page: str) -> str:
    """The texts of a page."""
    plain = re.sub(r"<style.*?</style>|<svg.*?</svg>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", plain))


def test_page_has_all_sections_and_loads_nothing(page: str) -> None:
    assert set(re.findall(r'<section id="([a-z]+)"', page)) == SECTIONS
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "http" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.S).replace("http-equiv", "")
    assert "nan" not in visible(page).lower().split()
    assert "None" not in visible(page).split()


def test_page_says_that_rows_are_no_skill_elsewhere(page: str) -> None:
    words = visible(page)
    assert "Towers never seen (cv = tower)" in words
    assert "Months of towers that were seen (cv = row)" in words
    assert "Nobody may read these numbers as skill at places without a tower" in words
    assert words.index("(cv = tower)") < words.index("(cv = row)")


def test_tiles_hold_the_scores_at_towers_never_seen(page: str, benchmark: dict[str, Any]) -> None:
    tiles = dict(re.findall(r'<div class="tile[^"]*"><b>([^<]*)</b><span>([^<]*)</span>', page))
    told = {words: text for text, words in tiles.items()}
    for row in benchmark["scores"]:
        if row["scheme"] == "tower" and row["way"] == "blend":
            assert told[f"NSE of {row['flux'].upper()} at towers never seen"] == fixed(row["nse"], 2)
    assert told["towers"] == "24"


def test_products_of_the_usual_place_are_checked(page: str) -> None:
    words = visible(page)
    assert "Carbon balance" in words
    assert "gpp - (npp + ra)" in words
    assert "NEE as it was learned against RECO" in words
    assert "allocation.nc" in words
    assert "Carbon of the products does not add up (absolute residuals, PgC yr⁻¹): nep + nee" in words
    assert "NEP and the change of stocks differ" not in words


def test_doubts_name_groups_whose_intervals_hold_too_little(page: str, benchmark: dict[str, Any]) -> None:
    doubts = re.search(r'<section id="doubts">.*?</section>', page, re.S)
    assert doubts
    words = visible(doubts[0])
    assert "2 members" in words
    assert "24 towers" in words
    short = [row for row in benchmark["coverage"]["groups"] if row["by"] in ("class", "season", "climate")
             and row["n"] >= 60 and row["share"] < 0.8]  # fmt: skip
    for row in short:
        assert f"{row['group']} (" in words
    assert ("hold less than 80 %" in words) == bool(short)
    negative = [row for row in benchmark["groups"] if row["by"] == "tower" and row["flux"] == "nee"
                and row["scheme"] == "tower" and row["way"] == "blend" and (row["nse"] or 0) < 0]  # fmt: skip
    assert (f"NEE: at {len(negative)} of 24 towers" in words) == bool(negative)


def test_data_beside_the_page_are_those_of_the_benchmark(reported: Path, benchmark: dict[str, Any]) -> None:
    data = reported / "report" / "data"
    assert (data / "upscaling_scores.csv").read_bytes() == (reported / "benchmark" / "scores.csv").read_bytes()
    with (data / "upscaling_towers.csv").open() as file:
        towers = {row["tower"]: row for row in csv.DictReader(file)}
    assert set(towers) == {one["tower"] for one in benchmark["towers"]}
    row = next(row for row in benchmark["groups"] if row["by"] == "tower" and row["flux"] == "le"
               and row["scheme"] == "tower" and row["way"] == "blend")  # fmt: skip
    assert float(towers[row["group"]]["nse_le"]) == pytest.approx(row["nse"], rel=1e-5)
    with (data / "tower_quality.csv").open() as file:
        kept = {row["of"]: int(row["months"]) for row in csv.DictReader(file) if row["offered"]}
    assert kept == benchmark["months"]


def test_page_of_the_same_campaign_has_the_same_bytes(reported: Path, page: str) -> None:
    succeed("report", reported, folder=reported.parent)
    assert (reported / "report" / "index.html").read_text() == page


def test_page_as_is_says_what_is_not_there(merged_towers: Path, tmp_path: Path) -> None:
    shutil.copytree(merged_towers, tmp_path / "made")
    shutil.copy(merged_towers.parent / "towers.nc", tmp_path / "towers.nc")
    shutil.rmtree(tmp_path / "made" / "benchmark", ignore_errors=True)
    shutil.rmtree(tmp_path / "made" / "attribution", ignore_errors=True)
    succeed("report", "made", "--as-is", folder=tmp_path)
    page = (tmp_path / "made" / "report" / "index.html").read_text()
    assert "<code>phloem benchmark DIR</code>" in page
    assert "<code>phloem attribute DIR</code>" in page
    assert not (tmp_path / "made" / "benchmark").exists()


def test_a_damaged_benchmark_is_refused_with_the_command_that_mends_it(reported: Path, tmp_path: Path) -> None:
    shutil.copytree(reported, tmp_path / "made")
    shutil.copy(reported.parent / "towers.nc", tmp_path / "towers.nc")
    path = tmp_path / "made" / "benchmark" / "benchmark.json"
    held = json.loads(path.read_text())
    del held["scores"][0]["nse"]
    path.write_text(json.dumps(held))
    before = (tmp_path / "made" / "report" / "index.html").read_bytes()
    done = command("report", "made", folder=tmp_path)
    assert done.returncode != 0
    assert "phloem benchmark made" in " ".join(done.stderr.split())
    assert (tmp_path / "made" / "report" / "index.html").read_bytes() == before


def test_campaign_of_rows_alone_is_reported_with_its_warning(tmp_path: Path) -> None:
    write_upscaling(tmp_path, fluxes=["le"], trees={"trees": 3, "depth": 2}, cv=["row"], folds=2)
    succeed("run", "upscaled.toml", "--out", "made", folder=tmp_path)
    succeed("report", "made", folder=tmp_path)
    words = visible((tmp_path / "made" / "report" / "index.html").read_text())
    assert "nothing here tells of the skill at places without a tower" in words
    assert "No intervals" in words
    assert "No product was checked" in words


@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_a_phone_and_a_screen(browser: Any, reported: Path, width: int) -> None:
    opened = browser.new_page(viewport={"width": width, "height": 900})
    troubles: list[str] = []
    opened.on("console", lambda message: troubles.append(message.text))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("request", lambda request: troubles.append(request.url) if request.url.startswith("http") else None)
    opened.goto(f"file://{reported / 'report' / 'index.html'}")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert troubles == []
    opened.close()


def test_networks_are_explained_and_reported(tmp_path: Path) -> None:
    write_upscaling(tmp_path, learner="network", network={"max_epochs": 12}, fluxes=["gpp", "reco", "nee", "le"])
    succeed("run", "upscaled.toml", "--out", "made", folder=tmp_path)
    done = command("report", "made", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no attribution" not in done.stdout + done.stderr
    found = json.loads((tmp_path / "made" / "attribution" / "attribution.json").read_text())
    assert [one["flux"] for one in found["fluxes"]] == ["gpp", "reco", "nee", "le"]
    assert (tmp_path / "made" / "report" / "index.html").is_file()
