"""Columns that a place's other months tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.upscaling.flux_rows import Columns
from phloem.analysis.upscaling.place_climate import PLACE_COLUMNS, complete_rows
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions
from tests.support.analysis.tower_rows import synthetic_rows

ROWS = synthetic_rows(6, years=3)
OPTIONS = BaselineOptions()


def completed(columns: Columns = ROWS.columns, place: np.ndarray = ROWS.site) -> Columns:
    return complete_rows(columns, place, OPTIONS).columns


def taken(rows: np.ndarray) -> Columns:
    return completed({name: values[rows] for name, values in ROWS.columns.items()}, ROWS.site[rows])


def test_anomalies_and_years_are_those_of_the_mean_year() -> None:
    found = completed()
    for site in range(6):
        at = ROWS.site == site
        ta = ROWS.columns["TA"][at].reshape(3, 12)
        np.testing.assert_allclose(found["TA_anomaly"][at], (ta - ta.mean(axis=0)).ravel(), atol=1e-12)
        for name, wanted in zip(("year", "low", "high"), (ta.mean(), *_ends(ta.mean(axis=0))), strict=True):
            np.testing.assert_allclose(found[f"TA_{name}"][at], wanted, rtol=1e-12)


def _ends(values: np.ndarray) -> tuple[float, float]:
    return values.min(), values.max()


def test_months_before_are_of_the_same_place_and_missing_at_its_first() -> None:
    found = completed()
    rain = ROWS.columns["P"].reshape(6, 36)
    before = found["P_before"].reshape(6, 36)
    np.testing.assert_array_equal(before[:, 1:], rain[:, :-1])
    assert np.isnan(before[:, 0]).all()
    season, half = found["P_season"].reshape(6, 36), found["P_half_year"].reshape(6, 36)
    np.testing.assert_allclose(season[:, 7], rain[:, 5:8].mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(half[:, 7], rain[:, 2:8].mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(season[:, 0], rain[:, 0], rtol=1e-12)


def test_month_that_is_not_there_is_missing_in_the_next() -> None:
    gap = (ROWS.site == 2) & (ROWS.month == 490)
    found = taken(~gap)
    after = (ROWS.site == 2)[~gap] & (ROWS.month[~gap] == 491)
    assert np.isnan(found["TA_before"][after]).all()
    np.testing.assert_allclose(
        found["P_season"][after],
        ROWS.columns["P"][(ROWS.site == 2) & np.isin(ROWS.month, (489, 491))].mean(),
        rtol=1e-12,
    )


@given(place=st.integers(0, 5))
def test_other_places_change_no_bit(place: int) -> None:
    whole, alone = completed(), taken(ROWS.site == place)
    for name in (*PLACE_COLUMNS, "TOPT"):
        assert whole[name][ROWS.site == place].tobytes() == alone[name].tobytes(), name


def test_order_of_places_changes_no_bit() -> None:
    backwards = np.argsort(-ROWS.site, kind="stable")
    whole, turned = completed(), taken(backwards)
    for name in PLACE_COLUMNS:
        assert whole[name][backwards].tobytes() == turned[name].tobytes(), name


def test_missing_rain_is_missing_and_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    columns = {name: values for name, values in ROWS.columns.items() if name != "P"}
    found = completed(columns)
    assert np.isnan(found["P_year"]).all()
    assert np.isnan(found["aridity"]).all()
    assert np.isfinite(found["TA_year"]).all()
    assert not [str(w.message) for w in recwarn if issubclass(w.category, RuntimeWarning)]


def test_pt_jpl_finds_its_optimum_temperature_here() -> None:
    complete = complete_rows(ROWS.columns, ROWS.site, replace(OPTIONS, le="pt-jpl"))
    assert np.isfinite(complete.fixed["le"]).all()
    for site in range(6):
        at = ROWS.site == site
        c = complete.conditions
        vigour = (c.rnet * c.fapar * c.ta / np.maximum(c.vpd, 1.0))[at]
        np.testing.assert_array_equal(complete.columns["TOPT"][at], c.ta[at][np.argmax(vigour)])


def test_no_rows_give_no_rows() -> None:
    found = taken(np.zeros(len(ROWS), bool))
    assert all(found[name].shape == (0,) for name in PLACE_COLUMNS)
