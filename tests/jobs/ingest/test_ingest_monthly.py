"""A campaign over places with monthly drivers, on real data, from the file to the merged product."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.io.drivers.store import Store, open_store
from phloem.io.merge.read_cells import read_merged
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.config.campaign_file import load_configuration
from phloem.names import STATUS, STREAMS
from tests.support.campaigns.campaigns import (
    command,
    count,
    differing,
    end,
    merged,
    start,
    succeed,
    wait_for,
    write_campaign,
)
from tests.support.campaigns.comparisons import cells_of, check_windows
from tests.support.campaigns.stores import SHORT, write_grid_campaign

SITES = ["US-SRG", "US-SRM", "FI-Lom"]
"""Two of one half-degree cell, which share their forcing, and one far away."""

EXPERIMENT = {
    "name": "baseline",
    "window_means": list(STREAMS),
    "calibration_years": [2001, 2014],
    "validation_years": [2015, 2015],
    "edc7": False,
}


def cut(data_dir: Path, folder: Path, **changes: np.ndarray) -> Path:
    """Write a file of a few places of the real one."""
    with xr.open_dataset(data_dir / "fluxval_monthly" / "fluxval_monthly.nc", decode_times=False) as file:
        made = file.set_coords("site").sel(site=SITES).load()
    for name, values in changes.items():
        made[name].values[:] = values
    path = folder / "months.nc"
    made.to_netcdf(path)
    return path


def write_monthly_campaign(folder: Path, **sections: dict) -> Path:
    experiment = {**EXPERIMENT, **sections.pop("experiment", {})}
    sections.setdefault("optimiser", SHORT)
    return write_campaign(folder, data={"kind": "grid", "path": "store"}, experiment=experiment, **sections)


@pytest.fixture(scope="module")
def finished(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a campaign that ran over three real places."""
    folder = tmp_path_factory.mktemp("monthly")
    cut(data_dir, folder)
    printed = succeed("ingest", "months.nc", "--what", "monthly", "--out", "store", folder=folder)
    assert "3 places, 2001 to 2016 (standard calendar)" in printed
    assert "3 places share" not in printed, "two do"
    assert "2 places share their forcing" in printed
    write_monthly_campaign(folder)
    succeed("run", "made.toml", "--out", "made", folder=folder)
    return folder


def test_the_product_has_one_dimension_of_places(finished: Path) -> None:
    with netCDF4.Dataset(finished / "made" / "merged.nc") as file:
        assert file["parameters"].dimensions[0] == "cell"
        assert dict(zip(file["cell"][:], file["latitude"][:].round(4), strict=True)) == {
            "US-SRG": 31.7894, "US-SRM": 31.8214, "FI-Lom": 67.9972,
        }  # fmt: skip
        assert "lat" not in file.dimensions
    rows = read_merged(finished / "made" / "merged.nc", ("nnse", "nnse_validation", "status"))
    assert np.isin(
        rows["status"], [STATUS[name] for name in STATUS if name not in ("diverged", "missing", "set_aside")]
    ).all()
    assert np.isfinite(rows["nnse"][..., :4]).all()
    assert np.isfinite(rows["nnse_validation"][..., :3]).all(), "what is withheld is scored"
    assert np.isnan(rows["nnse_validation"][..., 3:]).all(), "no leaf area is withheld, nor biomass"
    north_to_south = list(reversed(rows["cell"].tolist()))
    assert north_to_south == ["FI-Lom", "US-SRM", "US-SRG"]


def test_other_commands_work_on_it(finished: Path) -> None:
    assert json.loads(succeed("status", "made", "--json", folder=finished))["tiles"]
    assert open_campaign(finished / "made").places
    succeed("report", "made", folder=finished)
    page = (finished / "made" / "report" / "index.html").read_text()
    assert "US-SRG" in page
    assert "Time series of places" in page
    good = cells_of(finished / "made").members.good
    assert check_windows(finished / "made", 2e-4) == 4 * good.sum() > 0
    again = succeed("ingest", "months.nc", "--what", "monthly", "--out", "store", "--json", folder=finished)
    told = json.loads(again)
    assert told["cells"] == 3
    assert told["window_means"] == list(STREAMS)
    assert told["downscaled"] == {"from": "months", "rain": "even", "light": "cloudy"}
    assert "all 3 tiles are done" in succeed("run", "made", folder=finished), "an ingest again changes no cell"


