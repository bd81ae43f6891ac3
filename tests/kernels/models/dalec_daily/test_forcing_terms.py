import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.forcing_terms import day_length, weather, year_ends
from phloem.kernels.models.dalec_daily.mode_switches import COMPAT, STRICT
from phloem.kernels.models.dalec_daily.phenology import SCALE
from tests.support.kernels.builders import golden_forcing

DAYS = np.arange(1, 367)
JUNE, DECEMBER = 172, 355
GUARDS = ("clip", "none")


def selected(latitude, doy):
    """The three cases of docs/science.md#photosynthesis, written out."""
    dec = -23.4 * np.cos((360 * (doy + 10) / 365) * np.pi / 180) * np.pi / 180
    mu = np.tan(latitude * np.pi / 180) * np.tan(dec)
    if mu >= 1:
        return 24.0
    if mu <= -1:
        return 0.0
    return 24 / np.pi * np.arccos(-mu)


@pytest.mark.parametrize("guard", GUARDS)
def test_equator_has_twelve_hours(guard):
    np.testing.assert_allclose(day_length(0.0, DAYS, guard), 12.0, rtol=1e-14)


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("latitude", [-89.9, -70, -45.5, -0.1, 23.4, 60, 66.5, 70, 85, 89.98])
def test_the_printed_formula_at_any_latitude(latitude, guard):
    expected = [selected(latitude, day) for day in DAYS]
    np.testing.assert_allclose(day_length(latitude, DAYS, guard), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("latitude", [67.5, 70, 80, 89, 89.98])
def test_polar_day_and_night(latitude, guard):
    for sign, light, dark in ((1, JUNE, DECEMBER), (-1, DECEMBER, JUNE)):
        assert day_length(sign * latitude, np.array([light]), guard)[0] == 24.0
        assert day_length(sign * latitude, np.array([dark]), guard)[0] == 0.0


@pytest.mark.parametrize("pole", [-90.0, 90.0, 90.0 + 1e-9])
def test_the_guard_keeps_the_sign_at_and_beyond_a_pole(pole):
    light, dark = (JUNE, DECEMBER) if pole > 0 else (DECEMBER, JUNE)
    assert day_length(pole, np.array([light, dark])).tolist() == [24.0, 0.0]
    if abs(pole) > 90:
        assert day_length(pole, np.array([light, dark]), "none").tolist() == [0.0, 24.0]


def test_switches_choose_the_guard():
    f = golden_forcing(400)
    terms = [weather(f["time"], f["doy"], 90.0 + 1e-9, f, 400, s).daylight for s in (STRICT, COMPAT)]
    assert (terms[0] != terms[1]).mean() > 0.9


def test_hours_of_opposite_latitudes_add_up_to_a_day():
    np.testing.assert_allclose(day_length(55.0, DAYS) + day_length(-55.0, DAYS), 24.0, rtol=1e-13)


def test_terms_of_the_forcing():
    f = golden_forcing(800)
    f["vpd"][3] = -0.5
    w = weather(f["time"], f["doy"], 60.0, f, 500, STRICT)
    mean = 0.5 * (f["tasmin"] + f["tasmax"])
    np.testing.assert_allclose(w.warmth, mean - mean[:500].mean(), atol=1e-13)
    np.testing.assert_allclose(w.wetness, f["pr"] / f["pr"][:500].mean() - 1, rtol=1e-13)
    np.testing.assert_allclose(w.conductance, 2**0.789798 / (0.37836 + 5), rtol=1e-13)
    np.testing.assert_allclose(w.thermal * w.conductance, np.exp(0.011136 * f["tasmax"]), rtol=1e-13)
    np.testing.assert_allclose(w.sin_phase, np.sin(f["time"] / SCALE), atol=1e-11)
    np.testing.assert_allclose(w.cos_phase**2 + w.sin_phase**2, 1, rtol=1e-14)
    assert w.sqrt_vpd[3] == 0
    assert all(field.dtype == np.float64 for field in w)


def test_a_rainless_window_does_not_divide_by_zero():
    f = golden_forcing(50)
    f["pr"] = np.zeros(50)
    np.testing.assert_array_equal(weather(f["time"], f["doy"], 60.0, f, 50, STRICT).wetness, -1.0)


def test_year_ends_leave_out_the_last():
    doy = np.concatenate([np.arange(1, 366), np.arange(1, 367), np.arange(1, 366)])
    assert np.flatnonzero(year_ends(doy)).tolist() == [364, 730]
    shifted = np.roll(doy, -100)[:700]
    marks = np.flatnonzero(year_ends(shifted))
    assert (shifted[marks + 1] == shifted[0]).all()
    assert len(marks) == 1
    assert year_ends(np.arange(1, 100)).sum() == 0
