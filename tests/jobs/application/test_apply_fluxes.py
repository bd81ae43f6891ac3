"""`phloem apply`: sites and grids, blocks and kills, oceans and refusals, totals, CF, over a small real campaign."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.drivers.store import Store
from phloem.io.flux_drivers.open_drivers import open_drivers
from phloem.io.grids.placed_cells import EARTH_RADIUS
from phloem.jobs.application import blocks
from phloem.jobs.application.apply_fluxes import ApplyChoice, apply_fluxes
from phloem.jobs.application.fitted_models import fitted_models
from tests.io.merge.test_cf_conventions import CheckSuite
from tests.support.campaigns.applied_upscalings import write_upscaling
from tests.support.campaigns.campaigns import command, end, start, succeed, wait_for
from tests.support.drivers.flux_towers import MadeGrid

GRID = MadeGrid()


@pytest.fixture(scope="module")
def upscaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged campaign."""
    folder = tmp_path_factory.mktemp("upscaled")
    write_upscaling(folder)
    succeed("run", "upscaled.toml", "--out", "up", folder=folder)
    return folder / "up"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of drivers."""
    folder = tmp_path_factory.mktemp("drivers")
    GRID.write(folder / "grid.nc")
    GRID.write_sites(folder / "sites.nc")
    GRID.write(folder / "cmip.nc", statics=False, cmip=True)
    GRID.write_static(folder / "static.nc")
    return folder


@pytest.fixture(scope="module")
def mapped(upscaled: Path, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product of the grid, as the command writes it."""
    folder = tmp_path_factory.mktemp("mapped")
    succeed("apply", upscaled, "--drivers", inputs / "grid.nc", "--out", "O.nc", folder=folder)
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("O.")) == ["O.nc", "O.totals.json"]
    return folder / "O.nc"


def as_rows(path: Path, name: str) -> np.ndarray:
    """A variable of either kind of product as (places, months)."""
    with xr.open_dataset(path) as file:
        values = file[name].values
        return values if values.ndim == 2 else values.transpose(1, 2, 0).reshape(-1, values.shape[0])


