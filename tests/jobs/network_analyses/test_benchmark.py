"""`phloem benchmark` of trainings, as a user gives it."""

import csv
import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.analysis.network.patch_pairs import live_biomass
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.network.stored_cells import cells_of
from phloem.jobs.network.table import all_names
from phloem.jobs.network.trained_networks import read_networks
from phloem.jobs.network_analyses.held_out import OUTPUTS
from phloem.jobs.network_products.predict import predicted
from tests.support.campaigns.campaigns import command, succeed
from tests.support.campaigns.evaluated_trainings import CEILING, HELD_OUT, MONTHS, RUNS, write_evaluated

WARM_UP = 24


@pytest.fixture(scope="module")
def document(evaluated: Path) -> dict:
    printed = succeed("benchmark", "made", "--json", folder=evaluated.parent)
    written = json.loads((evaluated / "benchmark" / "benchmark.json").read_text(), parse_constant=pytest.fail)
    assert json.loads(printed) == {"folder": "made/benchmark", **written}
    return written


def of_set_up(document: dict, name: str) -> dict:
    return next(one for one in document["set_ups"] if one["set_up"] == name)


def test_benchmark_scores_every_set_up_on_the_patches_held_out(document: dict) -> None:
    assert [one["set_up"] for one in document["set_ups"]] == all_names()
    assert (document["patches"], document["months"]) == (len(HELD_OUT), MONTHS - WARM_UP)
    assert document["ceiling"] == CEILING
    assert of_set_up(document, "PFT")["runs"] == [[0], [1], [2]]


def test_pooled_scores_are_those_of_all_pairs_of_the_held_out_cells(evaluated: Path, document: dict) -> None:
    networks = read_networks(open_campaign(evaluated))
    positions = networks.patches("test", 1)
    assert [networks.store.names[one] for one in positions] == HELD_OUT
    x, y, mean = [], [], []
    for stored, outputs in predicted(networks, "PFT+SOIL", [0, 1, 2], positions, OUTPUTS):
        labels = cells_of(stored, networks.store.co2, "strict").labels["lai"][WARM_UP:]
        x.append(np.asarray(outputs["lai"][1], float)[WARM_UP:][np.isfinite(labels)])
        mean.append(np.asarray(outputs["lai"], float).mean(0)[WARM_UP:][np.isfinite(labels)])
        y.append(labels[np.isfinite(labels)])
        assert np.isfinite(live_biomass(outputs)).all()
    x, y, mean = (np.concatenate(one) for one in (x, y, mean))
    found = of_set_up(document, "PFT+SOIL")["streams"]["lai"]
    assert found["pairs"] == len(y)
    each, ensemble = found["pooled_of_each"], found["ensemble"]["pooled"]
    assert each["r2_pearson"][1] == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, rel=1e-5)
    assert each["nse"][1] == pytest.approx(1 - ((x - y) ** 2).sum() / ((y - y.mean()) ** 2).sum(), rel=1e-5)
    assert each["mae"][1] == pytest.approx(np.abs(x - y).mean(), rel=1e-5)
    assert ensemble["rmse"] == pytest.approx(np.sqrt(((mean - y) ** 2).mean()), rel=1e-5)
    spread = found["members"]["pooled"]["mae"]
    assert spread["mean"] == pytest.approx(np.mean(each["mae"]), rel=1e-5)
    assert spread["sd"] == pytest.approx(np.std(each["mae"], ddof=1), rel=1e-5)


def test_scores_of_places_lie_beside_their_names(evaluated: Path, document: dict) -> None:
    with netCDF4.Dataset(evaluated / "benchmark" / "places.nc") as file:
        values = np.ma.filled(file["r2_lai"][:], np.nan)
        names = [str(one) for one in file["name_lai"][:]]
        assert values.shape == (15, 3, 16)
        assert {name.rsplit("-", 1)[0] for name in names} == set(HELD_OUT)
        assert [str(one) for one in file["name_nbe"][:]] == HELD_OUT
    median = of_set_up(document, "PFT")["streams"]["lai"]["members"]["temporal_median"]["r2_pearson"]
    with np.errstate(invalid="ignore"):
        medians = [np.median(row[np.isfinite(row)]) for row in values[0]]
    assert median["mean"] == pytest.approx(np.mean(medians), rel=1e-4)


