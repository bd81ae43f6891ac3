"""The shim, compiled once, and a process under it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults.field import Field
from tests.support.faults.shim import Driver, build


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = build(tmp_path_factory.mktemp("shim"))
    if library is None:
        pytest.skip("faults in system calls need Linux and a C compiler (cc, gcc or clang)")
    return library


@pytest.fixture(scope="session")
def driver(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    driver = Driver(shim, tmp_path_factory.mktemp("driver"))
    yield driver
    driver.close()


@pytest.fixture(scope="session")
def faults(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Field:
    return Field(driver, tmp_path_factory.mktemp("faults"))
