import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phloem.io.drivers import quality
from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.drivers.tower_cell import count_training_days, dates, day_of_year
from phloem.io.drivers.variables import VARIABLES
from phloem.jobs.synthetic.weather import boreal_weather

START = 3287  # 2010-01-01
TIME = np.arange(START, START + 731)


@pytest.fixture(scope="module")
def weather() -> dict[str, np.ndarray]:
    return boreal_weather(61.0, 3, np.random.default_rng(11), 2010)


def test_days_are_counted_in_words():
    assert quality.count_days(TIME == START + 31, TIME) == "1 day, first 2010-02-01"
    assert quality.count_days(TIME > START + 729, TIME[:]) == "1 day, first 2012-01-01"
    assert quality.count_days(TIME >= START + 365, TIME) == "366 days, first 2011-01-01"


def test_missing_values_have_one_mark():
    raw = np.ma.array([1.0, -9999.0, np.nan, np.inf, -np.inf, 5.0], mask=[0, 0, 0, 0, 0, 1])
    assert np.array_equal(quality.mark_missing(raw), [1.0] + [np.nan] * 5, equal_nan=True)
    assert quality.mark_missing(np.array([3, -9999])).tolist()[0] == 3.0


@pytest.mark.parametrize(
    ("time", "part"),
    [
        (TIME + 0.5, "731 time stamps are not whole days"),
        (np.delete(TIME, [100, 101]), "2 days are missing from the time axis, first after 2010-04-10"),
        (np.insert(TIME, 100, TIME[100]), "the day 2010-04-11 is repeated"),
        (TIME[::-1], "the day 2012-01-01 is followed by an earlier one"),
        (TIME[:500], "500 days make 1 calendar years; at least 2 are needed"),
        (np.where(TIME == START, np.nan, TIME), "1 time stamps are missing"),
        (TIME[:0], "0 days make 0 calendar years"),
    ],
)
def test_time_axes_that_are_not_daily(time, part):
    issue = quality.check_time(time)
    assert issue is not None
    assert issue.level == "fatal"
    assert part in issue.message


def test_a_daily_axis_passes():
    assert quality.check_time(TIME) is None
    assert quality.check_doy(TIME, day_of_year(TIME).astype(float)) is None


@pytest.mark.parametrize(
    ("first", "last", "end"),
    [
        ("2010-01-01", "2018-12-30", "2015-01-01"),  # 9 years: 5
        ("2001-01-01", "2004-12-31", "2003-01-01"),  # 4 years: 2
        ("2001-07-01", "2004-06-30", "2003-07-01"),  # starts inside a year: 3 years: 2
        ("2001-01-01", "2002-12-31", "2002-01-01"),
    ],
)
def test_training_window_is_the_first_half_of_the_years(first, last, end):
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1) - np.datetime64("2001-01-01")
    time = days.astype(np.int64)
    assert dates(time)[count_training_days(time)] == np.datetime64(end)


@given(st.integers(-20000, 20000), st.integers(600, 4000))
def test_training_window_leaves_both_windows_something(start, days):
    window = count_training_days(np.arange(start, start + days))
    assert 200 < window < days
    assert abs(window - days / 2) < 370


def test_doy_that_slipped_by_a_day():
    slipped = np.where(TIME > START + 400, day_of_year(TIME) + 1, day_of_year(TIME)).astype(float)
    issue = quality.check_doy(TIME, slipped)
    assert issue is not None
    assert "disagrees with the time axis on 330 days, first 2011-02-06: says 38, the date's is 37" in issue.message


def test_gaps_are_fatal():
    values = np.zeros(731)
    assert quality.check_gaps(values, TIME) is None
    values[5:8] = np.nan
    issue = quality.check_gaps(values, TIME)
    assert issue is not None
    assert (issue.level, issue.message) == (
        "fatal",
        "no value on 3 days, first 2010-01-06; forcing must be complete",
    )


def test_kelvin_is_recognised_in_temperature_only(weather):
    spec, warm = VARIABLES["tasmax"], weather["tasmax"] + 273.15
    issue = quality.check_kelvin(spec, warm)
    assert issue is not None
    assert issue.level == "mendable"
    assert np.array_equal(issue.mended["tasmax"], warm - 273.15)
    assert quality.check_kelvin(spec, weather["tasmax"]) is None
    assert quality.check_kelvin(VARIABLES["co2"], warm) is None
    half = np.where(TIME[0] + np.arange(len(warm)) < START + 300, warm, warm - 273.15)
    assert quality.check_kelvin(spec, half) is None
    assert quality.check_range(spec, half, TIME) is not None


