"""Sixteen dialects of land models: their global totals against the truth, and what is said of their files."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.land_models.land_model import LandModel, global_totals
from phloem.io.land_models.model_files import QUANTITIES, find_models
from phloem.io.land_models.model_variable import ReadingOptions

MODELS = (
    "CABLE-POP", "CARDAMOM", "CLASSIC", "CLM5.0", "DLEM", "ELM", "ISAM", "ISBA-CTRIP", "JSBACH", "JULES-ES",
    "LPJ-GUESS", "LPJml", "LPX-Bern", "OCN", "SDGVM", "VISIT",
)  # fmt: skip

ODD = {
    "CABLE-POP": ("months since 1700-1-16", "years since 1700-6-15"),
    "CARDAMOM": ("cWood is called cWoodTotal", "index without units", "stocks are monthly"),
    "CLASSIC": ("rows are not of one height", "kg C m$^{-2}$ s$^{-1}$"),
    "CLM5.0": ("files begin with CLM6.0", "from 0 to 360", "half cells at the poles", "ends of the steps"),
    "DLEM": ("NaN, which the file does not declare", "nbp is annual"),
    "ELM": ("files begin with E3SM", "half cells at the poles", "stocks are monthly"),
    "ISAM": ("from 0 to 360", "kgC/m2/s", "densities, weighted by landCoverFrac"),
    "ISBA-CTRIP": ("no rows south of -60", "time_counter, lat_FULL, lon_FULL"),
    "JSBACH": ("rows are not of one height",),
    "JULES-ES": ("calendar 360_day", "annual stocks are means"),
    "LPJ-GUESS": ("rh is called arh", "ra is annual", "npp is annual", "by plant type"),
    "LPJml": ("files begin with LPJmL", "'years since 1700'", "nbp is annual"),
    "LPX-Bern": (),
    "OCN": ("north to south",),
    "SDGVM": ("%Y%m.%f", "%Y.%f"),
    "VISIT": (".nc.gz", "AD 1700-Jan-1st", "-9999, which the file does not declare", "north to south"),
}
"""What must be said of each, among other things."""


@pytest.fixture(scope="module")
def zoo(data_dir: Path) -> Path:
    return data_dir / "uflux" / "trendy_mini"


def model_of(folder: Path, name: str, options: ReadingOptions | None = None) -> LandModel:
    return LandModel(next(files for files in find_models(folder) if files.name == name), options)


def test_all_models_are_found_by_their_folders(zoo: Path) -> None:
    assert tuple(files.name for files in find_models(zoo)) == MODELS


@pytest.mark.parametrize("name", MODELS)
def test_totals_of_every_variable_are_within_half_a_per_cent_of_the_truth(zoo: Path, name: str) -> None:
    truth = json.loads((zoo / "truth_global_totals.json").read_text())[name]["global_PgC"]
    model = model_of(zoo, name)
    compared = 0
    for quantity in QUANTITIES:
        if quantity not in truth:
            continue
        if (name, quantity) == ("LPX-Bern", "cLitter"):
            with pytest.raises(InputError, match=r"LPX-Bern_S3_cLitter\.nc.*whole"):
                global_totals(model, quantity)
            continue
        totals = global_totals(model, quantity)
        assert list(totals) == list(range(2003, 2003 + len(totals)))
        assert len(totals) == (2 if name == "CLASSIC" else 3)
        np.testing.assert_allclose(list(totals.values()), truth[quantity][: len(totals)], rtol=0.005, err_msg=quantity)
        compared += 1
    assert compared >= 9
    said = "\n".join(model.findings.odd)
    for words in ODD[name]:
        assert words in said
    assert model.findings.derived == ({"npp": "gpp - ra"} if name == "VISIT" else {})
    assert list(model.findings.refused) == (["cLitter"] if name == "LPX-Bern" else [])


def test_net_ecosystem_production_of_a_model_is_the_change_of_its_stocks(zoo: Path) -> None:
    model = model_of(zoo, "OCN")
    totals = {name: global_totals(model, name) for name in ("npp", "rh", "cVeg", "cLitter", "cSoil")}
    for year in (2004, 2005):
        change = sum(totals[name][year] - totals[name][year - 1] for name in ("cVeg", "cLitter", "cSoil"))
        # The files keep some four digits: 0.02 % of 1,200 PgC of stocks, in both years.
        assert totals["npp"][year] - totals["rh"][year] == pytest.approx(change, abs=0.35)


def test_a_wrong_way_to_put_plant_types_together_changes_the_total(zoo: Path) -> None:
    """The judgement of contributions and densities matters, and can be overruled."""
    right = global_totals(model_of(zoo, "ISAM"), "cVeg")[2003]
    wrong = model_of(zoo, "ISAM", ReadingOptions(per_plant_type="sum"))
    assert global_totals(wrong, "cVeg")[2003] > 2.0 * right
    assert "sum, as said" in "\n".join(wrong.findings.odd)
    without = model_of(zoo, "LPJ-GUESS", ReadingOptions(per_plant_type="cover"))
    with pytest.raises(InputError, match=r"cVeg.nc: cVeg is by plant type and there is no landCoverFrac"):
        global_totals(without, "cVeg")


def test_plant_types_that_agree_with_nothing_are_refused(zoo: Path, tmp_path: Path) -> None:
    shutil.copytree(zoo / "ISAM", tmp_path / "ISAM")
    with netCDF4.Dataset(tmp_path / "ISAM" / "S3" / "ISAM_S3_cWood.nc", "a") as file:
        file["cWood"][:] = 0.1 * file["cWood"][:]
    model = model_of(tmp_path, "ISAM")
    with pytest.raises(InputError, match="neither its sum nor its mean by landCoverFrac"):
        global_totals(model, "cVeg")
    assert "cVeg" in model.findings.refused


def test_a_truncated_archive_and_a_truncated_file_are_refused_by_name(zoo: Path, tmp_path: Path) -> None:
    shutil.copytree(zoo / "VISIT", tmp_path / "VISIT")
    packed = tmp_path / "VISIT" / "S3" / "VISIT_S3_rh.nc.gz"
    packed.write_bytes(packed.read_bytes()[:9000])
    inside = tmp_path / "VISIT" / "S3" / "VISIT_S3_cSoil.nc.gz"
    inside.write_bytes(gzip.compress(gzip.decompress(inside.read_bytes())[:5000]))
    model = model_of(tmp_path, "VISIT")
    for quantity in ("rh", "cSoil"):
        with pytest.raises(InputError, match=rf"VISIT_S3_{quantity}\.nc\.gz.*is it whole"):
            global_totals(model, quantity)
    assert global_totals(model, "npp"), "the rest is used"
    assert sorted(model.findings.refused) == ["cSoil", "rh"]


def test_annual_means_of_stocks_are_taken_as_said(zoo: Path) -> None:
    as_means = global_totals(model_of(zoo, "JULES-ES"), "cVeg")
    as_ends = global_totals(model_of(zoo, "JULES-ES", ReadingOptions(annual_mean_stocks=())), "cVeg")
    assert as_means[2004] == pytest.approx(0.5 * (as_ends[2004] + as_ends[2005]))
    assert as_means[2005] == pytest.approx(1.5 * as_ends[2005] - 0.5 * as_ends[2004])


def test_two_files_of_a_variable_a_folder_without_models_and_another_experiment_are_refused(
    zoo: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no file of the form PREFIX_S3_VARIABLE"):
        find_models(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_models(tmp_path / "none")
    shutil.copytree(zoo / "OCN", tmp_path / "OCN")
    with pytest.raises(InputError, match="there are S3"):
        find_models(tmp_path, "S2")
    shutil.copy(tmp_path / "OCN/S3/OCN_S3_rh.nc", tmp_path / "OCN/S3/OCN_S3_arh.nc")
    with pytest.raises(InputError, match=r"OCN_S3_rh.nc: rh of OCN is in OCN_S3_arh.nc too"):
        find_models(tmp_path)


def test_models_of_a_flat_folder_are_told_apart_by_their_prefix(zoo: Path, tmp_path: Path) -> None:
    for name, prefix in (("OCN", "OCN"), ("ELM", "E3SM")):
        shutil.copy(zoo / name / "S3" / f"{prefix}_S3_gpp.nc", tmp_path)
    assert [files.name for files in find_models(tmp_path)] == ["E3SM", "OCN"]
