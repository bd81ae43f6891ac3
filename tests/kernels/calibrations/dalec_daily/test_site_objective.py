"""The loss, recomputed in plain numpy from the daily outputs as docs/science.md#loss states it."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.mode_switches import COMPAT, STRICT
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from phloem.kernels.objective.bounded_log import physical, unbounded
from phloem.kernels.objective.objective import nnse
from phloem.kernels.objective.site import site_data
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.names import STREAMS
from tests.support.kernels.builders import NAMES, POOL_NAMES, STATE, G, made_site

DAYS, TRAINING = 900, 500
CARDAMOM = replace(STRICT, edc4_temperature="cardamom", edc_sigmoid="overflowing", edc3_rate="shape")
LANES = 3
LANE = np.zeros(LANES, np.int32)


def raw_values():
    base = unbounded(np.concatenate([G, STATE])[:, None], UNKNOWNS)
    return base + np.random.default_rng(8).normal(0, [0.0, 0.15, 0.4], (len(UNKNOWNS), LANES))


def soft(a, b, s):
    """-ln sigmoid(s (a - b)) in numpy."""
    return np.logaddexp(0, s * (b - a))


def expected_terms(p, q, out, cell, k, switches):
    """Return the five parts of one lane's loss from its daily outputs."""
    window = slice(0, cell.training_days)
    observations = 0.0
    for name in STREAMS:
        o, m = cell.observations[name][window], out[name][window]
        seen = np.isfinite(o)
        nse = 1 - ((o - m)[seen] ** 2).sum() / ((o[seen] - o[seen].mean()) ** 2).sum()
        observations -= 1 / (2 - nse)

    prior = 0.1 * (p["canopy_efficiency"] - cell.ce_opt) ** 2

    lifespan, period = p["leaf_lifespan"], p["leaf_fall_period"]
    foliar_turnover = 1 / (365.25 * lifespan)
    if switches.edc3_rate == "integrated":
        t = np.arange(0, 365.25, 365.25 / 5000)
        w = period * np.sqrt(2) / 2
        f = 0.5 * np.log(lifespan / (lifespan - 1))
        pulse = 2 / np.sqrt(np.pi) * f / w * np.exp(-((np.sin(t * np.pi / 365.25) * 365.25 / np.pi / w) ** 2))
        foliar_turnover = pulse.mean()
    som = p["turnover_som"]
    if switches.edc4_temperature == "cardamom":
        som = som * np.exp(p["temperature_sensitivity"] * cell.mean_temperature)
    left = 1 - p["f_auto"]
    foliage = left * p["f_foliar"]
    labile = (left - foliage) * p["f_labile"]
    root = (left - foliage - labile) * p["f_root"]
    edc = (
        soft(p["turnover_litter"], p["turnover_som"], 1e5 * k)
        + soft(p["decomposition_rate"], p["turnover_som"], 1e4 * k)
        + soft(foliar_turnover, p["turnover_wood"], 2e5 * k)
        + soft(p["turnover_root"], som, 10 * k)
        + soft(5 * root, foliage + labile, 100 * k)
        + soft(5 * (foliage + labile), root, 100 * k)
    )

    flows = {
        "labile": (out["labile_production"], out["labile_release"]),
        "foliar": (out["leaf_production"] + out["labile_release"], out["leaf_litter"]),
        "root": (out["root_production"], out["root_litter"]),
        "wood": (out["wood_production"], out["wood_litter"]),
        "litter": (out["leaf_litter"] + out["root_litter"], out["rh_litter"] + out["litter_to_som"]),
        "som": (out["wood_litter"] + out["litter_to_som"], out["rh_som"]),
    }
    steady = {}
    for name, (inflow, outflow) in flows.items():
        marked = out[name][cell.year_end == 1]
        mean = (q[name] + marked.sum()) / (len(marked) + 1)
        rm = max(inflow.sum(), 1e-6 * cell.days) / max(outflow.sum(), 1e-6 * cell.days)
        rs = rm * mean / q[name]
        steady[name] = soft(np.log(2), abs(np.log(rs)), 3 * k) + soft(0.1, abs(rs - rm), 3 * k)
    return observations, prior, edc, steady, out["violation"].sum()


@pytest.fixture(scope="module", params=["strict", "compat", "cardamom"])
def evaluated(request):
    switches = {"strict": STRICT, "compat": COMPAT, "cardamom": CARDAMOM}[request.param]
    cell = made_site(DAYS, 4, switches, training_days=TRAINING)
    data, model = site_data([cell], np.float64), dalec(switches)
    raw = jnp.asarray(raw_values())
    values = np.asarray(physical(raw, UNKNOWNS))
    out = trajectory(model, inputs(jnp.asarray(values[:30])), state(jnp.asarray(values[30:])), data.tables, LANE)
    return switches, cell, data, model, raw, values, out


