"""Campaigns that several tests look at, run once."""

from __future__ import annotations

from pathlib import Path

import pytest

from phloem.io.drivers.store import Store, open_store
from tests.support.campaigns.campaigns import succeed, write_campaign, write_long
from tests.support.campaigns.stores import small_store
from tests.support.once import once_a_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished campaign of three tiles of one cell; copy it before you change it."""

    def make(folder: Path) -> None:
        succeed("run", write_campaign(folder), "--out", "made", folder=folder, afresh=True)

    return once_a_run(tmp_path_factory, "finished", make) / "made"


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The long campaign, run without a disturbance; copy it before you change it."""

    def make(folder: Path) -> None:
        succeed("run", write_long(folder), "--out", "made", folder=folder, afresh=True)

    return once_a_run(tmp_path_factory, "undisturbed", make) / "made"


@pytest.fixture
def planned_long(tmp_path: Path) -> Path:
    """The long campaign, planned and not yet run."""
    succeed("plan", write_long(tmp_path), "--out", "made", folder=tmp_path)
    return tmp_path / "made"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A driver store of three cells, on made-up places; copy it before you change it."""
    folder = once_a_run(tmp_path_factory, "boreal", small_store)
    return open_store(folder / "store")
