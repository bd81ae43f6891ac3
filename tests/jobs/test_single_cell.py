"""One tower, given parameters: the files and numbers that other programs rely on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

from phloem.jobs.synthetic.transect import make_transect
from phloem.kernels.calibrations.dalec_daily.tables import TOWERS
from phloem.names import STREAMS
from tests.support.campaigns.campaigns import succeed
from tests.support.kernels.dalec_names import FIRE_PARAMETERS, PARAMETERS, POOLS

FLUXES = ["lai", "gpp", "et", "ra", "rh_litter", "rh_som", "nee", "reco", "beta", "labile_release"]
OUTPUTS = [*FLUXES, "leaf_litter", "runoff_paw", "violation", *POOLS]
CARBON, POOL = "g m-2 d-1", "g m-2"
UNITS = {"lai": "1", "gpp": CARBON, "et": "mm d-1", "nee": CARBON, "beta": "1", "wood": POOL, "paw": "mm"}
TILTED = {"canopy_efficiency": 1e-5, "lcma": 1e-5, "turnover_root": 1e-5, "uwue": 1e-5, "initial_foliar": 1e-5}
"""Relative steps of the central differences."""


def write_parameters(path: Path, rows: list[dict[str, float]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows([{name: repr(float(value)) for name, value in row.items()} for row in rows])
    return path


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tower of known truth."""
    folder = tmp_path_factory.mktemp("twin")
    make_transect(folder, 1, 3, 5)
    return folder


@pytest.fixture(scope="module")
def truth(tower: Path) -> dict[str, float]:
    with (tower / "truth.csv").open(newline="") as file:
        return {name: float(text) for name, text in next(csv.DictReader(file)).items() if name != "cell"}


def evaluate(folder: Path, drivers: Path, parameters: Path, *more: str) -> dict[str, Any]:
    found = succeed("evaluate", "--drivers", drivers, "--parameters", parameters, "--json", *more, folder=folder)
    return json.loads(found)


def test_simulate(tower: Path, truth: dict[str, float], tmp_path: Path) -> None:
    rows = [truth, {**truth, "lcma": 1.1 * truth["lcma"]}]
    parameters = write_parameters(tmp_path / "P.csv", rows)
    few = [{name: value for name, value in row.items() if name not in FIRE_PARAMETERS} for row in rows]
    fireless = write_parameters(tmp_path / "fireless.csv", few)
    for given, out in ((parameters, "O.nc"), (fireless, "F.nc")):
        said = succeed("simulate", "--drivers", tower / "T000.nc", "--parameters", given, "--out", out, folder=tmp_path)
        assert said.strip() == out
    with netCDF4.Dataset(tmp_path / "O.nc") as file, netCDF4.Dataset(tmp_path / "F.nc") as other:
        assert {name: len(size) for name, size in file.dimensions.items()} == {"member": 2, "time": 1095}
        assert set(file.variables) == {"time", *OUTPUTS}
        for name in OUTPUTS:
            assert file[name].dimensions == ("member", "time"), name
            assert file[name].dtype == np.float32
            assert np.isfinite(file[name][:]).all()
            assert file[name].units
            assert np.array_equal(file[name][:], other[name][:]), "the fire parameters are not read"
        assert {name: file[name].units for name in UNITS} == UNITS
        assert file["time"].units == "days since 2001-01-01"
        assert np.array_equal(file["time"][:], np.arange(1095))
        assert file.Conventions.startswith("CF-")
        assert np.allclose(file["nee"][:], file["reco"][:] - file["gpp"][:], atol=1e-4)
        assert not np.array_equal(file["lai"][0], file["lai"][1])


