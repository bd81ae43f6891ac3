"""Model texts that are not carbon's: truths, rare observations, nothing to keep or nothing to sum, wrong types."""

from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.model import Model
from phloem.kernels.time_loop.cpu.scalar_graph import UnprintableError
from phloem.kernels.time_loop.day_tables import series
from phloem.kernels.time_loop.fold import fold
from tests.support.kernels.reference_jit import reference_jit

Weather = namedtuple("Weather", "r q")
Observed = namedtuple("Observed", "y weight")
LANES, DAYS = 5, 21


def model(step, score, states=("p", "q"), sums=("e",), constants=("a", "b"), rare=()):
    """Return a model of plain functions that give and take tuples."""
    State, Constants, Sums = (
        namedtuple(n, f) for n, f in (("State", states), ("Constants", constants), ("Sums", sums))
    )

    def day(s, c, w):
        new, out = step(s, c, w)
        return State(*new), out

    return Model("odd", (), (), Constants, State, Weather, tuple, Observed, Sums, lambda p: Constants(*p), day,
                 lambda o, y: Sums(*score(o, y)), rare)  # fmt: skip


def tables(cells=2, seen=0.5, dtype=np.float64):
    rng = np.random.default_rng(4)
    weather = [Weather(rng.random(DAYS), rng.random(DAYS)) for _ in range(cells)]
    observed = [
        Observed((rng.random(DAYS) < 0.2) * 0.7, rng.random(DAYS) * (rng.random(DAYS) < seen)) for _ in range(cells)
    ]
    return series(weather, observed, dtype, segment=8)


def everything(one, backend, data=None, eager=False):
    """Return value, gradient, tangents and a batch of gradients, from the last state and the sums.

    Compiled in one, which is much sooner done than operation by operation; `eager` does the latter.
    """
    data = tables() if data is None else data
    count = len(one.inputs._fields)
    x = jnp.asarray(np.random.default_rng(5).uniform(0.3, 1.2, (count + len(one.state._fields), LANES)))
    lanes = jnp.arange(LANES, dtype=jnp.int32) % 2

    def run(x):
        last, sums = fold(one, one.inputs(*x[:count]), one.state(*x[count:]), data, lanes, segment=8, backend=backend)
        return jnp.stack([*last, *sums])

    def derive(x):
        gradient = jax.grad(lambda x: (run(x) * jnp.arange(1, LANES + 1)).sum())
        return run(x), gradient(x), jax.jvp(run, (x,), (x,))[1], jax.vmap(gradient)(jnp.stack([x, 1.1 * x]))

    return (derive if eager else jax.jit(derive) if backend == "cpu" else reference_jit(derive))(x)


MODELS = {
    "truths": model(
        lambda s, c, w: (
            (s.p * 0.9 + c.a * w.r, s.q),
            (jnp.where(jnp.where(s.p > 1, w.r > 0.5, w.q > 0.5) & (c.a > 0.5), s.p, c.b),),
        ),
        lambda o, y: (o[0] * y.weight,),
    ),
    "rare": model(
        lambda s, c, w: (
            (jnp.maximum(jnp.minimum(s.p * c.a + w.r, s.q * c.b + w.q), 0.1), s.q * jnp.exp(-c.a * w.r) + s.p**3),
            (s.p, s.q),
        ),
        lambda o, y: (y.y * o[0], jnp.where(y.weight > 0.5, o[1] * y.weight, -o[0] * o[1]), (1 - y.y) * o[1] ** -2),
        sums=("e", "f", "g"),
        rare=("y",),
    ),
    "bare numbers": model(lambda s, c, w: ((0.25, s.p * c.a), (1.0,)), lambda o, y: (o[0],)),
    "no constants": model(lambda s, c, w: ((s.p * 0.9 + w.r, s.q), (s.p,)), lambda o, y: o, constants=()),
    "no sums": model(lambda s, c, w: ((s.p * c.a + w.r, s.q), ()), lambda o, y: (), sums=()),
    "twice the same": model(lambda s, c, w: ((s.q, s.q * c.a), (s.p,)), lambda o, y: (o[0], o[0]), sums=("e", "f")),
}


@pytest.mark.parametrize("name", MODELS)
def test_like_the_reference(name):
    for found, wanted in zip(everything(MODELS[name], "cpu"), everything(MODELS[name], "xla"), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_indices_and_tables_of_other_types():
    """The generated folds read bare memory: other types are turned, not taken at their word."""
    one, data = MODELS["truths"], tables()
    wide = data._replace(
        weather_row=data.weather_row.astype(jnp.int64),
        observed_row=data.observed_row.astype(jnp.int64),
        live=data.live.astype(jnp.float32),
        observed=data.observed.astype(jnp.float32).astype(jnp.float64),
    )
    for found, wanted in zip(everything(one, "cpu", wide, eager=True), everything(one, "xla", wide), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9)
    ones = jnp.ones(LANES)
    lanes = np.arange(LANES) % 2
    ends = [
        fold(one, one.inputs(ones, ones), one.state(ones, ones), data, kind(lanes), segment=8, backend="cpu")[1].e
        for kind in (np.int64, np.int32)
    ]
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize(("dtype", "bits"), [(np.float32, 0x7FC00001), (np.float64, 0x7FF00000000007A2)])
def test_a_nan_with_a_payload_stays_one(dtype, bits):
    """As R writes its missing values."""
    one = model(lambda s, c, w: ((s.p, s.q), (jnp.exp(c.a * s.p),)), lambda o, y: o)
    odd = np.array([bits], np.uint32 if dtype == np.float32 else np.uint64).view(dtype)
    p = jnp.asarray(np.concatenate([odd, np.ones(1, dtype)]))
    ones = jnp.ones(2, dtype)
    data, lanes = tables(dtype=dtype), jnp.zeros(2, int)
    found = fold(one, one.inputs(ones, ones), one.state(p, p), data, lanes, segment=8, backend="cpu")[1].e
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


def test_rounding_to_whole_numbers_is_refused_by_name():
    one = model(lambda s, c, w: ((s.p, s.q), ((3 * s.p).astype(int).astype(float),)), lambda o, y: o)
    with pytest.raises(UnprintableError, match="odd: a number is turned into int"):
        everything(one, "cpu")
