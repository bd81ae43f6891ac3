"""`phloem.simulate` and `phloem.evaluate` against the commands of the same names, and what they refuse."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

import phloem
from phloem.io.drivers.tower_files import read_tower
from tests.support.campaigns.campaigns import succeed

LAYOUT = {"tasmin": "T2M_MIN", "tasmax": "T2M_MAX", "rsds": "SSRD", "co2": "CO2", "vpd": "VPD", "pr": "TOTAL_PREC"}


@pytest.fixture
def file(root: Path) -> Path:
    return root / "drivers/T000.nc"


@pytest.fixture
def truth(root: Path) -> Path:
    return root / "drivers/truth.csv"


@pytest.fixture
def arrays(file: Path) -> dict[str, Any]:
    """The drivers of the file as arrays by name."""
    cell = read_tower(file)
    return {"time": cell.dates, "latitude": cell.latitude, **cell.forcing, **cell.observations}


@pytest.mark.parametrize("arithmetic", [{}, {"mode": "compat", "precision": "float64"}], ids=["strict", "compat"])
def test_a_simulation_has_the_bits_of_the_command(
    file: Path, truth: Path, tmp_path: Path, arithmetic: dict[str, str]
) -> None:
    words = [word for name, value in arithmetic.items() for word in (f"--{name}", value)]
    succeed("simulate", "--drivers", file, "--parameters", truth, "--out", "O.nc", *words, folder=tmp_path)
    found = phloem.simulate(file, truth, **arithmetic)  # type: ignore[arg-type]
    with xr.open_dataset(tmp_path / "O.nc") as written:
        xr.testing.assert_identical(found.drop_vars("member"), written.load())
        assert all(found[name].dtype == written[name].dtype for name in written)
    assert found.member.values.tolist() == [0, 1]


def test_drivers_of_any_form_give_the_same_bits(file: Path, truth: Path, arrays: dict[str, Any]) -> None:
    expected = phloem.simulate(file, truth)
    in_other_units = {
        **arrays,
        "vpd": xr.DataArray(arrays["vpd"] * 100, dims="time", attrs={"units": "Pa"}),
        "time": xr.DataArray(np.arange(730), dims="time", attrs={"units": "days since 2001-01-01"}),
    }
    with xr.open_dataset(file) as opened:
        in_memory = opened.load()
    for given in (in_memory, arrays, {LAYOUT.get(name, name): value for name, value in arrays.items()}):
        found = phloem.simulate(given, truth)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
        assert np.array_equal(found.time, expected.time)
    found = phloem.simulate(in_other_units, truth)
    xr.testing.assert_allclose(found.drop_attrs(), expected.drop_attrs(), rtol=1e-4)


def test_no_observations_are_needed_to_simulate_from_arrays(truth: Path, arrays: dict[str, Any], file: Path) -> None:
    bare = {name: value for name, value in arrays.items() if name not in ("gpp", "reco", "et", "lai")}
    assert np.array_equal(phloem.simulate(bare, truth).gpp, phloem.simulate(file, truth).gpp)
    with pytest.raises(phloem.InputError, match="cell site: variable gpp reco et lai: none is given"):
        phloem.evaluate(bare, truth)
    with pytest.raises(phloem.InputError, match="empty window: no observation in the first 365 days"):
        phloem.evaluate({**bare, "gpp": np.full(730, np.nan)}, truth)


@pytest.mark.parametrize("gradient", [False, True])
def test_an_evaluation_is_that_of_the_command(file: Path, truth: Path, tmp_path: Path, gradient: bool) -> None:
    words = ["--gradient"] if gradient else []
    told = succeed("evaluate", "--drivers", file, "--parameters", truth, "--json", *words, folder=tmp_path)
    found = phloem.evaluate(file, truth, gradient)
    assert found.to_json() == json.loads(told)
    assert np.isfinite(found.nnse).all()
    assert (found.gradient is not None) == gradient
    assert list(found.to_dataset()) == ["nnse", "nnse_validation", "j_obs", *(["gradient"] if gradient else [])]
    assert "T000: 2 members" in repr(found)


def test_a_stream_that_was_not_observed_scores_nan_and_null(file: Path, truth: Path, arrays: dict[str, Any]) -> None:
    arrays["et"] = np.full(730, np.nan)
    arrays["lai"] = np.where(np.arange(730) < 365, arrays["lai"], np.nan)
    found = phloem.evaluate(arrays, truth)
    assert found.nnse.observed.values.tolist() == [True, True, False, True]
    assert found.nnse_validation.observed.values.tolist() == [True, True, False, False]
    assert np.isnan(found.nnse.sel(stream="et")).all()
    assert found.to_json()["members"][1]["nnse"]["et"] is None
    assert found.to_dataset().observed_validation.values.tolist() == [True, True, False, False]


def test_mended_drivers_are_warned_of_where_they_were_given(truth: Path, arrays: dict[str, Any]) -> None:
    sound = phloem.simulate(arrays, truth)
    arrays["tasmin"], arrays["tasmax"] = arrays["tasmin"] + 273.15, arrays["tasmax"] + 273.15
    with pytest.warns(UserWarning, match="site: tasmin: .*kelvin") as caught:
        mended = phloem.simulate(arrays, truth)
    xr.testing.assert_allclose(mended, sound.assign_attrs(mended.attrs), rtol=1e-3)
    assert caught[0].filename == __file__
    with pytest.raises(phloem.InputError, match="drivers: cell tower 7: variable tasmin"):
        phloem.simulate(arrays, truth, quality="refuse", site="tower 7")


def hole(arrays: dict[str, Any]) -> dict[str, Any]:
    keep = np.arange(730) != 100
    return {name: value[keep] if np.ndim(value) else value for name, value in arrays.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {k: v for k, v in a.items() if k != "pr"}, "cell site: variable pr: not among the arrays, w"),
        (lambda a: {k: v for k, v in a.items() if k != "time"}, "variable time: is missing; given are co2, "),
        (lambda a: {k: v for k, v in a.items() if k != "latitude"}, "variable latitude: one number in degrees north"),
        (lambda a: {**a, "latitude": 91.0}, r"variable latitude: 91.0 is not in -90..90"),
        (lambda a: {**a, "vpd": a["vpd"][:700]}, r"variable vpd: has shape \(700,\); numbers of shape \(730,"),
        (lambda a: {**a, "vpd": ["dry"] * 730}, "variable vpd: numbers are due"),
        (lambda a: {**a, "time": ["yesterday"] * 730}, "variable time: dates are due"),
        (lambda a: {**a, "tasmin": a["tasmin"] + 273.15, "tasmax": a["tasmax"] + 273.15}, "tasmin: looks like kelvin"),
        (lambda a: {**a, "pr": xr.DataArray(a["pr"], dims="t", attrs={"units": "inch"})}, "pr: unknown unit 'inch'"),
        (hole, "variable time: "),
        (lambda a: [a], "drivers: a list; give a tower file, an xarray Dataset, or arrays by name"),
    ],
)  # fmt: skip
def test_wrong_arrays_are_refused_by_name(change: Any, message: str, truth: Path, arrays: dict[str, Any]) -> None:
    with pytest.raises(phloem.InputError, match=message):
        phloem.simulate(change(arrays), truth, quality="refuse")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "lax"}, "mode 'lax': valid here are strict, compat"),
        ({"precision": "float16"}, "precision 'float16': valid here are float32, float64"),
        ({"quality": "guess"}, "quality = 'guess'; the choices are repair, keep, refuse"),
        ({"experiment": "sites"}, "experiment 'sites': .*site"),
        ({"experiment": "growth-curve"}, "experiment 'growth-curve' is not one of towers, as 'site' is"),
    ],
)
def test_wrong_choices_are_refused_with_the_valid_ones(
    options: dict[str, str], message: str, truth: Path, file: Path
) -> None:
    with pytest.raises(phloem.InputError, match=message):
        phloem.simulate(file, truth, **options)  # type: ignore[arg-type]
    with pytest.raises(phloem.InputError, match="backend 'abacus': valid here are auto, "):
        phloem.evaluate(file, truth, backend="abacus")


def test_nothing_is_warned_of_sound_drivers(file: Path, truth: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        phloem.simulate(file, truth)


def test_a_file_with_a_placeholder_is_refused_as_by_the_command(file: Path, truth: Path, tmp_path: Path) -> None:
    copy = tmp_path / "T000.nc"
    copy.write_bytes(file.read_bytes())
    with netCDF4.Dataset(copy, "a") as opened:
        opened["VPD"][30:40] = np.nan
    with pytest.raises(phloem.InputError, match=r"T000\.nc: cell T000: variable VPD: .*10 days"):
        phloem.simulate(copy, truth)
