import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.drivers.quality import correlation, departures, dryness_score
from phloem.io.drivers.tower_cell import dates, day_of_year
from phloem.jobs.synthetic.weather import WET_AFTER_DRY, WET_AFTER_WET, boreal_weather, extraterrestrial_radiation
from phloem.names import FORCING


def weather(latitude: float = 60.0, years: int = 20, seed: int = 3, first_year: int = 2001) -> dict[str, np.ndarray]:
    return boreal_weather(latitude, years, np.random.default_rng(seed), first_year)


def months(time: np.ndarray) -> np.ndarray:
    return dates(time).astype("datetime64[M]").astype(int) % 12 + 1


def monthly(time: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.array([values[months(time) == m].mean() for m in range(1, 13)])


def summary(w: dict[str, np.ndarray]) -> dict[str, float]:
    """The numbers by which generated weather is compared with a tower's."""
    mean = 0.5 * (w["tasmin"] + w["tasmax"])
    by_month = monthly(w["time"], mean)
    wet = w["pr"] > 0.5
    summer = (months(w["time"]) >= 6) & (months(w["time"]) <= 8)
    anomaly = mean - by_month[months(w["time"]) - 1]
    return {
        "mean temperature": mean.mean(),
        "coldest month": by_month.min(),
        "warmest month": by_month.max(),
        "daily range": (w["tasmax"] - w["tasmin"]).mean(),
        "memory of temperature": correlation(anomaly[1:], anomaly[:-1]),
        "radiation": w["rsds"].mean(),
        "june radiation": w["rsds"][months(w["time"]) == 6].mean(),
        "december radiation": w["rsds"][months(w["time"]) == 12].mean(),
        "wet over dry radiation": w["rsds"][summer & wet].mean() / w["rsds"][summer & ~wet].mean(),
        "deficit": w["vpd"].mean(),
        "july deficit": w["vpd"][months(w["time"]) == 7].mean(),
        "annual precipitation": w["pr"].mean() * 365.25,
        "share of wet days": wet.mean(),
        "wet after wet": wet[1:][wet[:-1]].mean(),
        "wet after dry": wet[1:][~wet[:-1]].mean(),
        "co2 a year": np.polyfit(w["time"] / 365.25, w["co2"], 1)[0],
    }


ABSOLUTE = {
    "mean temperature": 1.0,
    "coldest month": 2.5,
    "warmest month": 2.0,
    "daily range": 0.6,
    "memory of temperature": 0.07,
    "wet over dry radiation": 0.06,
    "share of wet days": 0.05,
    "wet after wet": 0.05,
    "wet after dry": 0.04,
    "co2 a year": 0.5,
    "december radiation": 0.5,
}
"""Tolerances in the quantity's own unit; the others must agree within a quarter."""


@pytest.mark.parametrize("site", ["FI-Hyy", "DE-Tha"])
def test_summary_numbers_resemble_the_towers(data_dir, site):
    layout = {
        "T2M_MIN": "tasmin",
        "T2M_MAX": "tasmax",
        "SSRD": "rsds",
        "VPD": "vpd",
        "TOTAL_PREC": "pr",
        "CO2": "co2",
    }
    with netCDF4.Dataset(data_dir / "fluxnet_daily" / f"{site}.nc") as file:
        tower = {name: np.asarray(file[key][:], float) for key, name in layout.items()}
        tower["time"] = np.asarray(file["time"][:], np.int64)
        latitude = float(file["LAT"][...])
    real, made = summary(tower), summary(weather(latitude, 40, first_year=2006))
    for name, value in real.items():
        assert made[name] == pytest.approx(value, abs=ABSOLUTE.get(name), rel=None if name in ABSOLUTE else 0.25), name


@settings(max_examples=40, deadline=None)
@given(st.floats(45.0, 70.0), st.integers(1, 4), st.integers(0, 2**32 - 1), st.integers(1901, 2100))
def test_weather_is_physical_everywhere(latitude, years, seed, first_year):
    w = weather(latitude, years, seed, first_year)
    days = int((np.datetime64(f"{first_year + years}-01-01") - np.datetime64(f"{first_year}-01-01")).astype(int))
    assert set(w) == {"time", "doy", *FORCING}
    assert dates(w["time"])[0] == np.datetime64(f"{first_year}-01-01")
    assert np.array_equal(w["time"], w["time"][0] + np.arange(days))
    assert np.array_equal(w["doy"], day_of_year(w["time"]))
    assert w["time"].dtype == w["doy"].dtype == np.int64
    for name in FORCING:
        assert w[name].shape == (days,)
        assert w[name].dtype == np.float64
        assert np.isfinite(w[name]).all()
    assert (w["tasmin"] < w["tasmax"]).all()
    for name in ("rsds", "vpd", "pr"):
        assert (w[name] >= 0.0).all()
    assert (w["rsds"] <= 0.8 * extraterrestrial_radiation(latitude, w["doy"])).all()
    assert (w["vpd"] <= saturation_pressure(w["tasmax"])).all()


def test_one_state_of_chance_gives_one_weather():
    one, same, other = weather(seed=5), weather(seed=5), weather(seed=6)
    for name in FORCING:
        assert np.array_equal(one[name], same[name])
        assert not np.array_equal(one[name], other[name])


def test_seasons():
    w = weather()
    for name in ("tasmin", "tasmax", "rsds", "vpd"):
        by_month = monthly(w["time"], w[name])
        assert by_month.argmax() in (5, 6, 7), name
        assert by_month.argmin() in (11, 0, 1), name
    co2 = monthly(w["time"], w["co2"])
    assert 8.0 < co2.max() - co2.min() < 18.0
    assert co2.argmin() in (5, 6, 7)


def test_north_is_colder_darker_and_more_seasonal():
    south, north = summary(weather(46.0)), summary(weather(69.0))
    assert south["mean temperature"] - north["mean temperature"] > 7.0
    assert south["radiation"] > north["radiation"]
    assert north["december radiation"] < 0.1
    assert north["warmest month"] - north["coldest month"] > south["warmest month"] - south["coldest month"] + 5.0


def test_chains_have_their_chances():
    numbers = summary(weather(years=60))
    assert numbers["wet after wet"] == pytest.approx(WET_AFTER_WET, abs=0.02)
    assert numbers["wet after dry"] == pytest.approx(WET_AFTER_DRY, abs=0.02)
    assert numbers["co2 a year"] == pytest.approx(2.0, abs=0.05)


def test_dry_days_are_sunny_wide_and_thirsty():
    w = weather()
    dry = w["pr"] == 0.0
    wide = w["tasmax"] - w["tasmin"]
    for values in (w["rsds"], wide, w["vpd"]):
        assert values[dry].mean() > 1.15 * values[~dry].mean()
    assert correlation(departures(w["rsds"]), departures(wide)) > 0.3
    assert dryness_score(w["vpd"], w["tasmin"], w["tasmax"], w["rsds"]) > 0.6


def test_extraterrestrial_radiation_of_the_reference():
    # Allen et al. (1998), example 8: 20 degrees south, 3 September.
    assert extraterrestrial_radiation(-20.0, np.array([246]))[0] == pytest.approx(32.2, abs=0.1)


@pytest.mark.parametrize("latitude", [45.0, 60.0, 66.0, 70.0])
def test_extraterrestrial_radiation_is_the_integral_over_the_day(latitude):
    doy, hour = np.arange(1, 366), (np.arange(4000) + 0.5) / 4000 * 2 * np.pi
    tilt, phi = 0.409 * np.sin(2 * np.pi * doy / 365 - 1.39)[:, None], np.deg2rad(latitude)
    height = np.sin(phi) * np.sin(tilt) + np.cos(phi) * np.cos(tilt) * np.cos(hour)
    constant = 0.0820 * 24 * 60 * (1 + 0.033 * np.cos(2 * np.pi * doy / 365))
    expected = constant * np.maximum(height, 0.0).mean(axis=1)
    assert extraterrestrial_radiation(latitude, doy) == pytest.approx(expected, abs=1e-3)
    assert (expected.min() == 0.0) == (latitude > 66.6)


def test_saturation_pressure_of_the_tables():
    assert saturation_pressure(np.array([0.0, 20.0, 30.0])) == pytest.approx([6.11, 23.4, 42.4], rel=0.003)


@pytest.mark.parametrize(
    ("latitude", "years", "part"), [(44.9, 3, "44.9"), (70.5, 3, "45..70"), (60.0, 0, "years = 0")]
)
def test_what_the_generator_does_not_hold_for_is_refused(latitude, years, part):
    with pytest.raises(InputError, match=part):
        boreal_weather(latitude, years, np.random.default_rng(0))
