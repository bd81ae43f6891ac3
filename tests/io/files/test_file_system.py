"""What is said of a file system: on real ones, and on one whose calls are refused."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from phloem.io.files.file_system import mount_of, try_folder

TABLE = r"""/dev/sda / ext4 rw,relatime 0 0
server:/home /home nfs4 rw 0 0
server:/data /home/me/my\040data nfs rw 0 0
/dev/sdb /mnt xfs ro,noatime 0 0
tmpfs /mnt tmpfs rw 0 0
broken
"""


@pytest.mark.parametrize("where", ["tmp_path", "/dev/shm"])
def test_a_local_file_system_has_every_trait(where: str, tmp_path: Path) -> None:
    folder = tmp_path if where == "tmp_path" else Path(where)
    if not folder.is_dir():
        pytest.skip(f"no {where}")
    before = set(folder.iterdir())
    found = try_folder(folder)
    assert found.faults == {}
    assert found.exclusive_creation
    assert found.hard_links
    assert found.renames
    assert found.syncs
    assert found.locks
    assert found.grain < 1
    assert abs(found.ahead) < 5
    assert set(folder.iterdir()) == before, "nothing is left"


def test_mount_of_a_folder_is_the_innermost_and_last(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(TABLE)
    assert mount_of(Path("/home/me/my data/x"), table).source == "server:/data"  # type: ignore[union-attr]
    home = mount_of(Path("/home/me/other"), table)
    assert home is not None
    assert (home.kind, home.is_network, home.is_memory) == ("nfs4", True, False)
    last = mount_of(Path("/mnt/x"), table)
    assert last is not None
    assert (last.kind, last.is_memory, last.read_only) == ("tmpfs", True, False)
    assert mount_of(Path("/homeless"), table).kind == "ext4"  # type: ignore[union-attr]
    assert mount_of(Path("/"), tmp_path / "absent") is None


def test_mount_of_a_real_folder_is_one_of_the_systems_table(tmp_path: Path) -> None:
    found = mount_of(tmp_path)
    assert found is not None
    assert tmp_path.resolve().is_relative_to(found.point)
    assert found.kind in Path("/proc/filesystems").read_text() or found.kind.startswith("fuse")


@pytest.fixture
def coarse(tmp_path: Path) -> Iterator[Path]:
    """A file system that keeps whole seconds: ext4 with inodes of 128 bytes, in a file."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("mounting a file system needs root and mkfs.ext4")
    image, point = tmp_path / "image", tmp_path / "point"
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-I", "128", str(image)], check=True, capture_output=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(point)], capture_output=True).returncode:
        pytest.skip("this machine mounts no file system from a file")
    yield point
    subprocess.run(["umount", str(point)], check=True)


def test_a_file_system_of_whole_seconds_is_found_to_be_one(coarse: Path) -> None:
    found = try_folder(coarse)
    assert found.grain == 1.0
    assert found.faults == {}
    assert mount_of(coarse).point == str(coarse)  # type: ignore[union-attr]


@pytest.fixture
def fat(tmp_path: Path) -> Iterator[Path]:
    """A file system without hard links, in a file."""
    if os.geteuid() != 0 or shutil.which("mkfs.vfat") is None:
        pytest.skip("mounting vfat needs root and mkfs.vfat")
    image, point = tmp_path / "image", tmp_path / "point"
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.vfat", str(image)], check=True, capture_output=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(point)], capture_output=True).returncode:
        pytest.skip("this machine mounts no vfat")
    yield point
    subprocess.run(["umount", str(point)], check=True)


def test_a_file_system_without_hard_links_is_found_to_be_one(fat: Path) -> None:
    found = try_folder(fat)
    assert not found.hard_links
    assert found.faults["hard_links"].code == errno.EPERM
    assert found.grain == 2.0
    assert found.exclusive_creation


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    before = os.geteuid()
    try:
        if before == 0:
            os.seteuid(65534)  # for whom modes count
        with pytest.raises(PermissionError):
            try_folder(folder)
    finally:
        os.seteuid(before)
