"""Fixtures that every part's tests share."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compiled_programs import CompiledPrograms

ROOT = Path(__file__).parents[1]
"""The repository."""

COUNTED = "faults"
"""Tests record under this name what they broke and what came of it."""


PROGRAMS = pytest.StashKey[CompiledPrograms]()
"""What XLA compiles in this run."""


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; tests that need it skip without it."""
    folder = Path(os.environ.get("PHLOEM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set PHLOEM_DATA to the folder that holds them")
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """Keep all that XLA compiles, for both processes of the run, for the commands that they start, and for later runs.

    Those processes find tests.support too. `--cache-clear` and `make clean` forget what was compiled.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        cache = getattr(config, "cache", None)  # None with -p no:cacheprovider
        place = cache.mkdir("compiled") if cache else Path(tempfile.gettempdir()) / "phloem-compiled"
        config.stash[PROGRAMS] = CompiledPrograms(Path(place))
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(config.stash[PROGRAMS].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Keep what is whole."""
    if PROGRAMS in config.stash:
        config.stash[PROGRAMS].keep()


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
