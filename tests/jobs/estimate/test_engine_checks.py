"""What doctor says of engines: on this machine as it is, and without what it has."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path

import pytest

from phloem.hpc import mpi_engine
from phloem.jobs.estimate.engine_checks import check_mpi, check_ray, check_slurm


def broken_package(folder: Path, name: str, text: str) -> None:
    """Write a package that stands before the real one."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)


def program(folder: Path, name: str, text: str) -> None:
    """Write a shell script."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def bare_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that is an empty folder, and a Python that has no programs beside it."""
    empty = tmp_path / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    elsewhere = tmp_path / "python"
    elsewhere.mkdir()
    monkeypatch.setattr(mpi_engine.sys, "executable", str(elsewhere / "python"))
    return empty


def test_ray_is_imported_and_its_version_said() -> None:
    found = check_ray()
    assert found.level == "ok"
    assert found.text == f"ray {importlib.metadata.version('ray')}"


def test_ray_that_cannot_be_imported_is_told_with_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_package(tmp_path, "ray", 'raise ImportError("libray.so: cannot open shared object file")')
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    found = check_ray()
    assert found.level == "note", "an engine that need not be there is no problem"
    assert "cannot be imported: ImportError: libray.so: cannot open shared object file" in found.text
    assert "pip install 'phloem[ray]'" in found.mend


def test_ray_that_is_not_installed_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    found = check_ray()
    assert (found.level, found.mend) == ("note", "pip install 'phloem[ray]'")
    assert found.text == "ray is not installed: engine ray cannot be used"


def test_mpi_is_told_by_a_world_of_two_ranks() -> None:
    found = check_mpi()
    assert found.level == "ok", found.text
    assert importlib.metadata.version("mpi4py") in found.text
    assert Path(found.facts["launcher"]).name in ("mpiexec", "mpirun")


def test_mpi_without_a_launcher_is_told_with_the_command(bare_python: Path) -> None:
    del bare_python
    found = check_mpi()
    assert found.level == "note"
    assert "no mpiexec or mpirun on PATH" in found.text or "cannot be imported" in found.text
    assert "phloem[mpi]" in found.mend


def test_mpi_whose_launcher_fails_is_told_with_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "mpiexec", "echo starting >&2; echo 'no slots left' >&2; exit 3")
    monkeypatch.setattr("phloem.jobs.estimate.engine_checks.find_launcher", lambda: str(tmp_path / "bin/mpiexec"))
    found = check_mpi()
    assert found.level == "note"
    assert found.text.endswith("does not start: no slots left")


def test_mpi_of_another_library_than_its_launcher_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher that starts two processes that know nothing of each other, as that of another MPI does."""
    program(tmp_path / "bin", "mpiexec", 'shift 2; "$@"; "$@"')
    monkeypatch.setattr("phloem.jobs.estimate.engine_checks.find_launcher", lambda: str(tmp_path / "bin/mpiexec"))
    found = check_mpi()
    assert found.level == "note"
    assert "a world of two ranks is two worlds of one" in found.text
    assert "--no-binary mpi4py" in found.mend


def test_slurm_without_its_commands_names_them(bare_python: Path) -> None:
    program(bare_python, "sbatch", "exit 0")
    found = check_slurm()
    assert found.level == "note"
    assert found.text == "no scontrol, squeue, scancel on PATH: this machine is not of a SLURM cluster"
    assert found.facts["commands"] == ["sbatch"]


def test_slurm_whose_controller_is_silent_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sbatch", "squeue", "scancel"):
        program(tmp_path / "bin", name, "exit 0")
    complaint = "slurm_load_ctl_conf error: Unable to contact slurm controller"
    program(tmp_path / "bin", "scontrol", f"echo '{complaint}' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    found = check_slurm()
    assert found.level == "note"
    assert f"does not answer: {complaint}" in found.text
    assert found.mend == "scontrol ping"


def test_slurm_that_answers_says_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sbatch", "squeue", "scancel"):
        program(tmp_path / "bin", name, "exit 0")
    program(tmp_path / "bin", "sacct", "exit 1")
    program(tmp_path / "bin", "scontrol", "echo 'MaxArraySize            = 1001'; echo 'JobRequeue              = 1'")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    found = check_slurm()
    assert found.level == "ok"
    assert found.text.endswith("arrays of 1001 tasks, jobs are requeued, no accounting")
