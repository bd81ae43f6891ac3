"""What doctor says of the folder for campaigns and of the caches."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from phloem.io.files.file_system import Fault, Traits
from phloem.jobs.estimate import folder_checks
from phloem.jobs.estimate.folder_checks import check_folder, check_kernel_cache, check_program_cache
from tests.support.faults import shim

CALL = "import json; from pathlib import Path; from phloem.jobs.estimate.folder_checks import check_folder; "
CALL += "found = check_folder(Path.cwd()); print(json.dumps([found.level, found.text, found.facts['hard_links']]))"


def test_a_sound_folder_is_ok_and_left_empty(tmp_path: Path) -> None:
    found = check_folder(tmp_path)
    assert found.level in ("ok", "note"), "a note where the tests' folder lies in memory"
    assert f"{tmp_path}: " in found.text
    assert "GiB free" in found.text
    assert found.facts["hard_links"] is True
    assert found.facts["mount"]["kind"] in found.text
    json.dumps(found.facts)
    assert not any(tmp_path.iterdir())


def test_a_folder_in_memory_is_a_note() -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("no /dev/shm")
    found = check_folder(Path("/dev/shm"))
    assert found.level == "note"
    assert "it lies in memory: all is gone when the machine is switched off" in found.text


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    before = os.geteuid()
    try:
        if before == 0:
            os.seteuid(65534)
        found = check_folder(folder)
    finally:
        os.seteuid(before)
    assert found.level == "problem"
    assert f"{folder}: cannot be written (Permission denied)" in found.text
    assert found.mend


@pytest.mark.parametrize(
    ("code", "level", "said"),
    [
        (errno.EPERM, "note", "no hard links: tiles are committed by a look and a rename; let one run work at a time"),
        (errno.EIO, "problem", "hard links, by which tiles are committed, do not work"),
    ],
)
def test_a_file_system_that_refuses_hard_links_is_told(code: int, level: str, said: str, tmp_path: Path) -> None:
    """Every link(2) of a real process fails, as on vfat, or as on a file system in trouble."""
    library = shim.build(tmp_path)
    if library is None:
        pytest.skip("no C compiler")
    folder = tmp_path / "folder"
    folder.mkdir()
    fault = shim.Fault(mode="fail", first=1, last=shim.FOREVER, code=code, broken=("link",), counted=("link",))
    environment = {**os.environ, **fault.environment(folder, tmp_path / "log"), "LD_PRELOAD": str(library)}
    done = subprocess.run([sys.executable, "-c", CALL], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found[0], found[2]) == (level, False)
    assert f"{said} ({os.strerror(code)})" in found[1]


@pytest.mark.parametrize("name", ["exclusive_creation", "renames", "syncs"])
def test_what_campaigns_cannot_do_without_is_a_problem(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = folder_checks.try_folder(tmp_path)
    traits = Traits(**{**sound.__dict__, name: False, "faults": {name: Fault("not refused")}})
    monkeypatch.setattr(folder_checks, "try_folder", lambda folder: traits)
    found = check_folder(tmp_path)
    assert found.level == "problem"
    assert "(not refused)" in found.text


def test_the_cache_of_kernels_says_where_it_is_and_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHLOEM_CACHE", str(tmp_path / "cache"))
    assert check_kernel_cache().text == f"{tmp_path}/cache/kernels: 0 compiled kernels, 0.0 MB"
    (tmp_path / "cache/kernels").mkdir(parents=True)
    (tmp_path / "cache/kernels/one.so").write_bytes(b"x" * 2_000_000)
    found = check_kernel_cache()
    assert (found.level, found.facts["bytes"], found.facts["writable"]) == ("ok", 2_000_000, True)
    assert "1 compiled kernels, 2.0 MB" in found.text


def test_a_cache_that_cannot_be_written_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("PHLOEM_CACHE", str(tmp_path / "file/cache"))
    found = check_kernel_cache()
    assert found.level == "note"
    assert f"cannot be written ({tmp_path}/file: Not a directory): each process compiles its own" in found.text
    assert found.mend == "export PHLOEM_CACHE=/a/folder/that/you/may/write"


def test_the_cache_of_programs_is_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    assert "JAX_COMPILATION_CACHE_DIR is not set" in check_program_cache().text
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    (tmp_path / "jit_one-0a-cache").write_bytes(b"xx")
    found = check_program_cache()
    assert (found.level, found.facts["files"]) == ("ok", 1)
