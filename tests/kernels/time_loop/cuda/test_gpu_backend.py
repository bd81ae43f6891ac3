"""The gpu backend on a stand-in for the driver: against the reference, and bit by bit against the cpu backend."""

from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, prepare, state
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from phloem.kernels.models.model import Model
from phloem.kernels.objective.bounded_log import physical, unbounded
from phloem.kernels.objective.site import site_data
from phloem.kernels.time_loop.cpu import cpu_backend
from phloem.kernels.time_loop.cuda import gpu_backend
from phloem.kernels.time_loop.day_tables import day_tables
from phloem.kernels.time_loop.flat_day import Text
from phloem.kernels.time_loop.fold import fold
from tests.support.kernels.builders import STATE, G, made_site
from tests.support.kernels.reference_jit import reference_jit

CARBON = replace(dalec("strict"), prepare=lambda constants: constants)
BOTH = (gpu_backend, cpu_backend)
FUNCTIONS = ("value", "adjoint", "tangent")
TANGENTS = 3


class Pond(NamedTuple):
    level: Any


class Bed(NamedTuple):
    leak: Any
    width: Any


class Rain(NamedTuple):
    rain: Any


class Gauge(NamedTuple):
    level: Any
    weight: Any


class Misfit(NamedTuple):
    misfit: Any
    days: Any


POND = Model(
    name="pond",
    parameters=(),
    pools=(),
    inputs=Bed,
    state=Pond,
    weather=Rain,
    outputs=Pond,
    observed=Gauge,
    sums=Misfit,
    prepare=lambda bed: bed,
    step=lambda s, c, w: (Pond(jnp.clip(s.level - c.leak * s.level + w.rain / c.width, 0.0, 9.0)), s),
    score=lambda o, y: Misfit(y.weight * (o.level - y.level) ** 2, 1.0),
)
"""A model of another kind; one of its sums is a plain number."""


class Case(NamedTuple):
    text: Text
    constants: Any
    state0: Any
    data: Any
    cells: Any
    constants_dot: Any
    state0_dot: Any
    last_bar: Any
    sums_bar: Any

    def arguments(self, name, checkpoints):
        start = (self.constants, checkpoints if name == "adjoint" else self.state0, self.data, self.cells)
        more = {
            "value": (),
            "adjoint": (self.last_bar, self.sums_bar),
            "tangent": (self.constants_dot, self.state0_dot),
        }
        return *start, *more[name]

    def checkpoints(self):
        return gpu_backend.value(self.text, *self.arguments("value", None))[2]


def by_scan(text, constants, state0, data, cells):
    tree = jax.tree.unflatten(text.structure, list(constants))
    last, sums = fold(text.model, tree, text.model.state(*state0), data, cells, segment=text.segment, backend="xla")
    return jnp.stack(last), jnp.stack(sums)


reference = reference_jit(by_scan, static_argnums=0)


@partial(reference_jit, static_argnums=0)
def reference_adjoint(text, constants, state0, data, cells, bars):
    return jax.vjp(lambda *at: by_scan(text, *at, data, cells), constants, state0)[1](bars)


@partial(reference_jit, static_argnums=0)
def reference_tangent(text, constants, state0, data, cells, *dots):
    def push(*dot):
        return jax.jvp(lambda *at: by_scan(text, *at, data, cells), (constants, state0), dot)[1]

    return jax.vmap(push)(*dots)


def case(text, constants, state0, data):
    """Fill up with random tangents and with cotangents of about the size that leaves no term negligible."""
    rng = np.random.default_rng(12)
    constants, state0 = (jnp.stack(jax.tree.leaves(tree)) for tree in (constants, state0))
    cells = jnp.arange(constants.shape[1], dtype=jnp.int32) % data.live.shape[1]
    last, sums = reference(text, constants, state0, data, cells)
    dots = [rng.normal(0, 1, (TANGENTS, *x.shape)) * (abs(x) + 1) for x in (constants, state0)]
    bars = [rng.normal(0, 1, x.shape) / (abs(x) + 1) for x in (last, sums)]
    return Case(text, constants, state0, data, cells, *dots, *bars)


