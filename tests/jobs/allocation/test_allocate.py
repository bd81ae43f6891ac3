"""`phloem allocate` on sixteen land models: products that close, scores, months of given fluxes, and refusals."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from compliance_checker.runner import CheckSuite
from typer.testing import CliRunner

from phloem.analysis.allocation.emulators import TREES
from phloem.analysis.allocation.ratios import RatioMode
from phloem.errors import InputError
from phloem.jobs.allocation.allocate import AllocationRequest, AllocationResult, allocate
from phloem.jobs.command_line import app

QUICK = replace(TREES, n_estimators=15, folds=3)


@pytest.fixture(scope="module")
def zoo(data_dir: Path) -> Path:
    return data_dir / "uflux" / "trendy_mini"


@pytest.fixture(scope="module")
def fluxes(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Monthly GPP and RECO as an application of an upscaling writes them: from the drivers, with seasons and gaps."""
    path = tmp_path_factory.mktemp("fluxes") / "upscaled.nc"
    with xr.open_dataset(zoo / "drivers_7p5deg.nc") as drivers:
        gpp = (10.0 * drivers.NIRv).clip(min=0.0)
        reco = 1.5 * np.exp(0.04 * drivers.TA.clip(-30, 40))
        made = xr.Dataset({"gpp": gpp, "reco": reco}, coords=drivers.coords)
        made["gpp"].attrs["units"] = made["reco"].attrs["units"] = "gC m-2 d-1"
        made["gpp"][:, 12, 20] = np.nan
        made.to_netcdf(path)
    return path


def request(zoo: Path, out: Path, **more: Any) -> AllocationRequest:
    return AllocationRequest(zoo, zoo / "drivers_7p5deg.nc", out, settings=QUICK, **more)


@pytest.fixture(scope="module")
def made(zoo: Path, fluxes: Path, tmp_path_factory: pytest.TempPathFactory) -> AllocationResult:
    return allocate(request(zoo, tmp_path_factory.mktemp("allocated") / "A", fluxes=fluxes))


def values_of(result: AllocationResult) -> xr.Dataset:
    with xr.open_dataset(result.out / "allocation.nc") as file:
        return file.load()


def test_broken_file_is_named_and_the_rest_is_used_with_n_written(made: AllocationResult, zoo: Path) -> None:
    models = made.document["models"]
    assert len(models) == 16
    assert all(one["used"] and not one["why"] for one in models.values())
    assert "LPX-Bern_S3_cLitter.nc" in models["LPX-Bern"]["refused"]["cLitter"]
    assert "cLitter" not in models["LPX-Bern"]["used"]
    product = values_of(made)
    land = product.models_cue.sel(year=2003) >= 0
    litter, vegetation = (product[f"models_{name}_residence"].sel(year=2003) for name in ("litter", "vegetation"))
    assert int(vegetation.max()) == 16
    assert int(litter.max()) == 15
    assert int(product.models_cue.sel(year=2005).max()) == 15, "CLASSIC ends before"
    assert int(land.sum()) == 344


def test_budgets_of_every_cell_and_month_close(made: AllocationResult) -> None:
    p = values_of(made)
    for end in ("", "_q25", "_q75"):
        np.testing.assert_allclose(p[f"npp{end}"] + p[f"ra{end}"], p[f"gpp{end}"], rtol=1e-14)
        np.testing.assert_allclose(p[f"ra_of_reco{end}"] + p[f"rh{end}"], p[f"reco{end}"], rtol=1e-14)
        pools = sum(p[f"{name}{end}"] for name in ("cLeaf", "cWood", "cRoot"))
        np.testing.assert_allclose(pools, p[f"cVeg{end}"], rtol=1e-14)
    np.testing.assert_allclose(p.ra_of_reco - p.ra, p.ra_mismatch)
    assert float(np.abs(p.ra_mismatch).max()) > 1.0, "the given fluxes are not those of the models"
    assert set(made.document["closure"]["mean"]) == {
        "gpp - npp - ra", "reco - ra_of_reco - rh", "cVeg - cLeaf - cWood - cRoot",
    }  # fmt: skip
    assert all(one["largest"] < 1e-9 for by in made.document["closure"].values() for one in by.values())


