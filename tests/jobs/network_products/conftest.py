"""A small training that tests look at, run once."""

from __future__ import annotations

from pathlib import Path

import pytest

from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.network.trained_networks import TrainedNetworks, read_networks
from tests.support.once import once_a_run
from tests.support.trainings import trained


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged training of two set-ups and three runs, of which two count; copy it before you change it."""
    return once_a_run(tmp_path_factory, "training", trained) / "made"


@pytest.fixture(scope="session")
def networks(training: Path) -> TrainedNetworks:
    """Its networks."""
    return read_networks(open_campaign(training))