def test_the_file_may_lie_elsewhere_but_not_be_another(finished: Path, data_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "store", tmp_path / "store")
    cut(data_dir, tmp_path)
    done = command("ingest", "months.nc", "--what", "monthly", "--out", "store", folder=tmp_path)
    assert done.returncode == 2
    assert "was begun with something else" in done.stderr


def test_withheld_values_change_no_bit_of_the_calibration(finished: Path, data_dir: Path, tmp_path: Path) -> None:
    """With quite other withheld fluxes every number but their own score is the same."""
    with xr.open_dataset(finished / "months.nc", decode_times=False) as file:
        other = {name: 3 * file[name].values[:, ::-1] + 1 for name in ("GPP_val", "NEE_val", "ET_val")}
        seen = np.isfinite(file.GPP.values)
    other = {name: np.where(seen, np.nan, values) for name, values in other.items()}
    cut(data_dir, tmp_path, **other)
    succeed("ingest", "months.nc", "--what", "monthly", "--out", "store", folder=tmp_path)
    write_monthly_campaign(tmp_path)
    succeed("run", "made.toml", "--out", "made", folder=tmp_path)
    assert differing(merged(finished / "made"), merged(tmp_path / "made")) == {"nnse_validation"}
    sums = [open_store(folder / "store").columns["checksum"] for folder in (finished, tmp_path)]
    assert not set(sums[0]) & set(sums[1]), "a campaign notices all the same that the store is another"


def test_what_is_fitted_and_what_is_scored_are_the_files(finished: Path) -> None:
    made = open_store(finished / "store")
    experiment = load_configuration(finished / "made.toml").calibration
    with xr.open_dataset(finished / "months.nc", decode_times=False) as file:
        for cell in made.read(range(3)):
            site = experiment.site(cell)
            own = file.isel(site=file["site"].values.tolist().index(cell.name))
            for window, gpp, nbe in (("calibration", own.GPP, own.NBE), ("validation", own.GPP_val, own.NEE_val)):
                observed, _ = site.observed(window)
                for name, values in (("gpp", gpp), ("reco", gpp + nbe)):
                    weight = getattr(observed, f"{name}_weight") > 0
                    known = values.values[np.isfinite(values.values)]
                    np.testing.assert_array_equal(getattr(observed, name)[weight].astype(np.float32), known)
                assert (1 / observed.window_share[observed.gpp_weight > 0]).round().min() >= 28


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        ({"window_means": ["reco"]}, 'set experiment.window_means = ["gpp", "reco", "et", "lai"] (it is ["reco"])'),
        ({"window_means": ["lai", "gpp"]}, "window_means: some of gpp, reco, et, lai, in this order, each once"),
        ({"window_means": ["gpp", "biomass"]}, "window_means"),
        ({"name": "single-year", "validation_years": [2015, 2016]}, "let experiment.validation_years end with 2015"),
        ({"validation_years": [2015, 2017]}, "the store has the years 2001 to 2016"),
    ],
)
def test_a_campaign_that_does_not_fit_the_store_is_refused(finished: Path, tmp_path: Path, experiment, said) -> None:
    shutil.copytree(finished / "store", tmp_path / "store")
    write_monthly_campaign(tmp_path, experiment=experiment)
    done = command("plan", "made.toml", "--out", "made", folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "made").exists()


def test_means_are_refused_over_a_store_of_days(store: Store, tmp_path: Path) -> None:
    write_grid_campaign(tmp_path, store, name="baseline", experiment={"window_means": list(STREAMS)})
    done = command("plan", "made.toml", "--out", "made", folder=tmp_path)
    assert done.returncode == 2
    assert 'set experiment.window_means = ["reco"]' in done.stderr


def test_the_default_leaves_fingerprints_as_they_were(store: Store, tmp_path: Path) -> None:
    path = write_grid_campaign(tmp_path, store)
    plain = load_configuration(path)
    said = load_configuration(path, ['experiment.window_means=["reco"]'])
    other = load_configuration(path, ["experiment.window_means=[]"])
    assert plain.fingerprint() == said.fingerprint() != other.fingerprint()


