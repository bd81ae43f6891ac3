"""Months of one cell: both kinds of names, units, and what is refused with file and variable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from phloem.errors import InputError
from phloem.io.monthly.cell_months import COLUMNS, STAMPS, CellMonths, read_cell_months
from phloem.kernels.network.patch_cells import MonthAxis
from tests.support.drivers.monthly_cell import LATITUDE, MONTHS, cf_months, months_of_30_days, published_months


def read(file: xr.Dataset, folder: Path) -> CellMonths:
    file.to_netcdf(folder / "D.nc")
    return read_cell_months(folder / "D.nc")


def with_value(file: xr.Dataset, name: str, place: int, value: float) -> xr.Dataset:
    values = file[name].values.copy()
    values[place] = value
    return file.assign({name: (file[name].dims, values, file[name].attrs)})


def test_columns_of_the_public_code_are_read_as_they_are(tmp_path: Path) -> None:
    own = published_months()
    months = read(own, tmp_path)
    for key, column in COLUMNS.items():
        assert np.array_equal(months.forcing[key], own[column]), key
    assert np.array_equal(months.time, own.days)
    assert np.array_equal(months.doy, own.doy)
    assert (months.latitude, months.reference) == (LATITUDE, (5.5, 2.0))
    assert months.edges is not None
    assert months.edges[:3].tolist() == [[0, 31], [31, 59], [59, 90]]
    assert months.edges[-1].tolist() == [365 + 365 + 31, 365 + 365 + 59]


def test_cf_names_and_units_give_the_same_forcing(tmp_path: Path) -> None:
    months, own = read(cf_months(), tmp_path), published_months()
    for key, column in COLUMNS.items():
        np.testing.assert_allclose(months.forcing[key], own[column], rtol=1e-12, atol=1e-12, err_msg=key)
    assert months.latitude == LATITUDE
    assert months.reference == pytest.approx((5.5, 2.0))
    axis = MonthAxis(np.datetime64("2001-01"), MONTHS)
    assert np.array_equal(months.time, axis.time), "as the patches of a network have it"
    assert np.array_equal(months.doy, axis.doy)
    assert months.dt is None


def test_rain_as_a_sum_of_the_month_is_spread_over_its_days(tmp_path: Path) -> None:
    file = cf_months()
    lengths = np.diff(file.time_bnds.values, axis=1)[:, 0]
    sums = published_months().precipitation.values * lengths
    months = read(file.assign(pr=("time", sums, {"units": "mm month-1"})), tmp_path)
    np.testing.assert_allclose(months.forcing["pr"], published_months().precipitation, rtol=1e-12)


def test_days_since_another_date_are_the_same_dates(tmp_path: Path) -> None:
    file = published_months()
    shifted = file.assign(days=("month", file.days.values + 366, {"units": "days since 2000-01-01"}))
    np.testing.assert_allclose(read(shifted, tmp_path).time, file.days, rtol=0, atol=1e-9)


def test_a_record_may_begin_in_any_month(tmp_path: Path) -> None:
    months = read(published_months().isel(month=slice(5, None)), tmp_path)
    assert months.edges is not None
    assert months.edges[0].tolist() == [151, 181]


def test_stamps_that_are_no_calendar_months_have_no_edges(tmp_path: Path) -> None:
    assert read(months_of_30_days(), tmp_path).edges is None


@pytest.mark.parametrize("name", [*COLUMNS.values(), *STAMPS, "latitude", "mean_temperature", "mean_precipitation"])
def test_a_missing_column_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"D\.nc: missing forcing: {name}\b.*The file has: "):
        read(published_months().drop_vars(name), tmp_path)


@pytest.mark.parametrize("name", [*COLUMNS.values(), *STAMPS, "latitude", "mean_temperature"])
def test_a_missing_value_is_refused_with_its_month(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"D\.nc: variable {name}: missing in 1 of {MONTHS} months, first in month 7"):
        read(with_value(published_months(), name, 7, np.nan), tmp_path)


def kelvin(file: xr.Dataset) -> xr.Dataset:
    return file.assign(t_min=file.t_min + 273.15)


def two_cells(file: xr.Dataset) -> xr.Dataset:
    return xr.concat([file, file], "cell")


REFUSED: dict[str, tuple[Callable[[xr.Dataset], xr.Dataset], str]] = {
    "unit": (
        lambda file: file.assign(vpd=file.vpd.assign_attrs(units="m s-1")),
        "variable vpd: unit 'm s-1'; due is hPa, accepted are hPa",
    ),
    "kelvin": (
        kelvin,
        r"variable t_min: month 0 \(2001-01\): 26\d.* degC, where -95 to 60 .*; without units",
    ),
    "watts": (
        lambda file: file.assign(shortwave=file.shortwave / 0.0864),
        r"variable shortwave: month \d .* MJ m-2 d-1, where 0 to 50 are possible",
    ),
    "a second": (
        lambda file: file.assign(precipitation=file.precipitation / 86400),
        "variable precipitation: at most 3.*e-05 mm d-1 in all seasons",
    ),
    "a year": (
        lambda file: file.assign(mean_precipitation=file.mean_precipitation * 365.25),
        "variable mean_precipitation: 730.5 mm d-1, where 0 to 60",
    ),
    "burned": (
        lambda file: with_value(file, "burned_fraction", 3, 2.0),
        r"variable burned_fraction: month 3 \(2001-04\): 2 1, where 0 to 1",
    ),
    "order": (lambda file: file.isel(month=slice(None, None, -1)), "variable days: month 1 .* stands behind month 0"),
    "gap": (
        lambda file: file.isel(month=[0, 1, 2, 4, 5]),
        r"variable days: month 3 \(2001-05\) stands behind month 2 \(2001-03\)",
    ),
    "doy": (
        lambda file: file.assign(doy=("month", 1.0 + np.arange(MONTHS) % 12)),
        "variable doy: month 1: 2, where days = 45.6562",
    ),
    "dt": (lambda file: file.assign(dt=file.dt * 24), "variable dt: 720 to 720; lengths of months in days"),
    "crossed": (
        lambda file: with_value(file, "t_min", 2, 30.0),
        r"variable t_min: month 2 \(2001-03\): 30 degC, above t_max",
    ),
    "place": (lambda file: with_value(file, "latitude", 4, 12.0), "variable latitude: changes from 12 to 61.85"),
    "pole": (lambda file: file.assign(latitude=file.latitude * 2), "variable latitude: 123.7; -90 to 90"),
    "cells": (two_cells, rf"dimensions \(cell: 2, month: {MONTHS}\); one cell is due"),
    "both names": (lambda file: file.assign(tasmin=file.t_min), "t_min and tasmin are one and the same"),
    "hours": (
        lambda file: file.assign(days=file.days.assign_attrs(units="hours since 2001-01-01")),
        "variable days: unit 'hours since 2001-01-01'; days since",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_months_are_refused_with_file_and_variable(case: str, tmp_path: Path) -> None:
    change, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as refusal:
        read(change(published_months()), tmp_path)
    assert str(tmp_path / "D.nc") in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.assign(pr=("time", file.pr.values)), "variable pr: unit ''; due is mm d-1"),
        (lambda file: file.isel(time=[0, 1, 3]), "variable time: month 2 .* stands behind month 1"),
        (lambda file: file.assign_coords(time=file.time.assign_attrs(calendar="noleap")), "calendar 'noleap'"),
    ],
)
def test_wrong_cf_months_are_refused(change: Callable[[xr.Dataset], xr.Dataset], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(change(cf_months()), tmp_path)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "D.nc").write_text("months")
    with pytest.raises(InputError, match="not a readable NetCDF file"):
        read_cell_months(tmp_path / "D.nc")
