"""Folds by tower, row, box of degrees, year."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.upscaling.flux_rows import FluxRows
from phloem.analysis.upscaling.leave_out import LeftOut, leave_out
from phloem.errors import InputError
from tests.support.analysis.tower_rows import synthetic_rows

ROWS = synthetic_rows(9)


def folds(scheme: str, count: int = 0, degrees: float = 10.0, seed: int = 0, rows: FluxRows = ROWS) -> LeftOut:
    return leave_out(rows, scheme, count, degrees, seed)


def placed(lat: list[float], lon: list[float]) -> FluxRows:
    columns = {"lat": np.asarray(lat), "lon": np.asarray(lon), "month": np.zeros(len(lat))}
    return FluxRows(tuple(f"T{i}" for i in range(len(lat))), np.arange(len(lat)), columns, {})


def test_tower_folds_have_the_towers_names_and_rows() -> None:
    found = folds("tower")
    assert found.names == ROWS.sites
    np.testing.assert_array_equal(found.fold, ROWS.site)
    assert found.fold.dtype == np.int64


def test_towers_of_one_place_are_left_out_together_and_named_together() -> None:
    # 0.008 degrees of latitude are 0.89 km; T2 joins T0 by way of T3; T4 is 2.2 km off; T1 has no place
    rows = placed([50.0, np.nan, 50.016, 50.008, 50.036], [8.0, 8.0, 8.0, 8.0, 8.0])
    found = folds("tower", rows=rows)
    assert [found.names[i] for i in found.fold] == ["T0+T2+T3", "T1", "T0+T2+T3", "T0+T2+T3", "T4"]


@given(count=st.integers(2, 4), seed=st.integers(0, 99))
def test_counted_tower_folds_keep_places_whole(count: int, seed: int) -> None:
    rows = placed([10.0, 10.001, 20.0, 30.0, 40.0], [0.0, 0.0, 0.0, 0.0, 0.0])
    found = folds("tower", count, seed=seed, rows=rows)
    assert found.fold[0] == found.fold[1]


def test_towers_on_both_sides_of_the_date_line_are_at_one_place() -> None:
    assert folds("tower", rows=placed([0.0, 0.0, 5.0], [179.999, -179.999, 0.0])).names == ("T0+T1", "T2")


def test_towers_without_coordinates_stand_alone() -> None:
    rows = placed([0.0, 0.0], [0.0, 0.0])
    assert folds("tower", rows=replace(rows, columns={"month": np.zeros(2)})).names == ("T0", "T1")


def test_year_folds_hold_one_calendar_year_each() -> None:
    found = folds("year")
    assert found.names == ("2010", "2011")
    np.testing.assert_array_equal(found.fold, (ROWS.month - 480) // 12)


def test_box_folds_split_at_multiples_of_their_side_south_and_west_of_zero_too() -> None:
    rows = placed([9.9, 10.0, -0.1, 0.0, 9.9], [-0.1, 0.0, 5.0, 5.0, -9.9])
    found = folds("block", rows=rows)
    assert [found.names[i] for i in found.fold] == ["0N10W", "10N0E", "10S0E", "0N0E", "0N10W"]


@given(count=st.integers(2, 50), seed=st.integers(0, 99))
def test_row_folds_differ_in_size_by_one_at_most(count: int, seed: int) -> None:
    found = folds("row", count, seed=seed)
    sizes = np.bincount(found.fold, minlength=count)
    assert len(found.names) == count
    assert sizes.max() - sizes.min() <= 1


@given(count=st.integers(2, 8), seed=st.integers(0, 99))
def test_counted_tower_folds_keep_every_tower_whole(count: int, seed: int) -> None:
    found = folds("tower", count, seed=seed)
    assert set(found.fold) == set(range(count))
    for tower in range(len(ROWS.sites)):
        assert len(set(found.fold[ROWS.site == tower])) == 1


def test_seed_alone_says_which_rows_go_together() -> None:
    np.testing.assert_array_equal(folds("row", 5, seed=3).fold, folds("row", 5, seed=3).fold)
    assert (folds("row", 5, seed=3).fold != folds("row", 5, seed=4).fold).any()


@pytest.mark.parametrize(
    ("scheme", "count", "degrees", "message"),
    [
        ("towers", 0, 10.0, "Did you mean 'tower'"),
        ("row", 1, 10.0, "needs 2 to"),
        ("row", len(ROWS) + 1, 10.0, "needs 2 to"),
        ("tower", 1, 10.0, "at least 2 folds"),
        ("block", 0, 0.0, "above 0"),
        ("block", 0, float("nan"), "above 0"),
        ("block", 0, 400.0, "at least 2|nothing to fit"),
    ],
)
def test_folds_that_cannot_be_are_refused(scheme: str, count: int, degrees: float, message: str) -> None:
    rows = placed([1.0, 2.0], [3.0, 4.0]) if degrees == 400.0 else ROWS
    with pytest.raises(InputError, match=message):
        folds(scheme, count, degrees, rows=rows)


def test_box_of_a_tower_without_a_place_is_refused_by_its_name() -> None:
    lat = np.where(ROWS.site == 4, np.nan, ROWS.columns["lat"])
    with pytest.raises(InputError, match="T04"):
        folds("block", rows=replace(ROWS, columns={**ROWS.columns, "lat": lat}))
