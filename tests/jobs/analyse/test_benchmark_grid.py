"""`phloem benchmark` on the three experiments: windows, cycled years, maps, stocks, growth curves, one mask for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from phloem.io.drivers.store import Store
from phloem.jobs.analyse.benchmark import benchmark, describe
from phloem.jobs.analyse.benchmark_cells import forward_biomass
from phloem.kernels.calibrations.dalec_daily.derived_quantities import derive
from tests.support.campaigns.campaigns import command, succeed
from tests.support.campaigns.comparisons import cells_of, check_nnse, check_windows, write, write_map
from tests.support.campaigns.stores import write_grid_campaign
from tests.support.kernels.dalec_names import PARAMETERS

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Path:
    """The three experiments in double precision, of three members."""
    folder = tmp_path_factory.mktemp("three")
    write_grid_campaign(folder, store, experiment={"precision": "float64"}, campaign={"name": "made", "members": 3})
    succeed("experiments", "made.toml", "--out", "three", folder=folder)
    return folder / "three"


@pytest.mark.parametrize("experiment", ["baseline", "single-year", "growth-curve"])
def test_withheld_scores_are_those_of_the_calibration_on_a_grid(three: Path, experiment: str) -> None:
    """Windows of RECO, composites of LAI, and years that are met again after 72 others."""
    good = cells_of(three / experiment).members.good
    assert good.any()
    assert check_nnse(three / experiment, 1e-8) == 4 * good.sum()


@pytest.mark.parametrize("experiment", ["baseline", "single-year", "growth-curve"])
def test_series_of_places_are_those_of_the_calibration(three: Path, experiment: str) -> None:
    """From the first calibration year on, also where a later year is met before it for the last time."""
    assert check_windows(three / experiment, 1e-8) == cells_of(three / experiment).members.good.sum()


def test_the_report_shows_the_series_that_are_asked_for(three: Path) -> None:
    names = cells_of(three / "growth-curve").members.cells
    page = three / "growth-curve/report/index.html"
    succeed("report", "growth-curve", "--as-is", folder=three)
    assert all(f'id="place-{number}"' in page.read_text() for number in range(3))
    succeed("report", "growth-curve", "--as-is", "--cells", f"{names[2]}, {names[0]}", folder=three)
    assert "2 of 3 cells, as asked for" in page.read_text()
    kept = sorted(path.name for path in page.parent.glob("data/series_*.csv"))
    assert kept == [f"series_0_{names[0]}.csv", f"series_2_{names[2]}.csv"]
    table = (page.parent / "data" / kept[0]).read_text().splitlines()
    assert table[0].startswith("first_day,gpp_observed,gpp_withheld,gpp_median,gpp_low,gpp_high,")
    assert table[1].startswith("2001-01-01,")
    before = page.read_bytes()
    refused = command("report", "growth-curve", "--as-is", "--cells", f"{names[0]},nowhere", folder=three)
    assert (refused.returncode, page.read_bytes()) == (2, before)
    assert f"has no cell nowhere; it has {names[0]}" in refused.stderr
    refused = command("report", ".", "--as-is", "--cells", names[0], folder=three)
    assert refused.returncode == 2
    assert "--cells goes with a single campaign" in refused.stderr


def test_the_three_experiments_side_by_side(three: Path) -> None:
    found = benchmark(three)
    forward = json.loads((three / "forward.json").read_text())
    by_slug = {one["slug"]: one for one in found["comparisons"]}
    assert found["experiments"] == ["baseline", "single-year", "growth-curve"]
    for name, wanted in forward["biomass"].items():
        scores = by_slug[f"{name}-growth-curves-biomass"]["scores"]
        for key in ("rmse", "r2_pearson", "r2_explained", "pbias"):
            assert scores[key] == pytest.approx(wanted[key], rel=1e-5, abs=1e-6), (name, key)
    gpp = [by_slug[f"{name}-gpp-withheld"] for name in found["experiments"]]
    assert len({one["pairs"] for one in gpp}) == 1, "one mask for all"
    assert by_slug["baseline-reco-withheld"]["name"] == "withheld RECO, means over windows"
    assert {s["by"] for s in gpp[0]["strata"]} == {"season", "year", "pft", "site"}
    assert gpp[0]["weighted"]["rmse"] == pytest.approx(gpp[0]["scores"]["rmse"], rel=0.2)
    closure = gpp[0]["balance"]["sum of nep - change of stocks"]
    assert closure["worst"] < 1e-6, "double precision conserves carbon"
    with xr.open_dataset(three / "benchmark/differences.nc") as file:
        name = "growth_curve_growth_curves_biomass"
        np.testing.assert_allclose(
            file[f"{name}_simulated"] - file[f"{name}_reference"], file[f"{name}_difference"], rtol=1e-4, atol=1e-4
        )
        assert file.sizes["cell"] == 3
    own = json.loads((three / "baseline/benchmark/benchmark.json").read_text())
    assert own["experiments"] == ["baseline"]
    lines = describe(found)
    assert any(line.startswith("growth-curve: growth curves") for line in lines)


def test_maps_of_parameters_and_of_derived_quantities(three: Path, tmp_path: Path) -> None:
    folder = three / "growth-curve"
    cells = cells_of(folder)
    wood = derive(cells.members.parameters)["turnover_wood"]
    write_map(tmp_path / "wood.nc", cells, np.nanmedian(wood, 1) / 0.8 / 365.25, "d-1")
    lcma = cells.members.parameters[..., PARAMETERS.index("lcma")]
    write_map(tmp_path / "lcma.nc", cells, np.nanmedian(lcma, 1) * 1000, "")
    given: dict[str, Any] = {"kind": "map", "variable": "x", "screened": False}
    config = write(
        tmp_path / "b.toml",
        {**given, "name": "made", "quantity": "turnover_wood", "path": "wood.nc"},
        {**given, "name": "no unit", "quantity": "lcma", "path": "lcma.nc", "units": "g m-2"},
        {**given, "name": "scaled", "quantity": "lcma", "path": "lcma.nc", "units": "g m-2", "scale": 0.001},
        {**given, "name": "screened", "quantity": "turnover_wood", "path": "wood.nc", "screened": True},
    )
    found = benchmark(folder, config, tmp_path / "out")
    one, wrong, scaled, screened = found["comparisons"]
    assert one["scores"]["pbias"] == pytest.approx(-20, abs=1e-4)
    assert one["scores"]["slope_obs_on_pred"] == pytest.approx(1.25, rel=1e-4)
    assert one["units"] == "yr-1"
    assert "about 1000 times larger" in wrong["warnings"][0]
    assert scaled["warnings"] == []
    assert scaled["scores"]["rmse"] == pytest.approx(0, abs=1e-3)
    median = np.nanmedian(wood, 1)
    mad = np.nanmedian(np.abs(wood - median[:, None]), 1)
    kept = int(((1.4826 * mad / median <= 0.3) & (np.isfinite(wood).sum(1) >= 3)).sum())
    if kept:
        assert screened["pairs"] == kept
    else:
        assert screened["refused"].startswith("all 3 cells masked")


def test_stocks_are_those_of_the_forward_runs(three: Path, tmp_path: Path) -> None:
    """Simulation year 100 of the growth-curve run has the forcing of 2012; its forward run is the run itself."""
    cells = cells_of(three / "growth-curve")
    biomass, units, _ = cells.values("biomass", [2012, 2019])
    assert biomass.shape == (3, 3, 2)
    assert units == "Mg ha-1"
    runs, target = forward_biomass(cells.members, 100)
    np.testing.assert_allclose(biomass[..., 0], 0.01 * runs, rtol=1e-5)
    assert np.isfinite(target).all()
    agb = cells.values("agb", [2012])[0][..., 0]
    parts = sum(cells.values(pool, [2012])[0][..., 0] for pool in ("foliar", "wood"))
    np.testing.assert_allclose(agb, 0.01 * parts, rtol=1e-6)
    known = np.isfinite(agb)
    assert (known == cells.members.good).all()
    assert (agb < biomass[..., 0])[known].all()
    made = np.stack([np.nanmean(agb, 1)] * 2)
    lat, lon = cells.members.latitude, cells.members.longitude
    sites = xr.Dataset(
        {"agb": (("time", "place"), made / 0.47, {"units": "Mg ha-1"})},
        {
            "place": cells.members.cells,
            "latitude": ("place", lat),
            "longitude": ("place", lon),
            "time": ("time", [11 * 365, 18 * 365], {"units": "days since 2001-01-10"}),
        },
    )
    sites.to_netcdf(tmp_path / "cci.nc")
    config = write(
        tmp_path / "b.toml",
        {"kind": "map", "name": "CCI", "quantity": "agb", "path": "cci.nc", "variable": "agb", "scale": 0.47,
         "years": [2012, 2019], "screened": False, "statistic": "mean"},
    )  # fmt: skip
    (one,) = benchmark(three / "growth-curve", config, tmp_path / "out")["comparisons"]
    assert one["pairs"] == 6
    assert one["cells"] == 3
    assert one["regrid"] == "cells"
    first = (tmp_path / "out/cci-agb.csv").read_text().splitlines()[1:4]
    assert all(abs(float(row.split(",")[-1])) < 1e-3 for row in first), "the first year is what was simulated"


def test_maps_of_mean_fluxes_are_those_of_a_simulation(three: Path, tmp_path: Path) -> None:
    """What `phloem simulate` writes of some years, as a map, is what the benchmark compares; half of it is half."""
    folder = three / "growth-curve"
    succeed("simulate", folder, "--out", tmp_path / "years.nc", "--what", "annual", folder=tmp_path)
    cells = cells_of(folder)
    with xr.open_dataset(tmp_path / "years.nc") as file:
        years = file["time"].dt.year.values
        wanted = np.isin(years, [2018, 2019])
        lengths = np.where(years % 4 == 0, 366, 365)[wanted]
        at = {key: xr.DataArray(getattr(cells.members, key), dims="cell") for key in ("latitude", "longitude")}
        places = {"lat": at["latitude"], "lon": at["longitude"]}
        found = file[["gpp", "lai"]].isel(time=wanted).sel(places, method="nearest").load()
    assert wanted.sum() == 2
    means = {
        name: np.average(found[name].transpose("cell", "member", "time"), axis=2, weights=lengths) for name in found
    }
    write_map(tmp_path / "gpp.nc", cells, 365.25 * np.nanmedian(means["gpp"], 1), "gC m-2 yr-1")
    write_map(tmp_path / "lai.nc", cells, 2 * np.nanmedian(means["lai"], 1), "1")
    given: dict[str, Any] = {"kind": "map", "variable": "x", "screened": False, "mean_years": [2018, 2019]}
    config = write(
        tmp_path / "b.toml",
        {**given, "name": "mean", "quantity": "gpp", "path": "gpp.nc"},
        {**given, "name": "double", "quantity": "lai", "path": "lai.nc"},
        {**given, "name": "screened", "quantity": "gpp", "path": "gpp.nc", "screened": True},
    )
    gpp, lai, _ = benchmark(folder, config, tmp_path / "out")["comparisons"]
    assert gpp["pairs"] == 3
    assert gpp["scores"]["rmse"] == pytest.approx(0, abs=1e-4)
    assert gpp["scorecard"]["bias"] == pytest.approx(1, abs=1e-4)
    assert lai["scores"]["pbias"] == pytest.approx(-50, abs=1e-3)
    assert lai["scorecard"]["bias"] == pytest.approx(np.exp(-0.5), abs=1e-3)
    late = "reference.0.mean_years=[2018, 2031]"
    refused = command("benchmark", folder, "--config", tmp_path / "b.toml", "--set", late, folder=tmp_path)
    assert refused.returncode == 2
    assert "no run has all years of 2018 to 2031" in refused.stderr
    backward = "reference.0.mean_years=[2019, 2018]"
    refused = command("benchmark", folder, "--config", tmp_path / "b.toml", "--set", backward, folder=tmp_path)
    assert refused.returncode == 2
    assert "mean_years must ascend" in refused.stderr


def test_an_even_draw_of_many_cells_is_said(three: Path, tmp_path: Path) -> None:
    config = write(tmp_path / "b.toml", {"kind": "withheld", "streams": ["et"]}, cells=2)
    done = command("benchmark", three / "baseline", "--config", config, "--out", tmp_path / "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 of 3 cells, evenly drawn (cells = 2)" in done.stderr
    assert "2 of 3 cells, evenly drawn" in done.stdout
    assert json.loads((tmp_path / "out/benchmark.json").read_text())["comparisons"][0]["cells"] == 2
