"""Every backend against the reference in float64: values, reverse mode, forward mode; and what bits depend on."""

import dataclasses
import functools
import os
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.mode_switches import MODES
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from phloem.kernels.objective.bounded_log import physical, unbounded
from phloem.kernels.objective.site import site_data
from phloem.kernels.time_loop import backends
from phloem.kernels.time_loop.cpu import c_compiler
from phloem.kernels.time_loop.cpu.scalar_graph import UnprintableError
from phloem.kernels.time_loop.day_tables import day_tables
from phloem.kernels.time_loop.fold import fold
from tests.support.kernels.builders import NAMES, STATE, G, made_site
from tests.support.kernels.reference_jit import reference_jit
from tests.support.kernels.small_model import POND, Inputs, Observed, Pond, Weather

TOLERANCE = {np.float64: {"value": 1e-11, "slope": 1e-9}, np.float32: {"value": 5e-4, "slope": 2e-3}}
"""Largest error as a share of the largest magnitude in a row; float32 against float64.

1 - (1 - k) of compat costs 3e-4 in the litter sums, in xla as in cpu."""

COMPILED = ("cpu", "gpu")


def raw_values(lanes, spread=0.4, seed=6):
    raw = unbounded(np.concatenate([G, STATE])[:, None], UNKNOWNS)
    scatter = np.random.default_rng(seed).normal(0, spread, (len(UNKNOWNS), lanes))
    scatter[:, 0] = 0  # the golden lane
    return raw + scatter


def made_values(lanes):
    """Return inputs and first pools of golden and random lanes."""
    return np.asarray(physical(jnp.asarray(raw_values(lanes)), UNKNOWNS))


LENGTHS, LANES = (70, 128, 100), 6
"""Days of the cells, and lanes that do not fill a vector: all tests of one backend share one compiled program."""


def made_cells(mode):
    return [
        made_site(days, 50 + days, MODES[mode], wet=wet) for days, wet in zip(LENGTHS, (0.2, 1.0, 3.0), strict=True)
    ]


def tables(mode, dtype):
    return site_data(made_cells(mode), dtype).tables


def run(values, mode, data, lane_cell, backend):
    """Return last state and sums of lanes whose inputs and first pools are the rows of an array."""
    p, s = inputs(values[: len(NAMES)]), state(values[len(NAMES) :])
    last, sums = fold(dalec(mode), p, s, data, lane_cell, backend=backend)
    return jnp.stack(last[:8]), jnp.stack(sums)


@functools.partial(jax.jit, static_argnames=("mode", "backend"))
def everything(values, dots, data, lane_cell, mode, backend):
    """Return value, a pullback from state and sums, one from the sums alone, and a block of pushforwards."""
    (last, sums), pull = jax.vjp(lambda v: run(v, mode, data, lane_cell, backend), values)
    weights = weights_of(sums)
    sums_only = jax.grad(lambda v: (run(v, mode, data, lane_cell, backend)[1] * weights).sum())(values)
    ahead = jax.vmap(lambda dot: jax.jvp(lambda v: run(v, mode, data, lane_cell, backend), (values,), (dot,))[1])(dots)
    return {"value": [last, sums], "slope": [pull((jnp.ones_like(last) / 50, weights))[0], sums_only, *ahead]}


def everything_by_scan(values, dots, data, lane_cell, mode):
    """Return the same by the xla backend, both pullbacks in one."""

    def fold_by_scan(v):
        return run(v, mode, data, lane_cell, "xla")

    (last, sums), pull = jax.vjp(fold_by_scan, values)
    weights = weights_of(sums)
    bars = jnp.stack([jnp.ones_like(last) / 50, jnp.zeros_like(last)]), jnp.stack([weights, weights])
    ahead = jax.vmap(lambda dot: jax.jvp(fold_by_scan, (values,), (dot,))[1])(dots)
    return {"value": [last, sums], "slope": [*jax.vmap(pull)(bars)[0], *ahead]}


scan = jax.jit(everything_by_scan, static_argnames="mode")
reference_scan = reference_jit(everything_by_scan, static_argnames="mode")


def weights_of(sums):
    return jnp.linspace(0.5, 1, sums.shape[0], dtype=sums.dtype)[:, None] * jnp.ones_like(sums)


