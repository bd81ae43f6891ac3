"""`phloem plan | run | status | retry | merge` of trainings, as a user gives them."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import read_commits
from tests.support.campaigns.campaigns import OFTEN, command, count, end, start, succeed, wait_for
from tests.support.campaigns.network_campaigns import SET_UPS, networks, write_training
from tests.support.engines.killing import worker_processes

LONG = 3000
"""Epochs of a training that is to be hit while it runs."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    succeed("run", write_training(folder), "--out", "made", folder=folder)
    return folder / "made"


def test_merged_networks_are_by_set_up_and_run(trained: Path) -> None:
    with netCDF4.Dataset(trained / "merged.nc") as file:
        assert [str(name) for name in file["set_up"][:]] == SET_UPS
        assert file["weights"].shape == (3, 2, 4170)
        assert np.isfinite(file["weights"][:]).all()
        assert file["split"].shape == (2, 8)
        assert file["kept"][:].tolist() == [[1, 1]] * 3
        test = np.asarray(file["split"][:]) == 2
    assert (test[0] == test[1]).all()
    assert test.sum(1).tolist() == [1, 1]
    assert len(read_commits(CampaignPaths(trained))) == 2, "a tile is a run"


def test_unseen_predictors_have_no_weight(trained: Path) -> None:
    with netCDF4.Dataset(trained / "merged.nc") as file:
        columns = [str(name) for name in file["column"][:]]
        first = np.asarray(file["weights"][0, 0, : 32 * (len(columns) - 1)]).reshape(-1, 32)
    seen = [name in ("NF", "DBF", "EBF", "MF", "SH", "SAV", "GRA", "WET", "CRO", "NVG") for name in columns[1:]]
    assert (np.abs(first).sum(1) > 0).tolist() == seen


@pytest.mark.parametrize(("cells", "workers"), [(1, 2), (2, 1), (6, 1)])
def test_any_tiling_gives_the_same_bits(trained: Path, tmp_path: Path, cells: int, workers: int) -> None:
    path = write_training(tmp_path, tiles={"cells": cells}, engine={"workers": workers})
    succeed("run", path, "--out", "made", folder=tmp_path)
    assert networks(tmp_path / "made") == networks(trained)


def _ended_or_kept(process: subprocess.Popen[str], root: Path, before: int) -> bool:
    return process.poll() is not None or count(root, "checkpoint") > before


def test_killed_training_goes_on_from_its_checkpoint_with_the_same_bits(tmp_path: Path) -> None:
    experiment, often = {"epochs": LONG, "set_ups": SET_UPS[:2]}, {"checkpoint_minutes": OFTEN}
    one = {"members": 1}
    (tmp_path / "a").mkdir()
    plain = write_training(tmp_path / "a", experiment=experiment, campaign=one)
    succeed("run", plain, "--out", "made", folder=tmp_path / "a")
    path = write_training(tmp_path / "b", experiment=experiment, campaign=one, tiles=often)
    root = tmp_path / "b" / "made"
    kills = 0
    for _ in range(3):
        process = start("run", path, "--out", "made", folder=tmp_path / "b")
        before = count(root, "checkpoint") if root.exists() else 0
        try:
            wait_for("a checkpoint", partial(_ended_or_kept, process, root, before))
            assert process.poll() is None, (tmp_path / "b" / "stderr").read_text()
            assert worker_processes(process.pid)
            kills += 1
        finally:
            end(process)
    succeed("run", root, folder=tmp_path / "b")
    assert kills == 3
    assert count(root, "resumed") >= 3
    assert networks(root) == networks(tmp_path / "a" / "made")


def test_status_says_how_many_networks_are_trained(trained: Path) -> None:
    document = json.loads(succeed("status", trained, "--json", folder=trained.parent))
    assert document["tiles"]["done"] == 2
    assert document["lanes"]["calibrated"] == 6


def test_plan_says_what_will_be_trained_and_how_long(tmp_path: Path) -> None:
    path = write_training(tmp_path)
    said = succeed("plan", path, "--out", "made", "--rate", "1.0", folder=tmp_path)
    assert "6 networks: 3 set-ups x 2 runs, 2 tiles" in said
    assert "8 patches of up to 6 cells, 24 months: 6 to train on, 1 to watch, 1 held out" in said
    facts = json.loads(succeed("plan", path, "--out", "made", "--rate", "1.0", "--json", folder=tmp_path))
    assert facts["steps"] == 6 * 4 * 6
    assert facts["core_hours"] == pytest.approx(6 * 4 * 6 * 6 * 2 * 1e-6 / 3600)


