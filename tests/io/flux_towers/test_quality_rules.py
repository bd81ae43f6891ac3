"""Rules of quality on tables whose faults are known: what is kept, what is dropped, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.analysis.upscaling.flux_rows import FluxRows
from phloem.errors import InputError
from phloem.io.flux_towers.cf_tower_table import read_tower_table
from phloem.io.flux_towers.quality_rules import QualityRules, flux_rows
from phloem.io.flux_towers.tower_months import TowerMonths

YEARS = 8
ALL = {"TA": 10.0, "SWIN": 200.0, "GPP": 5.0, "RECO": 4.0, "NEE": -1.0, "LE": 60.0, "NEE_QC": 1.0, "LE_QC": 1.0}


def table(**changes: np.ndarray | None) -> TowerMonths:
    """Two towers of eight years whose months are all good."""
    values: dict[str, np.ndarray | None] = {name: np.full((2, 12 * YEARS), number) for name, number in ALL.items()}
    values |= changes
    return TowerMonths(
        sites=("XX-One", "XX-Two"),
        months=np.datetime64("2001-01", "M") + np.arange(12 * YEARS),
        values={name: one for name, one in values.items() if one is not None},
        of_site={"lat": np.array([50.0, -5.0]), "lon": np.array([8.0, 20.0])},
        igbp=("DBF", ""),
    )


def full(number: float, *places: tuple[int, int], at: float = np.nan) -> np.ndarray:
    values = np.full((2, 12 * YEARS), number)
    for place in places:
        values[place] = at
    return values


def test_months_that_are_all_good_are_all_rows_with_class_and_month() -> None:
    good = flux_rows(table())
    rows = FluxRows.of(good)
    assert len(rows) == 2 * 12 * YEARS
    np.testing.assert_array_equal(rows.month[:3], [372, 373, 374])
    np.testing.assert_array_equal(rows.columns["igbp"], np.repeat([4.0, np.nan], 12 * YEARS))
    np.testing.assert_array_equal(rows.columns["lat"], np.repeat([50.0, -5.0], 12 * YEARS))
    assert not any(int(one.by_site.sum()) for one in good.dropped)


def test_fluxes_and_shares_are_never_drivers() -> None:
    more = {name: full(1.0) for name in ("GPP_DT", "RECO_DT", "LE_CORR", "H", "TA_QC", "RNET_QC")}
    assert flux_rows(table(**more)).columns.keys() == {"TA", "SWIN", "lat", "lon", "igbp", "month"}


def test_share_of_measured_data_drops_carbon_and_heat_apart() -> None:
    shares = table(NEE_QC=full(0.8, (0, 3), (0, 4), at=0.79), LE_QC=full(1.0, (1, 7), at=0.1))
    good = flux_rows(shares)
    for flux in ("gpp", "reco", "nee"):
        assert good.kept(flux).tolist() == [94, 96]
    assert good.kept("le").tolist() == [96, 95]
    assert "  gpp: 2 of 1 towers: NEE_QC below 0.8" in good.lines()
    assert len(good.site) == 192  # the months have another flux


def test_unknown_share_drops_carbon_and_keeps_heat_unless_told_otherwise() -> None:
    unknown = table(NEE_QC=full(1.0, (0, 0)), LE_QC=full(1.0, (0, 0)))
    good = flux_rows(unknown)
    assert (good.kept("nee").tolist(), good.kept("le").tolist()) == ([95, 96], [96, 96])
    other = flux_rows(unknown, QualityRules(carbon_unknown=True, heat_unknown=False))
    assert (other.kept("nee").tolist(), other.kept("le").tolist()) == ([96, 96], [95, 96])


def test_months_without_a_flux_stand_around_the_rows_and_towers_without_a_row_do_not() -> None:
    share = full(1.0, (0, 3))
    share[1] = np.nan
    heat = full(1.0, (0, 3), at=0.1)
    heat[1] = 0.1
    good = flux_rows(table(NEE_QC=share, LE_QC=heat, TA=full(10.0, (0, 5))))
    around = good.around
    assert (len(good.site), len(around.site)) == (12 * YEARS - 2, 12 * YEARS)
    assert set(around.site) == {0}
    np.testing.assert_array_equal(around.columns["month"], 372 + np.arange(12 * YEARS))
    np.testing.assert_array_equal(np.delete(np.arange(12 * YEARS), [3, 5]), around.counted)
    for name, values in good.columns.items():
        np.testing.assert_array_equal(values, around.columns[name][around.counted])


def test_lines_of_chosen_fluxes_leave_the_others_out() -> None:
    good = flux_rows(table(NEE_QC=full(0.8, (0, 3), at=0.79), TA=full(10.0, (0, 5), at=99.0)))
    lines = good.lines(["le"])
    assert lines[0].startswith("le: ")
    assert not [line for line in lines if line.strip().startswith(("gpp", "reco", "nee"))]
    assert [line for line in lines if line.startswith("TA: ")]
    assert {line.split(":")[0] for line in good.lines() if line[0] != " "} >= {"gpp", "reco", "nee", "le"}


def test_impossible_values_are_dropped_and_counted_by_tower() -> None:
    good = flux_rows(table(GPP=full(5.0, (0, 3), at=400.0), P=full(1.0, (1, 1), at=-5.0)))
    assert good.kept("gpp").tolist() == [95, 96]
    assert np.isnan(good.columns["P"]).sum() == 1
    said = [(one.of, one.by_site.tolist()) for one in good.dropped if one.by_site.any()]
    assert said == [("gpp", [1, 0]), ("P", [0, 1])]
    assert flux_rows(table(GPP=full(5.0, (0, 3), at=400.0)), QualityRules(bounds=False, outlier=0)).kept("gpp")[0] == 96


def test_outlier_of_its_calendar_month_is_dropped_and_a_season_is_not() -> None:
    season = np.tile(10 + 9 * np.sin(2 * np.pi * np.arange(12) / 12), YEARS)
    values = np.stack([season, season]) + np.random.default_rng(0).normal(0, 0.3, (2, 12 * YEARS))
    assert flux_rows(table(GPP=values)).kept("gpp").tolist() == [96, 96]
    values[1, 30] += 6.0
    good = flux_rows(table(GPP=values))
    assert good.kept("gpp").tolist() == [96, 95]
    row = (good.site == 1) & (good.columns["month"] == 372 + 30)
    assert np.isnan(good.observed["gpp"][row]).all()
    assert flux_rows(table(GPP=values), QualityRules(outlier=0)).kept("gpp").tolist() == [96, 96]


def test_few_years_have_no_outliers() -> None:
    short = np.full((2, 12 * YEARS), np.nan)
    short[:, :48] = 5.0
    short[0, 5] = 30.0
    assert flux_rows(table(GPP=short)).kept("gpp").tolist() == [48, 48]


def test_energy_balance_drops_heat_only_where_all_terms_are_known() -> None:
    terms = {"H": full(40.0), "RNET": full(110.0, (0, 1), (0, 2), at=200.0), "G": full(10.0, (0, 2))}
    assert flux_rows(table(**terms)).kept("le").tolist() == [96, 96]
    good = flux_rows(table(**terms), QualityRules(closure=(0.7, 1.3)))
    assert good.kept("le").tolist() == [95, 96]
    assert good.kept("gpp").tolist() == [96, 96]


def test_day_time_partitioning_and_corrected_heat_take_their_columns() -> None:
    more = {"GPP_DT": full(7.0), "RECO_DT": full(6.0), "LE_CORR": full(77.0)}
    observed = flux_rows(table(**more), QualityRules(partitioning="day", corrected_heat=True)).observed
    assert {name: values[0] for name, values in observed.items()} == {"gpp": 7.0, "reco": 6.0, "nee": -1.0, "le": 77.0}


def test_month_without_its_weather_has_no_row() -> None:
    good = flux_rows(table(TA=full(10.0, (0, 5))))
    assert len(good.site) == 191
    assert "  le: 1 of 1 towers: TA is not known" in good.lines()


def test_exchange_that_counts_the_other_way_is_refused() -> None:
    assert len(flux_rows(table(NEE=full(-1.0))).site) == 192
    with pytest.raises(InputError, match=r"variable NEE: it is GPP - RECO in this table.*sign = -1"):
        flux_rows(table(NEE=full(1.0)))


def test_tower_of_which_no_month_counts_is_named() -> None:
    share = full(1.0)
    share[1] = 0.2
    assert "  nee: no month counts at XX-Two" in flux_rows(table(NEE_QC=share)).lines()


def test_table_of_which_nothing_counts_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match=r"no month of any tower counts: nee: 192 of 2 towers: NEE_QC is not known"):
        flux_rows(table(NEE_QC=None, GPP=None, RECO=None, LE=None))
    with pytest.raises(InputError, match="the table has none of GPP_DT, RECO_DT, NEE, LE"):
        flux_rows(table(GPP=None, RECO=None, LE=None, NEE=None), QualityRules(partitioning="day"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"partitioning": "noon"}, "partitioning = 'noon'; the choices are night, day"),
        ({"carbon_share": 80.0}, "carbon_share = 80.0: a share from 0 to 1"),
        ({"closure": (1.2, 0.8)}, "lowest and then the highest"),
        ({"outlier": -1.0}, "outlier: 0 or more"),
        ({"needed": ("GPP",)}, "needed: GPP: no driver"),
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        QualityRules(**wrong)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), least=st.floats(0, 1))
def test_counts_of_kept_and_dropped_add_up_to_what_was_offered(seed: int, least: float) -> None:
    draw = np.random.default_rng(seed)
    holed = {
        name: np.where(draw.random((2, 12 * YEARS)) < 0.2, np.nan, draw.normal(number, 0.2, (2, 12 * YEARS)))
        for name, number in ALL.items()
    }
    holed["GPP"] *= np.where(draw.random((2, 12 * YEARS)) < 0.05, 20.0, 1.0)
    months = table(**holed)
    good = flux_rows(months, QualityRules(carbon_share=least, heat_share=least))
    for flux, offered in good.offered.items():
        dropped = np.sum([one.by_site for one in good.dropped if one.of == flux], axis=0)
        np.testing.assert_array_equal(good.kept(flux) + dropped, offered)
        rows = np.isfinite(good.observed[flux])
        month = (good.columns["month"] - 372).astype(int)
        np.testing.assert_array_equal(
            good.observed[flux][rows], months.values[flux.upper()][good.site[rows], month[rows]]
        )


def test_recommended_filter_of_the_public_towers_is_the_usual_one(data_dir: Path) -> None:
    path = data_dir / "uflux/towers_monthly.nc"
    if not path.is_file():
        pytest.skip("PHLOEM_DATA: no uflux/towers_monthly.nc")
    months = read_tower_table(path)
    good = flux_rows(months, QualityRules(outlier=0, bounds=False))
    share = np.nan_to_num(months.values["NEE_QC"])
    for flux in ("GPP", "RECO", "NEE"):
        due = np.isfinite(months.values[flux]) & (share >= 0.8) & np.isfinite(months.values["TA"])
        assert int(good.kept(flux.lower()).sum()) == int((due & np.isfinite(months.values["SWIN"])).sum()) > 9000
    heat = months.values["LE_QC"]
    due = np.isfinite(months.values["LE"]) & ((heat >= 0.8) | np.isnan(heat))
    assert int(good.kept("le").sum()) == int(due.sum())
    assert flux_rows(replace(months, provenance=())).lines()[0].startswith("gpp: 9,")
