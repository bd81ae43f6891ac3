"""Fixtures that every part's tests share."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support import checked_shapes  # first: what is imported before it is not checked

checked_shapes.install()

from tests.support.compiled_programs import CompiledPrograms  # noqa: E402
from tests.support.kernels import stand_in_driver  # noqa: E402
from tests.support.rooms import LONG, cluster_of  # noqa: E402

ROOT = Path(__file__).parents[1]
"""The repository."""

os.environ.setdefault(
    "PHLOEM_CUDA_DRIVER", str(stand_in_driver.build_driver())
)  # commands that tests start have it too

COUNTED = "faults"
"""Tests record under this name what they broke and what came of it."""


RESIDENT_BYTES = 1_500_000_000
"""Above so much memory the programs of a module of tests are let go of when it ends."""

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None)  # --hypothesis-profile search: other examples each time
hypothesis.settings.load_profile("ci")

PROGRAMS = pytest.StashKey[CompiledPrograms]()
"""What XLA compiles in this run."""


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; tests that need it skip without it."""
    folder = Path(os.environ.get("PHLOEM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set PHLOEM_DATA to the folder that holds them")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--quick`: what a developer runs between two edits."""
    parser.addoption("--quick", action="store_true", help="leave out the modules that take more than 10 s")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Not even import what is left out."""
    inside = collection_path.is_relative_to(ROOT / "tests")
    name = collection_path.relative_to(ROOT / "tests").as_posix() if inside else ""
    return True if config.option.quick and name in LONG else None


def pytest_configure(config: pytest.Config) -> None:
    """Keep all that XLA compiles, for both processes of the run, for the commands that they start, and for later runs.

    Those processes find tests.support too. With PHLOEM_CACHE set to an empty folder nothing is found compiled.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # Where bytecode is not kept, each of some hundred commands compiles this package again, in 0.7 s.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    # Threads of OpenMP that wait for one another spin: where the cores are taken, a fit of boosted trees took 47 s of
    # them instead of 0.7.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # XLA's own caches lie below the folder of programs, and its name would be part of every program's key.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        config.stash[PROGRAMS] = CompiledPrograms()
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(config.stash[PROGRAMS].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Keep what is whole."""
    if PROGRAMS in config.stash:
        config.stash[PROGRAMS].keep()


class ScheduleByCluster(LoadScopeScheduling):
    """A module's tests are done by one process; so are all tests that start Ray, and all that start SLURM."""

    def _split_scope(self, nodeid: str) -> str:
        return cluster_of(nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Schedule by clusters where `--dist loadscope` is asked for."""
    return ScheduleByCluster(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(scope="module", autouse=True)
def _bounded_memory() -> Iterator[None]:
    """Keep a process of tests from growing: JAX holds on to all that it has compiled, which came to 5.5 GB.

    What is needed again is in the folder of compiled programs.
    """
    yield
    if "jax" in sys.modules and psutil.Process().memory_info().rss > RESIDENT_BYTES:
        sys.modules["jax"].clear_caches()
        gc.collect()


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
