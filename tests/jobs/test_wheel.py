"""The wheel: built from the tree, installed where there is no repository, it holds all files and calibrates alike.

The new environment borrows the dependencies of this one by a line in a .pth file: to fetch them would take minutes.
Python does not follow the .pth files of a folder that is added so; the repository, which this environment has by one of
those, is not found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from phloem.version import VERSION
from tests.support.campaigns.campaigns import differing, merged, write_campaign
from tests.support.once import once_a_run

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
SOURCE = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")


def run(*words: object, folder: Path) -> str:
    """Run a program outside the repository; it must succeed."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    environment["PHLOEM_CACHE"] = str(folder / "cache")
    done = subprocess.run(
        list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the tree, its wheel and an environment that has nothing else of phloem."""

    def make(folder: Path) -> None:
        # A copy: the build leaves files, and files of an earlier one would come with it.
        shutil.copytree(ROOT / "phloem", folder / "tree/phloem", ignore=shutil.ignore_patterns("__pycache__"))
        for name in SOURCE:
            shutil.copy(ROOT / name, folder / "tree" / name)
        pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
        run(*pip, "wheel", "--no-deps", "--wheel-dir", folder, folder / "tree", folder=folder)
        run(sys.executable, "-m", "venv", "--without-pip", "venv", folder=folder)
        (wheel,) = folder.glob("*.whl")
        run(*pip, "--python", folder / "venv/bin/python", "install", "--no-deps", "--no-index", wheel, folder=folder)
        (site,) = folder.glob("venv/lib/python3*/site-packages")
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    return once_a_run(tmp_path_factory, "wheel", make)


def test_the_wheel_holds_every_file_of_the_package_and_the_licences(folder: Path) -> None:
    (path,) = folder.glob("*.whl")
    assert path.name == f"phloem-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(path) as wheel:
        held = {name for name in wheel.namelist() if name.startswith("phloem/")}
        others = {Path(name).name for name in wheel.namelist()} - {Path(name).name for name in held}
    tree = {path.relative_to(folder / "tree").as_posix() for path in (folder / "tree/phloem").rglob("*.*")}
    tree = {name for name in tree if (folder / "tree" / name).is_file()}
    assert held == tree
    assert {Path(name).suffix for name in held} >= {".py", ".c", ".toml", ".html", ".js", ".css", ".txt"}
    assert {"LICENSE", "NOTICE"} <= others


def test_the_installed_command_calibrates_as_the_tree_does(folder: Path, finished: Path) -> None:
    python, phloem = folder / "venv/bin/python", folder / "venv/bin/phloem"
    where = run(python, "-c", "import phloem.jobs.command_line as one; print(one.__file__)", folder=folder).strip()
    assert Path(where).is_relative_to(folder / "venv")
    run(phloem, "run", write_campaign(folder), "--out", "made", folder=folder)
    assert differing(merged(folder / "made"), merged(finished)) == set()
    run(phloem, "report", "made", folder=folder)
    assert "T000" in (folder / "made/report/index.html").read_text()
    kernels = [path for path in (folder / "cache").rglob("*.so") if path.is_file()]
    assert kernels, "compiled from the C of the wheel"


def test_the_installed_package_has_its_templates_and_coastlines(folder: Path) -> None:
    for kind in ("tower", "grid", "synthetic"):
        run(folder / "venv/bin/phloem", "new", f"{kind}.toml", "--kind", kind, folder=folder)
        assert "[campaign]" in (folder / f"{kind}.toml").read_text()
    program = "from phloem.analysis.style.coastline import land_outlines; print(len(land_outlines()))"
    assert int(run(folder / "venv/bin/python", "-c", program, folder=folder)) > 100
