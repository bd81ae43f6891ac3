"""Bits of printed CUDA, built for the host, against the cpu backend: texts of several models, sick lanes, odd rows."""

from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.calibrations.protocol import RunProtocol
from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.grid_operators import grid_dalec
from phloem.kernels.models.dalec_daily.mode_switches import COMPAT, STRICT
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from phloem.kernels.models.model import Model
from phloem.kernels.objective.bounded_log import physical
from phloem.kernels.objective.site import site_data
from phloem.kernels.time_loop.cpu import cpu_backend
from phloem.kernels.time_loop.cpu.scalar_graph import UNARY
from phloem.kernels.time_loop.cuda import gpu_backend
from phloem.kernels.time_loop.cuda.cuda_text import source
from phloem.kernels.time_loop.day_tables import DayTables, day_tables
from phloem.kernels.time_loop.flat_day import Text
from phloem.names import STREAMS
from tests.support.kernels.builders import made_site
from tests.support.kernels.grid_cells import YEAR, cell

LANES, TANGENTS, SEGMENT = 37, 3, 64
YEARS = RunProtocol((2001, 2004), 4, (2001, 2002), (2003, 2004))
EXAMPLE = Path(__file__).parents[4] / "examples/snowpack"


class TextCase(NamedTuple):
    text: Text
    constants: Any
    first: Any
    data: DayTables
    cells: Any


def text_case(model: Model, inputs: Any, state: Any, data: DayTables, dtype: Any, segment: int = SEGMENT) -> TextCase:
    leaves, structure = jax.tree.flatten(model.prepare(inputs))
    constants = jnp.stack([jnp.broadcast_to(jnp.asarray(leaf, dtype), (LANES,)) for leaf in leaves])
    first = jnp.stack([jnp.broadcast_to(jnp.asarray(leaf, dtype), (LANES,)) for leaf in state])
    cells = jnp.arange(LANES, dtype=jnp.int32) * 2 % data.live.shape[1]
    return TextCase(Text(model, structure, segment), constants, first, data, cells)


def carbon(kind: str, mode: str, dtype: Any) -> TextCase:
    model, switches = {"site": dalec, "grid": grid_dalec}[kind](mode), {"strict": STRICT, "compat": COMPAT}[mode]
    if kind == "site":
        made = [made_site(days, 50 + days, switches, wet=wet) for days, wet in ((70, 0.3), (100, 1.0), (128, 3.0))]
    else:
        rng = np.random.default_rng(1)
        seen = [{name: rng.uniform(1, 3, len(YEAR)) for name in STREAMS} for _ in range(2)]
        made = [cell(YEARS, seed=seed, observations=one) for seed, one in enumerate(seen)]
    raw = 0.4 * np.random.default_rng(3).standard_normal((len(UNKNOWNS), LANES))
    values, count = physical(jnp.asarray(raw, dtype), UNKNOWNS), len(model.parameters)
    inputs, state = model.inputs_of_values(values[:count]), model.first_state(values[count:])
    return text_case(model, inputs, state, site_data(made, dtype).tables, dtype)


def made_tables(model: Model, dtype: Any, observed: type) -> DayTables:
    """Tables of random numbers between 0.1 and 1, of cells that end in different segments."""
    rng = np.random.default_rng(8)
    lengths = (20, 9, 31)
    weather = [model.weather(*rng.uniform(0.1, 1, (len(model.weather._fields), days))) for days in lengths]
    seen = [observed(*rng.uniform(0.1, 1, (len(observed._fields), days))) for days in lengths]
    return day_tables(weather, seen, dtype, segment=8)


Two, Rates, Gauge, Off = (namedtuple(n, f) for n, f in (("Two", "p q"), ("Rates", "a b"), ("Gauge", "y"), ("Off", "e")))


def functions(dtype: Any) -> TextCase:
    """Every function of one scalar that a text may hold, and the two of two, of arguments between 0 and 1."""
    named = {"asin": jnp.arcsin, "acos": jnp.arccos, "atan": jnp.arctan, "erf": jax.scipy.special.erf}
    calls = [named.get(name) or getattr(jnp, name) for name in UNARY]

    def step(s: Any, c: Any, w: Any) -> Any:
        x = 0.1 + 0.8 * w.p * jnp.minimum(s.p, 1.0)
        total = sum(call(c.a * x) / len(calls) for call in calls)
        return Two(0.5 * s.p + 0.3 * jnp.tanh(total), jnp.arctan2(s.q + w.q, c.b) + x**c.b), Two(total, s.q)

    model = Model("functions", (), (), Rates, Two, Two, Two, Gauge, Off, lambda c: c, step,
                  lambda o, y: Off((o.p - y.y) ** 2 + o.q))  # fmt: skip
    rates = Rates(jnp.linspace(0.2, 1.0, LANES), jnp.linspace(0.5, 2.0, LANES))
    return text_case(model, rates, Two(0.4, 0.6), made_tables(model, dtype, Gauge), dtype, 8)


