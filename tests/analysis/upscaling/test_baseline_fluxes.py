"""Baselines at rows, and the fit of their constants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.analysis.upscaling.baseline_fluxes import (
    BaselineConstants,
    baseline_fluxes,
    fit_constants,
    fixed_baselines,
    respiration_factor,
)
from phloem.analysis.upscaling.conditions import conditions_of
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions
from phloem.errors import InputError
from phloem.kernels.models.baselines import p_model
from tests.support.analysis.tower_rows import synthetic_rows

ROWS = synthetic_rows()
COLUMNS = ROWS.columns
OPTIONS = BaselineOptions()
CONDITIONS = conditions_of(COLUMNS, OPTIONS)
CLASS = COLUMNS["igbp"].astype(int)


def test_gpp_is_the_p_model_times_absorbed_photons() -> None:
    c = CONDITIONS
    found = fixed_baselines(COLUMNS, c, OPTIONS)
    efficiency = np.asarray(p_model.p_model(c.ta, c.vpd, c.co2, c.pa).lue)
    np.testing.assert_allclose(found["gpp"], efficiency * c.fapar * c.ppfd * 0.0864, rtol=1e-12)


def test_c4_share_blends_both_pathways() -> None:
    def gpp(share: float) -> np.ndarray:
        mixed = replace(CONDITIONS, c4=np.full(len(ROWS), share))
        return fixed_baselines(COLUMNS, mixed, OPTIONS)["gpp"]

    np.testing.assert_allclose(gpp(0.25), 0.75 * gpp(0.0) + 0.25 * gpp(1.0), rtol=1e-12)
    assert not np.allclose(gpp(0.0), gpp(1.0))


def test_nee_is_respiration_less_production() -> None:
    constants = fit_constants(COLUMNS, CONDITIONS, ROWS.observed["reco"], OPTIONS)
    found = baseline_fluxes(COLUMNS, CONDITIONS, constants, OPTIONS)
    assert set(found) == {"gpp", "reco", "nee", "le"}
    np.testing.assert_array_equal(found["nee"], found["reco"] - found["gpp"])


@pytest.mark.parametrize("reco", ["q10", "lloyd-taylor"])
@given(intercept=st.floats(-2.0, 5.0), slope=st.floats(-5.0, 9.0))
def test_line_of_absorbed_light_is_recovered(reco: str, intercept: float, slope: float) -> None:
    options = replace(OPTIONS, reco=reco)
    truth = BaselineConstants(intercept, slope, np.zeros(17))
    observed = baseline_fluxes(COLUMNS, CONDITIONS, truth, options)["reco"]
    found = fit_constants(COLUMNS, CONDITIONS, observed, options)
    np.testing.assert_allclose(found.to_array(), truth.to_array(), atol=1e-9)


def test_each_class_has_its_own_value_and_a_class_without_rows_that_of_all() -> None:
    options = replace(OPTIONS, rref="igbp")
    factor = respiration_factor(CONDITIONS, options)
    observed = factor * np.select([CLASS == 1, CLASS == 4], [2.0, 5.0], np.nan)
    found = fit_constants(COLUMNS, CONDITIONS, observed, options)
    predicted = baseline_fluxes(COLUMNS, CONDITIONS, found, options)["reco"] / factor
    np.testing.assert_allclose(predicted[CLASS == 1], 2.0)
    np.testing.assert_allclose(predicted[CLASS == 4], 5.0)
    seen = np.isfinite(observed)
    everywhere = factor[seen] @ observed[seen] / (factor[seen] @ factor[seen])
    np.testing.assert_allclose(predicted[CLASS == 10], everywhere)
    nowhere = {**COLUMNS, "igbp": np.full(len(ROWS), np.nan)}
    np.testing.assert_allclose(baseline_fluxes(nowhere, CONDITIONS, found, options)["reco"] / factor, everywhere)


def test_constant_ignores_light_and_class() -> None:
    found = fit_constants(COLUMNS, CONDITIONS, ROWS.observed["reco"], replace(OPTIONS, rref="constant"))
    assert found.slope == 0.0
    assert not found.of_class.any()


def test_constants_go_through_an_array_of_fixed_length() -> None:
    for rref in ("fapar", "igbp", "constant"):
        found = fit_constants(COLUMNS, CONDITIONS, ROWS.observed["reco"], replace(OPTIONS, rref=rref))
        array = found.to_array()
        assert array.shape == (BaselineConstants.LENGTH,)
        assert array.dtype == np.float64
        assert BaselineConstants.from_array(array).to_array().tobytes() == array.tobytes()
    with pytest.raises(InputError, match="19 numbers"):
        BaselineConstants.from_array(np.zeros(3))


def test_rows_without_respiration_or_drivers_do_not_count() -> None:
    observed = ROWS.observed["reco"].copy()
    wanted = fit_constants(COLUMNS, CONDITIONS, np.where(ROWS.site == 3, np.nan, observed), OPTIONS)
    blind = replace(CONDITIONS, fapar=np.where(ROWS.site == 3, np.nan, CONDITIONS.fapar))
    found = fit_constants(COLUMNS, blind, observed, OPTIONS)
    assert found.to_array().tobytes() == wanted.to_array().tobytes()


def test_unknown_forms_and_too_few_rows_are_refused() -> None:
    with pytest.raises(InputError, match="fapar, igbp, constant"):
        fit_constants(COLUMNS, CONDITIONS, ROWS.observed["reco"], replace(OPTIONS, rref="biome"))
    with pytest.raises(InputError, match="0 rows"):
        fit_constants(COLUMNS, CONDITIONS, np.full(len(ROWS), np.nan), OPTIONS)
    with pytest.raises(InputError, match="lloyd-taylor"):
        respiration_factor(CONDITIONS, replace(OPTIONS, reco="arrhenius"))
    with pytest.raises(InputError, match="pt-jpl"):
        fixed_baselines(COLUMNS, CONDITIONS, replace(OPTIONS, le="penman"))
    with pytest.raises(InputError, match="TOPT"):
        fixed_baselines(COLUMNS, CONDITIONS, replace(OPTIONS, le="pt-jpl"))
    with pytest.raises(InputError, match="jmax"):
        fixed_baselines(COLUMNS, CONDITIONS, replace(OPTIONS, jmax="smith19"))


def test_pt_jpl_lies_between_nothing_and_the_potential() -> None:
    columns = {**COLUMNS, "TOPT": np.full(len(ROWS), 20.0)}
    le = fixed_baselines(columns, CONDITIONS, replace(OPTIONS, le="pt-jpl"))["le"]
    assert np.isfinite(le).all()
    assert ((le >= 0.0) & (le <= np.maximum(CONDITIONS.rnet, 0.0))).all()
    assert le.std() > 5.0
