"""Stamps of steps: any order of any months gives the months, whichever stamp a table has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.flux_towers.oneflux_stamps import END, PLAIN, START, read_steps, stamp_columns
from tests.support.towers.oneflux import DIGITS, stamps

MINUTES = {"HH": 30, "HR": 60, "DD": 1440}


@settings(max_examples=60, deadline=None)
@given(
    resolution=st.sampled_from(sorted(MINUTES)), first=st.integers(-200, 700), count=st.integers(1, 300),
    which=st.sampled_from([(START,), (END,), (START, END)]), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_shuffled_steps_with_gaps_come_in_order_with_their_months(
    resolution: str, first: int, count: int, which: tuple[str, ...], seed: int
) -> None:
    draw, step = np.random.default_rng(seed), MINUTES[resolution]
    begin = (np.datetime64("1995-01", "M") + first).astype("datetime64[m]") + step * draw.permutation(2 * count)[:count]
    if resolution == "DD":
        which = (PLAIN,)
    made = {START: begin, PLAIN: begin, END: begin + step}
    columns = {name: np.array(stamps(made[name], resolution), float) for name in which}
    steps = read_steps(columns, np.arange(count) + 2, resolution, "a.csv")
    np.testing.assert_array_equal(begin[steps.order], np.sort(begin))
    np.testing.assert_array_equal(steps.month, np.sort(begin).astype("datetime64[M]"))
    gaps = int((begin.max() - begin.min()).astype(int)) // step + 1 - count
    assert (f"{gaps:,} steps have no row" in steps.notes) == (gaps > 0)


def test_midnight_at_the_end_of_a_day_is_that_of_the_next() -> None:
    steps = read_steps({END: np.array([200301310030, 200301312400], float)}, np.array([2, 3]), "HH", "a.csv")
    assert steps.month.tolist() == [np.datetime64("2003-01").item()] * 2


@pytest.mark.parametrize(
    ("resolution", "values", "said"),
    [
        ("MM", [200301, 200301], "line 3: column TIMESTAMP: 200301 stands there and on line 2"),
        ("MM", [200301, 200313], "line 3: column TIMESTAMP: 200313 is no YYYYMM that there is"),
        ("MM", [200301, 20030201], "line 3: column TIMESTAMP: 20030201 is no YYYYMM"),
        ("DD", [20030228, 20030229], "line 3: column TIMESTAMP: 20030229 is no YYYYMMDD that there is"),
        ("DD", [20030228, 20030227.5], "line 3: column TIMESTAMP: 2003022. is no YYYYMMDD"),
        ("DD", [20030228, np.nan], "line 3: column TIMESTAMP: no time"),
        ("HH", [200301010100, 200301010130], "whether it begins or ends the steps is not clear"),
    ],
)
def test_stamps_that_cannot_be_are_refused_by_line(resolution: str, values: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_steps({PLAIN: np.array(values, float)}, np.array([2, 3]), resolution, "a.csv")


def test_stamps_are_taken_by_the_columns_that_there_are() -> None:
    assert stamp_columns(["TA", END, START], "HH") == (START, END)
    assert stamp_columns([PLAIN, "TA"], "HR") == (PLAIN,)
    assert stamp_columns([PLAIN, START, END], "MM") == (PLAIN,)
    assert stamp_columns(["TA"], "DD") == ()
    assert DIGITS["MM"] == 6
