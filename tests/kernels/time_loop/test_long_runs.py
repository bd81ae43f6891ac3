"""107 years through the index tables: rounding in float32, and the memory of the gradient."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phloem.kernels.calibrations.dalec_daily.site_objective import SiteFacts, SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec, inputs, state
from phloem.kernels.models.dalec_daily.forcing_terms import weather, year_ends
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.kernels.models.dalec_daily.parameters import UNKNOWNS
from phloem.kernels.models.dalec_daily.records import Observed
from phloem.kernels.objective.bounded_log import physical, unbounded
from phloem.kernels.objective.objective import SiteData
from phloem.kernels.time_loop.cpu.cpu_backend import scratch_bytes
from phloem.kernels.time_loop.day_tables import day_tables
from phloem.kernels.time_loop.fold import fold
from tests.support.kernels.builders import NAMES, POOL_NAMES, STATE, G, made_forcing

ROWS, DAYS, LANES = 13_149, 39_081, 8
SLOW = ("wood", "som")


def long_series(dtype):
    """Return 36 years of weather used three times, less the last year; year ends from a table of two rows."""
    time = np.arange(ROWS) - 5844
    calendar = np.datetime64("2001-01-01") + time
    doy = (calendar - calendar.astype("datetime64[Y]")).astype(int) + 1
    terms = weather(time, doy, 60.0, made_forcing(ROWS, 1), ROWS, STRICT)
    days = np.arange(DAYS) % ROWS
    nothing = np.zeros(2)
    observed = Observed(*[nothing] * 8, year_end=np.array([0.0, 1.0]))
    return day_tables([terms], [observed], dtype, weather_row=days, observed_row=year_ends(doy[days]).astype(int))


def unknowns():
    """Return (38, lanes) raw values around the reference set, exact in float32, with large wood and SOM."""
    values = np.concatenate([G, STATE])
    forest = {"canopy_efficiency": 30, "f_auto": 0.4, "f_foliar": 0.25, "f_labile": 0.3, "lcma": 40}
    forest |= {"paw_drainage_capacity": 4000, "field_capacity": 120, "turnover_som": 1e-5, "turnover_wood": 4e-5}
    for name, value in forest.items():
        values[NAMES.index(name)] = value
    for name, value in {"wood": 15_000, "som": 20_000}.items():
        values[30 + POOL_NAMES.index(name)] = value
    raw = unbounded(values[:, None], UNKNOWNS) + np.random.default_rng(2).normal(0, 0.1, (len(UNKNOWNS), LANES))
    return raw.astype(np.float32)


@pytest.fixture(scope="module")
def ends():
    found = {}
    for name, dtype, kept in (
        ("double", np.float64, "compensated"),
        ("compensated", np.float32, "compensated"),
        ("plain", np.float32, "plain"),
    ):
        model, data = dalec(replace(STRICT, state_dtype=kept)), long_series(dtype)
        values = np.asarray(physical(jnp.asarray(unknowns(), jnp.float64), UNKNOWNS)).astype(dtype)
        lanes = jnp.zeros(LANES, jnp.int32)
        last, sums = jax.jit(lambda p, q, m=model, d=data, z=lanes: fold(m, inputs(p), state(q), d, z))(
            jnp.asarray(values[:30]), jnp.asarray(values[30:])
        )
        found[name] = {pool: np.asarray(getattr(last, pool), float) for pool in POOL_NAMES}
        found[name] |= {f"sum {flux}": np.asarray(getattr(sums, flux), float) for flux in sums._fields}
    return found


def drift(ends, name, mode):
    """Return the largest relative difference from float64 over the lanes."""
    return float((np.abs(ends[mode][name] - ends["double"][name]) / np.abs(ends["double"][name])).max())


def test_figures(ends):
    for name, values in ends["double"].items():
        if values.all():
            figures = [f"{mode} {drift(ends, name, mode):.1e}" for mode in ("compensated", "plain")]
            print(f"{name:24s} {values.mean():14.6g}  " + "  ".join(figures))
    assert all(np.isfinite(values).all() for mode in ends.values() for values in mode.values())


@pytest.mark.parametrize("pool", SLOW)
def test_compensation_brings_the_slow_pools_ten_times_nearer(ends, pool):
    assert ends["double"][pool].min() > 5_000
    kept, lost = drift(ends, pool, "compensated"), drift(ends, pool, "plain")
    assert kept < 2e-6
    assert 10 * kept < lost


def test_pools_and_sums_of_compensated_float32_stay_near(ends):
    far = {name: drift(ends, name, "compensated") for name, v in ends["double"].items() if v.all() and name != "puw"}
    assert len(far) > 20
    assert max(far.values()) < 2e-5, far


@pytest.mark.parametrize(("backend", "limit"), [("xla", 2 * DAYS), ("cpu", 64_000)])
def test_the_gradient_keeps_nothing_of_time_times_lanes(backend, limit):
    """The limit is at most half of one float32 field; kept beside what is needed, a mask of bytes would break it."""
    lanes = 64
    data = long_series(np.float32)
    ones = np.ones(1, np.float32)
    known = SiteData(data, np.ones((4, 1), np.float32), ones, ones * DAYS, SiteFacts(ones * 20, ones, ones, ones))
    raw = np.repeat(unknowns(), lanes // LANES, 1)
    arguments = (raw, np.full(lanes, 30, np.float32), known, np.zeros(lanes, np.int32))
    objective = SiteObjective(dalec("strict"), backend=backend)
    compiled = jax.jit(objective.loss_and_gradient).lower(*arguments).compile()
    needed = compiled.memory_analysis().temp_size_in_bytes + (
        scratch_bytes("dalec-strict", np.float32) if backend == "cpu" else 0
    )
    print(f"temporary memory of the gradient, {backend}, {lanes} lanes, {DAYS} days: {needed / 2**20:.2f} MiB")
    assert needed > 0
    assert needed < limit * lanes < needed + DAYS * lanes
