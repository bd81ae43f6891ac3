"""One day in plain Python, written from docs/science.md#one-day alone, against the model text in both modes."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.forcing_terms import Weather, weather
from phloem.kernels.models.dalec_daily.mode_switches import switches
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS
from phloem.kernels.models.dalec_daily.phenology import OFFSET

LANES = 1000
TM, PM = 6.0, 1.7
FORCING = ("tasmin", "tasmax", "rsds", "co2", "vpd", "pr")


def pulse(L, width, day, t):
    """Rate of leaf fall or labile release."""
    f, w, sf = 0.5 * (math.log(L) - math.log(L - 1)), width * math.sqrt(2) / 2, 365.25 / math.pi
    o = w * np.polyval(OFFSET, math.log(L - 1))
    return 2 / math.sqrt(math.pi) * f / w * math.exp(-((sf / w * math.sin((t - day + o) / sf)) ** 2))


def unstressed(lai, ce, day):
    """A of the aggregated canopy model."""
    gc = 2**0.789798 / (0.37836 + 0.5 * (day["tasmax"] - day["tasmin"]))
    p = lai * ce * math.exp(0.011136 * day["tasmax"]) / gc
    b = day["co2"] - 4.22273 + 208.868 + p
    drawdown = 2 * p * (day["co2"] - 4.22273) / (b + math.sqrt(b * b - 4 * p * (day["co2"] - 4.22273)))
    pd, light = gc * drawdown, 7.19298 * lai**2 * day["rsds"]
    pl = light * pd / (light + (2.1001 + lai**2) * pd + 1e-30)
    dec = -math.radians(23.4) * math.cos(2 * math.pi * (day["doy"] + 10) / 365)
    mu = min(max(math.tan(math.radians(day["lat"])) * math.tan(dec), -1), 1)
    return pl * (0.0156935 * 24 / math.pi * math.acos(-mu) + 0.0453194)


def drained(water, focal_point):
    """Drainage of a bucket."""
    return water * water / focal_point if water <= focal_point / 2 else water - focal_point / 4


def one_day(p, x, day, strict):
    """Outputs of a day, by name; parameters and pools by symbol."""
    excesses = []

    def bounded(value, pool):
        kept = min(max(value, POOLS[pool].lower), POOLS[pool].upper)
        excesses.append(value - kept)
        return kept, value - kept

    W, U = x["W"], x["U"]
    lai = x["Cfol"] / p["LCMA"]
    wp = p["fc"] * p["wpf"]
    beta = min(max((W - wp) / (p["fc"] - wp), 0), 1)
    GPP = unstressed(lai, p["ce"], day) * beta
    ET = GPP * math.sqrt(max(day["vpd"], 0)) / p["uWUE"] + p["r"] * day["rsds"]
    Ra = p["f_auto"] * GPP
    NPP = GPP - Ra
    a_f = NPP * p["f_fol"]
    a_l = (NPP - a_f) * p["f_lab"]
    a_r = (NPP - a_f - a_l) * p["f_root"]
    a_w = NPP - a_f - a_l - a_r
    M = math.exp(p["q"] * (0.5 * (day["tasmin"] + day["tasmax"]) - TM)) * (1 + p["m"] * (day["pr"] / PM - 1))
    rate_l, rate_d, rate_s = M * p["k_lit"], M * p["k_dec"], M * p["k_som"]
    if strict:
        rate_l, rate_d, rate_s = min(rate_l, 1), min(rate_d, 1), min(rate_s, 1)
        both = max(rate_l + rate_d, 1)
        rate_l, rate_d = rate_l / both, rate_d / both

    r_l = x["Clab"] * pulse(p["L_lab"], p["w_lab"], p["B"], day["t"])
    labile, excess = bounded(x["Clab"] + a_l - r_l, 0)
    r_l += excess
    x_f = x["Cfol"] * pulse(p["L_fol"], p["w_fall"], p["S"], day["t"])
    foliar, excess = bounded(x["Cfol"] + a_f - x_f + r_l, 1)
    x_f = 1.0 if excess < 0 and not strict else x_f + excess
    x_r = x["Croo"] * p["k_root"]
    root, excess = bounded(x["Croo"] + a_r - x_r, 2)
    x_r += excess
    x_w = x["Cwoo"] * p["k_wood"]
    wood, excess = bounded(x["Cwoo"] + a_w - x_w, 3)
    x_w += excess
    h_l, d_ls = x["Clit"] * rate_l, x["Clit"] * rate_d
    litter, excess = bounded(x["Clit"] + x_f + x_r - h_l - d_ls, 4)
    h_l, d_ls = h_l + min(d_ls + excess, 0), max(d_ls + excess, 0)
    h_s = x["Csom"] * rate_s
    som, excess = bounded(x["Csom"] + d_ls + x_w - h_s, 5)
    h_s += excess
    spilt = sum(max(excess, 0) for excess in excesses)

    drainage, violation = drained(W, p["Qp"]), 0.0
    paw, excess = bounded(W + day["pr"] - ET - drainage, 6)
    c, h = drainage + excess, p["h"]
    q_p, x_pu = (1 - h) * c, h * c
    if not strict and excess:
        q_p, x_pu = (day["pr"] - ET - share * (paw - W) for share in (1 - h, h))
    if (c < 0) if strict else (excess < 0 and q_p < 0):
        violation = 0.01 * -(c if strict else q_p)
        ET, q_p, x_pu = ET + c, 0.0, 0.0
    q_u = drained(U, p["Qu"])
    puw, excess = bounded(U + x_pu - q_u, 7)
    return {
        "lai": lai, "beta": beta, "gpp": GPP, "et": ET, "ra": Ra, "rh_litter": h_l, "rh_som": h_s,
        "reco": Ra + h_l + h_s, "nee": Ra + h_l + h_s - GPP, "labile_release": r_l, "leaf_litter": x_f,
        "runoff_paw": q_p, "paw_to_puw": x_pu, "violation": violation,
        "overflow": 0.01 * spilt**2 / (spilt + 1) if strict else 0.0,
        "labile": labile, "foliar": foliar, "root": root, "wood": wood, "litter": litter, "som": som,
        "paw": paw, "puw": puw, "runoff_puw": q_u + (excess if strict else min(excess, 0)),
    }  # fmt: skip


def draws(random, table):
    """Draw between the bounds on the scale of logarithms, one in five at a bound, (quantities, LANES)."""
    lower, upper = (np.array([[getattr(one, end)] for one in table]) for end in ("lower", "upper"))
    u = np.clip(random.uniform(-0.125, 1.125, (len(table), LANES)), 0, 1)
    return np.clip(lower * (upper / lower) ** u, lower, upper)


@pytest.mark.parametrize("mode", ["strict", "compat"])
def test_the_written_day_is_the_computed_one(mode):
    random = np.random.default_rng(7)
    parameters, pools = draws(random, PARAMETERS), draws(random, POOLS)
    warm = random.uniform(-25, 38, LANES)
    forcing = dict(
        zip(
            FORCING,
            (
                *(warm - random.uniform(0, 15, LANES), warm, random.uniform(0, 30, LANES)),
                *(random.uniform(290, 560, LANES), random.uniform(-1, 35, LANES)),
                random.choice([0.0, 0.3, 4.0, 80.0], LANES),
            ),
            strict=True,
        )
    )
    t, doy = random.integers(-6000, 9000, LANES), random.integers(1, 367, LANES)
    latitude = random.uniform(-89.9, 89.9, LANES)
    terms = weather(t, doy, latitude, forcing, LANES, switches(mode), (TM, PM))
    model = dalec(mode)
    _, found = model.step(
        model.first_state(jnp.asarray(pools)),
        model.prepare(model.inputs_of_values(jnp.asarray(parameters))),
        Weather(*map(jnp.asarray, terms)),
    )
    written = [
        one_day(
            {one.symbol: parameters[row, lane] for row, one in enumerate(PARAMETERS)},
            {one.symbol: pools[row, lane] for row, one in enumerate(POOLS)},
            {"t": t[lane], "doy": doy[lane], "lat": latitude[lane]} | {name: forcing[name][lane] for name in FORCING},
            mode == "strict",
        )
        for lane in range(LANES)
    ]
    assert sum(day["violation"] > 0 for day in written) > 50
    assert (sum(day["overflow"] > 0 for day in written) > 50) == (mode == "strict")
    largest = np.max(pools, axis=0)
    for name in written[0]:
        expected = np.array([day[name] for day in written])
        computed = np.asarray(getattr(found, name))
        assert np.max(np.abs(computed - expected) / (np.abs(expected) + 1e-3 * largest)) < 1e-11, name
