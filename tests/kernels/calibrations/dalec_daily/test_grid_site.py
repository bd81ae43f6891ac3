"""Years that cycle, windows, composites and biomass: which day is compared with what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.phenology import SCALE
from phloem.kernels.objective.record_windows import richest_years
from phloem.names import PERIOD
from tests.support.kernels.grid_cells import (
    BASELINE,
    DEKADS,
    DOY,
    GROWTH,
    SINGLE,
    SNAPSHOT,
    TRAJECTORY,
    YEAR,
    cell,
    observations,
)


@pytest.fixture(scope="module")
def growth():
    return cell(GROWTH)


@pytest.fixture(scope="module")
def baseline():
    return cell(BASELINE)


def test_the_lengths_of_the_runs(growth, baseline) -> None:
    assert growth.days == 39_081
    assert baseline.days == 6_939
    assert growth.rows == 13_149
    assert len(growth.weather[0]) == 13_149
    assert baseline.weather_row is None
    assert baseline.rows == 6_939


def test_the_calendar_of_the_long_run(growth) -> None:
    assert [GROWTH.last_met(year) for year in (1985, 2001, 2012, 2019, 2020)] == [73, 89, 100, 107, 72]
    year_of_day = YEAR[growth.weather_row]
    starts = np.concatenate([[0], np.flatnonzero(growth.year_end) + 1])
    assert len(starts) == 107
    assert year_of_day[starts[88]] == 2001
    assert year_of_day[starts[0]] == year_of_day[starts[36]] == 1985
    assert growth.training_days == starts[100], "the calibration ends with simulated year 100, which is 2012"
    with pytest.raises(ValueError, match="no simulated year has the forcing of 2021"):
        GROWTH.last_met(2021)


def test_phenology_keeps_its_phase_over_the_cycles(growth) -> None:
    """Days counted on without a break have the phase of the row that the cycle gives them."""
    first = -5844  # 1985-01-01
    time = first + np.arange(growth.days)
    for name, wave in (("sin_phase", np.sin), ("cos_phase", np.cos)):
        continued = wave((time % (2 * PERIOD)) / SCALE)
        np.testing.assert_allclose(getattr(growth.weather, name)[growth.weather_row], continued, atol=1e-9)


def test_a_noleap_year_keeps_its_phase_too() -> None:
    from phloem.io.drivers.grid_cell import GridCell, calendar_days

    year, doy = calendar_days(1985, 2020, "noleap")
    empty = np.zeros(0)
    made = GridCell("a", 60.0, 0.0, "noleap", year, doy, {}, {}, empty, empty, empty, {})
    assert len(made.time) == 36 * 365
    starts = made.time[doy == 1]
    np.testing.assert_allclose(np.diff(starts), PERIOD)
    np.testing.assert_allclose(np.diff(made.time), PERIOD / 365)


def test_observations_stand_where_the_run_meets_their_year_last(growth) -> None:
    seen = observations()
    year_of_day = YEAR[growth.weather_row]
    number = np.cumsum(np.concatenate([[0], growth.year_end[:-1]])) + 1
    for name in ("gpp", "et", "lai", "reco"):
        by_day = growth.observations[name][growth.observed_row]
        expected = np.where((number >= 89) & (year_of_day <= 2019), seen[name][growth.weather_row], np.nan)
        np.testing.assert_array_equal(by_day, expected)
    assert np.isfinite(growth.observations["gpp"]).sum() > 4000


def test_each_window_weighs_once(growth, baseline) -> None:
    for made, days in ((growth, growth.observed_row), (baseline, np.arange(baseline.days))):
        shares = made.window_share[days]
        inside = (made.calibration_rows | made.validation_rows)[days]
        lengths = 1 / shares[inside & (shares > 0)]
        assert len(lengths) == 19 * 36, "36 dekads a year, leap or not"
        assert lengths.sum() == inside.sum() == 6_939
        assert set(np.round(lengths)) == {8, 9, 10, 11}, "February ends with 8 or 9 days, long months with 11"


def test_composites_across_leap_years(baseline) -> None:
    whole = cell(BASELINE, observations={**observations(), "lai": np.where((DOY - 1) % 8 == 0, 1.0, np.nan)})
    days = np.flatnonzero(np.isfinite(whole.observations["lai"]))
    doy = DOY[(YEAR >= 2001) & (YEAR <= 2019)]
    assert len(days) == 19 * 46
    assert doy[days].min() == 1
    assert doy[days].max() == 361


def test_windows_of_the_calibration_and_the_validation_do_not_touch(growth, baseline) -> None:
    for made in (growth, baseline):
        (first, _), (later, _) = made.observed("calibration"), made.observed("validation")
        for name in ("gpp", "reco", "et", "lai"):
            weights = getattr(first, f"{name}_weight"), getattr(later, f"{name}_weight")
            assert weights[0].any()
            assert weights[1].any()
            assert not (weights[0] * weights[1]).any()


def test_biomass_by_age(growth) -> None:
    values, spread = growth.observed("calibration")
    by_day = values.biomass_weight[growth.observed_row]
    ends = np.append(np.flatnonzero(growth.year_end), growth.days - 1)
    np.testing.assert_array_equal(np.flatnonzero(by_day), ends)
    np.testing.assert_allclose(values.biomass[growth.observed_row][ends], TRAJECTORY)
    np.testing.assert_allclose(spread[4], ((TRAJECTORY - TRAJECTORY.mean()) ** 2).sum())
    assert not growth.observed("validation")[0].biomass_weight.any()


def test_biomass_of_one_year() -> None:
    made = cell(SINGLE)
    values, spread = made.observed("calibration")
    assert np.flatnonzero(values.biomass_weight).tolist() == [made.days - 1]
    assert values.biomass[-1] == SNAPSHOT
    assert spread[4] == (0.5 * SNAPSHOT) ** 2
    assert cell(replace(SINGLE, snapshot_spread=0.25)).observed("calibration")[1][4] == (0.25 * SNAPSHOT) ** 2
    assert cell(BASELINE).observed("calibration")[1][4] == 0


def test_a_day_without_observations_has_none(growth) -> None:
    values, _ = growth.observed("calibration")
    assert all(field[0] == 0 for field in values)
    number = np.cumsum(np.concatenate([[0], growth.year_end[:-1]])) + 1
    ordinary = (number < 89) & (growth.year_end == 0)
    assert (growth.observed_row[ordinary] == 0).all()


def test_the_reference_climate_is_that_of_the_calibration_years(growth, baseline) -> None:
    inside = (YEAR >= 2001) & (YEAR <= 2012)
    assert abs(growth.weather.warmth[inside].mean()) < 1e-12
    assert abs(growth.weather.wetness[inside].mean()) < 1e-12
    assert growth.mean_temperature == baseline.mean_temperature
    assert growth.ce_opt == baseline.ce_opt, "canopy efficiency is found in the same days"


def test_a_window_of_the_record(baseline, growth) -> None:
    part = richest_years(baseline, 3)
    assert part.days in (1095, 1096)
    assert part.training_days == part.days
    values, spread = part.observed("calibration")
    assert values.gpp_weight.sum() > 700
    assert spread[4] == 0
    assert not part.observed("validation")[0].gpp_weight.any()
    with pytest.raises(ValueError, match="cannot be cut"):
        growth.cut(slice(0, 365))


def test_a_window_mean_that_began_before_the_cut_does_not_count() -> None:
    """Windows of 10 days that do not begin with the year."""
    starts = np.zeros(len(YEAR), int)
    starts[3::10] = 1
    starts[0] = 1
    ends = np.append(starts[1:], 1) > 0
    made = cell(BASELINE, window_start=starts, observations={**observations(), "reco": np.where(ends, 2.0, np.nan)})
    part = richest_years(made, 1)
    first = int(np.argmax(part.weather.window_keep == 0))
    assert 0 < first < 10, "a window is under way on the first day"
    assert not part.observed("calibration")[0].reco_weight[:first].any()
    assert part.observed("calibration")[0].reco_weight.sum() in (35, 36)


def test_a_record_without_the_years_is_refused() -> None:
    with pytest.raises(ValueError, match="1985 to 2020; 1980 to 2020 are asked for"):
        cell(replace(GROWTH, forcing=(1980, 2020)))


def test_windows_of_the_product_are_taken_as_they_are() -> None:
    assert DEKADS[YEAR == 2004].sum() == DEKADS[YEAR == 2005].sum() == 36
