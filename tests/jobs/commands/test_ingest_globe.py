"""`phloem ingest --what globe`: a store from a file, its template, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from phloem.io.patches.patch_store import open_patches
from phloem.jobs.command_line import app

FILE = 'geography = "made-up"\nstep = 1.0\npatches = 3\ncells = 5\nyears = 3\ntest_share = 0.4\n'


def test_globe_file_makes_a_store_and_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "twin.toml").write_text(FILE)
    command = ["ingest", str(tmp_path / "twin.toml"), "--what", "globe", "--out", str(tmp_path / "store")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    store = open_patches(tmp_path / "store")
    assert f"3 patches, {sum(store.table['cells'])} cells, 36 months from 2001-01" in done.stdout
    again = CliRunner().invoke(app, [*command, "--json"])
    found = json.loads(again.stdout)
    assert found["patches"] == 3
    assert found["ceiling"] == store.facts["ceiling"]
    assert found["labels"]["lai"] == store.count_labels("lai")


def test_template_is_a_globe_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    done = CliRunner().invoke(app, ["ingest", "--what", "globe", "--template", str(path)])
    assert "phloem ingest" in done.stdout
    assert "--what globe" in done.stdout
    assert "phloem ingest mine.toml --what globe --out STORE" in path.read_text()


def test_folder_is_asked_for(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["ingest", "--what", "globe"])
    assert done.exit_code != 0
    assert "--out is missing" in str(done.exception)
