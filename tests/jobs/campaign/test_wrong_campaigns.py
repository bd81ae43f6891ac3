"""Wrong campaign files, data and options: one clear message, exit status 2, nothing on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import tomli_w

from tests.support.campaigns.campaigns import SHORT, command, failures, files, succeed, tower_file, write_campaign

Edit = Callable[[netCDF4.Dataset], None]


def refuse(folder: Path, *arguments: object, parts: tuple[str, ...]) -> str:
    """Run what must be refused; return the message."""
    before = files(folder)
    done = command(*arguments, folder=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr
    assert files(folder) == before, "nothing may be left behind"
    return done.stderr


def write_towers(folder: Path, edit: Edit | None = None, **data: object) -> Path:
    """Write a campaign of two towers, the second one edited."""
    tower_file(folder / "towers", "AA-One")
    tower_file(folder / "towers", "BB-Two", edit)
    return write_campaign(folder, data={"kind": "tower", "path": "towers", **data})


def rename(file: netCDF4.Dataset) -> None:
    file.renameVariable("VPD", "VPD_HPA")


def furlongs(file: netCDF4.Dataset) -> None:
    file["TOTAL_PREC"].units = "furlong"


def inches(file: netCDF4.Dataset) -> None:
    file["SSRD"][:] = file["SSRD"][:] * 1e6


def gap(file: netCDF4.Dataset) -> None:
    file["SSRD"][100:103] = np.nan


def nothing_seen(file: netCDF4.Dataset) -> None:
    for name in ("GPP", "RECO", "ET", "LAI"):
        file[name][:365] = np.nan


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (rename, ("VPD", "is missing", "VPD_HPA")),
        (furlongs, ("TOTAL_PREC", "unknown unit 'furlong'", "'mm d-1'")),
        (inches, ("SSRD", "MJ m-2 d-1")),
        (gap, ("SSRD", "no value on 3 days", "2001-04-11")),
        (nothing_seen, ("GPP RECO ET LAI", "empty window", "first 365 days")),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_defects_of_drivers(tmp_path: Path, edit: Edit, parts: tuple[str, ...]) -> None:
    path = write_towers(tmp_path, edit)
    refuse(tmp_path, "run", path, parts=("BB-Two.nc", "cell BB-Two", *parts))


KEYS: dict[str, tuple[dict[str, dict[str, object]], tuple[str, ...]]] = {
    "unknown key": ({"optimiser": {"iteration": 3}}, ("'optimiser.iteration'", "'iterations'", "tolerance")),
    "unknown key of adam": (
        {"optimiser": {"name": "adam", "iteration": 3}},
        ("'optimiser.iteration'", "'iterations'", "learning_rate"),
    ),
    "a key of another optimiser": ({"optimiser": {"beta2": 0.99}}, ("'optimiser.beta2'", 'name = "adam"')),
    "unknown optimiser": ({"optimiser": {"name": "sgd"}}, ("optimiser.name", "adam, fast", "'sgd'")),
    "windows that do not ascend": ({"optimiser": {"windows": [3, 1]}}, ("optimiser", "ascend", "[3, 1]")),
    "windows without iterations": ({"optimiser": {"windows": [1]}}, ("window_iterations", "one number a window")),
    "unknown section": ({"optimizer": {"iterations": 3}}, ("'optimizer'", "'optimiser'", "campaign, data")),
    "wrong type": ({"campaign": {"members": "five"}}, ("campaign.members", "integer", "'five'")),
    "too small": ({"optimiser": {"iterations": 0}}, ("optimiser.iterations", "greater than 0", "got 0")),
    "bad choice": ({"experiment": {"mode": "loose"}}, ("experiment.mode", "'strict'", "'compat'", "'loose'")),
    "bad kind": ({"data": {"kind": "towers"}}, ("data.kind", "'tower'", "'synthetic'", "'towers'")),
    "bad pool": ({"experiment": {"steady_pools": ["leaf"]}}, ("experiment.steady_pools", "'foliar'", "'leaf'")),
    "bad name": ({"campaign": {"name": "../elsewhere"}}, ("campaign.name", "'../elsewhere'")),
    "no folder named": ({"data": {"kind": "tower"}}, ("data.path is needed",)),
    "no such engine": ({"engine": {"name": "slurmp"}}, ("engine.name", "'local'", "'slurmp'")),
}


@pytest.mark.parametrize("case", KEYS)
def test_bad_keys_and_values(tmp_path: Path, case: str) -> None:
    changes, parts = KEYS[case]
    tree: dict[str, dict[str, object]] = {"campaign": {"name": "made"}, "data": {"kind": "synthetic"}}
    for section, keys in changes.items():
        tree[section] = {**tree.get(section, {}), **keys}
    path = tmp_path / "bad.toml"
    path.write_text(tomli_w.dumps(tree))
    refuse(tmp_path, "run", path, parts=("bad.toml", *parts))


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('[campaign]\nmembers = 0\n[data]\nkind = "synthetic"\nyear = 3\n')
    refuse(tmp_path, "plan", path, parts=("'campaign.name'", "campaign.members", "'data.year'", "'years'"))


def test_not_toml_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[campaign\n")
    refuse(tmp_path, "plan", path, parts=("bad.toml", "not valid TOML", "line 1"))
    refuse(tmp_path, "plan", "absent.toml", parts=("absent.toml", "No such file"))


def test_options(tmp_path: Path) -> None:
    path = write_campaign(tmp_path)
    refuse(tmp_path, "run", path, "--set", "optimiser.iterations", parts=("--set", "key.path=value"))
    refuse(tmp_path, "run", path, "--set", "optimiser.iteratons=3", parts=("optimiser.iteratons", "'iterations'"))
    refuse(tmp_path, "run", path, "--set", "campaign.name.x=3", parts=("campaign.name.x=3", "not a section"))
    refuse(tmp_path, "run", path, "--engine", "slurmp", parts=("'--engine'", "'slurmp'", "'local'", "'slurm'"))
    refuse(tmp_path, "run", path, "--no-such-option", parts=("--no-such-option",))
    refuse(tmp_path, "new", tmp_path / "x.toml", "--kind", "cube", parts=("'cube'", "synthetic", "tower"))
    refuse(tmp_path, "new", path, parts=(str(path), "exists already"))


def test_sites_and_folders(tmp_path: Path) -> None:
    path = write_towers(tmp_path, sites=["AA-One", "XX-Not"])
    refuse(tmp_path, "plan", path, parts=("XX-Not", "AA-One, BB-Two", str(tmp_path / "towers")))
    path = write_campaign(tmp_path, data={"kind": "tower", "path": "elsewhere"})
    refuse(tmp_path, "plan", path, parts=(str(tmp_path / "elsewhere"), "no such folder"))
    (tmp_path / "elsewhere").mkdir()
    refuse(tmp_path, "plan", path, parts=(str(tmp_path / "elsewhere"), "no tower file"))
    path = write_campaign(tmp_path, data={"kind": "tower", "path": "$NO_SUCH_VARIABLE/towers"})
    refuse(tmp_path, "plan", path, parts=("$NO_SUCH_VARIABLE", "not set"))


@pytest.mark.parametrize("name", ["status", "merge", "report", "retry", "run"])
def test_a_directory_without_campaign(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    refuse(tmp_path, name, "empty", parts=("empty", "no campaign here", "phloem plan"))


def test_out_that_holds_something_else(tmp_path: Path) -> None:
    path = write_campaign(tmp_path)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/to_mother.txt").write_text("Dear mother")
    refuse(tmp_path, "run", path, "--out", "letters", parts=("letters", "holds no campaign", "--out"))


def test_another_configuration(tmp_path: Path) -> None:
    path = write_towers(tmp_path)
    succeed("plan", path, "--out", "made", folder=tmp_path)
    changed = ("optimiser.learning_rate: planned 0.01, now 0.02", "phloem run made", "--out")
    said = refuse(
        tmp_path, "run", path, "--out", "made", "--set", "optimiser.learning_rate=0.02", "--set",
        "tiles.checkpoint_minutes=7", "--set", "engine.workers=1", parts=changed,
    )  # fmt: skip
    assert "checkpoint_minutes" not in said
    assert "workers" not in said
    refuse(tmp_path, "run", "made", "--set", "tiles.cells=7", parts=("tiles.cells: planned", "now 7"))
    refuse(tmp_path, "run", "made", "--set", "campaign.seed=5", parts=("campaign.seed: planned 0, now 5",))
    refuse(
        tmp_path, "run", path, "--out", "made", "--set", 'data.sites=["AA-One"]', parts=("data.sites: planned None",)
    )


def test_drivers_that_changed_after_planning(tmp_path: Path) -> None:
    tower_file(tmp_path / "towers", "AA-One")
    path = write_campaign(tmp_path, data={"kind": "tower", "path": "towers"}, optimiser={"iterations": SHORT})
    succeed("plan", path, "--out", "made", folder=tmp_path)
    drivers, root = tmp_path / "towers/AA-One.nc", tmp_path / "made"
    sound = drivers.read_bytes()
    with netCDF4.Dataset(drivers, "a") as file:
        file["CO2"][:] = file["CO2"][:] + 1
    for _ in range(2):
        done = command("run", "made", folder=tmp_path)
        assert done.returncode == 1
        for part in ("AA-One", "bad input 1x", "not what it was when the campaign was planned", "phloem retry made"):
            assert part in done.stderr
        assert [event["class"] for event in failures(root)] == ["bad input"], "bad input is not tried again"
    shown = succeed("status", "made", folder=tmp_path)
    for part in ("failed 1", "bad input 1x", "cell AA-One", "phloem retry made"):
        assert part in shown
    drivers.write_bytes(sound)
    succeed("retry", "made", folder=tmp_path)
    assert (root / "merged.nc").is_file()
    assert "done 1" in succeed("status", "made", folder=tmp_path)
