"""Fixtures that every part's tests share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
"""The repository."""

COUNTED = "faults"
"""Tests record under this name what they broke and what came of it."""


MADE = pytest.StashKey[str]()
"""The folder that this run has made for compiled programs."""


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; tests that need it skip without it."""
    folder = Path(os.environ.get("PHLOEM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set PHLOEM_DATA to the folder that holds them")
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """Keep what is compiled in one folder a run, for both processes of the run and for the commands that they start.

    Those find tests.support too.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        config.stash[MADE] = tempfile.mkdtemp(prefix="phloem-compiled-")
        os.environ["JAX_COMPILATION_CACHE_DIR"] = config.stash[MADE]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of it."""
    if MADE in config.stash:
        shutil.rmtree(config.stash[MADE], ignore_errors=True)


@pytest.fixture(scope="session")
def compiled() -> Iterator[None]:
    """Let the commands keep all that they compile: a worker then starts in seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was broken on purpose; recorded properties come back from parallel workers too."""
    lines = list(_recorded(terminalreporter))
    if lines:
        terminalreporter.section("faults injected")
        for line in lines:
            terminalreporter.line(line)


def _recorded(reporter: pytest.TerminalReporter) -> Iterator[str]:
    for report in reporter.getreports("passed"):
        if report.when == "call":
            yield from (str(value) for name, value in report.user_properties if name == COUNTED)