def test_months_of_given_fluxes_add_up_to_years_and_may_be_negative(made: AllocationResult, fluxes: Path) -> None:
    p = values_of(made)
    with xr.open_dataset(fluxes) as given:
        gpp, reco = given.gpp.load(), given.reco.load()
    there = np.isfinite(p.ra_monthly)
    np.testing.assert_allclose((p.npp_monthly + p.ra_monthly).values[there], gpp.values[there], atol=1e-12)
    np.testing.assert_allclose((p.rh_monthly + p.ra_monthly).values[there], reco.values[there], atol=1e-12)
    assert float(p.npp_monthly.min()) < 0.0
    days = p.time.dt.days_in_month
    annual = (p.ra_monthly * days).groupby("time.year").sum(min_count=12)
    np.testing.assert_allclose(annual.values, p.ra_of_reco.values, rtol=1e-10)


def test_product_is_of_land_with_enough_gpp_only(made: AllocationResult, zoo: Path) -> None:
    p = values_of(made)
    with xr.open_dataset(zoo / "drivers_7p5deg.nc") as drivers:
        land = drivers.land.values > 0
    known = np.isfinite(p.npp.values)
    assert known.any()
    assert not known[:, ~land].any()
    assert float(p.gpp.min()) >= 10.0
    assert not known[:, 12, 20].any(), "no flux, no allocation"
    assert p.attrs["Conventions"].startswith("CF-")


def test_scores_are_of_land_unless_ocean_is_asked_for(made: AllocationResult, zoo: Path, tmp_path: Path) -> None:
    land = made.document["scores"]
    other = allocate(request(zoo, tmp_path / "B", include_ocean=True, years=[2003])).document
    for scheme in ("random", "blocked"):
        assert land[scheme]["mean"]["quantities"]["npp"]["n"] == made.document["rows"]
        assert other["scores"][scheme]["mean"]["quantities"]["npp"]["n"] == other["rows"] + 24 * 48 - 344
        assert land[scheme]["mean"]["ratios"]["cue"]["r2"] > 0.3
    assert other["years"] == [2003]


def test_statistics_of_models_are_shared_out_where_no_fluxes_are_given(zoo: Path, tmp_path: Path) -> None:
    result = allocate(request(zoo, tmp_path / "C", years=[2003, 2004]))
    totals = result.document["totals_PgC"]["mean"]
    truth = json.loads((zoo / "truth_global_totals.json").read_text())
    mean = np.mean([one["global_PgC"]["gpp"][0] for one in truth.values()])
    assert totals["gpp"][2003] == pytest.approx(mean, rel=0.15)
    assert totals["npp"][2003] + totals["ra"][2003] == pytest.approx(totals["gpp"][2003], rel=1e-12)
    quartiles = result.document["totals_PgC"]
    assert quartiles["q25"]["gpp"][2003] < totals["gpp"][2003] < quartiles["q75"]["gpp"][2003]
    assert "npp_monthly" not in values_of(result)
    imbalance = {name: one["stock_imbalance_PgC"] for name, one in result.document["models"].items()}
    assert imbalance["LPX-Bern"] is None
    assert abs(imbalance["OCN"][2004]) < 0.5


def test_printed_ratios_leave_a_gap(zoo: Path, fluxes: Path, tmp_path: Path) -> None:
    result = allocate(request(zoo, tmp_path / "D", mode=RatioMode.COMPAT, fluxes=fluxes, years=[2003]))
    assert result.document["closure"]["mean"]["gpp - npp - ra"]["largest"] > 1.0
    p = values_of(result)
    gap = p.gpp - p.npp - p.ra
    assert float(np.abs(gap).max()) == pytest.approx(result.document["closure"]["mean"]["gpp - npp - ra"]["largest"])
    assert {"agb", "cLeaf", "cWood"} <= set(p)
    assert "leaf_share" not in p


def test_a_model_without_gpp_is_left_out_and_said_so(zoo: Path, tmp_path: Path) -> None:
    for name in ("OCN", "SDGVM", "DLEM"):
        shutil.copytree(zoo / name, tmp_path / "few" / name)
    (tmp_path / "few/SDGVM/S3/SDGVM_S3_gpp.nc").write_bytes(b"CDF")
    few = AllocationRequest(tmp_path / "few", zoo / "drivers_7p5deg.nc", tmp_path / "E", years=[2003], settings=QUICK)
    result = allocate(few)
    assert "SDGVM_S3_gpp.nc: not a readable NetCDF file" in result.document["models"]["SDGVM"]["why"]
    assert int(values_of(result).models_cue.max()) == 2
    assert any("SDGVM: not used" in line for line in result.lines())


