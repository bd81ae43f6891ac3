"""`phloem.run`: the campaigns of the command, from notebooks, threads and scripts."""

from __future__ import annotations

import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

import phloem
from tests.support.campaigns.campaigns import differing, files, merged, write_campaign

SOUND = {"campaign": {"name": "made"}, "data": {"kind": "synthetic", "cells": 1, "years": 2}}


def test_a_script_without_a_guard_computes_what_the_command_does(tmp_path: Path, finished: Path) -> None:
    path = write_campaign(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(f"print('once')\nimport phloem\nprint(phloem.run({str(path)!r}, 'made'))\n")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "once\n<phloem.OpenedCampaign made in made: site, 3 cells>\n"
    assert differing(merged(tmp_path / "made"), merged(finished)) == set()


def test_tables_run_in_a_thread_and_go_on_at_once_when_done(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tables = tomllib.loads(write_campaign(tmp_path).read_text())
    found: list[phloem.OpenedCampaign] = []
    settings = {"campaign.members": 1, "data.cells": 1}
    worker = threading.Thread(target=lambda: found.append(phloem.run(tables, settings=settings)))
    worker.start()
    worker.join(300)
    (campaign,) = found
    assert campaign.directory == Path("campaigns/made")
    assert campaign.merged.sizes["member"] == campaign.merged.sizes["cell"] == 1
    before = (tmp_path / "campaigns/made/merged.nc").stat().st_mtime_ns
    assert phloem.run("campaigns/made").merged.sizes["member"] == 1
    assert tables["campaign"]["members"] == 2, "the tables stay as they are"
    assert before > 0


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        ({"campaign": {"nam": "x"}}, {}, "nam"),
        ({}, {"campaign": {"members": 3}}, "settings: campaign is a table; give its keys one by one, as campaign.KEY"),
        ({}, {"campaign.members": None}, "settings: campaign.members = None"),
        ({}, {"campaign.members": "many"}, "campaign.members"),
        ({**SOUND, "engine": {"name": "slurm"}}, {}, 'engine.name = "slurm", and phloem.run computes on this machine'),
        (["a"], {}, "config: a list; give a campaign file, a dict of its tables, or a directory"),
        ("nothing.toml", {}, "nothing.toml"),
    ],
)
def test_wrong_configurations_are_refused_before_anything_is_written(
    config, settings, message, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(phloem.InputError, match=message):
        phloem.run(config, settings=settings)
    assert files(tmp_path) == set()
