"""Unusable cells are named all at once, or left out; towers with years of their own; cells without observations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.store import Store, StorePaths, chunk_columns, seal_store, write_chunk
from phloem.io.drivers.tower_files import read_tower
from phloem.jobs.calibration.store_cells import plan_columns
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.campaign.planning import take_up
from phloem.jobs.config.campaign_file import configuration_of
from phloem.jobs.config.experiments import find_experiment
from phloem.jobs.synthetic.transect import make_transect

YEARS = 4


@pytest.fixture
def towers(tmp_path: Path) -> Path:
    make_transect(tmp_path / "towers", 4, YEARS, 0, lambda *_: None)
    return tmp_path / "towers"


def spoil(path: Path, **days: slice) -> None:
    with netCDF4.Dataset(path, "a") as file:
        for name, where in days.items():
            file[name][where] = -9999.0


def plan(towers: Path, out: str = "made", experiment: dict | None = None, **data: object) -> Campaign:
    tables = {
        "campaign": {"name": "made", "members": 2},
        "data": {"kind": "tower", "path": str(towers), **data},
        "experiment": experiment or {},
    }
    return take_up(configuration_of(tables), towers.parent / out, towers.parent)


def test_all_defects_of_all_files_are_told_at_once(towers: Path) -> None:
    spoil(towers / "T001.nc", VPD=slice(3, 5), SSRD=slice(7, 8))
    spoil(towers / "T003.nc", CO2=slice(0, 1))
    with pytest.raises(InputError) as refused:
        plan(towers)
    lines = str(refused.value).splitlines()
    assert [line for line in lines if "T001.nc: cell T001: variable VPD: no value on 2 days" in line]
    assert [line for line in lines if "T001.nc: cell T001: variable SSRD: no value on 1 day" in line]
    assert [line for line in lines if "T003.nc: cell T003: variable CO2: no value on 1 day" in line]
    assert lines[-1].startswith("2 of 4 towers cannot be used")
    assert 'data.on_bad = "drop"' in lines[-1]
    assert not (towers.parent / "made").exists()


def test_bad_towers_are_left_out_where_that_was_asked_for(towers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(towers / "T001.nc", VPD=slice(3, 5))
    campaign = plan(towers, on_bad="drop")
    assert campaign.cells.names == ["T000", "T002", "T003"]
    assert "1 of 4 towers are left out" in capsys.readouterr().err
    rows = (campaign.paths.root / "dropped.csv").read_text().splitlines()
    assert rows[0] == "cell,reason"
    assert rows[1].startswith("T001,")
    for name in ("T000", "T002", "T003"):
        spoil(towers / f"{name}.nc", VPD=slice(3, 5))
    with pytest.raises(InputError, match="4 of 4 towers cannot be used: no other is left"):
        plan(towers, "other", on_bad="drop")


def test_towers_with_years_of_their_own(towers: Path) -> None:
    cell = read_tower(towers / "T000.nc")
    first = int(str(cell.dates[0])[:4])
    years = {"calibration_years": [first + 1, first + 2], "validation_years": [first + 3, first + 3]}
    campaign = plan(towers, experiment=years)
    again = open_campaign(campaign.paths.root)  # the frozen file holds them
    assert again.configuration.fingerprint() == campaign.configuration.fingerprint()
    unit = again.read_unit(again.cells[0])
    inside = cell.dates >= np.datetime64(f"{first + 1}-01-01")
    assert np.array_equal(unit.time, cell.time[inside])
    assert str(unit.dates[unit.training_days])[:10] == f"{first + 3}-01-01"
    assert again.cells[0].days == len(unit.time)
    assert again.configuration.fingerprint() != plan(towers, "halves").configuration.fingerprint()
    with pytest.raises(InputError, match=rf"cell T000: variable time: .*{first - 1} is not whole in its record"):
        plan(towers, "before", experiment={"calibration_years": [first - 1, first]})
    with pytest.raises(InputError, match="validation_years begin with the year after calibration_years"):
        plan(towers, "gap", experiment={**years, "calibration_years": [first, first + 1]})


def with_observations(store: Store, folder: Path, which: list[bool], columns: bool = True) -> Store:
    cells: list[GridCell] = []
    for cell, seen in zip(store.read(range(len(store))), which, strict=True):
        nothing = {name: np.full(len(cell.doy), np.nan, np.float32) for name in cell.observations}
        cells.append(cell if seen else replace(cell, observations=nothing))
    write_chunk(StorePaths(folder).chunk(0), cells)
    table = chunk_columns(0, cells)
    if not columns:
        table = {key: values for key, values in table.items() if not key.endswith("_observed")}
    return seal_store(folder, store.facts, table)


@pytest.mark.parametrize("columns", [True, False], ids=["known", "older store"])
def test_cells_without_any_observation_are_refused_or_left_out(store: Store, tmp_path: Path, columns: bool) -> None:
    experiment = find_experiment("baseline").model_validate({"name": "baseline", "edc7": False})
    which = [True, False, *[True] * (len(store) - 2)]
    made = with_observations(store, tmp_path / "store", which, columns)
    with pytest.raises(InputError, match=rf"1 of {len(store)} cells have no observation of gpp, reco, et, lai in 2001"):
        plan_columns(made, None, experiment)
    kept = plan_columns(made, None, experiment, "drop")["name"]
    assert kept == [name for name, seen in zip(store.names, which, strict=True) if seen]
    nothing = with_observations(store, tmp_path / "bare", [False] * len(store), columns)
    with pytest.raises(InputError, match=rf"{len(store)} of {len(store)} cells have no observation"):
        plan_columns(nothing, None, experiment, "drop")
