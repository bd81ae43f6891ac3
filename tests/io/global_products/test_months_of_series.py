"""Steps of products among the months of a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.io.global_products.months_of_series import (
    MonthlySeries,
    areas_of_pixels,
    joined,
    monthly_series,
    months_of_years,
)
from phloem.io.global_products.patch_catalogue import MONTHLY
from phloem.io.grids.placed_cells import Grid
from phloem.io.products.catalogue import Choice
from phloem.io.products.raw_files import OpenFiles
from phloem.io.products.series import scan
from phloem.names import PERIOD
from tests.support.drivers.product_samples import write_grid

LAT, LON = np.array([10.5, 11.5]), np.array([20.5, 21.5, 22.5])
STORE = months_of_years(2001, 2002)


def read(path: Path, table: str, dates: np.ndarray, stamps: str = "", unit: str = "1", **more: object) -> MonthlySeries:
    days = (dates - np.datetime64("2000-01-01")).astype(float)
    values = np.ones((len(dates), len(LAT), len(LON)))
    name = MONTHLY[table].fields[table].names[0]
    write_grid(path, name, values, LAT, LON, units=unit, time=days, fill=-9999.0, **more)  # type: ignore[arg-type]
    with OpenFiles() as files:
        choice = Choice(table, MONTHLY[table], (str(path),), stamps=stamps or "begin")  # type: ignore[arg-type]
        return monthly_series(table, table, scan(choice, files)[table], STORE, stamps)


def firsts(begin: str, count: int) -> np.ndarray:
    return (np.datetime64(begin, "M") + np.arange(count)).astype("datetime64[D]")


def test_months_of_the_store_count_days_of_leap_years():
    assert months_of_years(2004, 2004).days.tolist() == [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    dates = np.array(["2000-12-31", "2001-01-01", "2002-12-31", "2003-01-01"], "datetime64[D]")
    assert STORE.places(dates).tolist() == [-1, 0, 23, -1]


def test_steps_outside_the_store_are_left_out(tmp_path):
    found = read(tmp_path / "lai.nc", "lai", firsts("1999-11", 60) + 14)
    assert found.steps.tolist() == list(range(14, 38))
    assert found.months.tolist() == list(range(24))
    assert (found.factor == 1).all()


def test_middles_of_bounds_tell_the_month_of_stamps_at_the_end(tmp_path):
    begin, end = firsts("2001-01", 24), firsts("2001-02", 24)
    bounds = np.stack([begin, end], axis=1) - np.datetime64("2000-01-01")
    found = read(tmp_path / "lai.nc", "lai", end, bounds=bounds.astype(float))
    assert found.months.tolist() == list(range(24))


def test_stamps_on_firsts_that_end_whole_years_are_refused_until_it_is_said_what_they_are(tmp_path):
    with pytest.raises(InputError, match='say stamps = "end"'):
        read(tmp_path / "lai.nc", "lai", firsts("2001-02", 24))
    assert read(tmp_path / "end.nc", "lai", firsts("2001-02", 24), "end").months.tolist() == list(range(24))
    assert read(tmp_path / "begin.nc", "lai", firsts("2001-02", 24), "begin").months.tolist() == list(range(1, 24))


def test_eight_day_steps_need_half_of_a_month(tmp_path):
    dates = np.arange("2001-01-29", "2001-06-10", np.timedelta64(8, "D"), "datetime64[D]")
    found = read(tmp_path / "lai.nc", "lai", dates)
    assert found.covered.tolist() == [1, 2, 3, 4]  # 29 January and 6 June are too few
    assert found.least(1) == 0.5 * 3


def test_annual_steps_stand_for_all_months_of_their_year(tmp_path):
    dates = np.array(["2000-07-01", "2001-07-01", "2002-01-01", "2003-07-01"], "datetime64[D]")
    found = read(tmp_path / "b.nc", "biomass", dates, unit="Mg C ha-1")
    assert (found.span, found.months.tolist(), found.covered.tolist()) == (12, [0, 12], list(range(24)))
    with pytest.raises(InputError, match="more than one step a year"):
        read(tmp_path / "twice.nc", "biomass", firsts("2001-01", 24) + 3, unit="Mg C ha-1")


def test_sums_over_months_are_divided_by_their_own_days(tmp_path):
    found = read(tmp_path / "et.nc", "et", firsts("2001-01", 24) + 27, unit="mm month-1")
    quantity = found.series.quantity
    mean = quantity.convert(np.array([62.0]), "mm month-1")
    assert mean[0] * found.factor[0] == pytest.approx(2.0)
    assert found.factor[1] == pytest.approx(PERIOD / 12 / 28)


def test_a_later_product_only_adds_what_is_missing(tmp_path):
    first = read(tmp_path / "a.nc", "lai", firsts("2001-01", 14) + 14)
    later = read(tmp_path / "b.nc", "lai", firsts("2001-06", 19) + 14)
    rest = joined(first, later)
    assert rest is not None
    assert rest.months.tolist() == list(range(14, 24))
    assert joined(later, read(tmp_path / "c.nc", "lai", firsts("2002-01", 5) + 14)) is None


def test_no_month_of_the_store_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\[products.lai\] has no month of 2001-01 to 2002-12"):
        read(tmp_path / "lai.nc", "lai", firsts("1990-01", 24) + 14)


@pytest.mark.parametrize(("unit", "metres"), [("km2", 1e6), ("km^2", 1e6), ("m2", 1.0), ("ha", 1e4)])
def test_burned_areas_are_shares_of_their_pixels(tmp_path, unit, metres):
    found = read(tmp_path / "ba.nc", "burned_area", firsts("2001-01", 24) + 14, unit=unit)
    areas = Grid(np.sort(LAT), LON, 1.0, 1.0).areas()
    np.testing.assert_allclose(areas_of_pixels(found.series.layouts[0]), metres / areas, rtol=1e-9)
    shares = read(tmp_path / "share.nc", "burned_area", firsts("2001-01", 24) + 14, unit="%")
    assert areas_of_pixels(shares.series.layouts[0]) is None