def results(mode, dtype, backend, values, lane_cell, data):
    dots = np.random.default_rng(3).standard_normal((3, *values.shape)) * values
    arguments = jnp.asarray(values, dtype), jnp.asarray(dots, dtype), data, lane_cell, mode
    if backend in ("xla", "reference"):
        return (scan if backend == "xla" else reference_scan)(*arguments)
    return everything(*arguments, backend)


@functools.cache
def reference(mode):
    """Return values, cells and what the xla backend finds in float64."""
    values, lanes = made_values(LANES), jnp.asarray([0, 2, 1, 1, 0, 2], jnp.int32)
    return values, lanes, results(mode, np.float64, "reference", values, lanes, tables(mode, np.float64))


def assert_close(found, wanted, dtype):
    for kind, arrays in wanted.items():
        for one, other in zip(found[kind], arrays, strict=True):
            one, other = np.asarray(one, float), np.asarray(other, float)
            assert np.isfinite(other).all()
            largest = np.abs(other).max(-1, keepdims=True)
            assert (np.abs(one - other) <= TOLERANCE[dtype][kind] * largest + 1e-30).all(), kind


class TestEveryBackend:
    @pytest.mark.parametrize(
        ("backend", "mode", "dtype"),
        [
            ("xla", "strict", np.float32),
            *[("cpu", mode, dtype) for mode in ("strict", "compat") for dtype in (np.float64, np.float32)],
            ("gpu", "strict", np.float64),
        ],
    )
    def test_values_and_derivatives(self, backend, mode, dtype):
        """Golden and random parameters, three cells of unequal length, lanes that do not fill a vector."""
        values, lanes, wanted = reference(mode)
        assert_close(results(mode, dtype, backend, values, lanes, tables(mode, dtype)), wanted, dtype)

    @pytest.mark.parametrize("backend", COMPILED)
    def test_clamps(self, backend):
        """Pools on and beyond their bounds: the reference's convention at every kink."""
        pools = np.tile(STATE[:, None], (1, LANES))
        lower, upper = (np.array([getattr(p, side) for p in UNKNOWNS[-8:]]) for side in ("lower", "upper"))
        pools[:, 1], pools[:, 2], pools[:, 3] = lower, upper, 1.5 * upper
        pools[6, 4], pools[6, 5] = G[NAMES.index("field_capacity")], 0.5 * G[NAMES.index("paw_drainage_capacity")]
        data, lanes = tables("strict", np.float64), jnp.asarray([0, 1, 2, 0, 1, 2], jnp.int32)
        values = np.concatenate([np.tile(G[:, None], (1, LANES)), pools])
        wanted = results("strict", np.float64, "reference", values, lanes, data)
        assert np.asarray(wanted["value"][1])[4].max() > 0  # demand for water was not met somewhere
        assert_close(results("strict", np.float64, backend, values, lanes, data), wanted, np.float64)

    @pytest.mark.parametrize("backend", ["cpu"])
    def test_nothing_observed_and_masked_nan(self, backend):
        cells = made_cells("strict")
        for name, seen in cells[0].observations.items():
            seen[::3] = np.nan
            cells[1].observations[name][:] = np.nan
        data, lanes = site_data(cells, np.float64).tables, jnp.asarray([0, 1, 1, 2, 1, 0], jnp.int32)
        values = made_values(LANES)
        wanted = results("strict", np.float64, "reference", values, lanes, data)
        assert (np.asarray(wanted["value"][1])[:4, np.asarray(lanes) == 1] == 0).all()
        assert_close(results("strict", np.float64, backend, values, lanes, data), wanted, np.float64)

    @pytest.mark.parametrize("backend", COMPILED)
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_a_bad_lane_stays_alone_and_shows(self, backend, bad):
        data, lanes = tables("strict", np.float32), jnp.asarray([0, 1, 2, 1, 0], jnp.int32)
        values = made_values(5).astype(np.float32)
        sums = jax.jit(lambda values: run(values, "strict", data, lanes, backend)[1])
        broken = values.copy()
        broken[33, 2] = bad  # wood
        good, ill = (np.asarray(sums(v)) for v in (values, broken))
        others = [0, 1, 3, 4]
        assert good[:, others].tobytes() == ill[:, others].tobytes()
        assert np.isfinite(good).all()
        assert not np.isfinite(ill[:, 2]).all()

    @pytest.mark.parametrize("backend", ["xla", *COMPILED])
    def test_another_model(self, backend):
        rng = np.random.default_rng(1)
        days, lanes = 96, 5
        weather = Weather(rng.exponential(1, days), rng.uniform(0, 3, days))
        seen = Observed(rng.uniform(0, 3, days), (rng.random(days) > 0.5).astype(float))
        data = day_tables([weather], [seen], np.float64, segment=16)
        p = Inputs(jnp.asarray(rng.uniform(0.1, 0.9, lanes)), jnp.asarray(rng.uniform(1, 4, lanes)))
        s = Pond(jnp.asarray(rng.uniform(0.3, 3, lanes)), jnp.ones(lanes))

        def found(backend):
            @jax.jit
            def run(p, s):
                last, sums = fold(POND, p, s, data, jnp.zeros(lanes, jnp.int32), segment=16, backend=backend)
                return jnp.stack(last), jnp.stack(sums)

            value, pull = jax.vjp(run, p, s)
            dots = jax.tree.map(lambda x: x + 1, (p, s))
            slopes = [*jax.tree.leaves(pull(jax.tree.map(jnp.ones_like, value))), *jax.jvp(run, (p, s), dots)[1]]
            return {"value": list(value), "slope": slopes}

        assert_close(found(backend), found("xla"), np.float64)

    @pytest.mark.parametrize("backend", COMPILED)
    def test_states_that_change_places(self, backend):
        """Rows are stored in place: what moves to another row must not be overwritten on the way."""

        def step(s, c, w):
            _, out = POND.step(s, c, w)
            return Pond(s.heat, s.level), out._replace(heat=w.rain * s.heat, spill=s.level)

        turning = dataclasses.replace(POND, name="turning pond", step=step)
        days = np.arange(7.0)
        data = day_tables([Weather(days, days)], [Observed(days, days)], np.float64, segment=7)
        p, lanes = Inputs(jnp.full(3, 0.5), jnp.ones(3)), jnp.zeros(3, jnp.int32)

        def found(backend):
            @jax.jit
            def run(s):
                last, sums = fold(turning, p, s, data, lanes, segment=7, backend=backend)
                return jnp.stack(last), jnp.stack(sums)

            first = Pond(jnp.asarray([1.0, 2.0, 3.0]), jnp.asarray([0.1, 0.2, 0.3]))
            value, pull = jax.vjp(run, first)
            ahead = jax.jvp(run, (first,), (Pond(jnp.ones(3), jnp.full(3, 2.0)),))[1]
            return {"value": list(value), "slope": [*pull((jnp.ones((2, 3)), jnp.ones((3, 3))))[0], *ahead]}

        wanted = found("xla")
        np.testing.assert_allclose(wanted["value"][0], [[0.1, 0.2, 0.3], [1, 2, 3]])  # 7 days: changed places
        assert_close(found(backend), wanted, np.float64)


