"""Columns of numbers of CSV tables: what is read equals what was written, and lines are counted as editors do."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.files import number_columns
from phloem.io.files.number_columns import NumberTable, first_of, require_columns

NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))


def table(contents: str) -> NumberTable:
    return NumberTable(io.BytesIO(contents.encode()), "a.csv")


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=40), part=st.integers(1, 7),
    ends=st.sampled_from(["\n", "\r\n"]), marks=st.sampled_from(["\ufeff", ""]),
    missing=st.sampled_from(["-9999", "", "NaN", "NA"]), seed=st.integers(0, 9),
)  # fmt: skip
def test_columns_of_any_table_are_read_as_written(
    rows: list, part: int, ends: str, marks: str, missing: str, seed: int
) -> None:
    draw, lines, due = np.random.default_rng(seed), ["a,b,c"], []
    for row in rows:
        for _ in range(draw.integers(0, 2)):
            lines.append("  ")
        lines.append(",".join(missing if np.isnan(one) else repr(one) for one in row))
        due.append(len(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(number_columns, "PART", part)
        read, line = table(marks + ends.join(lines) + ends).read(["c", "a"], [])
    values = np.array(rows)
    values[values == -9999.0] = np.nan
    np.testing.assert_array_equal(read["c"], values[:, 2])
    np.testing.assert_array_equal(read["a"], values[:, 0])
    assert line.tolist() == due


def test_text_in_a_column_that_is_not_read_is_passed_over() -> None:
    read, _ = table("a,b\n1,clear\n2,rain\n").read(["a"], [])
    assert read["a"].tolist() == [1, 2]


def test_fault_in_a_later_part_is_named_by_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_columns, "PART", 2)
    with pytest.raises(InputError, match=r"a\.csv, line 6: column b: 'x' is not a number"):
        table("a,b\n1,1\n\n1,1\n1,1\n1,x\n").read(["b"], [])
    with pytest.raises(InputError, match=r"a\.csv, line 5: 3 fields; the header has 2"):
        table("a,b\n1,1\n\n1,1\n1,1,1\n1,1\n").read(["b"], [])


def test_columns_that_are_missing_are_named_together() -> None:
    assert first_of(("a", "b"), ("x", "b", "a")) == "b"
    with pytest.raises(InputError, match=r"a\.csv: missing columns: x or y, z; the table has a, b"):
        require_columns(("a", "b"), [("x", "y"), ("b", "c"), ("z",)], "a.csv")
