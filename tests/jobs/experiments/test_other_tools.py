"""CDO, NCO, nccopy, iris and xarray open the products, and select, average and remap from them: the real programs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.io.drivers.store import Store
from tests.support.campaigns.campaigns import succeed, write_campaign
from tests.support.campaigns.stores import write_grid_campaign

pytestmark = pytest.mark.engine

Tool = Callable[..., str]


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory, store: Store) -> dict[str, Path]:
    """Products of towers and of a grid, forward runs, simulations and differences of a benchmark."""
    folder = tmp_path_factory.mktemp("products")
    towers, grid = folder / "towers", folder / "grid"
    towers.mkdir()
    grid.mkdir()
    short = {"name": "fast", "starts": 1, "iterations": 40, "windows": [1], "window_iterations": [20]}
    write_campaign(towers, campaign={"name": "made", "members": 3}, optimiser=short)
    succeed("run", "made.toml", "--out", "made", folder=towers)
    write_grid_campaign(grid, store, campaign={"name": "made", "members": 3})
    succeed("experiments", "made.toml", "--out", "three", folder=grid)
    three = grid / "three"
    succeed("simulate", "made", "--what", "annual", "--out", "S.nc", folder=towers)
    succeed("simulate", three / "growth-curve", "--what", "annual", "--out", "S.nc", folder=grid)
    succeed("benchmark", "made", folder=towers)
    return {
        "towers": towers / "made/merged.nc",
        "grid": three / "growth-curve/merged.nc",
        "forward": three / "forward.nc",
        "simulated towers": towers / "S.nc",
        "simulated grid": grid / "S.nc",
        "differences": towers / "made/benchmark/differences.nc",
    }


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    def run(*words: object) -> str:
        if shutil.which(str(words[0])) is None:
            pytest.skip(f"no {words[0]} here")
        done = subprocess.run([*map(str, words)], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{words}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    return run


PRODUCTS = ("towers", "grid", "forward", "simulated towers", "simulated grid", "differences")


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_tool_opens_every_product(products: dict[str, Path], tool: Tool, tmp_path: Path, name: str) -> None:
    path = products[name]
    with netCDF4.Dataset(path) as file:
        for variable in file.variables.values():
            assert variable.dtype is not str, f"{variable.name} has strings"
            if "_FillValue" in variable.ncattrs():
                assert variable.getncattr("_FillValue") == variable.getncattr("_FillValue"), f"{variable.name}: NaN"
            variable.set_auto_maskandscale(False)
            if variable.dtype.kind == "f" and variable.ndim > 1 and "bnds" not in variable.dimensions:
                assert not np.isnan(variable[:]).any(), f"{variable.name} holds NaN"
    assert tool("cdo", "-s", "showname", path).split()
    tool("ncks", "-O", path, tmp_path / "copy.nc")
    tool("nccopy", "-k", "nc7", path, tmp_path / "classic.nc")
    tool("nccopy", "-d", "4", path, tmp_path / "packed.nc")
    tool("ncatted", "-O", "-a", "note,global,c,c,mine", path, tmp_path / "noted.nc")
    seen = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import iris; print(len(iris.load({str(path)!r})))"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert seen.returncode == 0, seen.stderr
    assert int(seen.stdout) > 0
    with xr.open_dataset(path) as one, xr.open_dataset(path) as two:
        assert one.identical(two), "opened twice in a process"


def test_cdo_and_nco_average_and_remap_a_grid(products: dict[str, Path], tool: Tool, tmp_path: Path) -> None:
    with xr.open_dataset(products["grid"]) as file:
        field = file["turnover_wood"].sel(member=0)
        area = file["cell_area"].where(field.notnull())
        mean = float((field * area).sum() / area.sum())
    chosen = ("-sellevidx,1", "-selname,turnover_wood", products["grid"])
    assert float(tool("cdo", "-s", "outputf,%.9g", "-fldmean", *chosen)) == pytest.approx(mean, rel=1e-5)
    tool("cdo", "-s", "remapcon,r72x36", *chosen, tmp_path / "remapped.nc")
    tool(
        "ncwa", "-O", "-a", "lat,lon", "-w", "cell_area", "-v", "turnover_wood", products["grid"], tmp_path / "mean.nc"
    )
    with xr.open_dataset(tmp_path / "mean.nc") as file:
        assert float(file["turnover_wood"][0]) == pytest.approx(mean, rel=1e-6)


def test_cdo_averages_towers_and_forward_runs(products: dict[str, Path], tool: Tool) -> None:
    for name, variable in (("towers", "turnover_wood"), ("forward", "reference_biomass")):
        with xr.open_dataset(products[name]) as file:
            wanted = file[variable].mean("cell").values
        shown = tool("cdo", "-s", "outputf,%.9g", "-fldmean", f"-selname,{variable}", products[name])
        np.testing.assert_allclose([float(text) for text in shown.split()], wanted, rtol=2e-6)