def contents(path: Path) -> dict[str, bytes]:
    """All variables of a file, as bytes."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        return {name: np.asarray(one[:]).tobytes() for name, one in file.variables.items()}


def test_sites_and_grid_give_the_same_numbers(upscaled: Path, inputs: Path, mapped: Path, tmp_path: Path) -> None:
    out = apply_fluxes(upscaled, tmp_path / "S.nc", ApplyChoice(inputs / "sites.nc", spread=True), workers=1)
    assert out == tmp_path / "S.nc"
    with xr.open_dataset(out) as file:
        assert file.gpp.dims == ("site", "time")
        assert file.site.values[:2].tolist() == ["S000", "S001"]
        spread = (file.gpp_spread_lower <= file.gpp + 1e-5) & (file.gpp <= file.gpp_spread_upper + 1e-5)
        assert bool(spread.where(file.gpp.notnull(), True).all())
    for name in ("gpp", "reco", "nee", "le", "gpp_lower", "nee_upper", "dissimilarity", "inside"):
        np.testing.assert_array_equal(as_rows(out, name), as_rows(mapped, name), err_msg=name)
    assert not (tmp_path / "S.totals.json").exists()


def test_numbers_are_those_of_the_models_applied_to_the_months_of_a_place(
    upscaled: Path, inputs: Path, mapped: Path
) -> None:
    models = fitted_models(str(upscaled))
    source = open_drivers(inputs / "grid.nc")
    names = [name for name in (*models.needed, *models.optional) if source.has(name)]
    band = source.read(slice(2, 3), names, ["TA"])
    place, month = 3, 7
    columns = {name: values[place].astype(float) for name, values in band.values.items()}
    columns |= {name: np.full(24, values[place]) for name, values in band.statics.items()}
    columns |= {"lat": np.full(24, GRID.latitude[2]), "month": GRID.months.astype(float)}
    expected = models.apply(columns)
    with xr.open_dataset(mapped) as file:
        cell = file.isel(time=month, lat=2, lon=place)
        for flux in ("gpp", "reco", "le"):
            np.testing.assert_allclose(cell[flux], max(expected.mean[flux][month], 0), rtol=2e-6)
        np.testing.assert_allclose(cell.nee, expected.mean["nee"][month], rtol=2e-6)
        np.testing.assert_allclose(cell.nee_lower, expected.lower["nee"][month], rtol=2e-6)
        np.testing.assert_allclose(cell.dissimilarity, expected.dissimilarity[month], rtol=1e-5)


def test_names_of_cmip_units_and_layers_beside_give_the_same(
    upscaled: Path, inputs: Path, mapped: Path, tmp_path: Path
) -> None:
    choice = ApplyChoice(inputs / "cmip.nc", inputs / "static.nc")
    out = apply_fluxes(upscaled, tmp_path / "C.nc", choice, workers=1)
    for name in ("gpp", "nee", "le"):
        np.testing.assert_allclose(as_rows(out, name), as_rows(mapped, name), rtol=1e-3, atol=2e-3, err_msg=name)


def test_ocean_and_months_without_a_needed_driver_are_missing_and_nothing_else(mapped: Path) -> None:
    ocean = GRID.ocean.reshape(-1)
    for name in ("gpp", "le_upper", "inside"):
        values = as_rows(mapped, name)
        lacking = np.repeat(ocean[:, None], len(GRID.months), axis=1)
        lacking[2 * len(GRID.longitude) + 3, 5] = True
        np.testing.assert_array_equal(np.isnan(values), lacking)
    assert np.nanmin(as_rows(mapped, "gpp_lower")) >= 0
    assert np.nanmin(as_rows(mapped, "nee")) < 0


def test_blocks_and_workers_of_any_number_give_the_same_bits(
    upscaled: Path, inputs: Path, mapped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = contents(mapped)
    totals = (mapped.parent / "O.totals.json").read_bytes()
    for rows, workers in ((1, 2), (4, 1)):
        monkeypatch.setattr(blocks, "ALL_MONTHS", rows * len(GRID.longitude) * len(GRID.months))
        out = apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(inputs / "grid.nc"), workers=workers)
        assert contents(out) == expected
        assert (tmp_path / "O.totals.json").read_bytes() == totals
    assert not list(tmp_path.glob("*.parts"))


@pytest.mark.engine
def test_the_same_command_goes_on_after_a_kill(upscaled: Path, inputs: Path, mapped: Path, tmp_path: Path) -> None:
    words = ("apply", upscaled, "--drivers", inputs / "grid.nc", "--out", "O.nc")
    process = start(*words, folder=tmp_path)
    try:
        wait_for("a plan", lambda: (tmp_path / "O.nc.parts/plan.json").exists() or process.poll() is not None)
    finally:
        end(process)
    assert (tmp_path / "O.nc.parts/plan.json").exists()
    assert not (tmp_path / "O.nc").exists()
    succeed(*words, folder=tmp_path)
    assert contents(tmp_path / "O.nc") == contents(mapped)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["O.nc", "O.totals.json", "stderr"]


def test_totals_are_those_of_numpy(mapped: Path) -> None:
    document = json.loads((mapped.parent / "O.totals.json").read_text())
    assert document["without_result"] == 0
    assert document["months"] == int(np.isfinite(as_rows(mapped, "gpp")).sum())
    with xr.open_dataset(mapped) as file:
        edges = np.sin(np.radians(file.lat_bnds.values))
        area = EARTH_RADIUS**2 * np.abs(np.diff(edges, axis=1)) * np.radians(0.5)
        np.testing.assert_allclose(file.cell_area, np.broadcast_to(area, GRID.ocean.shape), rtol=1e-9)
        monthly = (file.gpp * file.cell_area).sum(("lat", "lon")) * file.time.dt.days_in_month
        yearly = monthly.groupby("time.year").sum().values / 1e15
        heat = (file.le * file.cell_area).sum(("lat", "lon")) * file.time.dt.days_in_month * 86400 / 2.45e6
        water = heat.groupby("time.year").sum().values / 1e12
    found = document["totals"]
    np.testing.assert_allclose(found["gpp"]["global"]["global"]["total"], yearly, rtol=1e-6)
    np.testing.assert_allclose(found["gpp"]["latitude"]["60N-90N"]["total"][0] > 0, True)
    np.testing.assert_allclose(found["le"]["global"]["global"]["total"], water, rtol=1e-6)


def test_cells_without_land_are_not_computed_and_totals_count_by_land(
    upscaled: Path, inputs: Path, mapped: Path, tmp_path: Path
) -> None:
    drivers = Path(shutil.copy(inputs / "grid.nc", tmp_path / "X.nc"))
    share = np.full(GRID.ocean.shape, 50.0)
    share[0, :3] = 0.0
    with netCDF4.Dataset(drivers, "a") as file:
        file.createVariable("sftlf", "f4", ("lat", "lon"))[:] = share
        file["sftlf"].units = "%"
    out = apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(drivers), workers=1)
    found, whole = as_rows(out, "gpp"), as_rows(mapped, "gpp")
    assert np.isnan(found[:3]).all()
    np.testing.assert_array_equal(found[3:], whole[3:])
    with xr.open_dataset(out) as file:
        area = file.cell_area.values.reshape(-1) * 0.5
        days = file.time.dt.days_in_month.values
        year = file.time.dt.year.values
    expected = np.nansum(found * area[:, None] * days, axis=0)
    totals = json.loads((tmp_path / "O.totals.json").read_text())["totals"]["gpp"]["global"]["global"]
    np.testing.assert_allclose(totals["total"], [expected[year == y].sum() / 1e15 for y in (2010, 2011)], rtol=1e-6)
    lacking = np.isnan(found) & (share.reshape(-1) > 0)[:, None]
    missing = (lacking * area[:, None] * days)[:, year == 2010].sum() / ((share > 0).reshape(-1) * area).sum() / 365
    assert totals["missing"][0] == pytest.approx(missing, rel=1e-6)


@pytest.mark.parametrize("name", ["grid", "sites"])
def test_products_follow_the_conventions_and_open_in_cdo(
    upscaled: Path, inputs: Path, tmp_path: Path, name: str
) -> None:
    out = apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(inputs / f"{name}.nc"), workers=1)
    suite = CheckSuite()
    suite.load_all_available_checkers()
    with suite.load_dataset(str(out)) as dataset:
        ((results, raised),) = suite.run_all(dataset, ["cf:1.11"], skip_checks=[]).values()
    assert not raised
    found = suite.dict_output("cf:1.11", results, str(out), 0)
    assert found["possible_points"] > 500
    assert [message for one in found["high_priorities"] for message in one["msgs"]] == []
    with netCDF4.Dataset(out) as file:
        assert file.configuration_hash
        assert len(file.models_sha256) == 64
        for variable in file.variables.values():
            variable.set_auto_maskandscale(False)
            if variable.dtype != str and variable.dtype.kind == "f":
                assert not np.isnan(variable[:]).any(), variable.name
    if shutil.which("cdo"):
        shown = subprocess.run(["cdo", "-s", "showname", out], capture_output=True, text=True, timeout=60)
        assert shown.returncode == 0, shown.stderr
        assert "gpp_lower" in shown.stdout.split()


def test_what_is_refused_is_named_and_leaves_no_file(upscaled: Path, inputs: Path, tmp_path: Path) -> None:
    lacking = inputs / "lacking.nc"
    if not lacking.exists():
        shutil.copy(inputs / "grid.nc", lacking)
        with netCDF4.Dataset(lacking, "a") as file:
            file.renameVariable("VPD", "moisture")
    with pytest.raises(InputError, match=r"VPD is missing.*hurs.*moisture"):
        apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(lacking))
    with pytest.raises(InputError, match="nowhere"):
        apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(Path("nowhere")))
    with pytest.raises(InputError, match=r"variables\.air"):
        apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(lacking), ["data.variables.air=tas"])
    with pytest.raises(InputError, match="no campaign here"):
        apply_fluxes(tmp_path, tmp_path / "O.nc", ApplyChoice(inputs / "grid.nc"))
    assert list(tmp_path.iterdir()) == []
    out = apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(lacking), ["data.variables.VPD=moisture"], workers=1)
    assert out.is_file()


def test_another_file_of_the_same_name_is_read_anew(upscaled: Path, tmp_path: Path) -> None:
    for rows in (4, 3):
        grid = MadeGrid(rows=rows, columns=5, months=12)
        grid.write(tmp_path / "X.nc")
        out = apply_fluxes(upscaled, tmp_path / "O.nc", ApplyChoice(tmp_path / "X.nc"), workers=1)
        with xr.open_dataset(out) as file:
            assert file.sizes["lat"] == rows
            assert int(file.gpp.isel(time=0).notnull().sum()) == int((~grid.ocean).sum())


def test_drivers_that_change_under_an_application_are_refused(upscaled: Path, inputs: Path, tmp_path: Path) -> None:
    drivers = shutil.copy(inputs / "grid.nc", tmp_path / "X.nc")
    words = ("apply", upscaled, "--drivers", drivers, "--out", "O.nc")
    process = start(*words, folder=tmp_path)
    try:
        wait_for("a plan", lambda: (tmp_path / "O.nc.parts/plan.json").exists() or process.poll() is not None)
    finally:
        end(process)
    with netCDF4.Dataset(drivers, "a") as file:
        file["TA"][0, 0, 0] = 3.0
    said = command(*words, folder=tmp_path)
    assert said.returncode == 1
    assert "not what they were when the application began" in said.stderr
    assert not (tmp_path / "O.nc").exists()


def test_days_of_a_store_become_means_of_months(store: Store) -> None:
    source = open_drivers(store.paths.root)
    assert source.has("TA")
    band = source.read(slice(0, source.places.rows), ["TA", "SWIN", "VPD", "CO2"], ["TA"])
    north, east = source.places.coordinates(slice(0, source.places.rows))
    assert len(band.place) == len(store)
    cell = store.read([0])[0]
    at = int(
        np.flatnonzero(np.isclose(north[band.place], cell.latitude) & np.isclose(east[band.place], cell.longitude))[0]
    )
    days = slice(0, 31)
    mean = 0.5 * (cell.forcing["tasmin"][days].astype(float) + cell.forcing["tasmax"][days]).mean()
    assert band.values["TA"][at, 0] == pytest.approx(mean, rel=1e-5, abs=1e-5)
    assert band.values["SWIN"][at, 0] == pytest.approx(cell.forcing["rsds"][days].mean() / 0.0864, rel=1e-5)
    assert str(source.months[0]) == f"{cell.year[0]:04d}-01"
