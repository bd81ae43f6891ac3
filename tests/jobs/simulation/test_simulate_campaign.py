"""`phloem simulate DIR`: the files against the notebook's runs, periods, scenarios, and what is refused."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

import phloem
from phloem.errors import InputError
from phloem.io.drivers.store import Store
from phloem.io.drivers.tower_files import read_tower, write_tower
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.run.engines import run_planned
from phloem.jobs.simulation.simulate_campaign import Wanted, simulate_campaign
from tests.support.campaigns.campaigns import command, end, start, succeed, wait_for, write_campaign
from tests.support.campaigns.stores import write_grid_campaign


def simulated(root: Path, folder: Path, **choice: object) -> xr.Dataset:
    out = simulate_campaign(root, folder / "O.nc", Wanted(**choice))
    assert out == folder / "O.nc"
    assert [path.name for path in folder.iterdir() if path.name.startswith("O.nc")] == ["O.nc"], "parts are left"
    coder = xr.coders.CFDatetimeCoder(use_cftime=True)
    with xr.open_dataset(out, decode_times=coder) as file:
        return file.load()


def test_daily_is_what_the_notebook_runs(finished: Path, tmp_path: Path) -> None:
    found = simulated(finished, tmp_path)
    campaign = phloem.open_campaign(finished)
    for place, cell in enumerate(found.cell.values.tolist()):
        there = np.flatnonzero(np.isfinite(found.gpp[:, 0, place]))
        alone = campaign.simulate(str(cell), there.tolist())
        assert len(alone.time) <= found.sizes["time"]
        for name in ("gpp", "reco", "som", "nee", "paw"):
            here = found[name].values[there, :, place]
            known = np.isfinite(here[0])
            assert known.sum() == len(alone.time)
            np.testing.assert_allclose(here[:, known], alone[name].values, rtol=3e-4, atol=1e-4, err_msg=name)
    status = open_campaign(finished).paths.merged
    with netCDF4.Dataset(status) as file:
        good = np.isin(file["status"][:], (0, 1, 7))
    assert (good == np.isfinite(found.gpp.values[:, 0]).T).all(), "members that do not count are missing, no others"


@pytest.mark.parametrize(("what", "rule"), [("monthly", "MS"), ("annual", "YS")])
def test_means_of_whole_periods(finished: Path, tmp_path: Path, what: str, rule: str) -> None:
    means = simulated(finished, tmp_path, what=what)
    (tmp_path / "O.nc").unlink()
    days = simulated(finished, tmp_path)
    for name in ("gpp", "som", "lai"):
        expected = days[name].resample(time=rule).mean()
        np.testing.assert_allclose(means[name].values, expected.values, rtol=2e-5, atol=1e-6)
        assert means[name].attrs["cell_methods"] == "time: mean"
    assert means.time_bnds.shape == (means.sizes["time"], 2)


def test_cells_members_and_years(finished: Path, tmp_path: Path) -> None:
    whole = simulated(finished, tmp_path, what="monthly")
    (tmp_path / "O.nc").unlink()
    year = int(whole.time.values[-1].year)
    part = simulated(finished, tmp_path, what="monthly", cells="T002,T001", members="1", years=str(year))
    assert part.cell.values.tolist() == ["T002", "T001"]
    assert part.member.values.tolist() == [1]
    assert part.sizes["time"] == 12
    names = whole.cell.values.tolist()
    for place, name in enumerate(part.cell.values.tolist()):
        expected = whole.nee.values[1, -12:, names.index(name)]
        np.testing.assert_array_equal(part.nee.values[0, :, place], expected)


def towers_of(root: Path, folder: Path, change) -> Path:
    campaign = open_campaign(root)
    folder.mkdir()
    for unit in campaign.cells:
        cell = read_tower(root / unit.source)
        write_tower(folder / f"{unit.name}.nc", change(cell))
    return folder


def test_the_same_drivers_give_the_same_and_a_warmer_climate_keeps_its_reference(finished, tmp_path) -> None:
    plain = simulated(finished, tmp_path, what="annual")
    same = towers_of(finished, tmp_path / "same", lambda cell: cell)
    (tmp_path / "O.nc").unlink()
    again = simulated(finished, tmp_path, what="annual", drivers=same)
    for name in ("gpp", "reco", "som"):
        np.testing.assert_array_equal(again[name].values, plain[name].values)

    def warmer(cell):
        forcing = dict(cell.forcing)
        forcing["tasmin"], forcing["tasmax"] = forcing["tasmin"] + 3, forcing["tasmax"] + 3
        return type(cell)(**{**cell.__dict__, "forcing": forcing})

    hot = towers_of(finished, tmp_path / "hot", warmer)
    (tmp_path / "O.nc").unlink()
    later = simulated(finished, tmp_path, what="annual", drivers=hot)
    q = phloem.open_campaign(finished).parameters.sel(parameter="temperature_sensitivity").values.T
    factor = later.temperate.values / plain.temperate.values if "temperate" in later else None
    first = later.rh_som.values[:, 0] / plain.rh_som.values[:, 0]
    known = np.isfinite(first)
    # Soil respires faster by exp(3 q), less what it has lost meanwhile and the litter that comes otherwise.
    np.testing.assert_allclose(first[known], np.exp(3 * q)[known], rtol=0.1)
    assert factor is None or np.isfinite(factor).any()


def test_a_grid_is_a_map_and_a_growth_run_is_dated_backward(store: Store, tmp_path: Path) -> None:
    path = write_grid_campaign(tmp_path, store, "growth-curve")
    campaign = open_or_plan(path, tmp_path / "made", [])
    run_planned(campaign, 1)
    found = simulated(tmp_path / "made", tmp_path, what="annual")
    assert found.gpp.dims == ("member", "time", "lat", "lon")
    experiment = campaign.configuration.calibration
    assert found.sizes["time"] == experiment.years
    last = int(experiment.protocol.years[-1])
    assert int(found.time.values[-1].year) == last
    assert int(found.time.values[0].year) == last - experiment.years + 1
    np.testing.assert_array_equal(found.forcing_year.values, experiment.protocol.years)
    opened = phloem.open_campaign(tmp_path / "made")
    for name in store.names:
        place = store.names.index(name)
        row = int(np.argmin(abs(found.lat.values - store.columns["latitude"][place])))
        column = int(np.argmin(abs(found.lon.values - store.columns["longitude"][place])))
        here = found.som.values[:, :, row, column]
        there = np.flatnonzero(np.isfinite(here[:, 0]))
        assert (found.status.values[:, row, column] >= 0).all()
        if len(there):
            alone = opened.simulate(name, there.tolist())
            year_of_day = np.cumsum(np.diff(alone.day_of_year.values, prepend=alone.day_of_year.values[0]) < 0)
            for number in (0, experiment.years - 1):
                expected = alone.som.values[:, year_of_day == number].mean(axis=1)
                np.testing.assert_allclose(here[there, number], expected, rtol=1e-4)
    filled = np.isfinite(found.som.values[:, 0]).any(0)
    assert filled.sum() <= len(store.names)


@pytest.mark.engine
def test_the_same_command_goes_on_after_a_kill(finished: Path, tmp_path: Path) -> None:
    """Planned, then killed; then interrupted while the file is written: nothing lies about but the parts."""
    words = ("simulate", finished, "--out", "O.nc", "--what", "monthly")
    succeed(*words, folder=tmp_path)
    expected = (tmp_path / "O.nc").read_bytes()
    (tmp_path / "O.nc").unlink()
    process = start(*words, folder=tmp_path)
    try:
        wait_for("a plan", lambda: (tmp_path / "O.nc.parts/plan.json").exists() or process.poll() is not None)
    finally:
        end(process)
    assert (tmp_path / "O.nc.parts/plan.json").exists()
    assert not (tmp_path / "O.nc").exists()
    succeed(*words, folder=tmp_path)
    assert (tmp_path / "O.nc").read_bytes() == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["O.nc", "stderr"]


def test_parameters_go_round(finished: Path, tmp_path: Path) -> None:
    """A member of a campaign -> a parameters file -> simulate -> the fluxes that the campaign's simulation gives."""
    opened = phloem.open_campaign(finished)
    cell = opened.cells.cell.values.tolist()[0]
    with pytest.raises(InputError, match="no member 7"):
        simulate_campaign(finished, tmp_path / "O.nc", Wanted(members="7"))
    member = int(np.flatnonzero(np.isfinite(opened.parameters.sel(cell=cell).values).all(1))[0])
    found = simulated(finished, tmp_path, what="annual", members=str(member), cells=str(cell))
    values = opened.parameters.sel(cell=cell)[[member]]
    phloem.write_parameters(tmp_path / "P.csv", values)
    source = finished / open_campaign(finished).cells[0].source
    succeed("simulate", "--drivers", source, "--parameters", tmp_path / "P.csv", "--out", "S.nc", folder=tmp_path)
    with xr.open_dataset(tmp_path / "S.nc") as file:
        expected = file.gpp.resample(time="YS").mean().values
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found.gpp.values[:, :, 0], expected, rtol=1e-4)


