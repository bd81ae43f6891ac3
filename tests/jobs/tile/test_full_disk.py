"""A full disk pauses a campaign; free space lets it go on."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import (
    OFTEN,
    count,
    differing,
    end,
    failures,
    merged,
    start,
    succeed,
    wait_for,
    write_campaign,
)

pytestmark = pytest.mark.engine


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            continue


def test_a_full_disk_pauses(finished: Path, small_disk: Path, tmp_path: Path) -> None:
    root = small_disk / "made"
    path = write_campaign(tmp_path, tiles={"checkpoint_minutes": OFTEN})
    succeed("plan", path, "--out", root, folder=tmp_path)
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        fill(filler)
    process = start("run", root, folder=tmp_path)
    said = tmp_path / "stderr"
    try:
        wait_for("the note", lambda: "disk full at" in said.read_text() or process.poll() is not None)
        assert process.poll() is None, said.read_text()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        assert "paused, free some space" in said.read_text()
        assert not list(root.glob("tiles/*.h5"))
        filler.unlink()
        assert process.wait(240) == 0, said.read_text()
    finally:
        end(process)
    assert failures(root) == []
    assert count(root, "finished") == 3
    assert differing(merged(finished), merged(root)) == set()
