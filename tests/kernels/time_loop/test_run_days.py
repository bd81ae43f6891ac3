"""Outputs of every day: each backend against the reference in float64, a cotangent for each output, day and lane."""

import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.mode_switches import MODES
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from phloem.kernels.objective.bounded_log import physical, unbounded
from phloem.kernels.objective.site import site_data
from phloem.kernels.time_loop.fold import fold
from phloem.kernels.time_loop.run_days import Periods, run_days
from tests.support.kernels.builders import NAMES, STATE, G, made_site
from tests.support.kernels.reference_jit import reference_jit

LENGTHS, LANES = (70, 200, 100), 70
"""Days of the cells: the second lives on into a segment that no other does; lanes that fill more than one block."""

CELLS = jnp.asarray(np.arange(LANES) % 3, jnp.int32)
OUTPUTS = ("nee", "lai", "som", "gpp", "et", "violation", "paw", "rh_som")

TOLERANCE = {np.float64: {"value": 1e-11, "slope": 1e-9}, np.float32: {"value": 5e-4, "slope": 2e-3}}
"""Largest error as a share of the largest magnitude in a row; float32 against float64."""


def made_values():
    raw = unbounded(np.concatenate([G, STATE])[:, None], UNKNOWNS)
    raw = raw + np.random.default_rng(6).normal(0, 0.4, (len(UNKNOWNS), LANES))
    return np.asarray(physical(jnp.asarray(raw), UNKNOWNS))


@functools.cache
def tables(mode, dtype):
    cells = [made_site(n, 50 + n, MODES[mode], wet=wet) for n, wet in zip(LENGTHS, (0.2, 1.0, 3.0), strict=True)]
    return site_data(cells, dtype).tables


def run(values, mode, data, backend, outputs=OUTPUTS):
    p, s = inputs(values[: len(NAMES)]), state(values[len(NAMES) :])
    last, kept = run_days(dalec(mode), p, s, data, CELLS, outputs, backend=backend)
    return jnp.stack(last[:8]), kept


def outputs_and_slopes(values, bars, data, mode, backend):
    """Return last state, outputs, and pullbacks: of the outputs alone, and with the last state."""
    (last, kept), pull = jax.vjp(lambda v: run(v, mode, data, backend), values)
    zero = jnp.zeros_like(last)
    return {"value": [last, *kept], "slope": [pull((zero, bars))[0], pull((zero + 0.02, bars))[0]]}


compiled = jax.jit(outputs_and_slopes, static_argnames=("mode", "backend"))
reference = reference_jit(outputs_and_slopes, static_argnames=("mode", "backend"))


@functools.cache
def bars():
    days = tables("strict", np.float64).weather_row.shape[0]
    return np.random.default_rng(5).standard_normal((len(OUTPUTS), days, LANES))


@functools.cache
def wanted(mode):
    return reference(jnp.asarray(made_values()), jnp.asarray(bars()), tables(mode, np.float64), mode, "xla")


@pytest.mark.parametrize(
    ("backend", "mode", "dtype"),
    [
        ("xla", "strict", np.float32),
        *[("cpu", mode, dtype) for mode in ("strict", "compat") for dtype in (np.float64, np.float32)],
        ("gpu", "strict", np.float64),
    ],
)
def test_outputs_and_their_pullback_agree_with_the_reference(backend, mode, dtype):
    found = compiled(jnp.asarray(made_values(), dtype), jnp.asarray(bars(), dtype), tables(mode, dtype), mode, backend)
    for kind, arrays in wanted(mode).items():
        for one, other in zip(found[kind], arrays, strict=True):
            one, other = np.asarray(one, float), np.asarray(other, float)
            assert np.isfinite(other).all()
            assert (np.abs(one - other) <= TOLERANCE[dtype][kind] * np.abs(other).max() + 1e-30).all(), kind


def test_pullback_agrees_with_central_differences():
    """Of the cpu backend in float64, along a random direction."""
    values, direction = made_values(), np.random.default_rng(9).standard_normal((len(UNKNOWNS), LANES))
    data = tables("strict", np.float64)
    direction *= values

    def moved(step):
        kept = run(jnp.asarray(values + step * direction), "strict", data, "cpu")[1]
        return np.einsum("odl,odl->l", np.asarray(kept), bars())

    step = 1e-6
    slope = (moved(step) - moved(-step)) / (2 * step)
    found = compiled(jnp.asarray(values), jnp.asarray(bars()), data, "strict", "cpu")["slope"][0]
    pulled = (np.asarray(found) * direction).sum(0)
    close = np.abs(pulled - slope) <= 1e-5 * np.abs(slope).max()
    assert close.mean() > 0.95  # a kink that lies within the step is between its two slopes


@pytest.mark.parametrize("backend", ["xla", "cpu", "gpu"])
def test_days_that_a_cell_does_not_live_are_zero_and_change_nothing(backend):
    data = tables("strict", np.float64)
    last, kept = run(jnp.asarray(made_values()), "strict", data, backend, ("gpp", "som"))
    lengths = np.array(LENGTHS)[np.asarray(CELLS)]
    beyond = np.arange(kept.shape[1])[:, None] >= lengths
    assert (np.asarray(kept)[:, beyond] == 0).all()
    ends = np.asarray(kept)[1, lengths - 1, np.arange(LANES)]
    np.testing.assert_array_equal(np.asarray(last)[5], ends)