@cache
def carbon():
    """Three cells of unequal length; the last days of two are padding, for one of them most of a segment."""
    raw = unbounded(np.concatenate([G, STATE])[:, None], UNKNOWNS)
    raw = raw + np.random.default_rng(6).normal(0, 0.4, (len(UNKNOWNS), 5))
    values = physical(jnp.asarray(raw), UNKNOWNS)
    sites = [made_site(days, 50 + days, STRICT, wet=wet) for days, wet in ((70, 0.3), (100, 1.0), (128, 3.0))]
    constants = prepare(inputs(values[:30]))
    text = Text(CARBON, jax.tree.structure(constants), 64)
    return case(text, constants, state(values[30:]), site_data(sites, np.float64).tables)


def cycled():
    """The same tables walked in another order, a part of them again and again."""
    made = carbon()
    days = np.arange(len(made.data.weather_row), dtype=np.int32)
    rows = {"weather_row": jnp.asarray(days % 50), "observed_row": jnp.asarray(7 * days % 70)}
    return made._replace(data=made.data._replace(**rows, live=jnp.ones_like(made.data.live)))


def pond():
    """Lanes that fill one block and a part of the next, days that end inside a segment of 7."""
    rng = np.random.default_rng(3)
    weather = [Rain(rng.uniform(0, 3, days)) for days in (20, 9)]
    observed = [Gauge(rng.uniform(0, 9, days), rng.uniform(0, 1, days)) for days in (20, 9)]
    lanes = 128 + 5
    bed = Bed(jnp.linspace(0.1, 0.9, lanes), jnp.linspace(0.5, 2.0, lanes))
    text = Text(POND, jax.tree.structure(bed), 7)
    return case(text, bed, Pond(jnp.linspace(2.0, 8.0, lanes)), day_tables(weather, observed, np.float64, segment=7))


@pytest.fixture(scope="module", params=[carbon, cycled, pond], ids=lambda made: made.__name__)
def made(request):
    return request.param()


def check(got, expected):
    for one, wanted in zip(got, expected, strict=True):
        scale = np.abs(wanted).max()
        assert np.isfinite(wanted).all()
        np.testing.assert_allclose(one, wanted, rtol=1e-10, atol=1e-13 * scale)


