"""Learned against derived net exchange, and totals of carbon, on grids of any cutting into bands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.analysis.causes.carbon_totals import carbon_totals
from phloem.analysis.causes.net_exchange import SHOWN, compare_net_exchange
from phloem.io.products.raw_files import OpenFiles
from phloem.io.references.flux_fields import open_flux_fields


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three years of gpp, reco and nee on twelve rows, with an ocean and a cell that lacks some months."""
    rng = np.random.default_rng(3)
    time = np.arange("2001-01", "2004-01", dtype="datetime64[M]")
    gpp, reco = rng.gamma(2, 2, (2, len(time), 12, 10))
    nee = reco - gpp + 0.3 * rng.normal(size=gpp.shape) + 0.2
    for one in (gpp, reco, nee):
        one[:, :3, :4] = np.nan
    nee[5:9, 6, 6] = np.nan
    path = tmp_path_factory.mktemp("product") / "fluxes.nc"
    xr.Dataset(
        {
            name: (("time", "lat", "lon"), one, {"units": "gC m-2 d-1"})
            for name, one in {"gpp": gpp, "reco": reco, "nee": nee}.items()
        },
        {
            "time": time.astype("datetime64[ns]"),
            "lat": ("lat", np.arange(82.5, -90.0, -15.0), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(18.0, 360.0, 36.0), {"units": "degrees_east"}),
        },
    ).to_netcdf(path)
    return path


def weights(product: Path) -> np.ndarray:
    """Areas of the cells but for a factor."""
    with xr.open_dataset(product) as file:
        edges = np.deg2rad(np.clip([file.lat.values + 7.5, file.lat.values - 7.5], -90, 90))
    return np.repeat((np.sin(edges[0]) - np.sin(edges[1]))[:, None], 10, 1)


@pytest.mark.parametrize("band_bytes", [1, 50_000, 10**9])
def test_metrics_and_maps_are_those_of_numpy_however_rows_are_cut(product: Path, band_bytes: int) -> None:
    share = np.random.default_rng(0).uniform(0, 1, (12, 10))
    with OpenFiles() as files:
        found = compare_net_exchange(open_flux_fields([product], files), share, band_bytes)
    assert found is not None
    with xr.open_dataset(product) as file:
        direct, indirect = file.nee.values, (file.reco - file.gpp).values
    known = np.isfinite(direct) & np.isfinite(indirect)
    weight = np.broadcast_to(weights(product) * share, known.shape)[known]
    x, y = indirect[known], direct[known]
    assert found.pairs == known.sum()
    mean = [np.average(one, weights=weight) for one in (x, y)]
    covariance = np.average((x - mean[0]) * (y - mean[1]), weights=weight)
    spread = [np.average((one - m) ** 2, weights=weight) for one, m in zip((x, y), mean, strict=True)]
    assert found.metrics["r2_pearson"] == pytest.approx(covariance**2 / spread[0] / spread[1])
    assert found.metrics["nse"] == pytest.approx(1 - np.average((x - y) ** 2, weights=weight) / spread[1])
    assert found.metrics["bias"] == pytest.approx(mean[0] - mean[1])
    assert found.metrics["slope_obs_on_pred"] == pytest.approx(covariance / spread[0])
    assert set(found.to_json()) == {"pairs", *SHOWN}
    assert np.isnan(found.difference[:3, :4]).all()
    np.testing.assert_allclose(found.difference[6, 6], np.nanmean((direct - indirect)[:, 6, 6]))
    np.testing.assert_allclose(found.rmse[8, 2], np.sqrt(np.mean((direct - indirect)[:, 8, 2] ** 2)))


def test_nothing_is_compared_where_a_flux_is_absent(product: Path, tmp_path: Path) -> None:
    with xr.open_dataset(product) as file:
        file[["gpp", "nee"]].to_netcdf(tmp_path / "two.nc")
    with OpenFiles() as files:
        assert compare_net_exchange(open_flux_fields([tmp_path / "two.nc"], files)) is None


@pytest.mark.parametrize("band_bytes", [1, 10**9])
def test_yearly_totals_are_sums_over_area_and_days(product: Path, band_bytes: int) -> None:
    with OpenFiles() as files:
        fields = open_flux_fields([product], files)
        found = carbon_totals(fields, None, band_bytes)
        area = fields.area[:, None]
    with xr.open_dataset(product) as file:
        days = file.time.dt.days_in_month.values[:, None, None]
        total = np.nansum(file.gpp.values * area * days, axis=(1, 2)).reshape(3, 12).sum(1) / 1e15
    assert found["gpp"]["years"] == [2001, 2002, 2003]
    assert found["gpp"]["total"] == pytest.approx(total, rel=1e-9)
    assert found["nee"]["missing"][0] > 0
    assert found["gpp"]["missing"] == [0.0, 0.0, 0.0]
