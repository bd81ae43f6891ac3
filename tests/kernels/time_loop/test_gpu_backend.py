"""The gpu backend against the reference: interpreted here, and lowered for CUDA on a machine without a GPU."""

import re
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
from phloem.kernels.time_loop import gpu_backend
from phloem.kernels.time_loop.day_tables import day_tables
from phloem.kernels.time_loop.flat_day import Text
from phloem.kernels.time_loop.fold import fold
from tests.support.kernels.builders import STATE, G, made_site
from tests.support.kernels.reference_jit import reference_jit

CARBON = replace(dalec("strict"), prepare=lambda constants: constants)
FUNCTIONS = ("value", "adjoint", "tangent")
TANGENTS = gpu_backend.TANGENTS + 1


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
    lanes = gpu_backend.LANES + 5
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


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_minimum_that_drops_nan_reaches_the_gpu(name):
    extreme = re.compile(r"= (max|min)\b")
    made = pond()
    row = made.constants[0]
    assert extreme.search(str(jax.make_jaxpr(lambda x: POND.step(Pond(x), Bed(x, x), Rain(x))[0].level)(row)))
    function = partial(getattr(gpu_backend, name), made.text)
    kernel = str(jax.make_jaxpr(function)(*made.arguments(name, made.checkpoints())))
    assert "pallas_call" in kernel
    assert not extreme.search(kernel)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_lowers_for_cuda_without_a_gpu(name):
    made = carbon()
    arguments = made.arguments(name, jnp.stack([made.state0] * 2))
    single = jax.tree.map(lambda a: a.astype(jnp.float32) if a.dtype == jnp.float64 else a, arguments)
    function = partial(getattr(gpu_backend, name), made.text, interpret=False)
    lowered = jax.jit(function).trace(*single).lower(lowering_platforms=("cuda",))
    assert lowered.as_text().count("xla.gpu.triton") == 1
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(lowered.out_info)} == {"float32"}


@pytest.mark.parametrize("name", ["value", "adjoint"])
def test_it_lowers_for_cuda_with_outputs_by_day(name):
    made = carbon()
    made = made._replace(text=replace(made.text, daily=("gpp", "som")))
    arguments = made.arguments(name, jnp.stack([made.state0] * 2))
    days, lanes = made.data.weather_row.shape[0], made.cells.shape[0]
    arguments += (jnp.ones((2, days, lanes)),) if name == "adjoint" else ()
    single = jax.tree.map(lambda a: a.astype(jnp.float32) if a.dtype == jnp.float64 else a, arguments)
    function = partial(getattr(gpu_backend, name), made.text, interpret=False)
    lowered = jax.jit(function).trace(*single).lower(lowering_platforms=("cuda",))
    assert lowered.as_text().count("xla.gpu.triton") == 1
    if name == "value":
        assert lowered.out_info[3].shape == (2, days, lanes)