def snowpack(dtype: Any) -> TextCase:
    from snowpack.model import SNOWPACK, Observed, Rates, State

    rates = Rates(jnp.linspace(1.0, 5.0, LANES), jnp.linspace(0.01, 0.1, LANES), 0.2)
    return text_case(SNOWPACK, rates, State(3.0, 60.0, 0.0), made_tables(SNOWPACK, dtype, Observed), dtype, 8)


CASES = {
    "site compat": lambda dtype: carbon("site", "compat", dtype),
    "grid strict": lambda dtype: carbon("grid", "strict", dtype),
    "grid compat": lambda dtype: carbon("grid", "compat", dtype),
    "functions": functions,
    "snowpack": snowpack,
}


def run_all(module: Any, one: TextCase) -> dict[str, list[np.ndarray]]:
    """Value, adjoint with and without a cotangent of the last state, and tangents, by one backend."""
    rng = np.random.default_rng(6)
    start = (one.data, one.cells)

    def drawn(*shape: int) -> Any:
        return jnp.asarray(rng.standard_normal(shape), one.constants.dtype)

    value = module.value(one.text, one.constants, one.first, *start)
    last_bar, sums_bar = drawn(*value[0].shape), drawn(*value[1].shape)
    dots = drawn(TANGENTS, *one.constants.shape), drawn(TANGENTS, *one.first.shape)
    adjoints = [module.adjoint(one.text, one.constants, value[2], *start, bar, sums_bar) for bar in (last_bar, None)]
    found = {"value": value, "adjoint": adjoints[0], "adjoint of sums": adjoints[1]}
    found["tangent"] = module.tangent(one.text, one.constants, one.first, *start, *dots)
    return {name: [np.asarray(array) for array in arrays] for name, arrays in found.items()}


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_bits_of_a_text_are_the_cpu_backends(name, dtype, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    made = CASES[name](dtype)
    here, there = run_all(gpu_backend, made), run_all(cpu_backend, made)
    assert all(np.isfinite(array).all() for arrays in there.values() for array in arrays)
    for kernel, arrays in there.items():
        assert [a.tobytes() for a in here[kernel]] == [b.tobytes() for b in arrays], kernel


@pytest.mark.parametrize("sick", [np.nan, np.inf])
def test_sick_lane_of_a_grid_text_leaves_the_bits_of_others(sick):
    sound = carbon("grid", "strict", np.float32)
    ill = sound._replace(first=sound.first.at[0, 5].set(sick))
    whole, part = run_all(gpu_backend, sound), run_all(gpu_backend, ill)
    for kernel in whole:
        for a, b in zip(whole[kernel], part[kernel], strict=True):
            assert np.delete(a, 5, -1).tobytes() == np.delete(b, 5, -1).tobytes()
    assert not np.isfinite(part["value"][1][:, 5]).all()


@pytest.mark.parametrize("side", ["below", "beyond"])
def test_rows_and_cells_out_of_range_are_read_as_the_nearest(side):
    made = carbon("site", "strict", np.float32)
    data, far = made.data, -5 if side == "below" else 10**6
    rows = {name: getattr(data, name).at[7].set(far) for name in ("weather_row", "observed_row")}
    odd = made._replace(data=data._replace(**rows), cells=made.cells.at[3].set(far))
    here, there = run_all(gpu_backend, odd), run_all(cpu_backend, odd)
    for kernel, arrays in there.items():
        assert [a.tobytes() for a in here[kernel]] == [b.tobytes() for b in arrays], kernel


def test_fast_text_differs_in_its_options_and_one_macro():
    text = carbon("site", "strict", np.float32).text
    exact, fast = (source("ADJOINT", text, np.float32, fast=fast) for fast in (False, True))
    assert "--prec-div=true" in exact.options
    assert "--prec-div=false" in fast.options
    assert fast.text.replace("#define FAST 1", "#define FAST 0") == exact.text
    assert replace(fast, text=exact.text, options=exact.options) == exact
