"""Baselines against numbers that the specification and the formulas' sources print."""

from __future__ import annotations

import numpy as np
import pytest

from phloem.errors import InputError
from phloem.kernels.models.baselines import (
    air,
    canopy_light,
    evaporation,
    net_radiation,
    p_model,
    pt_jpl,
    respiration,
    water,
)

PRINTED = {
    "warm C3": (
        {"drivers": (20.0, 1000.0, 400.0, 101325.0), "light": (1.0, 800.0)},
        {
            "gammastar": 3.339251,
            "kmm": 46.09928,
            "ns_star": 1.125361,
            "xi": 63.3145,
            "chi": 0.694352,
            "mj": 0.7123038,
            "f_v": 0.5550162,
            "g_temp": 0.656,
            "lue": 0.2547515,
            "gpp": 17.60842,
        },
    ),
    "cool C3": (
        {"drivers": (5.0, 300.0, 400.0, 95000.0), "light": (0.6, 500.0)},
        {
            "gammastar": 1.35567,
            "kmm": 12.29555,
            "ns_star": 1.705794,
            "chi": 0.6233391,
            "mj": 0.8459362,
            "f_v": 0.6188558,
            "g_temp": 0.4535,
            "lue": 0.2332096,
            "gpp": 6.044792,
        },
    ),
    "C4": (
        {"drivers": (20.0, 1000.0, 400.0, 101325.0), "light": (1.0, 800.0), "pathway": "c4"},
        {"chi": 0.4496738, "mj": 1.0, "f_v": 0.669407, "g_temp": 0.3504, "lue": 0.2304073, "gpp": 15.92576},
    ),
    "without limitation": (
        {"drivers": (20.0, 1000.0, 400.0, 101325.0), "light": (1.0, 800.0), "jmax": "none"},
        {"f_v": 1.0, "lue": 0.4589983, "gpp": 31.72596},
    ),
}


@pytest.mark.parametrize("case", PRINTED)
def test_p_model_gives_the_printed_numbers(case: str) -> None:
    given, printed = PRINTED[case]
    options = {name: value for name, value in given.items() if name not in ("drivers", "light")}
    found = p_model.p_model(*given["drivers"], **options)
    values = {**found._asdict(), "gpp": p_model.gross_production(found.lue, *given["light"])}
    assert {name: float(values[name]) for name in printed} == pytest.approx(printed, rel=5e-7)


def test_viscosity_of_water_without_its_temperature_response_is_that_of_25_degrees() -> None:
    drivers = (20.0, 1000.0, 400.0, 101325.0)
    plain, full = p_model.p_model(*drivers, viscosity="none"), p_model.p_model(*drivers)
    assert float(plain.ns_star) == 1.0
    assert float(plain.xi) == pytest.approx(float(full.xi) * float(full.ns_star) ** 0.5, rel=1e-14)


def test_cost_ratio_of_the_public_code_is_an_option_of_c4() -> None:
    drivers = (20.0, 1000.0, 400.0, 101325.0)
    ours = p_model.p_model(*drivers, pathway="c4")
    public = p_model.p_model(*drivers, pathway="c4", cost_ratio=p_model.COST_RATIO_C4_PUBLIC)
    assert float(public.xi / ours.xi) == pytest.approx((16.22 / (146 / 9)) ** 0.5, rel=1e-14)


def test_quantum_yield_scales_efficiency() -> None:
    drivers = (20.0, 1000.0, 400.0, 101325.0)
    half = p_model.p_model(*drivers, phi_ref=0.5 * p_model.PHI_REF)
    assert float(half.lue) == pytest.approx(0.5 * float(p_model.p_model(*drivers).lue), rel=1e-14)


def test_air_with_less_co2_than_the_compensation_point_produces_nothing() -> None:
    for jmax in p_model.JMAX:
        found = p_model.p_model(45.0, 1000.0, 60.0, 101325.0, jmax=jmax)
        assert float(found.mj) < 0
        assert float(found.lue) == 0


def test_mixed_production_lies_between_the_pathways_by_share() -> None:
    c3, c4 = (p_model.p_model(20.0, 1000.0, 400.0, 101325.0, pathway=name).lue for name in p_model.PATHWAYS)
    share = np.array([0.0, 0.25, 1.0])
    found = p_model.mixed_gross_production(c3, c4, share, 1.0, 800.0)
    np.testing.assert_allclose(found, (1 - share) * 17.60842 + share * 15.92576, rtol=5e-7)


def test_printed_respiration_and_latent_heat() -> None:
    assert float(respiration.q10(20.0, 2.5)) == pytest.approx(3.75, rel=1e-14)
    assert float(respiration.lloyd_taylor(20.0, 2.5)) == pytest.approx(5.757989, rel=2e-7)
    assert [float(respiration.lloyd_taylor(ta, 2.5)) for ta in (-46.02, -60.0)] == [0.0, 0.0]
    assert float(respiration.rref_of_fapar(0.5, 1.0, 3.0)) == 2.5
    found = evaporation.priestley_taylor(20.0, 0.7, 120.0)
    assert [float(value) for value in found] == pytest.approx([0.1447402, 0.7875, 64.90432], rel=5e-7)
    assert float(evaporation.priestley_taylor(20.0, 0.1, 120.0).le) == 0
    assert float(evaporation.water_of_latent_heat(2.45e6 / 86400)) == pytest.approx(1.0, rel=1e-14)


