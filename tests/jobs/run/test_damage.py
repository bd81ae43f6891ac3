"""Tile files that went bad, and files that kills left behind."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import command, differing, merged, succeed


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "made")


def test_damaged_tiles_are_found_set_aside_and_computed_again(finished: Path, copy: Path) -> None:
    truncated, flipped = copy / "tiles/tile_00000.h5", copy / "tiles/tile_00002.h5"
    truncated.write_bytes(truncated.read_bytes()[:-700])
    image = bytearray(flipped.read_bytes())
    image[len(image) // 2] ^= 16
    flipped.write_bytes(image)
    stray = copy / "tiles/tile_00001.0007.tmp"
    stray.write_bytes(b"half a tile")

    state = json.loads(succeed("status", copy, "--json", folder=copy.parent))
    assert state["tiles"] == {"done": 1, "running": 0, "failed": 0, "pending": 2}
    assert set(state["corrupt"]) == {"0", "2"}
    assert "tile 0 does not agree" in succeed("status", copy, folder=copy.parent)
    refused = command("merge", copy, folder=copy.parent)
    assert refused.returncode == 1
    assert "T000" in refused.stderr
    assert f"phloem run {copy}" in refused.stderr

    done = command("run", copy, folder=copy.parent)
    assert done.returncode == 0
    assert f"swept {stray.name}" in done.stderr
    assert not stray.exists()
    assert "tile 0 is quarantined" in done.stderr
    assert {path.name for path in (copy / "quarantine").iterdir()} == {"tile_00000.h5.1", "tile_00002.h5.1"}
    assert (copy / "quarantine/tile_00002.h5.1").read_bytes() == image
    assert differing(merged(finished), merged(copy)) == set()
    assert {path.name: path.read_bytes() for path in (copy / "tiles").iterdir()} == {
        path.name: path.read_bytes() for path in (finished / "tiles").iterdir()
    }


def test_holes_only_when_asked_for(finished: Path, copy: Path) -> None:
    (copy / "tiles/tile_00001.h5").unlink()
    product = (copy / "merged.nc").read_bytes()
    assert command("merge", copy, folder=copy.parent).returncode == 1
    assert (copy / "merged.nc").read_bytes() == product
    succeed("merge", copy, "--allow-holes", folder=copy.parent)
    whole, holed = merged(finished), merged(copy)
    assert differing(whole, holed) >= {"status", "parameters"}
    assert whole["cell"] == holed["cell"]


def test_report_of_a_moved_campaign_names_every_cell(copy: Path) -> None:
    page = Path(succeed("report", copy, folder=copy.parent).strip())
    assert page == copy / "report/index.html"
    text = page.read_text(encoding="utf-8")
    for cell in ("T000", "T001", "T002"):
        assert cell in text
