"""Predictors: which there are, what their table holds, which are refused."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.analysis.upscaling.baseline_fluxes import fixed_baselines
from phloem.analysis.upscaling.conditions import conditions_of
from phloem.analysis.upscaling.place_climate import PLACE_COLUMNS, complete_rows
from phloem.analysis.upscaling.predictor_columns import available_predictors, chosen_predictors, predictor_table
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions
from phloem.errors import InputError
from tests.support.analysis.tower_rows import synthetic_rows

ROWS = synthetic_rows()
COLUMNS = ROWS.columns
CONDITIONS = conditions_of(COLUMNS, BaselineOptions())
FIXED = fixed_baselines(COLUMNS, CONDITIONS, BaselineOptions())


def table(*names: str) -> np.ndarray:
    return predictor_table(COLUMNS, CONDITIONS, FIXED, "gpp", names)


def test_all_available_predictors_have_values_in_the_table() -> None:
    names = available_predictors(COLUMNS)
    found = table(*names)
    assert found.shape == (len(ROWS), len(names))
    assert found.dtype == np.float32
    assert np.isfinite(found).any(axis=0).all()
    assert {"TA", "LAI", "month_sin", "iwue", "baseline_gpp", "igbp_ENF", "koppen_1"} <= set(names)
    assert not {"WS", "TS", "igbp_MF"} & set(names)


def test_values_are_drivers_seasons_and_classes() -> None:
    found = table("TA", "LAI", "month_sin", "month_cos", "igbp_DBF", "net_radiation", "baseline_le")
    np.testing.assert_array_equal(found[:, 0], COLUMNS["TA"].astype(np.float32))
    np.testing.assert_array_equal(np.isnan(found[:, 1]), np.isnan(COLUMNS["LAI"]))
    np.testing.assert_allclose(found[:, 2] ** 2 + found[:, 3] ** 2, 1.0, rtol=1e-6)
    np.testing.assert_array_equal(found[:, 4], COLUMNS["igbp"] == 4)
    assert np.isfinite(found[:, 5]).all()
    np.testing.assert_allclose(found[:, 6], FIXED["le"], rtol=1e-6)


def test_unknown_class_is_missing_not_none_of_all() -> None:
    columns = {**COLUMNS, "igbp": np.where(ROWS.site == 2, np.nan, COLUMNS["igbp"])}
    found = predictor_table(columns, CONDITIONS, FIXED, "gpp", ["igbp_ENF"])[:, 0]
    np.testing.assert_array_equal(np.isnan(found), ROWS.site == 2)


def test_one_name_stands_for_all_classes_that_occur() -> None:
    assert chosen_predictors(COLUMNS, ["TA", "igbp"]) == ("TA", "igbp_ENF", "igbp_DBF", "igbp_GRA")
    assert chosen_predictors(COLUMNS, []) == available_predictors(COLUMNS)


def test_what_other_months_tell_is_asked_for_by_name() -> None:
    columns = complete_rows(COLUMNS, ROWS.site, BaselineOptions()).columns
    standard = chosen_predictors(columns, [])
    assert not set(standard) & set(PLACE_COLUMNS)
    assert chosen_predictors(columns, ["standard", "place"]) == (*standard, *PLACE_COLUMNS)
    assert chosen_predictors(columns, ["TA", "TA_year"]) == ("TA", "TA_year")
    with pytest.raises(InputError, match="'TA_year' has no value"):
        chosen_predictors(COLUMNS, ["TA", "TA_year"])


def test_misspelt_predictor_is_refused_with_those_that_have_values() -> None:
    with pytest.raises(InputError, match=r"'SWINN' is not known.*Did you mean 'SWIN'.*TA, "):
        chosen_predictors(COLUMNS, ["TA", "SWINN"])


@pytest.mark.parametrize("name", ["WS", "TS", "igbp_MF", "NIRv"])
def test_predictor_without_any_value_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' has no value"):
        chosen_predictors({**COLUMNS, "NIRv": np.full(len(ROWS), np.nan)}, ["TA", name])


def test_predictor_named_twice_is_refused() -> None:
    with pytest.raises(InputError, match="'igbp_ENF' is named twice"):
        chosen_predictors(COLUMNS, ["igbp", "igbp_ENF"])


def test_table_for_rows_without_a_column_of_the_model_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="'WS'"):
        table("TA", "WS")