def test_water_is_that_of_international_tables() -> None:
    """IAPWS-95 densities and IAPWS 2008 viscosities at standard pressure."""
    ta = np.array([0.0, 4.0, 20.0, 25.0, 40.0])
    np.testing.assert_allclose(water.density(ta, 101325.0), [999.84, 999.97, 998.21, 997.05, 992.22], atol=0.02)
    np.testing.assert_allclose(
        water.viscosity(ta, 101325.0), [1.7916e-3, 1.5673e-3, 1.0016e-3, 8.900e-4, 6.527e-4], rtol=1e-3
    )
    assert float(water.viscosity(-60.0, 101325.0)) == float(water.viscosity(-25.0, 101325.0))


def test_radiation_is_that_of_the_examples_of_fao_56() -> None:
    """Examples 8 and 10 to 12: 20 degrees south on 3 September, Rio de Janeiro in May; MJ m-2 d-1."""
    assert 0.0864 * float(net_radiation.extraterrestrial_radiation(-20.0, 246)) == pytest.approx(32.2, abs=0.05)
    assert 0.0864 * float(net_radiation.extraterrestrial_radiation(-22.9, 135)) == pytest.approx(25.1, abs=0.05)
    vpd = 1e3 * (float(air.saturation_vapour_pressure(22.1)) - 2.1)
    net = net_radiation.net_radiation(14.5 / 0.0864, 22.1, vpd, 0.0, -22.9, 135, albedo=0.23)
    assert 0.0864 * float(net) == pytest.approx(7.6, abs=0.1)


def test_the_sun_of_the_poles_stays_up_or_down() -> None:
    found = net_radiation.extraterrestrial_radiation(np.array([90.0, 80.0, -80.0, -90.0]), 172)
    assert (np.asarray(found)[:2] > 450).all()
    assert (np.asarray(found)[2:] == 0).all()


def test_light_and_vegetation_indices() -> None:
    assert float(canopy_light.ppfd_of_shortwave(100.0)) == 204
    assert float(canopy_light.ppfd_of_shortwave(100.0, factor=canopy_light.PPFD_OF_HALF_SHORTWAVE)) == 228.5
    np.testing.assert_allclose(canopy_light.fapar_of_ndvi(np.array([0.1, 0.5, 1.0])), [0, 0.452, 0.95], rtol=1e-14)
    np.testing.assert_allclose(canopy_light.fapar_of_lai(np.array([0.0, 2.0])), [0, 1 - np.exp(-1)], rtol=1e-14)
    assert float(canopy_light.ndvi_of_lai(2.0, 0.2, 0.8)) == pytest.approx(0.2 + 0.6 * (1 - np.exp(-1)), rel=1e-14)
    assert float(canopy_light.ndvi_of_lai(2.0, 0.2, 0.8, 0.5)) == pytest.approx(0.8, rel=1e-14)
    assert float(canopy_light.nirv(0.4, 0.1)) == pytest.approx(0.4 * 0.6, rel=1e-14)
    assert float(canopy_light.ndvi_of_reflectance(0.4, 0.1)) == pytest.approx(0.6, rel=1e-14)
    assert float(canopy_light.nirv(0.0, 0.0)) == 0
    assert np.isnan(canopy_light.ndvi_of_reflectance(0.0, 0.0))


def test_pressure_falls_with_height_by_the_exponent_of_the_mode() -> None:
    assert float(air.pressure_of_elevation(0.0)) == 101325
    share = 1 - 0.0065 * 2000 / 298.15
    assert float(air.pressure_of_elevation(2000.0)) == pytest.approx(101325 * share**5.25551, rel=1e-14)
    assert float(air.pressure_of_elevation(2000.0, mode="compat")) == pytest.approx(101325 * share**5.2558, rel=1e-14)
    assert float(air.pressure_of_elevation(1e5)) == 0


def test_optimum_temperature_is_that_of_the_best_moment() -> None:
    ta = np.array([[5.0, 18.0, 30.0], [np.nan, 12.0, 20.0], [np.nan] * 3])
    vpd = np.array([500.0, 800.0, 3000.0])
    found = np.asarray(pt_jpl.optimum_temperature(ta, 0.5, np.array([50.0, 150.0, 160.0]), vpd))
    assert found[:2].tolist() == [18.0, 12.0]
    assert np.isnan(found[2])
    across = pt_jpl.optimum_temperature(ta[:2].T, 0.5, np.array([[50.0], [150.0], [160.0]]), vpd[:, None], axis=0)
    assert across.tolist() == [18.0, 12.0]


def test_relative_humidity_undoes_the_deficit() -> None:
    deficit = 0.3 * 611.0 * np.exp(17.27 * 20 / (20 + 237.7))
    assert float(pt_jpl.relative_humidity(20.0, deficit)) == pytest.approx(0.7, rel=1e-14)
    assert [float(pt_jpl.relative_humidity(20.0, vpd)) for vpd in (-10.0, 1e5)] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: p_model.p_model(20.0, 1e3, 400.0, 1e5, pathway="cam"), r"pathway = 'cam': it is one of c3, c4"),
        (lambda: p_model.p_model(20.0, 1e3, 400.0, 1e5, jmax="wang"), r"jmax = 'wang'.* wang17, none.*mean 'wang17'\?"),
        (lambda: p_model.p_model(20.0, 1e3, 400.0, 1e5, viscosity="hubert"), r"viscosity = 'hubert'.* huber, none"),
        (lambda: air.pressure_of_elevation(0.0, mode="exact"), r"mode = 'exact': it is one of strict, compat"),
        (
            lambda: pt_jpl.pt_jpl(20.0, 0.5, 0.5, 200.0, 0.0, 20.0, 0.6, mode="loose"),
            r"mode = 'loose'.* strict, compat",
        ),
    ],
)
def test_an_unknown_option_is_refused_with_the_choices(call, said: str) -> None:
    with pytest.raises(InputError, match=said):
        call()
