"""Every pool's balance closes on random days that hit every floor and ceiling (docs/science.md#floors-and-ceilings)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.forcing_terms import weather
from phloem.kernels.models.dalec_daily.mode_switches import COMPAT, STRICT
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS

DRAWS = 60_000
CARBON = ("labile", "foliar", "root", "wood", "litter", "som")


def draws():
    """Return parameters (30, n), states (8, n) and one day's weather each, with many extremes among them."""
    rng = np.random.default_rng(20_260)

    def spread(table):
        lower, upper = (np.array([[getattr(p, side)] for p in table]) for side in ("lower", "upper"))
        u = rng.random((len(table), DRAWS))
        u = np.where(rng.random(u.shape) < 0.15, rng.random(u.shape) * 0.01, u)
        u = np.where(rng.random(u.shape) < 0.15, 1 - rng.random(u.shape) ** 3 * 1e-3, u)
        return lower * (upper / lower) ** u

    parameters, pools = spread(PARAMETERS), spread(POOLS)
    cold = rng.uniform(-35, 25, DRAWS)
    forcing = {
        "tasmin": cold,
        "tasmax": cold + rng.uniform(0, 20, DRAWS),
        "rsds": rng.uniform(0, 32, DRAWS),
        "co2": rng.uniform(320, 520, DRAWS),
        "vpd": rng.uniform(0, 40, DRAWS),
        "pr": np.where(rng.random(DRAWS) < 0.5, 0.0, rng.gamma(0.5, 40, DRAWS)),
    }
    # A bucket near its ceiling drains up to 1000 mm d-1, so that only a deluge brings it there.
    forcing["pr"] = np.where(rng.random(DRAWS) < 0.03, rng.uniform(1000, 3000, DRAWS), forcing["pr"])
    time, doy = rng.integers(-20_000, 20_000, DRAWS), rng.integers(1, 367, DRAWS)
    w = weather(time, doy, rng.uniform(-90, 90, DRAWS), forcing, DRAWS, STRICT)
    return parameters, pools, w._replace(wetness=forcing["pr"] / rng.uniform(0.3, 4, DRAWS) - 1)


@pytest.fixture(scope="module")
def days():
    parameters, pools, w = draws()
    result = {"before": dict(zip((p.name for p in POOLS), pools, strict=True)), "weather": w}
    result["litter_rates"] = parameters[[p.name for p in PARAMETERS].index("turnover_litter")]
    for name, switches in (("strict", STRICT), ("compat", COMPAT)):
        model = dalec(switches)

        def step(p, q, w, model=model):
            return model.step(state(q), model.prepare(inputs(p)), w)[1]

        out = jax.jit(step)(jnp.asarray(parameters), jnp.asarray(pools), type(w)(*map(jnp.asarray, w)))
        result[name] = {field: np.asarray(value) for field, value in out._asdict().items()}
    return result


def residuals(before, o, w):
    """Return new - old - in + out of each pool, written from docs/science.md#the-new-state."""
    change = {name: o[name] - value for name, value in before.items()}
    return {
        "labile": change["labile"] - o["labile_production"] + o["labile_release"],
        "foliar": change["foliar"] - o["leaf_production"] - o["labile_release"] + o["leaf_litter"],
        "root": change["root"] - o["root_production"] + o["root_litter"],
        "wood": change["wood"] - o["wood_production"] + o["wood_litter"],
        "litter": change["litter"] - o["leaf_litter"] - o["root_litter"] + o["rh_litter"] + o["litter_to_som"],
        "som": change["som"] - o["litter_to_som"] - o["wood_litter"] + o["rh_som"],
        "paw": change["paw"] - w.precipitation + o["et"] + o["runoff_paw"] + o["paw_to_puw"],
        "puw": change["puw"] - o["paw_to_puw"] + o["runoff_puw"],
    }


def test_the_draws_hit_every_floor_and_every_ceiling(days):
    hits = {
        (pool.name, side): int((days["strict"][pool.name] == getattr(pool, side)).sum())
        for pool in POOLS
        for side in ("lower", "upper")
    }
    print(hits)
    assert min(hits.values()) > 0
    dry = days["strict"]["violation"] > 0
    assert dry.sum() > 0
    assert ((days["strict"]["paw"] == 1) & ~dry).sum() > 0
    assert ((days["strict"]["litter"] == 1) & (days["strict"]["litter_to_som"] == 0)).sum() > 0


def test_strict_closes_every_balance(days):
    for name, left in residuals(days["before"], days["strict"], days["weather"]).items():
        assert np.abs(left).max() <= 1e-9, name


def test_compat_breaks_three_balances_and_no_other(days):
    left = residuals(days["before"], days["compat"], days["weather"])
    open_days = {name: int((np.abs(value) > 1e-6).sum()) for name, value in left.items()}
    print(open_days)
    assert {name for name, count in open_days.items() if count} == {"foliar", "paw", "puw"}
    at_floor = days["compat"]["foliar"] == 1
    assert (np.abs(left["foliar"][~at_floor]) <= 1e-9).all()


def test_no_flux_is_negative_and_no_pool_leaves_its_bounds(days):
    o = days["strict"]
    for pool in POOLS:
        assert o[pool.name].min() >= pool.lower
        assert o[pool.name].max() <= pool.upper
    for name in ("gpp", "ra", "rh_litter", "litter_to_som", "leaf_production", "wood_production", "violation"):
        assert o[name].min() >= 0, name
    assert all(np.isfinite(value).all() for value in o.values())


def test_ecosystem_carbon_closes(days):
    o = days["strict"]
    change = sum(o[name] - days["before"][name] for name in CARBON)
    np.testing.assert_allclose(change, -o["nee"], atol=2e-9)


def test_litter_losses_of_very_wet_days_stay_within_the_pool(days):
    o = days["strict"]
    fast = o["temperate"] * days["litter_rates"] > 1
    assert fast.sum() > 10
    free = (o["litter"] > 1) & (o["litter"] < 2000)
    lost = (o["rh_litter"] + o["litter_to_som"])[free]
    assert (lost <= days["before"]["litter"][free] * (1 + 1e-12)).all()
    assert (fast & free).sum() > 0
    compat = days["compat"]
    unguarded = (compat["rh_litter"] > days["before"]["litter"]) & fast
    assert unguarded.sum() > 0