def test_the_median_is_run_where_there_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """merged.nc -> medians -> simulate, as from a parameters file of them; a cell without says so."""
    short = {"name": "fast", "starts": 1, "iterations": 40, "windows": [1], "window_iterations": [20]}
    path = write_campaign(tmp_path, campaign={"name": "made", "members": 3}, optimiser=short)
    succeed("run", path, "--out", "made", folder=tmp_path)
    root = tmp_path / "made"
    merged = open_campaign(root).paths.merged
    with netCDF4.Dataset(merged, "a") as file:
        file.set_auto_mask(False)
        for name in ("parameters_median", "initial_pools_median"):
            file[name][2] = np.nan
            file[name][:2] = np.median(file[name.removesuffix("_median")][:2], axis=1)
        wanted = np.concatenate([file["parameters_median"][:], file["initial_pools_median"][:]], axis=1)
    capsys.readouterr()
    found = simulated(root, tmp_path, what="annual", members="median")
    assert "1 of 3 cells have no median, for which three members must count: T002; missing" in capsys.readouterr().err
    assert np.isfinite(found.gpp.values[:, 0, :2]).all()
    assert np.isnan(found.gpp.values[:, 0, 2]).all()
    opened = phloem.open_campaign(root)
    for place in range(2):
        values = opened.parameters.isel(cell=place)[[0]].copy(data=wanted[place][None])
        phloem.write_parameters(tmp_path / f"P{place}.csv", values)
        source = root / open_campaign(root).cells[place].source
        given = ["--drivers", source, "--parameters", f"P{place}.csv", "--out", f"S{place}.nc"]
        succeed("simulate", *given, folder=tmp_path)
        with xr.open_dataset(tmp_path / f"S{place}.nc") as file:
            expected = file.gpp.resample(time="YS").mean().values[:, 0]
        np.testing.assert_allclose(found.gpp.values[:, 0, place], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"cells": "T001,XX"}, "no cell 'XX'"),
        ({"members": "two"}, "--members 'two'"),
        ({"members": "median"}, "--members median: no cell has one, for which three members must count: T000"),
        ({"years": "2010-2001"}, "the first year comes first"),
        ({"years": "1850"}, "no day of its runs"),
        ({"drivers": Path("nowhere")}, "nowhere: not there"),
    ],
)
def test_what_is_refused_is_named_and_leaves_no_file(finished, tmp_path, choice, words) -> None:
    with pytest.raises(InputError, match=words):
        simulate_campaign(finished, tmp_path / "O.nc", Wanted(**choice))
    assert not (tmp_path / "O.nc").exists()


def test_the_command_and_its_help(finished: Path, tmp_path: Path) -> None:
    said = command("simulate", finished, "--out", "O.nc", "--parameters", "P.csv", folder=tmp_path)
    assert said.returncode == 2
    assert "--parameters goes with one tower" in said.stderr
    said = command("simulate", "--out", "O.nc", folder=tmp_path)
    assert said.returncode == 2
    assert "name the directory of a finished campaign" in said.stderr
    assert "campaigns/fluxnet" in succeed("simulate", "--help", folder=tmp_path)
    succeed("simulate", finished, "--out", "O.nc", "--what", "annual", "--workers", "1", folder=tmp_path)
    with netCDF4.Dataset(tmp_path / "O.nc") as file:
        assert file["gpp"].dimensions == ("member", "time", "cell")
