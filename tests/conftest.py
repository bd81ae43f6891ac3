"""Fixtures that every part's tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets; tests that need it skip without it."""
    folder = Path(os.environ.get("PHLOEM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set PHLOEM_DATA to the folder that holds them")
    return folder
