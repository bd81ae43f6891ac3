"""`phloem attribute` from end to end, on campaigns over made stores whose drivers of the parameters are known."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from phloem.errors import InputError, WorkError
from phloem.io.merge.read_cells import read_merged
from phloem.jobs.analyse.attribute import run_attribute
from phloem.kernels.calibrations.dalec_daily.derived_quantities import derive
from phloem.names import PERIOD
from tests.support.campaigns.campaigns import PHLOEM, command, files, succeed
from tests.support.campaigns.merged_maps import (
    ROWS,
    commit_members,
    make_cells,
    make_parameters,
    plan_baseline,
    write_store,
)
from tests.support.kernels.dalec_names import GRID
from tests.support.processes import until

COUNT = 160
FEW = ["n_estimators=40", "bootstrap=4", "workers=1", "block_degrees=1.5"]
"""Settings with which every part of an attribution runs, shortly."""

SHORT = [*FEW, "partition=false"]
QUICK = [word for setting in SHORT for word in ("--set", setting)]


def make_campaign(folder: Path, count: int, noise: float = 0.02, diverged: float = 0.0) -> Path:
    """Make a merged campaign of some cells in FOLDER/baseline."""
    cells = make_cells(count)
    campaign = plan_baseline(folder, write_store(folder / "store", cells))
    commit_members(campaign, make_parameters(cells, noise), diverged)
    return campaign.paths.root


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged campaign of 160 cells, a tenth of its lanes diverged."""
    return make_campaign(tmp_path_factory.mktemp("merged"), COUNT, diverged=0.1)


@pytest.fixture
def campaign(merged: Path, tmp_path: Path) -> Path:
    """A copy of it to write into."""
    return Path(shutil.copytree(merged, tmp_path / "baseline"))


