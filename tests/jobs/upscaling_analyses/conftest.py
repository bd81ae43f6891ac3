"""An upscaling of made towers with a product and its allocation, run once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysis.report.conftest import browser
from tests.support.campaigns.allocations import write_allocation
from tests.support.campaigns.applied_upscalings import write_upscaling
from tests.support.campaigns.campaigns import succeed
from tests.support.drivers.flux_towers import MadeGrid
from tests.support.once import once_a_run

__all__ = ["browser"]


@pytest.fixture(scope="session")
def merged_towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged upscaling of 24 towers by all ways, towers and rows left out; copy it before you change it."""

    def make(folder: Path) -> None:
        write_upscaling(folder, learn=["residual", "direct", "blend"], cv=["tower", "row"], folds=3)
        succeed("run", "upscaled.toml", "--out", "made", folder=folder)

    return once_a_run(tmp_path_factory, "merged_towers", make) / "made"


@pytest.fixture(scope="session")
def products(merged_towers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fluxes of a grid over three years, and an allocation of them that keeps all carbon."""

    def make(folder: Path) -> None:
        MadeGrid(months=36).write(folder / "grid.nc")
        succeed("apply", merged_towers, "--drivers", "grid.nc", "--out", "fluxes.nc", folder=folder)
        write_allocation(folder / "fluxes.nc", folder / "allocation.nc")

    return once_a_run(tmp_path_factory, "products_of_towers", make)
