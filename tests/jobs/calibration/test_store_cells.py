"""What a plan takes from a driver store or from one file: its cells, their step, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.analysis.benchmark.skill_scores import cell_area
from phloem.errors import InputError
from phloem.io.drivers.store import open_store, seal_store
from phloem.io.files.sealed_json import copy_of, read_sealed, write_sealed
from phloem.io.grids.placed_cells import EARTH_RADIUS
from phloem.io.merge.read_slices import MergedSlices
from phloem.jobs.analyse.predictors import gather_predictors
from phloem.jobs.calibration.merged_members import read_members
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.config.attribution_file import load_attribution_file
from tests.support.campaigns.campaigns import write_campaign
from tests.support.campaigns.merged_maps import (
    commit_members,
    make_cells,
    make_parameters,
    plan_baseline,
    write_store,
)
from tests.support.drivers.grid_files import dataset
from tests.support.kernels.dalec_names import GRID

COUNT = 5
"""Cells: a row of three, and two to the north of it."""

YEARS = {"calibration_years": [2003, 2004], "validation_years": [2005, 2005]}


def plan_file(folder: Path, made: xr.Dataset) -> Any:
    """Plan a campaign over one file."""
    made.to_netcdf(folder / "grid.nc")
    data = {"kind": "grid", "path": "grid.nc"}
    path = write_campaign(folder, data=data, experiment={"name": "baseline", "edc7": False, **YEARS})
    return open_or_plan(path, folder / "planned", [])


@pytest.mark.parametrize("step", [0.25, 0.5, 1.0, 0.125, 1 / 120])
def test_merged_map_has_the_axes_bounds_and_areas_of_the_stores_step(step: float, tmp_path: Path) -> None:
    cells = make_cells(COUNT, step=step)
    campaign = plan_baseline(tmp_path, write_store(tmp_path / "store", cells, step))
    assert campaign.step == step
    commit_members(campaign, make_parameters(cells, 0.0))
    with netCDF4.Dataset(campaign.paths.merged) as file:
        np.testing.assert_allclose(file["lat"][:], 55 + step * np.array([0.5, 1.5]), rtol=1e-10)
        np.testing.assert_allclose(file["lon"][:], 20 + step * np.array([0.5, 1.5, 2.5]), rtol=1e-10)
        np.testing.assert_allclose(file["lat_bnds"][0], [55, 55 + step], rtol=1e-10)
        np.testing.assert_allclose(file["lon_bnds"][2], [20 + 2 * step, 20 + 3 * step], rtol=1e-10)
        sines = np.diff(np.sin(np.deg2rad(file["lat_bnds"][:])), axis=1)
        expected = EARTH_RADIUS**2 * np.deg2rad(step) * np.broadcast_to(sines, (2, 3))
        np.testing.assert_allclose(file["cell_area"][:], expected, rtol=1e-12)
    members = read_members(campaign, campaign.cells.names)
    np.testing.assert_allclose(members.area, cell_area(members.latitude, step), rtol=0)


def test_maps_are_read_over_cells_of_the_stores_step(tmp_path: Path) -> None:
    """A map of tenths of a degree that is 1 in the eastern fifth of each degree, and 0 elsewhere."""
    cells = make_cells(COUNT, step=1.0)
    campaign = plan_baseline(tmp_path, write_store(tmp_path / "store", cells, 1.0))
    lat, lon = np.arange(54.05, 60, 0.1), np.arange(19.05, 26, 0.1)
    steep = np.broadcast_to((lon % 1.0 > 0.8).astype(float), (len(lat), len(lon)))
    made = xr.Dataset(
        {"mine": (("lat", "lon"), steep)},
        {"lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"})},
    )
    made.to_netcdf(tmp_path / "map.nc")
    (tmp_path / "a.toml").write_text(
        '[attribution]\nclimate = []\nstatics = []\n[[predictors]]\nname = "mine"\ngroup = "soil"\npath = "map.nc"\n'
    )
    (found,) = gather_predictors(campaign, load_attribution_file(tmp_path / "a.toml", GRID), tmp_path)
    np.testing.assert_allclose(found.values, 0.2, atol=1e-9, err_msg="the middle half degree of each cell has none")


def test_the_lattice_of_a_single_cell_has_its_own_step(tmp_path: Path) -> None:
    cells = make_cells(1, step=0.25)
    campaign = plan_baseline(tmp_path, write_store(tmp_path / "store", cells, 0.25))
    commit_members(campaign, make_parameters(cells, 0.0))
    with MergedSlices(campaign.paths.merged, campaign.cells.names) as merged:
        assert merged.lattice is not None
        assert merged.lattice.step == (0.25, 0.25)


def test_a_plan_without_the_step_is_one_of_half_degrees(tmp_path: Path) -> None:
    campaign = plan_baseline(tmp_path, write_store(tmp_path / "store", make_cells(COUNT)))
    assert "step" not in read_sealed(campaign.paths.plan), "plans of half degrees are what they were"
    assert campaign.step == 0.5
    (tmp_path / "b").mkdir()
    quarter = plan_baseline(tmp_path / "b", write_store(tmp_path / "quarter", make_cells(COUNT, step=0.25), 0.25))
    table = read_sealed(quarter.paths.plan)
    assert table.pop("step") == 0.25
    copy_of(quarter.paths.plan).unlink()
    write_sealed(quarter.paths.plan, table)
    assert open_campaign(quarter.paths.root).step == 0.5


def _second_in_the_place_of_the_first(columns: dict[str, list[Any]]) -> None:
    for key in ("latitude", "longitude"):
        columns[key][1] = columns[key][0]


def _off_the_grid(columns: dict[str, list[Any]]) -> None:
    columns["longitude"][1] += 0.2


def _one_name(columns: dict[str, list[Any]]) -> None:
    columns["name"][1] = columns["name"][0]


def _nowhere(columns: dict[str, list[Any]]) -> None:
    columns["latitude"][1] = 95.0


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_second_in_the_place_of_the_first, r"several cells in one place of the grid: N55.25E020.25, N55.25E020.75"),
        (
            _off_the_grid,
            r"1 cells are not at a centre of the grid of 0.5 x 0.5 degrees: N55.25E020.75 \(55.25 N",
        ),
        (_one_name, "cells at different coordinates have one name: N55.25E020.25; .* ingest anew"),
        (_nowhere, r"1 cells are nowhere on Earth: N55.25E020.75 \(95 N"),
    ],
)
def test_cells_that_cannot_be_merged_are_refused_by_the_plan(
    damage: Callable[[dict[str, list[Any]]], None], said: str, tmp_path: Path
) -> None:
    store = write_store(tmp_path / "store", make_cells(COUNT))
    columns = {key: list(values) for key, values in store.columns.items()}
    damage(columns)
    seal_store(store.paths.root, store.facts, columns)
    with pytest.raises(InputError, match=said) as refused:
        plan_baseline(tmp_path, open_store(store.paths.root))
    assert "store.json" in str(refused.value)
    assert not (tmp_path / "baseline").exists(), "nothing is left of the plan"


def test_cells_of_another_step_than_the_store_says_are_refused_by_the_plan(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", make_cells(COUNT, step=0.25), 0.5)
    with pytest.raises(InputError, match=r"a store of cells of 0.5 degrees \(step\): .*not at a centre"):
        plan_baseline(tmp_path, store)


@pytest.mark.parametrize("step", [0.25, 1.0, 1 / 120])
def test_the_step_of_one_file_is_that_of_its_axes(step: float, tmp_path: Path) -> None:
    made = dataset().assign_coords(
        lat=("lat", np.float32(60 + step * np.array([1.5, 0.5])), {"standard_name": "latitude"}),
        lon=("lon", np.float32(360 + step * np.array([-1.5, -0.5, 0.5])), {"standard_name": "longitude"}),
    )
    campaign = plan_file(tmp_path, made)
    assert campaign.step == step
    assert open_store(campaign.paths.root / "drivers").step == step
    assert len(set(campaign.cells.names)) == COUNT
    assert not campaign.places


def test_one_file_on_no_grid_of_squares_becomes_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = dataset()
    oblong = made.assign_coords(lon=("lon", [24.0, 24.625, 25.25], {"standard_name": "longitude"}))
    campaign = plan_file(tmp_path, oblong)
    assert campaign.places
    assert campaign.cells.names[:2] == ["N61.25E024.00", "N61.250E024.625"]
    assert "on no grid of squares: merged.nc will list them" in capsys.readouterr().err
    assert read_sealed(campaign.paths.plan)["places"] is True


def test_listed_places_anywhere_are_places(tmp_path: Path) -> None:
    made = dataset(by_cell=True)
    spread = np.arange(6)
    made = made.assign_coords(
        lat=("cell", 60.1234 + 0.7 * spread, {"standard_name": "latitude"}),
        lon=("cell", 24.3 + 0.9 * spread, {"standard_name": "longitude"}),
    )
    campaign = plan_file(tmp_path, made)
    assert campaign.places
    assert campaign.cells.names[0] == "N60.1234E024.3000"


def test_two_cells_of_one_file_in_one_place_are_refused_by_the_plan(tmp_path: Path) -> None:
    made = dataset().assign_coords(lon=("lon", [24.25, 24.75, 384.25], {"standard_name": "longitude"}))
    with pytest.raises(InputError, match=r"grid.nc: several cells in one place: N61.75E024.25; each may"):
        plan_file(tmp_path, made)
    assert not (tmp_path / "planned").exists()


def test_a_store_with_other_drivers_cannot_take_the_place_of_the_planned_one(tmp_path: Path) -> None:
    campaign = plan_baseline(tmp_path, write_store(tmp_path / "store", make_cells(COUNT)))
    other = write_store(tmp_path / "other", make_cells(COUNT, seed=9))
    before = campaign.paths.plan.read_bytes()
    where = f"data.path={json.dumps(str(other.paths.root))}"
    with pytest.raises(InputError, match=r"other/store.json: cell N55.25E020.25: .* not the one over which"):
        open_or_plan(campaign.paths.root, None, [where])
    assert campaign.paths.plan.read_bytes() == before
    same = write_store(tmp_path / "same", make_cells(COUNT))
    moved = open_or_plan(campaign.paths.root, None, [f"data.path={json.dumps(str(same.paths.root))}"])
    assert moved.cells.columns["source"][0].startswith(str(same.paths.root))


def test_a_moved_store_keeps_the_step_of_the_plan(tmp_path: Path) -> None:
    cells = make_cells(COUNT, step=0.25)
    campaign = plan_baseline(tmp_path, write_store(tmp_path / "store", cells, 0.25))
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    where = f"data.path={json.dumps(str(tmp_path / 'elsewhere'))}"
    assert open_or_plan(campaign.paths.root, None, [where]).step == 0.25


def test_places_have_no_areas_even_where_their_store_is_gone(tmp_path: Path) -> None:
    cells = make_cells(COUNT)
    store = write_store(tmp_path / "store", cells)
    facts = {key: value for key, value in store.facts.items() if key != "step"} | {"places": True}
    seal_store(store.paths.root, facts, store.columns)
    campaign = plan_baseline(tmp_path, open_store(store.paths.root))
    commit_members(campaign, make_parameters(cells, 0.0))
    (tmp_path / "store").rename(tmp_path / "gone")
    assert read_members(campaign, campaign.cells.names).area is None
