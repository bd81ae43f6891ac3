"""What a stranger's hands found: other people's files, moved data, stale beats, missing folders, spreadsheets."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.config.parameters_file import read_parameters
from phloem.kernels.calibrations.dalec_daily.tables import TOWERS
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from tests.support.campaigns.campaigns import (
    command,
    count,
    differing,
    end,
    failures,
    merged,
    start,
    succeed,
    tower_file,
    wait_for,
    write_campaign,
)

QUICK = ("--set", "optimiser.iterations=3", "--set", "campaign.members=1")


def test_a_plan_never_takes_or_removes_files_of_others(tmp_path: Path) -> None:
    """A folder that looks like a campaign's beginning, but was not begun by us, is left alone."""
    path = write_campaign(tmp_path, data={"cells": 1})
    theirs = tmp_path / "project"
    theirs.mkdir()
    tower_file(theirs / "drivers", "AA-One")
    (theirs / "campaign.toml").write_text("# mine\n")
    before = {file: file.read_bytes() for file in theirs.rglob("*") if file.is_file()}
    done = command("plan", path, "--out", "project", folder=tmp_path)
    assert done.returncode == 2
    assert "holds no campaign" in done.stderr
    assert {file: file.read_bytes() for file in theirs.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_plan_can_be_planned_again(tmp_path: Path, number: signal.Signals) -> None:
    path = write_campaign(tmp_path, data={"cells": 60})
    process = start("plan", path, "--out", "made", folder=tmp_path)
    try:
        wait_for("the first drivers", lambda: len(list((tmp_path / "made").glob("drivers/*.nc"))) > 1)
        os.killpg(process.pid, number)
        assert process.wait(60) != 0
    finally:
        end(process)
    left = tmp_path / "made"
    assert left.exists() == (number is signal.SIGKILL)
    succeed("plan", path, "--out", "made", "--set", "data.cells=2", folder=tmp_path)
    assert len(open_campaign(left).cells) == 2
    assert not (left / ".planning").exists()


def test_empty_folders_may_be_lost_in_a_copy(tmp_path: Path) -> None:
    succeed("plan", write_campaign(tmp_path, data={"cells": 1}), "--out", "made", *QUICK, folder=tmp_path)
    for folder in (tmp_path / "made").iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            shutil.rmtree(folder)
    assert not (tmp_path / "made/attempts").exists()
    succeed("run", "made", folder=tmp_path)


def test_moved_towers_are_found_and_guarded(tmp_path: Path) -> None:
    for site in ("AA-One", "BB-Two"):
        tower_file(tmp_path / "towers", site)
    path = write_campaign(tmp_path, data={"kind": "tower", "path": "towers"})
    succeed("plan", path, "--out", "made", *QUICK, folder=tmp_path)
    (tmp_path / "towers").rename(tmp_path / "elsewhere")
    again = ("run", "made", "--set", f"data.path={json.dumps(str(tmp_path / 'elsewhere'))}")
    succeed(*again, folder=tmp_path)
    sources = {Path(cell.source).parent.name for cell in open_campaign(tmp_path / "made").cells}
    assert sources == {"elsewhere"}


def test_an_edited_frozen_configuration_is_refused(tmp_path: Path) -> None:
    succeed("plan", write_campaign(tmp_path, data={"cells": 1}), "--out", "made", *QUICK, folder=tmp_path)
    frozen = tmp_path / "made/campaign.toml"
    frozen.write_text(frozen.read_text().replace("iterations = 3\n", "iterations = 4\n"))
    for name in ("run", "status", "report"):
        done = command(name, "made", folder=tmp_path)
        assert done.returncode == 2
        assert "edited after the campaign was planned" in done.stderr


def test_a_schedule_cut_short_is_said(tmp_path: Path) -> None:
    path = write_campaign(tmp_path, data={"cells": 1}, optimiser={"iterations": 3, "sharpness_iterations": 10})
    done = command("run", path, "--out", "made", "--set", "campaign.members=1", folder=tmp_path)
    assert done.returncode == 0
    assert "warning: 3 iterations end before sharpness_iterations = 10: k reaches 9" in done.stderr


def test_parameters_from_a_spreadsheet(tmp_path: Path) -> None:
    """A byte-order mark, blanks after commas, Windows line ends."""
    values = [(p.lower * p.upper) ** 0.5 for p in UNKNOWNS]
    text = ", ".join(TOWERS.unknown_names) + "\r\n" + ", ".join(map(repr, values)) + "\r\n"
    path = tmp_path / "P.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_parameters(path, TOWERS).tolist() == [values]


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    """`phloem ... | head` ends without a traceback."""
    phloem = Path(sys.executable).with_name("phloem")
    script = f"{phloem} --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr


def test_a_damaged_product_is_named(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "made")
    product = tmp_path / "made/merged.nc"
    product.write_bytes(product.read_bytes()[:1000])
    done = command("report", "made", folder=tmp_path)
    assert done.returncode == 1
    assert "phloem merge made" in done.stderr
    assert "Traceback" not in done.stderr
    succeed("merge", "made", folder=tmp_path)
    succeed("report", "made", folder=tmp_path)


@pytest.mark.engine
def test_two_runs_of_one_campaign(tmp_path: Path) -> None:
    """Both end well, with the bits of a lone run; neither computes a tile that the other has committed."""
    path = write_campaign(tmp_path, data={"cells": 3}, tiles={"cells": 1})
    succeed("run", path, "--out", "alone", folder=tmp_path)
    succeed("plan", path, "--out", "shared", folder=tmp_path)
    processes = [start("run", "shared", "--workers", 1, folder=tmp_path) for _ in range(2)]
    try:
        assert [process.wait(200) for process in processes] == [0, 0]
    finally:
        for process in processes:
            end(process)
    assert differing(merged(tmp_path / "alone"), merged(tmp_path / "shared")) == set()
    assert 3 <= count(tmp_path / "shared", "finished") <= 5, "an equal result of an overtaken attempt is accepted"
    assert failures(tmp_path / "shared") == []
    assert 3 <= count(tmp_path / "shared", "started") <= 6, "at most one tile each is begun twice, plus its repetition"
