"""Time axes: bounds under their usual names, stamps at the ends of steps, and months that stamps leave open."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.files.time_axis import bounds_name, days_within, decode_dates, decode_moments, leaves_month_open

MONTHS = np.arange("2003-01", "2005-01", dtype="datetime64[M]")
FIRSTS = MONTHS.astype("datetime64[D]")
NEXT = (MONTHS + 1).astype("datetime64[D]")


@given(st.lists(st.integers(-40_000, 60_000), min_size=1, max_size=20), st.sampled_from(["standard", "noleap"]))
def test_dates_are_those_of_cftime(numbers: list[int], calendar: str) -> None:
    days, hours = decode_dates(np.array(numbers) + 0.25, "days since 2001-01-01", calendar, "x")
    wanted = cftime.num2date(np.array(numbers), "days since 2001-01-01", calendar)
    assert [str(day) for day in days] == [f"{one.year:04d}-{one.month:02d}-{one.day:02d}" for one in wanted]
    assert set(hours.tolist()) == {6.0}


def test_moments_keep_the_days_of_their_calendar_and_dates_refuse_those_that_are_none() -> None:
    values = np.array([59.5])  # 30 February
    year, month, day, hour = decode_moments(values, "days since 2001-01-01", "360_day", "x")
    assert (year[0], month[0], day[0], hour[0]) == (2001, 2, 30, 12.0)
    with pytest.raises(InputError, match="x: units 'days since 2001-01-01' are not understood"):
        decode_dates(values, "days since 2001-01-01", "360_day", "x")


def test_a_time_that_is_missing_is_named() -> None:
    with pytest.raises(InputError, match=r"f.nc: variable time: step 1: no time"):
        decode_dates(np.array([1.0, np.nan]), "days since 2001-01-01", "", "f.nc: variable time")


@pytest.mark.parametrize(
    ("stated", "there", "found"),
    [
        ("time_bounds", ["time_bounds"], "time_bounds"),
        ("time_bounds", ["time_bound"], "time_bound"),
        ("", ["time_bnds", "x"], "time_bnds"),
        ("climate", ["x"], ""),
    ],
)
def test_bounds_are_found(stated: str, there: list[str], found: str) -> None:
    assert bounds_name(stated, "time", there) == found


def test_the_month_of_a_step() -> None:
    zero = np.zeros(len(MONTHS))
    edges = np.stack([FIRSTS, NEXT], 1)
    for date, bounds, stamps in (
        (FIRSTS, None, "begin"), (FIRSTS + 14, None, "begin"), (NEXT, edges, "begin"), (NEXT, None, "end"),
        (NEXT - 1, None, "begin"),
    ):  # fmt: skip
        found = days_within(date, zero, bounds, stamps).astype("datetime64[M]")  # type: ignore[arg-type]
        assert (found == MONTHS).all(), (date[0], bounds is None, stamps)


def test_what_stamps_leave_open() -> None:
    zero = np.zeros(len(MONTHS))
    assert leaves_month_open(FIRSTS, zero, None)
    assert not leaves_month_open(FIRSTS, zero, np.stack([FIRSTS, NEXT], 1))
    assert not leaves_month_open(FIRSTS + 14, zero, None)
    assert not leaves_month_open(FIRSTS, zero + 12, None)
    assert not leaves_month_open(np.arange("2003-01-01", "2003-02-01", dtype="datetime64[D]"), np.zeros(31), None)
