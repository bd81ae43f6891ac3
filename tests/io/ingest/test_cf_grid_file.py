"""One CF-NetCDF file of daily drivers, by latitude and longitude or by cell, as cells of a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.ingest.cf_grid_file import read_cf_grid, window_means
from phloem.io.products.observations import window_starts
from phloem.io.products.times import days_of
from phloem.io.references.growth_curves import richards_chapman, total_biomass
from phloem.jobs.synthetic.weather import boreal_weather
from phloem.names import FORCING
from tests.support.drivers.grid_files import YEARS, dataset


def read(folder: Path, made: xr.Dataset) -> list:
    path = folder / "grid.nc"
    made.to_netcdf(path)
    return list(read_cf_grid(path))


def test_cells_in_order_without_the_sea(tmp_path: Path) -> None:
    cells = read(tmp_path, dataset())
    assert [c.name for c in cells] == [
        "N61.25W000.75", "N61.25W000.25", "N61.75W000.75", "N61.75W000.25", "N61.75E000.25",
    ]  # fmt: skip
    weather = boreal_weather(61.0, 3, np.random.default_rng(3), YEARS[0])
    for name in FORCING:
        expected = np.full(1096, 380.0) if name == "co2" else weather[name] * 1.03
        np.testing.assert_allclose(cells[0].forcing[name], expected, rtol=1e-4, atol=1e-4, err_msg=name)
    assert cells[0].calendar == "standard"


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_either_layout_gives_the_same_cells(tmp_path: Path, calendar: str) -> None:
    by_map = read(tmp_path, dataset(calendar))
    by_cell = read(tmp_path, dataset(calendar, by_cell=True))
    assert {c.name: c.checksum for c in by_map} == {c.name: c.checksum for c in by_cell}
    assert len(by_map[0].doy) == (1096 if calendar == "standard" else 1095)


def test_observations_stand_on_their_days(tmp_path: Path) -> None:
    cell = read(tmp_path, dataset())[2]
    lai = np.flatnonzero(np.isfinite(cell.observations["lai"]))
    assert ((cell.doy[lai] - 1) % 8 == 0).all()
    assert len(lai) == 3 * 46
    reco = np.flatnonzero(np.isfinite(cell.observations["reco"]))
    assert len(reco) == cell.window_start.sum() == 3 * 36
    first = np.flatnonzero(cell.window_start)[5]
    last = np.flatnonzero(cell.window_start)[6] - 1
    mean = (np.arange(1096) % 7.0 + 1)[first : last + 1].mean()
    assert cell.observations["reco"][last] == pytest.approx(mean, rel=1e-6)
    assert cell.observations["gpp"][1000] == pytest.approx(1.0, rel=1e-5)
    assert np.isnan(cell.observations["et"]).all()


def test_the_growth_curve(tmp_path: Path) -> None:
    cell = read(tmp_path, dataset())[0]
    expected = total_biomass(richards_chapman(np.arange(1.0, 108), 200.0, 0.03, 1.5), 0.25)
    np.testing.assert_allclose(cell.trajectory, expected, rtol=1e-6)
    assert cell.has_trajectory
    assert not cell.has_snapshot


def test_humidity_in_the_place_of_the_deficit(tmp_path: Path) -> None:
    made = dataset()
    dry = made.drop_vars("vpd").assign(
        huss=(made["tasmin"].dims, np.full(made["tasmin"].shape, 0.003), {"units": "1"}),
        ps=(made["tasmin"].dims, np.full(made["tasmin"].shape, 99_000.0), {"units": "Pa"}),
    )
    cell = read(tmp_path, dry)[0]
    vapour = 0.003 * 990 / (0.622 + 0.378 * 0.003)
    low, high = (6.1078 * np.exp(17.269 * t / (t + 237.3)) for t in (cell.forcing["tasmin"], cell.forcing["tasmax"]))
    expected = 0.5 * (np.maximum(low - vapour, 0) + np.maximum(high - vapour, 0))
    np.testing.assert_allclose(cell.forcing["vpd"], expected, rtol=1e-4, atol=1e-4)


def test_windows_over_leap_years_and_gaps() -> None:
    for calendar, february in (("standard", 29), ("noleap", 28)):
        start = window_starts(days_of(2004, 2004, calendar), None)
        assert start.sum() == 36
        third = np.flatnonzero(start)[5]
        assert np.flatnonzero(start)[6] - third == february - 20
    values = np.full((10, 2), np.nan)
    values[:5, 0] = 2.0
    values[:4, 1] = 2.0
    found = window_means(values, np.eye(1, 10)[0])
    assert found[9, 0] == 2.0
    assert np.isnan(found[9, 1]), "four days of ten are too few"
    assert np.isnan(found[:9]).all()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda d: d.drop_vars("pr"), "variable pr: is missing"),
        (
            lambda d: d.drop_vars("vpd"),
            "variable vpd: is missing; .*vap, tdps or hurs, or huss with ps for vpd",
        ),
        (lambda d: d.assign(pr=d["pr"].assign_attrs(units="furlong")), "variable pr: unknown unit 'furlong'"),
        (lambda d: d.isel(time=slice(0, 900)), "whole years of days"),
        (lambda d: d.isel(time=np.delete(np.arange(1096), 40)), "not so at 2003-02-11"),
        (lambda d: d.assign_coords(time=d["time"].assign_attrs(calendar="360_day")), "calendar '360_day'"),
        (lambda d: d.drop_vars("lat").rename(lat="y"), "variable lat"),
        (lambda d: d.drop_vars("root_shoot"), "variable root_shoot: is missing"),
        (lambda d: d.assign(growth_amax=d["growth_amax"].assign_attrs(units="kg m-2")), "variable growth_amax: unit"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, edit, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        read(tmp_path, edit(dataset()))
    assert "grid.nc" in str(refused.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "grid.nc").write_text("not netcdf")
    with pytest.raises(InputError, match="not a readable NetCDF file"):
        list(read_cf_grid(tmp_path / "grid.nc"))