def test_simulate_needs_no_observations_and_takes_days_of_the_year(
    tower: Path, truth: dict[str, float], tmp_path: Path
) -> None:
    """The file without any stream gives the same fluxes, and so do phenological days of the first year."""
    bare = tmp_path / "T000.nc"
    with xr.open_dataset(tower / "T000.nc", decode_times=False) as seen_drivers:
        seen_drivers.drop_vars(["GPP", "RECO", "ET", "LAI", "EF", "NBE"], errors="ignore").to_netcdf(bare)
    shifted = {**truth, "bud_burst_day": truth["bud_burst_day"] % 365.25}
    parameters = write_parameters(tmp_path / "P.csv", [truth, shifted])
    for drivers, out in ((tower / "T000.nc", "seen.nc"), (bare, "bare.nc")):
        succeed("simulate", "--drivers", drivers, "--parameters", parameters, "--out", out, folder=tmp_path)
    with netCDF4.Dataset(tmp_path / "seen.nc") as seen, netCDF4.Dataset(tmp_path / "bare.nc") as unseen:
        for name in OUTPUTS:
            assert np.array_equal(seen[name][:], unseen[name][:]), name
            np.testing.assert_allclose(seen[name][0], seen[name][1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mode", ["strict", "compat"])
def test_simulate_of_every_backend_agrees_in_double_precision(
    mode: str, tower: Path, truth: dict[str, float], tmp_path: Path
) -> None:
    parameters = write_parameters(tmp_path / "P.csv", [truth])
    for backend in ("xla", "cpu"):
        succeed(
            "simulate", "--drivers", tower / "T000.nc", "--parameters", parameters, "--out", f"{backend}.nc",
            "--backend", backend, "--mode", mode, "--precision", "float64", folder=tmp_path,
        )  # fmt: skip
    with netCDF4.Dataset(tmp_path / "xla.nc") as one, netCDF4.Dataset(tmp_path / "cpu.nc") as other:
        for name in OUTPUTS:
            np.testing.assert_allclose(one[name][:], other[name][:], rtol=1e-9, atol=1e-12)


def test_evaluate_has_the_gradient_of_what_it_reports(tower: Path, truth: dict[str, float], tmp_path: Path) -> None:
    rows = [truth]
    for name, step in TILTED.items():
        rows += [{**truth, name: truth[name] * (1 + sign * step)} for sign in (1, -1)]
    parameters = write_parameters(tmp_path / "P.csv", rows)
    found = evaluate(tmp_path, tower / "T000.nc", parameters, "--gradient", "--precision", "float64")
    assert set(found) == {"site", "members"}
    assert found["site"] == "T000"
    assert len(found["members"]) == len(rows)
    for member in found["members"]:
        assert set(member) == {"nnse", "nnse_validation", "j_obs", "gradient"}
        assert set(member["nnse"]) == set(member["nnse_validation"]) == set(STREAMS)
        assert all(0 < score <= 1 for score in member["nnse"].values())
        assert member["j_obs"] == pytest.approx(-sum(member["nnse"].values()), rel=1e-12)
        assert list(member["gradient"]["parameters"]) == list(PARAMETERS)
        assert list(member["gradient"]["initial_pools"]) == list(POOLS)
        assert all(member["gradient"]["parameters"][name] == 0 for name in FIRE_PARAMETERS)
    slopes = found["members"][0]["gradient"]
    for place, (name, step) in enumerate(TILTED.items()):
        above, below = (found["members"][1 + 2 * place + side]["j_obs"] for side in (0, 1))
        difference = (above - below) / (2 * step * truth[name])
        pool = name.removeprefix("initial_")
        slope = slopes["initial_pools"][pool] if pool != name else slopes["parameters"][name]
        assert abs(slope) > 1e-9
        assert difference == pytest.approx(slope, rel=1e-5), name


def test_evaluate_in_single_precision_and_in_words(tower: Path, truth: dict[str, float], tmp_path: Path) -> None:
    parameters = write_parameters(tmp_path / "P.csv", [truth])
    single = evaluate(tmp_path, tower / "T000.nc", parameters)["members"][0]
    double = evaluate(tmp_path, tower / "T000.nc", parameters, "--precision", "float64")["members"][0]
    assert set(single) == {"nnse", "nnse_validation", "j_obs"}
    assert single["j_obs"] == pytest.approx(double["j_obs"], rel=1e-4)
    assert single["j_obs"] != double["j_obs"]
    words = succeed("evaluate", "--drivers", tower / "T000.nc", "--parameters", parameters, folder=tmp_path)
    assert "T000" in words
    assert f"{single['j_obs']:.4f}" in words


def test_a_window_without_observations_scores_null(tower: Path, truth: dict[str, float], tmp_path: Path) -> None:
    drivers = tmp_path / "T000.nc"
    drivers.write_bytes((tower / "T000.nc").read_bytes())
    with netCDF4.Dataset(drivers, "a") as file:
        file["ET"][:] = np.nan
        file["LAI"][730:] = np.nan
    parameters = write_parameters(tmp_path / "P.csv", [truth])
    found = evaluate(tmp_path, drivers, parameters)["members"][0]
    assert found["nnse"]["et"] is None
    assert found["nnse_validation"]["et"] is None
    assert found["nnse"]["lai"] > 0
    assert found["nnse_validation"]["lai"] is None
    assert found["j_obs"] == pytest.approx(-sum(v for v in found["nnse"].values() if v is not None), rel=1e-5)


def test_the_published_model(data_dir: Path, tmp_path: Path) -> None:
    """FR-Pue in float64: the commands give what the published code gave."""
    drivers = data_dir / "fluxnet_daily" / "FR-Pue.nc"
    with xr.open_dataset(data_dir / "oracle" / "golden_FR-Pue.nc", decode_times=False) as file:
        golden = file.load()
    values = np.concatenate([golden.parameters.values, golden.initial_pools.values], 1)
    rows = [dict(zip(TOWERS.unknown_names, row, strict=True)) for row in values]
    parameters = write_parameters(tmp_path / "P.csv", rows)
    arithmetic = ("--mode", "compat", "--precision", "float64")
    found = evaluate(tmp_path, drivers, parameters, "--gradient", *arithmetic)
    for member, entry in enumerate(found["members"]):
        for row, stream in enumerate(STREAMS):
            assert entry["nnse"][stream] == pytest.approx(golden.nnse.values[member, row], rel=1e-9)
        for key, oracle in (("parameters", "dJobs_dparameters"), ("initial_pools", "dJobs_dinitial_pools")):
            expected = golden[oracle].values[member]
            slopes = np.array(list(entry["gradient"][key].values()))
            assert np.abs(expected).max() > 0
            wrong = np.abs(slopes - expected) - 1e-9 * np.abs(expected) - 1e-16 * np.abs(expected).max()
            assert wrong.max() <= 0, (key, member)

    out = ("--out", tmp_path / "O.nc")
    succeed("simulate", "--drivers", drivers, "--parameters", parameters, *out, *arithmetic, folder=tmp_path)
    compared = 0
    with xr.open_dataset(tmp_path / "O.nc", decode_times=False) as simulated:
        for name in OUTPUTS:
            if name in golden:
                expected = golden[name].values
                days = expected.shape[1]
                wrong = np.abs(simulated[name].values[:, :days] - expected) - 1e-9 * np.abs(expected)
                assert wrong.max() <= 1e-12 * np.abs(expected).max(), name
                compared += 1
    assert compared >= 18
