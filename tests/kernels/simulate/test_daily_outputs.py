"""A trajectory of 1461 days of the published model and its gradient, to the digits noted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.mode_switches import COMPAT, STRICT
from phloem.kernels.simulate.daily_outputs import trajectory
from phloem.kernels.time_loop.fold import fold
from tests.support.kernels.builders import G_WET, NAMES, STATE, golden_weather, lanes_of, plain_series

DAYS = 1461
MEANS = {
    "lai": 2.462137956,
    "gpp": 1.905939357,
    "et": 0.9668887216,
    "nee": -0.0951499037,
    "rh_litter": 0.6525211784,
    "rh_som": 0.3005955641,
    "leaf_litter": 0.4056794081,
    "wood_litter": 0.3306069375,
    "runoff_paw": 0.3614360669,
    "beta": 0.6144832626,
}
FINALS = {
    "labile": 33.00681266,
    "foliar": 67.62477285,
    "root": 117.607242,
    "wood": 4217.805704,
    "litter": 192.0117353,
    "som": 9170.957742,
    "paw": 72.47875465,
    "puw": 29.29616531,
}
PARAMETER_GRADIENT = [
    *(-156.98727, -0.017853864, -0.039144902, -0.65942753, 0.084088812, -5606.6418, 35.155092, 54.959942),
    *(9782.6489, 1.532966, 6.6332998e-4, -2.6287439e-4, -0.2228934, 1.6960317e-4, 2.4271176e-4),
    *(-2.0055792e-4, -4.3414649e-3, -2.1024184e-3, 2.6800804e-6, -1.8430734e-4, -0.012991512),
    *(0, 0, 0, 0, -0.1242619, 9.0523527e-4, 0, 0, 0.33452021),
]
"""Number 26 is printed as 9.0527235e-4, two digits astray: central differences give 9.05235e-4 (tested below)."""
POOL_GRADIENT = [
    *(1.0213707e-3, 1.3033561e-3, 5.4001526e-4, 8.9153987e-4, 6.0455912e-4, 3.2276376e-5, 3.8865218e-6, 0),
]
LANE = jnp.zeros(1, jnp.int32)


def run(switches, dtype=np.float64):
    data = plain_series(golden_weather(switches), dtype)
    p, q = lanes_of(G_WET, dtype), lanes_of(STATE, dtype)
    out = trajectory(dalec(switches), inputs(p), state(q), data, LANE)
    return {name: np.asarray(value)[:DAYS, 0] for name, value in out._asdict().items()}


@pytest.fixture(scope="module")
def runs():
    return {"compat": run(COMPAT), "strict": run(STRICT)}


@pytest.mark.parametrize("mode", ["compat", "strict"])
def test_printed_means_and_final_pools(runs, mode):
    for name, expected in MEANS.items():
        assert runs[mode][name].mean() == pytest.approx(expected, rel=2e-9), name
    for name, expected in FINALS.items():
        assert runs[mode][name][-1] == pytest.approx(expected, rel=6e-10), name


def test_no_clamp_is_hit_so_that_the_modes_agree(runs):
    for name, values in runs["strict"].items():
        scale = np.abs(values).max()
        np.testing.assert_allclose(values, runs["compat"][name], rtol=1e-10, atol=1e-12 * scale, err_msg=name)
    assert runs["strict"]["violation"].max() == 0


def test_fast_pools_in_float32(runs):
    single = run(STRICT, np.float32)
    for name in ("labile", "foliar", "root", "litter", "paw", "puw"):
        assert single[name][-1] == pytest.approx(FINALS[name], rel=2e-5), name
    assert single["wood"][-1] == pytest.approx(FINALS["wood"], rel=2e-7)
    assert single["som"][-1] == pytest.approx(FINALS["som"], rel=2e-7)


def cost(p, q, data, lanes):
    out = trajectory(dalec("compat"), inputs(p), state(q), data, lanes)
    mean = {name: getattr(out, name)[:DAYS].mean(0) for name in ("nee", "lai", "et")}
    return mean["nee"] + 0.1 * mean["lai"] + 1e-3 * out.wood[DAYS - 1] + 0.05 * mean["et"]


def test_gradient_of_the_trajectory():
    data = plain_series(golden_weather())
    slope = jax.jit(jax.value_and_grad(lambda p, q: cost(p, q, data, LANE)[0], (0, 1)))
    value, (dp, dq) = slope(lanes_of(G_WET), lanes_of(STATE))
    assert float(value) == pytest.approx(4.41721403238, rel=1e-11)
    np.testing.assert_allclose(dp[:, 0], PARAMETER_GRADIENT, rtol=6e-8, atol=1e-17)
    np.testing.assert_allclose(dq[:, 0], POOL_GRADIENT, rtol=6e-8, atol=1e-17)


def test_the_corrected_digit_by_central_differences():
    row, step = NAMES.index("moisture_sensitivity"), 1e-3
    p = np.repeat(G_WET[:, None], 2, 1)
    p[row] += [step, -step]
    data, lanes = plain_series(golden_weather()), jnp.zeros(2, jnp.int32)
    up, down = cost(jnp.asarray(p), jnp.asarray(np.repeat(STATE[:, None], 2, 1)), data, lanes)
    assert float(up - down) / (2 * step) == pytest.approx(PARAMETER_GRADIENT[row], rel=1e-7)


def test_the_fold_is_the_trajectory_summed(runs):
    for mode, switches in (("compat", COMPAT), ("strict", STRICT)):
        data, model = plain_series(golden_weather(switches)), dalec(switches)
        last, sums = jax.jit(lambda p, q, m=model, d=data: fold(m, inputs(p), state(q), d, LANE))(
            lanes_of(G_WET), lanes_of(STATE)
        )
        for name in FINALS:
            assert float(getattr(last, name)[0]) == pytest.approx(runs[mode][name][-1], rel=1e-12), name
        for name in ("labile_release", "leaf_litter", "rh_som", "litter_to_som", "gpp", "violation"):
            assert float(getattr(sums, name)[0]) == pytest.approx(runs[mode][name].sum(), rel=1e-12), name