def test_new_writes_a_training_to_start_from(tmp_path: Path) -> None:
    succeed("new", "mine.toml", "--kind", "network", folder=tmp_path)
    refused = command("plan", "mine.toml", folder=tmp_path)
    assert refused.returncode == 2
    assert "store: no patch store here" in refused.stderr


def _refused(folder: Path, *more: str, **sections: dict) -> str:
    path = write_training(folder, **sections)
    done = command("plan", path, "--out", "made", *more, folder=folder)
    assert done.returncode == 2, done.stdout
    assert not (folder / "made").exists()
    return done.stderr


def test_what_cannot_be_trained_is_refused_when_it_is_planned(tmp_path: Path) -> None:
    said = _refused(tmp_path, experiment={"set_ups": ["PFT+CLIME"]})
    assert "group of predictors 'CLIME': valid are PFT, CLIM, AGE, SOIL, LATLON, CONTROL. Did you mean 'CLIM'?" in said
    assert "CONTROL, which sees nothing, stands alone" in _refused(tmp_path, experiment={"set_ups": ["PFT+CONTROL"]})
    assert "stands there twice" in _refused(tmp_path, experiment={"set_ups": ["PFT+CLIM", "CLIM+PFT"]})
    assert "stream 'gpp': valid are sif, nbe" in _refused(tmp_path, experiment={"leave_out": ["gpp"]})
    everything = ["sif", "nbe", "lai", "water_storage", "biomass", "fire", "soil_carbon", "tower_gpp", "et"]
    assert "no label of any stream is left" in _refused(tmp_path, experiment={"leave_out": everything})
    assert "brings no split" in _refused(tmp_path, experiment={"split": "published"})
    assert "greater than or equal to 0" in _refused(tmp_path, experiment={"weights": {"lai": -1.0}})
    assert "experiment.epoch" in _refused(tmp_path, "--set", "experiment.epoch=3")
    assert "a run holds out one part" in _refused(tmp_path, experiment={"folds": 3})
    assert "some would have none" in _refused(tmp_path, engine={"devices": 2})
    assert "goes with data.kind" in _refused(tmp_path, data={"kind": "grid"})
    many = {"campaign": {"members": 9}, "experiment": {"folds": 9}}
    assert "has 8 patches, fewer than parts" in _refused(tmp_path, **many)
    watched = {"choose": "best-dev", "dev_share": 0.05}
    assert "run 0 watches none of the 8 patches" in _refused(tmp_path, experiment=watched)
    assert "no patch store here" in _refused(tmp_path, data={"path": "elsewhere"})


def test_patches_that_are_others_than_planned_are_refused(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained.parent, folder)
    shutil.rmtree(folder / "patches")
    write_training(folder, engine={"workers": 1})
    for one in (folder / "patches" / "patches").iterdir():
        one.write_bytes(one.read_bytes()[:-8])
    (folder / "made" / "tiles" / "tile_00000.h5").unlink()
    (folder / "made" / "merged.nc").unlink()
    done = command("run", "made", "--set", f"data.path={folder / 'patches'}", folder=folder)
    assert done.returncode == 1
    assert "not what patches.json says" in done.stderr


def test_patches_that_were_moved_are_asked_for_with_the_command_that_says_where(trained: Path, tmp_path: Path) -> None:
    path = write_training(tmp_path)
    succeed("run", path, "--out", "made", folder=tmp_path)
    (tmp_path / "patches").rename(tmp_path / "moved")
    done = command("parameters", "made", "--out", "maps.nc", folder=tmp_path)
    assert done.returncode == 2
    assert "phloem run made --set data.path=" in done.stderr
    assert not (tmp_path / "maps.nc").exists()
    succeed("run", "made", "--set", f"data.path={tmp_path / 'moved'}", folder=tmp_path)
    succeed("parameters", "made", "--out", "maps.nc", folder=tmp_path)
    assert networks(tmp_path / "made") == networks(trained)
