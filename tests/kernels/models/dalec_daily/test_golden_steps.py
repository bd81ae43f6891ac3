"""Single days against values of the published model, in both modes."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.forcing_terms import weather
from phloem.kernels.models.dalec_daily.mode_switches import COMPAT, STRICT
from phloem.kernels.objective.site import site_data
from tests.support.kernels.builders import NAMES, POOL_NAMES, STATE, G, made_site

BASE = {"t": 546, "tasmin": 8, "tasmax": 20, "rsds": 18, "co2": 390, "doy": 180, "vpd": 8, "pr": 2, "lat": 60}
NIGHT = {"t": 375, "tasmin": -30, "tasmax": -22, "rsds": 0, "doy": 10, "vpd": 0.05, "pr": 0, "lat": 70}
DAY = {"t": 537, "tasmin": 4, "tasmax": 14, "rsds": 22, "doy": 172, "vpd": 5, "pr": 0.5, "lat": 70}
FLOOR = {"t": 640, "doy": 275, "rsds": 0.5, "tasmin": -5, "tasmax": -1, "vpd": 0.5}

FIELDS = (
    *("lai", "gpp", "et", "temperate", "leaf_production", "labile_production", "root_production"),
    *("wood_production", "leaf_fall_rate", "labile_release_rate", "leaf_litter", "rh_litter", "rh_som"),
    *("runoff_paw", "paw_to_puw", "nee", *POOL_NAMES, "beta"),
)
COLUMNS = {
    "base": [
        *(1.5, 3.82631901, 2.34374408, 1.88760755, 0.252537055, 0.37038768, 0.518542752),
        *(0.963007968, 1.27586708e-4, 6.89919881e-3, 0.0114828037, 1.69884679, 0.509654038),
        *(13.0666667, 8.71111111, 0.104025377, 149.335508, 91.2759341, 120.278543, 4000.64301),
        *(298.326123, 9000.03686, 117.878478, 278.711111, 0.738562092),
    ],
    "night": [
        *(1.5, 0, 0, 0.198557819, 0, 0, 0),
        *(0, 3.47563843e-4, 1.92132208e-6, 0.0312807458, 0.178702037, 0.053610611),
        *(13.0666667, 8.71111111, 0.232312648, 149.999712, 89.9690075, 119.76, 3999.68),
        *(300.068752, 9000.29022, 118.222222, 278.711111, 0.738562092),
    ],
    "day": [
        *(1.5, 4.8531478, 2.4686614, 1.09620745, 0.320307755, 0.469784707, 0.65769859),
        *(1.22144024, 7.34119793e-5, 0.0137279218, 6.60707814e-3, 0.986586704, 0.295976011),
        *(13.0666667, 8.71111111, -1.38666858, 148.410596, 92.3728889, 120.417699, 4000.90144),
        *(299.128475, 9000.15557, 116.253561, 278.711111, 0.738562092),
    ],
    "floor": [
        *(0.0166666667, 7.61244097e-5, 0.0150089713, 0.878367841, 5.02421104e-6, 7.36884286e-6, 1.031638e-5),
        *(1.91589914e-5, 0.0122057118, 4.46235231e-7, 1.0, 0.790531057, 0.237159317),
        *(13.0666667, 8.71111111, 1.02764851, 1.00000692, 1.0, 119.76001, 3999.68002),
        *(300.344065, 9000.18824, 120.207213, 278.711111, 0.738562092),
    ],
    "wet": [
        *(1.5, 5.18076821, 2.98223756, 14.9292597, 0.341930702, 0.501498363, 0.702097708),
        *(1.30389574, 1.27586708e-4, 6.89919881e-3, 0.0114828037, 13.4363337, 4.03090012),
        *(225, 150, 14.6178113, 149.466619, 91.3653277, 120.462098, 4000.9839),
        *(285.023638, 8998.08061, 262.017762, 420.0, 1),
    ],
}
CHANGED = {
    "base": ({}, {}),
    "night": (NIGHT, {}),
    "day": (DAY, {}),
    "floor": (FLOOR, {"labile": 1, "foliar": 1}),
    "wet": ({"pr": 40}, {"paw": 600}),
}


def one_day(switches, forcing, pools=None, parameters=None, dtype=np.float64):
    """Step once from the reference day, state and parameters with some values changed."""
    day = {name: np.array([float(value)]) for name, value in {**BASE, **forcing}.items()}
    start, values = STATE.copy(), G.copy()
    for name, value in (pools or {}).items():
        start[POOL_NAMES.index(name)] = value
    for name, value in (parameters or {}).items():
        values[NAMES.index(name)] = value
    w = weather(day["t"], day["doy"], day["lat"], day, 1, switches)
    w = w._replace(warmth=0.5 * (day["tasmin"] + day["tasmax"]) - 2, wetness=day["pr"] / 1.5 - 1)
    w = type(w)(*(jnp.asarray(field[0], dtype) for field in w))
    model = dalec(switches)
    _, out = model.step(state(jnp.asarray(start, dtype)), model.prepare(inputs(jnp.asarray(values, dtype))), w)
    return {name: float(value) for name, value in out._asdict().items()}


@pytest.mark.parametrize("switches", [COMPAT, STRICT], ids=["compat", "strict"])
@pytest.mark.parametrize("column", CHANGED)
def test_printed_columns(column, switches):
    found = one_day(switches, *CHANGED[column])
    conserving_floor = column == "floor" and switches is STRICT
    behind_the_floor = {"leaf_litter", "litter", "nee"}
    for name, expected in zip(FIELDS, COLUMNS[column], strict=True):
        if conserving_floor and name in behind_the_floor:
            continue
        assert found[name] == pytest.approx(expected, rel=6e-9, abs=1e-14), name
    assert found["reco"] == pytest.approx(found["nee"] + found["gpp"], rel=1e-12)
    assert found["violation"] == 0


def test_foliar_floor_takes_carbon_from_nowhere_only_in_compat():
    strict = one_day(STRICT, *CHANGED["floor"])
    assert strict["leaf_litter"] == pytest.approx(5.4704463e-6, rel=1e-8)
    compat = one_day(COMPAT, *CHANGED["floor"])
    assert compat["leaf_litter"] == 1.0
    assert compat["litter"] - strict["litter"] == pytest.approx(1 - 5.4704463e-6, rel=1e-9)
    alone = one_day(replace(STRICT, foliar_floor="unit_litter"), *CHANGED["floor"])
    assert alone["leaf_litter"] == 1.0


@pytest.mark.parametrize(("switches", "violation"), [(COMPAT, 0.0036), (STRICT, 0.0024)], ids=["compat", "strict"])
def test_paw_floor_without_enough_water(switches, violation):
    found = one_day(switches, {"pr": 0}, {"paw": 1.3})
    assert found["gpp"] == 0
    assert found["et"] == pytest.approx(0.3, rel=1e-12)
    assert found["paw"] == 1.0
    assert found["runoff_paw"] == found["paw_to_puw"] == 0
    assert found["violation"] == pytest.approx(violation, rel=1e-11)


@pytest.mark.parametrize(
    ("switches", "runoff", "xfer", "residual"),
    [(COMPAT, 2.86, 2.06, 0.46), (STRICT, 2.676, 1.784, 0.0)],
    ids=["compat", "strict"],
)
def test_paw_floor_with_the_precedence_slip(switches, runoff, xfer, residual):
    found = one_day(switches, {"pr": 1}, {"paw": 5}, {"paw_drainage_capacity": 1})
    assert found["paw"] == 1.0
    assert found["et"] == pytest.approx(0.54, rel=1e-12)
    assert found["runoff_paw"] == pytest.approx(runoff, rel=1e-12)
    assert found["paw_to_puw"] == pytest.approx(xfer, rel=1e-12)
    missing = (1.0 - 5) - (1 - found["et"] - found["runoff_paw"] - found["paw_to_puw"])
    assert missing == pytest.approx(residual, abs=1e-12)


def test_the_power_form_quantises_daily_rates_in_float32():
    """1 - (1 - k) is a multiple of 2^-24 in float32: 1e-7 becomes 1.19e-7."""
    slow = {"turnover_som": 1e-7}
    reference = {"t": 546, "pr": 1.5, "tasmin": -3, "tasmax": 7}
    losses = [one_day(s, reference, None, slow, np.float32)["rh_som"] / 9000 for s in (STRICT, COMPAT)]
    assert losses[0] == pytest.approx(1e-7, rel=1e-6)
    assert losses[1] == pytest.approx(2 * 2.0**-24, rel=1e-6)


@pytest.mark.parametrize("column", CHANGED)
def test_strict_in_float32(column):
    """Within 2e-6; the pulses are exp(-x^2) and double the error of x with x^2 of about 5."""
    double = one_day(STRICT, *CHANGED[column])
    single = one_day(STRICT, *CHANGED[column], dtype=np.float32)
    pulses = ("leaf_fall_rate", "labile_release_rate", "leaf_litter")
    for name in FIELDS:
        scale = max(abs(double["gpp"]), abs(double["reco"])) if name == "nee" else abs(double[name])
        if name == "leaf_litter" and column == "floor":
            scale = 1.0  # what closes the balance of a pool of 1 gC m-2
        relative = 5e-6 if name in pulses else 2e-6
        assert abs(single[name] - double[name]) <= relative * scale + 1e-12, name


@pytest.mark.parametrize(("k", "expected"), [(0.0, 4.15888308), (0.003, 3.25898111), (30.0, 0.44068632)])
def test_constraints_before_a_run(k, expected):
    objective = SiteObjective(dalec("compat"), switches=COMPAT)
    data = site_data([made_site(64, 0, COMPAT)], np.float64)
    found = objective.constraints(inputs(jnp.asarray(G)[:, None]), jnp.asarray([k]), data, jnp.zeros(1, int))
    assert float(found[0]) == pytest.approx(expected, abs=6e-9)
