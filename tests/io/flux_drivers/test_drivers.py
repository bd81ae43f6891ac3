"""Drivers of fluxes in CF files and stores: names, units, months, places, and what is refused."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.flux_drivers.driver_places import grid_places
from phloem.io.flux_drivers.driver_recipes import DRIVERS, described, find_recipe
from phloem.io.flux_drivers.open_drivers import open_drivers, require_drivers
from tests.support.drivers.flux_towers import MadeGrid

GRID = MadeGrid(rows=4, columns=5, months=14)
ALL = slice(0, 4)


def split_by_year(folder: Path) -> Path:
    """The grid as one file a variable and year, in a folder."""
    whole = GRID.write(folder.parent / "whole.nc")
    folder.mkdir()
    with netCDF4.Dataset(whole) as file:
        file.set_auto_maskandscale(False)
        for name in GRID.values:
            for part, steps in ((0, slice(0, 12)), (1, slice(12, 14))):
                with netCDF4.Dataset(folder / f"{name}_{part}.nc", "w") as made:
                    for axis in ("time", "lat", "lon"):
                        values = file[axis][steps] if axis == "time" else file[axis][:]
                        made.createDimension(axis, len(values))
                        made.createVariable(axis, "f8", (axis,))[:] = values
                        made[axis].units = file[axis].units
                    one = made.createVariable(name, "f4", ("time", "lat", "lon"), fill_value=1e20)
                    one.set_auto_maskandscale(False)
                    one.units = file[name].units
                    one[:] = file[name][steps]
    return folder


def test_a_folder_of_variables_and_years_equals_one_file(tmp_path: Path) -> None:
    parts, whole = open_drivers(split_by_year(tmp_path / "parts")), open_drivers(tmp_path / "whole.nc")
    np.testing.assert_array_equal(parts.months, GRID.months)
    for source in (parts, whole):
        band = source.read(ALL, ["TA", "VPD", "P"], ["TA", "VPD"])
        np.testing.assert_array_equal(band.place, np.flatnonzero(~GRID.ocean.reshape(-1)))
        for name in ("TA", "VPD", "P"):
            expected = GRID.values[name].reshape(-1, 14)[band.place]
            np.testing.assert_array_equal(band.values[name], expected)
        np.testing.assert_array_equal(band.complete, np.isfinite(band.values["VPD"]))


def test_bands_are_parts_of_the_whole_whatever_the_slab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_drivers(GRID.write(tmp_path / "X.nc", chunks=False))
    whole = source.read(ALL, ["TA", "elevation"], ["TA"])
    monkeypatch.setattr("phloem.io.flux_drivers.cf_drivers.SLAB", 7)
    parts = [source.read(slice(row, row + 1), ["TA", "elevation"], ["TA"]) for row in range(4)]
    np.testing.assert_array_equal(np.concatenate([part.values["TA"] for part in parts]), whole.values["TA"])
    np.testing.assert_array_equal(
        np.concatenate([part.statics["elevation"] for part in parts]), whole.statics["elevation"]
    )
    np.testing.assert_array_equal(source.known("TA"), (~GRID.ocean).sum(axis=1))


def test_units_of_cmip_come_to_those_of_towers(tmp_path: Path) -> None:
    source = open_drivers(GRID.write(tmp_path / "X.nc", statics=False, cmip=True))
    band = source.read(ALL, list(GRID.values), ["TA"])
    for name, values in GRID.values.items():
        np.testing.assert_allclose(band.values[name], values.reshape(-1, 14)[band.place], rtol=1e-4, atol=1e-3)


def test_a_sum_of_the_month_becomes_a_mean_a_day(tmp_path: Path) -> None:
    path = GRID.write(tmp_path / "X.nc")
    with netCDF4.Dataset(path, "a") as file:
        file["P"].units = "mm month-1"
    found = open_drivers(path).read(ALL, ["P"], ["P"])
    days = (GRID.months + 1).astype("datetime64[D]") - GRID.months.astype("datetime64[D]")
    expected = GRID.values["P"].reshape(-1, 14)[found.place] / days.astype(float)
    np.testing.assert_allclose(found.values["P"], expected, rtol=1e-6)


def test_layers_beside_are_matched_by_coordinates_not_by_rows(tmp_path: Path) -> None:
    drivers = GRID.write(tmp_path / "X.nc", statics=False)
    source = open_drivers(drivers, GRID.write_static(tmp_path / "S.nc"))
    for name, values in GRID.statics.items():
        np.testing.assert_allclose(source.number(name, slice(1, 3)), values[1:3].reshape(-1), rtol=1e-6)


@pytest.mark.parametrize(
    ("have", "read"),
    [
        ({"TA", "tas"}, ("TA",)),
        ({"tasmin", "tasmax"}, ("tasmin", "tasmax")),
        ({"tasmin"}, None),
    ],
)
def test_temperature_is_read_or_made(have: set[str], read: tuple[str, ...] | None) -> None:
    found = find_recipe("TA", have)
    assert (found[1] if found else None) == read


def test_deficit_is_made_of_relative_humidity() -> None:
    found = find_recipe("VPD", {"hurs", "tas"})
    assert found is not None
    assert found[1] == ("hurs", "tas")
    air = np.array([-5.0, 20.0])
    np.testing.assert_allclose(found[0].combine(np.array([50.0, 101.0]), air), [0.5 * saturation_pressure(air[0]), 0])
    assert "hurs" in described("VPD")


def test_drivers_are_no_fluxes() -> None:
    assert not {"GPP", "RECO", "NEE", "LE", "NEE_QC"} & set(DRIVERS)


def test_areas_of_a_whole_earth_are_its_surface() -> None:
    places = grid_places(np.arange(89, -90, -2.0), np.arange(1, 360, 2.0), "X")
    assert places.areas().sum() == pytest.approx(4 * np.pi * 6371007.181**2, rel=1e-9)


def damaged(tmp_path: Path, edit) -> Path:
    path = GRID.write(tmp_path / "X.nc")
    with netCDF4.Dataset(path, "a") as file:
        edit(file)
    return path


def _twice(file: netCDF4.Dataset) -> None:
    file["time"][1] = file["time"][0]


def _other_unit(file: netCDF4.Dataset) -> None:
    file["TA"].units = "kg"


def _turning(file: netCDF4.Dataset) -> None:
    file["lat"][1] = 80.0


def _class_of_none(file: netCDF4.Dataset) -> None:
    file.createVariable("igbp", "f4", ("lat", "lon"))[:] = 44


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_twice, "one step a month is due"),
        (_other_unit, "TA: unit 'kg'"),
        (_turning, "latitude: an axis that rises or falls throughout"),
        (_class_of_none, "classes 1 to 17 of igbp"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, edit, words: str) -> None:
    path = damaged(tmp_path, edit)
    with pytest.raises(InputError, match=words):
        open_drivers(path).read(ALL, ["TA", *(["igbp"] if edit is _class_of_none else [])], ["TA"])


def test_a_lacking_driver_is_refused_with_the_names_that_would_do(tmp_path: Path) -> None:
    source = open_drivers(GRID.write(tmp_path / "X.nc"))
    with pytest.raises(InputError, match=r"NDVI is missing; needed are NDVI \(NDVI or ndvi; 1\); .*X.nc has"):
        require_drivers(source, ("TA", "NDVI", "month", "lat"))


def test_other_places_in_a_second_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "both").mkdir()
    GRID.write(tmp_path / "both" / "a.nc")
    MadeGrid(rows=3, columns=5, months=14).write(tmp_path / "both" / "b.nc")
    with pytest.raises(InputError, match=r"b\.nc has other places than .*a\.nc"):
        open_drivers(tmp_path / "both")