def test_errors_are_over_those_of_plant_types_alone(document: dict) -> None:
    rows = {"+".join(row["groups"]): row for row in document["errors"]["lai"]}
    assert rows["PFT"]["ratio"] == 1.0
    mae = {name: of_set_up(document, name)["streams"]["lai"]["members"]["pooled"]["mae"]["mean"] for name in rows}
    assert rows["CLIM"]["ratio"] == pytest.approx(mae["CLIM"] / mae["PFT"], rel=1e-5)


def test_towers_are_scored_at_all_sites_and_at_those_held_out(document: dict) -> None:
    towers = of_set_up(document, "PFT+CLIM+AGE+SOIL")["towers"]["tower_gpp"]
    assert (towers["all"]["pairs"], towers["held_out"]["pairs"]) == (18, 4)
    assert {site["site"].rsplit("-", 1)[0] for site in towers["sites"] if site["held_out"]} == set(HELD_OUT)
    assert len(towers["r_of_each"]) == RUNS


def test_table_has_every_network_stream_and_level(evaluated: Path, document: dict) -> None:
    with (evaluated / "benchmark" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert "nan" not in (evaluated / "benchmark" / "scores.csv").read_text().lower()
    assert {row["member"] for row in rows} == {"0", "1", "2", "ensemble"}
    row = next(
        row for row in rows
        if (row["set_up"], row["member"], row["stream"], row["level"]) == ("AGE", "1", "et", "pooled")
    )  # fmt: skip
    assert float(row["nse"]) == of_set_up(document, "AGE")["streams"]["et"]["pooled_of_each"]["nse"][1]


def test_second_benchmark_gives_the_same_bytes(evaluated: Path, document: dict, tmp_path: Path) -> None:
    succeed("benchmark", "made", "--out", tmp_path / "again", folder=evaluated.parent)
    for name in ("benchmark.json", "scores.csv", "scores.png"):
        assert (tmp_path / "again" / name).read_bytes() == (evaluated / "benchmark" / name).read_bytes()


def test_dev_patches_are_scored_each_run_on_its_own(evaluated: Path, tmp_path: Path) -> None:
    words = ("--out", tmp_path / "dev", "--set", "part=dev", "--set", 'set_ups=["PFT"]', "--set", "towers=false")
    found = json.loads(succeed("benchmark", "made", *words, "--json", folder=evaluated.parent))
    assert found["ceiling"] is None, "the truth's own score is of the held-out patches"
    networks = read_networks(open_campaign(evaluated))
    dev = {patch for run in range(RUNS) for patch in networks.patches("dev", run)}
    assert found["patches"] == len(dev)
    assert not found["set_ups"][0]["towers"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--set", "warm_up=48"), "none is left to be compared"),
        (("--set", "warm_up=20"), "warm_up"),
        (("--set", 'set_ups=["PFT+ROCK"]'), "it has PFT, CLIM"),
        (("--set", "parts=test"), "Valid here"),
        (("--out", "."), "working directory"),
    ],
)
def test_bad_choices_are_refused_and_leave_the_folder(evaluated: Path, document: dict, words: tuple, told: str) -> None:
    before = (evaluated / "benchmark" / "benchmark.json").read_bytes()
    done = command("benchmark", "made", *words, folder=evaluated.parent)
    assert done.returncode == 2
    assert told in done.stderr.replace("\n", " ")
    assert (evaluated / "benchmark" / "benchmark.json").read_bytes() == before


def test_template_of_a_training_is_read_as_its_defaults(evaluated: Path, document: dict, tmp_path: Path) -> None:
    succeed("benchmark", "made", "--template", tmp_path / "mine.toml", folder=evaluated.parent)
    words = ("--config", tmp_path / "mine.toml", "--out", tmp_path / "out", "--json")
    found = json.loads(succeed("benchmark", "made", *words, folder=evaluated.parent))
    assert found["set_ups"] == document["set_ups"]


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folded")
    experiment = {"set_ups": ["PFT", "CLIM"], "folds": 3}
    path = write_evaluated(folder, experiment=experiment, campaign={"members": 4})
    succeed("run", path, "--out", "made", folder=folder)
    return folder / "made"


def test_folds_are_pooled_over_runs_that_hold_out_all_parts(folded: Path) -> None:
    found = json.loads(succeed("benchmark", "made", "--json", folder=folded.parent))
    one = of_set_up(found, "PFT")
    assert one["runs"] == [[0, 1, 2]], "run 3 holds out what run 0 does, and is one too many"
    assert one["scored"] == ["runs 0+1+2"]
    assert found["patches"] == 9
    assert found["ceiling"] is None
    towers = one["towers"]["tower_gpp"]
    assert towers["held_out"]["pairs"] == towers["all"]["pairs"] == 18
