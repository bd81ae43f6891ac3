"""Stores of other steps than half a degree, from the plan to what is read of the merged product."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.io.drivers.store import Store
from phloem.io.grids.placed_cells import EARTH_RADIUS
from tests.support.campaigns.campaigns import succeed
from tests.support.campaigns.stores import CELLS, on_grid, write_grid_campaign

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("step", [0.25, 1.0])
def test_a_store_of_another_step_is_merged_and_benchmarked_on_it(step: float, store: Store, tmp_path: Path) -> None:
    made = on_grid(store, tmp_path / "store", step)
    write_grid_campaign(tmp_path, made, "baseline")
    succeed("run", "made.toml", "--out", "campaign", folder=tmp_path)
    with netCDF4.Dataset(tmp_path / "campaign/merged.nc") as file:
        np.testing.assert_allclose(file["lat"][:], 60 + step * np.array([0.5, 1.5]), rtol=1e-12)
        np.testing.assert_allclose(file["lon"][:], 24 + step * np.array([0.5, 1.5, 2.5]), rtol=1e-12)
        np.testing.assert_allclose(file["lat_bnds"][:], [[60, 60 + step], [60 + step, 60 + 2 * step]], rtol=1e-12)
        south = np.sin(np.deg2rad(60 + step)) - np.sin(np.deg2rad(60))
        assert file["cell_area"][0, 0] == pytest.approx(EARTH_RADIUS**2 * np.deg2rad(step) * south, rel=1e-12)
        assert int((file["status_map"][:].filled(-1) >= 0).sum()) == CELLS
    lat, lon = np.arange(59.0, 64, 0.05) + 0.025, np.arange(23.0, 28, 0.05) + 0.025
    values = np.broadcast_to(1000 * (lon - 24) ** 2, (len(lat), len(lon)))
    axes = {"lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"})}
    xr.Dataset({"x": (("lat", "lon"), values, {"units": "yr"})}, axes).to_netcdf(tmp_path / "map.nc")
    (tmp_path / "b.toml").write_text(
        '[[reference]]\nkind = "map"\nname = "made"\nquantity = "leaf_lifespan"\npath = "map.nc"\nvariable = "x"\n'
        "screened = false\n"
    )
    succeed("benchmark", "campaign", "--config", "b.toml", folder=tmp_path)
    table = (tmp_path / "campaign/benchmark/made-leaf-lifespan.csv").read_text().splitlines()
    at = table[0].split(",").index("reference")
    found = sorted(float(row.split(",")[at]) for row in table[1:])
    # The mean of a square over a cell exceeds the square of its middle by a twelfth of the cell's width squared.
    middle = step * np.array([0.5, 0.5, 2.5])
    np.testing.assert_allclose(found, 1000 * (middle**2 + (step**2 - 0.05**2) / 12), rtol=1e-6)
