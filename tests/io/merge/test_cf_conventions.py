"""The products are held against the CF conventions by the IOOS compliance checker, with the tables that it ships.

Errors, which the checker calls high priorities, are never accepted. What is accepted:

- The checker takes the differences of every coordinate variable and may fail on those of text (`parameter`, ...,
  as characters). That labels are each there once, and numbers rise, is checked here.
- `history` is absent where cells are listed: the product holds no date, so that the same campaign gives the same bytes.
- Places come before members and labels in products on a grid, as the interface of the program has it. CF recommends
  places last.
- The statistics' cell_methods name a dimension that is gone from them. On grids they name it by its standard name,
  `realization`, as CF 7.3 has it, but the checker knows dimensions and coordinates only. Where cells are listed they
  say `member`, which CF does not foresee.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from compliance_checker.runner import CheckSuite

from phloem.io.campaign.paths import CampaignPaths
from phloem.io.merge.write_merged import merge_tiles
from tests.support.campaigns import campaign_samples, grid_samples
from tests.support.campaigns.campaign_samples import TABLES

NO_MONOTONY = "check_coordinate_variables_strict_monotonicity"
ACCEPTED = ("history should exist", "not in the recommended order T, Z, Y, X", "cell_methods name component")


def findings(path: Path) -> tuple[list[str], list[str]]:
    """Errors, and other findings that are not accepted."""
    suite = CheckSuite()
    suite.load_all_available_checkers()
    with suite.load_dataset(str(path)) as dataset:
        ((results, raised),) = suite.run_all(dataset, ["cf:1.11"], skip_checks=[]).values()
    assert set(raised) <= {NO_MONOTONY}, raised
    found = suite.dict_output("cf:1.11", results, str(path), 0)
    assert found["possible_points"] > 600
    errors = [message for result in found["high_priorities"] for message in result["msgs"]]
    others = [
        message
        for priority in ("medium_priorities", "low_priorities")
        for result in found[priority]
        for message in result["msgs"]
        if not any(accepted in message for accepted in ACCEPTED)
    ]
    return errors, others


def grids(root: Path) -> Path:
    """A product on a grid, with a hole and failed lanes."""
    plan = [grid_samples.CELLS[first : first + 6] for first in range(0, len(grid_samples.CELLS), 6)]
    paths = grid_samples.campaign(root, plan)
    paths.tile(1).unlink()
    return merge_tiles(paths, plan, TABLES, grid_samples.GLOBAL, allow_holes=True, grid=grid_samples.place())


def towers(root: Path) -> Path:
    """A product of towers."""
    plan = [["FI-Hyy", "FI-Sod"], ["SE-Nor"]]
    paths = CampaignPaths(root).make()
    for index, cells in enumerate(plan):
        campaign_samples.commit(paths, index, cells)
    return merge_tiles(paths, plan, TABLES, grid_samples.GLOBAL)


@pytest.fixture(scope="module")
def on_a_grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grids(tmp_path_factory.mktemp("grid"))


def test_a_product_on_a_grid(on_a_grid: Path) -> None:
    assert findings(on_a_grid) == ([], [])
    with netCDF4.Dataset(on_a_grid) as file:
        assert (file["lat"].axis, file["lon"].axis) == ("Y", "X")
        for name, variable in file.variables.items():
            named = [
                *getattr(variable, "coordinates", "").split(),
                *getattr(variable, "ancillary_variables", "").split(),
            ]
            assert [other for other in (*named, getattr(variable, "bounds", name)) if other not in file.variables] == []
    assert_monotony(on_a_grid)


def test_a_product_of_towers(tmp_path: Path) -> None:
    product = towers(tmp_path)
    assert findings(product) == ([], [])
    assert_monotony(product)


def assert_monotony(path: Path) -> None:
    """The coordinate variables that are numbers rise; those that are text say each thing once."""
    with netCDF4.Dataset(path) as file:
        coordinates = [v for name, v in file.variables.items() if v.dimensions == (name,)]
        labels = [v for name, v in file.variables.items() if v.dimensions == (name, f"{name}_characters")]
        assert len(coordinates) + len(labels) > 5
        assert len(labels) >= 4
        for variable in coordinates:
            assert (np.diff(variable[:]) > 0).all(), variable.name
        for variable in labels:
            assert len(set(variable[:].tolist())) == len(variable), variable.name


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file["lat"].delncattr("units"), "lat"),
        (lambda file: file["cell_area"].setncattr("units", "kg"), "cell_area"),
        (lambda file: file["lon"].setncattr("standard_name", "longitudinal"), "longitudinal"),
        (lambda file: file["lon"].setncattr("bounds", "lat_bnds"), "lon_bnds"),
        (lambda file: file["status_map"].setncattr("flag_meanings", "good bad"), "status_map"),
        (lambda file: file["loss"].setncattr("coordinates", "elsewhere"), "elsewhere"),
    ],
    ids=["units", "area", "standard name", "bounds", "flags", "coordinates"],
)
def test_the_checker_finds_errors(
    tmp_path: Path, on_a_grid: Path, spoil: Callable[[netCDF4.Dataset], Any], message: str
) -> None:
    copy = Path(shutil.copy(on_a_grid, tmp_path))
    with netCDF4.Dataset(copy, "a") as file:
        spoil(file)
    errors, _ = findings(copy)
    assert any(message in error for error in errors), errors