@pytest.mark.parametrize(("name", "slack"), [("rsds", 0.5), ("vpd", 0.5), ("pr", 0.1), ("lai", 0.1)])
def test_tiny_negatives_are_clipped_and_large_ones_refused(name, slack):
    values = np.linspace(0.0, 9.0, 731)
    assert quality.check_negative(VARIABLES[name], values, TIME) is None
    values[7] = -0.9 * slack
    issue = quality.check_negative(VARIABLES[name], values, TIME)
    assert issue is not None
    assert issue.level == "note"
    assert issue.mended[name][7] == 0.0
    assert np.array_equal(np.delete(issue.mended[name], 7), np.delete(values, 7))
    values[8] = -1.1 * slack
    issue = quality.check_negative(VARIABLES[name], values, TIME)
    assert issue is not None
    assert issue.level == "fatal"
    assert "negative on 2 days, first 2010-01-08" in issue.message


@pytest.mark.parametrize("name", list(VARIABLES))
def test_every_range_has_two_ends(name):
    spec = VARIABLES[name]
    inside = np.linspace(spec.lowest, spec.highest, 731)
    assert quality.check_range(spec, inside, TIME) is None
    for beyond in (np.nextafter(spec.lowest, -np.inf), np.nextafter(spec.highest, np.inf)):
        issue = quality.check_range(spec, np.where(TIME == START + 3, beyond, inside), TIME)
        assert issue is not None
        assert "on 1 day, first 2010-01-04" in issue.message


def test_minimum_above_maximum(weather):
    low, high = weather["tasmin"], weather["tasmax"]
    time = weather["time"]
    assert quality.check_daily_range(low, high, time) is None
    exchanged = quality.check_daily_range(high, low, time)
    few = np.isin(np.arange(len(time)), [3, 40])
    some = quality.check_daily_range(np.where(few, high, low), np.where(few, low, high), time)
    for issue, days in ((exchanged, "1096 days, first 2010-01-01"), (some, "2 days, first 2010-01-04")):
        assert issue is not None
        assert issue.level == "defect"
        assert days in issue.message
        assert np.array_equal(issue.mended["tasmin"], low)
        assert np.array_equal(issue.mended["tasmax"], high)
    many = np.arange(len(time)) % 5 == 0
    issue = quality.check_daily_range(np.where(many, high, low), np.where(many, low, high), time)
    assert issue is not None
    assert issue.level == "fatal"


def vapour_pressure(w: dict[str, np.ndarray]) -> np.ndarray:
    return np.maximum(0.5 * (saturation_pressure(w["tasmin"]) + saturation_pressure(w["tasmax"])) - w["vpd"], 0.05)


@settings(max_examples=25, deadline=None)
@given(st.floats(45.0, 70.0), st.integers(0, 2**32 - 1))
def test_vapour_pressure_is_told_from_its_deficit(latitude, seed):
    w = boreal_weather(latitude, 2, np.random.default_rng(seed))
    air = w["tasmin"], w["tasmax"], w["rsds"], w["time"]
    assert quality.check_vapour_pressure(w["vpd"], *air) is None
    issue = quality.check_vapour_pressure(vapour_pressure(w), *air)
    assert issue is not None
    assert issue.level == "defect"
    assert np.allclose(issue.mended["vpd"], w["vpd"], atol=0.05 + 1e-9)


