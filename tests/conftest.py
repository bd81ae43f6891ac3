"""Fixtures that every part's tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

COUNTED = "faults"
"""Tests record under this name what they broke and what came of it."""


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; tests that need it skip without it."""
    folder = Path(os.environ.get("PHLOEM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set PHLOEM_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the commands keep what they compile: a worker then starts in seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
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
