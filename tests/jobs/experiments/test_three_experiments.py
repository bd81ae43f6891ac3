"""Campaigns over a driver store, from the plan to the forward runs and the comparison of the three experiments."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.analysis.experiments.forward_figures import forward_figure
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.drivers.store import Store, open_store
from phloem.io.merge.member_statistics import nanmedian
from phloem.io.merge.read_cells import read_merged
from phloem.jobs.config.experiments import SIDE_BY_SIDE
from phloem.jobs.config.paths import data_root
from phloem.jobs.experiments.run_forward import ForwardBiomass
from phloem.jobs.experiments.three_experiments import read_truth
from phloem.jobs.synthetic.boreal_domain import make_store
from phloem.jobs.synthetic.boreal_truth import places
from phloem.kernels.calibrations.dalec_daily.grid_objective import NEAR_ZERO
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, UNKNOWNS
from phloem.names import ALL_STREAMS
from tests.support.campaigns.campaigns import command, differing, files, merged, succeed, write_campaign
from tests.support.campaigns.stores import CELLS, LINE, SEED, SHORT, write_grid_campaign
from tests.support.drivers.grid_files import dataset
from tests.support.kernels.dalec_names import GRID

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Path:
    """The three experiments, run by their command."""
    folder = tmp_path_factory.mktemp("experiments")
    write_grid_campaign(folder, store)
    printed = succeed("experiments", "made.toml", "--out", "three", folder=folder)
    assert "live biomass after 100 years" in printed
    assert "three/index.html" in printed
    return folder


def test_the_report_of_the_experiments_and_of_each(experiments: Path) -> None:
    out = experiments / "three/report"
    assert Path(succeed("report", "three", folder=experiments).strip()) == Path("three/report/index.html")
    page = (out / "index.html").read_text(encoding="utf-8")
    for words in ("made: 3 experiments side by side", "PBIAS", "The truth of this synthetic domain", "growth-curve"):
        assert words in page
    compared = json.loads((experiments / "three/experiments.json").read_text())
    rmse = compared["biomass"]["growth-curve"]["rmse"]
    assert f"<b>{rmse:,.1f}</b>" in page
    names = {path.name for path in out.glob("data/*.csv")}
    assert names >= {"baseline_cells.csv", "growth-curve_medians.csv", "biomass.csv", "trajectories.csv", "changes.csv"}
    succeed("report", "three/growth-curve", folder=experiments)
    single = (experiments / "three/growth-curve/report/index.html").read_text(encoding="utf-8")
    assert "one of three experiments over the same cells" in single
    assert '"runs":{"ages":[1,2,3,' in single
    assert len(re.findall('<script type="text/plain" id="layer-', single)) > 4 * 32
    succeed("report", "three", folder=experiments)
    assert (out / "index.html").read_text(encoding="utf-8") == page


def test_the_same_seed_makes_the_same_store(store: Store, tmp_path: Path) -> None:
    again = make_store(tmp_path / "again", CELLS, SEED, None)
    assert again.columns == store.columns
    assert again.paths.truth.read_bytes() == store.paths.truth.read_bytes()
    assert make_store(tmp_path / "other", 1, SEED + 1, None).columns["checksum"][0] not in store.columns["checksum"]


def test_places_lie_where_the_land_is() -> None:
    made_up = places(50, None)
    assert len({(place.latitude, place.longitude) for place in made_up}) == 50
    assert [p.latitude for p in made_up] == sorted(p.latitude for p in made_up)
    if data_root() is None:
        pytest.skip("PHLOEM_DATA: no static_0p5")
    real = places(240, data_root())
    assert len({(place.latitude, place.longitude) for place in real}) == 240
    for place in real:
        assert 0.3 <= place.fractions["pft_needleleaf"] + place.fractions["pft_broadleaf"] <= 1.0
    finland = [place for place in real if 62 < place.latitude < 66 and 24 < place.longitude < 30]
    assert len(finland) > 5


def test_the_products_see_the_truth_with_errors(store: Store) -> None:
    for cell in store.read(range(CELLS)):
        seen = {name: np.isfinite(values) for name, values in cell.observations.items()}
        for name, days in seen.items():
            years = cell.year[days]
            assert (years.min(), years.max()) == (2001, 2019), name
        assert ((cell.doy[seen["lai"]] - 1) % 8 == 0).all()
        ends = np.append(cell.window_start[1:], 1) > 0
        assert ends[seen["reco"]].all()
        assert seen["reco"].sum() == 19 * 36
        assert 0.75 < seen["gpp"].sum() / 6939 < 0.95
        assert (np.diff(cell.trajectory) > 0).all()
        assert cell.trajectory[0] < 1000 < 3000 < cell.trajectory[-1]
        assert cell.statics["biomass_snapshot"] == pytest.approx(cell.trajectory[-1], rel=0.5)


def test_the_merged_product_of_a_grid(experiments: Path) -> None:
    with netCDF4.Dataset(experiments / "three/growth-curve/merged.nc") as file:
        assert file["parameters"].dimensions[:2] == ("lat", "lon")
        assert list(file["stream"][...]) == list(ALL_STREAMS)
    for name, biomass in (("baseline", False), ("single-year", True), ("growth-curve", True)):
        rows = read_merged(experiments / "three" / name / "merged.nc", ("nnse", "nnse_validation", "initial_pools"))
        assert len(rows["cell"]) == CELLS
        assert np.isfinite(rows["nnse"][..., :4]).all()
        assert np.isfinite(rows["nnse"][..., 4]).all() == biomass
        assert np.isnan(rows["nnse_validation"][..., 4]).all()
        low = (rows["initial_pools"][..., :4] <= NEAR_ZERO).all()
        assert low == (name == "growth-curve")


def test_forward_runs_start_alike_and_differ_by_parameters_alone(experiments: Path) -> None:
    root = experiments / "three"
    with netCDF4.Dataset(root / "forward.nc") as file:
        biomass, target = (np.ma.filled(file[name][...], np.nan) for name in ("biomass", "biomass_target"))
        assert list(file["experiment"][...]) == ["baseline", "single-year", "growth-curve"]
    assert biomass.shape == (3, CELLS, 2, 100)
    counted = np.stack(
        [good_lanes(read_merged(root / name / "merged.nc", ("status",))["status"]) for name in SIDE_BY_SIDE]
    )
    assert counted.any()
    assert (np.isfinite(biomass).all(-1) == counted[..., : biomass.shape[2]]).all(), "of members that count, no others"
    start = read_merged(root / "growth-curve/merged.nc", ("initial_pools",))["initial_pools"][..., :4].sum(-1)
    near_zero = biomass[..., 0] < 6 * start
    assert near_zero[counted].all(), "one year from near zero"
    told = json.loads((root / "forward.json").read_text())
    last, wanted = nanmedian(biomass[..., -1], 2) / 50, target[:, -1] / 50
    for row, name in enumerate(("baseline", "single-year", "growth-curve")):
        known = np.isfinite(last[row])
        error = np.sqrt(((last[row] - wanted)[known] ** 2).mean())
        assert told["biomass"][name]["rmse"] == pytest.approx(error, rel=1e-5)
        assert told["biomass"][name]["cells"] == known.sum()
    assert (root / "forward.png").read_bytes()[:4] == b"\x89PNG"


def test_the_growth_curve_run_is_that_of_its_calibration(experiments: Path, store: Store) -> None:
    """The forward run with its own parameters has the biomass whose efficiency the tile file tells."""
    root = experiments / "three"
    with netCDF4.Dataset(root / "forward.nc") as file:
        simulated = file["biomass"][2].astype(float)
    rows = read_merged(root / "growth-curve/merged.nc", ("nnse",))["nnse"][..., 4]
    curves = np.stack([cell.trajectory for cell in store.read(range(CELLS))]).astype(float)
    spread = ((curves - curves.mean(1, keepdims=True)) ** 2).sum(1)[:, None]
    error = ((simulated - curves[:, None, :100]) ** 2).sum(-1)
    known = np.isfinite(error)
    assert known.any()
    assert (spread / (spread + error) >= rows - 1e-4)[known].all(), "107 years have more error than their first 100"


def test_the_comparison(experiments: Path, store: Store) -> None:
    told = json.loads((experiments / "three/experiments.json").read_text())
    assert told["cells"] == CELLS
    assert set(told["nnse"]) == set(told["campaigns"]) == {"baseline", "single-year", "growth-curve"}
    assert set(told["truth"]["baseline"]) == set(told["changes"]["growth-curve"])
    page = (experiments / "three/index.html").read_text()
    for word in ("RMSE", "growth-curve", "data:image/png", "138.7"):
        assert word in page
    assert "http://" not in page
    assert "https://" not in page


def test_what_is_done_is_not_computed_again(experiments: Path) -> None:
    before = merged(experiments / "three/growth-curve")
    done = command("experiments", "made.toml", "--out", "three", folder=experiments)
    assert done.returncode == 0
    assert "committed" not in done.stderr
    assert differing(before, merged(experiments / "three/growth-curve"), set()) == set()


def test_tiles_of_any_size_give_the_same_bits(experiments: Path, store: Store, tmp_path: Path) -> None:
    write_grid_campaign(tmp_path, store, tiles={"cells": 3})
    succeed("run", "made.toml", "--out", "one", folder=tmp_path)
    apart = {"tile", "attempt", "retried", "attributes"}
    assert differing(merged(experiments / "three/growth-curve"), merged(tmp_path / "one"), apart) == set()


def test_the_truth_is_read_with_the_store(experiments: Path, store: Store) -> None:
    from phloem.jobs.campaign.campaign import open_campaign

    campaign = open_campaign(experiments / "three/baseline")
    truth = read_truth(campaign, store.names)
    assert truth is not None
    assert truth.shape == (CELLS, 30)
    for row, p in enumerate(PARAMETERS):
        assert ((truth[:, row] > p.lower) & (truth[:, row] < p.upper)).all(), p.name
    assert len(UNKNOWNS) == 38


def refused(folder: Path, *arguments: object) -> str:
    """Return what a wrong use is told; nothing is left on disk."""
    before = files(folder)
    done = command(*arguments, folder=folder)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert files(folder) == before
    return done.stderr


def test_refusals(store: Store, tmp_path: Path, experiments: Path) -> None:
    write_grid_campaign(tmp_path, store)
    keys = ("--set", "experiment.forcing_years=[1979, 2020]")
    assert "the store has the years 1985 to 2020" in refused(tmp_path, "plan", "made.toml", "--out", "x", *keys)
    keys = ("--set", 'data.sites=["N00.25E000.25"]')
    assert "data.sites: N00.25E000.25 is no cell" in refused(tmp_path, "plan", "made.toml", "--out", "x", *keys)
    keys = ("--set", 'data.path="nowhere"')
    assert "no driver store here" in refused(tmp_path, "plan", "made.toml", "--out", "x", *keys)
    keys = ("--set", "experiment.edc7=true", "--set", 'experiment.name="site"')
    assert "goes with" in refused(tmp_path, "plan", "made.toml", "--out", "x", *keys)
    three = experiments / "three"
    said = refused(tmp_path, "forward", three / "baseline", three / "growth-curve")
    assert "start from the initial pools of a growth-curve campaign" in said
    said = refused(tmp_path, "forward", three / "growth-curve", three / "baseline", "--years", "200")
    assert "1 to 107 can be run" in said


def test_campaigns_that_cannot_be_compared(store: Store, tmp_path: Path, experiments: Path) -> None:
    three = experiments / "three"
    said = refused(tmp_path, "forward", three / "growth-curve", three / "baseline", three / "baseline")
    assert "cannot be told apart" in said
    said = refused(tmp_path, "forward", three / "growth-curve", three / "baseline", "--out", tmp_path / "f.json")
    assert "name a .nc file" in said
    write_grid_campaign(tmp_path, store, "baseline", experiment={"calibration_years": [2003, 2012]})
    succeed("plan", "made.toml", "--out", "later", folder=tmp_path)
    said = refused(tmp_path, "forward", three / "growth-curve", tmp_path / "later")
    assert "calibration_years = [2003, 2012]" in said


def test_scores_over_common_cells_alone() -> None:
    """A cell that one experiment lacks counts in none."""
    biomass = np.full((2, 3, 2, 4), 50.0 * 10)
    biomass[0, 1] = np.nan
    target = np.full((3, 4), 50.0 * 20)
    target[2] = np.nan
    found = ForwardBiomass(
        GRID, ("baseline", "growth-curve"), ("a", "b", "c"), np.zeros((3, 2)), biomass, target, np.ones((2, 3, 2, 30))
    )
    assert found.common.tolist() == [True, False, False]
    assert [score.cells for score in found.scores().values()] == [1, 1]
    assert found.scores()["baseline"].rmse == 10
    assert forward_figure(found).axes


def test_the_three_are_checked_before_the_first_is_computed(store: Store, tmp_path: Path) -> None:
    from phloem.io.drivers.store import seal_store

    shutil.copytree(store.paths.root, tmp_path / "bare")
    bare = open_store(tmp_path / "bare")
    seal_store(bare.paths.root, bare.facts, {**bare.columns, "trajectory": [True, False, True]})
    write_grid_campaign(tmp_path, bare)
    assert "have no trajectory" in refused(tmp_path, "experiments", "made.toml", "--out", "three")


def test_cells_without_biomass_are_refused_when_planned(store: Store, tmp_path: Path) -> None:
    from phloem.io.drivers.store import seal_store

    shutil.copytree(store.paths.root, tmp_path / "bare")
    bare = open_store(tmp_path / "bare")
    seal_store(bare.paths.root, bare.facts, {**bare.columns, "trajectory": [True, False, True]})
    write_grid_campaign(tmp_path, bare)
    said = refused(tmp_path, "plan", "made.toml", "--out", "x")
    assert f"1 of {CELLS} cells have no trajectory" in said
    assert store.names[1] in said
    succeed("plan", "made.toml", "--out", "some", "--set", f"data.sites={json.dumps(store.names[:1])}", folder=tmp_path)


def test_a_store_that_was_changed_is_refused(store: Store, tmp_path: Path) -> None:
    shutil.copytree(store.paths.root, tmp_path / "store")
    write_grid_campaign(tmp_path, open_store(tmp_path / "store"), "baseline")
    succeed("plan", "made.toml", "--out", "planned", folder=tmp_path)
    with netCDF4.Dataset(open_store(tmp_path / "store").paths.chunk(0), "a") as file:
        file["gpp"][0, 7000] = 99.0
    done = command("run", "planned", folder=tmp_path)
    assert done.returncode != 0
    assert "checksum" in done.stderr
    assert store.names[0] in done.stderr
    assert not (tmp_path / "planned/merged.nc").exists()


def test_a_store_may_move(store: Store, tmp_path: Path) -> None:
    shutil.copytree(store.paths.root, tmp_path / "store")
    write_grid_campaign(tmp_path, open_store(tmp_path / "store"), "baseline", experiment={"leaf_economics": LINE})
    succeed("plan", "made.toml", "--out", "planned", folder=tmp_path)
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    succeed("run", "made.toml", "--out", "planned", "--set", 'data.path="elsewhere"', folder=tmp_path)
    assert (tmp_path / "planned/merged.nc").exists()


def test_a_grid_file_is_taken_into_the_campaign(tmp_path: Path) -> None:
    """`data.path` may be one CF-NetCDF file: (time, lat, lon), CMIP names, units by attributes."""
    dataset().to_netcdf(tmp_path / "grid.nc")
    years = {"calibration_years": [2003, 2004], "validation_years": [2005, 2005]}
    experiment = {"name": "baseline", "edc7": False, **years}
    write_campaign(tmp_path, data={"kind": "grid", "path": "grid.nc"}, experiment=experiment, optimiser=SHORT)
    succeed("run", "made.toml", "--out", "campaign", folder=tmp_path)
    rows = read_merged(tmp_path / "campaign/merged.nc", ("nnse", "status"))
    assert len(rows["cell"]) == 5
    assert np.isfinite(rows["nnse"][..., [0, 1, 3]]).all()
    assert np.isnan(rows["nnse"][..., 2]).all(), "the file has no ET"
    (tmp_path / "grid.nc").rename(tmp_path / "gone.nc")
    assert (tmp_path / "campaign/drivers/store.json").is_file()
    succeed("report", "campaign", folder=tmp_path)
    keys = ("--set", 'data.path="gone.nc"', "--set", 'experiment.name="growth-curve"')
    assert "the store has the years 2003 to 2005" in refused(tmp_path, "plan", "made.toml", "--out", "x", *keys)