def test_value_is_the_references(made):
    arguments = made.arguments("value", None)
    last, sums, checkpoints = gpu_backend.value(made.text, *arguments)
    check((last, sums), reference(made.text, *arguments))
    assert checkpoints.shape == (len(made.data.weather_row) // made.text.segment, *made.state0.shape)
    np.testing.assert_array_equal(checkpoints[0], made.state0)


def test_adjoint_is_the_references(made):
    got = gpu_backend.adjoint(made.text, *made.arguments("adjoint", made.checkpoints()))
    check(got, reference_adjoint(made.text, *made.arguments("value", None), (made.last_bar, made.sums_bar)))


def test_adjoint_starts_from_nothing_where_the_last_state_has_no_cotangent():
    made = pond()
    arguments = made.arguments("adjoint", made.checkpoints())
    nothing, none = (
        gpu_backend.adjoint(made.text, *arguments[:4], b, made.sums_bar) for b in (0 * made.last_bar, None)
    )
    for one, other in zip(nothing, none, strict=True):
        np.testing.assert_array_equal(one, other)


def test_tangent_is_the_references(made):
    arguments = made.arguments("tangent", None)
    check(gpu_backend.tangent(made.text, *arguments), reference_tangent(made.text, *arguments))


def test_what_a_segment_adds_is_not_lost_to_rounding():
    """One segment, the first that is added, brings 4; six others bring half of the last digit of 4 each."""
    days, half = 7, np.spacing(np.float32(4)) / 2
    rain, weight = np.full((2, days), half)
    rain[-1] = weight[0] = 4
    data = day_tables([Rain(rain)], [Gauge(np.zeros(days), weight)], np.float32, segment=1)
    one = jnp.ones((1, 1), jnp.float32)
    text = Text(POND, jax.tree.structure(Bed(0, 0)), 1)
    bed, cells = jnp.concatenate([0 * one, one]), jnp.zeros(1, jnp.int32)
    _, sums, _ = gpu_backend.value(text, bed, one, data._replace(weather=0 * data.weather), cells)
    checkpoints = jnp.ones((days, 1, 1), jnp.float32)
    constants_bar, _ = gpu_backend.adjoint(text, bed, checkpoints, data, cells, one, jnp.zeros((2, 1), jnp.float32))
    assert sums[0, 0] == -constants_bar[1, 0] == 4 + 6 * half


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_stays_in_its_lane(name):
    sound = carbon()
    sick = sound._replace(constants=sound.constants.at[:, 2].set(np.nan), sums_bar=sound.sums_bar.at[:, 2].set(np.nan))
    both = [getattr(gpu_backend, name)(one.text, *one.arguments(name, one.checkpoints())) for one in (sound, sick)]
    for whole, part in zip(*both, strict=True):
        np.testing.assert_array_equal(np.delete(part, 2, -1), np.delete(whole, 2, -1))
    assert np.isnan(both[1][1][..., 2]).any()


def single(made):
    """The same in float32."""
    return jax.tree.map(
        lambda a: jnp.asarray(a, jnp.float32) if a.dtype == jnp.float64 else a, made._replace(text=None)
    )


@pytest.mark.parametrize("precise", [True, False], ids=["float64", "float32"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_bits_are_the_cpu_backends(made, name, precise):
    one = made if precise else single(made)._replace(text=made.text)
    checkpoints = one.checkpoints()
    here, there = (getattr(module, name)(one.text, *one.arguments(name, checkpoints)) for module in BOTH)
    assert len(here) == len(there)
    for a, b in zip(here, there, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("name", ["value", "adjoint"])
@pytest.mark.parametrize("made_by", [carbon, cycled])
def test_bits_with_outputs_by_day_are_the_cpu_backends(name, made_by):
    made = made_by()
    made = made._replace(text=replace(made.text, daily=("gpp", "som")))
    arguments = made.arguments(name, made.checkpoints())
    days, lanes = made.data.weather_row.shape[0], made.cells.shape[0]
    bars = np.random.default_rng(4).normal(0, 1e-3, (2, days, lanes))
    arguments += (jnp.asarray(bars),) if name == "adjoint" else ()
    for a, b in zip(*(getattr(module, name)(made.text, *arguments) for module in BOTH), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("of_day", ["each", "gaps"])
def test_bits_of_outputs_kept_by_period_are_the_cpu_backends(of_day):
    made = carbon()
    days, lanes = made.data.weather_row.shape[0], made.cells.shape[0]
    rows = np.arange(days) if of_day == "each" else np.where(np.arange(days) % 40 < 6, -1, 3 + np.arange(days) // 9)
    rows, count = rows.astype(np.int32), int(rows.max()) + 3
    nothing = jnp.zeros((1, *made.data.observed.shape[1:]))
    data = made.data._replace(observed=nothing, observed_row=jnp.asarray(rows))
    text = replace(made.text, kept=("gpp", "nee"))
    found = [module.value(text, made.constants, made.state0, data, made.cells, count) for module in BOTH]
    assert found[0][1].shape == (2, count, lanes)
    for a, b in zip(*found, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    bars = jnp.asarray(np.random.default_rng(4).normal(0, 1e-3, (2, count, lanes)))
    arguments = (text, made.constants, found[1][2], data, made.cells, made.last_bar, bars)
    for a, b in zip(*(module.adjoint(*arguments) for module in BOTH), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_no_lanes_are_no_launch():
    made = pond()
    empty = made._replace(constants=made.constants[:, :0], state0=made.state0[:, :0], cells=made.cells[:0])
    assert [a.shape[-1] for a in gpu_backend.value(empty.text, *empty.arguments("value", None))] == [0, 0, 0]
