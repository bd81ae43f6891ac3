"""Days made of months: means and sums kept, bounds, calendars, jumps, and weather that follows from cell and month."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.io.monthly.downscaling import (
    above_the_atmosphere,
    clearness,
    daily_forcing,
    month_lengths,
    rain_days,
    smooth_days,
)
from phloem.names import FORCING

YEARS = month_lengths(2003, 2006, "standard")
WEATHERS = [(rain, light) for rain in ("even", "wet-days") for light in ("smooth", "cloudy")]
series = st.integers(1, 48).flatmap(lambda n: st.lists(st.floats(0, 60), min_size=n, max_size=n))


def means(daily: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return np.add.reduceat(daily.astype(float), starts) / lengths


@given(series)
@settings(deadline=None, max_examples=60)
def test_smooth_days_keep_the_means_and_are_never_negative(values: list[float]) -> None:
    lengths, wanted = YEARS[: len(values)], np.array(values)
    free, bounded = (smooth_days(wanted, lengths, positive) for positive in (False, True))
    np.testing.assert_allclose(means(free, lengths), wanted, atol=1e-9 * max(1, wanted.max()))
    np.testing.assert_allclose(means(bounded, lengths), wanted, atol=1e-9 * max(1, wanted.max()))
    assert bounded.min() >= 0
    if (free >= 0).all():
        np.testing.assert_array_equal(free, bounded)


@given(series, st.sampled_from(["even", "wet-days"]), st.text("abcXYZ-09", min_size=1, max_size=8))
@settings(deadline=None, max_examples=60)
def test_rain_adds_up(values: list[float], manner: str, cell: str) -> None:
    lengths, wanted = YEARS[: len(values)], np.array(values)
    made = rain_days(wanted, lengths, cell, 2003, manner)
    assert made.min() >= 0
    np.testing.assert_allclose(means(made, lengths) * lengths, wanted * lengths, rtol=2e-7, atol=1e-30)
    np.testing.assert_array_equal(made, rain_days(wanted, lengths, cell, 2003, manner))


@given(st.data(), st.floats(-80, 80), st.sampled_from(WEATHERS))
@settings(deadline=None, max_examples=60)
def test_daily_forcing_keeps_means_and_bounds(data: st.DataObject, latitude: float, weather: tuple[str, str]) -> None:
    def draw(low: float, high: float) -> np.ndarray:
        return np.array(data.draw(st.lists(st.floats(low, high), min_size=24, max_size=24)))

    lengths = YEARS[:24]
    cold = draw(-50, 30)
    months = {"tasmin": cold, "tasmax": cold + draw(0, 25), "rsds": draw(0, 32), "co2": draw(350, 420),
              "vpd": draw(0, 60), "pr": draw(0, 30)}  # fmt: skip
    made = daily_forcing(months, lengths, "XX-abc", latitude, 2003, *weather)
    assert set(made) == set(FORCING)
    assert all(values.dtype == np.float32 and np.isfinite(values).all() for values in made.values())
    for name, values in made.items():
        scale = max(1.0, np.abs(months[name]).max())
        np.testing.assert_allclose(means(values, lengths), months[name], atol=1e-6 * scale, err_msg=name)
    assert (made["tasmin"] <= made["tasmax"]).all()
    for name in ("rsds", "vpd", "pr"):
        assert made[name].min() >= 0, name


def test_a_month_alone_is_constant_and_a_constant_stays_one() -> None:
    np.testing.assert_allclose(smooth_days(np.array([4.0]), np.array([29])), 4.0, rtol=1e-12)
    np.testing.assert_allclose(smooth_days(np.full(48, -3.0), YEARS), -3.0, rtol=1e-12)
    assert smooth_days(np.array([7.0]), np.array([1])).tolist() == [7.0]


def test_leap_february_has_29_days_and_a_calendar_without_them_28() -> None:
    assert month_lengths(2003, 2004, "standard")[[1, 13]].tolist() == [28, 29]
    assert month_lengths(2003, 2004, "noleap")[[1, 13]].tolist() == [28, 28]
    assert month_lengths(1900, 1900, "standard").sum() == 365
    made = smooth_days(np.arange(24.0), month_lengths(2003, 2004, "standard"))
    assert len(made) == 731
    assert np.abs(np.diff(made)).max() < 0.05, "no jump at the ends of months"


def test_a_jump_stays_where_it_is() -> None:
    wanted = np.where(np.arange(24) < 12, 0.0, 20.0)
    made = smooth_days(wanted, YEARS[:24], positive=True)
    assert made[: 365 - 31].max() < 1.5
    assert made[365 + 31 :].min() > 18
    np.testing.assert_allclose(means(made, YEARS[:24]), wanted, atol=1e-9)


def test_days_depend_on_the_cell_and_its_months_alone() -> None:
    wanted = np.full(24, 3.0)
    lengths = YEARS[:24]
    one, other = (rain_days(wanted, lengths, cell, 2003, "wet-days") for cell in ("a", "b"))
    assert (one != other).any()
    later = rain_days(wanted[12:], lengths[12:], "a", 2004, "wet-days")
    np.testing.assert_array_equal(one[365:], later)
    assert 0.2 < (one > 0).mean() < 0.6


def test_clearness_has_its_mean_and_stays_within_its_bounds() -> None:
    for mean in (0.1, 0.25, 0.4, 0.55, 0.7, 0.76):
        days = clearness(mean, 31)
        assert (np.diff(days) > 0).all()
        assert 0.05 <= days.min() < days.max() < 0.85
        assert days.mean() == pytest.approx(mean, abs=0.01)
    assert np.std(clearness(0.45, 31)) > np.std(clearness(0.75, 31)) > 0


def test_light_above_the_atmosphere() -> None:
    """FAO-56, example 8: 20 S on 3 September, 32.2 MJ m-2 d-1; the pole has a night and a summer."""
    assert above_the_atmosphere(-20.0, np.array([246]))[0] == pytest.approx(32.2, abs=0.05)
    north = above_the_atmosphere(85.0, np.arange(1, 366))
    assert (north[:50] == 0).all()
    assert north.max() > 40


@pytest.mark.parametrize(("rain", "light", "said"), [("hail", "smooth", "even, wet-days"), ("even", "x", "smooth, cl")])
def test_unknown_ways_are_refused(rain: str, light: str, said: str) -> None:
    months = {name: np.full(12, 5.0) for name in FORCING}
    with pytest.raises(ValueError, match=said):
        daily_forcing(months, YEARS[:12], "a", 10.0, 2003, rain, light)
