"""Another model than DALEC, three parameters and two pools beside phloem, is planned, killed, merged and reported."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import xarray as xr

from tests.support.campaigns.campaigns import command, count, differing, end, merged, start, succeed, wait_for
from tests.support.campaigns.own_model import install, write_campaign

TRUTH = {
    "SN-One": {"melt_factor": 3.0, "drainage_rate": 0.03, "evaporation_factor": 0.15},
    "SN-Six": {"melt_factor": 2.0, "drainage_rate": 0.08, "evaporation_factor": 0.08},
    "SN-Two": {"melt_factor": 4.5, "drainage_rate": 0.01, "evaporation_factor": 0.3},
}
"""What snowpack.made_sites makes its observations with."""


@dataclass
class Snow:
    """A finished campaign of the snow pack.

    Attributes:
        folder: where its sites and its campaign file are.
        environment: in which phloem finds the model.
    """

    folder: Path
    environment: dict[str, str]

    @property
    def root(self) -> Path:
        return self.folder / "calm"


@pytest.fixture(scope="module")
def snow(tmp_path_factory: pytest.TempPathFactory) -> Snow:
    folder = tmp_path_factory.mktemp("snow")
    environment = install(folder / "installed")
    subprocess.run(
        [sys.executable, "-m", "snowpack.made_sites", "sites"],
        cwd=folder,
        env={**os.environ, **environment},
        check=True,
    )
    write_campaign(folder, tiles={"cells": 1})
    succeed("run", "snowpack.toml", "--out", "calm", folder=folder, **environment)
    return Snow(folder, environment)


def test_the_parameters_that_made_the_observations_are_found(snow: Snow) -> None:
    with xr.open_dataset(snow.root / "merged.nc") as product:
        assert product.sizes["parameter"] == 3
        assert product.sizes["pool"] == 2
        assert product.sizes["stream"] == 2
        assert product["parameter_units"].sel(parameter="melt_factor").item() == "mm degC-1 d-1"
        best = product["loss"].argmin("member")
        for cell, truth in TRUTH.items():
            number = product["cell"].values.tolist().index(cell)
            for name, value in truth.items():
                found = product["parameters"].sel(parameter=name).isel(cell=number, member=best[number]).item()
                assert found == pytest.approx(value, rel=0.1), (cell, name)
        assert (product["nnse"].isel(member=best) > 0.9).all()


def test_the_plan_of_a_model_names_what_is_due_of_its_drivers(snow: Snow, tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    with xr.open_dataset(snow.folder / "sites/SN-One.nc") as site:
        site.drop_vars("tas").to_netcdf(tmp_path / "sites/SN-One.nc")
    write_campaign(tmp_path)
    refused = command("plan", "snowpack.toml", "--out", "made", folder=tmp_path, **snow.environment)
    assert refused.returncode == 2
    assert "SN-One.nc" in refused.stderr
    assert "tas" in refused.stderr
    assert not (tmp_path / "made").exists()


def test_a_model_that_is_not_installed_is_refused_with_those_that_are(snow: Snow) -> None:
    refused = command("plan", "snowpack.toml", "--out", "nowhere", folder=snow.folder)
    assert refused.returncode == 2
    assert "snowpack" in refused.stderr
    assert "baseline" in refused.stderr


def test_a_killed_campaign_of_a_model_ends_with_the_same_bits(snow: Snow) -> None:
    write_campaign(snow.folder, tiles={"cells": 3, "checkpoint_minutes": 0.001}, engine={"workers": 1})
    root = snow.folder / "killed"
    process = start("run", "snowpack.toml", "--out", "killed", folder=snow.folder, **snow.environment)
    try:
        wait_for("a checkpoint", lambda: count(root, "checkpoint") or process.poll() is not None)
        assert process.poll() is None, (snow.folder / "stderr").read_text()
        os.killpg(process.pid, signal.SIGKILL)
    finally:
        end(process)
    assert not (root / "merged.nc").exists()
    succeed("run", "killed", folder=snow.folder, **snow.environment)
    assert count(root, "resumed") >= 1
    assert differing(merged(snow.root), merged(root)) == set()


def test_the_report_of_a_model_has_its_own_names_and_none_of_another(snow: Snow) -> None:
    succeed("report", "calm", folder=snow.folder, **snow.environment)
    page = (snow.root / "report/index.html").read_text()
    for one in ("melt_factor", "snow melted a degree and day", "snow water equivalent"):
        assert one in page
    assert "mm °C⁻¹ d⁻¹" in page
    for name in ("labile", "foliar", "GPP", "LCMA"):
        assert not re.search(rf"\b{name}\b", page), name


def test_status_and_estimates_are_those_of_the_model(snow: Snow) -> None:
    status = json.loads(succeed("status", "calm", "--json", folder=snow.folder, **snow.environment))
    assert status["tiles"] == {"done": 3, "running": 0, "failed": 0, "pending": 0}
    table = succeed("normalise", "calm", "--json", folder=snow.folder, **snow.environment)
    assert set(json.loads(table)["variables"]) == {"tas", "pr", "swe", "runoff"}