def test_wrong_input_is_refused_before_anything_is_written(zoo: Path, fluxes: Path, tmp_path: Path) -> None:
    out = tmp_path / "none"
    for words, more in (
        ("none of the years that are wanted", {"years": [1999]}),
        (r"variables that are reco; one is due", {"fluxes": zoo / "CABLE-POP/S3/CABLE-POP_S3_gpp.nc"}),
        ("not a readable NetCDF file", {"fluxes": tmp_path / "absent.nc"}),
        ("rows from north to south.*south to north", {"fluxes": zoo / "OCN/S3/OCN_S3_gpp.nc"}),
        (r"a monthly simulation on a grid is due", {"simulations": [fluxes]}),
    ):
        with pytest.raises(InputError, match=words):
            allocate(request(zoo, out, **more))
    shifted = tmp_path / "shifted.nc"
    shutil.copy(fluxes, shifted)
    with netCDF4.Dataset(shifted, "a") as file:
        file["lon"][:] = file["lon"][:] + 1.0
    with pytest.raises(InputError, match="is not that of the drivers"):
        allocate(request(zoo, out, fluxes=shifted))
    with pytest.raises(InputError, match="monthly predictors"):
        allocate(AllocationRequest(zoo, zoo / "OCN/S3/OCN_S3_cVeg.nc", out))
    assert not out.exists()


def test_a_failure_leaves_the_product_that_was_there(made: AllocationResult, zoo: Path) -> None:
    before = (made.out / "allocation.nc").read_bytes()
    with pytest.raises(InputError):
        allocate(request(zoo, made.out, years=[1999]))
    assert (made.out / "allocation.nc").read_bytes() == before
    assert sorted(path.name for path in made.out.iterdir()) == ["allocation.json", "allocation.nc"]


def test_the_command_its_help_and_its_json(zoo: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    helped = runner.invoke(app, ["allocate", "--help"])
    assert "Example: phloem allocate" in helped.output
    for name in ("OCN", "DLEM"):
        shutil.copytree(zoo / name, tmp_path / "few" / name)
    words = ["allocate", tmp_path / "few", "--drivers", zoo / "drivers_7p5deg.nc", "--out", tmp_path / "F",
             "--years", "2003", "--json"]  # fmt: skip
    ran = runner.invoke(app, [str(word) for word in words])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["years"] == [2003]
    assert json.loads((tmp_path / "F" / "allocation.json").read_text()) == json.loads(ran.stdout)


def test_product_satisfies_the_cf_conventions(made: AllocationResult) -> None:
    suite = CheckSuite()
    suite.load_all_available_checkers()
    with suite.load_dataset(str(made.out / "allocation.nc")) as dataset:
        ((results, raised),) = suite.run_all(dataset, ["cf:1.11"], skip_checks=[]).values()
    assert not raised
    found = suite.dict_output("cf:1.11", results, "allocation.nc", 0)
    assert found["possible_points"] > 300
    messages = [
        message
        for priority in ("high_priorities", "medium_priorities", "low_priorities")
        for result in found[priority]
        for message in result["msgs"]
    ]
    # The year of an annual value is a number, not a time: the checker wants it after the places. There is no date in
    # the product, so that the same input gives the same bytes.
    accepted = ("not in the recommended order T, Z, Y, X", "history should exist")
    assert not [one for one in messages if not any(words in one for words in accepted)]


def test_reconciled_fluxes_have_one_ra_under_both_budgets(made: AllocationResult) -> None:
    values = values_of(made)
    one = {name: values[f"{name}_reconciled"].values for name in ("gpp", "reco", "npp", "ra", "rh")}
    known = np.isfinite(one["gpp"])
    assert known.sum() > 500
    assert np.abs(one["npp"] + one["ra"] - one["gpp"])[known].max() < 1e-9
    assert np.abs(one["ra"] + one["rh"] - one["reco"])[known].max() < 1e-9
    low, high = np.minimum(values.ra, values.ra_of_reco).values, np.maximum(values.ra, values.ra_of_reco).values
    widened = 0.1 * np.abs(values.gpp.values) + 20.0
    assert ((one["ra"] > low - widened) & (one["ra"] < high + widened))[known].all()