def test_outputs_equal_the_folds_sums_of_them():
    data = tables("strict", np.float64)
    values = jnp.asarray(made_values())
    _, kept = run(values, "strict", data, "cpu", ("gpp", "rh_som"))
    p, s = inputs(values[: len(NAMES)]), state(values[len(NAMES) :])
    _, sums = fold(dalec("strict"), p, s, data, CELLS, backend="cpu")
    np.testing.assert_allclose(np.asarray(kept).sum(1), [sums.gpp, sums.rh_som], rtol=1e-12)


PERIODS = np.repeat(np.arange(-1, 6), [5, 31, 28, 40, 1, 60, 30])
"""Days that are not kept, then six periods; the last days belong to none, and one in the middle neither."""
PERIODS[80] = -1


@pytest.mark.parametrize("backend", ["xla", "cpu", "gpu"])
def test_sums_over_periods_and_their_pullback_are_those_of_their_days(backend):
    data = tables("strict", np.float64)
    periods = Periods.of(PERIODS, data.weather_row.shape[0])
    belongs = (np.asarray(periods.of_day)[None] == np.arange(periods.count)[:, None]).astype(float)

    def by_period(v):
        p, s = inputs(v[: len(NAMES)]), state(v[len(NAMES) :])
        return run_days(dalec("strict"), p, s, data, CELLS, ("gpp", "som"), periods=periods, backend=backend)[1]

    def by_day(v):
        return jnp.einsum("pd,odl->opl", belongs, run(v, "strict", data, backend, ("gpp", "som"))[1])

    values, weights = jnp.asarray(made_values()), jnp.asarray(bars()[:2, : periods.count])
    for function in (by_period, by_day):
        kept, pull = jax.vjp(jax.jit(function), values)
        found = kept, pull(weights)[0]
        if function is by_period:
            first = found
    for one, other in zip(first, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max())


def test_periods_that_step_back_are_refused():
    with pytest.raises(ValueError, match="step back"):
        Periods.of(np.array([0, 1, 0]), 64)


def test_a_run_in_two_parts_has_the_bits_of_a_run_in_one():
    data = tables("strict", np.float32)
    values = jnp.asarray(made_values(), np.float32)
    p, s = inputs(values[: len(NAMES)]), state(values[len(NAMES) :])
    _, whole = run_days(dalec("strict"), p, s, data, CELLS, OUTPUTS, backend="cpu")
    parts = []
    for days in (slice(0, 64), slice(64, None)):
        part = data._replace(
            weather_row=data.weather_row[days], observed_row=data.observed_row[days], live=data.live[days]
        )
        s, kept = run_days(dalec("strict"), p, s, part, CELLS, OUTPUTS, backend="cpu")
        parts.append(np.asarray(kept))
    np.testing.assert_array_equal(np.concatenate(parts, 1), whole)


def test_a_batch_is_more_lanes():
    data = tables("strict", np.float64)
    values = made_values()
    both = jnp.asarray(np.stack([values, values[:, ::-1]]))

    def total(v):
        return jnp.vdot(run(v, "strict", data, "cpu", ("nee", "wood"))[1], weights)

    weights = jnp.asarray(bars()[:2])
    found = jax.vmap(jax.grad(total))(both)
    for one, value in zip(found, both, strict=True):
        np.testing.assert_allclose(one, jax.grad(total)(value), rtol=1e-12)


def test_what_it_cannot_do_is_refused_by_name():
    data = tables("strict", np.float64)
    values = jnp.asarray(made_values())
    with pytest.raises(ValueError, match=r"outputs gbb: dalec-strict has lai, gpp"):
        run(values, "strict", data, "cpu", ("gpp", "gbb"))
    with pytest.raises(TypeError, match="no forward mode"):
        jax.jvp(lambda v: run(v, "strict", data, "cpu")[1], (values,), (values,))
    with pytest.raises(TypeError, match="no derivative by the forcing"):
        jax.grad(lambda w: run(values, "strict", data._replace(weather=w), "cpu")[1].sum())(data.weather)


def test_memory_of_a_pullback_is_that_of_its_outputs_and_checkpoints():
    """In a process of its own, whose high-water mark is read: 8 years, 2,048 lanes, 4 outputs."""
    code = """
import resource, jax, jax.numpy as jnp, numpy as np
from tests.kernels.time_loop import test_run_days as t
from phloem.kernels.objective.site import site_data
from phloem.kernels.models.dalec_daily.mode_switches import MODES
from phloem.kernels.time_loop.run_days import Periods, run_days
lanes, days = 2048, 2944
data = site_data([t.made_site(days, 1, MODES["strict"])], np.float32).tables
values = jnp.asarray(np.resize(t.made_values(), (38, lanes)), np.float32)
cells = jnp.zeros(lanes, jnp.int32)
def total(v):
    p, s = t.inputs(v[:30]), t.state(v[30:])
    return run_days(t.dalec("strict"), p, s, data, cells, ("gpp", "nee", "et", "lai"), backend="cpu")[1].sum()
slope = jax.jit(jax.grad(total)).lower(values).compile()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
jax.block_until_ready(slope(values))
used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
outputs, checkpoints = 4 * days * lanes * 4, days // 64 * 10 * lanes * 4
assert used < 2.2 * outputs + 2 * checkpoints + 2**26, (used, outputs, checkpoints)
print(used / outputs)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