def test_a_folder_of_cardamom_files_and_an_ingest_file_make_the_same_cells(data_dir: Path, tmp_path: Path) -> None:
    """The real places, each a file of CARDAMOM whose GPP has another name and sign: the cells of one file."""
    cut(data_dir, tmp_path)
    succeed("ingest", "months.nc", "--what", "monthly", "--out", "one", folder=tmp_path)
    (tmp_path / "sites").mkdir()
    with xr.open_dataset(tmp_path / "months.nc", decode_times=False) as file:
        for site in SITES:
            place = file.sel(site=site).load()
            north, east = (float(place[name]) for name in ("latitude", "longitude"))
            kept = place[["T2M_MIN", "T2M_MAX", "SSRD", "CO2", "VPD", "TOTAL_PREC", "BURNED_AREA", "NBE", "ET", "LAI"]]
            kept = kept.assign(UPTAKE=-place["GPP"]).drop_vars(["site", "latitude", "longitude"], errors="ignore")
            kept = kept.rename_dims(time="time_dim").assign(LAT=north, LON=east, ID=1100.0)
            kept["UPTAKE"].attrs = {"units": "CO2 uptake [gC m-2 d-1]", "single_unc": 0.3}
            kept.fillna(-9999.0).to_netcdf(tmp_path / "sites" / f"{site}.cbf.nc")
    (tmp_path / "sites.toml").write_text('path = "sites"\n[variables]\ngpp = { name = "UPTAKE", sign = -1 }\n')
    printed = succeed("ingest", "sites.toml", "--what", "monthly", "--out", "two", folder=tmp_path)
    assert "3 places, 2001 to 2016 (standard calendar)" in printed
    assert "UPTAKE: uncertainties (single_unc = 0.3) are not used" in printed
    one, two = (open_store(tmp_path / name) for name in ("one", "two"))
    assert one.names == two.names
    for first, second in zip(one.read(range(3)), two.read(range(3)), strict=True):
        for name, values in first.forcing.items():
            np.testing.assert_array_equal(values, second.forcing[name], err_msg=name)
        for name, values in first.observations.items():
            np.testing.assert_allclose(values, second.observations[name], rtol=1e-6, err_msg=name)
    again = command("ingest", "sites", "--what", "monthly", "--out", "two", folder=tmp_path)
    assert again.returncode == 2
    assert "was begun with something else" in again.stderr
    succeed("ingest", "sites.toml", "--what", "monthly", "--out", "two", folder=tmp_path)


def test_wrong_files_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    for source, said in (("none.nc", "no such file"), ("text.nc", "not a readable NetCDF file")):
        (tmp_path / "text.nc").write_text("text")
        done = command("ingest", source, "--what", "monthly", "--out", "store", folder=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "store").exists()
    done = command("ingest", "text.nc", "--what", "weekly", folder=tmp_path)
    assert "'weekly' is not one of 'drivers', 'monthly'" in done.stderr
    done = command("ingest", "text.nc", "--what", "monthly", folder=tmp_path)
    assert "--out is missing" in done.stderr


@pytest.mark.engine
def test_a_killed_campaign_ends_with_the_same_bits(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "store", tmp_path / "store")
    longer = {**SHORT, "iterations": 200, "window_iterations": [40, 20], "tolerance": 1e-9}
    write_monthly_campaign(tmp_path, optimiser=longer, tiles={"cells": 3, "checkpoint_minutes": 0.01})
    succeed("run", "made.toml", "--out", "calm", folder=tmp_path)
    succeed("plan", "made.toml", "--out", "hard", folder=tmp_path)
    root = tmp_path / "hard"
    for _ in range(3):
        before = count(root, "checkpoint")
        process = start("run", "made.toml", "--out", "hard", folder=tmp_path)
        try:
            wait_for("a checkpoint", lambda: count(root, "checkpoint") > before or process.poll() is not None)  # noqa: B023
            time.sleep(0.3)
            assert process.poll() is None, "it was to be killed while it computed"
            os.killpg(process.pid, signal.SIGKILL)
        finally:
            end(process)
    succeed("run", "hard", folder=tmp_path)
    assert count(root, "resumed") >= 2
    assert differing(merged(tmp_path / "calm"), merged(root), {"attempt"}) == set()
