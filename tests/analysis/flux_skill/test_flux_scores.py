"""Scores of fluxes at towers: names, breakdowns that add up, seasons of both hemispheres, parts of the signal."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from phloem.analysis.flux_skill.flux_scores import NAMES, parts, score_document, score_table, scores_of, seasons
from phloem.analysis.upscaling.flux_rows import FluxRows


def tower_rows(seed: int = 0, sites: int = 8, years: int = 3) -> tuple[FluxRows, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    site = np.repeat(np.arange(sites), 12 * years)
    month = np.tile(np.arange(360, 360 + 12 * years), sites)
    gpp = 4 + 3 * np.cos(2 * np.pi * month / 12) + rng.normal(0, 2, sites)[site] + rng.normal(0, 0.5, len(site))
    nee = 2 - 0.7 * gpp + rng.normal(0, 0.3, len(site))
    columns = {
        "month": month.astype(float),
        "lat": np.linspace(-50, 60, sites)[site],
        "igbp": np.where(site == 0, np.nan, 1.0 + site % 3),
        "koppen": 1.0 + site % 5,
    }
    observed = {"gpp": np.where(rng.random(len(site)) < 0.1, np.nan, gpp), "nee": nee - nee.mean()}
    predicted = {"gpp": gpp + rng.normal(0, 1, len(site)), "nee": observed["nee"] + rng.normal(0, 1, len(site))}
    return FluxRows(tuple(f"XX-T{k}" for k in range(sites)), site, columns, observed), predicted


def test_scores_are_those_of_scikit_learn_and_hand_by_the_names_of_the_interface() -> None:
    rows, predicted = tower_rows()
    table = score_table(rows, predicted)
    seen = np.isfinite(rows.observed["gpp"])
    x, y = predicted["gpp"][seen], rows.observed["gpp"][seen]
    gpp = table["gpp"]
    assert gpp["n"] == seen.sum()
    assert gpp["nse"] == pytest.approx(r2_score(y, x))
    assert gpp["rmse"] == pytest.approx(np.sqrt(((y - x) ** 2).mean()))
    assert gpp["nrmse"] == pytest.approx(gpp["rmse"] / y.mean())
    assert gpp["r2_pearson"] == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    assert gpp["slope_obs_on_pred"] == pytest.approx(np.polyfit(x, y, 1)[0])
    assert gpp["intercept_obs_on_pred"] == pytest.approx(np.polyfit(x, y, 1)[1])
    assert gpp["slope_pred_on_obs"] == pytest.approx(np.polyfit(y, x, 1)[0])
    assert gpp["mae"] == pytest.approx(np.abs(x - y).mean())
    assert gpp["bias"] == pytest.approx((x - y).mean())


def test_nothing_is_relative_to_the_mean_of_net_exchange_even_where_that_is_large() -> None:
    observed = np.linspace(-5, -1, 30)
    assert scores_of("nee", observed + 0.1, observed)["nrmse"] is None
    assert scores_of("gpp", observed + 0.1, -observed)["nrmse"] is not None


def test_breakdowns_have_every_row_once() -> None:
    rows, predicted = tower_rows()
    table = score_table(rows, predicted)
    for flux in ("gpp", "nee"):
        for by in ("by_class", "by_season", "by_climate", "by_tower"):
            assert sum(group["n"] for group in table[flux][by].values()) == table[flux]["n"]
    assert set(table["gpp"]["by_class"]) == {"ENF", "EBF", "DNF", "unknown"}
    assert set(table["gpp"]["by_climate"]) == {"tropical", "arid", "temperate", "continental", "polar"}
    assert set(table["gpp"]["by_tower"]) == set(rows.sites)


def test_scores_of_a_class_are_those_of_its_rows_alone() -> None:
    rows, predicted = tower_rows()
    chosen = rows.columns["igbp"] == 2
    alone = scores_of("gpp", predicted["gpp"][chosen], rows.observed["gpp"][chosen])
    assert score_table(rows, predicted)["gpp"]["by_class"]["EBF"] == alone


def test_group_of_few_rows_is_told_by_its_number_alone() -> None:
    rows, predicted = tower_rows()
    observed = np.where((rows.site == 3) & (np.cumsum(rows.site == 3) > 4), np.nan, rows.observed["nee"])
    found = score_table(FluxRows(rows.sites, rows.site, rows.columns, {"nee": observed}), {"nee": predicted["nee"]})
    assert found["nee"]["by_tower"]["XX-T3"] == {"n": 4}


def test_january_is_winter_in_the_north_and_summer_in_the_south() -> None:
    columns = {"lat": np.array([50.0, -30, 0, np.nan])}
    assert seasons(columns, np.zeros(4, int)).tolist() == ["winter", "summer", "winter", "unknown"]
    year = seasons({"lat": np.full(12, 45.0)}, np.arange(-12, 0))
    assert year.tolist() == ["winter"] * 2 + ["spring"] * 3 + ["summer"] * 3 + ["autumn"] * 3 + ["winter"]


@given(seed=st.integers(0, 200))
def test_parts_of_a_signal_add_up_to_it(seed: int) -> None:
    rows, predicted = tower_rows(seed, sites=5, years=2)
    observed = rows.observed["nee"]
    split = parts(predicted["nee"], observed, rows.site, rows.month)
    mean = split["between_towers"][1][rows.site]
    cycle = split["seasonal"][1].reshape(5, 12)[rows.site, rows.month % 12]
    np.testing.assert_allclose(mean + cycle + split["anomalies"][1], observed, atol=1e-12)


def test_prediction_of_the_mean_cycle_alone_has_no_skill_in_anomalies() -> None:
    rows, _ = tower_rows()
    observed = rows.observed["nee"]
    cycle = rows.site * 12 + rows.month % 12
    predicted = (np.bincount(cycle, observed) / np.bincount(cycle))[cycle]
    found = score_table(rows, {"nee": predicted})["nee"]["parts"]
    assert found["between_towers"]["nse"] == pytest.approx(1)
    assert found["seasonal"]["nse"] == pytest.approx(1)
    assert found["anomalies"]["nse"] == pytest.approx(0)
    assert found["anomalies"]["r2_pearson"] is None


def test_document_is_by_scheme_and_by_way_where_several_were_learned() -> None:
    rows, predicted = tower_rows()
    one = score_document(rows, {"residual": {"tower": predicted, "row": predicted}})
    assert set(one) == {"tower", "row"}
    assert set(NAMES) <= set(one["tower"]["gpp"])
    several = score_document(rows, {"residual": {"tower": predicted}, "direct": {"tower": predicted}})
    assert several["residual"]["tower"] == several["direct"]["tower"] == one["tower"]
    assert json.loads(json.dumps(several, allow_nan=False)) == several


def test_flux_without_a_pair_has_no_scores_and_is_no_error() -> None:
    rows, _ = tower_rows()
    table = score_table(rows, {"gpp": np.full(len(rows), np.nan)})
    assert table["gpp"]["n"] == 0
    assert table["gpp"]["nse"] is None
    assert table["gpp"]["by_class"] == {}