class TestTransformations:
    """Of the compiled folds under JAX's own."""

    @pytest.fixture(scope="class")
    @classmethod
    def case(cls):
        data, lanes = tables("strict", np.float64), jnp.asarray([0, 1, 2], jnp.int32)
        return data, lanes, jnp.asarray(made_values(3))

    def test_vmap_over_parameters_cells_and_rows_is_a_loop(self, case):
        data, lanes, values = case
        some = jnp.stack([values, values[:, ::-1], 0.99 * values])
        shifted = [data._replace(weather=data.weather * k, weather_row=(data.weather_row + k) % 100) for k in (1, 2, 3)]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *shifted)

        def one(values, data):
            def sums(values):
                return run(values, "strict", data, lanes, "cpu")[1]

            found = run(values, "strict", data, lanes, "cpu")
            return *found, jax.grad(lambda v: sums(v).sum())(values), jax.jvp(sums, (values,), (values,))[1]

        several = jax.jit(jax.vmap(one))(some, stacked)
        only = jax.jit(jax.vmap(one, (0, None)))(some, data)
        alone = jax.jit(one)
        for i in range(3):
            for a, b in zip(several, alone(some[i], shifted[i]), strict=True):
                np.testing.assert_allclose(a[i], b, rtol=1e-12, atol=1e-12)
            for a, b in zip(only, alone(some[i], data), strict=True):
                np.testing.assert_allclose(a[i], b, rtol=1e-12, atol=1e-12)

    def test_jacobians(self, case):
        data, lanes, values = case

        def sums(backend):
            return lambda values: run(values, "strict", data, lanes, backend)[1]

        wanted = reference_jit(jax.jacrev(sums("xla")))(values)
        largest = jnp.abs(wanted).max((0, 1, 3), keepdims=True)
        for jacobian in (jax.jacrev, jax.jacfwd):
            found = jax.jit(jacobian(sums("cpu")))(values)
            np.testing.assert_allclose(found / largest, wanted / largest, rtol=1e-8, atol=1e-8)
        ahead = jax.jit(lambda v: jax.linearize(sums("cpu"), v)[1](v))(values)
        there = jax.jit(lambda v: jax.jvp(sums("cpu"), (v,), (v,))[1])(values)
        np.testing.assert_allclose(ahead, there, rtol=1e-12)

    def test_what_has_no_derivative_says_so(self, case):
        data, lanes, values = case

        def total(values, weather=data.weather, backend="cpu"):
            return run(values, "strict", data._replace(weather=weather), lanes, backend)[1].sum()

        with pytest.raises(TypeError, match="forcing"):
            jax.eval_shape(jax.grad(total, 1), values, data.weather)
        with pytest.raises(TypeError, match="second derivatives need the xla backend"):
            jax.eval_shape(jax.hessian(total), values)
        with pytest.raises(ValueError, match="valid are auto, xla, cpu, gpu"):
            total(values, backend="fast")
        with pytest.raises(ValueError, match="multiple"):
            fold(dalec("strict"), inputs(values[:30]), state(values[30:]), data, lanes, segment=50, backend="cpu")


