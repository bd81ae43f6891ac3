"""Campaigns that several tests look at, run once."""

from __future__ import annotations

from pathlib import Path

import pytest

from phloem.io.drivers.store import Store
from tests.support.campaigns.campaigns import succeed, write_campaign, write_long
from tests.support.campaigns.stores import small_store


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished campaign of three tiles of one cell; copy it before you change it."""
    folder = tmp_path_factory.mktemp("finished")
    succeed("run", write_campaign(folder), "--out", "made", folder=folder, afresh=True)
    return folder / "made"


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The long campaign, run without a disturbance."""
    folder = tmp_path_factory.mktemp("undisturbed")
    succeed("run", write_long(folder), "--out", "made", folder=folder, afresh=True)
    return folder / "made"


@pytest.fixture
def planned_long(tmp_path: Path) -> Path:
    """The long campaign, planned and not yet run."""
    succeed("plan", write_long(tmp_path), "--out", "made", folder=tmp_path)
    return tmp_path / "made"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A driver store of three cells, on made-up places; copy it before you change it."""
    return small_store(tmp_path_factory.mktemp("boreal"))
