"""Land cover as MCD12C1 is published, an HDF4 file without coordinates; and files that are dated by their names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.global_products.months_of_series import monthly_series, months_of_years
from phloem.io.global_products.patch_catalogue import IGBP, MONTHLY, PLANT_TYPE_KINDS, PLANT_TYPES
from phloem.io.global_products.patch_products import find_plant_types
from phloem.io.global_products.refusals import Refusals
from phloem.io.products.box_means import box_means
from phloem.io.products.catalogue import Choice
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import scan
from tests.support.drivers.product_samples import write_grid

DEGREES = 10.0
"""Size of the sample's pixels, in the place of MCD12C1's 0.05 degrees: its file is of 440 MB."""


def write_mcd12c1(path: Path) -> np.ndarray:
    """Per cent along (latitude from north to south, longitude from 180 W, class), bytes; 255 at one pixel."""
    from pyhdf.SD import SD, SDC

    values = np.zeros((18, 36, 17), np.uint8)
    values[..., 10] = 70
    values[..., 0] = np.arange(18)[:, None]
    values[..., 8] = 30 - values[..., 0]
    values[3, 4] = 255
    file = SD(str(path), SDC.WRITE | SDC.CREATE)
    data = file.create("Land_Cover_Type_1_Percent", SDC.UINT8, values.shape)
    for place, name in enumerate(("YDim:MOD12C1", "XDim:MOD12C1", "Num_IGBP_Classes:MOD12C1")):
        data.dim(place).setname(name)
    data.units = "percent in integers"
    data[:] = values
    data.endaccess()
    file.end()
    return values.astype(float)


def test_land_cover_without_coordinates_lies_from_the_north_and_from_180_west(tmp_path):
    pytest.importorskip("pyhdf")
    values = write_mcd12c1(tmp_path / "MCD12C1.A2010001.061.hdf")
    product = replace(PLANT_TYPE_KINDS["mcd12c1"], degrees=DEGREES)
    choice = Choice("pft", product, (str(tmp_path / "MCD12C1.*.hdf"),))
    south, west = np.array([80.0, -90.0, 50.0]), np.array([-180.0, 170.0, -140.0])
    with OpenFiles() as files:
        found = find_plant_types(choice, files)
        assert {name: len(parts) for name, parts in found.items()} == {name: len(n) for name, n in IGBP.items()}
        water = box_means(found["water"][0], files, south, west, DEGREES, 10**7)
        woody = box_means(found["SAV"][0], files, south, west, DEGREES, 10**7)
    np.testing.assert_array_equal(water, [0.0, 17.0, np.nan])
    np.testing.assert_array_equal(woody, [30.0, values[17, 35, 8], np.nan])


def test_months_in_names_of_files_date_files_without_time(tmp_path):
    lat, lon = np.array([10.5, 11.5]), np.array([20.5, 21.5])
    for name in ("BA200112", "BA200101", "BA200207"):
        write_grid(tmp_path / f"{name}.nc", "Total", np.ones((2, 2)), lat, lon, units="km2")
    with OpenFiles() as files:
        series = scan(Choice("burned_area", MONTHLY["burned_area"], (str(tmp_path / "*.nc"),)), files)["burned_area"]
    found = monthly_series("burned_area", "burned_area", series, months_of_years(2001, 2002), "")
    assert found.months.tolist() == [0, 11, 18]
    assert [series.layouts[int(series.file[step])].path.name for step in found.steps] == [
        "BA200101.nc", "BA200112.nc", "BA200207.nc",
    ]  # fmt: skip


def test_years_along_an_axis_of_years_are_dates(tmp_path):
    lat, lon = np.array([10.5, 11.5]), np.array([20.5, 21.5])
    values = np.ones((3, 2, 2))
    form = {"units": "Mg C ha-1", "time": np.array([2000.0, 2001.0, 2002.0]), "time_name": "year", "time_units": None}
    write_grid(tmp_path / "biomass.nc", "biomass", values, lat, lon, **form)
    with OpenFiles() as files:
        series = scan(Choice("biomass", MONTHLY["biomass"], (str(tmp_path / "biomass.nc"),)), files)["biomass"]
    found = monthly_series("biomass", "biomass", series, months_of_years(2001, 2002), "")
    assert found.covered.tolist() == list(range(24))
    form["time"] = np.array([2000.5, 2001.5, 2002.5])
    write_grid(tmp_path / "odd.nc", "biomass", values, lat, lon, **form)
    with OpenFiles() as files, pytest.raises(InputError, match="variable year: whole years are due"):
        scan(Choice("biomass", MONTHLY["biomass"], (str(tmp_path / "odd.nc"),)), files)


def test_plant_types_may_be_a_variable_each(tmp_path):
    lat, lon = np.array([10.5, 11.5]), np.array([20.5, 21.5])
    shares = {name: np.full((2, 2), 9.0) for name in PLANT_TYPES}
    for name, values in {**shares, "water_fraction": np.full((2, 2), 10.0)}.items():
        if name != "WET":
            write_grid(tmp_path / f"{name}.nc", name, values, lat, lon, units="%")
    choice = Choice("pft", PLANT_TYPE_KINDS["groups"], (str(tmp_path / "*.nc"),))
    with OpenFiles() as files, pytest.raises(InputError, match="no share of WET; due are a variable pft_fraction"):
        find_plant_types(choice, files)
    write_grid(tmp_path / "WET.nc", "WET", shares["WET"], lat, lon, units="%")
    with OpenFiles() as files:
        found = find_plant_types(choice, files)
        assert [found[name][0].paths[0].stem for name in PLANT_TYPES] == list(PLANT_TYPES)


def test_files_without_time_or_date_are_refused(tmp_path):
    write_grid(
        tmp_path / "burned.nc", "Total", np.ones((2, 2)), np.array([1.0, 2.0]), np.array([3.0, 4.0]), units="km2"
    )
    with OpenFiles() as files, pytest.raises(InputError, match=r"no time axis .* and no date in the file's name"):
        scan(Choice("burned_area", MONTHLY["burned_area"], (str(tmp_path / "*.nc"),)), files)


def test_refusals_are_told_together_and_each_once():
    refusals = Refusals()
    for text in ("one", "two", "one"):
        with refusals.gather():
            raise InputError(text)
    with pytest.raises(InputError, match=r"file: 2 findings:\n  one\n  two$"):
        refusals.refuse("file")
    Refusals().refuse("nothing")
    above = Refusals()
    with above.gather():
        refusals.refuse("file")
    with above.gather():
        raise InputError("three")
    with pytest.raises(InputError, match=r"all: 3 findings:\n  one\n  two\n  three$"):
        above.refuse("all")