class TestBits:
    """What a lane's bits depend on: its own numbers."""

    LANES = 70

    @staticmethod
    def cells():
        """Cells that are observed on days of their own: each alone has days without observations."""
        cells = [made_site(128, 50 + i, MODES["strict"], wet=0.5 + 0.1 * i) for i in range(20)]
        for i, cell in enumerate(cells):
            for values in cell.observations.values():
                values[np.arange(128) % 20 != i] = np.nan
        return cells

    @pytest.fixture(scope="class")
    @classmethod
    def case(cls):
        cells = cls.cells()
        data = site_data(cells, np.float32).tables
        values = made_values(cls.LANES).astype(np.float32)
        constants = dalec("strict").prepare(inputs(jnp.asarray(values[:30])))
        numbers = jax.tree.map(np.asarray, (constants, state(jnp.asarray(values[30:]))))
        cell = np.random.default_rng(2).integers(0, 20, cls.LANES)
        return data, numbers, cell, cls.found(data, numbers, cell)

    @classmethod
    def found(cls, data, numbers, cell):
        return [np.asarray(a) for a in jax.tree.leaves(cls.folded(numbers, data, jnp.asarray(cell, jnp.int32)))]

    MODEL = dataclasses.replace(dalec("strict"), prepare=lambda constants: constants)
    """Constants as they are: what XLA does before the fold may round differently for another width."""

    @staticmethod
    @jax.jit
    def folded(numbers, data, lanes):
        def run(constants, first):
            last, sums = fold(TestBits.MODEL, constants, first, data, lanes, backend="cpu")
            return jnp.stack(last), jnp.stack(sums)

        value, pull = jax.vjp(run, *numbers)
        return value, pull(jax.tree.map(jnp.ones_like, value)), jax.jvp(run, numbers, numbers)[1]

    @staticmethod
    def some(numbers, chosen):
        return jax.tree.map(lambda row: row[chosen], numbers)

    @pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 63, 64, 65, 70])
    def test_neither_place_nor_neighbours(self, case, count):
        data, numbers, cell, whole = case
        chosen = np.random.default_rng(count).permutation(self.LANES)[:count]
        for one, other in zip(self.found(data, self.some(numbers, chosen), cell[chosen]), whole, strict=True):
            assert one.tobytes() == np.ascontiguousarray(other[..., chosen]).tobytes()

    def test_neither_a_cell_alone_nor_among_others(self, case):
        data, numbers, cell, whole = case
        chosen = np.flatnonzero(cell == cell[0])
        assert len(chosen) > 1
        for one, other in zip(self.found(data, self.some(numbers, chosen), cell[chosen]), whole, strict=True):
            assert one.tobytes() == np.ascontiguousarray(other[..., chosen]).tobytes()

    @pytest.mark.parametrize("cell", range(0, 20, 3))
    def test_not_what_else_is_in_the_table(self, case, cell):
        """A day without observations has a shorter text: a table of one cell has many, that of all cells few."""
        _, numbers, cells, whole = case
        chosen = np.flatnonzero(cells == cell)
        assert len(chosen)
        alone = site_data([self.cells()[cell]], np.float32).tables
        for one, other in zip(self.found(alone, self.some(numbers, chosen), 0 * chosen), whole, strict=True):
            assert one.tobytes() == np.ascontiguousarray(other[..., chosen]).tobytes()

    def test_neither_threads_nor_devices(self):
        """One process of one device and one thread; another of four, of which one, two and all are used."""
        found = []
        for devices, threads in (("1", 1), ("1,2,4", 2)):
            flags = f"--xla_force_host_platform_device_count={devices[-1]}"
            environment = {**os.environ, "XLA_FLAGS": flags, "NPROC": str(threads), "JAX_PLATFORMS": "cpu"}
            done = subprocess.run(
                [sys.executable, "-m", "tests.support.kernels.fold_on_devices", devices],
                env=environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
            found += done.stdout.strip().splitlines()
        assert len(found) == 4
        assert len(set(found)) == 1


class TestTheCode:
    """When generated code is compiled, and what happens without a compiler."""

    @pytest.fixture
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PHLOEM_CACHE", str(tmp_path))
        return tmp_path

    @staticmethod
    def pond(factor):
        """A pond of its own; equal factors make equal texts, but not equal objects."""
        return dataclasses.replace(POND, prepare=lambda p: POND.prepare(p), step=lambda s, c, w: (
            lambda new, out: (new._replace(heat=factor * new.heat), out))(*POND.step(s, c, w)))  # fmt: skip

    def run(self, factor):
        data = day_tables([Weather(np.ones(8), np.ones(8))], [Observed(np.ones(8), np.ones(8))], np.float64, segment=8)
        one = jnp.ones(1)
        return fold(self.pond(factor), Inputs(one, one), Pond(one, one), data, jnp.zeros(1, jnp.int32), segment=8,
                    backend="cpu")[0].heat  # fmt: skip

    def test_compiled_when_the_text_changes_and_not_otherwise(self, cache):
        before = len(c_compiler.compilations)
        first = self.run(0.5)
        assert len(c_compiler.compilations) == before + 1
        assert self.run(0.5) == first
        assert len(c_compiler.compilations) == before + 1
        assert self.run(0.25) != first
        assert len(c_compiler.compilations) == before + 2

    def test_without_a_compiler_the_reference_runs_with_one_warning(self, cache, monkeypatch):
        wanted = self.run(0.5)
        monkeypatch.setenv("PATH", "")
        monkeypatch.delenv("CC", raising=False)
        c_compiler.find_compiler.cache_clear()
        backends._warn_once.cache_clear()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                np.testing.assert_allclose([self.run(0.5), self.run(0.5)], [wanted, wanted], rtol=1e-14)
            assert [w.category for w in caught if "compiler" in str(w.message)] == [backends.BackendWarning]
        finally:
            c_compiler.find_compiler.cache_clear()

    def test_an_operation_that_cannot_be_printed_is_named(self):

        def step(s, c, w):
            new, out = POND.step(s, c, w)
            return new, out._replace(spill=jax.lax.lgamma(s.level))

        strange = dataclasses.replace(POND, name="strange pond", step=step)
        data = day_tables([Weather(np.ones(8), np.ones(8))], [Observed(np.ones(8), np.ones(8))], np.float64, segment=8)
        one = jnp.ones(1)
        with pytest.raises(UnprintableError, match="strange pond: operation 'lgamma'"):
            fold(strange, Inputs(one, one), Pond(one, one), data, jnp.zeros(1, jnp.int32), segment=8, backend="cpu")
