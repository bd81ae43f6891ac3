"""Mass checks of product files: by hand, against the arrays' own functions, in bands of any height."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.analysis.benchmark.skill_scores import cell_area, mass_balance, stock_closure
from phloem.analysis.causes.mass_identities import MassCheck, StocksAt, check_mass
from phloem.errors import InputError
from phloem.io.products.raw_files import OpenFiles
from phloem.io.references.flux_fields import BAND_BYTES, open_flux_fields

LAT, LON = np.arange(-45.0, 90.0, 30.0), np.arange(-165.0, 180.0, 30.0)
MONTHS = np.arange("2001-01", "2005-01", dtype="datetime64[M]")
DAYS = np.diff(np.append(MONTHS, MONTHS[-1] + 1).astype("datetime64[D]")).astype(float)


def product(seed: int = 0) -> xr.Dataset:
    """Balanced fluxes and monthly stocks at the ends of the months, that close exactly."""
    rng = np.random.default_rng(seed)
    shape = (len(MONTHS), len(LAT), len(LON))
    npp, ra, rh = rng.gamma(2, 1, (3, *shape))
    nep = npp - rh
    fields = {"npp": npp, "ra": ra, "rh": rh, "gpp": npp + ra, "reco": ra + rh, "nep": nep, "nee": -nep}
    stored = 9000 + np.cumsum(nep * DAYS[:, None, None], axis=0)
    stocks = {"cVeg": 0.3 * stored, "cLitter": 0.1 * stored, "cSoil": 0.6 * stored}
    dims = ("time", "lat", "lon")
    return xr.Dataset(
        {
            **{name: (dims, values, {"units": "gC m-2 d-1"}) for name, values in fields.items()},
            **{name: (dims, values, {"units": "gC m-2"}) for name, values in stocks.items()},
        },
        {
            "time": ("time", MONTHS.astype("datetime64[ns]") + np.timedelta64(14, "D")),
            "lat": ("lat", LAT, {"units": "degrees_north"}),
            "lon": ("lon", LON, {"units": "degrees_east"}),
        },
    )


def check(
    path: Path, band_bytes: int = BAND_BYTES, stocks_at: StocksAt = "year_end", land: np.ndarray | None = None
) -> MassCheck:
    with OpenFiles() as files:
        return check_mass(open_flux_fields([path], files), land, stocks_at, band_bytes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "product.nc"


def test_a_balanced_product_has_no_residual(path: Path) -> None:
    product().to_netcdf(path)
    found = check(path)
    assert len(found.identities) == 5
    assert all(one.rmse.max() < 1e-12 for one in found.identities.values())
    assert found.closure is not None
    assert found.closure.years.tolist() == [2002, 2003, 2004]
    assert abs(found.closure.imbalance) < 1e-9
    assert found.left_out == ()


def test_an_even_offset_is_its_rate_times_the_earth(path: Path) -> None:
    """0.01 gC m-2 d-1 of respiration too much, everywhere, 365.25 days a year in 2001 to 2004."""
    world = product()
    world["reco"] += 0.01
    world.to_netcdf(path)
    rest = check(path).identities["reco - (ra + rh)"]
    area = (cell_area(LAT, 30.0)[:, None] * np.ones(len(LON))).sum()
    assert rest.residual == pytest.approx(0.01 * area * 365.25 / 1e15)
    assert rest.absolute == pytest.approx(rest.residual)
    assert rest.rmse == pytest.approx(np.full((len(LAT), len(LON)), 0.01))


def test_months_count_by_their_days(path: Path) -> None:
    """An offset in Februaries alone: 28.25 days a year of four, not a twelfth."""
    world = product()
    february = (np.arange(len(MONTHS)) % 12 == 1)[:, None, None]
    world["nee"] = world["nee"] + np.where(february, 1.0, 0.0)
    world.to_netcdf(path)
    area = cell_area(LAT, 30.0).sum() * len(LON)
    assert check(path).identities["nep + nee"].residual == pytest.approx(area * 28.25 / 1e15)


def test_the_residual_and_cells_are_those_of_the_arrays_own_functions(path: Path) -> None:
    world = product()
    rng = np.random.default_rng(3)
    world["gpp"] += rng.normal(0, 0.3, world["gpp"].shape)
    world["gpp"][:, 0, 0] = np.nan
    world.to_netcdf(path)
    found = check(path)
    area = np.repeat(cell_area(LAT, 30.0), len(LON))
    flat = {name: world[name].values.reshape(len(MONTHS), -1).T for name in ("gpp", "npp", "ra", "nep", "reco")}
    due = mass_balance(flat, area)["gpp - (npp + ra)"]
    told = found.identities["gpp - (npp + ra)"].to_json()
    assert told["rmse"] == pytest.approx(due["rmse"])
    assert told["worst"] == pytest.approx(due["worst"])
    assert told["residual"] == pytest.approx(due["residual"], rel=0.05)
    assert told["cells"] == len(area) - 1
    assert np.isnan(found.identities["gpp - (npp + ra)"].rmse[0, 0])


def test_stock_closure_is_that_of_the_arrays_own_function(path: Path) -> None:
    world = product()
    world["cSoil"] += np.random.default_rng(1).normal(0, 50, world["cSoil"].shape)
    world.to_netcdf(path)
    found = check(path).closure
    assert found is not None
    nep = (world["nep"].values * DAYS[:, None, None]).reshape(4, 12, -1).sum(1)[1:].T
    stocks = np.sum([world[name].values[11::12].reshape(4, -1) for name in ("cVeg", "cLitter", "cSoil")], axis=0).T
    area = np.repeat(cell_area(LAT, 30.0), len(LON))
    due = stock_closure(nep, stocks, area)
    assert found.imbalance == pytest.approx(due["residual"])
    assert found.to_json()["rmse"] == pytest.approx(due["rmse"])
    assert found.to_json()["worst"] == pytest.approx(due["worst"])
    assert found.mean == pytest.approx((nep - np.diff(stocks, axis=1)).mean(1).reshape(len(LAT), len(LON)))


def test_bands_of_any_height_give_the_same_maps(path: Path) -> None:
    world = product()
    world["gpp"] += np.random.default_rng(3).normal(0, 0.3, world["gpp"].shape)
    world.to_netcdf(path)
    whole, rows = check(path), check(path, band_bytes=1)
    for name, one in whole.identities.items():
        np.testing.assert_array_equal(one.rmse, rows.identities[name].rmse)
        assert one.residual == pytest.approx(rows.identities[name].residual)
    assert whole.closure is not None
    assert rows.closure is not None
    np.testing.assert_array_equal(whole.closure.rmse, rows.closure.rmse)


def test_land_fraction_weighs_cells_and_rows_may_run_south(path: Path) -> None:
    world = product()
    world["reco"] += 0.01
    land = np.zeros((len(LAT), len(LON)))
    land[-1, :6] = 0.5
    world.to_netcdf(path)
    due = 0.01 * 3 * cell_area(LAT, 30.0)[-1] * 365.25 / 1e15
    assert check(path, land=land).identities["reco - (ra + rh)"].residual == pytest.approx(due)
    path.unlink()
    world.isel(lat=slice(None, None, -1)).to_netcdf(path)
    assert check(path, land=land[::-1]).identities["reco - (ra + rh)"].residual == pytest.approx(due)


def test_annual_stocks_in_a_file_of_their_own_are_compared_by_year(tmp_path: Path) -> None:
    """Stocks that grow by 100 gC m-2 a year, mean of the year; NEP of 100 gC m-2 in each year."""
    world = product()
    steady = np.broadcast_to(
        (100 / np.add.reduceat(DAYS, [0, 12, 24, 36])).repeat(12)[:, None, None], world["nep"].shape
    )
    fluxes = world[["nep"]].copy(data={"nep": steady})
    fluxes.to_netcdf(tmp_path / "nep.nc")
    years = np.arange(2000, 2006)
    grown = np.broadcast_to((100.0 * years)[:, None, None], (6, len(LAT), len(LON)))
    stock = xr.Dataset(
        {"cVeg": (("year", "lat", "lon"), grown / 1000, {"units": "kgC m-2"})},
        {"year": ("year", years, {"units": "years"}), "lat": world["lat"], "lon": world["lon"]},
    )
    stock.to_netcdf(tmp_path / "cVeg.nc")
    for at, count in (("year_end", 4), ("annual_mean", 4)):
        with OpenFiles() as files:
            fields = open_flux_fields([tmp_path / "nep.nc", tmp_path / "cVeg.nc"], files)
            closure = check_mass(fields, stocks_at=at).closure  # type: ignore[arg-type]
        assert closure is not None
        assert len(closure.years) == count
        assert abs(closure.imbalance) < 1e-9
        assert closure.change == pytest.approx(100 * cell_area(LAT, 30.0).sum() * len(LON) / 1e15)


def test_units_are_converted(path: Path) -> None:
    world = product()
    for name in ("gpp", "npp", "ra"):
        world[name] = world[name] / 1000 / 86400
        world[name].attrs["units"] = "kg m-2 s-1"
    world.to_netcdf(path)
    assert check(path).identities["gpp - (npp + ra)"].rmse.max() < 1e-10
    assert check(path).identities["nep - (gpp - reco)"].rmse.max() < 1e-10


def test_what_lacks_is_said(path: Path) -> None:
    product()[["gpp", "npp", "ra"]].to_netcdf(path)
    found = check(path)
    assert set(found.identities) == {"npp - (gpp - ra)", "gpp - (npp + ra)"}
    assert "nep + nee: no nep, nee" in found.left_out
    assert "stock closure: no stocks" in found.left_out


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda w: w[["gpp"]], "nothing to check"),
        (lambda w: w[["cVeg"]], r"product.nc: nothing to check: nep \+ nee: no nep, nee"),
        (lambda w: w.rename({name: f"x{name}" for name in w.data_vars}), "no variable gpp or reco"),
        (lambda w: w.isel(time=[*range(5), *range(6, 48)]), "month 2001-06 is missing"),
        (lambda w: w.assign(gpp=w["gpp"].assign_attrs(units="K")), "variable gpp: unit 'K'; due is gC m-2 d-1"),
    ],
)
def test_a_file_that_cannot_be_checked_is_refused_by_name(path: Path, damage: object, words: str) -> None:
    damage(product()).to_netcdf(path)  # type: ignore[operator]
    with pytest.raises(InputError, match=words):
        check(path)