@pytest.fixture(scope="module")
def attributed(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The campaign, attributed by the command with all defaults but fewer trees, and what was printed."""
    root = Path(shutil.copytree(merged, tmp_path_factory.mktemp("attributed") / "baseline"))
    words = [word for setting in FEW for word in ("--set", setting)]
    return root, succeed("attribute", root, *words, folder=root.parent)


def targets_of(root: Path) -> dict[str, dict]:
    document = json.loads((root / "attribution/attribution.json").read_text())
    return {one["name"]: one for one in document["targets"]}


class TestSuccess:
    def test_known_drivers_lead(self, attributed):
        root, _ = attributed
        found = targets_of(root)
        assert list(found) == list(GRID.attributed)
        leaf, wood = found["leaf_lifespan"], found["turnover_wood"]
        assert leaf["importance"][0]["predictor"] == "pft_enf"
        assert leaf["importance"][0]["direction"] == "+"
        assert leaf["importance"][0]["share"] > 60
        assert wood["importance"][0]["predictor"] == "map"
        assert leaf["random"]["r2"] > 0.8
        assert {row["group"] for row in leaf["groups"]} == {"climate", "soil", "vegetation"}
        assert sum(row["share"] for row in leaf["groups"]) == pytest.approx(100)

    def test_the_document_is_complete(self, attributed):
        root, _ = attributed
        document = json.loads((root / "attribution/attribution.json").read_text())
        assert (document["cells"], document["members"]) == (COUNT, 5)
        assert [one["name"] for one in document["predictors"]][-2:] == ["soil_clay", "pft_enf"]
        assert len(document["identifiability"]["std"]["rows"]) >= 26
        assert document["pca"]["variables"]
        names = {path.name for path in (root / "attribution").iterdir()}
        assert {"attribution.json", "importance.csv", "scores.csv", "shap.nc", "importance.png"} <= names
        assert not [path for path in root.iterdir() if path.name.startswith(".attribution")]

    def test_what_people_read(self, attributed):
        root, printed = attributed
        lines = printed.splitlines()
        assert lines[0] == f"made, baseline: {COUNT} cells, 5 members, 10 predictors"
        (leaf,) = [line for line in lines if line.startswith("leaf_lifespan")]
        r2 = targets_of(root)["leaf_lifespan"]["random"]["r2"]
        assert f" {r2:.2f} " in leaf
        assert "pft_enf" in leaf.split("  ")[-1].split(";")[0]
        assert f"written: {root}/attribution" in printed
        assert f"phloem report {root}" in printed

    def test_the_members_that_count(self, merged):
        """Derived quantities of every member, NaN for lanes that diverged."""
        from phloem.jobs.analyse.attribute import make_targets

        rows = read_merged(merged / "merged.nc", ("parameters", "status"))
        good = rows["status"] == 0
        assert 0.05 < (~good).mean() < 0.15
        parameters = np.where(good[..., None], rows["parameters"], np.nan)
        leaf, lcma, day = make_targets(["leaf_lifespan", "lcma", "bud_burst_day"], parameters, GRID)
        np.testing.assert_array_equal(np.isfinite(leaf.members), good)
        np.testing.assert_array_equal(leaf.members, derive(parameters)["leaf_lifespan"])
        np.testing.assert_array_equal(lcma.members, parameters[..., ROWS.index("lcma")])
        assert (leaf.units, lcma.units, day.period, lcma.period) == ("yr", "g m-2", PERIOD, 0)

    def test_json_targets_file_and_out(self, campaign, tmp_path):
        (tmp_path / "age.csv").write_text(
            "cell,age\n"
            + "".join(
                f"{cell},{n % 90}\n" for n, cell in enumerate(read_merged(campaign / "merged.nc", ())["cell"]) if n % 8
            )
        )
        (tmp_path / "a.toml").write_text(
            '[attribution]\nclimate = ["mat", "map"]\nstatics = ["pft_enf"]\ntargets = ["lcma"]\n'
            '[[predictors]]\nname = "age"\ngroup = "stand"\npath = "age.csv"\nunits = "yr"\n'
        )
        options = (
            "--config",
            tmp_path / "a.toml",
            "--targets",
            "turnover_wood, bud_burst_day",
            "--out",
            tmp_path / "deep/out",
        )
        done = command("attribute", campaign, *options, *QUICK, "--json", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        (found,) = json.loads(done.stdout)["campaigns"]
        assert (found["experiment"], found["folder"]) == ("baseline", str(tmp_path / "deep/out"))
        assert [one["name"] for one in found["predictors"]] == ["mat", "map", "pft_enf", "age"]
        assert [one["name"] for one in found["targets"]] == ["turnover_wood", "bud_burst_day"]
        assert found["targets"][0]["cells_without_predictors"] == COUNT // 8
        assert set(found["targets"][0]["breakpoints"]) <= {"mat", "map", "pft_enf", "age"}
        assert f"predictor age is missing at {COUNT // 8} of {COUNT} cells" in done.stderr
        assert (tmp_path / "deep/out/attribution.json").exists()
        assert not (campaign / "attribution").exists()

    def test_the_same_twice(self, campaign):
        one, two = (run_attribute(campaign, None, ["turnover_wood"], None, SHORT) for _ in range(2))
        one["campaigns"][0].pop("seconds"), two["campaigns"][0].pop("seconds")
        assert one == two

    def test_the_experiments_in_one_directory(self, merged, tmp_path):
        names = ("baseline", "growth-curve")
        for name in names:
            shutil.copytree(merged, tmp_path / "three" / name)
        done = command("attribute", "three", "--targets", "turnover_wood", *QUICK, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "three holds several experiments; attributing baseline, growth-curve" in done.stderr
        for name in names:
            assert (tmp_path / "three" / name / "attribution/attribution.json").exists()
            assert f"written: three/{name}/attribution" in done.stdout
        found = run_attribute(tmp_path / "three", None, ["lcma"], tmp_path / "out", SHORT)
        assert [one["folder"] for one in found["campaigns"]] == [str(tmp_path / "out" / name) for name in names]
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == list(names)
        (tmp_path / "three/baseline/merged.nc").unlink()
        with pytest.raises(WorkError, match="three/baseline is not merged: phloem merge"):
            run_attribute(tmp_path / "three", None, ["lcma"], None, SHORT)


class TestReplacing:
    def test_a_second_run_replaces_all_of_it(self, campaign):
        run_attribute(campaign, None, ["turnover_wood", "leaf_lifespan"], None, SHORT)
        folder = campaign / "attribution"
        before = {path.name for path in folder.iterdir()}
        (folder / "stray.txt").write_text("of an older version")
        left, young = campaign / ".attribution.0123.tmp", campaign / ".attribution.4567.tmp"
        for path in (left, young):
            path.mkdir()
            (path / "attribution.json").write_text("{")
        os.utime(left, (0, 0))
        run_attribute(campaign, None, ["leaf_lifespan"], None, SHORT)
        after = {path.name for path in folder.iterdir()}
        assert list(targets_of(campaign)) == ["leaf_lifespan"]
        assert before - after == {name for name in before if "turnover_wood" in name}
        assert "stray.txt" not in after
        assert young.exists()
        assert not left.exists()

    @pytest.mark.engine
    def test_killed_while_it_writes(self, campaign):
        run_attribute(campaign, None, ["lcma"], None, SHORT)
        folder = campaign / "attribution"
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        words = [str(PHLOEM), "attribute", str(campaign), "--targets", "turnover_wood", *QUICK]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            until(lambda: list(campaign.glob(".attribution.*.tmp")) or process.poll() is not None, 200, "a draft")
            time.sleep(0.05)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.returncode == -signal.SIGKILL, "it had come to its end"
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    def test_a_folder_of_something_else_stays(self, campaign, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/thesis.tex").write_text("years of work")
        before = files(tmp_path)
        done = command("attribute", campaign, "--out", "mine", folder=tmp_path)
        assert done.returncode == 2
        assert "mine: exists and holds no attribution.json" in done.stderr
        assert files(tmp_path) == before


class TestRefusals:
    @pytest.mark.parametrize(("count", "says"), [(1, "1 cell, and 25 are needed"), (3, "3 of 3 cells can be used")])
    def test_too_few_cells(self, tmp_path, count, says):
        root = make_campaign(tmp_path, count)
        done = command("attribute", root, *QUICK, folder=tmp_path)
        assert done.returncode == 1
        assert "no target could be attributed" in done.stderr
        assert says in done.stderr
        assert "Traceback" not in done.stderr
        assert all(one["refused"] for one in targets_of(root).values())

    def test_all_cells_masked(self, tmp_path):
        root = make_campaign(tmp_path, 40, noise=0.9)
        done = command("attribute", root, "--targets", "turnover_wood", *QUICK, folder=tmp_path)
        assert done.returncode == 1
        assert "without agreement of their members (rCV above 0.3, or most at a bound)" in done.stderr
        assert "Traceback" not in done.stderr

    def test_no_lane_is_good(self, tmp_path):
        root = make_campaign(tmp_path, 40, diverged=1.1)
        done = command("attribute", root, "--targets", "turnover_wood", *QUICK, folder=tmp_path)
        assert done.returncode == 1
        assert "turnover_wood: 0 of 40 cells can be used (40 without a result)" in done.stderr
        assert "Traceback" not in done.stderr

    def test_some_targets_refused(self, tmp_path):
        cells = make_cells(80)
        campaign = plan_baseline(tmp_path, write_store(tmp_path / "store", cells))
        parameters = make_parameters(cells, 0.02)
        parameters[..., ROWS.index("lcma")] *= np.exp(
            2 * np.random.default_rng(1).standard_normal(parameters.shape[:2])
        )
        commit_members(campaign, parameters)
        done = command("attribute", campaign.paths.root, "--targets", "turnover_wood,lcma", *QUICK, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "refused: lcma: " in done.stdout
        assert targets_of(campaign.paths.root)["turnover_wood"]["refused"] is None
        words = ("--targets", "turnover_wood,lcma", "--json", *QUICK)
        done = command("attribute", campaign.paths.root, *words, folder=tmp_path)
        assert done.returncode == 0
        assert [one["refused"] is None for one in json.loads(done.stdout)["campaigns"][0]["targets"]] == [True, False]
        assert "refused: lcma: " in done.stderr

    def test_not_merged(self, campaign, tmp_path):
        (campaign / "merged.nc").unlink()
        done = command("attribute", campaign, folder=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"{campaign} is not merged: phloem merge {campaign}" in done.stderr

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"directory": "elsewhere"}, r"no campaign here \(no plan.json\), nor the three .*; plan one with"),
            ({"targets": ["fire_resilience"]}, "'fire_resilience' is never read by the model. Valid are"),
            ({"targets": ["woods"]}, "target 'woods' is unknown"),
            ({"assignments": ["trees=3"]}, "unknown key 'attribution.trees'"),
            ({"config": Path("none.toml")}, "attribution file none.toml: No such file"),
            ({"assignments": ["climate=[]", "statics=[]"]}, "no predictor"),
            ({"assignments": ["statics=['clay']"]}, "has no 'clay'; it has soil_clay"),
            ({"assignments": ["years=[1990,2000]"]}, "drivers of 2003 to 2006"),
        ],
    )
    def test_wrong_use(self, campaign, tmp_path, given, says):
        before = files(tmp_path)
        root = tmp_path / given.pop("directory", "baseline")
        with pytest.raises(InputError, match=says):
            run_attribute(root, **given)
        assert files(tmp_path) == before

    def test_template(self, tmp_path):
        assert "phloem attribute DIR --config mine.toml" in succeed(
            "attribute", "--template", "mine.toml", folder=tmp_path
        )
        assert command("attribute", "--template", "mine.toml", folder=tmp_path).returncode == 2
        done = command("attribute", folder=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "name the directory of a merged campaign" in done.stderr