def test_vapour_pressure_at_all_reference_towers(data_dir):
    """No false alarm at 105 towers, and their vapour pressure is found at all but one arctic coast."""
    with netCDF4.Dataset(data_dir / "tower_daily" / "fluxnet2015_daily.nc") as file:
        names = ("tmin", "tmax", "ssrd", "tmean", "vpd")
        data = {name: np.ma.filled(file[name][:].astype(float), np.nan) for name in names}
        sites = [str(site) for site in file["site"][:]]
    data["vpd"] = np.where(data["vpd"] < 0.0, data["vpd"] + 65.536, data["vpd"])
    missed = []
    for row, site in enumerate(sites):
        whole = np.all([np.isfinite(data[name][row]) for name in names], axis=0)
        low, high, sun, mean, vpd = (data[name][row][whole] for name in names)
        time = np.arange(len(low))
        assert len(low) >= 365
        assert quality.check_vapour_pressure(vpd, low, high, sun, time) is None, site
        assert quality.check_deficit_scale(vpd, low, high) is None, site
        assert quality.check_deficit_scale(0.1 * vpd, low, high) is not None, site
        pressure = np.maximum(saturation_pressure(mean) - vpd, 0.1)
        if quality.check_vapour_pressure(pressure, low, high, sun, time) is None:
            missed.append(site)
    assert len(sites) > 100
    assert missed == ["US-Atq"]


def test_constant_deficit_is_no_vapour_pressure(weather):
    flat = np.full(len(weather["time"]), 5.0)
    air = weather["tasmin"], weather["tasmax"], weather["rsds"], weather["time"]
    assert quality.check_vapour_pressure(flat, *air) is None


def test_deficit_in_kilopascals_is_suspected(weather):
    air = weather["tasmin"], weather["tasmax"]
    assert quality.check_deficit_scale(weather["vpd"], *air) is None
    issue = quality.check_deficit_scale(0.1 * weather["vpd"], *air)
    assert issue is not None
    assert issue.level == "warning"
    assert issue.message.endswith("look like kPa")
    assert quality.check_deficit_scale(10.0 * weather["vpd"], *air) is not None


def test_precipitation_in_the_wrong_unit_is_suspected(weather):
    assert quality.check_precipitation(weather["pr"]) is None
    issue = quality.check_precipitation(weather["pr"] / 86400.0)
    assert issue is not None
    assert issue.level == "warning"


def test_missing_observations():
    values = np.ones(1000)
    values[:200] = np.nan
    assert quality.check_observation_windows(values, 500) is None
    values[:250] = np.nan
    issue = quality.check_observation_windows(values, 500)
    assert issue is not None
    assert (issue.level, issue.message) == ("note", "missing on 25% of the days")
    values[:500] = np.nan
    issue = quality.check_observation_windows(values, 500)
    assert issue is not None
    assert issue.level == "warning"
    assert "calibration window" in issue.message


@pytest.mark.parametrize(("factor", "found"), [(1.0, False), (1.14, False), (1.33, True), (0.8, True)])
def test_reference_factor(weather, factor, found):
    reference = weather["rsds"].copy()
    reference[::7] = np.nan
    r, issue = quality.check_against_reference("gpp", factor * weather["rsds"], reference)
    assert r == pytest.approx(1.0)
    assert (issue is not None) == found
    if issue:
        assert f"{factor:.2f} times the reference" in issue.message


def test_reference_offset_and_what_cannot_be_compared(weather):
    t, noise = weather["tasmin"], np.random.default_rng(0).standard_normal(len(weather["time"]))
    assert quality.check_against_reference("tasmin", t + 0.9, t)[1] is None
    issue = quality.check_against_reference("tasmin", t - 1.5, t)[1]
    assert issue is not None
    assert issue.message.startswith("-1.50 degC from the reference")
    assert quality.check_against_reference("gpp", 3.0 * weather["pr"] + 30 * noise, weather["pr"])[1] is None
    few = np.where(np.arange(len(t)) < 89, t, np.nan)
    r, issue = quality.check_against_reference("tasmin", t - 5.0, few)
    assert np.isnan(r)
    assert issue is None


@given(hnp.arrays(float, 60, elements=st.floats(-1e3, 1e3)), hnp.arrays(float, 60, elements=st.floats(-1e3, 1e3)))
def test_correlation_is_pearsons_and_never_nan(a, b):
    r = quality.correlation(a, b)
    assert -1.0 - 1e-9 <= r <= 1.0 + 1e-9
    if a.std() > 1e-3 and b.std() > 1e-3:
        assert r == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-9)


def test_departures_hold_no_season():
    time = np.arange(3000)
    season = 10.0 * np.cos(2 * np.pi * time / 365.25)
    inner = slice(31, -31)
    assert np.abs(quality.departures(season)[inner]).max() < 0.15
    assert np.allclose(quality.departures(np.full(3000, 4.0)), 0.0)
