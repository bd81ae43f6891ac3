"""Members: what they may see, what they keep, what they depend on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from phloem.analysis.upscaling.baseline_fluxes import fit_constants
from phloem.analysis.upscaling.flux_rows import FluxRows
from phloem.analysis.upscaling.member_model import MemberFit, MemberModel, fit_member, prepare
from phloem.analysis.upscaling.place_climate import complete_rows
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions, TreeOptions, UpscalingSettings
from phloem.errors import InputError
from phloem.io.flux_towers.quality_rules import DriverMonths
from tests.support.analysis.tower_rows import synthetic_rows

SETTINGS = UpscalingSettings(ways=("residual", "direct", "blend"), trees=TreeOptions(trees=12, depth=3, bins=32))
ROOT = Path(__file__).parents[3]
HELD = 5
"""Tower that is left out."""


def fitted(rows: FluxRows, flux: str, settings: UpscalingSettings = SETTINGS, seed: int = 1) -> MemberFit:
    return fit_member(prepare(rows, settings), flux, rows.site == HELD, settings, (HELD, seed))


def with_observed(rows: FluxRows, where: np.ndarray, value: float) -> FluxRows:
    return replace(rows, observed={name: np.where(where, value, y) for name, y in rows.observed.items()})


def same_bits(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(one[way].tobytes() == other[way].tobytes() for way in one)


@pytest.mark.parametrize("draws", ["tower", "row"])
@pytest.mark.parametrize("flux", ["gpp", "reco", "nee", "le"])
@pytest.mark.parametrize("learner", ["xgboost", "histogram"])
def test_planted_fluxes_of_a_left_out_tower_change_no_bit(flux: str, draws: str, learner: str) -> None:
    rows, settings = synthetic_rows(), replace(SETTINGS, draws=draws, learner=learner)
    clean = fitted(rows, flux, settings)
    planted = fitted(with_observed(rows, rows.site == HELD, 1e9), flux, settings)
    assert same_bits(clean.predicted, planted.predicted)
    assert clean.blend == planted.blend
    assert clean.model.to_bytes() == planted.model.to_bytes()


@pytest.mark.parametrize("flux", ["reco", "le"])
def test_planted_drivers_of_a_left_out_tower_change_no_bit_of_the_member(flux: str) -> None:
    rows = synthetic_rows()
    held = rows.site == HELD
    columns = {name: np.where(held & (name != "month"), 50.0, values) for name, values in rows.columns.items()}
    columns |= {name: rows.columns[name] for name in ("igbp", "koppen", "lat", "month")}
    assert fitted(rows, flux).model.to_bytes() == fitted(replace(rows, columns=columns), flux).model.to_bytes()


def test_planted_fluxes_of_other_towers_change_the_member() -> None:
    rows = synthetic_rows()
    planted = with_observed(rows, (rows.site != HELD) & (rows.month % 12 == 0), 1e9)
    for flux in SETTINGS.fluxes:
        assert not same_bits(fitted(rows, flux).predicted, fitted(planted, flux).predicted)


def test_constants_are_fitted_to_the_drawn_towers_alone() -> None:
    rows = synthetic_rows()
    prepared = prepare(rows, SETTINGS)
    found = {
        tuple(fit_member(prepared, "reco", rows.site == held, SETTINGS, (held, 0)).model.constants.to_array())
        for held in range(6)
    }
    assert len(found) == 6
    whole = replace(SETTINGS, row_share=1.0)
    held = rows.site == HELD
    member = fit_member(prepared, "reco", held, whole, (1,)).model.constants
    reco = np.where(held, np.nan, rows.observed["reco"])
    wanted = fit_constants(rows.columns, prepared.conditions, reco, SETTINGS.baselines)
    assert member.to_array().tobytes() == wanted.to_array().tobytes()


@pytest.mark.parametrize("learner", ["xgboost", "histogram", "cascade"])
def test_member_from_its_bytes_predicts_the_same_bits(learner: str) -> None:
    rows = synthetic_rows()
    settings = replace(SETTINGS, learner=learner, trees=replace(SETTINGS.trees, trees=3))
    settings = replace(settings, predictors=("standard", "place"))
    fit = fitted(rows, "nee", settings)
    read = MemberModel.from_bytes(fit.model.to_bytes())
    held = rows.site == HELD
    columns = {name: values[held] for name, values in rows.columns.items()}
    complete = complete_rows(columns, np.zeros(held.sum(), np.int64), settings.baselines)
    predicted = read.predict(complete.columns, complete.conditions, complete.fixed)
    assert same_bits({way: values.astype(np.float32) for way, values in predicted.items()}, fit.predicted)
    assert read.to_bytes() == fit.model.to_bytes()
    assert all(values.dtype == np.float64 and np.isfinite(values).all() for values in predicted.values())


def test_rows_see_the_climate_of_months_without_a_flux_as_maps_do() -> None:
    every = synthetic_rows()
    counted = np.flatnonzero(np.random.default_rng(1).random(len(every)) < 0.6)
    few = FluxRows(
        every.sites,
        every.site[counted],
        {name: values[counted] for name, values in every.columns.items()},
        {name: values[counted] for name, values in every.observed.items()},
        DriverMonths(every.site, every.columns, counted),
    )
    settings = replace(SETTINGS, predictors=("standard", "place"))
    prepared, whole = prepare(few, settings), prepare(every, settings)
    assert prepared.predictors == whole.predictors
    assert np.array_equal(prepared.table, whole.table[counted], equal_nan=True)
    assert len(prepared.conditions.ta) == len(prepared.fixed["gpp"]) == len(prepared.factor) == len(counted)
    alone = prepare(replace(few, around=None), settings)
    before = alone.predictors.index("TA_before")
    assert np.isnan(alone.table[:, before]).sum() > np.isnan(prepared.table[:, before]).sum()


def test_blend_weighs_both_ways_where_neither_was_fitted() -> None:
    rows = synthetic_rows(20)
    fit = fitted(rows, "reco")
    ways = {way: values.astype(np.float64) for way, values in fit.predicted.items()}
    assert 0.0 <= fit.blend <= 1.0
    expected = fit.blend * ways["residual"] + (1.0 - fit.blend) * ways["direct"]
    np.testing.assert_allclose(ways["blend"], expected, rtol=1e-6)
    # A flux that is its baseline: the residual is 0 everywhere, so the blend takes that way.
    prepared = prepare(rows, SETTINGS)
    exact = replace(rows, observed={**rows.observed, "gpp": prepared.fixed["gpp"].copy()})
    assert fitted(exact, "gpp").blend > 0.98


def test_order_of_members_and_fluxes_changes_no_bit() -> None:
    rows = synthetic_rows()
    prepared = prepare(rows, SETTINGS)
    work = [(flux, held, member) for flux in ("gpp", "nee") for held in (2, 7) for member in (0, 1)]

    def results(order: list[tuple[str, int, int]]) -> dict[tuple[str, int, int], bytes]:
        return {
            key: fit_member(prepared, key[0], rows.site == key[1], SETTINGS, key[1:]).model.to_bytes() for key in order
        }

    assert results(work) == results(work[::-1])


def test_member_in_another_process_has_the_same_bits() -> None:
    script = (
        "import hashlib; from tests.analysis.upscaling.test_member_model import *;"
        "settings = lambda learner: replace(SETTINGS, learner=learner);"
        "rows = synthetic_rows();"
        "print(*(hashlib.sha256(fitted(rows, 'nee', settings(l)).model.to_bytes()).hexdigest()"
        " for l in ('xgboost', 'histogram')))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **threads},
            cwd=ROOT,
        ).stdout
        for threads in ({"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "4"})
    }
    assert len(runs) == 1
    assert len(runs.pop().split()) == 2


def test_seeds_draw_other_towers_and_predictors() -> None:
    rows = synthetic_rows()
    first, second = fitted(rows, "gpp", seed=1), fitted(rows, "gpp", seed=2)
    assert first.model.predictors != second.model.predictors
    assert not same_bits(first.predicted, second.predicted)
    assert len(first.model.predictors) == round(0.8 * len(prepare(rows, SETTINGS).predictors))


def test_baseline_that_is_nowhere_known_is_refused_for_residuals_but_not_for_direct() -> None:
    rows = synthetic_rows()
    unknown = {**rows.columns, "VPD": np.full(len(rows), np.nan)}
    rows = replace(rows, columns=unknown)
    with pytest.raises(InputError, match="learn 'direct'"):
        fitted(rows, "gpp")
    assert np.isfinite(fitted(rows, "gpp", replace(SETTINGS, ways=("direct",))).predicted["direct"]).all()


def test_computed_predictor_without_any_value_is_left_out_or_refused_by_name() -> None:
    rows = synthetic_rows()
    rows = replace(rows, columns={**rows.columns, "CO2": np.full(len(rows), np.nan)})
    assert "iwue" not in prepare(rows, SETTINGS).predictors
    with pytest.raises(InputError, match="'iwue' has no value"):
        prepare(rows, replace(SETTINGS, predictors=("TA", "iwue")))


def test_fold_that_leaves_nothing_and_unknown_draws_are_refused() -> None:
    rows = synthetic_rows()
    prepared = prepare(rows, SETTINGS)
    with pytest.raises(InputError, match="no row has le"):
        fit_member(prepared, "le", np.ones(len(rows), bool), SETTINGS, (0,))
    with pytest.raises(InputError, match="none of tower, row"):
        fit_member(prepared, "le", rows.site == 1, replace(SETTINGS, draws="month"), (0,))


def test_monotone_member_does_not_fall_with_light() -> None:
    rows = synthetic_rows(20)
    settings = replace(SETTINGS, ways=("direct",), monotone=True, predictors=("SWIN", "TA", "P"), predictor_share=1.0)
    model = fitted(rows, "gpp", settings).model
    table = np.repeat(prepare(rows, settings).table[:1], 50, axis=0)
    table[:, 0] = np.linspace(0.0, 400.0, 50)
    steps = np.diff(model.predict_table(table, np.zeros(50))["direct"])
    assert (steps >= 0.0).all()
    assert steps.max() > 0.0


@pytest.mark.parametrize("options", [BaselineOptions(rref="igbp"), BaselineOptions(reco="lloyd-taylor", jmax="none")])
def test_options_of_the_baselines_reach_the_member(options: BaselineOptions) -> None:
    rows = synthetic_rows()
    other = fitted(rows, "reco", replace(SETTINGS, baselines=options))
    assert not same_bits(other.predicted, fitted(rows, "reco").predicted)
    assert MemberModel.from_bytes(other.model.to_bytes()).options == options
