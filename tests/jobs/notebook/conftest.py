"""The campaign that the examples of docs/python.md make, for all tests of the notebook's door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import phloem
from phloem.io.drivers.store import Store
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.config.experiments import SIDE_BY_SIDE
from tests.support.campaigns.stores import write_grid_campaign
from tests.support.examples import failing_examples
from tests.support.once import once_a_run

PAGE = Path(__file__).parents[3] / "docs/python.md"


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Path:
    """A folder in which all examples of the page were run; `examples.json` says how many there are, and what failed.

    Beside what they made lie three experiments that are planned, campaigns/boreal.
    """

    def make(folder: Path) -> None:
        outcome = failing_examples(PAGE.read_text(), "docs/python.md", folder)
        (folder / "examples.json").write_text(json.dumps(outcome))
        for name in SIDE_BY_SIDE:
            open_or_plan(write_grid_campaign(folder, store, name), folder / "campaigns/boreal" / name, [])

    return once_a_run(tmp_path_factory, "page", make)


@pytest.fixture(scope="session")
def root(page: Path) -> Path:
    """The campaign of the page: two towers of two years, three members; copy it before you change it."""
    return page / "campaigns/transect"


@pytest.fixture
def campaign(root: Path) -> phloem.OpenedCampaign:
    """The same, opened."""
    found = phloem.open_campaign(root)
    assert isinstance(found, phloem.OpenedCampaign)
    return found
