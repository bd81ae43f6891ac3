"""Tables of users: what is missing in all spellings, and lines that are refused by file and line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.files.csv_table import Table, is_missing


@pytest.mark.parametrize(
    "text", ["", " ", "NA", "n/a", "NaN", "null", "None", "-", "-9999", "-9999.0", "-9.999e3", " -9999.00 "]
)
def test_what_stands_for_nothing(text: str) -> None:
    assert is_missing(text)


@given(st.floats(allow_nan=False))
def test_numbers_are_no_holes(value: float) -> None:
    assert is_missing(repr(value)) == (value == -9999.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,5,2\n", r"t.csv, line 2: 3 fields; the header has 2; a decimal comma makes two of one"),
        ("a,b\n1\n", r"t.csv, line 2: 1 fields; the header has 2$"),
        ("a;b\n1,5;2\n", r"t.csv: fields are separated by semicolons; commas are due, and points in numbers"),
        ("a\tb\n1\t2\n", r"t.csv: fields are separated by tabs"),
        ("a,a\n1,2\n", r"columns that stand twice: a"),
        ("a,b\n-9999.0,2\n", r"t.csv, line 2: a = -9999.0 stands for a missing value, and a number is due"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        [row.number("a") for row in Table(path).rows()]


def test_what_is_missing_is_nan_where_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,-9999.0\n,2\n")
    rows = list(Table(path).rows())
    assert [math.isnan(row.optional(name)) for row in rows for name in ("a", "b", "c")] == [
        False, True, True, True, False, True,
    ]  # fmt: skip