@pytest.mark.parametrize("pools", [tuple(POOL_NAMES[:6]), ("som",)], ids=["all", "som"])
def test_terms_equal_the_recomputation(evaluated, pools):
    switches, cell, data, model, raw, values, out = evaluated
    objective = SiteObjective(model, switches=switches, steady_pools=pools)
    evaluate = jax.jit(lambda k: objective.terms(raw, k, data, LANE)[0])
    for k in (0.0, 0.003, 0.7):
        found = evaluate(jnp.full(LANES, k))
        loss = np.zeros(LANES)
        for lane in range(LANES):
            p = dict(zip(NAMES, values[:30, lane], strict=True))
            q = dict(zip(POOL_NAMES, values[30:, lane], strict=True))
            daily = {name: np.asarray(v)[:DAYS, lane] for name, v in out._asdict().items()}
            *parts, steady, violation = expected_terms(p, q, daily, cell, k, switches)
            parts += [sum(steady[name] for name in pools), violation]
            loss[lane] = sum(parts)
            for name, expected in zip(found._fields, parts, strict=True):
                assert float(getattr(found, name)[lane]) == pytest.approx(expected, rel=1e-9, abs=1e-11), (name, k)
        np.testing.assert_allclose(sum(found), loss, rtol=1e-9)


def test_ln_2_a_penalty_at_sharpness_0(evaluated):
    switches, _, data, model, raw, _, _ = evaluated
    terms = jax.jit(lambda: SiteObjective(model, switches=switches).terms(raw, jnp.zeros(LANES), data, LANE)[0])()
    np.testing.assert_allclose(terms.edc + terms.steady_state, 18 * np.log(2), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softplus_stays_finite_where_the_published_form_overflows(dtype):
    zero, k = jnp.asarray([0.0], dtype), jnp.asarray([1e4], dtype)
    strict, compat = SiteObjective(dalec("strict")), SiteObjective(dalec("compat"), switches=COMPAT)
    assert float(strict.penalty(zero, zero + 1, k)[0]) == 1e4
    slope = jax.grad(lambda b: strict.penalty(zero, b, k).sum())(zero + 1)
    assert float(slope[0]) == 1e4
    assert np.isinf(compat.penalty(zero, zero + 1, k)).all()


def unseen(cell, stream):
    observations = dict(cell.observations)
    observations[stream] = np.full(cell.days, np.nan)
    return replace(cell, observations=observations)


def test_missing_and_constant_streams_count_nothing_and_leave_gradients_finite():
    full = made_site(DAYS, 4, STRICT, training_days=TRAINING)
    flat = dict(full.observations) | {"et": np.full(DAYS, 1.5)}
    cells = [full, unseen(full, "lai"), replace(full, observations=flat)]
    cells.append(replace(full, observations={name: np.full(DAYS, np.nan) for name in STREAMS}, ce_opt=np.nan))
    objective = SiteObjective(dalec("strict"))
    data = site_data(cells, np.float64)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(data))
    lanes = np.arange(len(cells), dtype=np.int32)
    raw = jnp.asarray(np.repeat(raw_values()[:, 1:2], len(cells), 1))

    @jax.jit
    def evaluate(raw):
        def total(raw):
            terms, sums = objective.terms(raw, jnp.full(len(cells), 0.3), data, lanes)
            return sum(terms).sum(), (terms, nnse(sums, data, lanes, STREAMS))

        return jax.value_and_grad(total, has_aux=True)(raw)

    (_, (terms, efficiency)), gradient = evaluate(raw)
    table = np.stack([efficiency[name] for name in STREAMS])
    np.testing.assert_array_equal(table == 0, [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 0, 1]])
    np.testing.assert_allclose(terms.observations, -table.sum(0), rtol=1e-14)
    assert float(terms.observations[3]) == float(terms.prior[3]) == 0
    assert np.isfinite(gradient).all()
    assert (table >= 0).all()
    assert (table <= 1).all()


def test_the_validation_window_is_the_rest_of_the_record():
    cell = made_site(DAYS, 4, STRICT, training_days=TRAINING)
    seen = {
        w: np.asarray(site_data([cell], np.float64, w).tables.observed)[:, 4, 0] for w in ("calibration", "validation")
    }
    known = np.isfinite(cell.observations["gpp"])
    np.testing.assert_array_equal(seen["calibration"][:DAYS] > 0, known & (np.arange(DAYS) < TRAINING))
    np.testing.assert_array_equal(seen["validation"][:DAYS] > 0, known & (np.arange(DAYS) >= TRAINING))
